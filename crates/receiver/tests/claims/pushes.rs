//! Pushes that come whole.

use std::fs;
use std::time::{Duration, Instant};

use formats::published::{Published, Verdict};
use formats::session::{Code, ServerMessage};
use formats::{PushId, Root};
use wire::client::Outgoing;

use crate::rig::*;

#[test]
fn a_whole_push_is_sealed_byte_for_byte() {
    let jail = Jail::new(limits());
    let mut session = jail.start();
    let base = session.base();
    assert_eq!((base.published.host, base.partial, base.queued), (host(), None, Vec::new()));
    let (bytes, _) = push(PUSH);
    session.send(&bytes);
    session.sealed();
    session.send(&bye());
    assert_eq!(session.end().code, Some(0));
    let file = jail.the_sealed_push();
    assert_eq!(file[..12], formats::push::head());
    assert!(bytes.ends_with(&file[12..]), "what was sent is what is kept");
    assert_eq!(contents_of(&file), contents());
}

#[test]
fn a_push_that_comes_byte_by_byte_is_the_same_push() {
    let jail = Jail::new(limits());
    let mut session = jail.start();
    session.base();
    let (bytes, _) = push(PUSH);
    bytes.chunks(1).for_each(|byte| session.send(byte));
    session.sealed();
    session.end();
    assert!(bytes.ends_with(&jail.the_sealed_push()[12..]));
}

#[test]
fn a_large_push_arrives_whole() {
    let jail = Jail::new(limits());
    let mut session = jail.start();
    session.base();
    let largest: Vec<u8> = (0..formats::limits::BLOCK_BYTES).map(|n| (n * 7 / 3) as u8).collect();
    let mut bytes = Vec::new();
    let mut push = Outgoing::open_new(&header(PUSH), &mut bytes).unwrap();
    for _ in 0..70 {
        push.contents(&block(&largest), &mut bytes).unwrap();
        session.send(&bytes);
        bytes.clear();
    }
    push.seal(FACTS, &mut bytes).unwrap();
    session.send(&bytes);
    session.sealed();
    session.end();
    let contents = contents_of(&jail.the_sealed_push());
    assert_eq!(contents.len(), 70);
    assert!(contents.iter().all(|content| *content == largest));
}

#[test]
fn queued_pushes_are_named_and_their_files_are_in_order() {
    let jail = Jail::new(limits());
    let ids = [3u8, 1, 2].map(|n| PushId::from_bytes([n; 16]));
    ids.iter().for_each(|id| seal_one(&jail, *id));
    assert_eq!(jail.start().base().queued, ids, "in the order in which they came");
}

#[test]
fn a_clock_that_went_back_does_not_change_the_order() {
    let jail = Jail::new(limits());
    seal_one(&jail, OTHER);
    let (name, _) = jail.sealed().remove(0);
    fs::rename(jail.path("spool/sealed").join(name), jail.path("spool/sealed/18000000000000000000.push"))
        .unwrap();
    seal_one(&jail, PUSH);
    let names: Vec<_> = jail.sealed().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["18000000000000000000.push", "18000000000000000001.push"]);
    assert_eq!(jail.start().base().queued, [OTHER, PUSH]);
}

#[test]
fn a_push_that_is_known_is_answered_and_not_applied_again() {
    let jail = Jail::new(limits());
    seal_one(&jail, PUSH);
    let mut again = jail.start();
    again.base();
    again.send(&push(PUSH).0);
    again.sealed();
    again.send(&bye());
    assert_eq!(again.end().code, Some(0));
    assert_eq!(jail.sealed().len(), 1, "queued: not applied again");

    fs::remove_file(jail.path("spool/sealed").join(&jail.sealed()[0].0)).unwrap();
    let verdict = Verdict::Rejected { code: Code::WrongRoot };
    let mut published = Published::new(host(), limits());
    published.judge(PUSH, verdict);
    jail.publish(&published);
    let mut again = jail.start();
    again.base();
    again.send(&push(PUSH).0);
    assert_eq!(again.hear(), Some(ServerMessage::Verdict { push: PUSH, verdict }));
    again.end();
    assert_eq!((jail.sealed().len(), jail.incoming().len()), (0, 0), "judged: not applied again");
}

#[test]
fn the_verdict_is_told_as_soon_as_it_is_published() {
    let jail = Jail::new(limits());
    let mut session = jail.start();
    session.heard.expect_verdict(PUSH);
    session.base();
    session.send(&push(PUSH).0);
    session.sealed();
    session.send(&await_verdict(PUSH, 30));
    let verdict = Verdict::Accepted { root: Root::from_bytes([5; 32]) };
    let waiter = std::thread::spawn(move || (session.hear(), Instant::now(), session));
    std::thread::sleep(Duration::from_millis(300));
    assert!(!waiter.is_finished(), "nothing is told before it is known");
    let mut published = Published::new(host(), limits());
    published.judge(PUSH, verdict);
    let told = Instant::now();
    jail.publish(&published);
    let (heard, when, session) = waiter.join().unwrap();
    assert_eq!(heard, Some(ServerMessage::Verdict { push: PUSH, verdict }));
    assert!(when - told < Duration::from_secs(2));
    assert_eq!(session.end().code, Some(0));
}

#[test]
fn a_verdict_that_does_not_come_is_pending_when_the_time_is_up() {
    let jail = Jail::new(limits());
    seal_one(&jail, PUSH);
    let mut session = jail.start();
    session.heard.expect_verdict(PUSH);
    session.base();
    let asked = Instant::now();
    session.send(&await_verdict(PUSH, 1));
    assert_eq!(session.hear(), Some(ServerMessage::Verdict { push: PUSH, verdict: Verdict::Pending }));
    let waited = asked.elapsed();
    assert!(waited >= Duration::from_secs(1) && waited < Duration::from_secs(3), "{waited:?}");
}

#[test]
fn a_second_session_is_refused_while_the_first_lives_and_does_not_disturb_it() {
    let jail = Jail::new(limits());
    let mut first = jail.start();
    first.base();
    let (bytes, _) = push(PUSH);
    let (half, rest) = bytes.split_at(bytes.len() / 2);
    first.send(half);
    let mut second = jail.start();
    assert_eq!(second.refusal(), Code::Busy);
    assert_eq!(second.end().code, Some(10));
    first.send(rest);
    first.sealed();
    first.end();
    jail.the_sealed_push();
    jail.start().base();
}

#[test]
fn the_lock_of_a_killed_session_is_free_at_once() {
    let jail = Jail::new(limits());
    for _ in 0..5 {
        let mut session = jail.start();
        session.base();
        session.kill();
    }
    seal_one(&jail, PUSH);
}

#[test]
fn the_program_tells_what_it_is() {
    let run = |word: &str| {
        let output = std::process::Command::new(RECEIVER).arg(word).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, version) = run("--version");
    assert_eq!((code, version.starts_with("receiver ")), (Some(0), true));
    let (code, help) = run("--help");
    assert_eq!((code, help.contains("--jail")), (Some(0), true));
    assert_eq!(run("--jail").0, Some(2));
    assert_eq!(run("/srv").0, Some(2));
}
