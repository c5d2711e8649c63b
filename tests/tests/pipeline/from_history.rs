//! Out of the history, without any ice: everything a file system can hold, restored into a folder, through an archive that GNU tar unpacks, and onto a
//! copy made by hand. rsync judges all three.

mod mixed;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::stock::below;
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Options, Outcome, Scratch, settings};

use super::comparator::{furnish, furnish_as_root, judge, judge_but_holes, set_times};
use crate::rig;

const HOST: &str = "web01";

/// A server that has accepted one push of the tree.
fn pushed() -> (Scratch, PathBuf) {
    let mut scratch = rig::scratch(&Options::default());
    let root = scratch.folder.join("hosts/disk/everything");
    fs::create_dir_all(&root).unwrap();
    furnish(&root);
    furnish_as_root(&root);
    set_times(&root);
    let host = scratch.add_host(HOST, std::slice::from_ref(&root)).unwrap();
    let waits = settings::Push { verdict_wait_seconds: 120, ..settings::Push::default() };
    settings::write_push(&scratch, &host, &waits).unwrap();
    let (push, ingest) = scratch.push_and_ingest(&host, Hear::Kept).unwrap();
    ingest.expect("the push was never sealed").expect_code(&[0]).unwrap();
    push.expect_code(&[0]).unwrap();
    (scratch, root)
}

/// Without --json, which an archive leaves no place for.
fn snapshotter(scratch: &Scratch, words: &[&str]) -> Command {
    let mut command = Command::new(scratch.folder.join("bin/snapshotter"));
    command.arg("--config").arg(scratch.folder.join("etc/server.toml")).args(words);
    command
}

/// `snapshotter restore --tar | tar x`.
fn through_tar(scratch: &Scratch, path: &str, to: &Path) {
    fs::create_dir(to).unwrap();
    let packing = snapshotter(scratch, &["restore", HOST, "latest", path, "--with-powers", "--tar"]);
    let mut pipe = Command::new("bash");
    pipe.args([
        "-c",
        "set -o pipefail; \"${@:2}\" | tar -xp --warning=no-timestamp --numeric-owner --xattrs --xattrs-include='*' -C \"$1\"",
        "bash",
    ]);
    pipe.arg(to).arg(packing.get_program()).args(packing.get_args());
    let unpacked = Outcome::of(&mut pipe).unwrap().expect_code(&[0]).unwrap();
    assert!(!unpacked.stderr.contains("tar:"), "{}", unpacked.said());
}

#[test]
fn rsync_finds_no_difference_in_what_the_history_gives_back() {
    let test = "rsync_finds_no_difference_in_what_the_history_gives_back";
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &["rsync", "setfacl", "setcap", "tar"]) {
        return;
    }
    let _turn = rig::turn();
    let (scratch, root) = pushed();
    let path = root.to_str().unwrap();
    let (placed, unpacked) = (scratch.folder.join("placed"), scratch.folder.join("unpacked"));
    let words = ["restore", HOST, "latest", path, "--with-powers", "--to"];
    Outcome::of(snapshotter(&scratch, &words).arg(&placed)).unwrap().expect_code(&[0]).unwrap();
    judge(&root, &below(&placed, &root));
    through_tar(&scratch, path, &unpacked);
    judge_but_holes(&root, &below(&unpacked, &root));

    // What `cp` brings out of the tree, and what it cannot: links that are one file, fifos, devices and long targets are in the manifest alone.
    let by_hand = scratch.folder.join("by-hand");
    let tree = fs::read_dir(scratch.history(HOST)).unwrap().map(|entry| entry.unwrap().path().join("tree"));
    let tree = tree.into_iter().find(|tree| tree.is_dir()).unwrap();
    let source = below(&tree, &root);
    Outcome::of(Command::new("cp").arg("-r").arg(&source).arg(&by_hand)).unwrap().expect_code(&[0]).unwrap();
    let words = ["--json", "restore", HOST, "latest", path, "--metadata-onto"];
    let repaired = Outcome::of(snapshotter(&scratch, &words).arg(&by_hand)).unwrap();
    let repaired = repaired.expect_code(&[3]).unwrap();
    let report: serde_json::Value = serde_json::from_str(repaired.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(report["counts"]["differing"].as_u64(), Some(0), "{}", repaired.said());
    let mut rsync = Command::new("rsync");
    rsync.args(["-naAXi", "--existing", "--checksum", "--numeric-ids", "--modify-window=-1"]);
    let told =
        Outcome::of(rsync.arg(root.join("")).arg(by_hand.join(""))).unwrap().expect_code(&[0]).unwrap();
    // What lends power comes back into a folder only, and is named.
    let is_power = |line: &str| {
        let name = line.split_whitespace().last().unwrap_or_default();
        let mut named = repaired.stderr.lines().filter(|line| line.contains(name));
        named.any(|line| line.contains("powers were not asked for"))
    };
    let others: Vec<&str> = told.stdout.lines().filter(|line| !is_power(line)).collect();
    assert_eq!(others, [""; 0], "what is there is as it was on the host");
    // The control: rsync would tell one mode, and the history itself is not touched by any of this.
    fs::set_permissions(by_hand.join("a/big"), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let mut rsync = Command::new("rsync");
    rsync.args(["-naAXi", "--existing", "--checksum", "--numeric-ids"]);
    let told = Outcome::of(rsync.arg(root.join("")).arg(by_hand.join(""))).unwrap();
    assert!(told.stdout.contains("a/big"), "{}", told.said());
    Outcome::of(&mut scratch.snapshotter(&["verify"])).unwrap().expect_code(&[0]).unwrap();
}

#[test]
fn the_lines_of_the_document_restore_what_they_say() {
    let test = "the_lines_of_the_document_restore_what_they_say";
    if !rig::is_root_or_skipped(test) {
        return;
    }
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/restore.md")).unwrap();
    let blocks: Vec<&str> =
        document.split("\n```sh\n").skip(1).map(|part| part.split("\n```").next().unwrap()).collect();
    assert!(blocks.len() >= 4, "{} blocks", blocks.len());
    let _turn = rig::turn();
    let mut scratch = rig::scratch(&Options::default());
    let root = scratch.folder.join("hosts/disk/etc");
    fs::create_dir_all(root.join("nginx/conf.d")).unwrap();
    rig::file(&root.join("nginx/nginx.conf"), b"worker_processes 2;\n");
    rig::file(&root.join("nginx/conf.d/site.conf"), b"server {}\n");
    let host = scratch.add_host(HOST, std::slice::from_ref(&root)).unwrap();
    let waits = settings::Push { verdict_wait_seconds: 120, ..settings::Push::default() };
    settings::write_push(&scratch, &host, &waits).unwrap();
    let (push, ingest) = scratch.push_and_ingest(&host, Hear::Kept).unwrap();
    ingest.expect("the push was never sealed").expect_code(&[0]).unwrap();
    push.expect_code(&[0]).unwrap();
    // The document speaks of a host's /etc and of the server's own folders; here they lie in the scratch folder.
    let home = scratch.folder.join("root");
    fs::create_dir(&home).unwrap();
    let top = root.parent().unwrap().to_str().unwrap().trim_start_matches('/');
    let program = scratch.folder.join("bin/snapshotter");
    let call = format!("{} --config {}", program.display(), scratch.folder.join("etc/server.toml").display());
    let script = blocks
        .join("\n")
        .replace(" etc/nginx", &format!(" {top}/etc/nginx"))
        .replace(")/etc/nginx", &format!(")/{top}/etc/nginx"))
        .replace(" 2026-01-31 ", " latest ")
        .replace("snapshotter ", &format!("{call} "))
        .replace("/srv/firn/history", scratch.history("").to_str().unwrap().trim_end_matches('/'))
        .replace("/root/", &format!("{}/", home.display()));
    let run = |script: &str| {
        let file = scratch.folder.join("script");
        fs::write(&file, format!("set -eux\n{script}\n")).unwrap();
        Outcome::of(Command::new("sh").arg(&file).current_dir(&home)).unwrap()
    };
    assert_ne!(run("false").code, 0, "the control");
    let ended = run(&script);
    assert_eq!(ended.code, 0, "{}", ended.said());
    let mut found = Vec::new();
    conf_files(&home, &mut found);
    assert!(found.len() >= 3, "{found:?}: {}", ended.said());
    for file in found {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut File::open(&file).unwrap(), &mut text).unwrap();
        assert_eq!(text, "worker_processes 2;\n", "{}", file.display());
    }
}

fn conf_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            conf_files(&path, found);
        } else if path.ends_with("nginx.conf") {
            found.push(path);
        }
    }
}
