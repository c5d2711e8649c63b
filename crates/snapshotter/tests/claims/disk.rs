//! A file system of a test's own, in a file.

use std::path::PathBuf;
use std::process::Command;

use crate::world::is_root;

/// Unmounted when dropped.
pub(crate) struct Disk {
    _folder: tempfile::TempDir,
    pub(crate) mounted: PathBuf,
}

impl Disk {
    /// Made by this program, which is told these words; none, and why, where it cannot be.
    pub(crate) fn new(kind: &str, words: &[&str]) -> Result<Self, String> {
        if !is_root() {
            return Err("only root mounts".to_owned());
        }
        let folder = tempfile::tempdir().unwrap();
        let (image, mounted) = (folder.path().join("image"), folder.path().join("mounted"));
        std::fs::File::create(&image).unwrap().set_len(400 << 20).unwrap();
        std::fs::create_dir(&mounted).unwrap();
        // The account that the program changes to must get through.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        if !done(Command::new(format!("mkfs.{kind}")).arg("-q").args(words).arg(&image)) {
            return Err(format!("there is no mkfs.{kind}"));
        }
        if !done(Command::new("mount").args(["-t", kind, "-o", "loop"]).arg(&image).arg(&mounted)) {
            return Err(format!("{kind} cannot be mounted here"));
        }
        Ok(Self { _folder: folder, mounted })
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        assert!(done(Command::new("sync").arg("--file-system").arg(&self.mounted)));
        let stat = rustix::fs::statvfs(&self.mounted).unwrap();
        (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        done(Command::new("umount").arg(&self.mounted));
    }
}

fn done(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
