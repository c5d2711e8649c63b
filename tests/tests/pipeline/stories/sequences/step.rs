//! One change to a tree of few names, so that changes meet. What cannot be done to what is there is not done.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use pipeline_tests::data::Numbers;
use proptest::prelude::*;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lremovexattr, lsetxattr, makedev,
    mknodat, utimensat,
};

/// Files and folders take each other's places, at two depths.
const PATHS: [&str; 14] =
    ["a", "a/b", "a/b/x", "a/b/y", "a/x", "a/y", "b", "b/x", "c", "c/x", "d", "e", "f", "g"];
const MODES: [u32; 6] = [0o644, 0o600, 0o755, 0o4711, 0o2770, 0o1777];
const OWNERS: [(u32, u32); 3] = [(0, 0), (4711, 42), (65_534, 65_534)];
const MTIMES: [(i64, i64); 4] = [(0, 0), (-1, 1), (1_700_000_000, 999_999_999), (4_300_000_000, 5)];
const TARGETS: [&str; 4] = ["a", "../g", "/nowhere", "b/x"];
const ATTRIBUTES: [&str; 3] = ["user.one", "user.two", "trusted.not-kept"];
/// Above it, parts of a file are sent (1 MiB), and looked up in the base.
const LONG_BYTES: usize = 1_300_000;

/// A path, as an index.
type At = u8;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Write {
        at: At,
        bytes: usize,
        seed: u64,
    },
    Append {
        at: At,
        bytes: usize,
        seed: u64,
    },
    Insert {
        at: At,
        place: u16,
        bytes: usize,
    },
    /// As many bytes as before, and the times as before.
    InPlace {
        at: At,
        place: u16,
        keeps_mtime: bool,
    },
    Truncate {
        at: At,
        place: u16,
    },
    Rename {
        from: At,
        to: At,
    },
    Copy {
        from: At,
        to: At,
    },
    Link {
        from: At,
        to: At,
    },
    Delete {
        at: At,
    },
    Folder {
        at: At,
    },
    Symlink {
        at: At,
        target: u8,
    },
    Special {
        at: At,
        kind: u8,
    },
    Mode {
        at: At,
        mode: u8,
    },
    Owner {
        at: At,
        owner: u8,
    },
    Mtime {
        at: At,
        mtime: u8,
    },
    Attribute {
        at: At,
        name: u8,
        bytes: usize,
    },
    NoAttribute {
        at: At,
        name: u8,
    },
}

/// What is there before the first step, so that there is something to change.
pub(super) fn begin(root: &Path) {
    for (number, path) in (1..).zip(["a/b/x", "a/y", "b/x", "d", "e", "f"]) {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), noise(number, 700)).unwrap();
    }
    fs::write(root.join("g"), noise(9, LONG_BYTES)).unwrap();
}

pub(super) fn any_step() -> impl Strategy<Value = Step> {
    let at = || any::<At>();
    let bytes = || prop_oneof![8 => 0..5_000_usize, 3 => 60_000..200_000_usize, 1 => LONG_BYTES..2_400_000];
    let few = || 1..3_000_usize;
    prop_oneof![
        6 => (at(), bytes(), any::<u64>()).prop_map(|(at, bytes, seed)| Step::Write { at, bytes, seed }),
        2 => (at(), few(), any::<u64>()).prop_map(|(at, bytes, seed)| Step::Append { at, bytes, seed }),
        2 => (at(), any::<u16>(), few()).prop_map(|(at, place, bytes)| Step::Insert { at, place, bytes }),
        2 => (at(), any::<u16>(), any::<bool>()).prop_map(|(at, place, keeps_mtime)| Step::InPlace { at, place, keeps_mtime }),
        1 => (at(), any::<u16>()).prop_map(|(at, place)| Step::Truncate { at, place }),
        3 => (at(), at()).prop_map(|(from, to)| Step::Rename { from, to }),
        2 => (at(), at()).prop_map(|(from, to)| Step::Copy { from, to }),
        2 => (at(), at()).prop_map(|(from, to)| Step::Link { from, to }),
        1 => at().prop_map(|at| Step::Delete { at }),
        1 => at().prop_map(|at| Step::Folder { at }),
        1 => (at(), any::<u8>()).prop_map(|(at, target)| Step::Symlink { at, target }),
        1 => (at(), any::<u8>()).prop_map(|(at, kind)| Step::Special { at, kind }),
        1 => (at(), any::<u8>()).prop_map(|(at, mode)| Step::Mode { at, mode }),
        1 => (at(), any::<u8>()).prop_map(|(at, owner)| Step::Owner { at, owner }),
        1 => (at(), any::<u8>()).prop_map(|(at, mtime)| Step::Mtime { at, mtime }),
        2 => (at(), any::<u8>(), 0..400_usize).prop_map(|(at, name, bytes)| Step::Attribute { at, name, bytes }),
        1 => (at(), any::<u8>()).prop_map(|(at, name)| Step::NoAttribute { at, name }),
    ]
}

impl Step {
    /// Does it below `root`. True if there is something else now than before.
    pub(super) fn take(&self, root: &Path) -> bool {
        self.try_take(root).is_ok()
    }

    /// Its kind, to be counted.
    pub(super) fn name(&self) -> String {
        format!("{self:?}").split([' ', '{']).next().unwrap_or_default().to_owned()
    }

    fn try_take(&self, root: &Path) -> io::Result<()> {
        let path = |at: At| root.join(pick(&PATHS, at));
        match *self {
            Step::Write { at, bytes, seed } => fs::write(cleared(&path(at))?, noise(seed, bytes)),
            Step::Append { at, bytes, seed } => {
                let before = content(&path(at))?;
                fs::write(path(at), [before, noise(seed, bytes)].concat())
            }
            Step::Insert { at, place, bytes } => {
                let mut whole = content(&path(at))?;
                let place = usize::from(place) * whole.len() / (1 << 16);
                whole.splice(place..place, noise(u64::from(at), bytes));
                fs::write(path(at), whole)
            }
            Step::InPlace { at, place, keeps_mtime } => in_place(&path(at), place, keeps_mtime),
            Step::Truncate { at, place } => {
                let length = content(&path(at))?.len() as u64;
                OpenOptions::new().write(true).open(path(at))?.set_len(u64::from(place) * length / (1 << 16))
            }
            Step::Rename { from, to } => fs::rename(path(from), beside(&path(from), &path(to))?),
            Step::Copy { from, to } => {
                let bytes = content(&path(from))?;
                fs::write(beside(&path(from), &path(to))?, bytes)
            }
            Step::Link { from, to } => {
                fs::symlink_metadata(path(from))
                    .and_then(|meta| if meta.is_dir() { no() } else { Ok(()) })?;
                fs::hard_link(path(from), beside(&path(from), &path(to))?)
            }
            Step::Delete { at } => remove(&path(at)),
            Step::Folder { at } => fs::create_dir(cleared(&path(at))?),
            Step::Symlink { at, target } => symlink(pick(&TARGETS, target), cleared(&path(at))?),
            Step::Special { at, kind } => special(&cleared(&path(at))?, kind),
            Step::Mode { at, mode } => {
                let path = no_link(path(at))?;
                fs::set_permissions(path, fs::Permissions::from_mode(*pick(&MODES, mode)))
            }
            Step::Owner { at, owner } => {
                let (user, group) = *pick(&OWNERS, owner);
                lchown(path(at), Some(user), Some(group))
            }
            Step::Mtime { at, mtime } => {
                let (tv_sec, tv_nsec) = *pick(&MTIMES, mtime);
                set_mtime(&path(at), Timespec { tv_sec, tv_nsec })
            }
            Step::Attribute { at, name, bytes } => {
                let value = noise(7, bytes);
                let path = no_link(path(at))?;
                Ok(lsetxattr(&path, *pick(&ATTRIBUTES[..2], name), &value, XattrFlags::empty())?)
            }
            Step::NoAttribute { at, name } => {
                Ok(lremovexattr(&no_link(path(at))?, *pick(&ATTRIBUTES[..2], name))?)
            }
        }
    }
}

fn pick<T>(all: &[T], index: u8) -> &T {
    &all[usize::from(index) % all.len()]
}

fn no<T>() -> io::Result<T> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Of a regular file.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    if fs::symlink_metadata(path)?.is_file() { fs::read(path) } else { no() }
}

/// Whose mode and attributes are set by name.
fn no_link(path: PathBuf) -> io::Result<PathBuf> {
    if fs::symlink_metadata(&path)?.is_symlink() { no() } else { Ok(path) }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Nothing is there any more, and the folder above is there: no link is one.
fn cleared(path: &Path) -> io::Result<PathBuf> {
    let above = path.parent().unwrap();
    match fs::symlink_metadata(above) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return no(),
        Err(_) => fs::create_dir(cleared(above)?)?,
    }
    let _ = remove(path);
    Ok(path.to_owned())
}

/// As [`cleared`], for something made of `from`, which stays: neither may lie in the other.
fn beside(from: &Path, to: &Path) -> io::Result<PathBuf> {
    fs::symlink_metadata(from)?;
    if from.starts_with(to) || to.starts_with(from) { no() } else { cleared(to) }
}

fn in_place(path: &Path, place: u16, keeps_mtime: bool) -> io::Result<()> {
    let length = content(path)?.len() as u64;
    let meta = fs::symlink_metadata(path)?;
    let at = u64::from(place) * length / (1 << 16);
    if at >= length {
        return no();
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 0x55], at)?;
    if keeps_mtime {
        set_mtime(path, Timespec { tv_sec: meta.mtime(), tv_nsec: meta.mtime_nsec() })?;
    }
    Ok(())
}

fn set_mtime(path: &Path, time: Timespec) -> io::Result<()> {
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn special(path: &Path, kind: u8) -> io::Result<()> {
    let mode = Mode::RUSR | Mode::WGRP;
    match kind % 3 {
        0 => mknodat(CWD, path, FileType::Fifo, mode, 0)?,
        1 => mknodat(CWD, path, FileType::CharacterDevice, mode, makedev(1, 3))?,
        _ => drop(File::create(path)?),
    }
    Ok(())
}

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut numbers = Numbers::new(seed);
    std::iter::repeat_with(|| numbers.draw().to_le_bytes()).flatten().take(bytes).collect()
}
