//! Storing one object, in an order that a power cut may break anywhere:
//!
//! 1. the bytes into a file in `unfinished/`, hashed on the way, compared with what was announced, brought to the disk;
//! 2. the lock under its name;
//! 3. the object under its name, which must be free; all folders up to the root brought to the disk;
//! 4. the immutable flag for both, where it is wanted. A put that was killed before this has it set when its lock is extended.
//!
//! So an object is never seen without its lock. A lock without an object means a put that was cut short; the next put of that name replaces it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use chrono::{DateTime, Utc};
use formats::ContentHash;
use rustix::fs::{AtFlags, OFlags, RenameFlags, fsync, renameat_with, statat, unlinkat};
use rustix::io::Errno;

use super::tree::{self, Chain, folder_of};
use super::{FileVault, OBJECTS, UNFINISHED, flag, locks};
use crate::stamp::rounded_up;
use crate::{Content, Lock, ObjectName, Result, VaultError};

/// The object being written. One name is enough: one writer at a time.
const TEMPORARY: &str = "object";
const BUFFER_BYTES: usize = 256 * 1024;

pub(super) fn put(
    vault: &FileVault,
    name: &ObjectName,
    content: Content<'_>,
    retain_until: DateTime<Utc>,
) -> Result<Lock> {
    let _alone = vault.alone()?;
    refuse_existing(vault, name)?;
    let now = Utc::now();
    let retain_until = rounded_up(retain_until);
    if retain_until <= now {
        let why = "that date has passed";
        return Err(VaultError::LockRefused { object: name.clone(), asked: retain_until, why });
    }
    let unfinished =
        Chain::make(&vault.root, UNFINISHED).map_err(VaultError::failed("make the folder", UNFINISHED))?;
    let unfinished = unfinished.leaf(&vault.root);
    let (bytes, hash) = (content.bytes, content.hash);
    let placed = receive(unfinished, name, content).and_then(|()| {
        let lock = Lock { object: name.clone(), version: None, bytes, hash, stored: now, retain_until };
        locks::write(vault, &lock)?;
        place(vault, unfinished, name)
    });
    if placed.is_err() {
        // Best effort: the first error is the one to tell, and the next put clears this away.
        let _ = clear(unfinished, TEMPORARY);
    }
    placed?;
    flag::protect(vault, name)?;
    locks::read(vault, name)
}

fn refuse_existing(vault: &FileVault, name: &ObjectName) -> Result<()> {
    match tree::open(&vault.root, &format!("{OBJECTS}/{name}"), OFlags::PATH, 0) {
        Ok(_) => Err(VaultError::Exists { object: name.clone() }),
        Err(error) if tree::is_absent(&error) => Ok(()),
        Err(error) => Err(VaultError::failed("look for", name.as_str())(error)),
    }
}

/// Removes a file in `unfinished/`, if it is there.
pub(super) fn clear(unfinished: &OwnedFd, name: &str) -> io::Result<()> {
    match unlinkat(unfinished, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes what puts that were cut short before `before` left in `unfinished/`.
pub(super) fn clear_stale(vault: &FileVault, before: DateTime<Utc>) -> Result<u64> {
    let _alone = vault.alone()?;
    let failed = || VaultError::failed("clear", UNFINISHED);
    let folder = match tree::open(&vault.root, UNFINISHED, tree::FOLDER, 0) {
        Ok(folder) => folder,
        Err(error) if tree::is_absent(&error) => return Ok(0),
        Err(error) => return Err(failed()(error)),
    };
    let mut cleared = 0;
    for name in [TEMPORARY, locks::TEMPORARY] {
        let stale = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat.st_mtime < before.timestamp(),
            Err(Errno::NOENT) => false,
            Err(errno) => return Err(failed()(errno.into())),
        };
        if stale {
            clear(&folder, name).map_err(failed())?;
            cleared += 1;
        }
    }
    Ok(cleared)
}

/// Step 1.
fn receive(unfinished: &OwnedFd, name: &ObjectName, content: Content<'_>) -> Result<()> {
    let failed = || VaultError::failed("write", name.as_str());
    let wrong = |what, source| VaultError::Content { object: name.clone(), what, source };
    clear(unfinished, TEMPORARY).map_err(failed())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut file = File::from(tree::open(unfinished, TEMPORARY, flags, 0o400).map_err(failed())?);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut rest = content.bytes;
    loop {
        let read = match content.reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(wrong("the bytes to be stored could not be read", Some(error))),
        };
        let piece = buffer.get(..read).unwrap_or_default();
        rest = rest
            .checked_sub(read as u64)
            .ok_or_else(|| wrong("there are more bytes to be stored than announced", None))?;
        hasher.update(piece);
        file.write_all(piece).map_err(failed())?;
    }
    if rest > 0 {
        return Err(wrong("there are fewer bytes to be stored than announced", None));
    }
    if ContentHash::from_bytes(*hasher.finalize().as_bytes()) != content.hash {
        return Err(wrong("the bytes to be stored do not have the hash announced", None));
    }
    fsync(&file).map_err(|errno| failed()(errno.into()))
}

/// Step 3.
fn place(vault: &FileVault, unfinished: &OwnedFd, name: &ObjectName) -> Result<()> {
    let failed = || VaultError::failed("store", name.as_str());
    let (_, last) = name.split();
    let chain = Chain::make(&vault.root, &folder_of(OBJECTS, name)).map_err(failed())?;
    match renameat_with(unfinished, TEMPORARY, chain.leaf(&vault.root), last, RenameFlags::NOREPLACE) {
        Ok(()) => chain.sync(&vault.root).map_err(failed()),
        Err(Errno::EXIST) => Err(VaultError::Exists { object: name.clone() }),
        Err(errno) => Err(failed()(errno.into())),
    }
}
