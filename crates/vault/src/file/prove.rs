//! Tries to break the lock of a canary by the means of a file system. What has the immutable flag is tried for real; what has not would be gone.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use formats::ContentHash;
use rustix::fs::{AtFlags, Mode, OFlags, chmodat, renameat, unlinkat};
use rustix::io::Errno;

use super::tree::{self, Chain, folder_of};
use super::{FileVault, LOCKS, OBJECTS, UNFINISHED, flag, locks};
use crate::{Lock, Outcome, Probe, Result, VaultError};

/// What is put over the canary.
const TEMPORARY: &str = "probe";
const NO_FLAG: &str = "whoever may write to the folder can; the immutable flag would stand against it";
const OWN_FLAG: &str = "who set the flag can: whoever has CAP_LINUX_IMMUTABLE";
/// Longest canary.
const CANARY_BYTES_MAX: u64 = 64 * 1024;

/// A file under attack: its folder and its name there.
struct Target<'a> {
    folder: &'a OwnedFd,
    name: &'a str,
    /// A folder to put something over it from.
    unfinished: &'a OwnedFd,
}

type Attempt = fn(&Target<'_>) -> io::Result<()>;

/// On the object, and on the lock file.
const ATTEMPTS: [(&str, &str, Attempt); 7] = [
    ("write to the object", "write to the lock file", |on| open(on, OFlags::WRONLY)?.write_all(b"")),
    ("append to the object", "append to the lock file", |on| {
        open(on, OFlags::WRONLY | OFlags::APPEND)?.write_all(b"x")
    }),
    ("truncate the object", "truncate the lock file", |on| {
        open(on, OFlags::WRONLY | OFlags::TRUNC).map(drop)
    }),
    ("change the mode of the object", "change the mode of the lock file", |on| {
        Ok(chmodat(on.folder, on.name, Mode::RUSR | Mode::WUSR, AtFlags::empty())?)
    }),
    ("rename the object", "rename the lock file", |on| {
        Ok(renameat(on.folder, on.name, on.unfinished, TEMPORARY)?)
    }),
    ("rename something over the object", "rename something over the lock file", over),
    ("remove the object", "remove the lock file", |on| Ok(unlinkat(on.folder, on.name, AtFlags::empty())?)),
];

fn open(on: &Target<'_>, flags: OFlags) -> io::Result<File> {
    Ok(File::from(tree::open(on.folder, on.name, flags, 0)?))
}

fn over(on: &Target<'_>) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    super::store::clear(on.unfinished, TEMPORARY)?;
    drop(tree::open(on.unfinished, TEMPORARY, flags, 0o400)?);
    let done = renameat(on.unfinished, TEMPORARY, on.folder, on.name);
    super::store::clear(on.unfinished, TEMPORARY)?;
    Ok(done?)
}

pub(super) fn prove(vault: &FileVault, canary: &Lock) -> Result<Vec<Probe>> {
    let name = &canary.object;
    let _alone = vault.alone()?;
    let failed = || VaultError::failed("probe", name.as_str());
    if let Some(why) = broken(vault, canary)? {
        return Err(VaultError::LockMissing { object: name.clone(), why });
    }
    let (_, last) = name.split();
    let lock_name = format!("{last}.json");
    let unfinished = Chain::make(&vault.root, UNFINISHED).map_err(failed())?;
    let unfinished = unfinished.leaf(&vault.root);
    let mut probes = Vec::new();
    for (top, file) in [(OBJECTS, last), (LOCKS, lock_name.as_str())] {
        let chain = Chain::open(&vault.root, &folder_of(top, name)).map_err(failed())?;
        let on = Target { folder: chain.leaf(&vault.root), name: file, unfinished };
        let has_flag = open(&on, OFlags::RDONLY).map(|file| flag::is_set(&file)).map_err(failed())?;
        for (object, lock, attempt) in ATTEMPTS {
            let call = if top == OBJECTS { object } else { lock };
            let outcome =
                if has_flag { outcome(attempt(&on)) } else { Outcome::ByAgreement { why: NO_FLAG } };
            probes.push(Probe { call, outcome });
        }
        if has_flag {
            let call = if top == OBJECTS {
                "take the flag off the object"
            } else {
                "take the flag off the lock file"
            };
            probes.push(Probe { call, outcome: Outcome::ByAgreement { why: OWN_FLAG } });
        }
    }
    let outcome = match broken(vault, canary)? {
        None => Outcome::Refused { by: "its bytes and its lock were read back unchanged".to_owned() },
        Some(what) => Outcome::Done { what: what.to_owned() },
    };
    probes.push(Probe { call: "all of these, whatever was answered", outcome });
    Ok(probes)
}

fn outcome(answer: io::Result<()>) -> Outcome {
    match answer {
        Ok(()) => Outcome::Done { what: "the file system let it".to_owned() },
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::PERM | Errno::ACCESS | Errno::ROFS) => Outcome::Refused { by: error.to_string() },
            Some(Errno::NOENT) => Outcome::NotApplicable { why: "there is nothing to do it to".to_owned() },
            _ => Outcome::Unclear { why: error.to_string() },
        },
    }
}

/// In which way the canary is not what it was.
fn broken(vault: &FileVault, canary: &Lock) -> Result<Option<&'static str>> {
    let name = &canary.object;
    match locks::read(vault, name) {
        Ok(found) if found.retain_until < canary.retain_until => {
            return Ok(Some("the canary's lock is shorter"));
        }
        Ok(_) => {}
        Err(VaultError::Missing { .. }) => return Ok(Some("the canary is gone")),
        Err(VaultError::LockMissing { .. }) => return Ok(Some("the canary has lost its lock")),
        Err(error) => return Err(error),
    }
    let mut bytes = Vec::new();
    let read = vault.open_object(name)?.take(CANARY_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(VaultError::failed("read back", name.as_str()))?;
    Ok((ContentHash::of(&bytes) != canary.hash).then_some("the canary's bytes are others"))
}
