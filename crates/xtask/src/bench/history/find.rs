//! A path in 200 snapshots of 100,000 files: manifests and a log as an ingest leaves them, and no trees, which a search does not look at.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use chrono::DateTime;
use formats::entry::{Attribute, Body, Entry, Kind, Meta, Mtime, Node, Tag};
use formats::records::log::{Event, Ingest};
use formats::{ContentHash, HostId, InstallationId, ManifestWriter, PushId, RelPath, Summary};
use history::{History, HostHistory, LogAppender, SnapshotName, Squeezer};
use pipeline_tests::Outcome;

use super::super::Bench;
use super::super::row::Row;
use crate::screen::Step;
use crate::trouble::{Result, Trouble};

pub(super) const COLD: &str = "history.find";
pub(super) const CAT: &str = "history.find.cat";
const HOST: &str = "bench-find";
const SNAPSHOTS: u64 = 200;
const FILES: u64 = 100_000;
const FOLDER_FILES: u64 = 500;
const WANTED: &str = "/srv/www/site-00007/image-00042.jpeg";
const COLD_SECONDS: f64 = 1.0;
/// The first snapshot, in seconds since 1970, and how far the next is.
const BEGAN: i64 = 1_767_322_930;
const EVERY: i64 = 3_600;

pub(super) fn measure(bench: &mut Bench, rounds: u32) -> Result<Vec<Row>> {
    {
        let _step = Step::spinner("history.find: writing 200 manifests");
        write(bench)?;
    }
    let step = Step::count("history.find: searching", u64::from(rounds));
    let (mut ours, mut cat) = (Vec::new(), Vec::new());
    let manifests = bench.scratch.history(HOST).join("manifests");
    for round in 0..rounds {
        let mut order = [Side::Find, Side::Cat];
        order.rotate_left(round as usize % 2);
        for side in order {
            forget()?;
            match side {
                Side::Find => ours.push(find(bench)?),
                Side::Cat => {
                    let script = "cat \"$1\"/*.manifest > /dev/null";
                    let mut command = Command::new("sh");
                    let read = Outcome::of(command.args(["-c", script, "sh"]).arg(&manifests))?;
                    cat.push(read.expect_code(&[0])?.took.as_secs_f64());
                }
            }
        }
        step.advance();
    }
    Ok(vec![
        Row::all_at_most(COLD, "s", &ours, COLD_SECONDS),
        Row::against(CAT, "cat manifests/*", &ours, &cat, None),
    ])
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Find,
    Cat,
}

fn find(bench: &Bench) -> Result<f64> {
    let found = Outcome::of(&mut bench.scratch.snapshotter(&["find", WANTED, "--host", HOST]))?;
    let found = found.expect_code(&[0])?;
    if found.count("found") == 1 { Ok(found.took.as_secs_f64()) } else { Err(Trouble::new(found.said())) }
}

/// Empties the page cache.
fn forget() -> Result<()> {
    Outcome::of(&mut Command::new("sync"))?.expect_code(&[0])?;
    fs::write("/proc/sys/vm/drop_caches", "3")?;
    Ok(())
}

fn write(bench: &Bench) -> Result<()> {
    let folder = bench.scratch.history(HOST);
    let manifests = folder.join("manifests");
    fs::create_dir_all(&manifests)?;
    let host = HostId::parse(HOST)?;
    let place = History::open(&bench.scratch.folder.join("history"))?.host(&host)?;
    log(&place, &manifests)?;
    let owner = format!("{}:{}", bench.scratch.names.owner, bench.scratch.names.readers);
    Outcome::of(Command::new("chown").args(["-R", &owner]).arg(&folder))?.expect_code(&[0])?;
    Ok(())
}

/// In each snapshot a hundredth of the files is newer.
fn log(place: &HostHistory, manifests: &Path) -> Result<()> {
    let alone = place.write_lock()?.ok_or_else(|| Trouble::new("somebody writes this history"))?;
    let mut log = LogAppender::open(place, &alone)?;
    let mut entries = entries()?;
    for sequence in 1..=SNAPSHOTS {
        for entry in entries.iter_mut().skip(sequence as usize % 100).step_by(100) {
            if let Body::Node(node) = &mut entry.body {
                node.meta.mtime.seconds += 1;
            }
        }
        let time = DateTime::from_timestamp(BEGAN + sequence.cast_signed() * EVERY, 0).unwrap_or_default();
        let name = SnapshotName::new(time, sequence)?;
        let file = File::create(manifests.join(format!("{name}.manifest")))?;
        let mut writer = ManifestWriter::new(Squeezer::new(file)?)?;
        entries.iter().try_for_each(|entry| writer.push(entry))?;
        let (sum, _) = writer.finish()?;
        log.append(Event::Ingest(ingest(sequence, &name, sum)), time)?;
    }
    Ok(())
}

fn ingest(sequence: u64, name: &SnapshotName, sum: Summary) -> Ingest {
    let mut push = [0; 16];
    push.iter_mut().zip(sequence.to_le_bytes()).for_each(|(byte, of)| *byte = of);
    Ingest {
        sequence,
        name: name.to_string(),
        root: sum.root,
        entries: sum.entries,
        left_out: 0,
        base: None,
        push: PushId::from_bytes(push),
        installation: InstallationId::from_bytes([1; 16]),
        counter: sequence,
        started: BEGAN,
        zone: "UTC".to_owned(),
        new_bytes: 1,
        changes: 1,
        long_entry_bytes: 0,
        emergency: false,
        imported: false,
        measured: None,
    }
}

fn entries() -> Result<Vec<Entry>> {
    let mut entries = vec![entry("srv", Kind::Folder)?, entry("srv/www", Kind::Folder)?];
    for folder in 0..FILES / FOLDER_FILES {
        let folder = format!("srv/www/site-{folder:05}");
        entries.push(entry(&folder, Kind::Folder)?);
        for file in 0..FOLDER_FILES {
            let path = format!("{folder}/image-{file:05}.jpeg");
            let content = ContentHash::of(path.as_bytes());
            entries.push(entry(&path, Kind::File { size: 40_000, content })?);
        }
    }
    Ok(entries)
}

fn entry(path: &str, kind: Kind) -> Result<Entry> {
    let name = |tag| Attribute { tag, name: Vec::new(), value: b"www-data".to_vec() };
    let attributes = vec![name(Tag::OwnerName), name(Tag::GroupName)];
    let mtime = Mtime { seconds: 1_700_000_000, nanos: 5 };
    let meta = Meta { mode: 0o644, owner: 33, group: 33, mtime, links: 1, attributes };
    Ok(Entry { path: RelPath::new(path.as_bytes())?, body: Body::Node(Node { meta, kind }) })
}
