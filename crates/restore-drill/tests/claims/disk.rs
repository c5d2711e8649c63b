//! Real files: made, walked into a tree, and compared by rsync.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use formats::{Attribute, Kind, Mtime, Tag};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lgetxattr, llistxattr, lsetxattr,
    mknodat, utimensat,
};

use super::tree::Tree;

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Sets the mtime of the name itself.
pub(crate) fn touch(path: &Path, seconds: i64, nanos: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

pub(crate) fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

pub(crate) fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

pub(crate) fn device(path: &Path, file_type: FileType, major: u32, minor: u32) {
    mknodat(CWD, path, file_type, Mode::from_raw_mode(0o640), rustix::fs::makedev(major, minor)).unwrap();
}

/// Everything beneath `root`, as a walk of the host would record it.
pub(crate) fn walk(root: &Path) -> Tree {
    let mut tree = Tree::default();
    let mut firsts = HashMap::new();
    let mut open = vec![PathBuf::new()];
    let mut all = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                open.push(path.clone());
            }
            all.push(path);
        }
    }
    all.sort();
    for path in all {
        let name = path.as_os_str().as_bytes();
        let real = root.join(&path);
        let stat = fs::symlink_metadata(&real).unwrap();
        if stat.nlink() > 1 && !stat.is_dir() {
            if let Some(first) = firsts.get(&stat.ino()) {
                tree.link(name, first);
                continue;
            }
            firsts.insert(stat.ino(), name.to_vec());
        }
        one(&mut tree, name, &real, &stat);
    }
    tree
}

fn one(tree: &mut Tree, name: &[u8], real: &Path, stat: &fs::Metadata) {
    let (major, minor) = (rustix::fs::major(stat.rdev()), rustix::fs::minor(stat.rdev()));
    let mode = stat.mode() & 0o7777;
    let meta = match FileType::from_raw_mode(stat.mode()) {
        FileType::RegularFile => tree.file(name, fs::read(real).unwrap()),
        FileType::Symlink => tree.symlink(name, fs::read_link(real).unwrap().as_os_str().as_bytes()),
        FileType::Directory => tree.folder(name),
        FileType::Fifo => tree.add(name, Kind::Fifo, mode),
        FileType::Socket => tree.add(name, Kind::Socket, mode),
        FileType::CharacterDevice => tree.add(name, Kind::CharDevice { major, minor }, mode),
        FileType::BlockDevice => tree.add(name, Kind::BlockDevice { major, minor }, mode),
        other => panic!("{other:?}"),
    };
    (meta.mode, meta.owner, meta.group) = (mode, stat.uid(), stat.gid());
    meta.mtime = Mtime { seconds: stat.mtime(), nanos: stat.mtime_nsec() as u32 };
    let mut names = vec![0; 65_536];
    let length = llistxattr(real, &mut names[..]).unwrap();
    for attribute in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 65_536];
        let length = lgetxattr(real, attribute, &mut value[..]).unwrap();
        let value = value[..length].to_vec();
        meta.attributes.push(Attribute { tag: Tag::Extended, name: attribute.to_vec(), value });
    }
    meta.attributes.sort_by(|a, b| a.name.cmp(&b.name));
}

/// What rsync would change to make `restored` like `source`; empty if nothing.
pub(crate) fn rsync_changes(source: &Path, restored: &Path) -> String {
    let slash = |path: &Path| format!("{}/", path.display());
    let output = Command::new("rsync")
        .args(["-naHAXi", "--checksum", "--numeric-ids", "--delete"])
        .arg(slash(source))
        .arg(slash(restored))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn bytes(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(name))
}
