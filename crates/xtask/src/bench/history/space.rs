//! What snapshots take of the disk: every inode of the history once, against the least that each content and each name need.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;

use formats::ContentHash;
use walkdir::WalkDir;

use super::super::Bench;
use super::super::row::Row;
use super::SPACE;
use super::world::World;
use crate::screen::Step;
use crate::trouble::Result;

const MIB: f64 = 1024.0 * 1024.0;
/// What `st_blocks` counts.
const BLOCK_BYTES: u64 = 512;
/// A name in a folder, and its entry in the manifest.
const ENTRY_BYTES: u64 = 300;
const AT_MOST: f64 = 1.02;

pub(super) fn row(bench: &Bench, world: &World) -> Result<Row> {
    let _step = Step::spinner("history.space: counting");
    bench.disk.flush()?;
    let (mut seen, mut contents) = (HashSet::new(), HashMap::new());
    let (mut used, mut entries) = (0, 0);
    let history = world.history(bench);
    for entry in WalkDir::new(&history) {
        let entry = entry?;
        // Below `<snapshot>/tree`.
        let is_in_tree = entry.depth() > 2 && !entry.path().starts_with(history.join("manifests"));
        entries += u64::from(is_in_tree);
        let meta = entry.metadata()?;
        if !seen.insert(meta.ino()) {
            continue;
        }
        used += meta.blocks() * BLOCK_BYTES;
        if is_in_tree && meta.is_file() {
            let hash = ContentHash::of(&fs::read(entry.path())?);
            contents.insert(*hash.as_bytes(), meta.blocks() * BLOCK_BYTES);
        }
    }
    let copies: u64 = contents.values().sum();
    eprintln!(
        "  {entries} entries, {} contents of {} MiB, {} MiB in all",
        contents.len(),
        copies >> 20,
        used >> 20
    );
    let limit = AT_MOST * (copies + ENTRY_BYTES * entries) as f64;
    Ok(Row::at_most(SPACE, "MiB", used as f64 / MIB, limit / MIB))
}
