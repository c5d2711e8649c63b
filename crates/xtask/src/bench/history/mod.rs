//! The history: a snapshot of a push, what snapshots take of the disk and of memory, how they go, and how something is found in them.
//!
//! What is timed, as wall time of one command, the disk flushed before, warm but for `find`:
//! - a snapshot: `snapshotter ingest` of a sealed push in which 1 % of the files is new;
//! - rsnapshot: `rsnapshot alpha` of a folder on the same file system in which the same files are new; it does not sync what it wrote;
//! - `linkat`: two threads in our own process that make the folders and links of the newest snapshot beside it, from names in memory; `.sync`: and
//!   then sync the file system;
//! - a prune: `snapshotter prune --execute` of ten snapshots of twenty, as fast as it can, until its trash is empty, against `rm -rf` of as many of
//!   rsnapshot's;
//! - interference: an ingest of another host alone, and while such a prune removes as fast as it does by default;
//! - a search: `snapshotter find` of one path, nothing in the page cache.

mod find;
mod links;
mod many;
mod prune;
mod rsnapshot;
mod space;
mod world;

use pipeline_tests::{Programs, data};

use super::disk::Use;
use super::row::Row;
use super::{Bench, SEED, SMALL_BYTES_MEAN, SMALL_FILES};
use crate::screen::Step;
use crate::trouble::Result;
use world::{Files, Ids, World};

/// How many snapshots there are before half of them are pruned.
const SNAPSHOTS: usize = 20;
/// Each round makes ten snapshots more.
const PRUNE_ROUNDS_MAX: u32 = 3;

const SMALL: Ids = Ids {
    rsnapshot: "history.snapshot.60k",
    linkat: "history.snapshot.60k.linkat",
    sync: "history.snapshot.60k.linkat.sync",
};
const MANY: Ids = Ids {
    rsnapshot: "history.snapshot.1m",
    linkat: "history.snapshot.1m.linkat",
    sync: "history.snapshot.1m.linkat.sync",
};
const SPACE: &str = "history.space";
const PRUNE: &str = "history.prune";
const INTERFERENCE: &str = "history.prune.interference";
const RSS: &str = "history.rss";

/// The ids of the rows.
pub(crate) const IDS: [&str; 12] = [
    SMALL.rsnapshot,
    SMALL.linkat,
    SMALL.sync,
    SPACE,
    PRUNE,
    INTERFERENCE,
    find::COLD,
    find::CAT,
    MANY.rsnapshot,
    MANY.linkat,
    MANY.sync,
    RSS,
];

/// Measures the rows that begin with `only`.
pub(crate) fn measure(programs: &Programs, only: &str, rounds: u32) -> Result<Vec<Row>> {
    let is_asked = |id: &&str| id.starts_with(only);
    let mut rows = Vec::new();
    let of_small = [SMALL.rsnapshot, SMALL.linkat, SMALL.sync, SPACE, PRUNE, INTERFERENCE];
    if of_small.iter().any(is_asked) {
        rows.extend(small(programs, only, rounds)?);
    }
    if [find::COLD, find::CAT].iter().any(is_asked) {
        rows.extend(find::measure(&mut Bench::new(programs, Use::Usual)?, rounds)?);
    }
    if [MANY.rsnapshot, MANY.linkat, MANY.sync, RSS].iter().any(is_asked) {
        rows.extend(many::measure(&mut Bench::new(programs, Use::Many)?, only, rounds)?);
    }
    Ok(rows)
}

fn small(programs: &Programs, only: &str, rounds: u32) -> Result<Vec<Row>> {
    let is_asked = |id: &&str| id.starts_with(only);
    let mut bench = Bench::new(programs, Use::Usual)?;
    {
        let _step = Step::spinner("Writing 60,000 small files");
        data::write_small_files(&bench.small, SEED, SMALL_FILES, SMALL_BYTES_MEAN)?;
    }
    let mut world = World::new(&mut bench, "small", Files::Small)?;
    let is_long = [SPACE, PRUNE, INTERFERENCE].iter().any(is_asked);
    world.grow(&bench, if is_long { SNAPSHOTS } else { rounds as usize + 1 })?;
    let mut rows = world.rows(&SMALL);
    if is_asked(&SPACE) {
        rows.push(space::row(&bench, &world)?);
    }
    if is_asked(&PRUNE) {
        rows.push(prune::measure(&bench, &mut world, rounds.min(PRUNE_ROUNDS_MAX))?);
    }
    if is_asked(&INTERFERENCE) {
        rows.push(prune::interference(&mut bench, &mut world, rounds)?);
    }
    Ok(rows)
}
