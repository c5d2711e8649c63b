//! Inode flags come back, last of all, and those that cannot be set are named.

use std::fs::{self, File};
use std::path::Path;

use formats::Flags;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use super::disk::is_root;
use super::ices::{Machine, ice_of};
use super::tree::Tree;

const IMMUTABLE: u32 = 0x10;
const APPEND: u32 = 0x20;
const NODUMP: u32 = 0x40;
/// ext4 has none of it.
const NO_COPY_ON_WRITE: u32 = 0x0080_0000;

fn kept(path: &Path) -> u32 {
    let flags = ioctl_getflags(File::open(path).unwrap()).unwrap();
    Flags::kept_of(flags.bits()).map_or(0, Flags::bits)
}

/// So that the scratch folder can be removed.
fn loosen(path: &Path) {
    let file = File::open(path).unwrap();
    ioctl_setflags(&file, ioctl_getflags(&file).unwrap() - IFlags::from_bits_retain(IMMUTABLE | APPEND))
        .unwrap();
}

fn fixed() -> Tree {
    let mut tree = Tree::default();
    let mut flag = |name: &str, bits| {
        let meta =
            if name.ends_with('/') { tree.folder(name.trim_end_matches('/')) } else { tree.file(name, "x") };
        meta.attributes.push(Flags::kept_of(bits).unwrap().attribute());
    };
    flag("top/", IMMUTABLE | NODUMP);
    flag("top/fixed", IMMUTABLE);
    flag("top/log", APPEND | NODUMP);
    tree.folder("top/plain");
    tree.file("top/plain/plain", "y");
    tree.link("top/plain/second", "top/fixed");
    tree
}

fn can_flag(folder: &Path) -> bool {
    let probe = File::create(folder.join("probe")).unwrap();
    is_root()
        && ioctl_getflags(&probe).and_then(|flags| ioctl_setflags(&probe, flags | IFlags::NODUMP)).is_ok()
}

#[test]
fn what_is_immutable_is_made_so_after_all_else() {
    let machine = Machine::with(&ice_of(&fixed()));
    if !can_flag(&machine.path("")) {
        println!("SKIPPED: what_is_immutable_is_made_so_after_all_else: not root, or no inode flags here");
        return;
    }
    let ran = machine.restore();
    let top = machine.out().join("top");
    let found = ["", "fixed", "log", "plain", "plain/plain"].map(|name| kept(&top.join(name)));
    assert!(fs::write(top.join("fixed"), "z").is_err() && fs::write(top.join("new"), "z").is_err());
    assert_eq!(fs::read(top.join("plain/second")).unwrap(), b"x");
    ["", "fixed", "log"].iter().for_each(|name| loosen(&top.join(name)));
    ran.ends_with(0);
    assert_eq!(found, [IMMUTABLE | NODUMP, IMMUTABLE, APPEND | NODUMP, 0, 0]);
    machine.verify().ends_with(0);
}

#[test]
fn a_flag_that_is_not_taken_is_named_and_the_others_stand() {
    let mut tree = Tree::default();
    tree.file("file", "x")
        .attributes
        .push(Flags::kept_of(NO_COPY_ON_WRITE | NODUMP | IMMUTABLE).unwrap().attribute());
    let machine = Machine::with(&ice_of(&tree));
    if !can_flag(&machine.path("")) {
        println!(
            "SKIPPED: a_flag_that_is_not_taken_is_named_and_the_others_stand: not root, or no inode flags here"
        );
        return;
    }
    let ran = machine.restore();
    let file = machine.out().join("file");
    let found = kept(&file);
    loosen(&file);
    if found & NO_COPY_ON_WRITE != 0 {
        println!(
            "SKIPPED: a_flag_that_is_not_taken_is_named_and_the_others_stand: this file system takes all of them"
        );
        return;
    }
    assert_eq!(found, NODUMP | IMMUTABLE);
    let ran = ran.ends_with(3);
    let left = &ran.report["left_out"][0];
    assert_eq!(
        (left["path"].as_str(), left["why"].as_str().unwrap().ends_with(": C")),
        (Some("file"), true),
        "{left}"
    );
}
