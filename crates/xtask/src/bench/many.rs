//! A million files: pushes in which nothing changed, and the memory of both sides.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use pipeline_tests::Programs;

use super::disk::Use;
use super::memory::{self, Peak};
use super::ours::Ours;
use super::row::Row;
use super::runner::Transport;
use super::subject::{MEMORY_IDS, Subject};
use super::{Bench, round};
use crate::screen::Step;
use crate::trouble::Result;

const FILES: u64 = 1_000_000;
const FOLDER_FILES: u64 = 500;
const MIB: f64 = 1024.0 * 1024.0;
/// The most memory that each side may take.
const CLIENT_MIB: f64 = 64.0;
const RECEIVER_MIB: f64 = 24.0;

pub(crate) fn measure(programs: &Programs, only: &str, rounds: u32) -> Result<Vec<Row>> {
    let mut bench = Bench::new(programs, Use::Many)?;
    {
        let _step = Step::spinner("Writing a million files");
        write(&bench.small)?;
    }
    let mut rows = Vec::new();
    if MEMORY_IDS.iter().any(|id| id.starts_with(only)) {
        rows.extend(peaks(&mut bench)?);
    }
    rows.extend(round::measure(&mut bench, Subject::UnchangedMany, only, rounds)?);
    Ok(rows)
}

/// Each has contents of its own.
fn write(folder: &Path) -> Result<()> {
    for number in 0..FILES {
        let place = folder.join(format!("d{:04}", number / FOLDER_FILES));
        if number % FOLDER_FILES == 0 {
            fs::create_dir_all(&place)?;
        }
        File::create(place.join(format!("file-{number:07}")))?.write_all(number.to_string().as_bytes())?;
    }
    Ok(())
}

/// The most of a first push, of one in which nothing changed, and of one in which all is renamed.
fn peaks(bench: &mut Bench) -> Result<[Row; 2]> {
    let _step = Step::spinner("push.rss: three pushes");
    let source = bench.small.clone();
    let ours = Ours::new(bench, "memory", &source, Transport::Ssh2)?;
    let mut most = Peak::default();
    for push in 0..3 {
        if push == 2 {
            for number in 0..FILES / FOLDER_FILES {
                let name = format!("d{number:04}");
                fs::rename(source.join(&name), source.join(format!("renamed-{name}")))?;
            }
        }
        let (_, peak) = memory::watch(|| ours.push(bench))?;
        eprintln!("  client {} MiB, receiver {} MiB", peak.client >> 20, peak.receiver >> 20);
        most = most.max(peak);
        ours.ingest(bench)?;
    }
    let [client, receiver] = MEMORY_IDS;
    Ok([
        Row::at_most(client, "MiB", most.client as f64 / MIB, CLIENT_MIB),
        Row::at_most(receiver, "MiB", most.receiver as f64 / MIB, RECEIVER_MIB),
    ])
}
