//! The folder in which nothing is good yet: ciphertext, images and manifests lie here until they are checked, and are removed at the end; only
//! an image that is not whole may be [`kept`].
//!
//! One run at a time holds it. What a killed run left is removed by the next, or gone on with.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use cli::{Exit, Failed, Failure, Monitor, shown};
use durable::{Dir, Lock, Name, Stat};

use crate::kept::{self, ImageName};

const LOCK: Name<'static> = Name::literal("lock");
/// What the name of a run's folder begins with.
const RUN: &str = "run-";

/// Failures that say nothing about the image: this machine's, the vault's, and a wrong path.
const MAY_PASS: [Exit; 5] =
    [Exit::MACHINE, Exit::VAULT_UNREACHABLE, Exit::FROZEN, Exit::VAULT_DENIED, Exit::NOTHING];

/// Why the quarantine cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QuarantineError {
    #[error("{}: failed to make the quarantine", shown(.path.as_os_str().as_encoded_bytes()))]
    Make { path: PathBuf, source: std::io::Error },
    #[error("the quarantine")]
    Folder(#[from] durable::Error),
    #[error("{}: others may enter the quarantine (mode {mode:04o})", shown(.path.as_os_str().as_encoded_bytes()))]
    Open { path: PathBuf, mode: u32 },
    #[error("{}: another run works in this quarantine", shown(.path.as_os_str().as_encoded_bytes()))]
    Busy { path: PathBuf },
    #[error("the image needs {needed} bytes in the quarantine, and {free} are free")]
    NoRoom { needed: u64, free: u64 },
}

impl Failure for QuarantineError {
    fn exit(&self) -> Exit {
        Exit::MACHINE
    }

    fn advice(&self) -> Option<String> {
        match self {
            QuarantineError::Open { path, .. } => {
                Some(format!("chmod 0700 {}", shown(path.as_os_str().as_encoded_bytes())))
            }
            QuarantineError::Busy { .. } => {
                Some("wait for it, or name another folder in the settings".to_owned())
            }
            _ => None,
        }
    }
}

/// A held quarantine, with a folder of its own for this run. Dropping it removes that folder.
pub(crate) struct Quarantine {
    folder: Dir,
    run: Dir,
    run_name: String,
    monitor: Box<dyn Monitor>,
    _lock: Lock,
}

impl Quarantine {
    /// Takes the quarantine in `path`, which is made if it is not there, and removes what a killed run left.
    pub(crate) fn enter(path: &Path, monitor: Box<dyn Monitor>) -> Result<Quarantine, QuarantineError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| QuarantineError::Make { path: path.to_owned(), source })?;
        let folder = Dir::open_root(path)?;
        let mode = Stat::of(&folder)?.mode;
        if mode & 0o077 != 0 {
            return Err(QuarantineError::Open { path: path.to_owned(), mode });
        }
        let Some(lock) = folder.try_lock(LOCK)? else {
            return Err(QuarantineError::Busy { path: path.to_owned() });
        };
        for left in folder.names()?.iter().filter(|name| name.starts_with(RUN.as_bytes())) {
            monitor.info("removing what a killed run left in the quarantine");
            folder.remove_tree(Name::new(left)?)?;
        }
        kept::remove_old(&folder)?;
        let run_name = format!("{RUN}{}", std::process::id());
        let run = folder.make_dir(Name::new(run_name.as_bytes())?, 0o700)?;
        Ok(Quarantine { folder, run, run_name, monitor, _lock: lock })
    }

    /// Fails if less than `needed` bytes are free for an image of which some may be here. Other images make room for it.
    pub(crate) fn require(&self, needed: u64, image: &ImageName) -> Result<(), QuarantineError> {
        let needed = needed.saturating_sub(kept::bytes(&self.folder, image)?);
        if needed > self.run.free_bytes()? {
            kept::remove_others(&self.folder, image)?;
        }
        let free = self.run.free_bytes()?;
        if needed > free { Err(QuarantineError::NoRoom { needed, free }) } else { Ok(()) }
    }

    /// The image, as far as an earlier run brought it: what is in it is unchecked.
    pub(crate) fn image(&self, image: &ImageName) -> Result<File, QuarantineError> {
        Ok(kept::open(&self.folder, image)?)
    }

    /// Removes all images that earlier runs left.
    pub(crate) fn forget_images(&self) -> Result<(), QuarantineError> {
        Ok(kept::remove_all(&self.folder)?)
    }

    /// Ends the run. Its images stay if it failed for a reason that may pass; how much stays is said.
    pub(crate) fn close(self, images: &[ImageName], failed: Option<Exit>) -> Result<(), QuarantineError> {
        let may_pass = failed.is_some_and(|exit| MAY_PASS.contains(&exit));
        for image in images {
            match kept::bytes(&self.folder, image)? {
                0 => kept::forget(&self.folder, image)?,
                bytes if may_pass => self.monitor.warn(&format!(
                    "{bytes} bytes of the image stay decrypted in the quarantine for a week: the same command goes on there, --anew removes them"
                )),
                _ => kept::forget(&self.folder, image)?,
            }
        }
        Ok(())
    }

    /// A new file that only this run sees.
    pub(crate) fn create(&self, name: &str) -> Result<File, QuarantineError> {
        Ok(self.run.create_new(Name::new(name.as_bytes())?, 0o600)?)
    }

    /// Removes one of its files.
    pub(crate) fn remove(&self, name: &str) -> Result<(), QuarantineError> {
        Ok(self.run.unlink(Name::new(name.as_bytes())?)?)
    }
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        let removed = Name::new(self.run_name.as_bytes()).and_then(|name| self.folder.remove_tree(name));
        if let Err(error) = removed {
            // The next run tries again.
            self.monitor.warn(&Failed::from(QuarantineError::from(error)).chain());
        }
    }
}
