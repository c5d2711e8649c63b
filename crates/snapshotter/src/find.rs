//! Names in all snapshots, from manifests alone: where they are first and last, and which versions of them there are.

mod pattern;
mod search;
mod sheet;

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat};
use cli::{Exit, Failed, Monitor, Run, shown};
use durable::Dir;
use formats::entry::{Body, Entry, Kind};
use formats::{HostId, RelPath, Root};
use history::{History, HostHistory, Log, Snapshot, layout};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sandbox::{Confinement, Profile, Threads};

use crate::list::hosts;
use crate::settings::Settings;
use crate::trouble::Trouble;
pub(crate) use pattern::Pattern;
use search::{Find, Torn, search};
use sheet::Sheet;

pub(crate) const EXAMPLES: &str = "Examples:
  snapshotter find nginx.conf
  snapshotter find '*.conf' --host web01
  snapshotter find '/srv/www/**/index.*' --host web01

A name is looked for at any depth, a pattern that begins with a slash from the top. `*` and `?` stand for a part of a name, `**` for any folders. For each
path: the first and the last snapshot that has it, and each version with the snapshots that have it so, its size and its time on the host (UTC).

Manifests are searched, not proved: `snapshotter verify` does that, and so does every restore. Ends with 0 also if nothing is found, with 28 if a
manifest cannot be read to its end, or a log is damaged; the others are searched.";

/// Paths that the report names; the count tells how many there are.
const NAMED_MAX: usize = 1_000;

/// What a path was in one snapshot, as far as it makes a version.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    text: String,
    facts: serde_json::Value,
}

impl Version {
    /// The same, in a snapshot from which its content was redacted.
    fn redacted(&self) -> Self {
        let mut facts = self.facts.clone();
        if let Some(facts) = facts.as_object_mut() {
            facts.insert("redacted".to_owned(), true.into());
        }
        Self { text: format!("{}  (redacted)", self.text), facts }
    }
}

/// A version, and the snapshots in a row that have it, by their places.
#[derive(Debug)]
struct Span {
    version: Version,
    first: usize,
    last: usize,
}

/// Runs the verb.
pub(crate) fn run(
    run: &mut Run,
    settings: &Settings,
    pattern: &Pattern,
    only: Option<&HostId>,
) -> Result<Exit, Failed> {
    let dir =
        Dir::open_root(&settings.history).map_err(Trouble::folder("opening the folder of histories"))?;
    let history = History::open(&settings.history).map_err(Trouble::Histories)?;
    open_many()?;
    let confinement = Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::More);
    let _in_force = confinement.read_beneath(&dir).apply().map_err(Trouble::Sandbox)?;
    run.report().count("found", 0);
    let mut named = Vec::new();
    let mut damaged = 0;
    for host in hosts(&history, only)? {
        match host_of(run, &history, &host, pattern, &mut named) {
            Ok(count) => damaged += count,
            Err(failed) if only.is_none() && failed.exit() == Exit::DAMAGED => {
                run.console().warn(&failed.chain());
                run.report().count("damaged", 1);
                damaged += 1;
            }
            Err(failed) => return Err(failed),
        }
    }
    run.report().detail("found", named);
    match damaged {
        0 => Ok(Exit::WHOLE),
        count => Err(Trouble::Defects { count, exit: Exit::DAMAGED }.into()),
    }
}

/// Looks through one host, if it has pushed at all; returns how many of its files are damaged.
fn host_of(
    run: &mut Run,
    history: &History,
    host: &HostId,
    pattern: &Pattern,
    named: &mut Vec<serde_json::Value>,
) -> Result<u64, Failed> {
    let at = || Trouble::history(host);
    let place = history.host(host).map_err(at())?;
    if place.dir().stat(layout::LOG).is_err_and(|error| error.is_not_found()) {
        return Ok(0);
    }
    let log = place.log().map_err(at())?;
    let damaged = one(run, &place, &log, pattern, named)?;
    run.report().count("hosts", 1);
    Ok(damaged)
}

/// Every manifest of a host is open at once.
fn open_many() -> Result<(), Trouble> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(|errno| Trouble::stream("raising the number of open files")(errno.into()))
}

/// What is searched.
struct There {
    snapshots: Vec<Snapshot>,
    /// One for each root.
    sheets: Vec<Sheet>,
    /// For each of them, the snapshots of that root by their places.
    places: Vec<Vec<usize>>,
}

/// Opens all that there is. What was pruned since the log was read is not among the snapshots either: those before and after it are neighbours.
fn there(place: &HostHistory, log: &Log) -> history::Result<There> {
    let mut there = There { snapshots: Vec::new(), sheets: Vec::new(), places: Vec::new() };
    let mut known: HashMap<Root, usize> = HashMap::new();
    for snapshot in log.snapshots() {
        let at = there.snapshots.len();
        if let Some(number) = known.get(&snapshot.root) {
            there.places.get_mut(*number).into_iter().for_each(|places| places.push(at));
        } else {
            let number = there.sheets.len();
            let file = match place.open_manifest_file(snapshot) {
                Err(history::Error::Pruned { .. }) => continue,
                file => file?,
            };
            known.insert(snapshot.root, number);
            there.sheets.push(Sheet { number, file, entries: snapshot.entries });
            there.places.push(vec![at]);
        }
        there.snapshots.push(snapshot.clone());
    }
    Ok(there)
}

/// Looks through one host; returns how many manifests are damaged.
fn one(
    run: &mut Run,
    place: &HostHistory,
    log: &Log,
    pattern: &Pattern,
    named: &mut Vec<serde_json::Value>,
) -> Result<u64, Failed> {
    let There { snapshots, sheets, places } = there(place, log).map_err(Trouble::history(place.host()))?;
    run.report().count("snapshots", snapshots.len() as u64);
    let (host, path, slots) = (place.host(), None, Vec::new());
    let mut told = Telling { run, host, log, snapshots: &snapshots, named, path, slots };
    let mut damaged = 0;
    std::thread::scope(|scope| {
        for find in search(scope, sheets, pattern) {
            match find {
                Ok(Find { entry, sheet }) => {
                    told.take(entry, places.get(sheet).map(Vec::as_slice).unwrap_or_default());
                }
                Err(Torn { sheet, source }) => {
                    damaged += 1;
                    told.torn(places.get(sheet).map(Vec::as_slice).unwrap_or_default(), source);
                }
            }
        }
        told.end();
    });
    Ok(damaged)
}

/// Puts together what is found of one path after the other.
struct Telling<'a> {
    run: &'a mut Run,
    host: &'a HostId,
    log: &'a Log,
    snapshots: &'a [Snapshot],
    named: &'a mut Vec<serde_json::Value>,
    path: Option<RelPath>,
    slots: Vec<Option<Version>>,
}

impl Telling<'_> {
    fn take(&mut self, entry: Entry, places: &[usize]) {
        if self.path.as_ref() != Some(&entry.path) {
            self.end();
            self.path = Some(entry.path.clone());
            self.slots = vec![None; self.snapshots.len()];
        }
        let version = version(&entry);
        for place in places {
            let is_redacted = self.snapshots.get(*place).is_some_and(|one| self.is_redacted(&entry, one));
            if let Some(slot) = self.slots.get_mut(*place) {
                *slot = Some(if is_redacted { version.redacted() } else { version.clone() });
            }
        }
    }

    fn is_redacted(&self, entry: &Entry, snapshot: &Snapshot) -> bool {
        match entry.node().map(|node| &node.kind) {
            Some(Kind::File { content, .. }) => self.log.redacted().of(content, snapshot.sequence).is_some(),
            _ => false,
        }
    }

    /// Prints the path that was found last.
    fn end(&mut self) {
        let Some(path) = self.path.take() else { return };
        let spans = spans(std::mem::take(&mut self.slots));
        let name = |place: usize| self.snapshots.get(place).map_or("", |snapshot| snapshot.name.as_str());
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return };
        let (first, last) = (name(first.first), name(last.last));
        let path = shown(path.as_bytes());
        self.run.line(&format!("{}  {path}  {first} .. {last}", self.host));
        for span in &spans {
            let Span { version, first, last } = span;
            self.run.line(&format!("    {} .. {}  {}", name(*first), name(*last), version.text));
        }
        self.run.report().count("found", 1);
        self.run.report().count("versions", spans.len() as u64);
        if self.named.len() < NAMED_MAX {
            let versions = spans.iter().map(|span| {
                let mut facts = span.version.facts.clone();
                for (key, place) in [("first", span.first), ("last", span.last)] {
                    if let Some(facts) = facts.as_object_mut() {
                        facts.insert(key.to_owned(), name(place).into());
                    }
                }
                facts
            });
            let versions: Vec<_> = versions.collect();
            let host = self.host.as_str();
            self.named.push(serde_json::json!({
                "host": host, "path": path, "first": first, "last": last, "versions": versions,
            }));
        }
    }

    /// One manifest is read for all snapshots of the same root, so none of them was searched to its end.
    fn torn(&mut self, places: &[usize], source: formats::manifest::ManifestError) {
        let mut names = places.iter().filter_map(|place| self.snapshots.get(*place)).map(|one| &one.name);
        let name = names.next().map(ToString::to_string).unwrap_or_default();
        for other in names {
            let host = self.host;
            let text = format!("{host}/{other}: not searched to its end, as it has the entries of {name}");
            self.run.console().warn(&text);
            self.run.report().count("not_searched", 1);
        }
        let error = Trouble::history(self.host)(history::Error::Manifest { name, source });
        self.run.console().warn(&Failed::from(error).chain());
        self.run.report().count("damaged", 1);
    }
}

/// Runs of snapshots that have the same version.
fn spans(slots: Vec<Option<Version>>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (place, slot) in slots.into_iter().enumerate() {
        let Some(version) = slot else { continue };
        match spans.last_mut() {
            Some(span) if span.last + 1 == place && span.version == version => span.last = place,
            _ => spans.push(Span { version, first: place, last: place }),
        }
    }
    spans
}

fn version(entry: &Entry) -> Version {
    let node = match &entry.body {
        Body::Node(node) => node,
        Body::Link(first) => {
            let first = shown(first.as_bytes());
            let facts = serde_json::json!({ "kind": "hard link", "of": first });
            return Version { text: format!("hard link of {first}, which has the versions"), facts };
        }
    };
    let (kind, size, content) = match &node.kind {
        Kind::File { size, content } => ("file", Some(*size), Some(content.to_string())),
        Kind::Folder => ("folder", None, None),
        Kind::Symlink { .. } => ("symlink", None, None),
        Kind::Fifo => ("fifo", None, None),
        Kind::Socket => ("socket", None, None),
        Kind::CharDevice { .. } => ("character device", None, None),
        Kind::BlockDevice { .. } => ("block device", None, None),
    };
    let mtime = node.meta.mtime;
    let time = DateTime::from_timestamp(mtime.seconds, mtime.nanos)
        .map_or_else(|| mtime.seconds.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
    let size_text = size.map_or_else(|| kind.to_owned(), |size| format!("{size} bytes"));
    let target = match &node.kind {
        Kind::Symlink { target } => Some(shown(target)),
        _ => None,
    };
    let arrow = target.as_ref().map_or_else(String::new, |target| format!(" -> {target}"));
    let facts = serde_json::json!({
        "kind": kind, "size": size, "mtime": time, "mtime_nanos": mtime.nanos, "content": content, "target": target,
    });
    Version { text: format!("{size_text}  {time}{arrow}"), facts }
}
