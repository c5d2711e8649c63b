//! What the histories say, read by the account that owns them and by nobody else: a child of the audit, confined like every reader of what
//! hosts sent, that answers with a few facts a host.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Read, Write};

use chrono::{DateTime, Utc};
use cli::{Exit, Failed};
use durable::Dir;
use formats::entry::{Body, Kind};
use formats::{ContentHash, HostId, RelPath};
use history::{History, HostHistory, Log, Snapshot, layout};
use sandbox::{Confinement, Profile, Threads};
use serde::{Deserialize, Serialize};

use super::command::run_up_to;
use super::signature::{self, Doubt};
use crate::account::this_program;
use crate::settings::Settings;
use crate::sign::heads::Signed;
use crate::trouble::Trouble;

/// The hidden verb of the child.
pub(crate) const VERB: &str = "audit-history";
/// Longest time for all histories, and so many hosts may take a second more.
const SECONDS_MAX: u64 = 900;
const HOSTS_A_SECOND: u64 = 10;
/// Longest answer about one host, and so many histories may be there of no host that is known.
const HOST_BYTES_MAX: u64 = 16 << 10;
const STRANGERS_MAX: u64 = 1000;
/// Longest question: of what is published about ice, a part.
const ASKED_BYTES_MAX: u64 = formats::records::standing::STANDING_BYTES as u64;
/// Longest text in it.
const TEXT_BYTES_MAX: usize = 600;
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
const VAULTS_MAX: usize = 32;
const GROWTH_DAYS: i64 = 30;

/// One host's history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past {
    pub(super) host: String,
    /// Why it could not be read.
    pub(super) error: Option<String>,
    /// True if that is damage.
    pub(super) damaged: bool,
    /// Why its log is not all that was signed, or what was signed is not all of it.
    pub(super) doubt: Option<Doubt>,
    pub(super) snapshots: u64,
    /// Name of the newest.
    pub(super) latest: String,
    /// Of the snapshots that are the newest in some vault, those that hold the same as the newest here.
    pub(super) same: Vec<String>,
    /// The grant that its log says is open, in words.
    pub(super) grant: Option<String>,
    /// When the first and the newest were accepted, seconds since 1970.
    pub(super) first: i64,
    pub(super) newest: i64,
    /// When a push last found that nothing had changed since the newest snapshot, likewise; 0 if none did.
    pub(super) unchanged: i64,
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

/// The snapshots that are the newest in some vault, by host.
pub(super) type Iced = BTreeMap<String, Vec<String>>;

/// Lets the child look; sorted by host.
pub(super) fn read(settings: &Settings, hosts: usize, iced: &Iced) -> Result<Vec<Past>, String> {
    let asked = serde_json::to_vec(iced).map_err(|error| error.to_string())?;
    let hosts = hosts as u64;
    let most = (hosts + STRANGERS_MAX) * HOST_BYTES_MAX;
    let mut command = this_program();
    command.arg(VERB).arg("--config").arg(&settings.file);
    let ran = run_up_to(&mut command, asked, SECONDS_MAX + hosts / HOSTS_A_SECOND, most);
    let ran = ran.map_err(|error| error.to_string())?;
    if ran.out.len() as u64 == most {
        return Err(format!("reading the histories of {hosts} hosts: an answer of more than {most} bytes"));
    }
    match ran.code {
        Some(0) => parse(&ran.out),
        _ => Err(format!("reading the histories failed: {}", ran.said())),
    }
}

fn parse(lines: &[u8]) -> Result<Vec<Past>, String> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut pasts = lines
        .map(|line| serde_json::from_slice(line).map_err(|error| format!("reading the histories: {error}")))
        .collect::<Result<Vec<Past>, String>>()?;
    pasts.sort_by(|a, b| a.host.cmp(&b.host));
    Ok(pasts)
}

/// That of one host.
pub(super) fn of_host<'a>(pasts: &'a [Past], host: &HostId) -> Option<&'a Past> {
    let at = pasts.binary_search_by(|past| past.host.as_str().cmp(host.as_str())).ok()?;
    pasts.get(at)
}

/// The child: one line a host.
pub(crate) fn child(settings: &Settings) -> Result<Exit, Failed> {
    let answering = |error| Failed::machine("answering".to_owned(), error);
    let mut asked = Vec::new();
    let read = std::io::stdin().lock().take(ASKED_BYTES_MAX).read_to_end(&mut asked);
    read.map_err(|error| Failed::machine("reading what is asked for".to_owned(), error))?;
    let iced: Iced = serde_json::from_slice(&asked)
        .map_err(|error| Failed::machine("reading what is asked for".to_owned(), error.into()))?;
    let dir =
        Dir::open_root(&settings.history).map_err(Trouble::folder("opening the folder of histories"))?;
    let history = History::open(&settings.history).map_err(Trouble::Histories)?;
    let signed = Signed::open(settings, None)?;
    let mut confinement =
        Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::More);
    if let Some(heads) = signed.dir() {
        confinement = confinement.read_beneath(heads);
    }
    let _in_force = confinement.read_beneath(&dir).apply().map_err(Trouble::from)?;
    let now = Utc::now().timestamp();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for host in history.hosts().map_err(Trouble::Histories)? {
        let iced = iced.get(host.as_str()).map(Vec::as_slice).unwrap_or_default();
        let mut line = serde_json::to_vec(&of(&history, &host, iced, &signed, now))
            .map_err(|error| answering(error.into()))?;
        line.push(b'\n');
        out.write_all(&line).map_err(answering)?;
    }
    out.flush().map_err(answering)?;
    Ok(Exit::WHOLE)
}

fn of(history: &History, host: &HostId, iced: &[String], signed: &Signed, now: i64) -> Past {
    let mut past = Past { host: host.to_string(), ..Past::default() };
    let read = history.host(host).and_then(|place| {
        let mut log = place.log()?;
        past.same = same(&log, iced);
        past.grant = log.grant().map(|open| {
            let granted = &open.granted;
            let path = cli::shown(granted.path.as_bytes());
            cut(format!("{path} of {}, until {}", granted.snapshot, granted.until))
        });
        let doubt = (log.lines() > 0).then(|| signature::doubt(&place, signed, now)).flatten();
        past.doubt = doubt.map(|doubt| Doubt { what: cut(doubt.what), ..doubt });
        tell(&mut past, &place, &mut log, now)
    });
    if let Err(error) = read {
        past.damaged = error.is_damage();
        past.error = Some(cut(Failed::from(Trouble::history(host)(error)).chain()));
    }
    past
}

/// Which of these snapshots hold what the newest holds. Of as many as there are vaults.
fn same(log: &Log, iced: &[String]) -> Vec<String> {
    let Some(newest) = log.latest() else { return Vec::new() };
    let root = |name: &String| Some(log.known(&name.parse().ok()?)?.root);
    // Also of one that was pruned since.
    let is_same = |name: &&String| root(name) == Some(newest.root);
    let mut same: Vec<String> = iced.iter().filter(is_same).take(VAULTS_MAX).cloned().collect();
    same.sort();
    same.dedup();
    same
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    }
    text
}

fn tell(past: &mut Past, place: &HostHistory, log: &mut Log, now: i64) -> history::Result<()> {
    let snapshots = log.snapshots();
    let seconds = |text: &str| DateTime::parse_from_rfc3339(text).map_or(0, |time| time.timestamp());
    let time = |snapshot: &Snapshot| seconds(&snapshot.accepted);
    past.snapshots = snapshots.len() as u64;
    past.latest = snapshots.last().map_or_else(String::new, |newest| newest.name.to_string());
    past.first = snapshots.first().map_or(0, time);
    let newest = log.newest_push();
    past.newest = newest.map_or(0, |push| seconds(push.accepted));
    past.unchanged = log.latest().and_then(|newest| log.unchanged_at(newest)).map_or(0, |push| push.time);
    past.zone = newest.map_or_else(String::new, |push| push.zone.to_owned());
    let pushes: Vec<_> = log.accepted_pushes().collect();
    let newest = pushes.get(pushes.len().saturating_sub(PUSHES_MAX)..).unwrap_or_default();
    past.pushes =
        newest.iter().map(|one| Push { started: one.started, accepted: seconds(one.accepted) }).collect();
    let recent = snapshots.iter().rev().take_while(|one| time(one) > now - GROWTH_DAYS * 86_400);
    past.grown_bytes = recent.map(|one| one.new_bytes).fold(0, u64::saturating_add);
    let names = place.dir().names()?;
    let there: BTreeSet<String> =
        names.iter().filter_map(|name| Some(layout::snapshot_of_folder(name)?.to_string())).collect();
    for gone in snapshots.iter().filter(|one| !there.contains(one.name.as_str())) {
        // Since the log was read: it need not be there any more.
        if matches!(place.read_lock(gone), Err(history::Error::Pruned { .. })) {
            continue;
        }
        past.missing += 1;
        if past.missing_names.len() < NAMED_MAX {
            past.missing_names.push(gone.name.to_string());
        }
    }
    let back = snapshots.get(snapshots.len().saturating_sub(BACK_MAX)..).unwrap_or_default();
    let pair = back.windows(2).rev().find_map(|pair| match pair {
        [older, newer] if older.root != newer.root => Some((older.clone(), newer.clone())),
        _ => None,
    });
    match pair.map(|(older, newer)| older_files(past, place, log, &older, &newer)) {
        Some(Err(history::Error::Pruned { .. })) => Ok(()),
        // What is gone is told already.
        Some(Err(history::Error::Folder(error))) if error.is_not_found() => Ok(()),
        Some(answer) => answer,
        None => Ok(()),
    }
}

/// Reads files of the older snapshot that the newer one has otherwise: they must be what they were, but for what was redacted.
fn older_files(
    past: &mut Past,
    place: &HostHistory,
    log: &mut Log,
    older: &Snapshot,
    newer: &Snapshot,
) -> history::Result<()> {
    let _reading = place.read_lock(older)?;
    // What was redacted while it was waited for is in no log of before.
    place.read_on(log)?;
    let changed = changed(place, log, older, newer)?;
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
            past.spoiled.push(cut(format!("{}/{}", older.name, cli::shown(path.as_bytes()))));
        }
    }
    Ok(())
}

/// Regular files of the older snapshot that have another content in the newer one, or are not in it; none that was redacted.
fn changed(
    place: &HostHistory,
    log: &Log,
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
        let is_redacted = log.redacted().of(&content, older.sequence).is_some();
        if !same && !is_redacted && size <= FILE_BYTES_MAX {
            found.push((entry.path, content));
            if found.len() == FILES_MAX {
                break;
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
