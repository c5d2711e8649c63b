//! Pushes of what changed: each round changes the same tree for everyone, and then ours and rsync bring their copies up to date.
//!
//! The first figure of ours ends with `sealed`, the one of `.snap` when the snapshot stands; rsync's of `.snap` ends when `cp -al` of what it brought is done.
//! `.wire` is the length of the push file.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::data::{self, Numbers};

use super::ours::Ours;
use super::peer::Peer;
use super::row::Row;
use super::runner::{Cipher, Figures, Runner, Took, Transport, Until, Versus};
use super::{Bench, SEED, SMALL_FILES};
use crate::screen::Step;
use crate::trouble::{Result, Trouble};

const MIB: f64 = 1024.0 * 1024.0;
/// The unit in which a database writes.
const BLOCK_BYTES: u64 = 64 * 1024;
const INSERTED_BYTES: u64 = 1024;
/// Each snapshot of the big file is whole on this file system: more rounds would fill the disk.
const BIG_ROUNDS_MAX: u32 = 2;
/// Files in a folder of the second rank, and folders in one of the first.
const LEAF_FILES: u64 = 20;
const LEAVES: u64 = 50;
/// The renamed folders: three of the first rank.
const RENAMED_FOLDERS: u64 = 3;
const RENAMED_FILES: u64 = RENAMED_FOLDERS * LEAVES * LEAF_FILES;

const RSYNC: (Runner, &str) = (Runner::Rsync(Cipher::Default), "rsync -aHAX");
const RSYNC_LINKED: (Runner, &str) = (Runner::Rsync(Cipher::Default), "rsync, cp -al");

const fn row(id: &'static str, ours: Transport, until: Until, goal: Option<f64>) -> Versus {
    let peer = match until {
        Until::Sealed => RSYNC,
        Until::Snapshot => RSYNC_LINKED,
    };
    Versus { id, ours, peer, until, goal }
}

const CHANGED: &[Versus] = &[
    row("push.changed", Transport::Ssh, Until::Sealed, Some(2.5)),
    row("push.changed.ssh2", Transport::Ssh2, Until::Sealed, Some(2.5)),
    row("push.changed.snap", Transport::Ssh, Until::Snapshot, Some(1.8)),
    row("push.changed.snap.ssh2", Transport::Ssh2, Until::Snapshot, Some(1.8)),
];
const BLOCKS: &[Versus] = &[
    row("push.delta.blocks", Transport::Ssh, Until::Sealed, Some(2.0)),
    row("push.delta.blocks.ssh2", Transport::Ssh2, Until::Sealed, Some(2.0)),
    row("push.delta.blocks.snap", Transport::Ssh, Until::Snapshot, None),
];
const INSERT: &[Versus] = &[
    row("push.delta.insert", Transport::Ssh, Until::Sealed, Some(2.0)),
    row("push.delta.insert.ssh2", Transport::Ssh2, Until::Sealed, Some(2.0)),
    row("push.delta.insert.snap", Transport::Ssh, Until::Snapshot, None),
];

/// What happens to a host between two pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    /// 1 % of the small files are written anew, folders with 3,000 of them renamed, 0.5 % removed.
    Files,
    /// 1 % of the big file's blocks are written anew.
    Blocks,
    /// Something is put in front of the big file.
    Insert,
}

impl Edit {
    pub(crate) const ALL: [Edit; 3] = [Edit::Files, Edit::Blocks, Edit::Insert];

    /// The ids of its rows, that of the bytes sent last.
    pub(crate) fn ids(self) -> impl Iterator<Item = &'static str> {
        self.versus().iter().map(|versus| versus.id).chain([self.wire_id()])
    }

    fn wire_id(self) -> &'static str {
        match self {
            Edit::Files => "push.changed.wire",
            Edit::Blocks => "push.delta.blocks.wire",
            Edit::Insert => "push.delta.insert.wire",
        }
    }

    fn versus(self) -> &'static [Versus] {
        match self {
            Edit::Files => CHANGED,
            Edit::Blocks => BLOCKS,
            Edit::Insert => INSERT,
        }
    }

    /// Whether it is about the big file.
    pub(crate) fn is_big(self) -> bool {
        self != Edit::Files
    }

    fn source(self, bench: &Bench) -> PathBuf {
        if self.is_big() { bench.big.clone() } else { bench.small.clone() }
    }

    /// Changes the tree for the round with this number. Tells the most that may be sent for it, in bytes.
    fn apply(self, source: &Path, round: u64) -> Result<f64> {
        let big = source.join("big");
        match self {
            Edit::Files => edit_files(source, round),
            Edit::Blocks => {
                let file = File::options().write(true).open(&big)?;
                let bytes = file.metadata()?.len();
                let blocks = bytes / BLOCK_BYTES;
                let mut numbers = Numbers::new(SEED ^ (round << 20));
                let changed = blocks / 100;
                for _ in 0..changed {
                    file.write_all_at(
                        &noise(&mut numbers, BLOCK_BYTES),
                        numbers.below(blocks) * BLOCK_BYTES,
                    )?;
                }
                Ok(1.15 * (changed * BLOCK_BYTES) as f64 + bytes as f64 / 1000.0)
            }
            Edit::Insert => {
                let new = source.join("big.new");
                let mut to = File::create(&new)?;
                to.write_all(&noise(&mut Numbers::new(SEED ^ (round << 21)), INSERTED_BYTES))?;
                let bytes = std::io::copy(&mut File::open(&big)?, &mut to)?;
                fs::rename(new, big)?;
                Ok(1.15 * INSERTED_BYTES as f64 + bytes as f64 / 1000.0)
            }
        }
    }
}

/// Noise, so that nothing can be saved by squeezing.
fn noise(numbers: &mut Numbers, bytes: u64) -> Vec<u8> {
    (0..bytes / 8).flat_map(|_| numbers.draw().to_le_bytes()).collect()
}

fn edit_files(source: &Path, round: u64) -> Result<f64> {
    let mut numbers = Numbers::new(SEED ^ (round << 22));
    let (mut changed, mut removed) = (Vec::new(), 0);
    let first = round % LEAVES * RENAMED_FOLDERS;
    let is_renamed = |number: u64| {
        let folder = number / LEAF_FILES / LEAVES;
        (first..first + RENAMED_FOLDERS).contains(&folder)
    };
    while removed < SMALL_FILES / 200 {
        let number = numbers.below(SMALL_FILES);
        let path = source.join(data::small_file(number));
        // What was written anew is not removed: it counts for what may be sent.
        if is_renamed(number) || !path.exists() || changed.contains(&path) {
            continue;
        }
        if (changed.len() as u64) < SMALL_FILES / 100 {
            data::write_file(&path, numbers.draw(), numbers.below(16 * 1024) + 1)?;
            changed.push(path);
        } else {
            fs::remove_file(path)?;
            removed += 1;
        }
    }
    for folder in first..first + RENAMED_FOLDERS {
        let name = source.join(format!("d{folder:02}"));
        fs::rename(&name, source.join(format!("renamed-{folder:02}")))?;
    }
    Ok(1.1 * squeezed(&changed)? + 200.0 * (RENAMED_FILES + removed) as f64)
}

/// Bytes that these files take when each is squeezed by itself.
fn squeezed(files: &[PathBuf]) -> Result<f64> {
    let mut command = Command::new("zstd");
    let mut child =
        command.args(["-1", "-q", "-c", "--"]).args(files).stdout(std::process::Stdio::piped()).spawn()?;
    let mut bytes = Vec::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_end(&mut bytes)?;
    }
    if child.wait()?.success() { Ok(bytes.len() as f64) } else { Err(Trouble::new("zstd failed")) }
}

/// The hosts of ours and the peer, all with the same tree.
struct Sides {
    ours: [Ours; 2],
    peer: Peer,
    source: PathBuf,
}

/// What was sent: MiB, and parts of what may be sent.
#[derive(Debug, Default)]
struct Wire {
    mib: Vec<f64>,
    parts: Vec<f64>,
}

pub(crate) fn measure(bench: &mut Bench, edit: Edit, rounds: u32) -> Result<Vec<Row>> {
    let id = edit.wire_id().trim_end_matches(".wire");
    let source = edit.source(bench);
    let step = Step::spinner(format!("{id}: getting ready"));
    let sides = Sides::prepare(bench, &id.replace('.', "-"), source)?;
    drop(step);
    let rounds = if edit.is_big() { rounds.min(BIG_ROUNDS_MAX) } else { rounds };
    let step = Step::count(format!("{id}: measuring"), u64::from(rounds));
    let (mut figures, mut wire) = (Figures::default(), Wire::default());
    for round in 0..u64::from(rounds) {
        let limit = edit.apply(&sides.source, round)?;
        // Beyond the time within which a second change could go unseen.
        std::thread::sleep(std::time::Duration::from_secs(3));
        let [ssh2, ssh] = [Transport::Ssh2, Transport::Ssh].map(Runner::Ours);
        let mut order = [ssh2, Runner::Rsync(Cipher::Default), ssh];
        let turns = round as usize % order.len();
        order.rotate_left(turns);
        for runner in order {
            figures.add(runner, sides.run(bench, runner, limit, &mut wire)?);
        }
        step.advance();
    }
    let mut rows: Vec<_> = edit.versus().iter().map(|versus| figures.row(versus)).collect();
    rows.push(Row::part_of_limit(edit.wire_id(), "MiB", &wire.mib, &wire.parts));
    sides.end(bench)?;
    Ok(rows)
}

impl Sides {
    fn prepare(bench: &mut Bench, name: &str, source: PathBuf) -> Result<Sides> {
        let peer = Peer::prepare(&mut bench.scratch)?;
        let ours = [
            Ours::new(bench, name, &source, Transport::Ssh2)?,
            Ours::new(bench, name, &source, Transport::Ssh)?,
        ];
        peer.let_in(&mut bench.scratch)?;
        let sides = Sides { ours, peer, source };
        for ours in &sides.ours {
            ours.pushed(bench)?;
        }
        sides.rsync(bench)?;
        Ok(sides)
    }

    fn run(&self, bench: &Bench, runner: Runner, limit: f64, wire: &mut Wire) -> Result<Took> {
        let Some(ours) = self.ours.iter().find(|ours| runner == Runner::Ours(ours.transport)) else {
            return self.rsync(bench);
        };
        let (took, report) = ours.pushed(bench)?;
        if ours.transport == Transport::Ssh {
            let sent = report.count("sent_bytes") as f64;
            wire.parts.push(sent / limit);
            wire.mib.push(sent / MIB);
        }
        Ok(took)
    }

    /// Makes room for the next edit.
    fn end(self, bench: &Bench) -> Result<()> {
        for ours in &self.ours {
            fs::remove_dir_all(bench.scratch.history(&ours.host.name))?;
        }
        fs::remove_dir_all(self.peer.target("changing"))?;
        Ok(())
    }

    /// rsync, with what is gone removed.
    fn rsync(&self, bench: &Bench) -> Result<Took> {
        bench.disk.flush()?;
        let sealed = self.peer.push_with(bench, &self.source, "changing", Cipher::Default, &["--delete"])?;
        let linked = self.peer.link("changing")?;
        Ok(Took { sealed, snapshot: Some(sealed + linked) })
    }
}
