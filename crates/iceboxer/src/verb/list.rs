//! `iceboxer list`: what the ledger says.

use cli::{Amount, Exit, Failed, Run};
use serde_json::json;

use crate::ledger::{LedgerEntry, LedgerState};
use crate::settings::Settings;

/// Prints the ledger, oldest first.
///
/// # Errors
/// The ledger cannot be read (exit 4) or is not what was written (exit 28).
pub fn list(settings: &Settings, run: &mut Run) -> Result<Exit, Failed> {
    let ledger = LedgerState::read(&settings.ledger)?;
    let entries = ledger.entries();
    if entries.is_empty() {
        run.line("no ice yet");
    } else {
        let width = |text: fn(&LedgerEntry) -> &str| entries.iter().map(|e| text(e).len()).max().unwrap_or(0);
        let names: Vec<String> = entries.iter().map(|entry| entry.ice.to_string()).collect();
        let ice = names.iter().map(String::len).max().unwrap_or(0).max(3);
        let vault = width(|entry| &entry.vault).max(5);
        run.line(&format!(
            "{:ice$}  {:vault$}  {:>9}  {:>10}  LOCKED UNTIL",
            "ICE", "VAULT", "SNAPSHOTS", "SIZE"
        ));
        for (entry, name) in entries.iter().zip(&names) {
            let size = Amount::Bytes(None).describe(entry.bytes());
            let (snapshots, until) = (entry.record.snapshots.len(), &entry.retain_until);
            run.line(&format!("{name:ice$}  {:vault$}  {snapshots:>9}  {size:>10}  {until}", entry.vault));
        }
    }
    run.report().count("ices", entries.len() as u64);
    run.report().detail("ices", entries.iter().map(as_json).collect::<Vec<_>>());
    Ok(Exit::WHOLE)
}

fn as_json(entry: &LedgerEntry) -> serde_json::Value {
    json!({
        "ice": entry.ice.to_string(),
        "vault": entry.vault,
        "time": entry.time,
        "retain_until": entry.retain_until,
        "snapshots": entry.record.snapshots.len(),
        "segments": entry.record.segments.len(),
        "sealed_bytes": entry.bytes(),
    })
}
