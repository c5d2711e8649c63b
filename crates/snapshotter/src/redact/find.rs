//! What is meant: the contents that a path has, and every other name of them. From manifests alone.

use std::collections::{BTreeMap, BTreeSet};

use cli::shown;
use formats::records::redaction::{REDACTED, REDACTED_PATH_BYTES, RedactedContent};
use formats::{ContentHash, RelPath};
use history::{HostHistory, Log, Snapshot};
use restore::Selection;

use super::order::{Found, Hit, Wanted};
use crate::heal::names::{self, Proof};
use crate::ingest_host::fault::Fault;
use crate::trouble::Trouble;
use crate::when::When;

/// Paths that are told of each content.
const PATHS_MAX: usize = 5;
/// Ends a path that is longer than what is noted of it.
const CUT: &str = "...";

/// Finds them. Somebody who has a manifest that cannot be read does not know what is in it.
pub(super) fn find(history: &HostHistory, log: &Log, wanted: &Wanted) -> Result<Found, Trouble> {
    let (contents, asked): (BTreeSet<ContentHash>, _) = match wanted {
        Wanted::Path { path, when } => {
            let path = RelPath::new(path).map_err(|_| usage("this is no path"))?;
            let selection = Selection::Beneath(path.clone());
            (of_path(history, &chosen(log, when)?, &selection)?, Some(short(path.as_bytes())))
        }
        Wanted::Contents(contents) => (contents.iter().copied().collect(), None),
        Wanted::Asked { path, contents } => (contents.iter().copied().collect(), path.clone()),
    };
    if contents.is_empty() {
        return Err(usage("there is no content: no file with a length, in these snapshots"));
    }
    if contents.len() > REDACTED {
        return Err(Trouble::Usage {
            what: format!("these are more than {REDACTED} different contents"),
            advice: Some("ask for a part of it, and for the rest when that is done".to_owned()),
        });
    }
    let mut found = all_names(history, log, &contents, asked.as_deref())?;
    let is_there = |hash: &ContentHash| found.hits.iter().any(|hit| hit.content.content == *hash);
    let absent: Vec<_> = contents.iter().filter(|hash| !is_there(hash)).collect();
    if let (Wanted::Contents(_), Some(absent)) = (wanted, absent.first()) {
        return Err(usage(&format!("no snapshot names the content {absent}")));
    }
    found.absent = absent.len() as u64;
    if found.hits.is_empty() {
        return Err(usage("no snapshot names any of these contents any more"));
    }
    if found.hits.iter().any(|hit| hit.content.size == 0) {
        return Err(usage("a content without a length has nothing that could be erased"));
    }
    Ok(found)
}

fn chosen(log: &Log, whens: &[String]) -> Result<Vec<Snapshot>, Trouble> {
    if whens.is_empty() {
        return Ok(log.snapshots().to_vec());
    }
    let find = |text: &String| {
        let when: When = text.parse().unwrap_or_else(|never| match never {});
        when.find(log).cloned()
    };
    whens.iter().map(find).collect()
}

fn of_path(
    history: &HostHistory,
    snapshots: &[Snapshot],
    selection: &Selection,
) -> Result<BTreeSet<ContentHash>, Trouble> {
    let mut contents = BTreeSet::new();
    for snapshot in snapshots {
        let proof = names::of(history, snapshot, |_| true, &mut |place| {
            // Enough to tell that they are too many.
            if selection.asks_for(place.path()) && place.content.size > 0 && contents.len() <= REDACTED {
                contents.insert(place.content.hash);
            }
            Ok(())
        });
        require(history, snapshot, proof)?;
    }
    Ok(contents)
}

fn all_names(
    history: &HostHistory,
    log: &Log,
    contents: &BTreeSet<ContentHash>,
    asked: Option<&str>,
) -> Result<Found, Trouble> {
    let mut hits: BTreeMap<ContentHash, Hit> = BTreeMap::new();
    let mut found = Found::default();
    for snapshot in log.snapshots() {
        let mut here: BTreeSet<ContentHash> = BTreeSet::new();
        let proof = names::of(history, snapshot, |hash| contents.contains(hash), &mut |place| {
            let (hash, size) = (place.content.hash, place.content.size);
            let hit = hits.entry(hash).or_insert_with(|| Hit {
                content: RedactedContent { content: hash, size },
                names: 0,
                snapshots: 0,
                first: snapshot.name.to_string(),
                last: String::new(),
                paths: Vec::new(),
                more: 0,
                elsewhere: 0,
                other_paths: Vec::new(),
                other_more: 0,
                redacted: log.redacted().of(&hash, snapshot.sequence).map(|one| one.time.clone()),
            });
            hit.names += 1;
            let path = shown(place.path().as_bytes());
            if asked.is_none_or(|asked| is_beneath(&path, asked)) {
                note(&mut hit.paths, &mut hit.more, &path);
            } else {
                hit.elsewhere += 1;
                note(&mut hit.other_paths, &mut hit.other_more, &path);
            }
            here.insert(hash);
            Ok(())
        });
        require(history, snapshot, proof)?;
        for hash in &here {
            if let Some(hit) = hits.get_mut(hash) {
                hit.snapshots += 1;
                hit.last = snapshot.name.to_string();
            }
        }
        if !here.is_empty() {
            found.snapshots.push(snapshot.name.to_string());
        }
    }
    found.hits = hits.into_values().collect();
    Ok(found)
}

/// Whether a path, as it is shown, is the one that was asked for, or beneath it. Of one that was cut, what is left of it counts.
fn is_beneath(path: &str, asked: &str) -> bool {
    match asked.strip_suffix(CUT) {
        Some(left) if asked.len() > REDACTED_PATH_BYTES - CUT.len() - 4 && path.starts_with(left) => true,
        _ => path.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

fn note(paths: &mut Vec<String>, more: &mut u64, path: &str) {
    let path = cut(path.to_owned());
    if paths.contains(&path) {
        return;
    }
    if paths.len() < PATHS_MAX {
        paths.push(path);
    } else {
        *more += 1;
    }
}

/// A path as it is shown, and no longer than is noted.
pub(super) fn short(path: &[u8]) -> String {
    cut(shown(path))
}

fn cut(mut path: String) -> String {
    if path.len() > REDACTED_PATH_BYTES {
        path.truncate(path.floor_char_boundary(REDACTED_PATH_BYTES - CUT.len()));
        path.push_str(CUT);
    }
    path
}

/// A manifest that is not what the log says names nobody knows what.
pub(super) fn require(
    history: &HostHistory,
    snapshot: &Snapshot,
    proof: Result<Proof, Fault>,
) -> Result<(), Trouble> {
    match proof {
        Ok(Proof::Proved) => Ok(()),
        Ok(Proof::Missing) => Err(Trouble::OtherManifest { snapshot: snapshot.name.to_string() }),
        Err(fault) => Err(trouble(history, fault)),
    }
}

/// As the error of a verb.
pub(super) fn trouble(history: &HostHistory, fault: Fault) -> Trouble {
    use crate::ingest_host::fault::Here;
    let host = history.host();
    match fault {
        Fault::Here(Here::Folder(source)) => {
            Trouble::folder(format!("erasing in the history of {host}"))(source)
        }
        Fault::Here(Here::Stream(doing, source)) => Trouble::stream(format!("{doing} of {host}"))(source),
        Fault::Here(Here::History(source)) => Trouble::history(host)(source),
        Fault::Base(what) => Trouble::Machine { what },
        other => Trouble::Machine { what: format!("erasing in the history of {host}: {other:?}") },
    }
}

fn usage(what: &str) -> Trouble {
    Trouble::Usage {
        what: what.to_owned(),
        advice: Some("`snapshotter find` tells what there is".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beneath_what_was_asked_for_is_not_elsewhere() {
        for (path, is_one) in
            [("a/b", true), ("a/b/c", true), ("a/bc", false), ("a", false), ("b/a/b", false)]
        {
            assert_eq!(is_beneath(path, "a/b"), is_one, "{path}");
        }
        assert!(is_beneath("a...", "a...") && !is_beneath("ab", "a..."), "a name can end so");
        let long = "x".repeat(2_000);
        assert!(is_beneath(&long, &short(long.as_bytes())));
        assert!(!is_beneath("xx", &short(long.as_bytes())));
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let (mut paths, mut more) = (Vec::new(), 0);
        for n in [0, 1, 2, 3, 4, 5, 6, 0, 6] {
            note(&mut paths, &mut more, &n.to_string());
        }
        assert_eq!((paths.len(), more), (PATHS_MAX, 3));
    }
}
