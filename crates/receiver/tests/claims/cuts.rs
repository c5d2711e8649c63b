//! Pushes that are cut, and gone on with.

use std::fs::{self, OpenOptions};
use std::io::Write;

use formats::push::Mark;
use formats::session::Code;

use crate::rig::*;

/// How a session is cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// The connection closes.
    Closed,
    /// The receiver dies.
    Killed,
}

/// Sends so many bytes of the push in a session of its own.
fn send_cut_short(jail: &Jail, bytes: &[u8], cut: Cut) {
    let mut session = jail.start();
    session.base();
    session.send(bytes);
    match cut {
        Cut::Closed => assert_eq!(session.end().code, Some(0)),
        Cut::Killed => session.kill(),
    }
}

/// Finishes the push in a new session: goes on with what is there, or begins again.
fn finish(jail: &Jail, journal: &[Mark]) -> Option<u64> {
    let mut session = jail.start();
    let partial = session.base().partial;
    match partial {
        Some((id, frames)) => {
            assert_eq!(id, PUSH);
            session.send(&rest_of_push(journal[frames as usize - 1]));
        }
        None => session.send(&push(PUSH).0),
    }
    session.sealed();
    session.send(&bye());
    assert_eq!(session.end().code, Some(0));
    partial.map(|(_, frames)| frames)
}

#[test]
fn a_push_cut_anywhere_seals_nothing_and_then_seals_whole() {
    let (bytes, journal) = push(PUSH);
    let near_frames = journal.iter().flat_map(|mark| {
        // The file has its magic where the session has `new`.
        let end = mark.bytes as usize - 12 + 13;
        [end - 1, end, end + 1, end + 9]
    });
    let mut cuts: Vec<usize> =
        near_frames.chain((0..bytes.len()).step_by(97)).chain([bytes.len() - 1]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut gone_on = 0;
    for cut in &cuts {
        for how in [Cut::Closed, Cut::Killed] {
            let jail = Jail::new(limits());
            send_cut_short(&jail, &bytes[..*cut], how);
            assert_eq!(jail.sealed(), [], "cut at {cut}, {how:?}: nothing is sealed");
            gone_on += u32::from(finish(&jail, &journal).is_some());
            assert_eq!(contents_of(&jail.the_sealed_push()), contents(), "cut at {cut}, {how:?}");
        }
    }
    assert!(cuts.len() > 50 && gone_on > 50, "{} cuts, {gone_on} gone on with", cuts.len());
}

#[test]
fn a_push_cut_again_and_again_is_sealed_in_the_end() {
    let jail = Jail::new(limits());
    let (bytes, _) = push(PUSH);
    send_cut_short(&jail, &bytes[..200], Cut::Closed);
    for _ in 0..10 {
        let mut session = jail.start();
        let (_, frames) = session.base().partial.unwrap();
        let mark = scanned(&fs::read(jail.path("spool/incoming/current")).unwrap()).unwrap().tally.mark();
        assert_eq!(mark.frames, frames);
        let rest = rest_of_push(Mark { frames: frames.min(2), ..mark });
        // The wrong number of frames: refused, and what is there stays.
        if frames > 2 {
            session.send(&rest);
            assert_eq!(session.refusal(), Code::Protocol);
        }
        drop(session.end());
        let mut session = jail.start();
        session.base();
        let mut going_on = Vec::new();
        wire::client::Outgoing::go_on(PUSH, mark, &mut going_on).unwrap();
        session.send(&going_on);
        session.close();
        session.end();
    }
    let mark = scanned(&fs::read(jail.path("spool/incoming/current")).unwrap()).unwrap().tally.mark();
    assert!(mark.frames > 10, "ten resume frames");
    let mut session = jail.start();
    session.base();
    let mut rest = Vec::new();
    let mut push = wire::client::Outgoing::go_on(PUSH, mark, &mut rest).unwrap();
    push.seal(FACTS, &mut rest).unwrap();
    session.send(&rest);
    session.sealed();
    session.end();
    jail.the_sealed_push();
}

#[test]
fn a_new_push_discards_the_partial_one() {
    let jail = Jail::new(limits());
    send_cut_short(&jail, &push(OTHER).0[..500], Cut::Closed);
    let mut session = jail.start();
    assert!(matches!(session.base().partial, Some((OTHER, _))));
    session.send(&push(PUSH).0);
    session.sealed();
    session.end();
    assert!(push(PUSH).0.ends_with(&jail.the_sealed_push()[12..]));
}

#[test]
fn a_torn_tail_is_cut_off_before_the_partial_push_is_named() {
    let (bytes, journal) = push(PUSH);
    for tail in [&b"\x02"[..], &[2, 200, 0, 0, 0, 1, 2, 3, 4, 5], &[0; 5000]] {
        let jail = Jail::new(limits());
        send_cut_short(&jail, &bytes[..500], Cut::Closed);
        let current = jail.path("spool/incoming/current");
        let whole = fs::read(&current).unwrap();
        OpenOptions::new().append(true).open(&current).unwrap().write_all(tail).unwrap();
        let mut session = jail.start();
        session.base();
        assert_eq!(fs::read(&current).unwrap(), whole);
        session.end();
        finish(&jail, &journal);
        assert_eq!(contents_of(&jail.the_sealed_push()), contents());
    }
}

#[test]
fn a_current_file_that_is_no_push_of_this_host_is_discarded() {
    let (bytes, _) = push(PUSH);
    let jail = Jail::new(limits());
    send_cut_short(&jail, &bytes[..500], Cut::Closed);
    let ours = fs::read(jail.path("spool/incoming/current")).unwrap();
    let mut other_version = ours.clone();
    other_version[8] = 3;
    for wrong in [&b""[..], b"firn", b"not a push at all", &[0; 4096], &ours[..40], &other_version] {
        let jail = Jail::new(limits());
        fs::write(jail.path("spool/incoming/current"), wrong).unwrap();
        let mut session = jail.start();
        assert_eq!(session.base().partial, None);
        assert_eq!(jail.incoming(), [""; 0]);
        session.end();
    }
    let jail = Jail::new(limits());
    let mut published = formats::published::Published::new(formats::HostId::parse("db1").unwrap(), limits());
    jail.publish(&published);
    fs::write(jail.path("spool/incoming/current"), &ours).unwrap();
    assert_eq!(jail.start().base().partial, None, "another host's");
    published = formats::published::Published::new(host(), limits());
    published.judge(PUSH, formats::published::Verdict::Rejected { code: Code::WrongRoot });
    jail.publish(&published);
    fs::write(jail.path("spool/incoming/current"), &ours).unwrap();
    assert_eq!(jail.start().base().partial, None, "judged already");
}

#[test]
fn a_push_that_had_its_seal_but_not_its_name_is_sealed_by_the_next_session() {
    let jail = Jail::new(limits());
    seal_one(&jail, PUSH);
    let (name, file) = jail.sealed().remove(0);
    fs::rename(jail.path("spool/sealed").join(name), jail.path("spool/incoming/current")).unwrap();
    let mut session = jail.start();
    let base = session.base();
    assert_eq!((base.partial, base.queued), (None, vec![PUSH]));
    assert_eq!(jail.the_sealed_push(), file);
}
