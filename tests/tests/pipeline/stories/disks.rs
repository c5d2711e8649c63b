//! Full disks on the server.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::{Options, Outcome};

use super::world::{ACCEPTED, NO_ROOM, World, expect, noise};
use crate::rig;

/// A small ext4 of its own, unmounted in the end: whatever uses it must have ended before.
struct Disk {
    folder: tempfile::TempDir,
    at: PathBuf,
}

impl Disk {
    fn new(mebibytes: u64) -> Option<Disk> {
        let folder = tempfile::Builder::new().prefix("firn-disk-").tempdir_in("/srv").ok()?;
        let image = folder.path().join("image");
        fs::File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        let at = folder.path().join("disk");
        fs::create_dir(&at).unwrap();
        let run = |command: &mut Command| Outcome::of(command).is_ok_and(|outcome| outcome.code == 0);
        let made = run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image))
            && run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at));
        made.then_some(Disk { folder, at })
    }

    /// Fills it until so many bytes are free.
    fn fill(&self, left_bytes: u64) {
        let free = rustix::fs::statvfs(&self.at).unwrap();
        // The file's own map takes blocks too: less in one piece, the last of it byte by byte.
        let length = (free.f_bavail * free.f_frsize).saturating_sub(left_bytes + (1 << 20));
        let mut file = fs::File::create(self.ballast()).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, length).unwrap();
        if left_bytes == 0 {
            file.seek(SeekFrom::End(0)).unwrap();
            while file.write_all(&[1; 4096]).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted =
            Outcome::of(Command::new("umount").arg(&self.at)).is_ok_and(|outcome| outcome.code == 0);
        // Emptied as a plain folder, it would leave the mount behind.
        self.folder.disable_cleanup(!unmounted);
        assert!(unmounted || std::thread::panicking(), "{} is still in use", self.at.display());
    }
}

/// A world on a disk of its own, which outlives it; the source lies on another.
fn on_disk(test: &str, limits: &str) -> Option<(Disk, World)> {
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &["mkfs.ext4", "mount"]) {
        return None;
    }
    let Some(disk) = Disk::new(400) else {
        rig::skipped(test, "cannot mount a loop device");
        return None;
    };
    let options = Options { parent: Some(disk.at.clone()), limits: limits.to_owned(), ..Options::default() };
    let world = World::with(&options);
    Some((disk, world))
}

fn sealed_bytes(world: &World) -> Vec<Vec<u8>> {
    world.host.queued().unwrap().iter().map(|path: &PathBuf| fs::read(path as &Path).unwrap()).collect()
}

#[test]
fn a_disk_below_its_reserve_refuses_pushes_and_takes_them_again_later() {
    let test = "a_disk_below_its_reserve_refuses_pushes_and_takes_them_again_later";
    let Some((disk, world)) = on_disk(test, "free_bytes = 33554432\n") else { return };
    world.sealed();
    let before = sealed_bytes(&world);
    world.write("etc/motd", b"changed\n");
    disk.fill(16 << 20);
    let refused = expect(world.push(), NO_ROOM);
    assert!(refused.stderr.contains("room") || refused.stderr.contains("space"), "{}", refused.said());
    assert_eq!(sealed_bytes(&world), before);
    disk.empty();
    world.sealed();
    world.ingest(ACCEPTED);
    world.newest_is_now(2);
}

#[test]
fn a_disk_that_fills_up_while_receiving_loses_nothing_that_was_sealed() {
    let test = "a_disk_that_fills_up_while_receiving_loses_nothing_that_was_sealed";
    let Some((disk, world)) = on_disk(test, "free_bytes = 4096\n") else { return };
    world.sealed();
    let before = sealed_bytes(&world);
    // There is room for some of it, and nobody knows beforehand how much will come.
    world.write("var/data", &noise(7, 24 << 20));
    disk.fill(8 << 20);
    let outcome = world.push();
    assert_eq!(outcome.code, NO_ROOM, "{}", outcome.said());
    assert_eq!(sealed_bytes(&world), before);
    disk.empty();
    world.sealed();
    world.ingest(ACCEPTED);
    world.newest_is_now(2);
}

#[test]
fn a_disk_that_is_full_at_the_ingest_keeps_the_push_for_later() {
    let test = "a_disk_that_is_full_at_the_ingest_keeps_the_push_for_later";
    let Some((disk, world)) = on_disk(test, "free_bytes = 4096\n") else { return };
    expect(world.push_and_ingest(), ACCEPTED);
    world.write("var/data", &noise(8, 24 << 20));
    world.sealed();
    let before = sealed_bytes(&world);
    for left in [0, 1 << 20, 8 << 20] {
        disk.fill(left);
        let full = world.scratch.ingest().unwrap();
        assert_eq!(full.code, NO_ROOM, "{left} bytes left: {}", full.said());
        assert_eq!(sealed_bytes(&world), before);
        let found = rig::sound(&world.scratch, &world.host, pipeline_tests::checker::Moment::Any);
        assert_eq!(found.snapshots.len(), 1);
        disk.empty();
    }
    world.ingest(ACCEPTED);
    world.newest_is_now(2);
}
