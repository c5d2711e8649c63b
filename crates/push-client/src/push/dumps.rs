//! The outputs of commands, taken into the push as they come: nothing is written to a disk of this host.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use formats::{Body, ContentHash, Entry, Kind, Meta, Mtime, Node, RelPath};
use rustix::process::{getegid, geteuid};

use cli::Monitor;

use super::account::{Account, Count};
use super::contents::Contents;
use super::elsewhere::Lent;
use super::error::PushError;
use super::job::Job;
use super::reading::Expected;
use crate::commands::CommandError;
use crate::plan::Dump;
use crate::state::Base;
use crate::walk::{FileKind, Names};

/// Of folders that no file system of this host has at their place.
const FOLDER_MODE: u32 = 0o755;

/// What is at a path that the walk does not find.
#[derive(Debug, Clone)]
enum Due {
    /// A folder above a dump, unless the walk comes upon one. The number is that of the dump.
    Folder(u8),
    Dump(Node),
}

/// Entries that the walk does not find, in the order of manifests.
#[derive(Debug, Default)]
pub(super) struct Dues {
    left: BTreeMap<RelPath, Due>,
}

impl Dues {
    /// Has each dump made, and its content sent.
    pub(super) fn make(
        job: &mut Job<'_>,
        base: Option<Base>,
        contents: &mut Contents<'_>,
        (names, account, monitor): (&Names, &mut Account, &dyn Monitor),
    ) -> Result<Self, PushError> {
        let mut left = BTreeMap::new();
        let commands = &job.plan.commands;
        let Some(runner) = job.runner.as_deref_mut().filter(|_| !commands.dumps.is_empty()) else {
            return Ok(Self { left });
        };
        let mut known = last_time(&commands.dumps, base, contents)?;
        for (number, dump) in (1u8..).zip(&commands.dumps) {
            monitor.info(&format!("running dump {number}: {}", dump.task.line()));
            let start = now();
            let old = known.remove(&dump.path).map(|expected| Lent { path: dump.path.clone(), expected });
            let (size, content) = contents.produce(runner, (number, dump), old)?;
            account.add(Count::ReadFiles, 1);
            let meta = Meta {
                mode: dump.mode,
                owner: geteuid().as_raw(),
                group: getegid().as_raw(),
                mtime: start,
                links: 1,
                attributes: names.attributes(geteuid().as_raw(), getegid().as_raw()),
            };
            for above in above(&dump.path) {
                left.entry(above).or_insert(Due::Folder(number));
            }
            left.insert(dump.path.clone(), Due::Dump(Node { meta, kind: Kind::File { size, content } }));
        }
        Ok(Self { left })
    }

    /// What comes before `path`, or at all if there is none; one at a time.
    pub(super) fn take_before(&mut self, path: Option<&RelPath>, names: &Names) -> Option<Entry> {
        let first = self.left.first_entry()?;
        if path.is_some_and(|path| path <= first.key()) {
            return None;
        }
        let (path, due) = first.remove_entry();
        let node = match due {
            Due::Dump(node) => node,
            Due::Folder(_) => Node { meta: plain(names), kind: Kind::Folder },
        };
        Some(Entry { path, body: Body::Node(node) })
    }

    /// The walk has found something where a folder was due: then it must be one.
    pub(super) fn found(&mut self, path: &RelPath, kind: FileKind) -> Result<(), CommandError> {
        match self.left.remove(path) {
            Some(Due::Folder(number)) if kind != FileKind::Folder => {
                Err(CommandError::Place { number, at: cli::shown(path.as_bytes()) })
            }
            _ => Ok(()),
        }
    }

    /// As [`Dues::found`], of a path that the walk names only.
    pub(super) fn found_at(&mut self, path: &[u8], kind: FileKind) -> Result<(), CommandError> {
        RelPath::new(path).map_or(Ok(()), |path| self.found(&path, kind))
    }

    /// What the walk misses here is made, or is a folder that it may lack.
    pub(super) fn covers(&self, path: &[u8]) -> bool {
        RelPath::new(path).is_ok_and(|path| self.left.contains_key(&path))
    }
}

/// What the base has at the paths of the dumps, and the server does not ask for again.
fn last_time(
    dumps: &[Dump],
    base: Option<Base>,
    contents: &Contents<'_>,
) -> Result<HashMap<RelPath, Expected>, PushError> {
    let mut known = HashMap::new();
    let Some(mut base) = base else { return Ok(known) };
    let mut paths: Vec<_> = dumps.iter().map(|dump| &dump.path).collect();
    paths.sort_unstable();
    for path in paths {
        let Some(found) = base.at(path).map_err(PushError::Base)? else { continue };
        if let Some(Node { meta, kind: Kind::File { size, content } }) = found.entry.node()
            && !contents.is_wanted(content)
        {
            known.insert(path.clone(), Expected { size: *size, mtime: meta.mtime, hash: *content });
        }
    }
    Ok(known)
}

fn plain(names: &Names) -> Meta {
    let mtime = Mtime { seconds: 0, nanos: 0 };
    Meta { mode: FOLDER_MODE, owner: 0, group: 0, mtime, links: 1, attributes: names.attributes(0, 0) }
}

/// All folders above a path, the uppermost first.
fn above(path: &RelPath) -> Vec<RelPath> {
    let names: Vec<_> = path.components().collect();
    let folders = (1..names.len()).filter_map(|depth| names.get(..depth));
    folders.filter_map(|names| RelPath::new(&names.join(&b'/')).ok()).collect()
}

fn now() -> Mtime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Mtime { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: since.subsec_nanos() }
}

/// What a dump came to.
pub(super) type Made = (u64, ContentHash);
