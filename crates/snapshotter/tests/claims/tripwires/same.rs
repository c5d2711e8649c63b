//! What a push builds on is its host's to choose; how it is judged is not.

use std::fs;

use formats::records::log::{Measured, Tripped};

use super::{Alarm, FILES, Item, Push, State, World, encrypted, file, host, next, path, with, world};

/// What the log says of the newest snapshot, with sequences for the names of those it was compared with.
type Judged = (Option<Measured>, Vec<(Alarm, Tripped)>);

fn judged(world: &World) -> Judged {
    let log = world.log();
    let sequence = |name: &str| log.find(name).unwrap().sequence.to_string();
    let tripped = |one: Tripped| Tripped { compared: sequence(&one.compared), ..one };
    let alarms = log.alarms().iter().map(|raised| (raised.what, tripped(*raised.tripwire.clone().unwrap())));
    (log.latest().unwrap().measured, alarms.collect())
}

/// On the newest snapshot it is measured while it is built; on an older one and on nothing both manifests are read again.
#[test]
fn a_push_is_judged_by_what_it_is_and_not_by_what_it_builds_on() {
    let first = host();
    let second = first.with("home/more", file("more"));
    let locked = |name: &str, bytes: &[u8]| Some((format!("{name}.locked"), encrypted(name, bytes)?.1));
    let emptied = |name: &str, _: &[u8]| Some((name.to_owned(), file("")));
    let moved = |name: &str, bytes: &[u8]| Some((name.replace("home/", "home/x"), file(bytes)));
    let gone = |_: &str, _: &[u8]| None;
    let emptied = with(&second, 200..FILES, emptied);
    let cases: [(&str, State, &[Alarm]); 3] = [
        (
            "a little of all",
            with(&with(&emptied, 0..90, encrypted), 90..200, gone).with("home/.canary", file("touched")),
            &[Alarm::Noise, Alarm::Shrunken, Alarm::Canary],
        ),
        ("renamed", with(&second, 0..FILES, locked), &[Alarm::Deleted, Alarm::Extension]),
        ("moved", with(&second, 0..FILES, moved), &[]),
    ];
    for (what, third, expected) in cases {
        let come = |push: &Push| {
            let world = World::quick();
            let settings = fs::read_to_string(&world.config).unwrap();
            let settings = settings + "\n[tripwires]\ncanaries = ['/home/.canary']\n";
            fs::write(&world.config, settings).unwrap();
            world.seal(1, &Push::whole(1, &first).bytes());
            world.ingest(0);
            next(&world, 2, &first, &second);
            world.seal(3, &push.bytes());
            world.ingest(0);
            assert_eq!(world.log().snapshots().len(), 3, "{what}");
            judged(&world)
        };
        let on_newest = come(&Push::delta(3, &second, &third));
        assert!(on_newest.0.is_some(), "{what}");
        let raised: Vec<Alarm> = on_newest.1.iter().map(|(alarm, _)| *alarm).collect();
        assert!(expected.iter().all(|alarm| raised.contains(alarm)), "{what}: {raised:?}");
        assert_eq!(come(&Push::delta(3, &first, &third)), on_newest, "{what}, on an older one");
        assert_eq!(come(&Push::whole(3, &third)), on_newest, "{what}, on nothing");
    }
}

/// What was measured of a push that then turns out to be another one than it says is worth nothing: the next is measured from the start.
#[test]
fn nothing_that_was_measured_of_a_refused_push_is_used() {
    let good = host();
    let bad = with(&good, 0..FILES, encrypted);
    let world = world("", &good);
    let refused = Push { root: good.summary().root, ..Push::delta(2, &good, &bad) };
    world.seal(2, &refused.bytes());
    world.ingest(0);
    assert_eq!((world.log().snapshots().len(), world.log().alarms().len()), (1, 0));
    assert!(world.log().hold().is_none());
    let after = State(good.0.clone().into_iter().chain([(path("new"), Item::Folder)]).collect());
    next(&world, 3, &good, &after);
    assert_eq!(judged(&world), (None, Vec::new()));
}
