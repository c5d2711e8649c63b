//! What differs between two snapshots of a host, from their manifests alone.

use std::cmp::Ordering;
use std::ffi::OsStr;

use cli::{Amount, Exit, Failed, Monitor, Run, shown};
use formats::entry::{Body, Entry, Kind, Node};
use formats::{HostId, RelPath};
use history::{HostHistory, Log, Manifest, Snapshot};
use restore::{Leaders, Selection};
use sandbox::{Confinement, Profile, Threads};

use crate::list::open;
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::when::When;

pub(crate) const EXAMPLES: &str = "Examples:
  snapshotter diff web01 2026-01-31 latest
  snapshotter diff web01 2026-01-31 latest etc/nginx

One line a path: `+` is only in B, `-` only in A, `c` has another content, kind or target, `m` other metadata alone, which is named. Ends with 0 whether or not
something differs, with 43 if PATH is in neither; the report of --json counts and lists it.";

/// Paths that the report names; the counts tell how many there are.
const NAMED_MAX: usize = 1_000;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Added,
    Removed,
    Content,
    Metadata,
}

impl Change {
    fn sign(self) -> char {
        match self {
            Change::Added => '+',
            Change::Removed => '-',
            Change::Content => 'c',
            Change::Metadata => 'm',
        }
    }

    fn word(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Content => "content",
            Change::Metadata => "metadata",
        }
    }
}

/// Runs the verb.
pub(crate) fn run(
    run: &mut Run,
    settings: &Settings,
    host: &HostId,
    (first, second): (&When, &When),
    path: Option<&OsStr>,
) -> Result<Exit, Failed> {
    let selection = Selection::parse(path)?;
    let at = || Trouble::history(host);
    let place = open(settings)?.host(host).map_err(at())?;
    let confinement = Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::More);
    let _in_force = confinement.read_beneath(place.dir()).apply().map_err(Trouble::Sandbox)?;
    let log = place.log().map_err(at())?;
    let (first, second) = (first.find(&log)?, second.find(&log)?);
    for (key, snapshot) in [("first", first), ("second", second)] {
        run.report().detail(key, snapshot.name.as_str());
    }
    let task = run.console().task("comparing", Amount::Items(Some(first.entries + second.entries)));
    let mut sides = [Side::open(&place, first)?, Side::open(&place, second)?];
    let mut telling = Telling { run, log: &log, named: Vec::new() };
    let mut is_found = selection == Selection::All;
    loop {
        let [old, new] = &mut sides;
        let order = match (old.path()?, new.path()?) {
            (None, None) => break,
            (Some(old), Some(new)) => old.cmp(new),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
        };
        let before = if order.is_le() { old.take() } else { None };
        let after = if order.is_ge() { new.take() } else { None };
        task.advance(u64::from(before.is_some()) + u64::from(after.is_some()));
        let Some(entry) = after.as_ref().or(before.as_ref()) else { break };
        if selection.asks_for(&entry.path) {
            is_found = true;
            telling.compare(&entry.path, (old, before.as_ref()), (new, after.as_ref()));
        }
    }
    let named = telling.named;
    run.report().detail("changes", named);
    match selection {
        Selection::Beneath(path) if !is_found => {
            let snapshot = format!("{}, nor in {}", first.name, second.name);
            Err(Trouble::Absent { path: shown(path.as_bytes()), snapshot }.into())
        }
        _ => Ok(Exit::WHOLE),
    }
}

/// One of the two manifests, and its next entry.
struct Side<'a> {
    place: &'a HostHistory,
    snapshot: &'a Snapshot,
    entries: Manifest,
    next: Option<Entry>,
    leaders: Leaders,
    is_proved: bool,
}

impl<'a> Side<'a> {
    fn open(place: &'a HostHistory, snapshot: &'a Snapshot) -> Result<Self, Failed> {
        let entries = place.open_manifest(snapshot).map_err(Trouble::history(place.host()))?;
        Ok(Side { place, snapshot, entries, next: None, leaders: Leaders::default(), is_proved: false })
    }

    /// The path of the next entry. At the end the manifest must be the one that the log names.
    fn path(&mut self) -> Result<Option<&RelPath>, Failed> {
        if self.next.is_none() && !self.is_proved {
            let name = || self.snapshot.name.to_string();
            match self.entries.next() {
                Some(Ok(entry)) => {
                    self.leaders.gather(&entry);
                    self.next = Some(entry);
                }
                Some(Err(source)) => {
                    let error = history::Error::Manifest { name: name(), source };
                    return Err(Trouble::history(self.place.host())(error).into());
                }
                None => match self.entries.summary() {
                    Some(sum) if sum.root == self.snapshot.root => self.is_proved = true,
                    _ => return Err(Trouble::OtherManifest { snapshot: name() }.into()),
                },
            }
        }
        Ok(self.next.as_ref().map(|entry| &entry.path))
    }

    fn take(&mut self) -> Option<Entry> {
        self.next.take()
    }

    /// The inode behind an entry.
    fn node<'n>(&'n self, entry: &'n Entry) -> Option<&'n Node> {
        match &entry.body {
            Body::Node(node) => Some(node),
            Body::Link(first) => self.leaders.node(first),
        }
    }
}

struct Telling<'a> {
    run: &'a mut Run,
    log: &'a Log,
    named: Vec<serde_json::Value>,
}

impl Telling<'_> {
    fn compare(
        &mut self,
        path: &RelPath,
        old: (&Side<'_>, Option<&Entry>),
        new: (&Side<'_>, Option<&Entry>),
    ) {
        let (before, after) = match (old.1, new.1) {
            (None, Some(after)) => return self.tell(path, Change::Added, &self.redacted(new.0, after, "B")),
            (Some(before), None) => {
                return self.tell(path, Change::Removed, &self.redacted(old.0, before, "A"));
            }
            (None, None) => return,
            (Some(before), Some(after)) => (before, after),
        };
        let (Some(was), Some(is)) = (old.0.node(before), new.0.node(after)) else { return };
        let mut differing = metadata(was, is);
        let group = |entry: &Entry| match &entry.body {
            Body::Node(_) => None,
            Body::Link(first) => Some(first.clone()),
        };
        if group(before) != group(after) {
            differing.push("hard link".to_owned());
        }
        let gone = [self.redacted(old.0, before, "A"), self.redacted(new.0, after, "B")].concat();
        // Gone from both is no difference.
        if was.kind != is.kind || gone.len() == 1 {
            differing.extend(gone);
        }
        if was.kind != is.kind {
            self.tell(path, Change::Content, &differing);
        } else if !differing.is_empty() {
            self.tell(path, Change::Metadata, &differing);
        }
    }

    /// What is no content that anybody could look at.
    fn redacted(&self, side: &Side<'_>, entry: &Entry, name: &str) -> Vec<String> {
        let Some(Kind::File { content, .. }) = side.node(entry).map(|node| &node.kind) else {
            return Vec::new();
        };
        let gone = self.log.redacted().of(content, side.snapshot.sequence);
        gone.map(|_| format!("redacted in {name}")).into_iter().collect()
    }

    fn tell(&mut self, path: &RelPath, change: Change, differing: &[String]) {
        let path = shown(path.as_bytes());
        let more = if differing.is_empty() { String::new() } else { format!("  ({})", differing.join(", ")) };
        self.run.line(&format!("{} {path}{more}", change.sign()));
        self.run.report().count(change.word(), 1);
        if self.named.len() < NAMED_MAX {
            let one = serde_json::json!({ "path": path, "change": change.word(), "metadata": differing });
            self.named.push(one);
        }
    }
}

/// What of the metadata differs, in words.
fn metadata(was: &Node, is: &Node) -> Vec<String> {
    let (was, is) = (&was.meta, &is.meta);
    let mut differing = Vec::new();
    if was.mode != is.mode {
        differing.push(format!("mode {:04o} -> {:04o}", was.mode, is.mode));
    }
    if (was.owner, was.group) != (is.owner, is.group) {
        differing.push(format!("owner {}:{} -> {}:{}", was.owner, was.group, is.owner, is.group));
    }
    if was.mtime != is.mtime {
        differing.push("time".to_owned());
    }
    if was.attributes != is.attributes {
        differing.push("attributes".to_owned());
    }
    if was.links != is.links {
        differing.push(format!("links {} -> {}", was.links, is.links));
    }
    differing
}
