//! Roots that are read somewhere else than where they are in the push.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use formats::published::Verdict;
use push_client::push::Count;

use crate::commands::text;
use crate::host::{Host, root};
use crate::server::{Server, header, seal};
use crate::sshd::{Sshd, user};

fn read_at(host: &mut Host, at: &str) {
    host.roots = vec!["/data"];
    host.more = format!("[[root]]\npath = \"/srv/tree\"\nread_at = {at:?}\n");
}

#[test]
fn a_tree_that_is_read_elsewhere_keeps_its_path_and_stays_unchanged() {
    let (mut host, mut server) = (Host::new(), Server::new());
    let top = host.top();
    for folder in ["srv", "run/snapshot1/sub"] {
        fs::create_dir_all(top.join(folder)).unwrap();
    }
    fs::write(top.join("run/snapshot1/sub/file"), "content").unwrap();
    fs::hard_link(top.join("run/snapshot1/sub/file"), top.join("run/snapshot1/sub/link")).unwrap();
    fs::write(top.join("run/snapshot1/left"), "left").unwrap();
    fs::set_permissions(top.join("run/snapshot1"), fs::Permissions::from_mode(0o710)).unwrap();
    host.exclude = vec!["/srv/tree/left".to_owned()];
    read_at(&mut host, "/run/snapshot1");
    host.push_accepted(&mut server);
    fs::rename(top.join("run/snapshot1"), top.join("run/snapshot2")).unwrap();
    read_at(&mut host, "/run/snapshot2");
    let (_, account) = host.push(&mut server);
    // srv, the folder of the root, which was renamed, and data are looked at as folders; no file is read.
    assert_eq!(account.get(Count::ReadFiles), 0);
    // Whole, to see all of it.
    let fresh = &mut Server::new();
    fs::remove_dir_all(host.state_path()).unwrap();
    host.push(fresh);
    let judged = fresh.newest(&[]);
    assert_eq!(
        judged.paths(),
        ["data", "srv", "srv/tree", "srv/tree/sub", "srv/tree/sub/file", "srv/tree/sub/link"]
    );
    assert_eq!(judged.content("srv/tree/sub/file"), b"content");
    assert_eq!(judged.node("srv/tree").meta.mode, 0o710);
    // A snapshot that is not there is not an empty tree.
    read_at(&mut host, "/run/snapshot3");
    let (_, account) = host.push(fresh);
    assert_eq!(account.left_out.len(), 1, "{:?}", account.left_out);
    std::os::unix::fs::symlink("../run", top.join("run/behind")).unwrap();
    read_at(&mut host, "/run/behind/snapshot2");
    let (_, account) = host.push(fresh);
    assert!(account.left_out[0].1.contains("symbolic link"), "{:?}", account.left_out);
}

/// What stands under a heading of docs/recipes.md between the fences.
fn recipe(heading: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/recipes.md");
    let recipes = fs::read_to_string(path).unwrap();
    let (_, under) = recipes.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, begun) = under.split_once("```toml\n").unwrap();
    begun.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_recipes_are_settings() {
    for heading in ["btrfs", "LVM", "ZFS", "PostgreSQL", "MySQL and MariaDB"] {
        let mut host = Host::new();
        host.more = recipe(heading);
        let commands = host.plan().commands;
        assert!(!commands.is_empty(), "{heading}");
    }
}

/// Runs words with a btrfs of a file at /home, which nobody else sees.
fn with_btrfs(image: &Path, line: &str) -> Output {
    let line = format!("mount -t btrfs -o loop {} /home && {{ {line}; }}", image.display());
    Command::new("unshare")
        .args(["--mount", "--propagation", "private", "/bin/sh", "-c", &line])
        .output()
        .unwrap()
}

fn image(folder: &Path) -> Result<PathBuf, &'static str> {
    if !root() {
        return Err("only root mounts");
    }
    let image = folder.join("image");
    fs::File::create(&image).unwrap().set_len(200 << 20).unwrap();
    let made = Command::new("mkfs.btrfs").arg("-q").arg(&image).output();
    if !made.is_ok_and(|made| made.status.success()) {
        return Err("there is no mkfs.btrfs");
    }
    let fill = "for n in 1 2 3 4 5 6 7 8 9; do echo $n > /home/$n; done; mkdir /home/sub; head -c 3000000 /dev/urandom > /home/sub/long";
    match with_btrfs(&image, fill).status.success() {
        true => Ok(image),
        false => Err("a btrfs cannot be mounted here"),
    }
}

#[test]
fn the_recipe_for_btrfs_pushes_a_snapshot_and_reads_nothing_twice() {
    const NAME: &str = "the_recipe_for_btrfs_pushes_a_snapshot_and_reads_nothing_twice";
    let Some(sshd) = Sshd::start(NAME) else { return };
    let image = match image(sshd.folder.path()) {
        Ok(image) => image,
        Err(why) => return println!("SKIPPED: {NAME}: {why}"),
    };
    // What is touched as a push begins is read again by the next.
    sleep(Duration::from_secs(4));
    let server_table = format!(
        "[server]\naddress = \"127.0.0.1\"\nport = {}\naccount = {:?}\nhost_key = {:?}\n{}",
        sshd.port,
        user(),
        sshd.host_key(),
        sshd.key_line()
    );
    let head = format!("host = \"web01\"\nstate = {:?}\nverdict_wait_seconds = 0\n", sshd.at("state"));
    let settings = sshd.written("recipe.toml", &[head, recipe("btrfs"), server_table].concat());
    let program = sshd.at("push-client");
    fs::copy(env!("CARGO_BIN_EXE_push-client"), &program).unwrap();
    let line = format!("{} run -v --json --config {settings}", program.display());
    let mut server = Server::new();
    let mut push = |line: &str| {
        let (image, line) = (image.clone(), line.to_owned());
        let pushing = std::thread::spawn(move || with_btrfs(&image, &line));
        sshd.serve(&mut server);
        let done = pushing.join().unwrap();
        assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
        let file = server.sealed.last().unwrap().clone();
        server.judge(header(&file).push, Verdict::Accepted { root: seal(&file).root });
        let said = text(&done.stdout);
        let report: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        (file, report["counts"].clone())
    };
    let (file, counts) = push(&line);
    let judged = crate::judge::judge(&file, &[], &std::collections::HashMap::new());
    assert_eq!(judged.content("home/7"), b"7\n");
    assert_eq!(judged.paths().len(), 12, "{:?}", judged.paths());
    assert_eq!(counts["read_files"], 10, "{counts}");
    // What a run that lost its power left, and another device by far.
    let stale = "btrfs subvolume create /home/other && stat /home/other && btrfs subvolume snapshot -r /home /home/.firn-snapshot && \
                 echo changed > /home/7 && sleep 3";
    let (_, counts) = push(&format!("{stale} && {line}"));
    assert_eq!(counts["read_files"], 1, "{counts}");
    let left = with_btrfs(&image, "ls -a /home");
    assert!(!text(&left.stdout).contains("firn-snapshot"), "{}", text(&left.stdout));
    // Snapshots do have other numbers: else this test would prove nothing.
    let stat = with_btrfs(
        &image,
        "btrfs -q subvolume snapshot -r /home /home/s; stat -c %d /home /home/s; btrfs -q subvolume delete /home/s",
    );
    let numbers = text(&stat.stdout);
    let numbers: Vec<_> = numbers.lines().filter(|line| line.bytes().all(|b| b.is_ascii_digit())).collect();
    assert!(numbers.len() == 2 && numbers[0] != numbers[1], "{numbers:?}");
}
