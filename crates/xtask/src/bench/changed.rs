//! Pushes of what changed: each round changes the same tree for everyone, and then ours and rsync bring their copies up to date.
//!
//! The first figure of ours ends with `sealed`, the one of `.snap` when the snapshot stands; rsync's of `.snap` ends when `cp -al` of what it brought is done.
//! `.wire` is the length of the push file.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pipeline_tests::data::{self, Numbers};
use pipeline_tests::{Host, Outcome};

use super::peer::{Cipher, Peer};
use super::row::Row;
use super::{Bench, SEED, SMALL_FILES, ours};
use crate::screen::Step;
use crate::trouble::{Result, Trouble};

const MIB: f64 = 1024.0 * 1024.0;
/// The unit in which a database writes.
const BLOCK_BYTES: u64 = 64 * 1024;
const INSERTED_BYTES: u64 = 1024;
/// Files in a folder of the second rank, and folders in one of the first.
const LEAF_FILES: u64 = 20;
const LEAVES: u64 = 50;
/// The renamed folders: three of the first rank.
const RENAMED_FOLDERS: u64 = 3;
const RENAMED_FILES: u64 = RENAMED_FOLDERS * LEAVES * LEAF_FILES;

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

    /// The ids of its rows.
    pub(crate) fn ids(self) -> [&'static str; 3] {
        match self {
            Edit::Files => ["push.changed", "push.changed.snap", "push.changed.wire"],
            Edit::Blocks => ["push.delta.blocks", "push.delta.blocks.snap", "push.delta.blocks.wire"],
            Edit::Insert => ["push.delta.insert", "push.delta.insert.snap", "push.delta.insert.wire"],
        }
    }

    fn goals(self) -> (f64, Option<f64>) {
        match self {
            Edit::Files => (2.5, Some(1.8)),
            Edit::Blocks | Edit::Insert => (2.0, None),
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
        if is_renamed(number) || !path.exists() {
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

/// Times and lengths of all rounds.
#[derive(Debug, Default)]
struct Figures {
    ours: Vec<f64>,
    ours_snap: Vec<f64>,
    rsync: Vec<f64>,
    rsync_snap: Vec<f64>,
    /// Parts of what may be sent.
    wire: Vec<f64>,
    wire_mib: Vec<f64>,
}

pub(crate) fn measure(bench: &mut Bench, edit: Edit, rounds: u32) -> Result<Vec<Row>> {
    let [id, snap_id, wire_id] = edit.ids();
    let source = edit.source(bench);
    let step = Step::spinner(format!("{id}: getting ready"));
    let host =
        bench.scratch.add_host(&format!("bench-{}", id.replace('.', "-")), std::slice::from_ref(&source))?;
    let peer = Peer::prepare(&mut bench.scratch)?;
    ours::push(bench, &host)?;
    bench.scratch.ingest()?.expect_code(&[0])?;
    peer.update(bench, &source, "changing")?;
    drop(step);
    let step = Step::count(format!("{id}: measuring"), u64::from(rounds));
    let mut figures = Figures::default();
    for round in 0..u64::from(rounds) {
        let limit = edit.apply(&source, round)?;
        // Beyond the time within which a second change could go unseen.
        std::thread::sleep(Duration::from_secs(3));
        bench.disk.flush()?;
        if round % 2 == 0 {
            one_of_ours(bench, &host, limit, &mut figures)?;
            one_of_rsync(bench, &peer, &source, &mut figures)?;
        } else {
            one_of_rsync(bench, &peer, &source, &mut figures)?;
            one_of_ours(bench, &host, limit, &mut figures)?;
        }
        step.advance();
    }
    let (goal, snap_goal) = edit.goals();
    let wire = Row::part_of_limit(wire_id, "MiB", &figures.wire_mib, &figures.wire);
    Ok(vec![
        Row::against(id, "rsync -aHAX", &figures.ours, &figures.rsync, Some(goal)),
        Row::against(snap_id, "rsync, cp -al", &figures.ours_snap, &figures.rsync_snap, snap_goal),
        wire,
    ])
}

fn one_of_ours(bench: &Bench, host: &Host, limit: f64, figures: &mut Figures) -> Result<()> {
    bench.disk.flush()?;
    let pushed = ours::push_outcome(bench, host)?;
    let ingested = bench.scratch.ingest()?.expect_code(&[0])?;
    figures.ours.push(pushed.took.as_secs_f64());
    figures.ours_snap.push((pushed.took + ingested.took).as_secs_f64());
    let sent = pushed.count("sent_bytes") as f64;
    figures.wire.push(sent / limit);
    figures.wire_mib.push(sent / MIB);
    Ok(())
}

fn one_of_rsync(bench: &Bench, peer: &Peer, source: &Path, figures: &mut Figures) -> Result<()> {
    bench.disk.flush()?;
    let took = peer.update(bench, source, "changing")?;
    let snap = peer.target("snapshot");
    let linked = Outcome::of(Command::new("cp").arg("-al").arg(peer.target("changing")).arg(&snap))?;
    let linked = linked.expect_code(&[0])?.took;
    fs::remove_dir_all(snap)?;
    figures.rsync.push(took.as_secs_f64());
    figures.rsync_snap.push((took + linked).as_secs_f64());
    Ok(())
}

impl Peer {
    /// rsync, with what is gone removed.
    fn update(&self, bench: &Bench, source: &Path, name: &str) -> Result<Duration> {
        self.push_with(bench, source, name, Cipher::Default, &["--delete"])
    }
}
