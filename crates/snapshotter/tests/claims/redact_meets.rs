//! Who had read the log before a redaction, and reads the files after it.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use chrono::Utc;
use formats::ContentHash;
use formats::records::grant::Person;
use formats::records::log::Event;
use formats::records::redaction::{RedactedContent, Redaction};
use history::LogAppender;

use crate::heal::{NAMES, hash, precious, world};
use crate::pruned::place;
use crate::redact::{SNAPSHOTS, assert_redacted};
use crate::world::{Ended, World};

/// As a redaction does, once it has the locks: first the line, then the files.
pub(crate) fn redact(
    world: &World,
    content: ContentHash,
    files: impl Iterator<Item = (usize, &'static str)>,
) {
    let person = |user: u32| Person { user, name: user.to_string() };
    let mut size = 0;
    let files: Vec<_> = files.map(|(n, name)| world.tree(n).join(name)).collect();
    for path in &files {
        size = fs::metadata(path).unwrap().len();
    }
    let place = place(world);
    let alone = place.write_lock().unwrap().unwrap();
    let redaction = Redaction {
        path: None,
        contents: vec![RedactedContent { content, size }],
        names: files.len() as u64,
        snapshots: 1,
        requested_by: person(1000),
        approved_by: person(1001),
        reason: "court order 12".to_owned(),
        ices: None,
        ice: Vec::new(),
    };
    let mut log = LogAppender::open(&place, &alone).unwrap();
    log.append(Event::Redact(Box::new(redaction)), Utc::now()).unwrap();
    for path in &files {
        File::options().write(true).truncate(true).open(path).unwrap().set_len(size).unwrap();
    }
}

/// A program that has read the log and waits for a lock; the redaction that it waits for; and what came of it.
fn meanwhile(world: &World, words: &[&str]) -> Ended {
    let place = place(world);
    let snapshots = world.log().snapshots().to_vec();
    let alone: Vec<_> = snapshots.iter().map(|one| place.removal_lock(&one.name).unwrap().unwrap()).collect();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| world.run(words));
        std::thread::sleep(Duration::from_secs(2));
        assert!(!reader.is_finished(), "control: it waits");
        redact(world, hash(), (1..=usize::from(SNAPSHOTS)).flat_map(|n| NAMES.map(|name| (n, name))));
        drop(alone);
        reader.join().unwrap()
    })
}

#[test]
fn a_restore_that_waited_for_a_redaction_knows_of_it() {
    let world = world(SNAPSHOTS);
    let to = world.path("to");
    let restored = meanwhile(&world, &["restore", "web01", "latest", "--to", to.to_str().unwrap()]);
    assert_eq!(restored.code, 3, "{restored:?}");
    assert!(restored.err.matches("it was redacted at").count() >= NAMES.len(), "{restored:?}");
    assert!(NAMES.iter().all(|name| !to.join(name).exists()) && to.join("own").exists());
    assert_redacted(&world, SNAPSHOTS);
}

#[test]
fn a_verify_that_waited_for_a_redaction_calls_nothing_lost() {
    let world = world(SNAPSHOTS);
    let verified = meanwhile(&world, &["--json", "verify", "--repair"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    assert_eq!(verified.report()["counts"]["redacted_names"], 12, "{verified:?}");
    assert!(world.published().wanted.is_empty());
    assert_redacted(&world, SNAPSHOTS);
    // Whole again: a file that is no zeros any more is another one than was looked at.
    fs::write(world.tree(2).join("copy"), precious()).unwrap();
    assert_eq!(world.run(&["verify"]).code, 29);
}

#[test]
fn an_audit_calls_nothing_spoiled_that_was_redacted() {
    let world = world(SNAPSHOTS);
    let files = || -> (u64, usize) {
        let asked = world.path("asked.json");
        fs::write(&asked, "{}").unwrap();
        let ended =
            Ended::of(world.command(&["audit-history"]).stdin(Stdio::from(File::open(&asked).unwrap())));
        assert_eq!(ended.code, 0, "{ended:?}");
        let past: serde_json::Value = serde_json::from_str(ended.out.lines().next().unwrap()).unwrap();
        (past["older_files"].as_u64().unwrap(), past["spoiled"].as_array().unwrap().len())
    };
    assert_eq!(files(), (1, 0), "what the newest has otherwise");
    // The control: zeros of what nobody redacted.
    fs::write(world.tree(2).join("own"), [0; 5_000]).unwrap();
    assert_eq!(files(), (1, 1));
    redact(&world, ContentHash::of(&[2; 5_000]), [(2, "own")].into_iter());
    assert_eq!(files(), (0, 0));
}
