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

/// Finds them. Somebody who has a manifest that cannot be read does not know what is in it.
pub(super) fn find(history: &HostHistory, log: &Log, wanted: &Wanted) -> Result<Found, Trouble> {
    let selection = match &wanted.path {
        None => None,
        Some(path) => Some(RelPath::new(path).map(Selection::Beneath).map_err(|_| usage("this is no path"))?),
    };
    let contents = match &selection {
        None => wanted.contents.iter().copied().collect(),
        Some(selection) => of_path(history, &chosen(log, wanted)?, selection)?,
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
    all_names(history, log, &contents, selection.as_ref())
}

fn chosen(log: &Log, wanted: &Wanted) -> Result<Vec<Snapshot>, Trouble> {
    if wanted.when.is_empty() {
        return Ok(log.snapshots().to_vec());
    }
    let find = |text: &String| {
        let when: When = text.parse().unwrap_or_else(|never| match never {});
        when.find(log).cloned()
    };
    wanted.when.iter().map(find).collect()
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
    selection: Option<&Selection>,
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
                elsewhere: 0,
                other_paths: Vec::new(),
                redacted: log.redacted().of(&hash, snapshot.sequence).map(|one| one.time.clone()),
            });
            hit.names += 1;
            let is_asked = selection.is_none_or(|selection| selection.asks_for(place.path()));
            hit.elsewhere += u64::from(!is_asked);
            note(if is_asked { &mut hit.paths } else { &mut hit.other_paths }, place.path());
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
    if let Some(absent) = contents.iter().find(|hash| !hits.contains_key(hash)) {
        return Err(usage(&format!("no snapshot names the content {absent}")));
    }
    if hits.values().any(|hit| hit.content.size == 0) {
        return Err(usage("a content without a length has nothing that could be erased"));
    }
    found.hits = hits.into_values().collect();
    Ok(found)
}

fn note(paths: &mut Vec<String>, path: &RelPath) {
    let path = short(path.as_bytes());
    if paths.len() < PATHS_MAX && !paths.contains(&path) {
        paths.push(path);
    }
}

/// A path as it is shown, and no longer than is noted.
pub(super) fn short(path: &[u8]) -> String {
    let mut path = shown(path);
    if path.len() > REDACTED_PATH_BYTES {
        path.truncate(path.floor_char_boundary(REDACTED_PATH_BYTES - 3));
        path.push_str("...");
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
