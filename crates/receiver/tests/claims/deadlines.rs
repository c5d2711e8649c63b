//! Nobody can hold a jail longer than its deadlines say.

use std::time::{Duration, Instant};

use formats::ContentHash;
use formats::published::{Limits, Published};
use formats::session::Code;

use crate::rig::*;

#[test]
fn silence_ends_a_session_in_every_state() {
    let jail = Jail::new(Limits { idle_seconds: 1, ..limits() });
    let (bytes, _) = push(PUSH);
    for sent in [0, 5, 13, 40, 300, bytes.len() - 1, bytes.len()] {
        let mut session = jail.start();
        session.base();
        let start = Instant::now();
        session.send(&bytes[..sent]);
        if sent == bytes.len() {
            session.sealed();
        }
        assert_eq!(session.refusal(), Code::TooSlow, "silent after {sent} bytes");
        assert_eq!(session.ends_within(Duration::from_secs(2)), Some(13));
        assert!(start.elapsed() < Duration::from_secs(4), "silent after {sent} bytes");
    }
    seal_one(&jail, OTHER);
}

#[test]
fn one_byte_at_a_time_does_not_move_the_end() {
    let jail = Jail::new(Limits { idle_seconds: 1, session_seconds: 2, ..limits() });
    let (mut session, start) = jail.start_slowly(&push(PUSH).0);
    assert_eq!(session.refusal(), Code::TooSlow);
    assert_eq!(session.ends_within(Duration::from_secs(2)), Some(13));
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(jail.sealed(), []);
}

#[test]
fn a_fast_flood_does_not_move_the_end() {
    let jail = Jail::new(Limits { session_seconds: 1, ..limits() });
    let mut session = jail.start();
    session.base();
    // The answers are not read: the talk stands still as soon as the pipe is full of them, and the deadline still holds.
    session.send(&await_verdict(OTHER, 0).repeat(2_000));
    assert_eq!(session.ends_within(Duration::from_secs(5)), Some(13));
}

#[test]
fn a_client_that_never_reads_cannot_hold_the_jail() {
    let jail = Jail::new(Limits { idle_seconds: 1, ..limits() });
    let mut published = Published::new(host(), Limits { idle_seconds: 1, ..limits() });
    published.wanted = (0..4096u32)
        .map(|n| {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            ContentHash::from_bytes(hash)
        })
        .collect();
    jail.publish(&published);
    let mut session = jail.start();
    assert_eq!(session.ends_within(Duration::from_secs(6)), Some(13));
    assert_eq!(jail.start().base().published.wanted.len(), 4096, "the whole message, to one that reads");
}

#[test]
fn waiting_for_a_verdict_ends_with_the_session() {
    let jail = Jail::new(Limits { session_seconds: 2, ..limits() });
    seal_one(&jail, PUSH);
    let mut session = jail.start();
    session.heard.expect_verdict(PUSH);
    session.base();
    let start = Instant::now();
    session.send(&await_verdict(PUSH, u32::MAX));
    assert!(session.hear().is_some(), "pending, when the session's time is up");
    assert_eq!(session.refusal(), Code::TooSlow);
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_client_that_is_gone_is_not_waited_for() {
    let jail = Jail::new(limits());
    seal_one(&jail, PUSH);
    let mut session = jail.start();
    session.base();
    session.send(&await_verdict(PUSH, 50));
    std::thread::sleep(Duration::from_millis(200));
    session.hang_up();
    assert_eq!(session.ends_within(Duration::from_secs(2)), Some(0));
}
