//! The folder in which nothing is good yet: ciphertext, images and manifests lie here until they are checked, and are removed at the end.
//!
//! One run at a time holds it. What a killed run left is removed by the next.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use cli::{Exit, Failed, Failure, Monitor, shown};
use durable::{Dir, Lock, Name, Stat};

const LOCK: Name<'static> = Name::literal("lock");
/// What the name of a run's folder begins with.
const RUN: &str = "run-";

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
        let run_name = format!("{RUN}{}", std::process::id());
        let run = folder.make_dir(Name::new(run_name.as_bytes())?, 0o700)?;
        Ok(Quarantine { folder, run, run_name, monitor, _lock: lock })
    }

    /// Fails if less than `needed` bytes are free.
    pub(crate) fn require(&self, needed: u64) -> Result<(), QuarantineError> {
        let free = self.run.free_bytes()?;
        if needed > free { Err(QuarantineError::NoRoom { needed, free }) } else { Ok(()) }
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
