//! One host and its history, and beside it the same as rsnapshot keeps it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use pipeline_tests::Outcome;
use pipeline_tests::data::{self, Numbers};

use super::super::ours::Ours;
use super::super::row::Row;
use super::super::runner::Transport;
use super::super::{Bench, SEED, SMALL_BYTES_MEAN, SMALL_FILES};
use super::links;
use super::rsnapshot::Rsnapshot;
use crate::screen::Step;
use crate::trouble::{Result, Trouble};

/// Three times as fast as rsnapshot, and at most 1.4 times as long as nothing but links.
const FASTER: f64 = 3.0;
const ABOVE_LINKS: f64 = 1.0 / 1.4;
/// Files of the million in one folder.
const FOLDER_FILES: u64 = 500;

/// The rows that a world gives.
pub(super) struct Ids {
    pub(super) rsnapshot: &'static str,
    pub(super) linkat: &'static str,
    pub(super) sync: &'static str,
}

/// What the host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// 60,000, of 8 KiB on average.
    Small,
    /// A million, of a few bytes.
    Many,
}

/// Seconds, of all rounds.
#[derive(Debug, Default)]
struct Figures {
    ours: Vec<f64>,
    rsnapshot: Vec<f64>,
    linkat: Vec<f64>,
    synced: Vec<f64>,
}

pub(super) struct World {
    pub(super) ours: Ours,
    pub(super) peer: Rsnapshot,
    source: PathBuf,
    files: Files,
    /// The number of the next change.
    next: u64,
    figures: Figures,
}

#[derive(Debug, Clone, Copy)]
enum Runner {
    Ours,
    Rsnapshot,
    Links,
}

const RUNNERS: [Runner; 3] = [Runner::Ours, Runner::Rsnapshot, Runner::Links];

impl World {
    /// With one snapshot on each side.
    pub(super) fn new(bench: &mut Bench, name: &str, files: Files) -> Result<World> {
        let _step = Step::spinner("history: the first snapshots");
        let source = bench.small.clone();
        let ours = Ours::new(bench, &format!("history-{name}"), &source, Transport::Ssh)?;
        let peer = Rsnapshot::new(&bench.scratch.folder.join("rsnapshot"), &source)?;
        ours.push(bench)?;
        ours.ingest(bench)?;
        peer.run()?;
        Ok(World { ours, peer, source, files, next: 0, figures: Figures::default() })
    }

    /// Our history.
    pub(super) fn history(&self, bench: &Bench) -> PathBuf {
        bench.scratch.history(&self.ours.host.name)
    }

    /// Names of our snapshots, oldest first.
    pub(super) fn snapshots(&self, bench: &Bench) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.history(bench))? {
            let path = entry?.path();
            if path.join("tree").is_dir() {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Round after round, until there are so many.
    pub(super) fn grow(&mut self, bench: &Bench, snapshots: usize) -> Result<()> {
        let missing = snapshots.saturating_sub(self.snapshots(bench)?.len());
        let step = Step::count("history: snapshots", missing as u64);
        for _ in 0..missing {
            self.round(bench)?;
            step.advance();
        }
        Ok(())
    }

    /// Writes 1 % of the files anew.
    pub(super) fn change(&mut self) -> Result<()> {
        let round = self.next;
        self.next += 1;
        match self.files {
            Files::Small => rewrite_small(&self.source, round),
            Files::Many => rewrite_many(&self.source, round),
        }
    }

    /// A change, and a snapshot of it on both sides.
    fn round(&mut self, bench: &Bench) -> Result<()> {
        self.change()?;
        self.ours.push(bench)?;
        let mut order = RUNNERS;
        order.rotate_left(self.next as usize % RUNNERS.len());
        for runner in order {
            bench.disk.flush()?;
            match runner {
                Runner::Ours => self.figures.ours.push(self.ours.ingest(bench)?.took.as_secs_f64()),
                Runner::Rsnapshot => self.figures.rsnapshot.push(self.peer.run()?.as_secs_f64()),
                Runner::Links => self.links(bench)?,
            }
        }
        Ok(())
    }

    fn links(&mut self, bench: &Bench) -> Result<()> {
        let newest = self.snapshots(bench)?.pop().ok_or_else(|| Trouble::new("there is no snapshot"))?;
        let names = links::Names::of(&newest.join("tree"))?;
        let copy = bench.scratch.folder.join("links");
        fs::create_dir(&copy)?;
        bench.disk.flush()?;
        let began = Instant::now();
        names.link(&copy)?;
        self.figures.linkat.push(began.elapsed().as_secs_f64());
        bench.disk.flush()?;
        self.figures.synced.push(began.elapsed().as_secs_f64());
        remove(&copy)?;
        bench.disk.flush()
    }

    pub(super) fn rows(&self, ids: &Ids) -> Vec<Row> {
        let Figures { ours, rsnapshot, linkat, synced } = &self.figures;
        vec![
            Row::against(ids.rsnapshot, "rsnapshot", ours, rsnapshot, Some(FASTER)),
            Row::against(ids.linkat, "linkat, 2 threads", ours, linkat, Some(ABOVE_LINKS)),
            Row::against(ids.sync, "linkat, sync -f", ours, synced, None),
        ]
    }
}

pub(super) fn remove(folder: &Path) -> Result<()> {
    Outcome::of(std::process::Command::new("rm").arg("-rf").arg(folder))?.expect_code(&[0])?;
    Ok(())
}

fn rewrite_small(source: &Path, round: u64) -> Result<()> {
    let mut numbers = Numbers::new(SEED ^ (round << 23));
    for _ in 0..SMALL_FILES / 100 {
        let path = source.join(data::small_file(numbers.below(SMALL_FILES)));
        data::write_file(&path, numbers.draw(), numbers.below(2 * SMALL_BYTES_MEAN) + 1)?;
    }
    Ok(())
}

fn rewrite_many(source: &Path, round: u64) -> Result<()> {
    for number in (round % 100..super::many::FILES).step_by(100) {
        let text = format!("{number} {round}");
        fs::File::create(source.join(many_file(number)))?.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// Where the file with this number lies, of the million.
pub(super) fn many_file(number: u64) -> PathBuf {
    PathBuf::from(format!("d{:04}/file-{number:07}", number / FOLDER_FILES))
}
