//! What rots in a history: a content that another of its files still has, so that a repair heals it at once, and one that only a push brings back.
//! And what of that may be seen while a repair is disturbed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use pipeline_tests::checker::history::Found;
use pipeline_tests::checker::item::hex;
use pipeline_tests::checker::{Breach, Invariant, Moment, told};
use serde_json::Value;

use super::ground::{Ground, Ran, Work, shell};
use super::is_possible_or_skipped;
use super::whole::content;
use crate::rig;

/// Of the samples: what every snapshot has, and what one has under three names.
const SHARED: &str = "etc/keep";
const OWN: &str = "etc/one";
const OWN_NAMES: usize = 3;

#[derive(Debug)]
pub(super) struct Rot {
    healed: Rotten,
    wanted: Rotten,
    /// What the rotten inode of `wanted` held before.
    pub(super) lost: Vec<u8>,
}

/// Hashes as they are told.
#[derive(Debug)]
struct Rotten {
    good: String,
    bad: String,
}

impl Rot {
    /// Rots in this history. The newest snapshot gets a file of its own of the content that is in all of them.
    pub(super) fn new(history: &Path, found: &Found) -> Rot {
        let tree = |place: usize| history.join(&found.snapshots[place].name).join("tree");
        let newest = found.snapshots.len() - 1;
        shell(&tree(newest), "cp -p \"$1\" new && mv new \"$1\"", &[Path::new(SHARED)]);
        let (_, healed) = flip(&tree(0).join(SHARED), newest);
        let (lost, wanted) = flip(&tree(1).join(OWN), OWN_NAMES);
        Rot { healed, wanted, lost }
    }

    /// What of these breaches is more than what has rotted, and than what a repair has taken out and its log calls lost.
    pub(super) fn beyond(&self, found: &Found, breaches: Vec<Breach>) -> Vec<Breach> {
        let open = open(found);
        let is_rot = |breach: &Breach| {
            let Some(good) = content_at(found, &breach.place) else { return false };
            match breach.invariant {
                Invariant::Restorable => [&self.healed, &self.wanted]
                    .iter()
                    .any(|rotten| rotten.good == good && breach.found.contains(&rotten.bad)),
                Invariant::Atomic => breach.found.ends_with("not in the tree") && open.contains(&good),
                _ => false,
            }
        };
        breaches.into_iter().filter(|breach| !is_rot(breach)).collect()
    }

    /// The hash of what is asked of the host.
    pub(super) fn wanted(&self) -> [u8; 32] {
        *blake3::hash(&self.lost).as_bytes()
    }

    /// Whether these words tell that it was repaired.
    pub(super) fn is_told(&self, said: &str) -> bool {
        said.contains(&format!("content {} is healed", self.healed.good))
            && said.contains(&format!("content {} is lost", self.wanted.good))
    }

    /// What was told is in the log. A name that the file system did not show may hold a wrong byte still: the next run looks at it anew.
    pub(super) fn assert_noted(&self, found: &Found) {
        let is_healed =
            |event: &Value| event["kind"] == "healed" && event["content"] == self.healed.good.as_str();
        assert!(found.events.iter().any(is_healed), "{:?}", found.events);
        assert!(open(found).contains(&self.wanted.good), "{:?}", found.events);
    }

    /// What a repair comes to in which every call that is made is right: one content is healed, the other out of the trees.
    pub(super) fn assert_only_wanted(&self, found: &Found, breaches: &[Breach]) {
        let is_right = |breach: &Breach| breach.invariant == Invariant::Atomic;
        let are_right = breaches.iter().all(is_right) && self.missing(found, breaches) == OWN_NAMES;
        assert!(are_right && breaches.len() == OWN_NAMES, "{}", told(breaches));
        assert_eq!(open(found), BTreeSet::from([self.wanted.good.clone()]), "{:?}", found.events);
    }

    /// Whether a repair has begun and has not come to its end.
    pub(super) fn is_half_way(&self, found: &Found, breaches: &[Breach]) -> bool {
        let has_begun = found.count("rot") > 0;
        let is_done = self.missing(found, breaches) == OWN_NAMES && breaches.len() == OWN_NAMES;
        has_begun && !is_done
    }

    fn missing(&self, found: &Found, breaches: &[Breach]) -> usize {
        let places = breaches.iter().filter_map(|breach| content_at(found, &breach.place));
        places.filter(|good| *good == self.wanted.good).count()
    }
}

/// One bit of an inode with so many names. Returns what it held.
fn flip(path: &Path, names: usize) -> (Vec<u8>, Rotten) {
    assert_eq!(fs::metadata(path).unwrap().nlink(), names as u64, "{}", path.display());
    let good = fs::read(path).unwrap();
    let mut bad = good.clone();
    bad[2] ^= 4;
    fs::write(path, &bad).unwrap();
    let hash = |bytes: &[u8]| hex(blake3::hash(bytes).as_bytes());
    let rotten = Rotten { good: hash(&good), bad: hash(&bad) };
    (good, rotten)
}

/// The content that a snapshot should have at `place`: its name, and a path.
fn content_at(found: &Found, place: &str) -> Option<String> {
    let (name, path) = place.split_once('/')?;
    let items = &found.snapshots.iter().find(|one| one.name == name)?.items;
    let item = items.iter().find(|item| item.path == path.as_bytes())?;
    content(items, item).map(|(_, hash)| hex(&hash))
}

/// What the log calls lost.
fn open(found: &Found) -> BTreeSet<String> {
    let mut open = BTreeSet::new();
    for event in &found.events {
        let content = event["content"].as_str().unwrap_or_default().to_owned();
        match event["kind"].as_str() {
            Some("rot") => drop(open.insert(content)),
            Some("healed") => drop(open.remove(&content)),
            _ => {}
        }
    }
    open
}

#[test]
fn what_has_rotted_excuses_no_other_damage() {
    type Damage = fn(&Path);
    const TEST: &str = "what_has_rotted_excuses_no_other_damage";
    if !is_possible_or_skipped(TEST) {
        return;
    }
    let _turn = rig::turn();
    let ground = Ground::new();
    let damages: [(&str, Damage); 4] = [
        ("nothing", |_| {}),
        ("a rotten file is gone, and the log does not say so", |tree| {
            fs::remove_file(tree.join(OWN)).unwrap()
        }),
        ("another bit of it", |tree| fs::write(tree.join(OWN), b"hard ?").unwrap()),
        ("another file is gone", |tree| fs::remove_file(tree.join("etc/link")).unwrap()),
    ];
    let look = || ground.look(Moment::Any, Work::Repair, &Ran::default());
    for (what, damage) in damages {
        ground.reset(Work::Repair);
        let (found, _) = look();
        let history = ground.server.scratch.history(&ground.server.host.name);
        damage(&history.join(&found.snapshots[1].name).join("tree"));
        let (found, breaches) = look();
        assert!(!breaches.is_empty(), "what has rotted is seen");
        let beyond = ground.rot.beyond(&found, breaches);
        assert_eq!(beyond.is_empty(), what == "nothing", "{what}: {}", told(&beyond));
    }
}
