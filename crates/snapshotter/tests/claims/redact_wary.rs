//! A redaction that meets what it did not expect: it ends all the same, or changes nothing, and never touches what is something else.

use std::fs;
use std::process::Stdio;

use chrono::{SecondsFormat, TimeDelta, Utc};
use formats::ContentHash;
use formats::records::log::Event;
use formats::records::redaction::{RedactedContent, Redaction};
use history::LogAppender;

use crate::heal::{hash, precious, state, world as three};
use crate::pruned::place;
use crate::push::Push;
use crate::redact::{
    SNAPSHOTS, approve, assert_redacted, by, cannot_be_two, enabled, redacted, request, world,
};
use crate::redact_kill::{aside, order};
use crate::state::file;
use crate::world::{Ended, World, give_away};

#[test]
fn what_lies_aside_and_is_something_else_stays_whole() {
    if cannot_be_two("what_lies_aside_and_is_something_else_stays_whole") {
        return;
    }
    let world = world();
    fs::create_dir(world.path("history/web01/.rot")).unwrap();
    give_away(&world.path("history/web01/.rot"));
    fs::hard_link(world.tree(1).join("same"), aside(&world)).unwrap();
    redacted(&world, "copy");
    assert!(!aside(&world).exists());
    assert_redacted(&world, SNAPSHOTS);
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn what_breaks_after_the_line_is_replaced_by_the_next_approval() {
    if cannot_be_two("what_breaks_after_the_line_is_replaced_by_the_next_approval") {
        return;
    }
    let world = world();
    redacted(&world, "copy");
    let (copy, same) = (world.tree(2).join("copy"), world.tree(2).join("same"));
    let flipped = || {
        let mut bytes = precious();
        bytes[777_777] ^= 4;
        bytes
    };
    let ways: [&dyn Fn(); 6] = [
        &|| fs::write(&copy, flipped()).unwrap(),
        &|| fs::write(&copy, &precious()[..100_000]).unwrap(),
        &|| fs::write(&copy, "").unwrap(),
        &|| fs::write(&copy, precious()).unwrap(),
        &|| fs::remove_file(&copy).unwrap(),
        &|| {
            fs::remove_file(&copy).unwrap();
            fs::hard_link(&same, &copy).unwrap();
        },
    ];
    for (n, way) in ways.iter().enumerate() {
        way();
        assert_eq!(world.run(&["verify"]).code, 29, "{n}");
        redacted(&world, "copy");
        assert_redacted(&world, SNAPSHOTS);
        let verified = world.run(&["verify"]);
        assert_eq!(verified.code, 0, "{n}: {verified:?}");
        assert_eq!(fs::read_dir(world.path("history/web01/.rot")).unwrap().count(), 0, "{n}");
    }
    let lines = fs::read_to_string(world.path("history/web01/log")).unwrap();
    assert_eq!(lines.matches("\"kind\":\"redact\"").count(), 1);
}

#[test]
fn zeros_in_a_folder_keep_nothing_else_and_stay() {
    if cannot_be_two("zeros_in_a_folder_keep_nothing_else_and_stay") {
        return;
    }
    let world = world();
    let zeros = vec![0; 9_000];
    let push = Push::delta(4, &state(3), &state(4).with("d/zeros", file(zeros.clone())));
    world.seal(4, &push.bytes());
    world.ingest(0);
    let asked = request(&world, "d");
    let ended = by(&world, "1002", &["redact", "approve", "web01", &asked]);
    assert!(ended.code == 0 && ended.out.contains("1 contents stay"), "{ended:?}");
    assert_redacted(&world, SNAPSHOTS + 1);
    assert!(world.log().redacted().of(&ContentHash::of(&zeros), 4).is_none());
    assert_eq!(world.run(&["verify"]).code, 0);
    // And nothing else is nothing.
    let asked = request(&world, "d/zeros");
    assert_eq!(approve(&world, &asked).code, 2);
}

fn change(world: &World, how: impl FnOnce(&mut serde_json::Value)) -> String {
    let path = world.path("asked/web01.json");
    let mut record = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    how(&mut record);
    fs::write(&path, format!("{record}\n")).unwrap();
    record["requested"].as_str().unwrap().to_owned()
}

#[test]
fn what_no_snapshot_names_any_more_keeps_nothing_else() {
    if cannot_be_two("what_no_snapshot_names_any_more_keeps_nothing_else") {
        return;
    }
    let world = world();
    let gone = ContentHash::of(b"gone");
    request(&world, "copy");
    let asked = change(&world, |record| {
        let contents = record["contents"].as_array_mut().unwrap();
        contents.push(serde_json::json!({"content": gone.to_string(), "size": 4}));
        contents.sort_by_key(|one| one["content"].to_string());
    });
    let ended = by(&world, "1002", &["redact", "approve", "web01", &asked]);
    assert!(ended.code == 0 && ended.out.contains("1 contents are in no snapshot any more"), "{ended:?}");
    assert_redacted(&world, SNAPSHOTS);
    assert!(world.log().redacted().iter().all(|(content, _)| *content == hash()));
}

#[test]
fn what_was_asked_for_long_ago_is_not_approved_unless_it_was() {
    if cannot_be_two("what_was_asked_for_long_ago_is_not_approved_unless_it_was") {
        return;
    }
    let world = world();
    request(&world, "copy");
    let before = world.picture("history");
    let old = (Utc::now() - TimeDelta::days(8)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let asked = change(&world, |record| record["requested"] = old.clone().into());
    assert!(world.run(&["redact", "list"]).out.contains("expired"));
    assert_eq!(approve(&world, &asked).code, 2);
    assert_eq!(world.picture("history"), before);
    let asked = request(&world, "copy");
    // Killed between the end and its own record.
    let record = fs::read(world.path("asked/web01.json")).unwrap();
    assert_eq!(approve(&world, &asked).code, 0);
    fs::write(world.path("asked/web01.json"), record).unwrap();
    let asked = change(&world, |record| record["requested"] = old.clone().into());
    assert!(world.run(&["redact", "list"]).out.contains("says so already"));
    assert_eq!(approve(&world, &asked).code, 0);
    assert_redacted(&world, SNAPSHOTS);
}

#[test]
fn what_erases_asks_for_two_persons_itself() {
    let ended = |world: &World, person| {
        Ended::of(world.command(&["redact-host", "web01"]).stdin(Stdio::from(order(world, person))))
    };
    let world = three(SNAPSHOTS);
    let before = world.picture("history");
    assert_eq!(ended(&world, 1002).code, 2, "it is off");
    let world = enabled(world);
    for person in [1001, 0] {
        assert_eq!(ended(&world, person).code, 2, "{person}");
    }
    assert_eq!(world.picture("history"), before);
    assert_eq!(ended(&world, 1002).code, 0);
    assert_redacted(&world, SNAPSHOTS);
}

/// As if so many others had been redacted since the newest snapshot.
fn redact_others(world: &World, numbers: std::ops::Range<u32>) {
    let numbers: Vec<u32> = numbers.collect();
    let place = place(world);
    let alone = place.write_lock().unwrap().unwrap();
    let mut log = LogAppender::open(&place, &alone).unwrap();
    for part in numbers.chunks(400) {
        let content = |n: &u32| RedactedContent { content: ContentHash::of(&n.to_le_bytes()), size: 4 };
        let mut contents: Vec<_> = part.iter().map(content).collect();
        contents.sort_unstable();
        let person = |user: u32| formats::records::grant::Person { user, name: user.to_string() };
        let line = Redaction {
            path: None,
            contents,
            names: 1,
            snapshots: 1,
            requested_by: person(1001),
            approved_by: person(1002),
            reason: "x".to_owned(),
            ices: None,
            ice: Vec::new(),
        };
        log.append(Event::Redact(Box::new(line)), Utc::now()).unwrap();
    }
}

#[test]
fn no_more_is_redacted_than_one_push_can_bring_again() {
    let ended = |world: &World| {
        Ended::of(world.command(&["redact-host", "web01"]).stdin(Stdio::from(order(world, 1002))))
    };
    let world = enabled(three(SNAPSHOTS));
    redact_others(&world, 0..4_096);
    let before = world.picture("history");
    let refused = ended(&world);
    assert!(refused.code == 2 && refused.err.contains("no push could bring so many"), "{refused:?}");
    assert_eq!(world.picture("history"), before);
    let world = enabled(three(SNAPSHOTS));
    redact_others(&world, 0..4_095);
    assert_eq!(ended(&world).code, 0);
    assert_redacted(&world, SNAPSHOTS);
    assert_eq!(world.published().wanted.len(), 4_096);
    assert!(world.published().wanted.contains(&hash()));
}
