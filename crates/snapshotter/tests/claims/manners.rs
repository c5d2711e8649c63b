//! What one host may, and how it is told: limits in settings and record, budgets, emergencies, and what a jail remembers of sessions.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use formats::attempt::{Attempt, End};
use formats::published::Verdict;
use formats::session::{Code, Role};
use formats::{Admission, OpenHours};
use serde_json::json;

use crate::push::Push;
use crate::state::{State, file};
use crate::stories::{accepted, first};
use crate::world::{World, give_away};

/// The record of web01.
fn record(world: &World, text: &str) {
    let path = world.path("records/web01.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    give_away(path.parent().unwrap());
    give_away(&path);
}

fn state_version(world: &World) -> u8 {
    fs::read(world.path("jails/web01/state/base")).unwrap()[8]
}

/// The host with more in it, by a file of so many bytes.
fn grown(state: &State, bytes: usize) -> State {
    state.clone().with("grown", file(vec![bytes as u8; bytes]))
}

#[test]
fn the_limits_of_a_record_go_before_those_of_the_settings_and_reach_the_jail() {
    let world = World::limited("push_bytes = 5000000\ninterval_seconds = 60\n");
    world.ingest(0);
    let Admission { interval_seconds, hours, .. } = world.published().admission;
    assert_eq!((interval_seconds, hours, state_version(&world)), (60, OpenHours::ALL, 2));
    record(&world, "[limits]\ninterval_seconds = 0\npush_bytes = 70\n");
    world.ingest(0);
    assert_eq!(world.published().limits.push_bytes, 70);
    assert_eq!((world.published().admission, state_version(&world)), (Admission::default(), 1));
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    world.assert_rejected(1, Code::OverBudget);
    record(&world, "[limits]\npush_hours = [3]\nemergency_pushes = 2\nleast_bytes_second = 7\n");
    world.ingest(0);
    let admission = world.published().admission;
    assert_eq!((Some(admission.hours), admission.emergency_pushes), (OpenHours::of([3]), 2));
    assert_eq!((admission.least_bytes_second, admission.interval_seconds), (7, 60));
    assert_ne!(admission.newest, 0, "when the rejected push was judged");
    world.seal(2, &Push::whole(2, &first()).bytes());
    world.ingest(0);
    assert_eq!(world.verdict(2), accepted(&first()), "5,000,000 bytes again");
}

#[test]
fn a_record_that_cannot_be_read_lets_nothing_in_and_loses_nothing() {
    let world = World::new();
    world.ingest(0);
    world.seal(1, &Push::whole(1, &first()).bytes());
    for wrong in [
        "[limits]\nfree_bytes = 1\n",
        "[limits]\npush_hours = [24]\n",
        "[limits]\nhistory_byte = 1\n",
        "[limits]\nsoft_bytes = 5\nexpanded_bytes = 4\n",
        "[limits",
    ] {
        record(&world, wrong);
        let ended = world.ingest(2);
        assert!(ended.err.contains("web01"), "{ended:?}");
        assert_eq!((world.sealed(), world.verdict(1)), (1, None), "{wrong}");
    }
    fs::remove_file(world.path("records/web01.toml")).unwrap();
    world.ingest(0);
    assert_eq!(world.verdict(1), accepted(&first()));
}

#[test]
fn a_history_at_its_budget_takes_nothing_more_and_loses_nothing() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let snapshot = world.log().latest().unwrap().clone();
    let used = snapshot.new_bytes + 128 * snapshot.entries;
    let bigger = grown(&first(), 50_000);
    let cost = 50_000 + 128 * bigger.summary().entries;
    let try_push = |push: u8, budget: u64| {
        record(&world, &format!("[limits]\nhistory_bytes = {budget}\n"));
        let base = world.log().latest().unwrap().root;
        world.seal(push.into(), &Push::delta(push, &first(), &bigger).bytes());
        world.ingest(0);
        assert_eq!(
            world.log().snapshots().len(),
            1 + usize::from(world.log().latest().unwrap().root != base)
        );
        world.verdict(push)
    };
    let over = Some(Verdict::Rejected { code: Code::OverBudget });
    assert_eq!(try_push(2, 0), over, "nothing may be kept at all");
    assert_eq!(try_push(3, used), over, "used up");
    assert_eq!(try_push(4, used + 49_999), over, "met while it is expanded");
    // Before all of it is there: a push that has nothing else right either.
    let mut wrong = Push::delta(7, &first(), &bigger);
    wrong.entries += 1;
    for (push, budget, code) in [(7, used + 49_999, Code::OverBudget), (8, used + cost, Code::WrongRoot)] {
        record(&world, &format!("[limits]\nhistory_bytes = {budget}\n"));
        wrong.header = crate::push::header(push, push.into(), wrong.header.base);
        world.seal(push.into(), &wrong.bytes());
        world.ingest(0);
        world.assert_rejected(push, code);
    }
    assert_eq!(try_push(5, used + cost - 1), over, "met by what its entries cost");
    assert_eq!(world.published().admission.history_used_bytes, used);
    let status = world.run(&["--json", "status"]);
    assert_eq!(status.code, 5);
    first().assert_tree(&world.tree(1));
    assert_eq!(try_push(6, used + cost), accepted(&bigger), "to the byte");
    assert_eq!(world.published().admission.history_used_bytes, used + cost);
    let status = world.run(&["status"]);
    assert!(status.out.contains("history budget used up"), "{status:?}");
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn what_is_declared_counts_before_anything_is_expanded() {
    let world = World::new();
    record(&world, "[limits]\nhistory_bytes = 100000\n");
    let mut push = Push::whole(1, &first());
    push.header.declared_bytes = 100_001;
    world.seal(1, &push.bytes());
    world.ingest(0);
    world.assert_rejected(1, Code::OverBudget);
    push = Push::whole(2, &first());
    push.header.declared_bytes = 100_000;
    world.seal(2, &push.bytes());
    world.ingest(0);
    assert_eq!(world.verdict(2), accepted(&first()));
}

/// The manners of web01, as the report tells them.
fn manners(world: &World) -> serde_json::Value {
    world.run(&["--json", "status"]).report()["details"]["hosts"][0]["manners"].clone()
}

#[test]
fn a_soft_limit_is_named_in_status_and_stops_nobody() {
    let world = World::new();
    record(&world, "[limits]\nsoft_entries = 13\nhistory_soft_bytes = 20\n");
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    assert_eq!(world.verdict(1), accepted(&first()));
    let over = manners(&world)["over"].clone();
    assert_eq!(over[0], json!({ "what": "entries", "used": 14, "limit": 13 }));
    assert_eq!((&over[1]["what"], &over[1]["limit"]), (&json!("bytes of history"), &json!(20)));
    let status = world.run(&["status"]);
    assert!(status.out.contains("over its soft limit of entries: 14 of 13"), "{status:?}");
    record(&world, "[limits]\nsoft_entries = 14\n");
    assert_eq!(manners(&world)["over"], json!([]));
}

/// Seals a push as a receiver does that has admitted it as an emergency.
fn seal_emergency(world: &World, number: u64, bytes: &[u8]) {
    let path = world.seal(number, bytes);
    fs::rename(&path, path.with_extension("emergency")).unwrap();
}

#[test]
fn an_emergency_is_named_in_the_log_and_told_to_the_jail_whatever_came_of_it() {
    let world = World::new();
    record(&world, "[limits]\npush_hours = [0]\nemergency_pushes = 3\n");
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    seal_emergency(&world, 2, &Push::delta(2, &first(), &grown(&first(), 10)).bytes());
    let ended = world.ingest(0);
    assert!(ended.out.contains("(an emergency)"), "{ended:?}");
    let mut wrong = Push::whole(3, &first());
    wrong.entries += 1;
    seal_emergency(&world, 3, &wrong.bytes());
    world.ingest(0);
    world.assert_rejected(3, Code::WrongRoot);
    let same = grown(&first(), 10);
    seal_emergency(&world, 4, &Push::delta(4, &same, &same).bytes());
    let ended = world.ingest(0);
    assert!(ended.out.contains("accepted (an emergency): nothing has changed since"), "{ended:?}");
    let log = fs::read_to_string(world.path("history/web01/log")).unwrap();
    let lines: Vec<(bool, bool)> = log
        .lines()
        .map(|line| (line.starts_with("{\"format\":\"firn.log/1.1\""), line.contains("\"emergency\":true")))
        .collect();
    assert_eq!(lines, [(false, false), (true, true), (true, true), (false, true)]);
    assert_eq!(world.log().emergencies().len(), 3);
    assert_eq!(world.published().admission.emergencies.len(), 3);
    assert_eq!(manners(&world)["emergencies"].as_array().unwrap().len(), 3);
    assert!(world.run(&["status"]).out.contains("3 emergencies in 30 days"));
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn how_the_last_sessions_ended_is_told_and_what_an_account_forged_harms_nobody() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    assert_eq!(manners(&world)["attempts"], json!([]));
    let refused = Attempt {
        sequence: 1,
        end: End::Refused(Code::OutOfHours),
        role: Role::Usual,
        first: 1_700_000_000,
        last: 1_700_000_060,
        count: 12,
    };
    let path = world.path("jails/web01/spool/incoming/attempts");
    fs::write(&path, refused.encode()).unwrap();
    let told = json!([{
        "end": "refused", "code": 9, "reason": "outside the hours of this host", "emergency": false,
        "count": 12, "first": "2023-11-14T22:13:20Z", "last": "2023-11-14T22:14:20Z"
    }]);
    assert_eq!(manners(&world)["attempts"], told);
    let line = world.run(&["status"]).out;
    let says =
        "last sessions refused, 12 in a row until 2023-11-14T22:14:20Z: outside the hours of this host";
    assert!(line.contains(says), "{line}");
    // Times that no calendar has, a forged crowd, a gigabyte of nothing.
    let forged = Attempt { first: i64::MIN, last: i64::MAX, count: u32::MAX, ..refused };
    fs::write(&path, forged.encode().repeat(10_000)).unwrap();
    assert_eq!(manners(&world)["attempts"].as_array().unwrap().len(), 32);
    assert!(world.run(&["status"]).out.contains("4294967295 in a row until an unknown time"));
    fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    assert_eq!(manners(&world)["attempts"], json!([]));
    for spoil in ["folder", "link", "fifo"] {
        let _ = fs::remove_file(&path);
        match spoil {
            "folder" => fs::create_dir(&path).unwrap(),
            "link" => symlink("/etc/passwd", &path).unwrap(),
            _ => assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success()),
        }
        assert_eq!(manners(&world)["attempts"], json!(null), "{spoil}");
        assert!(world.run(&["status"]).out.contains("not known: attempts"), "{spoil}");
        let _ = fs::remove_dir(&path);
    }
}

#[test]
fn a_host_is_given_limits_by_host_add_and_slots_that_all_jails_share() {
    let world = World::quick();
    let key = world.path("key.pub");
    let line = |n: u8| {
        format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgd6V5/EB898lAR5g29aPAWqwY2caFuljddCAcG1F{n}\n")
    };
    let add = |host: &str, words: &[&str]| {
        fs::write(&key, line(0)).unwrap();
        give_away(&key);
        let first = ["--json", "host", "add", host, "--key", key.to_str().unwrap(), "--user-mode"];
        world.run(&[&first[..], words].concat())
    };
    let ended = add("db1", &["--limit", "history_bytes=1000", "--limit", "push_hours=1,2", "--hours", "3"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let text = fs::read_to_string(world.path("records/db1.toml")).unwrap();
    assert_eq!(text, "hours = [3]\n\n[limits]\nhistory_bytes = 1000\npush_hours = [1, 2]\n");
    assert_eq!(add("db1", &["--limit", "push_hours="]).code, 0);
    let listed = world.run(&["--json", "host", "list"]).report()["details"]["hosts"].clone();
    let db1 = listed.as_array().unwrap().iter().find(|host| host["host"] == "db1").unwrap();
    assert_eq!(db1["limits"], json!({ "history_bytes": 1000 }));
    assert_eq!(db1["complete"], true, "{db1}");
    for wrong in
        ["history_bytes", "history_bytes=x", "free_bytes=1", "push_hours=24", "history_soft_bytes=1001"]
    {
        let ended = add("db1", &["--limit", wrong]);
        assert_eq!(ended.code, 2, "{wrong}: {ended:?}");
    }
    assert_eq!(add("db2", &[]).code, 0);
    let slots = |host: &str| {
        let folder = fs::read_dir(world.path(&format!("jails/{host}/slots"))).unwrap();
        let mut slots: Vec<_> = folder
            .map(|slot| slot.unwrap())
            .map(|slot| (slot.file_name(), slot.metadata().unwrap().ino()))
            .collect();
        slots.sort();
        slots
    };
    assert_eq!(slots("db1").len(), 64);
    assert_eq!(slots("db1"), slots("db2"));
    let text = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, format!("sessions = 3\n{text}")).unwrap();
    assert_eq!(add("db1", &[]).code, 0);
    assert_eq!(slots("db1"), slots("db2")[..3]);
    for wrong in ["0", "1025", "-1"] {
        fs::write(&world.config, format!("sessions = {wrong}\n{text}")).unwrap();
        assert_eq!(world.run(&["host", "list"]).code, 2);
    }
}
