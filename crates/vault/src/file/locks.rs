//! The lock files beside the objects.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};

use chrono::{DateTime, Utc};
use formats::records::Record;
use formats::records::lock::LockRecord;
use rustix::fs::{OFlags, fsync, renameat};

use super::tree::{self, Chain, folder_of};
use super::{FileVault, LOCKS, OBJECTS, UNFINISHED, flag};
use crate::stamp::{parse_utc, rounded_up, utc_text};
use crate::{Immutable, Lock, ObjectName, Result, VaultError};

/// The lock being written. One name is enough: one writer at a time.
pub(super) const TEMPORARY: &str = "lock";

/// Reads the lock of an object, and compares it with the object's name and length.
pub(super) fn read(vault: &FileVault, name: &ObjectName) -> Result<Lock> {
    let object = vault.open_object(name)?;
    let bytes = object.metadata().map_err(VaultError::failed("look at", name.as_str()))?.len();
    let missing = |why| VaultError::LockMissing { object: name.clone(), why };
    let path = format!("{LOCKS}/{name}.json");
    let file = vault.open_regular(&path)?.ok_or_else(|| missing("there is no lock file"))?;
    let mut line = Vec::new();
    let limit = LockRecord::LONGEST_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut line).map_err(VaultError::failed("read", &path))?;
    let record = LockRecord::from_line(&line).map_err(|_| missing("its lock file is damaged"))?;
    let (Some(stored), Some(retain_until)) = (parse_utc(&record.stored), parse_utc(&record.retain_until))
    else {
        return Err(missing("its lock file is damaged"));
    };
    if record.object != name.as_str() || record.bytes != bytes {
        return Err(missing("its lock file is about another object"));
    }
    Ok(Lock { object: name.clone(), version: None, bytes, hash: record.hash, stored, retain_until })
}

/// As [`read`], once the names of lock and object are on the disk: whoever gave them may have been killed before that, and what is
/// told here is believed.
pub(super) fn lasting(vault: &FileVault, name: &ObjectName) -> Result<Lock> {
    let lock = read(vault, name)?;
    if vault.immutable == Immutable::Required {
        flag::protect(vault, name)?;
    }
    for top in [LOCKS, OBJECTS] {
        match Chain::open(&vault.root, &folder_of(top, name)).and_then(|chain| chain.sync(&vault.root)) {
            // A file system that is only read, as of a disc, has nothing to bring to the disk, and may say so.
            Err(error) if matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::InvalidInput) => {
            }
            answer => answer.map_err(VaultError::failed("bring to disk the name of", name.as_str()))?,
        }
    }
    Ok(lock)
}

/// Moves the lock of an object to a later date.
pub(super) fn extend(vault: &FileVault, name: &ObjectName, retain_until: DateTime<Utc>) -> Result<Lock> {
    let retain_until = rounded_up(retain_until);
    let _alone = vault.alone()?;
    let mut lock = read(vault, name)?;
    if retain_until < lock.retain_until {
        let why = "it is locked for longer";
        return Err(VaultError::LockRefused { object: name.clone(), asked: retain_until, why });
    }
    if retain_until > lock.retain_until {
        lock.retain_until = retain_until;
        write(vault, &lock)?;
    }
    flag::protect(vault, name)?;
    lasting(vault, name)
}

/// Writes a lock whole: a new file, brought to the disk, renamed over the old one. The caller is the only writer.
pub(super) fn write(vault: &FileVault, lock: &Lock) -> Result<()> {
    let record = LockRecord {
        format: LockRecord::format(),
        object: lock.object.to_string(),
        bytes: lock.bytes,
        hash: lock.hash,
        stored: utc_text(&lock.stored),
        retain_until: utc_text(&lock.retain_until),
    };
    let place = || -> std::io::Result<()> {
        let line = record.to_line().map_err(std::io::Error::other)?;
        let unfinished = Chain::make(&vault.root, UNFINISHED)?;
        let temporary = unfinished.leaf(&vault.root);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        super::store::clear(temporary, TEMPORARY)?;
        let mut file = File::from(tree::open(temporary, TEMPORARY, flags, 0o400)?);
        file.write_all(&line)?;
        fsync(&file)?;
        let (_, last) = lock.object.split();
        let chain = Chain::make(&vault.root, &folder_of(LOCKS, &lock.object))?;
        let last = format!("{last}.json");
        match tree::open(chain.leaf(&vault.root), &last, OFlags::RDONLY | OFlags::NONBLOCK, 0) {
            Ok(old) => flag::lift(&File::from(old))?,
            Err(error) if tree::is_absent(&error) => {}
            Err(error) => return Err(error),
        }
        renameat(temporary, TEMPORARY, chain.leaf(&vault.root), &last)?;
        chain.sync(&vault.root)
    };
    place().map_err(VaultError::failed("write the lock of", lock.object.as_str()))
}
