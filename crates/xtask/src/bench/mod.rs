//! `cargo xtask bench`: ours and the peers, side by side, on a disk of their own.
//!
//! What is timed, always as wall time of one command from start to end, data in the page cache, the disk flushed before:
//! - ours: `push-client run` up to `sealed` (it does not wait for a verdict), from the first byte read to the push file synced on the server's disk;
//! - rsync: `rsync -aHAX --numeric-ids` to an account of the same sshd, as a person would call it; it does not sync what it wrote.
//!
//! Rounds are interleaved, and the one that begins changes with every round. Figures are medians.

mod changed;
pub(crate) mod disk;
mod floor;
mod ice;
mod ours;
mod peer;
mod round;
mod row;

use std::path::PathBuf;
use std::process::ExitCode;

use pipeline_tests::needs::Purpose;
use pipeline_tests::{Options, Power, Profile, Programs, Scratch, data};

use crate::args::BenchArgs;
use crate::needs;
use crate::screen::Step;
use crate::trouble::{Result, Trouble};
use changed::Edit;
use disk::Disk;
use row::Row;

/// Where all the data comes from.
const SEED: u64 = 0x0F12_2026;
/// Small files: how many, and how long on average.
const SMALL_FILES: u64 = 60_000;
const SMALL_BYTES_MEAN: u64 = 8 * 1024;
/// The big file.
const BIG_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// What a row is about. The order is the order of measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    FirstSmall,
    Unchanged,
    FirstBig,
}

impl Subject {
    const ALL: [Subject; 3] = [Subject::FirstSmall, Subject::Unchanged, Subject::FirstBig];

    /// The ids of its rows, the one that counts first.
    fn ids(self) -> [&'static str; 3] {
        match self {
            Subject::FirstSmall => ["push.first.small", "push.first.small.gcm", "floor.first.small.tar"],
            Subject::Unchanged => {
                ["push.unchanged.60k", "push.unchanged.60k.gcm", "floor.unchanged.60k.find"]
            }
            Subject::FirstBig => ["push.first.big", "push.first.big.gcm", "floor.first.big.ssh"],
        }
    }
}

/// Everything the rows are measured on.
pub(crate) struct Bench {
    pub(crate) scratch: Scratch,
    pub(crate) small: PathBuf,
    pub(crate) big: PathBuf,
    // Last: what lies on it ends first.
    pub(crate) disk: Disk,
}

pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let subjects: Vec<Subject> = Subject::ALL
        .into_iter()
        .filter(|subject| subject.ids().iter().any(|id| id.starts_with(&args.only)))
        .collect();
    let edits: Vec<Edit> =
        Edit::ALL.into_iter().filter(|edit| edit.ids().iter().any(|id| id.starts_with(&args.only))).collect();
    let with_ice = ice::IDS.iter().any(|id| id.starts_with(&args.only));
    if subjects.is_empty() && edits.is_empty() && !with_ice {
        let pushes = Subject::ALL.iter().flat_map(|subject| subject.ids());
        let edits = Edit::ALL.iter().flat_map(|edit| edit.ids());
        let ids: Vec<_> = pushes.chain(edits).chain(ice::IDS).collect();
        return Err(Trouble::new(format!("no row begins with {}; there are {}", args.only, ids.join(", "))));
    }
    if Power::here() == Power::User {
        return Err(Trouble::new("the benchmark makes a file system of its own, and needs root"));
    }
    needs::bring(&[Purpose::Build, Purpose::Server, Purpose::Bench])?;
    let programs = crate::build::programs(Profile::Release)?;
    let mut bench = Bench::new(&programs, &subjects, &edits)?;
    let mut rows = Vec::new();
    for subject in subjects {
        rows.extend(round::measure(&mut bench, subject, args.rounds)?);
    }
    // After the others: they change the trees.
    for edit in edits {
        rows.extend(changed::measure(&mut bench, edit, args.rounds)?);
    }
    if with_ice {
        rows.extend(ice::measure(&mut bench, args.rounds)?);
    }
    rows.retain(|row: &Row| row.id.starts_with(&args.only));
    println!("{}", row::print(&rows));
    if let Some(file) = &args.json {
        std::fs::write(file, row::json(&rows)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Bench {
    fn new(programs: &Programs, subjects: &[Subject], edits: &[Edit]) -> Result<Bench> {
        let disk = Disk::new()?;
        let options = Options { parent: Some(disk.folder().to_owned()), ..Options::default() };
        let scratch = Scratch::new(programs, &options)?;
        let (small, big) = (scratch.folder.join("hosts/small"), scratch.folder.join("hosts/big"));
        if subjects.iter().any(|subject| *subject != Subject::FirstBig) || edits.contains(&Edit::Files) {
            let _step = Step::spinner("Writing 60,000 small files");
            data::write_small_files(&small, SEED, SMALL_FILES, SMALL_BYTES_MEAN)?;
        }
        if subjects.contains(&Subject::FirstBig) || edits.iter().any(|edit| edit.is_big()) {
            let _step = Step::spinner("Writing a file of 2 GiB");
            std::fs::create_dir_all(&big)?;
            data::write_file(&big.join("big"), SEED, BIG_BYTES)?;
        }
        Ok(Bench { scratch, small, big, disk })
    }

    /// The folder a subject is about.
    pub(crate) fn source(&self, subject: Subject) -> &std::path::Path {
        match subject {
            Subject::FirstSmall | Subject::Unchanged => &self.small,
            Subject::FirstBig => &self.big,
        }
    }
}
