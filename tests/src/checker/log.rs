//! The snapshot log, read on its own. Written from `docs/formats/snapshot-log.md`.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Invariant::{Chained, Converging, Floor, Immutable};
use super::item::hex;
use super::{Breach, Invariant, Moment};

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
    /// The hash of each line.
    pub(super) heads: Vec<String>,
    /// Names of pruned snapshots.
    pub(super) pruned: Vec<String>,
    /// Snapshots that ever were.
    pub(super) made: u64,
    /// Contents that were redacted, in hexadecimal digits, and the sequence of the newest snapshot that they are gone from.
    pub(super) redacted: HashMap<String, u64>,
    /// Pushes that have their verdict.
    judged: HashSet<String>,
    /// The host is told no base, from a `reset` to the next `ingest`.
    is_reset: bool,
    /// The newest that was verified.
    verified: Option<String>,
    /// What is on hold: a snapshot, or all of them.
    holds: Vec<Option<String>>,
}

pub(super) fn read(folder: &Path, host: &str, moment: Moment, breaches: &mut Vec<Breach>) -> Log {
    let file = folder.join("log");
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Log::default(),
        Err(error) => {
            breaches.push(Breach::new(Chained, file.display().to_string(), error.to_string()));
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
                breaches.push(Breach::new(Converging, place, "has no newline"));
            }
            break;
        }
        match event(line, index as u64 + 1, &previous, &mut log) {
            Ok(event) => log.events.push(event),
            Err((invariant, found)) => breaches.push(Breach::new(invariant, place, found)),
        }
        previous = hex(blake3::hash(line).as_bytes());
        log.heads.push(previous.clone());
    }
    log
}

fn event(line: &[u8], number: u64, previous: &str, log: &mut Log) -> Result<Value, (Invariant, String)> {
    let chained = |found: &str| (Chained, found.to_owned());
    let record: Value = serde_json::from_slice(line).map_err(|error| (Chained, error.to_string()))?;
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_read = ["firn.log/1.", "firn.log/2."].iter().any(|format| text("format").starts_with(format));
    if !is_read || line.len() > 65_536 {
        return Err(chained("format or length"));
    }
    if record.get("line").and_then(Value::as_u64) != Some(number) {
        return Err(chained("line number"));
    }
    if text("previous") != previous {
        return Err(chained("the chain is broken"));
    }
    let (body, _) = line.split_at(line.len().saturating_sub(CHECK_BYTES));
    let check = format!(",\"check\":\"{}\"}}\n", hex(blake3::hash(body).as_bytes()));
    if line.get(body.len()..) != Some(check.as_bytes()) {
        return Err(chained("the check does not fit"));
    }
    let event = record.get("event").cloned().ok_or_else(|| chained("no event"))?;
    let of_event = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
    let held = of_event("snapshot");
    let kind = of_event("kind");
    if matches!(kind.as_deref(), Some("ingest" | "unchanged" | "reject"))
        && of_event("push").is_some_and(|push| !log.judged.insert(push))
    {
        return Err(chained("a second verdict on one push"));
    }
    match kind.as_deref() {
        Some("ingest") => take_in(ingest(&event), log).map_err(|found| (Chained, found))?,
        Some("unchanged") => {
            if !text("format").starts_with("firn.log/2.") {
                return Err(chained("an old reader would pass this over"));
            }
            unchanged(&event, log)?;
        }
        Some("reset") => log.is_reset = true,
        Some("hold") => log.holds.push(held),
        Some("release") => log.holds.retain(|hold| *hold != held),
        Some("verify") => log.verified = of_event("newest"),
        Some("prune") => {
            if !text("format").starts_with("firn.log/2.") {
                return Err(chained("an old reader would pass this over"));
            }
            prune(&event, log)?;
        }
        Some("redact") => {
            if !text("format").starts_with("firn.log/2.") {
                return Err(chained("an old reader would pass this over"));
            }
            redact(&event, log)?;
        }
        _ => {}
    }
    Ok(event)
}

fn take_in(ingest: Option<Ingest>, log: &mut Log) -> Result<(), String> {
    let ingest = ingest.ok_or("ingest without its fields")?;
    if ingest.sequence != log.made + 1 {
        return Err(format!("sequence {} after {}", ingest.sequence, log.made));
    }
    if sequence_of(&ingest.name) != Some(ingest.sequence) {
        return Err(format!("name {}", ingest.name));
    }
    log.made += 1;
    log.is_reset = false;
    log.ingests.push(ingest);
    Ok(())
}

/// A push that became no snapshot is the same as the newest, which is the base that the host was told.
fn unchanged(event: &Value, log: &Log) -> Result<(), (Invariant, String)> {
    if log.is_reset {
        return Err((Chained, "unchanged, and there is no base".to_owned()));
    }
    let newest = log.ingests.last().ok_or((Chained, "unchanged, and there is no snapshot".to_owned()))?;
    let is_newest = event.get("root").and_then(Value::as_str) == Some(&newest.root)
        && event.get("sequence").and_then(Value::as_u64) == Some(newest.sequence);
    if is_newest { Ok(()) } else { Err((Chained, "unchanged, and is not the newest".to_owned())) }
}

/// What is removed was there, is neither the newest nor the newest that was verified, and is not on hold.
fn prune(event: &Value, log: &mut Log) -> Result<(), (Invariant, String)> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let name = text("name");
    let place = log.ingests.iter().position(|one| Some(one.name.as_str()) == name);
    let place = place.ok_or((Immutable, "prunes what is not there".to_owned()))?;
    if place + 1 == log.ingests.len() {
        return Err((Floor, "prunes the newest".to_owned()));
    }
    if name == log.verified.as_deref() {
        return Err((Floor, "prunes the newest that was verified".to_owned()));
    }
    if log.holds.iter().any(|hold| hold.is_none() || hold.as_deref() == name) {
        return Err((Floor, "prunes what is on hold".to_owned()));
    }
    let gone = log.ingests.remove(place);
    let is_it = text("root") == Some(&gone.root)
        && event.get("sequence").and_then(Value::as_u64) == Some(gone.sequence);
    if !is_it {
        return Err((Immutable, "prunes another one than it names".to_owned()));
    }
    log.pruned.push(gone.name);
    Ok(())
}

/// What is redacted is named with its length, by two persons, and not while all is on hold.
fn redact(event: &Value, log: &mut Log) -> Result<(), (Invariant, String)> {
    let wrong = |found: &str| (Chained, found.to_owned());
    if log.holds.contains(&None) {
        return Err((Floor, "redacts what is on hold".to_owned()));
    }
    let person = |who: &str| event.get(who).and_then(|who| who.get("user")).and_then(Value::as_u64);
    if person("requested_by").is_none() || person("approved_by").is_none() {
        return Err(wrong("a redaction by nobody"));
    }
    let contents = event.get("contents").and_then(Value::as_array);
    for one in contents.filter(|all| !all.is_empty()).ok_or_else(|| wrong("redacts nothing"))? {
        let hash = one.get("content").and_then(Value::as_str).ok_or_else(|| wrong("redacts no content"))?;
        if one.get("size").and_then(Value::as_u64).is_none_or(|size| size == 0) {
            return Err(wrong("redacts what has no length"));
        }
        log.redacted.insert(hash.to_owned(), log.made);
    }
    Ok(())
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

/// The number in `YYYYMMDDThhmmssZ-NNNNNNNNNN`; none if it is no name of a snapshot.
pub(super) fn sequence_of(name: &str) -> Option<u64> {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let (stamp, number) = name.split_once('-')?;
    let (day, time) = stamp.strip_suffix('Z')?.split_once('T')?;
    let is_name = digits(day, 8) && digits(time, 6) && digits(number, 10);
    number.parse().ok().filter(|_| is_name)
}
