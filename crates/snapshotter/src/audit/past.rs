//! What the histories say, read by the account that owns them and by nobody else: a child of the audit, confined like every reader of what
//! hosts sent, that answers with a few facts a host.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use chrono::{DateTime, Utc};
use cli::{Exit, Failed};
use durable::Dir;
use formats::entry::{Body, Kind};
use formats::{ContentHash, HostId, RelPath};
use history::{History, HostHistory, Log, Snapshot, layout};
use sandbox::{Confinement, Profile, Threads};
use serde::{Deserialize, Serialize};

use super::command::run;
use crate::account::this_program;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// The hidden verb of the child.
pub(crate) const VERB: &str = "audit-history";
/// Longest time for all histories.
const SECONDS_MAX: u64 = 900;
/// Newest pushes of a host whose times are told.
const PUSHES_MAX: usize = 30;
/// Files of an older snapshot that are read again.
const FILES_MAX: usize = 8;
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Entries of two manifests that are held side by side.
const ENTRIES_MAX: usize = 200_000;
/// Newest snapshots among which two different ones are looked for.
const BACK_MAX: usize = 20;
const NAMED_MAX: usize = 5;
const GROWTH_DAYS: i64 = 30;

/// One host's history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past {
    pub(super) host: String,
    /// Why it could not be read.
    pub(super) error: Option<String>,
    /// True if that is damage.
    pub(super) damaged: bool,
    pub(super) snapshots: u64,
    /// When the first and the newest were accepted, seconds since 1970.
    pub(super) first: i64,
    pub(super) newest: i64,
    /// Snapshots of the log that do not lie there any more; a few by name.
    pub(super) missing: u64,
    pub(super) missing_names: Vec<String>,
    /// Newest pushes, oldest first.
    pub(super) pushes: Vec<Push>,
    /// Time zone of the newest push.
    pub(super) zone: String,
    /// New contents of the last 30 days.
    pub(super) grown_bytes: u64,
    /// Files that a later push changed, read again in the older snapshot.
    pub(super) older_files: u64,
    /// Those that are not what they were.
    pub(super) spoiled: Vec<String>,
}

/// When a push was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Push {
    /// By the host's clock, seconds since 1970.
    pub(super) started: i64,
    /// By the server's.
    pub(super) accepted: i64,
}

/// Lets the child look.
pub(super) fn read(settings: &Settings) -> Result<Vec<Past>, String> {
    let mut command = this_program();
    command.arg(VERB).arg("--config").arg(&settings.file);
    let ran = run(&mut command, SECONDS_MAX).map_err(|error| error.to_string())?;
    match ran.code {
        Some(0) => {
            serde_json::from_slice(&ran.out).map_err(|error| format!("reading the histories: {error}"))
        }
        _ => Err(format!("reading the histories failed: {}", ran.said())),
    }
}

/// The child.
pub(crate) fn child(settings: &Settings) -> Result<Exit, Failed> {
    let dir =
        Dir::open_root(&settings.history).map_err(Trouble::folder("opening the folder of histories"))?;
    let history = History::open(&settings.history).map_err(Trouble::Histories)?;
    let confinement = Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::More);
    let _in_force = confinement.read_beneath(&dir).apply().map_err(Trouble::from)?;
    let now = Utc::now().timestamp();
    let hosts = history.hosts().map_err(Trouble::Histories)?;
    let pasts: Vec<Past> = hosts.iter().map(|host| of(&history, host, now)).collect();
    let answer =
        serde_json::to_vec(&pasts).map_err(|error| Failed::machine("answering".to_owned(), error.into()))?;
    let written = std::io::stdout().lock().write_all(&answer);
    written.map_err(|error| Failed::machine("answering".to_owned(), error))?;
    Ok(Exit::WHOLE)
}

fn of(history: &History, host: &HostId, now: i64) -> Past {
    let mut past = Past { host: host.to_string(), ..Past::default() };
    let read = history.host(host).and_then(|place| {
        let _reading = place.read_lock()?;
        let log = place.log()?;
        tell(&mut past, &place, &log, now)
    });
    if let Err(error) = read {
        past.damaged = error.is_damage();
        past.error = Some(Failed::from(Trouble::history(host)(error)).chain());
    }
    past
}

fn tell(past: &mut Past, place: &HostHistory, log: &Log, now: i64) -> history::Result<()> {
    let snapshots = log.snapshots();
    let time = |snapshot: &Snapshot| {
        DateTime::parse_from_rfc3339(&snapshot.accepted).map_or(0, |time| time.timestamp())
    };
    past.snapshots = snapshots.len() as u64;
    past.first = snapshots.first().map_or(0, time);
    past.newest = snapshots.last().map_or(0, time);
    past.zone = snapshots.last().map_or_else(String::new, |newest| newest.zone.clone());
    let newest = snapshots.get(snapshots.len().saturating_sub(PUSHES_MAX)..).unwrap_or_default();
    past.pushes = newest.iter().map(|one| Push { started: one.started, accepted: time(one) }).collect();
    let recent = snapshots.iter().rev().take_while(|one| time(one) > now - GROWTH_DAYS * 86_400);
    past.grown_bytes = recent.map(|one| one.new_bytes).fold(0, u64::saturating_add);
    let names = place.dir().names()?;
    let there: BTreeSet<String> =
        names.iter().filter_map(|name| Some(layout::snapshot_of_folder(name)?.to_string())).collect();
    for gone in snapshots.iter().filter(|one| !there.contains(one.name.as_str())) {
        past.missing += 1;
        if past.missing_names.len() < NAMED_MAX {
            past.missing_names.push(gone.name.to_string());
        }
    }
    let back = snapshots.get(snapshots.len().saturating_sub(BACK_MAX)..).unwrap_or_default();
    let pair = back.windows(2).rev().find_map(|pair| match pair {
        [older, newer] if older.root != newer.root => Some((older, newer)),
        _ => None,
    });
    match pair.map(|(older, newer)| older_files(past, place, older, newer)) {
        // What is gone is told already.
        Some(Err(history::Error::Folder(error))) if error.is_not_found() => Ok(()),
        Some(answer) => answer,
        None => Ok(()),
    }
}

/// Reads files of the older snapshot that the newer one has otherwise: they must be what they were.
fn older_files(
    past: &mut Past,
    place: &HostHistory,
    older: &Snapshot,
    newer: &Snapshot,
) -> history::Result<()> {
    let changed = changed(place, older, newer)?;
    let tree = place.tree(older)?;
    for (path, content) in changed {
        let mut bytes = Vec::new();
        // A file that is gone, or is no file any more, is as spoiled as one that holds something else.
        let read =
            tree.open_file(&path).ok().map(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        past.older_files += 1;
        if (!matches!(read, Some(Ok(_))) || ContentHash::of(&bytes) != content)
            && past.spoiled.len() < NAMED_MAX
        {
            past.spoiled.push(format!("{}/{}", older.name, cli::shown(path.as_bytes())));
        }
    }
    Ok(())
}

/// Regular files of the older snapshot that have another content in the newer one, or are not in it.
fn changed(
    place: &HostHistory,
    older: &Snapshot,
    newer: &Snapshot,
) -> history::Result<Vec<(RelPath, ContentHash)>> {
    let wrong = |name: &Snapshot| {
        let name = name.name.to_string();
        move |source| history::Error::Manifest { name, source }
    };
    let mut later = place.open_manifest(newer)?.take(ENTRIES_MAX).peekable();
    let mut found = Vec::new();
    for entry in place.open_manifest(older)?.take(ENTRIES_MAX) {
        let entry = entry.map_err(wrong(older))?;
        while later.peek().is_some_and(|other| other.as_ref().is_ok_and(|other| other.path < entry.path)) {
            let _passed = later.next();
        }
        let Body::Node(node) = &entry.body else { continue };
        let Kind::File { size, content } = node.kind else { continue };
        let same = match later.peek() {
            Some(Ok(other)) if other.path == entry.path => other
                .node()
                .is_some_and(|node| matches!(node.kind, Kind::File { content: now, .. } if now == content)),
            Some(Ok(_)) => false,
            // Nothing can be told beyond the end of what is compared.
            None | Some(Err(_)) => break,
        };
        if !same && size <= FILE_BYTES_MAX {
            found.push((entry.path, content));
            if found.len() == FILES_MAX {
                break;
            }
        }
    }
    Ok(found)
}
