//! What the drills said: which ice is proved, and must stay locked; which is damaged, and must not be built upon.
//!
//! Records come from another machine, by hand. They are signed by nobody: a false one can make a lock longer, up to what the settings allow,
//! and can make a segment be sent anew or be used once more; never more. A false word of damage lets no lock run out.

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
use crate::standing::of_host;

/// Most records that are read.
const RECORDS_MAX: usize = 100_000;
/// Ends of a drill that tell of bad bytes in the vault: damaged, missing, altered, differing, not to be decrypted, nothing to verify, not signed.
const DAMAGE: [u8; 8] = [28, 29, 31, 37, 41, 42, 43, 44];

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

/// What the drills said about each ice.
#[derive(Debug, Default)]
pub(crate) struct Drills {
    ices: HashMap<(String, IceId), Word>,
}

/// What they said about one. Stamps are UTC texts of one shape: they sort by time.
#[derive(Debug, Default)]
struct Word {
    /// When an image of this hash was last proved to be in it.
    proved: HashMap<ContentHash, String>,
    /// When damage was last found.
    damaged: Option<String>,
}

impl Word {
    fn proof(&self, entry: &LedgerEntry) -> Option<&str> {
        self.proved.get(&entry.record.image.hash).map(String::as_str)
    }

    /// The time of the newest word, and whether it is one of damage.
    fn newest(&self, entry: &LedgerEntry) -> Option<(&str, Finding)> {
        let proof = self.proof(entry).map(|at| (at, Finding::Proof));
        let damage = self.damaged.as_deref().map(|at| (at, Finding::Damage));
        proof.max(damage)
    }
}

/// Of two at one time, damage counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    Proof,
    Damage,
}

impl Drills {
    /// Reads the records in `folder`. One that cannot be read is named, and passed over.
    pub(crate) fn read(folder: Option<&Path>, monitor: &dyn Monitor) -> Result<Self, DrillsError> {
        Self::read_newest(RECORDS_MAX, folder, monitor)
    }

    fn read_newest(most: usize, folder: Option<&Path>, monitor: &dyn Monitor) -> Result<Self, DrillsError> {
        let mut drills = Self::default();
        let Some(path) = folder else { return Ok(drills) };
        let failed = |source| DrillsError { folder: path.to_owned(), source };
        let folder = Dir::open_root(path).map_err(failed)?;
        let mut names = folder.names().map_err(failed)?;
        names.retain(|name| name.ends_with(b".json") && !is_unfinished(name));
        // They begin with their time: the newest are the last.
        let passed_over = names.len().saturating_sub(most);
        if passed_over > 0 {
            monitor.warn(&format!(
                "of the drill records only the newest {most} are read, {passed_over} are passed over: move old ones away"
            ));
        }
        for name in names.iter().skip(passed_over) {
            if !record(&folder, name).is_some_and(|record| drills.take(record)) {
                monitor.warn(&format!("{} is no drill record that this program reads", shown(name)));
            }
        }
        Ok(drills)
    }

    /// False for a record that contradicts itself.
    fn take(&mut self, record: DrillRecord) -> bool {
        let (ice, at) = ((record.vault, record.ice), record.finished);
        match (record.result, record.image_hash, record.failure) {
            (DrillResult::Proved, Some(hash), _) => {
                let known = self.ices.entry(ice).or_default().proved.entry(hash).or_default();
                *known = at.max(std::mem::take(known));
            }
            (DrillResult::Proved, None, _) => return false,
            (DrillResult::Failed, _, Some(failure)) if DAMAGE.contains(&failure.code) => {
                let known = &mut self.ices.entry(ice).or_default().damaged;
                *known = known.take().max(Some(at));
            }
            // Another failure says nothing about the ice.
            (DrillResult::Failed, ..) => {}
        }
        true
    }

    /// When the last drill ended that proved this ice.
    pub(crate) fn proved_at(&self, entry: &LedgerEntry) -> Option<&str> {
        self.word(entry)?.proof(entry)
    }

    fn word(&self, entry: &LedgerEntry) -> Option<&Word> {
        self.ices.get(&(entry.vault.clone(), entry.ice.clone()))
    }

    fn is_damaged(&self, entry: &LedgerEntry) -> bool {
        let newest = self.word(entry).and_then(|word| word.newest(entry));
        newest.is_some_and(|(_, finding)| finding == Finding::Damage)
    }

    /// The ices of `host` in `vault` of which a drill has proved the image that the ledger names, at any time; what was stored last first.
    fn ever_proved<'l>(&self, ledger: &'l LedgerState, vault: &str, host: &HostId) -> Vec<&'l LedgerEntry> {
        let proved = |entry: &&LedgerEntry| self.word(entry).is_some_and(|word| word.proof(entry).is_some());
        of_host(ledger, vault, host).filter(proved).collect()
    }

    /// What stays locked: the newest ice that was ever proved, and, if damage has been found in it since, also the newest of the others in which
    /// none was. So a false record takes no protection away.
    pub(crate) fn kept<'l>(
        &self,
        ledger: &'l LedgerState,
        vault: &str,
        host: &HostId,
    ) -> Vec<&'l LedgerEntry> {
        let proved = self.ever_proved(ledger, vault, host);
        let whole = proved.iter().position(|entry| !self.is_damaged(entry));
        let is_kept = |place: usize| place == 0 || Some(place) == whole;
        proved.into_iter().enumerate().filter(|(place, _)| is_kept(*place)).map(|(_, entry)| entry).collect()
    }

    /// The newest ice of `host` in `vault` that is proved, as far as the newest word about it goes.
    pub(crate) fn newest_proved<'l>(
        &self,
        ledger: &'l LedgerState,
        vault: &str,
        host: &HostId,
    ) -> Option<&'l LedgerEntry> {
        self.ever_proved(ledger, vault, host).into_iter().find(|entry| !self.is_damaged(entry))
    }

    /// True if a drill has found damage in this ice, or in a segment that it shares.
    pub(crate) fn is_suspect(&self, ledger: &LedgerState, entry: &LedgerEntry) -> bool {
        let suspects = self.suspects(ledger, &entry.vault);
        self.is_damaged(entry) || entry.record.segments.iter().any(|s| suspects.contains(s.object.as_str()))
    }

    /// The segments in `vault` that are of an ice which a drill has found damaged, and of none that one has proved since; by name.
    pub(crate) fn suspects(&self, ledger: &LedgerState, vault: &str) -> HashSet<String> {
        let mut newest: HashMap<&str, (&str, Finding)> = HashMap::new();
        // Nearly always so, and the rest is long.
        if self.ices.values().all(|word| word.damaged.is_none()) {
            return HashSet::new();
        }
        for entry in ledger.entries().iter().filter(|entry| entry.vault == vault) {
            let Some(word) = self.word(entry).and_then(|word| word.newest(entry)) else { continue };
            for segment in &entry.record.segments {
                let known = newest.entry(&segment.object).or_insert(word);
                *known = word.max(*known);
            }
        }
        let damaged = newest.into_iter().filter(|(_, (_, finding))| *finding == Finding::Damage);
        damaged.map(|(object, _)| object.to_owned()).collect()
    }

    /// Ices of which there are records that count for nothing, and why.
    pub(crate) fn unused(
        &self,
        ledger: &LedgerState,
        is_vault: impl Fn(&str) -> bool,
    ) -> Vec<(String, &'static str)> {
        let known: HashMap<_, _> = ledger.entries().iter().map(|e| ((e.vault.as_str(), &e.ice), e)).collect();
        let mut unused = Vec::new();
        for ((vault, ice), word) in &self.ices {
            let why = match known.get(&(vault.as_str(), ice)) {
                None => NOT_IN_LEDGER,
                Some(_) if !is_vault(vault) => NO_VAULT,
                Some(entry) if !word.proved.is_empty() && word.proof(entry).is_none() => OTHER_IMAGE,
                Some(_) => continue,
            };
            unused.push((format!("the drills of {ice} in vault {vault}"), why));
        }
        unused.sort();
        unused
    }
}

const NOT_IN_LEDGER: &str = "the ledger names no such ice, and nothing keeps it locked; is this ledger the right one, and is the vault called the same where drills are done? else take the records away";
const NO_VAULT: &str =
    "the settings name no such vault, and nothing there stays locked; take the records away if that is meant";
const OTHER_IMAGE: &str = "the image that was proved is another than the one in the ledger";

fn record(folder: &Dir, name: &[u8]) -> Option<DrillRecord> {
    let mut line = Vec::new();
    let file = folder.open_read(Name::new(name).ok()?).ok()?;
    file.take(DRILL_RECORD_BYTES as u64 + 1).read_to_end(&mut line).ok()?;
    DrillRecord::from_line(&line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_records_the_newest_are_read() {
        let folder = tempfile::tempdir().unwrap();
        for day in 1..=4 {
            let at = format!("2026-03-0{day}T00:00:00Z");
            let record = serde_json::json!({
                "format": "firn.drill/1.0", "ice": format!("web01/20260302T000000Z-000000000{day}"), "vault": "local",
                "started": at, "finished": at, "tool": "restore-drill 1", "result": "proved", "failure": null,
                "segments": 1, "bytes": 1, "snapshots": [], "from_manifest": [], "key": null,
                "image_hash": ContentHash::of(b"image"),
            });
            let name = format!("2026030{day}T000000Z-web01.json");
            std::fs::write(folder.path().join(name), format!("{record}\n")).unwrap();
        }
        let console = cli::Common::default().console();
        let read = |most| {
            let drills = Drills::read_newest(most, Some(folder.path()), &console).unwrap();
            let mut ices: Vec<String> = drills.ices.keys().map(|(_, ice)| ice.to_string()).collect();
            ices.sort();
            ices
        };
        assert_eq!(read(4).len(), 4, "the control");
        assert_eq!(read(1), ["web01/20260302T000000Z-0000000004"]);
    }
}
