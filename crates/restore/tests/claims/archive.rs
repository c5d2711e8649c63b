//! What the archive holds, as GNU tar reads it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use cli::Task;
use formats::Kind;
use restore::{Powers, Selection, Tar};

use crate::tree::{Tree, extended, path, run};

/// The archive, how much was left out, and how much differed.
fn archive(tree: &Tree, selection: Selection, powers: Powers) -> (Vec<u8>, u64, u64) {
    let mut run = run();
    let mut bytes = Vec::new();
    let mut tar = Tar::new(&mut run, &mut bytes, tree.survey(selection), powers);
    for entry in tree.entries.values() {
        tar.entry(entry, &mut tree.held(&entry.path), &Task::silent()).unwrap();
    }
    tar.finish().unwrap();
    let differences = tar.differences.total;
    let left_out = run.report().left_out();
    (bytes, left_out, differences)
}

fn unpack(bytes: &[u8], to: &Path) {
    fs::create_dir(to).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-xp", "--xattrs", "--xattrs-include=*", "--warning=all", "-f", "-", "-C"]).arg(to);
    let mut child = tar.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, &bytes));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("unknown"), "{said}");
}

fn noise(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n * 7919 % 251 + 1) as u8).collect()
}

#[test]
fn gnu_tar_brings_everything_back() {
    let mut tree = Tree::default();
    tree.folder("d").mtime.seconds = -5;
    let long = format!("d/{}", "l".repeat(200));
    tree.folder(&long).mode = 0o700;
    tree.file(&format!("{long}/{}", "n".repeat(250)), b"deep");
    tree.add("d/target", Kind::Symlink { target: vec![b't'; 900] }, 0o777);
    tree.file("d/empty", b"");
    tree.file("d/text", b"words\n").attributes =
        vec![extended("user.binary", b"\0=\n\xff"), extended("user.eq=ual%", b"x")];
    tree.link("d/text.link", "d/text");
    let mut holes = vec![0; 3 << 20];
    holes.extend_from_slice(b"island");
    holes.resize(8 << 20, 0);
    tree.file("d/holes", &holes).mtime.nanos = 1;
    tree.file("d/all-zeros", &vec![0; 1 << 20]);
    tree.file("d/large", &noise(5 << 20)).mode = 0o400;
    tree.add("d/pipe", Kind::Fifo, 0o622);
    let (bytes, left_out, differences) = archive(&tree, Selection::All, Powers::Restored);
    assert_eq!((left_out, differences, bytes.len() % 10_240), (0, 0, 0));
    let scratch = tempfile::tempdir().unwrap();
    let (to, placed) = (scratch.path().join("to"), scratch.path().join("placed"));
    unpack(&bytes, &to);
    tree.restore(&placed, Powers::Restored);
    for entry in tree.entries.values() {
        let name = std::str::from_utf8(entry.path.as_bytes()).unwrap();
        let (mine, other) = (to.join(name), placed.join(name));
        let facts = |at: &Path| {
            let stat = fs::symlink_metadata(at).unwrap();
            (stat.mode(), stat.uid(), stat.gid(), stat.mtime(), stat.mtime_nsec(), stat.nlink())
        };
        assert_eq!(facts(&mine), facts(&other), "{name}");
        if fs::symlink_metadata(&mine).unwrap().is_file() {
            assert_eq!(fs::read(&mine).unwrap(), fs::read(&other).unwrap(), "{name}");
        }
    }
    assert_eq!(fs::read_link(to.join("d/target")).unwrap().as_os_str().len(), 900);
    for name in ["user.binary", "user.eq=ual%"] {
        let value = |at: &Path| {
            let mut value = [0; 64];
            let length = rustix::fs::lgetxattr(at, name, value.as_mut_slice()).unwrap();
            value[..length].to_vec()
        };
        assert_eq!(value(&to.join("d/text")), value(&placed.join("d/text")));
    }
}

#[test]
fn a_damaged_content_is_not_in_the_archive() {
    for size in [10, 5 << 20] {
        let mut tree = Tree::default();
        tree.file("bad", &noise(size));
        tree.file("good", b"good");
        tree.contents.get_mut(&path("bad")).unwrap()[size / 2] ^= 1;
        let (bytes, left_out, differences) = archive(&tree, Selection::All, Powers::Withheld);
        assert_eq!((left_out, differences), (1, 1));
        let scratch = tempfile::tempdir().unwrap();
        let to = scratch.path().join("to");
        unpack(&bytes, &to);
        assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
        assert_eq!(fs::read(to.join("good")).unwrap(), b"good");
    }
}

#[test]
fn a_part_is_packed_without_the_folders_above_it() {
    let mut tree = Tree::default();
    tree.folder("etc");
    tree.file("etc/a", b"first");
    tree.folder("etc/app");
    tree.link("etc/app/b", "etc/a");
    tree.file("etc/app/setid", b"x").mode = 0o4755;
    let part = Selection::Beneath(path("etc/app"));
    let (bytes, left_out, _) = archive(&tree, part, Powers::Withheld);
    assert_eq!(left_out, 1, "the set-id bit is named");
    let mut list = Command::new("tar");
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("archive");
    fs::write(&file, &bytes).unwrap();
    let output = list.arg("-tvf").arg(&file).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let names: Vec<_> = told.lines().map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(names, ["etc/app/", "etc/app/b", "etc/app/setid"]);
    assert!(told.lines().nth(1).unwrap().starts_with("-rw-r--r--"), "the later name is a file of its own");
    assert!(told.lines().nth(2).unwrap().starts_with("-rwxr-xr-x"));
}

/// Reads nothing but the old header: what a tar that knows none of the extensions would put under each name.
#[test]
fn a_tar_that_knows_no_holes_gets_the_whole_content() {
    let mut tree = Tree::default();
    let mut holes = vec![0; 1 << 20];
    holes.extend_from_slice(b"island");
    tree.file("holes", &holes);
    let (bytes, ..) = archive(&tree, Selection::All, Powers::Withheld);
    let octal = |at: usize| {
        let digits = std::str::from_utf8(&bytes[at + 124..at + 135]).unwrap();
        usize::from_str_radix(digits, 8).unwrap()
    };
    let mut at = 0;
    while bytes[at + 156] == b'x' {
        at += 512 + octal(at).next_multiple_of(512);
    }
    assert_eq!((&bytes[at..at + 6], octal(at)), (&b"holes\0"[..], holes.len()));
    assert_eq!(&bytes[at + 512..at + 512 + holes.len()], &holes);
}

#[test]
fn flags_that_an_archive_cannot_hold_are_named() {
    let mut tree = Tree::default();
    tree.file("fixed", b"x").attributes = vec![formats::Flags::kept_of(0x10).unwrap().attribute()];
    let (_, left_out, _) = archive(&tree, Selection::All, Powers::Restored);
    assert_eq!(left_out, 1);
}
