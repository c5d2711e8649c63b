//! The snapshot log, read on its own. Written from `docs/formats/snapshot-log.md`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::item::hex;
use super::{Breach, Moment};

/// `,"check":"` and 64 digits and `"}` and the newline.
const CHECK_BYTES: usize = 10 + 64 + 3;

/// An `ingest` line.
#[derive(Debug, Clone)]
pub(super) struct Ingest {
    pub(super) sequence: u64,
    pub(super) name: String,
    pub(super) root: String,
    pub(super) entries: u64,
    pub(super) push: String,
}

/// All events of a log, as JSON, and its snapshots that were not pruned.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) events: Vec<Value>,
    pub(super) ingests: Vec<Ingest>,
    made: u64,
    /// What is on hold: a snapshot, or all of them.
    holds: Vec<Option<String>>,
}

pub(super) fn read(folder: &Path, host: &str, moment: Moment, breaches: &mut Vec<Breach>) -> Log {
    let file = folder.join("log");
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Log::default(),
        Err(error) => {
            breaches.push(Breach::new(file.display().to_string(), error.to_string()));
            return Log::default();
        }
    };
    let mut log = Log::default();
    let mut previous = hex(blake3::hash(host.as_bytes()).as_bytes());
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let place = format!("log line {}", index + 1);
        if line.last() != Some(&b'\n') {
            // Never acknowledged: allowed to lie there until the next writer comes.
            if moment == Moment::Quiet {
                breaches.push(Breach::new(place, "has no newline"));
            }
            break;
        }
        match event(line, index as u64 + 1, &previous, &mut log) {
            Ok(event) => log.events.push(event),
            Err(found) => breaches.push(Breach::new(place, found)),
        }
        previous = hex(blake3::hash(line).as_bytes());
    }
    log
}

fn event(line: &[u8], number: u64, previous: &str, log: &mut Log) -> Result<Value, String> {
    let record: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_read = ["firn.log/1.", "firn.log/2."].iter().any(|format| text("format").starts_with(format));
    if !is_read || line.len() > 65_536 {
        return Err("format or length".to_owned());
    }
    if record.get("line").and_then(Value::as_u64) != Some(number) {
        return Err("line number".to_owned());
    }
    if text("previous") != previous {
        return Err("the chain is broken".to_owned());
    }
    let (body, _) = line.split_at(line.len().saturating_sub(CHECK_BYTES));
    let check = format!(",\"check\":\"{}\"}}\n", hex(blake3::hash(body).as_bytes()));
    if line.get(body.len()..) != Some(check.as_bytes()) {
        return Err("the check does not fit".to_owned());
    }
    let event = record.get("event").cloned().ok_or("no event")?;
    let held = event.get("snapshot").and_then(Value::as_str).map(str::to_owned);
    match event.get("kind").and_then(Value::as_str) {
        Some("ingest") => {
            let ingest = ingest(&event).ok_or("ingest without its fields")?;
            if ingest.sequence != log.made + 1 {
                return Err(format!("sequence {} after {}", ingest.sequence, log.made));
            }
            if !is_name(&ingest.name, ingest.sequence) {
                return Err(format!("name {}", ingest.name));
            }
            log.made += 1;
            log.ingests.push(ingest);
        }
        Some("hold") => log.holds.push(held),
        Some("release") => log.holds.retain(|hold| *hold != held),
        Some("prune") => {
            if !text("format").starts_with("firn.log/2.") {
                return Err("an old reader would pass this over".to_owned());
            }
            prune(&event, log)?;
        }
        _ => {}
    }
    Ok(event)
}

/// What is removed was there, is not the newest, and is not on hold.
fn prune(event: &Value, log: &mut Log) -> Result<(), String> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let place = log.ingests.iter().position(|one| Some(one.name.as_str()) == text("name"));
    let place = place.ok_or("prunes what is not there")?;
    if place + 1 == log.ingests.len() {
        return Err("prunes the newest".to_owned());
    }
    if log.holds.iter().any(|hold| hold.is_none() || hold.as_deref() == text("name")) {
        return Err("prunes what is on hold".to_owned());
    }
    let gone = log.ingests.remove(place);
    let is_it = text("root") == Some(&gone.root)
        && event.get("sequence").and_then(Value::as_u64) == Some(gone.sequence);
    if is_it { Ok(()) } else { Err("prunes another one than it names".to_owned()) }
}

fn ingest(event: &Value) -> Option<Ingest> {
    let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| event.get(name).and_then(Value::as_u64);
    Some(Ingest {
        sequence: number("sequence")?,
        name: text("name")?,
        root: text("root")?,
        entries: number("entries")?,
        push: text("push")?,
    })
}

/// `YYYYMMDDThhmmssZ-NNNNNNNNNN`.
fn is_name(name: &str, sequence: u64) -> bool {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let Some((stamp, number)) = name.split_once('-') else { return false };
    let Some((day, time)) = stamp.split_once('T') else { return false };
    digits(day, 8)
        && digits(time.trim_end_matches('Z'), 6)
        && time.len() == 7
        && number == format!("{sequence:010}")
}
