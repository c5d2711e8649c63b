//! When a host may push, how often, and what it may have in all.

use formats::published::Limits;
use formats::push::{Block, Codec, Header, Mark};
use formats::session::{ClientMessage, Code, MINOR, Role, ServerMessage, Soft};
use formats::{Admission, OpenHours, PushId};
use wire::client::{Outgoing, SealFacts};
use wire::server::{Fate, Jail};

use crate::samples::*;

fn with(admission: Admission) -> Jail {
    let mut jail = jail();
    jail.published.admission = admission;
    jail
}

fn closed() -> Admission {
    Admission { hours: OpenHours::of([20]).unwrap(), ..Admission::default() }
}

fn hello(role: Role) -> Vec<u8> {
    said(ClientMessage::Hello { minor: MINOR, role })
}

/// A push by a client of this version.
fn push(role: Role) -> Vec<u8> {
    [hello(role), session()].concat()
}

fn refused(jail: &Jail, bytes: &[u8]) -> Option<(Code, u32)> {
    let deeds = obey(jail.clone(), bytes, 1000);
    let (code, fate) = deeds.refused?;
    assert_eq!((deeds.begun, deeds.gone_on, fate), (0, 0, Fate::Keep), "nothing was begun");
    Some((code, deeds.wait_seconds))
}

fn warnings(jail: &Jail, bytes: &[u8]) -> Vec<(Soft, u64, u64)> {
    let deeds = obey(jail.clone(), bytes, 1000);
    assert_eq!(
        (deeds.sealed.as_slice(), deeds.refused),
        ([PUSH].as_slice(), None),
        "it goes on all the same"
    );
    let warned = |answer| match answer {
        ServerMessage::Warned { what, used, limit } => Some((what, used, limit)),
        _ => None,
    };
    deeds.answers.into_iter().filter_map(warned).collect()
}

#[test]
fn a_push_begins_in_its_hours_only_and_is_told_when_they_begin() {
    let to_20 = 11 * 3600 + 1800;
    assert_eq!(refused(&with(closed()), &push(Role::Usual)), Some((Code::OutOfHours, to_20)));
    // The control: the hour that it is.
    let open = Admission { hours: OpenHours::of([8]).unwrap(), ..Admission::default() };
    assert_eq!(obey(with(open), &push(Role::Usual), 1000).roles, [Role::Usual]);
}

#[test]
fn what_the_client_asks_for_counts_at_the_time_it_asks() {
    let mut server = wire::server::Server::new(with(closed()));
    server.set_time(NOW - NOW.rem_euclid(86_400) + 20 * 3600);
    let drain = |server: &mut wire::server::Server| {
        let mut refused = None;
        while let Some(effect) = server.next() {
            if let wire::server::Effect::Refuse { code, .. } = effect {
                refused = Some(code);
            }
        }
        refused
    };
    assert_eq!(drain(&mut server), None);
    server.feed(&said(ClientMessage::Await { push: OTHER, seconds: 1 }));
    assert_eq!(drain(&mut server), None);
    // An hour later it is too late, however the session was kept open.
    server.set_time(NOW - NOW.rem_euclid(86_400) + 21 * 3600);
    server.feed(&[new(), header_frame()].concat());
    assert_eq!(drain(&mut server), Some(Code::Busy));
}

#[test]
fn between_two_pushes_lies_the_interval_whether_the_first_was_judged_or_waits() {
    let spaced = |newest| Admission { interval_seconds: 600, newest, ..Admission::default() };
    let judged = with(spaced(NOW - 200));
    assert_eq!(refused(&judged, &push(Role::Usual)), Some((Code::TooSoon, 400)));
    let queued =
        Jail { sealed_last: Some(NOW - 100), queued: vec![OTHER], waiting: 1, ..with(spaced(NOW - 900)) };
    assert_eq!(refused(&queued, &push(Role::Usual)), Some((Code::TooSoon, 500)));
    // The last: a clock that was put back by a year shuts nobody out, neither for a year nor for the interval again and again.
    for newest in [NOW - 600, NOW - 10_000, 0, NOW + 31_536_000] {
        assert_eq!(refused(&with(spaced(newest)), &push(Role::Usual)), None, "the interval is over");
    }
    // What is known already needs no interval.
    let again = Jail { queued: vec![PUSH], waiting: 1, ..judged };
    assert_eq!(refused(&again, &push(Role::Usual)), None);
}

#[test]
fn an_emergency_is_admitted_as_often_as_the_host_may_and_named() {
    let admission = |pushes: u8, times: &[i64]| Admission {
        emergency_pushes: pushes,
        emergencies: times.to_vec(),
        ..closed()
    };
    let roles = |jail| obey(jail, &push(Role::Emergency), 1000).roles;
    assert_eq!(roles(with(admission(2, &[NOW - 5]))), [Role::Emergency]);
    let month = formats::admission::EMERGENCY_SECONDS;
    assert_eq!(roles(with(admission(1, &[NOW - month]))), [Role::Emergency], "that one is over");
    for (pushes, times, waiting) in
        [(0, vec![], 0), (1, vec![NOW - month + 1], 0), (2, vec![NOW - 5], 1), (1, vec![], 1)]
    {
        let jail = Jail { emergencies: waiting, ..with(admission(pushes, &times)) };
        assert_eq!(refused(&jail, &push(Role::Emergency)).map(|(code, _)| code), Some(Code::OutOfHours));
    }
    // Who needs no exception is not charged with one, and gets none of any other kind.
    let open = Admission { hours: OpenHours::ALL, ..admission(1, &[]) };
    assert_eq!(roles(with(open.clone())), [Role::Usual]);
    assert_eq!(
        refused(&with(admission(1, &[])), &push(Role::Usual)).map(|(code, _)| code),
        Some(Code::OutOfHours)
    );
    let full = Jail { waiting: 8, ..with(admission(1, &[])) };
    assert_eq!(refused(&full, &push(Role::Emergency)), Some((Code::Busy, 0)));
    let spent = Admission { history_bytes: 10, history_used_bytes: 10, ..open };
    assert_eq!(refused(&with(spent), &push(Role::Emergency)), Some((Code::NoBudget, 0)));
}

#[test]
fn a_cut_push_goes_on_only_when_it_could_begin_and_then_as_what_it_then_is() {
    let file = obey(jail(), &[new(), header_frame()].concat(), 1000).file;
    let partial = scanned(&file, 100);
    let go_on = |role| {
        let resume = framed(4, b"");
        [hello(role), said(ClientMessage::GoOn { push: PUSH, frames: 1 }), resume].concat()
    };
    let jail = Jail { partial, ..with(Admission { emergency_pushes: 1, ..closed() }) };
    assert_eq!(refused(&jail, &go_on(Role::Usual)).map(|(code, _)| code), Some(Code::OutOfHours));
    assert_eq!(obey(jail, &go_on(Role::Emergency), 1000).roles, [Role::Emergency]);
}

#[test]
fn a_client_of_the_first_minor_version_gets_the_code_that_it_knows_and_no_warning() {
    assert_eq!(refused(&with(closed()), &session()).map(|(code, _)| code), Some(Code::Busy));
    let spent = Admission { history_bytes: 10, history_used_bytes: 11, ..Admission::default() };
    assert_eq!(refused(&with(spent.clone()), &session()).map(|(code, _)| code), Some(Code::NoRoom));
    assert_eq!(refused(&with(spent), &push(Role::Usual)).map(|(code, _)| code), Some(Code::NoBudget));
    let soft = Admission { soft_bytes: 0, soft_entries: 0, ..Admission::default() };
    assert_eq!(warnings(&with(soft.clone()), &session()), []);
    assert_eq!(warnings(&with(soft), &push(Role::Usual)).len(), 2);
}

#[test]
fn a_history_at_its_budget_takes_nothing_more_and_one_below_takes_what_fits() {
    let budget = |used, bytes| {
        with(Admission { history_used_bytes: used, history_bytes: bytes, ..Admission::default() })
    };
    // The header declares 100 bytes.
    for (used, bytes, code) in [
        (0, 100, None),
        (900, 1000, None),
        (901, 1000, Some(Code::NoBudget)),
        (1000, 1000, Some(Code::NoBudget)),
        (u64::MAX, 1000, Some(Code::NoBudget)),
        (0, 0, Some(Code::NoBudget)),
        (u64::MAX, u64::MAX, None),
    ] {
        assert_eq!(
            refused(&budget(used, bytes), &push(Role::Usual)).map(|(code, _)| code),
            code,
            "{used} of {bytes}"
        );
    }
}

/// A push of so many blocks that say they expand to a mebibyte each, for which none is sent.
fn claims(blocks: usize) -> Vec<u8> {
    let mut to = hello(Role::Usual);
    let mut push = Outgoing::open_new(&Header { declared_bytes: 0, ..header() }, &mut to).unwrap();
    for _ in 0..blocks {
        let block = Block { codec: Codec::Zstd, expanded_bytes: 1 << 20, packed: b"little" };
        push.contents(&block, &mut to).unwrap();
    }
    push.seal(FACTS, &mut to).unwrap();
    to
}

#[test]
fn what_blocks_expand_to_is_counted_while_they_come() {
    // What records may cost besides their data is let through: 64 MiB for a small host.
    let small = |expanded_bytes| {
        let mut jail = jail();
        jail.published.limits = Limits { expanded_bytes, entries: 1000, ..Limits::default() };
        jail
    };
    for (blocks, code) in [(66, None), (67, Some((Code::TooLarge, Fate::Discard)))] {
        let deeds = obey(small(1 << 20), &claims(blocks), 1000);
        assert_eq!(deeds.refused, code, "{blocks} blocks");
        assert!(scanned(&deeds.file, 1000).unwrap().expanded_bytes <= 66 << 20);
    }
    let mut budget = small(1 << 40);
    budget.published.admission.history_bytes = 3 << 20;
    for (blocks, code) in [(67, None), (68, Some((Code::NoBudget, Fate::Discard)))] {
        assert_eq!(obey(budget.clone(), &claims(blocks), 1000).refused, code, "{blocks} blocks");
    }
}

#[test]
fn a_cut_does_not_set_the_count_back() {
    let mut jail = jail();
    jail.published.limits = Limits { expanded_bytes: 1 << 20, entries: 1000, ..Limits::default() };
    let whole = claims(60);
    let seal = framed(5, &[0; 88]).len();
    let cut = obey(jail.clone(), &whole[..whole.len() - seal], 1000).file;
    let partial = scanned(&cut, 1000).unwrap();
    assert_eq!(partial.expanded_bytes, 60 << 20);
    let mark = Mark {
        frames: partial.tally.frames(),
        bytes: partial.tally.bytes(),
        chain: partial.tally.hash(),
        order: partial.tally.order(),
    };
    let mut rest = Vec::new();
    let mut on = Outgoing::go_on(PUSH, mark, &mut rest).unwrap();
    for _ in 0..7 {
        let block = Block { codec: Codec::Zstd, expanded_bytes: 1 << 20, packed: b"little" };
        on.contents(&block, &mut rest).unwrap();
    }
    let jail = Jail { partial: Some(partial), ..jail };
    assert_eq!(obey(jail, &rest, 1000).refused, Some((Code::TooLarge, Fate::Discard)));
}

#[test]
fn a_manifest_with_too_many_entries_is_not_sealed() {
    let mut jail = jail();
    let sealing = |entries| {
        let mut to = Vec::new();
        let mut push = Outgoing::open_new(&header(), &mut to).unwrap();
        push.seal(SealFacts { entries, ..FACTS }, &mut to).unwrap();
        to
    };
    jail.published.limits.entries = 5;
    assert_eq!(obey(jail.clone(), &sealing(5), 1000).sealed, [PUSH]);
    let over = obey(jail, &sealing(6), 1000);
    assert_eq!((over.sealed, over.refused), (Vec::<PushId>::new(), Some((Code::TooLarge, Fate::Discard))));
}

#[test]
fn what_is_over_a_soft_limit_is_named_once_and_taken() {
    let declared = with(Admission { soft_bytes: 99, ..Admission::default() });
    assert_eq!(warnings(&declared, &push(Role::Usual)), [(Soft::Bytes, 100, 99)]);
    // 1, 40 and 700 bytes of contents, and 7 of changes.
    let streamed = with(Admission { soft_bytes: 110, ..Admission::default() });
    assert_eq!(warnings(&streamed, &push(Role::Usual)), [(Soft::Bytes, 741, 110)]);
    let entries = with(Admission { soft_entries: 2, ..Admission::default() });
    assert_eq!(warnings(&entries, &push(Role::Usual)), [(Soft::Entries, 3, 2)]);
    let history = with(Admission { history_used_bytes: 11, history_soft_bytes: 10, ..Admission::default() });
    assert_eq!(warnings(&history, &push(Role::Usual)), [(Soft::History, 11, 10)]);
    let exact = Admission {
        soft_bytes: 748,
        soft_entries: 3,
        history_used_bytes: 10,
        history_soft_bytes: 10,
        ..Admission::default()
    };
    assert_eq!(warnings(&with(exact), &push(Role::Usual)), [], "at the limit is within it");
}

#[test]
fn a_client_takes_warnings_after_its_hello_and_only_so_many() {
    let warned = ServerMessage::Warned { what: Soft::Bytes, used: 2, limit: 1 };
    let mut bytes = Vec::new();
    obey(jail(), b"", 1).answers[0].encode(&mut bytes).unwrap();
    (0..9).for_each(|_| warned.encode(&mut bytes).unwrap());
    for said_hello in [true, false] {
        let mut incoming = wire::client::Incoming::new();
        if said_hello {
            incoming.expect_warnings();
        }
        assert_eq!(incoming.feed(&bytes), bytes.len());
        assert!(incoming.next().unwrap().is_some());
        let taken = (0..20).take_while(|_| matches!(incoming.next(), Ok(Some(_)))).count();
        assert_eq!(taken, if said_hello { 8 } else { 0 });
        assert!(!incoming.is_open());
    }
}
