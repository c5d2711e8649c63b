//! What a restore makes, and what only if it is asked to.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use formats::Kind;
use restore::Powers;

use crate::tree::{Tree, extended, is_root, path, skipped};

fn powerful() -> Tree {
    let mut tree = Tree::default();
    tree.folder("d").mode = 0o2750;
    tree.file("d/setid", b"x").mode = 0o6755;
    tree.file("d/capable", b"y").attributes = vec![
        // CAP_NET_BIND_SERVICE, permitted and effective, revision 2.
        extended("security.capability", &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        extended("user.mine", b"1"),
    ];
    tree.add("d/null", Kind::CharDevice { major: 1, minor: 3 }, 0o666);
    tree.add("d/pipe", Kind::Fifo, 0o622);
    tree
}

fn has(file: &std::path::Path, name: &str) -> bool {
    rustix::fs::lgetxattr(file, name, [0u8; 64].as_mut_slice()).is_ok()
}

#[test]
fn what_lends_power_comes_back_only_when_asked_for() {
    let test = "what_lends_power_comes_back_only_when_asked_for";
    if !is_root() {
        return skipped(test, "devices and capabilities need root");
    }
    let scratch = tempfile::tempdir().unwrap();
    let (with, without) = (scratch.path().join("with"), scratch.path().join("without"));
    let (counts, left_out, differences) = powerful().restore(&with, Powers::Restored);
    assert_eq!((counts.files, counts.specials, left_out, differences), (2, 2, 0, 0));
    assert_eq!(fs::metadata(with.join("d/setid")).unwrap().mode() & 0o7777, 0o6755);
    assert!(has(&with.join("d/capable"), "security.capability"));
    assert!(fs::symlink_metadata(with.join("d/null")).unwrap().file_type().is_char_device());

    let (counts, left_out, differences) = powerful().restore(&without, Powers::Withheld);
    assert_eq!((counts.files, counts.specials, left_out, differences), (2, 1, 3, 0));
    assert_eq!(fs::metadata(without.join("d/setid")).unwrap().mode() & 0o7777, 0o755);
    assert!(!has(&without.join("d/capable"), "security.capability"));
    assert!(has(&without.join("d/capable"), "user.mine"));
    assert!(!without.join("d/null").exists());
    // A folder's set-group-id bit lends nothing.
    assert_eq!(fs::metadata(without.join("d")).unwrap().mode() & 0o7777, 0o2750);
}

#[test]
fn one_damaged_content_is_named_and_the_rest_comes_back() {
    let mut tree = Tree::default();
    tree.file("first", b"one content");
    tree.file("second", b"another");
    tree.link("third", "first");
    tree.contents.insert(path("first"), b"one c0ntent".to_vec());
    let scratch = tempfile::tempdir().unwrap();
    let to = scratch.path().join("to");
    let (counts, left_out, differences) = tree.restore(&to, Powers::Withheld);
    assert_eq!((counts.files, left_out, differences), (2, 1, 1));
    assert!(!to.join("first").exists());
    assert_eq!(fs::read(to.join("second")).unwrap(), b"another");
    assert_eq!(fs::read(to.join("third")).unwrap(), b"one content");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 2, "nothing half is left");
}

#[test]
fn a_content_that_cannot_be_read_is_of_one_file_alone() {
    let mut tree = Tree::default();
    tree.file("a", b"gone");
    tree.file("b", b"there");
    tree.contents.remove(&path("a"));
    let scratch = tempfile::tempdir().unwrap();
    let (counts, left_out, differences) = tree.restore(&scratch.path().join("to"), Powers::Withheld);
    assert_eq!((counts.files, left_out, differences), (1, 1, 1));
}
