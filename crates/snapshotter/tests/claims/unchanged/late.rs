//! The newest push of a host is what tells that it is there, and no snapshot.

use std::fs;

use chrono::{DateTime, SecondsFormat, TimeDelta, Timelike, Utc};
use formats::HostId;
use formats::records::log::{Event, Ingest, Unchanged};
use formats::session::Code;
use history::{History, LogAppender, SnapshotName};
use serde_json::Value;

use super::first;
use crate::push::header;
use crate::world::{World, give_away, is_root};

fn append(world: &World, event: Event, time: DateTime<Utc>) {
    let history = History::open(&world.path("history")).unwrap();
    let place = history.host_or_new(&HostId::parse("web01").unwrap()).unwrap();
    let alone = place.write_lock().unwrap().unwrap();
    LogAppender::open(&place, &alone).unwrap().append(event, time).unwrap();
}

/// A host in Berlin whose only snapshot is of that time, and whose next push was rejected.
fn pushed(time: DateTime<Utc>) -> World {
    let world = World::new();
    let (header, rejected, sum) = (header(1, 1, None), header(9, 9, None), first().summary());
    let ingest = Ingest {
        sequence: 1,
        name: SnapshotName::new(time, 1).unwrap().to_string(),
        root: sum.root,
        entries: sum.entries,
        left_out: 0,
        base: None,
        push: header.push,
        installation: header.installation,
        counter: 1,
        started: time.timestamp(),
        zone: header.zone,
        new_bytes: 14,
        changes: 3,
        long_entry_bytes: 0,
        emergency: false,
        imported: false,
        measured: None,
    };
    append(&world, Event::Ingest(ingest), time);
    let (code, reason) = (Code::WrongRoot.number(), Code::WrongRoot.text().to_owned());
    let (push, installation, counter, emergency) = (Some(rejected.push), None, None, false);
    append(&world, Event::Reject { push, installation, counter, code, reason, emergency }, time);
    for name in ["", "/log", "/.lock"] {
        give_away(&world.path(&format!("history/web01{name}")));
    }
    world
}

/// It pushes now, from another place, and nothing has changed.
fn unchanged(world: &World, time: DateTime<Utc>) {
    let header = header(2, 2, None);
    let event = Unchanged {
        sequence: 1,
        root: first().summary().root,
        left_out: 0,
        push: header.push,
        installation: header.installation,
        counter: 2,
        started: time.timestamp(),
        zone: "Asia/Jakarta".to_owned(),
        emergency: false,
    };
    append(world, Event::Unchanged(event), time);
}

fn status(world: &World) -> (String, Value) {
    let ended = world.run(&["--json", "status"]);
    let host = ended.report()["details"]["hosts"][0].clone();
    (ended.out, host)
}

/// A host on which nothing changes pushes in time: its newest snapshot is as old as the state, and not as the push.
#[test]
fn a_host_on_which_nothing_changes_is_not_late() {
    let now = Utc::now();
    let world = pushed(now - TimeDelta::days(20));
    let late = || status(&world).1["late"].to_string();
    assert!(late().contains("push"), "the control: it is late by its snapshot alone: {}", late());
    assert!(late().contains("rejected"), "the control: nothing was accepted since: {}", late());
    unchanged(&world, now);
    let time = now.to_rfc3339_opts(SecondsFormat::Secs, true);
    assert!(!late().contains("push") && !late().contains("rejected"), "{} at {time}", late());
    // And it is told why a snapshot of 20 days ago is enough.
    let (out, host) = status(&world);
    assert!(out.contains(&format!("unchanged at {time}")), "{out}");
    assert_eq!(host["newest"]["unchanged_at"], time);
    // When it is due next is told by the clock of where it is now: there 2, 10 and 18 o'clock are 19, 3 and 11 here, all the year.
    let due = DateTime::parse_from_rfc3339(host["next_due"].as_str().unwrap()).unwrap().to_utc();
    assert_eq!((host["zone"].as_str(), due.hour() % 8), (Some("Asia/Jakarta"), 3), "{host}");
}

#[test]
fn a_push_that_changed_nothing_begins_the_interval_of_an_appliance_anew() {
    if !is_root() {
        println!(
            "SKIPPED: a_push_that_changed_nothing_begins_the_interval_of_an_appliance_anew: take needs root"
        );
        return;
    }
    let now = Utc::now();
    let world = pushed(now - TimeDelta::days(20));
    unchanged(&world, now);
    fs::create_dir_all(world.path("records")).unwrap();
    let record = "[appliance]\n[limits]\ninterval_seconds = 3600\n";
    fs::write(world.path("records/web01.toml"), record).unwrap();
    let staging = world.path("staging");
    let taken = world.run(&["take", "web01", "--staging", staging.to_str().unwrap()]);
    assert!(taken.code == 0 && taken.out.contains("by its interval_seconds"), "{taken:?}");
    assert!(!staging.exists(), "nothing was looked at");
}
