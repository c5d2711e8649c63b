//! What the drills said: which ice is proved, and must stay locked; which is damaged, and must not be built upon.
//!
//! Records come from another machine, by hand. They are signed by nobody: a false one can make a lock longer, up to what the settings allow,
//! and can make a segment be sent anew; never more.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use cli::{Exit, Failure, Monitor, shown};
use durable::{Dir, Name, is_unfinished};
use formats::records::Record;
use formats::records::drill::{DRILL_RECORD_BYTES, DrillRecord, DrillResult};
use formats::records::ice_id::IceId;
use formats::{ContentHash, HostId};

use crate::ledger::{LedgerEntry, LedgerState};

/// Most records that are read.
const RECORDS_MAX: usize = 100_000;
/// Ends of a drill that tell of damage in the vault: damaged, missing, altered, differing, not to be decrypted.
const DAMAGE: [u8; 6] = [28, 29, 31, 37, 41, 42];

/// The folder of the records cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the drill records in {}", shown(.folder.as_os_str().as_encoded_bytes()))]
pub(crate) struct DrillsError {
    folder: PathBuf,
    source: durable::Error,
}

impl Failure for DrillsError {
    fn exit(&self) -> Exit {
        Exit::MACHINE
    }

    fn advice(&self) -> Option<String> {
        Some("without them no proved ice would be kept locked; make the folder, or name another as drill_records".to_owned())
    }
}

/// The newest word of the drills about each ice.
#[derive(Debug, Default)]
pub(crate) struct Drills {
    ices: HashMap<(String, IceId), Word>,
}

#[derive(Debug)]
struct Word {
    finished: String,
    says: Says,
}

#[derive(Debug, PartialEq, Eq)]
enum Says {
    Proved(Option<ContentHash>),
    Damaged,
}

impl Drills {
    /// Reads all records in `folder`. One that cannot be read is named, and passed over.
    pub(crate) fn read(folder: Option<&Path>, monitor: &dyn Monitor) -> Result<Self, DrillsError> {
        let mut drills = Self::default();
        let Some(path) = folder else { return Ok(drills) };
        let failed = |source| DrillsError { folder: path.to_owned(), source };
        let folder = Dir::open_root(path).map_err(failed)?;
        let names = folder.names().map_err(failed)?;
        let wanted = names.iter().filter(|name| name.ends_with(b".json") && !is_unfinished(name));
        for name in wanted.take(RECORDS_MAX) {
            match record(&folder, name) {
                Some(record) => drills.take(record),
                None => monitor.warn(&format!("{} is no drill record that this program reads", shown(name))),
            }
        }
        Ok(drills)
    }

    fn take(&mut self, record: DrillRecord) {
        let says = match (record.result, record.failure) {
            (DrillResult::Proved, _) => Says::Proved(record.image_hash),
            (DrillResult::Failed, Some(failure)) if DAMAGE.contains(&failure.code) => Says::Damaged,
            // Another failure says nothing about the ice.
            (DrillResult::Failed, _) => return,
        };
        let word = Word { finished: record.finished, says };
        let ice = (record.vault, record.ice);
        // Stamps are UTC texts of one shape: they sort by time.
        if self.ices.get(&ice).is_none_or(|known| known.finished <= word.finished) {
            self.ices.insert(ice, word);
        }
    }

    /// The newest ice of `host` in `vault` that a drill has proved: the one that was stored last.
    pub(crate) fn newest_proved<'l>(
        &self,
        ledger: &'l LedgerState,
        vault: &str,
        host: &HostId,
    ) -> Option<&'l LedgerEntry> {
        let is_proved = |entry: &&LedgerEntry| {
            let says = self.ices.get(&(entry.vault.clone(), entry.ice.clone())).map(|word| &word.says);
            says == Some(&Says::Proved(Some(entry.record.image.hash)))
        };
        let of_host = ledger.entries().iter().filter(|e| e.vault == vault && e.ice.host() == host);
        of_host.rev().find(is_proved)
    }

    /// The segments in `vault` of ices that a drill has found damaged, by name.
    pub(crate) fn suspects(&self, ledger: &LedgerState, vault: &str) -> HashSet<String> {
        let is_damaged = |entry: &&LedgerEntry| {
            let word = self.ices.get(&(entry.vault.clone(), entry.ice.clone()));
            word.is_some_and(|word| word.says == Says::Damaged)
        };
        let damaged = ledger.entries().iter().filter(|entry| entry.vault == vault).filter(is_damaged);
        damaged.flat_map(|entry| entry.record.segments.iter().map(|segment| segment.object.clone())).collect()
    }
}

fn record(folder: &Dir, name: &[u8]) -> Option<DrillRecord> {
    let mut line = Vec::new();
    let file = folder.open_read(Name::new(name).ok()?).ok()?;
    file.take(DRILL_RECORD_BYTES as u64 + 1).read_to_end(&mut line).ok()?;
    DrillRecord::from_line(&line).ok()
}
