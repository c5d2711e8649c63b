//! What was redacted is zeros in the history, and whatever comes in its place is no noise that came.

use std::fs;

use chrono::Utc;
use formats::ContentHash;
use formats::records::grant::Person;
use formats::records::log::{Alarm, Event};
use formats::records::redaction::{RedactedContent, Redaction};
use history::LogAppender;

use super::{FILES, State, World, alarms, encrypted, host, next, with, world};
use crate::pruned::place;

/// All photos.
fn redact(world: &World, state: &State) {
    let person = |user| Person { user, name: "somebody".to_owned() };
    let photos: Vec<_> = state.0.iter().filter(|(name, _)| name.to_string().ends_with(".jpg")).collect();
    let bytes = |item: &crate::state::Item| item.bytes().unwrap().to_vec();
    let content =
        |item| RedactedContent { content: ContentHash::of(&bytes(item)), size: bytes(item).len() as u64 };
    let mut contents: Vec<_> = photos.iter().map(|(_, item)| content(item)).collect();
    contents.sort_unstable();
    let redaction = Redaction {
        path: None,
        names: contents.len() as u64,
        contents,
        snapshots: 1,
        requested_by: person(1000),
        approved_by: person(1001),
        reason: "court order 12".to_owned(),
        ices: None,
        ice: Vec::new(),
    };
    let history = place(world);
    let alone = history.write_lock().unwrap().unwrap();
    let mut log = LogAppender::open(&history, &alone).unwrap();
    log.append(Event::Redact(Box::new(redaction)), Utc::now()).unwrap();
    for (name, item) in photos {
        let path = world.tree(1).join(name.to_string());
        fs::remove_file(&path).unwrap();
        fs::write(&path, vec![0; bytes(item).len()]).unwrap();
    }
}

#[test]
fn what_takes_the_place_of_something_redacted_is_no_noise_that_came() {
    let good = host();
    let world = world("[tripwires]\nchanged = 0\nnoise = 2", &good);
    redact(&world, &good);
    // As it is with a picture or a document in which something was made black.
    let black = with(
        &good,
        0..FILES,
        |name, bytes| {
            if name.ends_with(".jpg") { encrypted(name, bytes) } else { None }
        },
    );
    let black = State(good.0.clone().into_iter().chain(black.0).collect());
    next(&world, 2, &good, &black);
    assert_eq!((world.log().snapshots().len(), alarms(&world)), (2, Vec::new()));
    assert!(world.log().hold().is_none());
    let bad = with(&black, 0..45, encrypted);
    next(&world, 3, &black, &bad);
    assert_eq!(alarms(&world), [Alarm::Noise], "it is heard all the same");
}
