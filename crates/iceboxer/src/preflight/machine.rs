//! This machine: the history, the folders that iceboxer writes, and room for the largest image.

use std::path::Path;
use std::{fs, io};

use cli::{Amount, Exit, Failed, Failure};
use durable::Dir;
use history::History;
use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::checks::{
    FOLDER_ABSENT, FOLDER_UNUSABLE, HISTORY_MISSING, HISTORY_UNSOUND, LEDGER_DAMAGED, NO_DRILL_RECORD,
    NO_STAGING_ROOM,
};
use super::finding::Finding;
use crate::build::{log_to_read, room_needed, wanted};
use crate::image::ImageError;
use crate::image::survey::survey;
use crate::ledger::LedgerState;
use crate::settings::{Scope, Settings};

/// What the largest image may come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of an image, at most.
    pub image_bytes: u64,
}

/// What there is to say about this machine, and what vaults need room for.
#[must_use]
pub fn findings(settings: &Settings) -> (Vec<Finding>, Needs) {
    let mut findings = Vec::new();
    let needs = match largest(&settings.history, settings.scope, &mut findings) {
        Ok(needs) => needs,
        Err(failed) => {
            findings.push(Finding::new(HISTORY_MISSING, "history", failed.chain()));
            Needs::default()
        }
    };
    for (name, path) in [("staging", &settings.staging), ("ledger", &settings.ledger)] {
        findings.extend(folder(name, path));
    }
    findings.extend(room(settings, needs));
    let ices = match LedgerState::read(&settings.ledger) {
        Ok(ledger) => ledger.entries().len(),
        Err(error) => {
            let check = if error.exit() == Exit::DAMAGED { LEDGER_DAMAGED } else { FOLDER_UNUSABLE };
            findings.push(Finding::new(check, "ledger", Failed::from(error).chain()));
            0
        }
    };
    findings.extend(drills(settings.drill_records.as_deref(), ices));
    (findings, needs)
}

/// Reads the manifests of every host, as a run would. One host's trouble hides no other's size.
fn largest(path: &Path, scope: Scope, findings: &mut Vec<Finding>) -> Result<Needs, Failed> {
    let history = History::open(path).map_err(ImageError::from)?;
    let mut image_bytes = 0;
    for host in history.hosts().map_err(ImageError::from)? {
        let size = || -> Result<u64, ImageError> {
            let history = history.host(&host)?;
            let (log, _reading) = log_to_read(&history, scope)?;
            let snapshots = wanted(&log, scope);
            if snapshots.is_empty() {
                Ok(0)
            } else {
                Ok(survey(&history, snapshots, log.redacted())?.image_bytes_max)
            }
        };
        match size() {
            Ok(bytes) => image_bytes = image_bytes.max(bytes),
            Err(error) => findings.push(Finding::new(
                HISTORY_UNSOUND,
                &format!("history of {host}"),
                Failed::from(error).chain(),
            )),
        }
    }
    Ok(Needs { image_bytes })
}

/// Before there is ice, nothing can have been drilled.
fn drills(folder: Option<&Path>, ices: usize) -> Option<Finding> {
    let found = |seen: &str| Some(Finding::new(NO_DRILL_RECORD, "drills", seen));
    let Some(folder) = folder else { return found("`drill_records` is not set") };
    let is_record = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "json"))
    };
    match fs::read_dir(folder).map(|mut entries| entries.any(is_record)) {
        Ok(false) if ices > 0 => found("there is no record in their folder yet"),
        Ok(_) => None,
        Err(error) => Some(Finding::new(FOLDER_UNUSABLE, "drill_records folder", error.to_string())),
    }
}

/// The folder itself, or the nearest above it that is there.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|above| above.exists()).unwrap_or(path)
}

fn folder(name: &str, path: &Path) -> Option<Finding> {
    let there = existing(path);
    let usable =
        there.is_dir() && accessat(CWD, there, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok();
    let on = format!("{name} folder");
    match (usable, there == path) {
        (true, true) => None,
        (true, false) => Some(Finding::new(FOLDER_ABSENT, &on, "it is not there yet")),
        (false, true) => Some(Finding::new(FOLDER_UNUSABLE, &on, "this account cannot write there")),
        (false, false) => {
            Some(Finding::new(FOLDER_UNUSABLE, &on, "it is not there, and this account cannot make it"))
        }
    }
}

/// As a run asks for it: the image, and the segments that are sealed at one time.
fn room(settings: &Settings, needs: Needs) -> Option<Finding> {
    let free = Dir::open_root(existing(&settings.staging)).and_then(|dir| dir.free_bytes()).ok()?;
    let needed = room_needed(needs.image_bytes, settings.segment_bytes, settings.workers());
    (needed > free).then(|| {
        let bytes = |number| Amount::Bytes(None).describe(number);
        let seen =
            format!("the largest image may take {}, and there is room for {}", bytes(needed), bytes(free));
        Finding::new(NO_STAGING_ROOM, "staging folder", seen)
    })
}
