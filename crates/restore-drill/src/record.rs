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

/// Records of the same second, ice and vault.
const SAME_SECOND_MAX: u32 = 999;
/// Letters of a vault's name in that of a record.
const VAULT_LETTERS_MAX: usize = 64;

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
    let stem = format!("{time}-{}-{}", record.ice.to_string().replace('/', "-"), in_name(&record.vault));
    let unfinished = format!(".unfinished-drill-{}", std::process::id());
    let unfinished = Name::new(unfinished.as_bytes())?;
    folder.write_whole(unfinished, &record.to_line()?, 0o640)?;
    let mut number = 1;
    loop {
        let name = match number {
            1 => format!("{stem}.json"),
            // Sorted after the first.
            number => format!("{stem}_{number:03}.json"),
        };
        match folder.rename_new(unfinished, folder, Name::new(name.as_bytes())?) {
            Ok(()) => return Ok(name),
            // No record takes the place of another.
            Err(error) if error.is_exists() && number < SAME_SECOND_MAX => number += 1,
            Err(error) => {
                // The first error is the one to tell; `report` passes over what is left.
                let _ = folder.unlink(unfinished);
                return Err(error.into());
            }
        }
    }
}

/// A vault's name as a part of a file's: letters, digits, dots and dashes, and not very many.
fn in_name(vault: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '.' || letter == '-';
    vault.chars().take(VAULT_LETTERS_MAX).map(|letter| if fits(letter) { letter } else { '_' }).collect()
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
