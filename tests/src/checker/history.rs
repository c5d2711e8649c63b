//! One host's history and jail, held against the promises.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, io};

use serde_json::Value;

use super::item::{self, Item, hex};
use super::walk::walk;
use super::{Breach, Invariant, Moment, log, squeezed, tree};

/// A snapshot of the log.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// The push it came from, in hexadecimal digits.
    pub push: String,
    /// Its root, in hexadecimal digits.
    pub root: String,
    /// What its manifest says.
    pub items: Vec<Item>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The snapshots of the log, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// All events of the log, as JSON.
    pub events: Vec<Value>,
    /// The hash of each line of the log.
    pub heads: Vec<String>,
    /// What is not as promised.
    pub breaches: Vec<Breach>,
}

impl Found {
    /// The number of events of a kind.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.events.iter().filter(|event| event.get("kind").and_then(Value::as_str) == Some(kind)).count()
    }
}

/// Checks `folder`, the history of `host`: the log is a chain; every snapshot in it is complete and equal to its manifest; nothing else is
/// among the snapshots, unless a run was just killed.
#[must_use]
pub fn check(folder: &Path, host: &str, moment: Moment) -> Found {
    check_with_readers(folder, host, moment, None)
}

/// As [`check`], and the group of this number was given the history to read (`host add --readers`).
#[must_use]
pub fn check_with_readers(folder: &Path, host: &str, moment: Moment, readers: Option<u32>) -> Found {
    let mut breaches = Vec::new();
    let log = log::read(folder, host, moment, &mut breaches);
    let owner = fs::metadata(folder).map(|meta| meta.uid()).unwrap_or_default();
    let allowed = tree::Allowed { owner, readers };
    let mut contents = tree::Contents::default();
    let mut snapshots = Vec::new();
    for ingest in &log.ingests {
        let file = folder.join("manifests").join(format!("{}.manifest", ingest.name));
        let bytes = fs::read(&file).map_err(|error| error.to_string()).and_then(squeezed::manifest_of);
        let manifest = bytes.and_then(|bytes| item::parse(&bytes));
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(found) => {
                breaches.push(Breach::new(Invariant::Atomic, file.display().to_string(), found));
                continue;
            }
        };
        if hex(&manifest.root) != ingest.root || manifest.items.len() as u64 != ingest.entries {
            let other = "is not the manifest the log names";
            breaches.push(Breach::new(Invariant::Atomic, file.display().to_string(), other));
        }
        let tree = folder.join(&ingest.name).join("tree");
        let gone =
            |hash: &[u8]| log.redacted.get(&hex(hash)).is_some_and(|through| ingest.sequence <= *through);
        let gone = tree::Gone { is_one: &gone, moment };
        let wrong = tree::check(&tree, allowed, (&manifest.items, &gone), &mut contents);
        let within = |breach: Breach| Breach { place: format!("{}/{}", ingest.name, breach.place), ..breach };
        breaches.extend(wrong.into_iter().map(within));
        snapshots.push(Snapshot {
            name: ingest.name.clone(),
            push: ingest.push.clone(),
            root: ingest.root.clone(),
            items: manifest.items,
        });
    }
    breaches.extend(strangers(folder, &log));
    if moment == Moment::Quiet {
        breaches.extend(leftovers(folder, &log.ingests));
    }
    breaches.extend(powers(folder));
    Found { snapshots, events: log.events, heads: log.heads, breaches }
}

/// A snapshot's name that is not in the log is an ingest's at work, and has the next number, or was pruned: else there is a third state.
fn strangers(folder: &Path, log: &log::Log) -> Vec<Breach> {
    let mut names = list(folder);
    let manifests = list(&folder.join("manifests")).into_iter();
    names.extend(manifests.filter_map(|name| name.strip_suffix(".manifest").map(str::to_owned)));
    let is_at_work = folder.join(".building").exists();
    let is_strange = |name: &String| {
        let Some(sequence) = log::sequence_of(name) else { return false };
        let is_next = is_at_work && sequence == log.made + 1;
        !is_next && !log.ingests.iter().any(|one| one.name == *name) && !log.pruned.contains(name)
    };
    let strange = names.into_iter().filter(is_strange);
    strange
        .map(|name| Breach::new(Invariant::Atomic, name, "is a snapshot's name, and not in the log"))
        .collect()
}

/// Whatever it is part of: no set-id bits, no devices, no capabilities.
fn powers(folder: &Path) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let walked = walk(folder, &mut |seen| {
        breaches.extend(tree::power(seen)?.map(|found| Breach::at(Invariant::Powerless, &seen.path, found)));
        Ok(())
    });
    let unread =
        |error: io::Error| Breach::new(Invariant::Atomic, folder.display().to_string(), error.to_string());
    breaches.extend(walked.err().filter(|error| error.kind() != io::ErrorKind::NotFound).map(unread));
    breaches
}

/// What lies in the history and belongs to no line of the log.
fn leftovers(folder: &Path, ingests: &[log::Ingest]) -> Vec<Breach> {
    let names: BTreeSet<&str> = ingests.iter().map(|ingest| ingest.name.as_str()).collect();
    let mut breaches = Vec::new();
    for name in list(folder) {
        let known =
            matches!(name.as_str(), "log" | "manifests" | ".lock" | ".readers" | ".prune" | ".verify");
        let idle =
            matches!(name.as_str(), ".building" | ".trash" | ".rot") && list(&folder.join(&name)).is_empty();
        if !known && !idle && !names.contains(name.as_str()) {
            breaches.push(Breach::new(Invariant::Converging, name, "belongs to no line of the log"));
        }
    }
    for name in list(&folder.join("manifests")) {
        if !name.strip_suffix(".manifest").is_some_and(|name| names.contains(name)) {
            let place = format!("manifests/{name}");
            breaches.push(Breach::new(Invariant::Converging, place, "belongs to no line of the log"));
        }
    }
    for name in names {
        let extra = list(&folder.join(name)).into_iter().filter(|inner| inner != "tree");
        breaches.extend(extra.map(|inner| {
            Breach::new(Invariant::Converging, format!("{name}/{inner}"), "is no part of a snapshot")
        }));
    }
    breaches
}

/// After all is done, the spool of a jail is empty, but for its lock and what is noted of its sessions.
#[must_use]
pub fn spool_leftovers(jail: &Path) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for part in ["incoming", "sealed"] {
        let left = list(&jail.join("spool").join(part)).into_iter();
        let left = left.filter(|name| name != "lock" && name != "attempts");
        breaches.extend(left.map(|name| {
            Breach::new(Invariant::Converging, format!("spool/{part}/{name}"), "was left behind")
        }));
    }
    breaches
}

/// No inode lies both in a jail and in a history.
#[must_use]
pub fn shared_inodes(jail: &Path, history: &Path) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut held = HashSet::new();
    let walked = walk(history, &mut |seen| {
        held.insert(seen.inode());
        Ok(())
    });
    let walked = walked.and_then(|()| {
        walk(jail, &mut |seen| {
            if held.contains(&seen.inode()) {
                breaches.push(Breach::at(
                    Invariant::Unshared,
                    &seen.path,
                    "shares its inode with the history",
                ));
            }
            Ok(())
        })
    });
    let unread =
        |error: io::Error| Breach::new(Invariant::Unshared, jail.display().to_string(), error.to_string());
    breaches.extend(walked.err().map(unread));
    breaches
}

fn list(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
