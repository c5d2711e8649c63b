//! A file system in an image. Needs a mount namespace of its own: whatever happens, all ends with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pipeline_tests::Outcome;

use super::super::ground::{Ground, Work, shell};

/// XFS is made no smaller.
const IMAGE_BYTES: u64 = 320 << 20;
/// For the last process to leave a file system.
const LEAVE_MAX: Duration = Duration::from_secs(20);
/// Of a server, what lies on the disk.
const PARTS: [&str; 4] = ["jails", "history", "signing", "views"];

pub(super) const KINDS: [Kind; 3] = [Kind::Ext4, Kind::Xfs, Kind::Btrfs];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ext4,
    Xfs,
    Btrfs,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Ext4 => "ext4",
            Kind::Xfs => "xfs",
            Kind::Btrfs => "btrfs",
        }
    }
}

/// What happens right before the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Alone,
    /// Somebody else has brought his own file to the disk.
    AfterAStranger,
}

/// Images of one kind, one for each moment that work begins at.
pub(super) struct Disk {
    pub(super) kind: Kind,
    images: PathBuf,
    server: PathBuf,
}

/// Mounted in place of the server's folders.
pub(super) struct Mounted<'a> {
    disk: &'a Disk,
}

/// The first kind that cannot be mounted here.
pub(super) fn lacking() -> Option<String> {
    let there = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let has = |name: &str| there.lines().any(|line| line.split_whitespace().last() == Some(name));
    if !Path::new("/dev/loop-control").exists() {
        return Some("anything".to_owned());
    }
    KINDS.iter().find(|kind| !has(kind.name())).map(|kind| kind.name().to_owned())
}

impl Disk {
    pub(super) fn new(kind: Kind, ground: &Ground) -> Disk {
        let server = ground.server.scratch.folder.clone();
        let (images, at) = (server.join("images"), server.join("disk"));
        if !images.exists() {
            fs::create_dir(&images).unwrap();
            fs::create_dir(&at).unwrap();
            // Writing is quick in memory, and what is not flushed is not there all the same.
            shell(&server, "mount -t tmpfs -o mode=700,size=4g images images", &[]);
        }
        let disk = Disk { kind, images, server };
        for work in [Work::Receive, Work::Ingest, Work::Repair] {
            let image = disk.image(work);
            File::create(&image).unwrap().set_len(IMAGE_BYTES).unwrap();
            shell(
                &disk.images,
                &format!("mkfs.{} -q \"$1\" && mount -o loop \"$1\" ../disk", kind.name()),
                &[&image],
            );
            ground.lay(work, &at);
            shell(&disk.server, "umount disk", &[]);
        }
        disk
    }

    fn image(&self, work: Work) -> PathBuf {
        let moment = work.moment();
        self.images.join(format!("{}-{moment}", self.kind.name()))
    }

    /// As it was before this work.
    pub(super) fn mount(&mut self, work: Work) -> Mounted<'_> {
        shell(&self.images, "cp --sparse=always \"$1\" now", &[&self.image(work)]);
        Mounted::of(self)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The last of them finds nothing any more. What is mounted when a test fails goes with its namespace.
        for part in PARTS.into_iter().chain(["disk", "images"]) {
            let _ = Outcome::of(Command::new("umount").arg("--lazy").arg(self.server.join(part)));
        }
    }
}

impl<'a> Mounted<'a> {
    fn of(disk: &'a Disk) -> Mounted<'a> {
        let binds = PARTS.map(|part| format!("mount --bind disk/{part} {part}")).join(" && ");
        shell(&disk.server, &format!("mount -o loop images/now disk && {binds}"), &[]);
        Mounted { disk }
    }

    /// Names and lengths of all that is there.
    pub(super) fn listing(&self) -> String {
        let mut command = Command::new("find");
        command.args(PARTS).args(["-printf", "%p %s\n"]).current_dir(self.disk.server.join("disk"));
        let found = Outcome::of(&mut command).unwrap().expect_code(&[0]).unwrap().stdout;
        let mut lines: Vec<&str> = found.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// The power goes, and comes back.
    pub(super) fn cut(self, how: Cut) -> Mounted<'a> {
        let disk = self.disk;
        if how == Cut::AfterAStranger {
            let file = File::create(disk.server.join("disk/stranger")).unwrap();
            file.sync_all().unwrap();
        }
        match disk.kind {
            // Nothing comes to the disk any more, not even what waits in its log.
            Kind::Ext4 | Kind::Xfs => shell(&disk.server, "xfs_io -x -c shutdown disk", &[]),
            // It cannot be told to; what has come to the disk by now is in the image. Its first block names the rest, and comes first.
            Kind::Btrfs => shell(&disk.images, "cp --sparse=always now then", &[]),
        }
        self.leave();
        if disk.kind == Kind::Btrfs {
            fs::rename(disk.images.join("then"), disk.images.join("now")).unwrap();
        }
        Mounted::of(disk)
    }

    pub(super) fn end(self) {
        self.leave();
    }

    fn leave(&self) {
        let until = Instant::now() + LEAVE_MAX;
        for part in PARTS.into_iter().chain(["disk"]) {
            let folder = self.disk.server.join(part);
            // The last process may still be on its way out.
            while Outcome::of(Command::new("umount").arg(&folder)).unwrap().code != 0 {
                assert!(Instant::now() < until, "{} is still in use", folder.display());
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}
