//! When a host may push, how often, and beside how many others.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use formats::published::{Limits, Published};
use formats::session::{Code, Role, ServerMessage, Soft};
use formats::{Admission, HostId, OpenHours};

use crate::rig::*;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// Open twelve hours from now, and not now nor soon.
fn closed() -> Admission {
    let hour = u8::try_from((now() / 3600 + 12) % 24).unwrap();
    Admission { hours: OpenHours::of([hour]).unwrap(), ..Admission::default() }
}

/// Jails of several hosts that share so many slots.
fn jails(top: &Path, hosts: usize, slots: usize) -> Vec<Jail> {
    fs::create_dir(top.join("slots")).unwrap();
    (0..slots).for_each(|n| fs::write(top.join(format!("slots/{n:04}")), b"").unwrap());
    let jail = |n: usize| {
        let dir = top.join(format!("web{n:02}"));
        let jail = Jail::at(&dir, limits());
        jail.publish(&Published::new(HostId::parse(&format!("web{n:02}")).unwrap(), limits()));
        fs::create_dir(dir.join("slots")).unwrap();
        for slot in fs::read_dir(top.join("slots")).unwrap() {
            let slot = slot.unwrap();
            fs::hard_link(slot.path(), dir.join("slots").join(slot.file_name())).unwrap();
        }
        jail
    };
    (0..hosts).map(jail).collect()
}

#[test]
fn no_more_sessions_than_slots_live_at_once_over_all_jails() {
    let scratch = tempfile::tempdir().unwrap();
    let jails = jails(scratch.path(), 5, 3);
    let mut living: Vec<Session> = jails[..3].iter().map(Jail::start).collect();
    living.iter_mut().for_each(|session| drop(session.base()));
    let mut times = Vec::new();
    for jail in &jails[3..] {
        let mut session = jail.start();
        let (code, seconds) = session.refusal_for();
        assert_eq!((code, (60..660).contains(&seconds)), (Code::Busy, true), "{seconds}");
        assert_eq!(session.end().code, Some(10));
        times.push(seconds);
    }
    assert_ne!(times[0], times[1], "hosts that are refused together come back apart");
    // However one ends, its place is free.
    living.pop().unwrap().kill();
    let mut next = jails[3].start();
    next.base();
    assert_eq!(jails[4].start().refusal(), Code::Busy);
    drop(living);
    jails[4].start().base();
    // The control: without slots, all of them.
    jails.iter().for_each(|jail| fs::remove_dir_all(jail.path("slots")).unwrap());
    let mut all: Vec<Session> = jails[..3].iter().chain(&jails[4..]).map(Jail::start).collect();
    all.iter_mut().for_each(|session| drop(session.base()));
    drop(next);
}

#[test]
fn a_session_holds_one_slot_and_reaches_no_other() {
    let scratch = tempfile::tempdir().unwrap();
    let jails = jails(scratch.path(), 1, 20);
    let mut session = jails[0].start();
    session.base();
    let open = fs::read_dir(format!("/proc/{}/fd", session.pid())).unwrap();
    let targets = open.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    let slots = targets.filter(|target| target.to_string_lossy().contains("/slots"));
    assert_eq!(slots.count(), 1, "neither their folder nor a second one");
}

#[test]
fn slots_that_cannot_be_locked_are_not_free_and_a_folder_that_is_none_is_a_fault() {
    let scratch = tempfile::tempdir().unwrap();
    let jail = &jails(scratch.path(), 1, 1)[0];
    fs::remove_file(jail.path("slots/0000")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", jail.path("slots/0000")).unwrap();
    assert_eq!(jail.start().refusal(), Code::Busy);
    fs::remove_dir_all(jail.path("slots")).unwrap();
    fs::write(jail.path("slots"), b"").unwrap();
    assert_eq!(jail.start().refusal(), Code::ServerFault);
}

#[test]
fn outside_its_hours_a_host_is_told_when_to_come_back_and_leaves_nothing() {
    let jail = Jail::admitting(closed());
    let mut session = jail.start();
    session.base();
    session.send(&[hello(Role::Usual), push(PUSH).0].concat());
    let (code, seconds) = session.refusal_for();
    assert_eq!(code, Code::OutOfHours);
    assert!((11 * 3600 - 5..12 * 3600 + 1800).contains(&seconds), "{seconds}");
    let ended = session.end();
    assert_eq!(ended.code, Some(10));
    assert_eq!(ended.stderr, "receiver: outside the hours of this host\n");
    assert_eq!((jail.sealed().len(), jail.incoming().len()), (0, 0));
    // A client of before that code gets one that it knows; the exit code is the same.
    let mut session = jail.start();
    session.base();
    session.send(&push(PUSH).0);
    assert_eq!(session.refusal(), Code::Busy);
    assert_eq!(session.end().code, Some(10));
    // The control.
    jail.publish(&Published::new(host(), limits()));
    seal_one(&jail, PUSH);
}

#[test]
fn the_interval_counts_from_a_push_that_waits_too() {
    let jail = Jail::admitting(Admission { interval_seconds: 3600, ..Admission::default() });
    seal_one(&jail, OTHER);
    let mut session = jail.start();
    session.base();
    session.send(&[hello(Role::Usual), push(PUSH).0].concat());
    let (code, seconds) = session.refusal_for();
    assert_eq!((code, (3590..=3600 + 600).contains(&seconds)), (Code::TooSoon, true), "{seconds}");
    session.end();
    // When it has been judged, the snapshotter says when.
    fs::remove_file(jail.path("spool/sealed").join(&jail.sealed()[0].0)).unwrap();
    let judged = |newest| Admission { interval_seconds: 3600, newest, ..Admission::default() };
    let publish = |newest| {
        jail.publish(&Published { admission: judged(newest), ..Published::new(host(), limits()) });
    };
    publish(now() - 60);
    let mut session = jail.start();
    session.base();
    session.send(&[hello(Role::Usual), push(PUSH).0].concat());
    assert_eq!(session.refusal(), Code::TooSoon);
    session.end();
    publish(now() - 3600);
    seal_one(&jail, PUSH);
}

fn seal_emergency(jail: &Jail) -> Session {
    let mut session = jail.start();
    session.base();
    session.send(&[hello(Role::Emergency), push(PUSH).0].concat());
    session
}

#[test]
fn an_emergency_is_taken_named_and_counted_while_it_waits() {
    let jail = Jail::admitting(Admission { emergency_pushes: 1, ..closed() });
    let mut session = seal_emergency(&jail);
    session.sealed();
    session.send(&bye());
    session.end();
    let sealed = jail.sealed();
    assert!(sealed[0].0.ends_with(".emergency"), "{}", sealed[0].0);
    assert_eq!(jail.incoming(), [""; 0]);
    // The one that waits is the one that was allowed.
    let mut session = jail.start();
    session.heard.expect_sealed(OTHER);
    session.base();
    session.send(&[hello(Role::Emergency), push(OTHER).0].concat());
    assert_eq!(session.refusal(), Code::OutOfHours);
    drop(session);
    // Where no exception is needed, none is taken.
    let jail =
        Jail::admitting(Admission { emergency_pushes: 1, interval_seconds: 1, ..Admission::default() });
    seal_emergency(&jail).sealed();
    assert!(jail.sealed()[0].0.ends_with(".push"));
}

#[test]
fn an_emergency_cut_before_its_renaming_is_sealed_as_one() {
    let jail = Jail::admitting(Admission { emergency_pushes: 1, ..closed() });
    let whole = push(PUSH).0;
    let mut session = jail.start();
    session.base();
    session.send(&hello(Role::Emergency));
    session.send(&whole[..whole.len() - 5]);
    session.end();
    // As a session leaves it that dies between the last byte and the renaming.
    let current = jail.path("spool/incoming/current");
    let mut bytes = fs::read(&current).unwrap();
    let seal = whole.len() - 97;
    bytes.extend_from_slice(&whole[seal..]);
    fs::write(&current, bytes).unwrap();
    assert_eq!(jail.start().base().queued, [PUSH]);
    assert!(jail.sealed()[0].0.ends_with(".emergency"));
    // A push that begins as a usual one is none, whatever was left before it.
    fs::remove_file(jail.path("spool/sealed").join(&jail.sealed()[0].0)).unwrap();
    fs::write(jail.path("spool/incoming/emergency"), b"").unwrap();
    jail.publish(&Published::new(host(), limits()));
    seal_one(&jail, PUSH);
    assert!(jail.sealed()[0].0.ends_with(".push"));
    assert_eq!(jail.incoming(), [""; 0]);
}

#[test]
fn a_history_at_its_budget_is_told_so_and_a_soft_limit_is_only_named() {
    let used = |bytes, soft| Admission {
        history_bytes: bytes,
        history_soft_bytes: soft,
        history_used_bytes: 1000,
        ..Admission::default()
    };
    let jail = Jail::admitting(used(1000, 900));
    let mut session = jail.start();
    session.base();
    session.send(&[hello(Role::Usual), push(PUSH).0].concat());
    assert_eq!(session.refusal(), Code::NoBudget);
    let ended = session.end();
    assert_eq!(ended.code, Some(11));
    assert_eq!(ended.stderr, "receiver: history budget of this host used up\n");
    assert_eq!((jail.sealed().len(), jail.incoming().len()), (0, 0));
    jail.publish(&Published { admission: used(1_000_000, 900), ..Published::new(host(), limits()) });
    let mut session = jail.start();
    session.heard.expect_warnings();
    session.base();
    session.send(&[hello(Role::Usual), push(PUSH).0].concat());
    let warned = ServerMessage::Warned { what: Soft::History, used: 1000, limit: 900 };
    assert_eq!(session.hear(), Some(warned));
    session.sealed();
}

#[test]
fn a_session_that_creeps_ends_long_before_its_deadline() {
    let creep =
        |least_bytes_second| Admission { grace_seconds: 1, least_bytes_second, ..Admission::default() };
    let (bytes, _) = push(PUSH);
    let jail = Jail::admitting(creep(1_000));
    let (mut session, start) = jail.start_slowly(&bytes);
    assert_eq!(session.refusal(), Code::TooSlow);
    assert_eq!(session.ends_within(Duration::from_secs(2)), Some(13));
    assert!(start.elapsed() < Duration::from_secs(4), "a session may last 60 seconds here");
    // The controls: as fast as is asked for, and where nothing is asked for.
    for least in [15, 0] {
        let jail = Jail::admitting(creep(least));
        let (mut session, _) = jail.start_slowly(&bytes);
        session.send(&bytes[bytes.len().min(40)..]);
        session.close();
        assert_eq!(
            session.ends_within(Duration::from_secs(2)).map(|code| code == 13),
            Some(false),
            "{least}"
        );
    }
}

#[test]
fn waiting_for_a_verdict_is_not_creeping() {
    let jail =
        Jail::admitting(Admission { grace_seconds: 1, least_bytes_second: 1 << 30, ..Admission::default() });
    seal_one(&jail, PUSH);
    let mut session = jail.start();
    session.heard.expect_verdict(PUSH);
    session.base();
    session.send(&await_verdict(PUSH, 3));
    assert!(matches!(session.hear(), Some(ServerMessage::Verdict { .. })));
    session.send(&bye());
    assert_eq!(session.end().code, Some(0));
    // Saying nothing is.
    let mut session = jail.start();
    session.base();
    assert_eq!(session.ends_within(Duration::from_secs(5)), Some(13));
}

#[test]
fn a_published_state_of_the_first_version_is_read_as_before() {
    let old = concat!(env!("CARGO_MANIFEST_DIR"), "/../formats/tests/golden/v1/published-state");
    let bytes = fs::read(old).unwrap();
    let published = Published::decode(&bytes).unwrap();
    assert_eq!((bytes[8], published.host.as_str()), (1, "web01"));
    let jail = Jail::new(limits());
    fs::write(jail.path("state/base"), &bytes).unwrap();
    let base = jail.start().base();
    assert_eq!(base.published, published);
    assert_eq!(base.published.admission, Admission::default());
    // What the admission says is for the receiver: the host is not told.
    let jail = Jail::admitting(Admission { history_used_bytes: 77, history_bytes: 1 << 50, ..closed() });
    assert_eq!(jail.start().base().published, Published::new(host(), limits()));
}

#[test]
fn what_another_host_does_beside_it_changes_no_byte_of_what_a_host_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let jails = jails(scratch.path(), 2, 8);
    let limits = Limits { push_bytes: 1 << 20, ..limits() };
    jails[0].publish(&Published::new(host(), limits));
    let mut told = Vec::new();
    for is_busy in [false, true] {
        let other = is_busy.then(|| {
            let mut other = jails[1].start();
            other.base();
            other.send(&hello(Role::Usual));
            other
        });
        let mut script = hello(Role::Usual);
        script.extend(await_verdict(OTHER, 0));
        script.extend(push(PUSH).0);
        script.extend(await_verdict(PUSH, 0));
        script.extend(b"what is this");
        let mut command = jails[0].command();
        let output = whole_output(&mut command, &script);
        assert!(output.len() > 200);
        told.push(output);
        for (name, _) in jails[0].sealed() {
            fs::remove_file(jails[0].path("spool/sealed").join(name)).unwrap();
        }
        drop(other);
    }
    assert_eq!(told[0], told[1]);
}
