//! A disk of the benchmark's own: a fresh ext4 with a journal on a loop device.
//!
//! A root file system may have no journal, and then creating files collapses after many were removed, whatever creates them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::Outcome;
use pipeline_tests::machine::target_folder;

use crate::janitor::{Janitor, remove_disk};
use crate::trouble::{Result, Trouble};

/// Length of the image; it is sparse, and holds what is really written.
const BYTES: u64 = 24 << 30;
/// Bytes that may really be written.
const FREE_BYTES_MIN: u64 = 20 << 30;

/// What the disk is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// As mkfs makes it.
    Usual,
    /// Millions of tiny files, which lie in their inodes.
    Many,
}

/// Where our disk is mounted. Root-owned all the way, as a chroot must be.
pub(super) fn folder() -> PathBuf {
    PathBuf::from(format!("/srv/firn-bench-{}", std::process::id()))
}

/// The mounted disk. It is unmounted and removed when dropped, or when we are killed.
pub(crate) struct Disk {
    image: PathBuf,
    folder: PathBuf,
    _janitor: Janitor,
}

impl Disk {
    pub(crate) fn new(purpose: Use) -> Result<Disk> {
        let place = target_folder().join("bench");
        std::fs::create_dir_all(&place)?;
        enough_room(&place)?;
        let tag = std::process::id();
        let image = place.join(format!("disk-{tag}.ext4"));
        let folder = folder();
        std::fs::create_dir(&folder)?;
        let disk = Disk { _janitor: Janitor::hire(&folder, Some(&image))?, image, folder };
        File::create(&disk.image)?.set_len(BYTES)?;
        let mut mkfs = Command::new("mkfs.ext4");
        mkfs.args(["-q", "-F", "-O", "has_journal", "-E", "lazy_itable_init=0,lazy_journal_init=0"]);
        if purpose == Use::Many {
            mkfs.args(["-i", "4096", "-I", "256", "-O", "inline_data"]);
        }
        run(mkfs.arg(&disk.image))?;
        let attach =
            |direct: &str| run(Command::new("losetup").args(["--find", "--show", direct]).arg(&disk.image));
        // Direct: what is written is not kept in memory twice.
        let device = attach("--direct-io=on").or_else(|_| attach("--direct-io=off"))?;
        let mut mount = Command::new("mount");
        run(mount.args(["-t", "ext4", "-o", "noatime", device.trim()]).arg(&disk.folder))?;
        Ok(disk)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes all that is still in memory, so that nobody pays for what another left.
    pub(crate) fn flush(&self) -> Result<()> {
        run(Command::new("sync").arg("--file-system").arg(&self.folder)).map(drop)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        remove_disk(&self.folder, &self.image);
    }
}

fn enough_room(place: &Path) -> Result<()> {
    let mut command = Command::new("df");
    let said = run(command.args(["--output=avail", "--block-size=1"]).arg(place))?;
    let free = said.lines().last().and_then(|line| line.trim().parse::<u64>().ok()).unwrap_or_default();
    if free < FREE_BYTES_MIN {
        let text = format!(
            "{} has {} free; the benchmark may need {}",
            place.display(),
            crate::table::bytes(free),
            crate::table::bytes(FREE_BYTES_MIN)
        );
        return Err(Trouble::new(text));
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<String> {
    Ok(Outcome::of(command)?.expect_code(&[0])?.stdout)
}
