//! A scratch folder, held.

use std::path::{Path, PathBuf};
use std::process::Command;

use durable::{Dir, Name};

pub(crate) struct Scratch {
    pub(crate) dir: Dir,
    folder: tempfile::TempDir,
}

pub(crate) fn scratch() -> Scratch {
    // Beside the build, on a disk: /tmp may be a tmpfs, which has no limit on links and nothing to fsync.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    Scratch { dir: Dir::open_root(folder.path()).unwrap(), folder }
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn at(&self, relative: &str) -> PathBuf {
        self.path().join(relative)
    }
}

pub(crate) fn name(text: &str) -> Name<'_> {
    Name::new(text.as_bytes()).unwrap()
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A tmpfs that is unmounted in the end; `None` where mounting is not allowed.
pub(crate) struct Mounted(PathBuf);

pub(crate) fn mount_tmpfs(at: &Path, bytes: u64) -> Option<Mounted> {
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "firn-test"])
        .arg(at)
        .output();
    mount.is_ok_and(|done| done.status.success()).then(|| Mounted(at.to_owned()))
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()), "left mounted: {}", self.0.display());
    }
}
