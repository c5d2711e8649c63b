//! `cargo xtask bench`: ours and the peers, side by side, on a disk of their own.
//!
//! What is timed, always as wall time of one command from start to end, data in the page cache, the disk flushed before:
//! - ours: `push-client run` up to `sealed` (it does not wait for a verdict), from the first byte read to the push file synced on the server's disk;
//! - `.snap`: the same and its `snapshotter ingest`, up to the snapshot in the history;
//! - `.ssh2`: ours through crate ssh2 instead of the system's ssh;
//! - rsync: `rsync -aHAX --numeric-ids` to an account of the same sshd, as a person would call it; it does not sync what it wrote; for `.snap` with a `cp -al` after it;
//! - restic, borg, bupstash: a backup into a repository of the same account, made anew for a first push.
//!
//! Rounds are interleaved, and the one that begins changes with every round. Figures are medians.

mod archiver;
mod changed;
pub(crate) mod disk;
mod floor;
mod history;
mod ice;
mod many;
mod memory;
mod ours;
mod peer;
mod round;
mod row;
mod runner;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;

use pipeline_tests::needs::Purpose;
use pipeline_tests::{Options, Power, Profile, Programs, Scratch, data};

use crate::args::BenchArgs;
use crate::needs;
use crate::screen::Step;
use crate::trouble::{Result, Trouble};
use changed::Edit;
use disk::{Disk, Use};
use row::Row;
use subject::Subject;

/// Where all the data comes from.
const SEED: u64 = 0x0F12_2026;
/// Small files: how many, and how long on average.
const SMALL_FILES: u64 = 60_000;
const SMALL_BYTES_MEAN: u64 = 8 * 1024;
/// The big file.
const BIG_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Everything the rows are measured on.
pub(crate) struct Bench {
    pub(crate) scratch: Scratch,
    pub(crate) small: PathBuf,
    pub(crate) big: PathBuf,
    // Last: what lies on it ends first.
    pub(crate) disk: Disk,
}

/// What of it a prefix of ids asks for.
struct Wanted {
    subjects: Vec<Subject>,
    edits: Vec<Edit>,
    ice: bool,
    history: bool,
}

impl Wanted {
    fn of(only: &str) -> Result<Wanted> {
        let is_asked = |id: &str| id.starts_with(only);
        let wanted = Wanted {
            subjects: Subject::ALL.into_iter().filter(|subject| subject.ids().any(is_asked)).collect(),
            edits: Edit::ALL.into_iter().filter(|edit| edit.ids().any(is_asked)).collect(),
            ice: ice::IDS.into_iter().any(is_asked),
            history: history::IDS.into_iter().any(is_asked),
        };
        if !ids().any(is_asked) {
            let ids: Vec<_> = ids().collect();
            return Err(Trouble::new(format!("no row begins with {only}; there are {}", ids.join(", "))));
        }
        Ok(wanted)
    }

    /// Those that need a disk as it usually is.
    fn usual(&self) -> impl Iterator<Item = Subject> {
        self.subjects.iter().copied().filter(|subject| *subject != Subject::UnchangedMany)
    }
}

/// The ids of all rows.
fn ids() -> impl Iterator<Item = &'static str> {
    let pushes = Subject::ALL.into_iter().flat_map(Subject::ids);
    let edits = Edit::ALL.into_iter().flat_map(Edit::ids);
    pushes.chain(edits).chain(ice::IDS).chain(history::IDS)
}

pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let wanted = Wanted::of(&args.only)?;
    if Power::here() == Power::User {
        return Err(Trouble::new("the benchmark makes a file system of its own, and needs root"));
    }
    needs::bring(&[Purpose::Build, Purpose::Server, Purpose::Bench])?;
    let programs = crate::build::programs(Profile::Release)?;
    let mut rows = Vec::new();
    if wanted.usual().next().is_some() || !wanted.edits.is_empty() || wanted.ice {
        rows.extend(usual_rows(&programs, &wanted, args)?);
    }
    if wanted.subjects.contains(&Subject::UnchangedMany) {
        rows.extend(many::measure(&programs, &args.only, args.rounds)?);
    }
    if wanted.history {
        rows.extend(history::measure(&programs, &args.only, args.rounds)?);
    }
    rows.retain(|row: &Row| row.id.starts_with(&args.only));
    println!("{}", row::print(&rows));
    if let Some(file) = &args.json {
        std::fs::write(file, row::json(&rows)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn usual_rows(programs: &Programs, wanted: &Wanted, args: &BenchArgs) -> Result<Vec<Row>> {
    let mut bench = Bench::new(programs, Use::Usual)?;
    let subjects: Vec<_> = wanted.usual().collect();
    if subjects.iter().any(|subject| *subject != Subject::FirstBig) || wanted.edits.contains(&Edit::Files) {
        let _step = Step::spinner("Writing 60,000 small files");
        data::write_small_files(&bench.small, SEED, SMALL_FILES, SMALL_BYTES_MEAN)?;
    }
    if subjects.contains(&Subject::FirstBig) || wanted.edits.iter().any(|edit| edit.is_big()) {
        let _step = Step::spinner("Writing a file of 2 GiB");
        std::fs::create_dir_all(&bench.big)?;
        data::write_noise(&bench.big.join("big"), SEED, BIG_BYTES)?;
    }
    let mut rows = Vec::new();
    for subject in subjects {
        rows.extend(round::measure(&mut bench, subject, &args.only, args.rounds)?);
    }
    // After the others: they change the trees.
    for edit in &wanted.edits {
        rows.extend(changed::measure(&mut bench, *edit, args.rounds)?);
    }
    if wanted.ice {
        rows.extend(ice::measure(&mut bench, args.rounds)?);
    }
    Ok(rows)
}

impl Bench {
    pub(crate) fn new(programs: &Programs, purpose: Use) -> Result<Bench> {
        let disk = Disk::new(purpose)?;
        let options = Options { parent: Some(disk.folder().to_owned()), ..Options::default() };
        let scratch = Scratch::new(programs, &options)?;
        let (small, big) = (scratch.folder.join("hosts/small"), scratch.folder.join("hosts/big"));
        Ok(Bench { scratch, small, big, disk })
    }

    /// The folder a subject is about.
    pub(crate) fn source(&self, subject: Subject) -> &std::path::Path {
        match subject {
            Subject::FirstSmall | Subject::Unchanged | Subject::UnchangedMany => &self.small,
            Subject::FirstBig => &self.big,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_has_the_id_of_another() {
        let mut all: Vec<_> = ids().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn the_rows_of_the_history_are_there() {
        let demanded = [
            "history.snapshot.60k",
            "history.snapshot.60k.linkat",
            "history.snapshot.1m",
            "history.snapshot.1m.linkat",
            "history.space",
            "history.prune",
            "history.prune.interference",
            "history.find",
            "history.rss",
        ];
        for id in demanded {
            assert!(ids().any(|known| known == id), "{id}");
            let wanted = Wanted::of(id).unwrap();
            assert!(wanted.history && !wanted.ice && wanted.subjects.is_empty() && wanted.edits.is_empty());
        }
        assert!(Wanted::of("history.nothing").is_err());
    }
}
