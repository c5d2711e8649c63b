//! The logs alone: each line against the one before, what lies there against the log, and the log against what the server's key has signed.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use cli::{Exit, Failed, Run};
use durable::{Dir, Name};
use formats::records::log::LogLine;
use formats::records::log_head::LogHead;
use formats::{ContentHash, HostId};
use history::{History, HostHistory, Log, layout};
use sandbox::{Confinement, Profile, Threads};
use serde_json::json;

use super::defect::{Defects, What};
use super::{present, strangers};
use crate::list::hosts;
use crate::settings::Settings;
use crate::sign::heads::Signed;
use crate::trouble::Trouble;

/// What is asked for.
pub(crate) struct Asked<'a> {
    /// Only this host.
    pub(crate) host: Option<&'a HostId>,
    /// Another certificate than the one beside the key, which whoever broke in may have replaced.
    pub(crate) certificate: Option<&'a PathBuf>,
    /// A hash that must be one of the log's.
    pub(crate) head: Option<ContentHash>,
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, asked: &Asked<'_>) -> Result<Exit, Failed> {
    let dir =
        Dir::open_root(&settings.history).map_err(Trouble::folder("opening the folder of histories"))?;
    let history = History::open(&settings.history).map_err(Trouble::Histories)?;
    let signed = Signed::open(settings, asked.certificate.map(PathBuf::as_path))?;
    let mut confinement =
        Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::One);
    confinement = confinement.read_beneath(&dir);
    if let Some(heads) = signed.dir() {
        confinement = confinement.read_beneath(heads);
    }
    let _in_force = confinement.apply().map_err(Trouble::from)?;
    let mut defects = Defects::default();
    let mut told = Vec::new();
    for host in hosts(&history, asked.host)? {
        let place = history.host(&host).map_err(Trouble::history(&host))?;
        // Before the log: see `verify`.
        let present = present(&place)?;
        match place.log() {
            Ok(log) => {
                strangers(run, &place, &log, &present, &mut defects);
                missing(run, &place, &log, &mut defects)?;
                told.push(one(run, &place, &log, &signed, asked.head, &mut defects)?);
            }
            Err(error) if error.is_damage() => {
                let text = Failed::from(Trouble::history(&host)(error)).chain();
                defects.add(run, What::Record, (&host, None), None, &text);
            }
            Err(error) => return Err(Trouble::history(&host)(error).into()),
        }
        run.report().count("hosts", 1);
    }
    run.report().detail("logs", told);
    defects.end(run)
}

/// What the log says exists has a folder and a manifest; what is in them is another matter.
fn missing(run: &mut Run, place: &HostHistory, log: &Log, defects: &mut Defects) -> Result<(), Failed> {
    let at = || Trouble::folder(format!("looking at the history of {}", place.host()));
    let manifests = match place.dir().open_dir(layout::MANIFESTS) {
        Err(error) if error.is_not_found() => None,
        answer => Some(answer.map_err(at())?),
    };
    for snapshot in log.snapshots() {
        let is_there = |dir: Option<&Dir>, name: &str| match dir {
            Some(dir) => match Name::new(name.as_bytes()).and_then(|name| dir.stat(name)) {
                Err(error) if error.is_not_found() => Ok(false),
                answer => answer.map(|_| true),
            },
            None => Ok(false),
        };
        for (dir, name, what) in [
            (Some(place.dir()), snapshot.name.to_string(), "its files are missing"),
            (manifests.as_ref(), layout::manifest_file(&snapshot.name), "its manifest is missing"),
        ] {
            if !is_there(dir, &name).map_err(at())? {
                // Since the log was read.
                if matches!(place.read_lock(snapshot), Err(history::Error::Pruned { .. })) {
                    break;
                }
                defects.add(run, What::Record, (place.host(), Some(snapshot)), None, what);
            }
        }
    }
    Ok(())
}

/// The lines that are asked for: number and hash.
struct Lines {
    signed: Option<ContentHash>,
    asked: Option<u64>,
    /// How many there were then: an ingest adds some at any moment.
    count: u64,
}

fn lines(place: &HostHistory, head: Option<&LogHead>, asked: Option<ContentHash>) -> Result<Lines, Trouble> {
    let at = || Trouble::history(place.host());
    let of_none = (asked == Some(LogLine::first_previous(place.host()))).then_some(0);
    let mut found = Lines { signed: None, asked: of_none, count: 0 };
    for raw in place.log_reader().map_err(at())?.into_iter().flatten() {
        let raw = raw.map_err(at())?;
        found.count = raw.line.line;
        if head.is_some_and(|head| head.line == raw.line.line) {
            found.signed = Some(raw.hash);
        }
        if asked == Some(raw.hash) {
            found.asked = Some(raw.line.line);
        }
    }
    Ok(found)
}

/// Later than two looks at one clock can differ.
fn is_yet_to_come(time: &str) -> bool {
    DateTime::parse_from_rfc3339(time).is_ok_and(|time| time.to_utc() > Utc::now() + TimeDelta::minutes(5))
}

fn one(
    run: &mut Run,
    place: &HostHistory,
    log: &Log,
    signed: &Signed,
    asked: Option<ContentHash>,
    defects: &mut Defects,
) -> Result<serde_json::Value, Failed> {
    let host = place.host();
    let head = match signed.head(host) {
        Err(Trouble::Head { why, .. }) => {
            defects.add(run, What::Record, (host, None), None, &format!("the signed head of its log: {why}"));
            None
        }
        Ok(None) => {
            if log.lines() > 0 {
                run.leave_out(host.as_str().as_bytes(), "its log is not signed");
            }
            None
        }
        answer => answer?,
    };
    let found = lines(place, head.as_ref(), asked)?;
    if let Some(LogHead { line, hash, time, .. }) = &head {
        let text = match found.signed {
            Some(found) if found == *hash => None,
            Some(_) => Some(format!("line {line} of its log is another one than was signed at {time}")),
            None => Some(format!("its log ends before line {line}, which was signed at {time}")),
        };
        match text {
            Some(text) => defects.add(run, What::Record, (host, None), None, &text),
            None => {
                let (lines, newer) = (found.count, found.count.saturating_sub(*line));
                run.line(&format!(
                    "{host}: {lines} lines, signed up to line {line} at {time}; {newer} are newer"
                ));
                if is_yet_to_come(time) {
                    let why = format!(
                        "{time}, when its log was signed, is yet to come: the clock is wrong, or was"
                    );
                    run.leave_out(host.as_str().as_bytes(), &why);
                }
            }
        }
    }
    match (asked, found.asked) {
        (Some(hash), None) => {
            defects.add(
                run,
                What::Record,
                (host, None),
                None,
                &format!("no line of its log has the hash {hash}"),
            );
        }
        (Some(_), Some(line)) => run.line(&format!("{host}: that is the hash of line {line}")),
        (None, _) => {}
    }
    Ok(json!({
        "host": host.as_str(),
        "lines": log.lines(),
        "log_head": log.log_head().to_string(),
        "signed_line": head.as_ref().map(|head| head.line),
        "signed": head.as_ref().map(|head| head.time.as_str()),
        "asked_line": found.asked,
    }))
}
