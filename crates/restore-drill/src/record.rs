//! Drill records: written once, whole; read by `report`.

use std::fs::DirBuilder;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use cli::{Exit, Failed, Failure, shown};
use durable::{Dir, Name, is_unfinished};
use formats::records::drill::{
    DRILL_RECORD_BYTES, DrillFailure, DrillRecord, DrillResult, DrilledSnapshot, FromManifest,
};
use formats::records::ice_id::IceId;
use formats::records::{Record, RecordError};
use vault::stamp::utc_text;

use crate::args::PROGRAM;
use crate::thaw::Tally;

/// Why the folder of records cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordsError {
    #[error("{}: failed to make the folder of the drill records", shown(.path.as_os_str().as_encoded_bytes()))]
    Make { path: PathBuf, source: std::io::Error },
    #[error("the folder of the drill records")]
    Folder(#[from] durable::Error),
    #[error("the drill record")]
    Record(#[from] RecordError),
    #[error("reading the drill record")]
    Read(#[source] std::io::Error),
}

impl Failure for RecordsError {
    fn exit(&self) -> Exit {
        Exit::MACHINE
    }
}

/// What a drill found, as far as it came.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    /// Fetched and decrypted.
    pub(crate) tally: Tally,
    /// Compared, entry by entry.
    pub(crate) snapshots: Vec<DrilledSnapshot>,
    /// What the image could not hold.
    pub(crate) from_manifest: Vec<FromManifest>,
}

/// The record of a drill that ends now, and failed if there is a `failed`.
pub(crate) fn closed(
    ice: &IceId,
    vault: &str,
    started: DateTime<Utc>,
    proof: Proof,
    failed: Option<&Failed>,
) -> DrillRecord {
    DrillRecord {
        format: DrillRecord::format(),
        ice: ice.clone(),
        vault: vault.to_owned(),
        started: utc_text(&started),
        finished: utc_text(&Utc::now()),
        tool: format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION")),
        result: if failed.is_some() { DrillResult::Failed } else { DrillResult::Proved },
        failure: failed.map(|failed| DrillFailure { code: failed.exit().code(), text: failed.chain() }),
        segments: proof.tally.segments,
        bytes: proof.tally.bytes,
        snapshots: proof.snapshots,
        from_manifest: proof.from_manifest,
        key: proof.tally.key,
        image_hash: proof.tally.image_hash,
    }
}

/// Opens the folder of the records, which is made if it is not there.
pub(crate) fn open(path: &Path) -> Result<Dir, RecordsError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(path)
        .map_err(|source| RecordsError::Make { path: path.to_owned(), source })?;
    Ok(Dir::open_root(path)?)
}

/// Writes `record`, whole, under a name of its own; gives that name.
pub(crate) fn keep(
    folder: &Dir,
    record: &DrillRecord,
    started: DateTime<Utc>,
) -> Result<String, RecordsError> {
    let time = started.format("%Y%m%dT%H%M%SZ");
    let name = format!("{time}-{}.json", record.ice.to_string().replace('/', "-"));
    folder.write_whole(Name::new(name.as_bytes())?, &record.to_line()?, 0o640)?;
    Ok(name)
}

/// The names of all records, oldest first.
pub(crate) fn names(folder: &Dir) -> Result<Vec<Vec<u8>>, RecordsError> {
    let mut names = folder.names()?;
    names.retain(|name| name.ends_with(b".json") && !is_unfinished(name));
    Ok(names)
}

/// Reads one record.
pub(crate) fn read(folder: &Dir, name: &[u8]) -> Result<DrillRecord, RecordsError> {
    let mut line = Vec::new();
    let file = folder.open_read(Name::new(name)?)?;
    file.take(DRILL_RECORD_BYTES as u64 + 1).read_to_end(&mut line).map_err(RecordsError::Read)?;
    Ok(DrillRecord::from_line(&line)?)
}
