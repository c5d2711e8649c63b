//! Which ice has what is redacted, by iceboxer's ledger. None of it can be erased before its lock ends, so it is named.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};

use durable::{Dir, Name};
use formats::HostId;
use formats::records::Record;
use formats::records::ice::IceRecord;
use formats::records::ledger::{LEDGER_LINE_BYTES, LedgerLine};
use formats::records::redaction::{IceBefore, REDACTED_ICE};

use super::order::Found;
use crate::settings::Settings;
use crate::standing;

const LEDGER: Name<'static> = Name::literal("ledger");

/// No ledger says what iceboxer is at, and it locks nothing while it puts: it asks the log before each object.
const UNDER_WAY: &str = "ice that is being put now is not counted: iceboxer gives it up once the redaction is in the log, and what the vault has of it by then stays there until its lock ends";

/// What is known of the ice that has it.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// How many; none if there is no ledger that could tell.
    pub(super) count: Option<u64>,
    /// Those that are locked for longest, longest first.
    pub(super) ice: Vec<IceBefore>,
    /// What the reader has to know about this list.
    pub(super) caveat: Option<String>,
}

/// Asks the ledger, or where there is none what iceboxer published.
pub(super) fn known(settings: &Settings, host: &HostId, found: &Found) -> Known {
    match of_ledger(settings, host, found) {
        Ok(Some(ice)) => {
            let count = Some(ice.len() as u64);
            Known { count, ice: longest(ice), caveat: Some(UNDER_WAY.to_owned()) }
        }
        Ok(None) => of_standing(settings, host, "there is no ledger of ice here"),
        Err(why) => of_standing(settings, host, &format!("the ledger of ice cannot be read: {why}")),
    }
}

/// The last line of an ice in a vault holds.
fn of_ledger(settings: &Settings, host: &HostId, found: &Found) -> Result<Option<Vec<IceBefore>>, String> {
    let opened = Dir::open_root(&settings.redact.ledger).and_then(|dir| dir.open_read(LEDGER));
    let file = match opened {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened.map_err(|error| error.to_string())?,
    };
    let wanted: BTreeSet<&str> = found.snapshots.iter().map(String::as_str).collect();
    let mut known: BTreeMap<(String, String), IceBefore> = BTreeMap::new();
    let mut from = BufReader::new(file);
    loop {
        let mut line = Vec::new();
        let read = (&mut from).take(LEDGER_LINE_BYTES as u64 + 1).read_until(b'\n', &mut line);
        if read.map_err(|error| error.to_string())? == 0 {
            return Ok(Some(known.into_values().collect()));
        }
        if line.last() != Some(&b'\n') {
            // A line that is being written, or was never acknowledged.
            continue;
        }
        let line = LedgerLine::from_line(&line).map_err(|error| cli::chain(&error))?;
        if line.ice.host == *host && has(&line.ice, &wanted, found) {
            let LedgerLine { vault, retain_until, ice, .. } = line;
            let ice = ice.ice.to_string();
            known.insert((vault.clone(), ice.clone()), IceBefore { vault, ice, retain_until });
        }
    }
}

/// One of its snapshots has a name of one of the contents, and was not redacted when the image was made.
fn has(ice: &IceRecord, wanted: &BTreeSet<&str>, found: &Found) -> bool {
    ice.snapshots
        .iter()
        .filter(|one| wanted.contains(one.name.as_str()))
        .any(|one| found.hits.iter().any(|hit| !ice.is_redacted(&hit.content.content, one.sequence)))
}

fn of_standing(settings: &Settings, host: &HostId, why: &str) -> Known {
    let ices = match standing::read(settings) {
        Ok(Some(record)) => record.ices,
        Ok(None) => Vec::new(),
        Err(_) => return Known { caveat: Some(why.to_owned()), ..Known::default() },
    };
    let of_host = ices.into_iter().filter(|ice| ice.host == *host);
    let ice = of_host.map(|one| IceBefore {
        vault: one.vault,
        ice: one.ice.to_string(),
        retain_until: one.retain_until,
    });
    let caveat =
        format!("{why}: this is the newest ice of each vault alone, and nobody looked what is in it");
    Known { count: None, ice: longest(ice.collect()), caveat: Some(caveat) }
}

fn longest(mut ice: Vec<IceBefore>) -> Vec<IceBefore> {
    ice.sort_by(|a, b| b.retain_until.cmp(&a.retain_until));
    ice.truncate(REDACTED_ICE);
    ice
}
