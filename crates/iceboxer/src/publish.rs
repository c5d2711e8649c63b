//! Publishes how the ice of each host stands, for those who may not read the ledger. Document: docs/formats/standing.md.
//!
//! It is a copy: whatever becomes of it, no ice and no lock depends on it. So that it cannot be written is said, and is no failure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::Utc;
use durable::{Dir, Name};
use formats::HostId;
use formats::records::standing::{Damage, DrillsKnown, StandingIce, StandingProved, StandingRecord};
use formats::records::{Record, RecordError};
use rustix::fs::Mode;
use vault::stamp::utc_text;

use crate::drills::Drills;
use crate::ledger::{LedgerEntry, LedgerState};
use crate::settings::Settings;

/// Readable by everybody.
const MODE: u32 = 0o644;
/// Takes nothing of that away.
const UMASK: u32 = 0o022;

/// Why it was not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// The folder is missing, or refused.
    #[error("how the ice stands was not published at {}", cli::shown(.path.as_os_str().as_encoded_bytes()))]
    Folder {
        /// Where it should be.
        path: PathBuf,
        /// The refusal.
        source: durable::Error,
    },
    /// There is more of it than a reader takes.
    #[error("how the ice stands was not published")]
    Record(#[from] RecordError),
}

impl PublishError {
    /// In one line, with its cause and what to do.
    pub(crate) fn told(&self) -> String {
        let advice = match self {
            PublishError::Folder { source, .. } if source.is_not_found() => {
                "; make the folder, for the account that runs iceboxer, with mode 0755"
            }
            _ => "",
        };
        let cause = std::error::Error::source(self).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{self}{cause}{advice}")
    }
}

/// Where it is published, and what the settings say about it.
#[derive(Debug, Clone)]
pub struct Publisher {
    path: PathBuf,
    vaults: BTreeSet<String>,
}

impl Publisher {
    /// At `path`, of a server whose settings name these vaults.
    #[must_use]
    pub fn new(path: PathBuf, vaults: BTreeSet<String>) -> Self {
        Self { path, vaults }
    }

    /// As the settings say.
    pub(crate) fn of(settings: &Settings) -> Self {
        let vaults = settings.vaults.iter().map(|vault| vault.store.name.clone()).collect();
        Self::new(settings.standing.clone(), vaults)
    }

    /// Writes it, whole; `drills` are none if there are no records to read.
    pub(crate) fn publish(&self, ledger: &LedgerState, drills: Option<&Drills>) -> Result<(), PublishError> {
        let line = self.record(ledger, drills).to_line()?;
        let failed = |source| PublishError::Folder { path: self.path.clone(), source };
        let (folder, name) = (self.path.parent(), self.path.file_name());
        let folder = Dir::open_root(folder.unwrap_or(Path::new("/"))).map_err(failed)?;
        let name = Name::new(name.unwrap_or_default().as_encoded_bytes()).map_err(failed)?;
        // A service runs with a mask that hides everything it writes; this is for all to read.
        let before = rustix::process::umask(Mode::from_raw_mode(UMASK));
        let written = folder.write_whole(name, &line, MODE);
        rustix::process::umask(before);
        written.map_err(failed)
    }

    fn record(&self, ledger: &LedgerState, drills: Option<&Drills>) -> StandingRecord {
        let none = Drills::default();
        let known = if drills.is_some() { DrillsKnown::Read } else { DrillsKnown::Unknown };
        let drills = drills.unwrap_or(&none);
        let newest = newest(ledger);
        let ices = newest.values().map(|entry| standing(ledger, drills, entry)).collect();
        StandingRecord {
            format: StandingRecord::format(),
            written: utc_text(&Utc::now()),
            vaults: self.vaults.iter().cloned().collect(),
            drills: known,
            ices,
        }
    }
}

/// The newest ice of each host in each vault.
pub(crate) fn newest(ledger: &LedgerState) -> BTreeMap<(&HostId, &str), &LedgerEntry> {
    ledger.entries().iter().map(|entry| ((entry.ice.host(), entry.vault.as_str()), entry)).collect()
}

fn standing(ledger: &LedgerState, drills: &Drills, entry: &LedgerEntry) -> StandingIce {
    let host = entry.ice.host();
    let proved = drills.newest_proved(ledger, &entry.vault, host).and_then(|proved| {
        Some(StandingProved {
            ice: proved.ice.clone(),
            snapshot: proved.ice.snapshot().to_owned(),
            drilled: drills.proved_at(proved)?.to_owned(),
            retain_until: proved.retain_until.clone(),
        })
    });
    let damage = if drills.is_suspect(ledger, entry) { Damage::Found } else { Damage::None };
    StandingIce {
        host: host.clone(),
        vault: entry.vault.clone(),
        ice: entry.ice.clone(),
        snapshot: entry.ice.snapshot().to_owned(),
        stored: entry.record.created.clone(),
        retain_until: entry.retain_until.clone(),
        damage,
        proved,
    }
}
