//! The immutable flag (`chattr +i`): while a file has it, nobody can write, rename or remove it, root neither. Who has CAP_LINUX_IMMUTABLE sets it, and can
//! take it off again.

use std::fs::File;
use std::io;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

use super::{FileVault, LOCKS};
use crate::{Immutable, ObjectName, Result, VaultError};

/// What came of setting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Done,
    /// This process or this file system cannot.
    Impossible,
}

/// Whether a file has it; a file system that does not know it gives it to none.
pub(super) fn is_set(file: &File) -> bool {
    ioctl_getflags(file).is_ok_and(|flags| flags.contains(IFlags::IMMUTABLE))
}

fn set(file: &File) -> io::Result<Set> {
    let done = ioctl_getflags(file).and_then(|flags| match flags.contains(IFlags::IMMUTABLE) {
        true => Ok(()),
        false => ioctl_setflags(file, flags | IFlags::IMMUTABLE),
    });
    match done {
        Ok(()) => Ok(Set::Done),
        Err(
            Errno::PERM
            | Errno::ACCESS
            | Errno::NOTTY
            | Errno::OPNOTSUPP
            | Errno::NOSYS
            | Errno::INVAL
            | Errno::ROFS,
        ) => Ok(Set::Impossible),
        Err(errno) => Err(errno.into()),
    }
}

/// Takes it off a lock file that is about to be replaced.
pub(super) fn lift(file: &File) -> io::Result<()> {
    if is_set(file) {
        let flags = ioctl_getflags(file)?;
        ioctl_setflags(file, flags - IFlags::IMMUTABLE)?;
    }
    Ok(())
}

/// Gives it to an object and its lock, as far as the vault's settings ask for it.
pub(super) fn protect(vault: &FileVault, name: &ObjectName) -> Result<()> {
    if vault.immutable == Immutable::Never {
        return Ok(());
    }
    let failed = || VaultError::failed("make immutable", name.as_str());
    let missing = |why| VaultError::LockMissing { object: name.clone(), why };
    let object = vault.open_object(name)?;
    let lock = vault.open_regular(&format!("{LOCKS}/{name}.json"))?;
    let lock = lock.ok_or_else(|| missing("there is no lock file"))?;
    let both = [set(&object).map_err(failed())?, set(&lock).map_err(failed())?];
    if vault.immutable == Immutable::Required && both.contains(&Set::Impossible) {
        return Err(missing(
            "it cannot be made immutable, by this process or on this file system, and the settings require it",
        ));
    }
    Ok(())
}
