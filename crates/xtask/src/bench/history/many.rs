//! A million entries: snapshots, and the memory that the server needs for them.

use std::fs::{self, File};
use std::io::Write;

use pipeline_tests::Outcome;

use super::super::Bench;
use super::super::memory;
use super::super::row::Row;
use super::prune::{Pace, execute, plan, settle};
use super::world::{Files, World, many_file};
use super::{MANY, RSS};
use crate::screen::Step;
use crate::trouble::Result;

pub(super) const FILES: u64 = 1_000_000;
const MIB: f64 = 1024.0 * 1024.0;
const MEMORY_MIB: f64 = 256.0;
/// Each takes more than a minute.
const ROUNDS_MAX: u32 = 3;

pub(super) fn measure(bench: &mut Bench, only: &str, rounds: u32) -> Result<Vec<Row>> {
    {
        let _step = Step::spinner("Writing a million files");
        write(bench)?;
    }
    let first = memory::watch(|| World::new(bench, "many", Files::Many))?;
    let (mut world, peak) = first;
    let mut most = told("the first ingest", peak.snapshotter);
    world.grow(bench, 1 + rounds.min(ROUNDS_MAX) as usize)?;
    let mut rows = world.rows(&MANY);
    if RSS.starts_with(only) {
        most = most.max(peaks(bench, &mut world)?);
        rows.push(Row::at_most(RSS, "MiB", most as f64 / MIB, MEMORY_MIB));
    }
    Ok(rows)
}

/// The most of an ingest, a verify with a plan, a prune, and a search.
fn peaks(bench: &Bench, world: &mut World) -> Result<u64> {
    let _step = Step::spinner("history.rss: one of each");
    let host = world.ours.host.name.clone();
    world.change()?;
    world.ours.push(bench)?;
    let (_, ingest) = memory::watch(|| world.ours.ingest(bench))?;
    settle(bench, 1, Pace::Free)?;
    let (_, verify) = memory::watch(|| plan(bench, world))?;
    let (_, prune) = memory::watch(|| execute(bench, world, 1))?;
    let (_, find) = memory::watch(|| {
        let mut find = bench.scratch.snapshotter(&["find", "file-0500000", "--host", &host]);
        Ok(Outcome::of(&mut find)?.expect_code(&[0])?)
    })?;
    let peaks = [("an ingest", ingest), ("a verify", verify), ("a prune", prune), ("a find", find)];
    Ok(peaks.iter().map(|(what, peak)| told(what, peak.snapshotter)).max().unwrap_or_default())
}

fn told(what: &str, bytes: u64) -> u64 {
    eprintln!("  {what}: {} MiB", bytes >> 20);
    bytes
}

/// Each has contents of its own.
fn write(bench: &Bench) -> Result<()> {
    for number in 0..FILES {
        let path = bench.small.join(many_file(number));
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            fs::create_dir_all(folder)?;
        }
        File::create(path)?.write_all(number.to_string().as_bytes())?;
    }
    Ok(())
}
