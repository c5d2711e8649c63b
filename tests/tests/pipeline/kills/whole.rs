//! What lies where a snapshot is restored to: the whole tree, or a part of it, and never something else under a name of its own.

use std::path::Path;

use pipeline_tests::checker::item::{Item, Kind, What};
use pipeline_tests::checker::live::{compare, scan};
use pipeline_tests::checker::told;

/// A file that is not whole yet has a name that begins so.
const UNFINISHED: &[u8] = b".firn-restoring-";

/// What is under the names of the snapshot is right; if success was told, all of it is there.
pub(super) fn assert_restored(to: &Path, items: &[Item], is_told: bool) {
    if !to.exists() {
        assert!(!is_told, "nothing was restored");
        return;
    }
    let found: Vec<Item> = scan(&[to]).unwrap().into_iter().filter_map(|item| beneath(to, item)).collect();
    if is_told {
        let breaches = compare(items, &found);
        assert!(breaches.is_empty(), "{}", told(&breaches));
        return;
    }
    for item in found.iter().filter(|item| !is_unfinished(&item.path)) {
        let Some(content) = content(&found, item) else { continue };
        let meant = items.iter().find(|meant| meant.path == item.path);
        let meant = meant.and_then(|meant| self::content(items, meant));
        assert_eq!(meant, Some(content), "{} holds another content", item.path.escape_ascii());
    }
}

fn beneath(to: &Path, item: Item) -> Option<Item> {
    let top = [&to.as_os_str().as_encoded_bytes()[1..], b"/"].concat();
    let cut = |path: Vec<u8>| path.strip_prefix(top.as_slice()).map(<[u8]>::to_vec);
    let what = match item.what {
        What::Link(first) => What::Link(cut(first)?),
        node @ What::Node(_) => node,
    };
    Some(Item { path: cut(item.path)?, what })
}

fn is_unfinished(path: &[u8]) -> bool {
    path.rsplit(|byte| *byte == b'/').next().is_some_and(|name| name.starts_with(UNFINISHED))
}

/// Size and hash, if it is a file or a later name of one.
pub(super) fn content(all: &[Item], item: &Item) -> Option<(u64, [u8; 32])> {
    match &item.what {
        What::Node(node) => match node.kind {
            Kind::File(size, hash) => Some((size, hash)),
            _ => None,
        },
        What::Link(first) => content(all, all.iter().find(|other| other.path == *first)?),
    }
}
