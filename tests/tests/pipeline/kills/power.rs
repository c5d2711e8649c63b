//! The power is cut while a server works: on ext4, XFS and btrfs, each in an image of its own, what was acknowledged is there, and the next run
//! finishes.
//!
//! The work is killed at a call, and the file system at once after it, before anything more comes to its disk. What is mounted then again is what
//! the disk had. Of every second cut a stranger has brought his own file to the disk just before: that makes a journal take along names whose
//! contents nobody has brought there.

/// A sync that is left out is found.
mod controls;
/// A file system in an image, and how its power is cut.
mod disk;

use std::collections::BTreeMap;

use pipeline_tests::checker::{Moment, told};

use self::disk::{Cut, Disk, KINDS, Kind};
use super::ground::{Ground, Work};
use super::point::{Point, Watch, spread};
use super::{Least, is_long, is_possible_or_skipped};
use crate::rig;

const NEEDS: [&str; 7] = ["mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "xfs_io", "mount", "umount", "unshare"];
/// The work, and how many cuts of each file system are made in it.
const WORKS: [(Work, usize); 4] =
    [(Work::Receive, 5), (Work::Ingest, 9), (Work::Prune, 6), (Work::Repair, 4)];
pub(super) const LEAST: Least = Least { usual: 60, long: 600 };
/// So many times more in the long form.
const LONG: usize = 10;
/// Of so many cuts one comes after the end, when success was told.
const END_EVERY: usize = 4;

/// They change what lies there, or bring it to the disk; a cut between two of the others is no other cut.
const CHANGING: &[&str] = &[
    "copy_file_range",
    "fsync",
    "ftruncate",
    "ioctl",
    "linkat",
    "mkdirat",
    "openat2",
    "pwrite64",
    "renameat2",
    "symlinkat",
    "syncfs",
    "unlinkat",
    "write",
];

#[derive(Debug, Default)]
struct Counts {
    cuts: usize,
    /// After which success had been told.
    told: usize,
    /// That took back something that had been there for all to see.
    took_back: usize,
    /// That left something for the next run to do.
    left_behind: usize,
    /// Whose point was not reached: they came at the end.
    late: usize,
}

#[test]
fn a_power_cut_anywhere_loses_nothing_acknowledged_and_the_next_run_finishes() {
    const TEST: &str = "a_power_cut_anywhere_loses_nothing_acknowledged_and_the_next_run_finishes";
    if !is_ready_or_skipped(TEST) || !rig::is_apart(module_path!(), TEST) {
        return;
    }
    let ground = Ground::new();
    let mut disks = disks(&ground);
    let mut all: BTreeMap<&str, Counts> = BTreeMap::new();
    let times = if is_long() { LONG } else { 1 };
    for (work, count) in WORKS {
        let count = count * times;
        let points = points(&ground, work);
        for (place, disk) in disks.iter_mut().enumerate() {
            let counts = all.entry(disk.kind.name()).or_default();
            for (point, how) in dealt(&points, place, count) {
                cut_at(&ground, disk, work, point, how, counts);
            }
        }
    }
    let each: Vec<String> = all.iter().map(|(name, counts)| format!("{name} {}", counts.cuts)).collect();
    let sum: usize = all.values().map(|counts| counts.cuts).sum();
    println!("POWER CUTS: {sum} ({})", each.join(", "));
    println!("  views were not current {} times", ground.stale.get());
    assert!(sum >= LEAST.now(), "only {sum} cuts");
    for (name, counts) in &all {
        println!("  {name}: {counts:?}");
        assert!(counts.told > 0 && counts.told < counts.cuts, "{name}: {counts:?}");
        assert!(counts.took_back > 0, "{name}: no cut took anything back, so none was one: {counts:?}");
        assert!(counts.left_behind > 0, "{name}: no cut left anything to do: {counts:?}");
    }
}

fn is_ready_or_skipped(test: &str) -> bool {
    if !is_possible_or_skipped(test) || !rig::has_or_skipped(test, &NEEDS) {
        return false;
    }
    let lacking = disk::lacking();
    if let Some(kind) = &lacking {
        rig::skipped(test, &format!("cannot mount {kind} from an image here"));
    }
    lacking.is_none()
}

fn disks(ground: &Ground) -> Vec<Disk> {
    KINDS.iter().map(|kind| Disk::new(*kind, ground)).collect()
}

fn points(ground: &Ground, work: Work) -> Vec<Point> {
    let mut points = ground.points(work);
    points.retain(|point| CHANGING.contains(&point.call()));
    points
}

/// So many points for one of the file systems, others than for the rest while there are enough; none means the end. A point that comes again is
/// cut in the other way.
fn dealt(points: &[Point], place: usize, count: usize) -> impl Iterator<Item = (Option<&Point>, Cut)> {
    let spread: Vec<&Point> = spread(points, count * KINDS.len()).collect();
    (0..count).map(move |number| {
        let at = number * KINDS.len() + place;
        let point = spread[at % spread.len()];
        let is_end = number % END_EVERY == END_EVERY - 1;
        let is_alone = (number + at / spread.len()).is_multiple_of(2);
        (Some(point).filter(|_| !is_end), if is_alone { Cut::Alone } else { Cut::AfterAStranger })
    })
}

fn cut_at(
    ground: &Ground,
    disk: &mut Disk,
    work: Work,
    point: Option<&Point>,
    how: Cut,
    counts: &mut Counts,
) {
    let _telling = Telling(disk.kind, work, point, how);
    let mounted = disk.mount(work);
    let ran = match point {
        Some(point) => ground.run(work, |command| ground.server.strace.kill(point, command)),
        None => ground.run(work, |command| ground.server.strace.watch(Watch::Family, command)),
    };
    let before = mounted.listing();
    let mounted = mounted.cut(how);
    counts.cuts += 1;
    counts.told += usize::from(ran.told);
    counts.late += usize::from(point.is_some() && ground.server.strace.victim().is_none());
    counts.took_back += usize::from(mounted.listing() != before);
    ground.assert_holds(work, &ran);
    counts.left_behind += usize::from(ground.is_unfinished(work));
    ground.converge(work);
    mounted.end();
}

/// What a run comes to in which these syncs do nothing, and the power is cut when success was told.
fn broken_without(ground: &Ground, disk: &mut Disk, work: Work, how: Cut, words: &[&str]) -> Option<String> {
    let mounted = disk.mount(work);
    let ran = ground.run(work, |command| ground.server.strace.above(words, command));
    assert!(ran.told, "{}", ran.said);
    let is_left_out = ground.server.strace.text().contains("(INJECTED)");
    assert!(is_left_out || words.is_empty(), "nothing was left out by {words:?}");
    let mounted = mounted.cut(how);
    let (_, breaches) = ground.look(Moment::Any, work, &ran);
    mounted.end();
    (!breaches.is_empty()).then(|| told(&breaches))
}

/// Names the cut if the test ends in panic.
struct Telling<'a>(Kind, Work, Option<&'a Point>, Cut);

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was a cut {:?} on {:?} at {:?} of {:?}", self.3, self.0, self.2, self.1);
        }
    }
}
