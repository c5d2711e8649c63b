//! Pushes that are in order, and come at a time or in a measure that is not the host's.

use formats::push::{Block, Codec, Header};
use formats::session::{ClientMessage, Code, MINOR, Role};
use formats::{Admission, OpenHours};
use wire::server::Jail;

use super::{Case, Kept, begun, case};
use crate::samples::*;

/// What the server says of its host, what the host comes as, and the answer.
fn rules() -> Vec<(&'static str, Admission, Role, Code)> {
    let open = Admission::default;
    let closed = || Admission { hours: OpenHours::of([3]).unwrap(), ..open() };
    let soon = |newest| Admission { interval_seconds: 3600, newest, ..open() };
    let spent = |used, bytes| Admission { history_used_bytes: used, history_bytes: bytes, ..open() };
    let emergencies =
        |most, times: &[i64]| Admission { emergency_pushes: most, emergencies: times.to_vec(), ..closed() };
    let (usual, urgent) = (Role::Usual, Role::Emergency);
    vec![
        ("an hour that is not its own", closed(), usual, Code::OutOfHours),
        (
            "the hour before its own",
            Admission { hours: OpenHours::of([9]).unwrap(), ..open() },
            usual,
            Code::OutOfHours,
        ),
        (
            "the hour after its own",
            Admission { hours: OpenHours::of([7]).unwrap(), ..open() },
            usual,
            Code::OutOfHours,
        ),
        ("an emergency that nobody allows", closed(), urgent, Code::OutOfHours),
        ("one emergency more than is allowed", emergencies(1, &[NOW - 1]), urgent, Code::OutOfHours),
        (
            "emergencies from a clock that ran ahead",
            emergencies(2, &[NOW + 1_000_000, i64::MAX]),
            urgent,
            Code::OutOfHours,
        ),
        (
            "the last second of a month with an emergency",
            emergencies(1, &[NOW - 30 * 86_400 + 1]),
            urgent,
            Code::OutOfHours,
        ),
        ("a second after the last push", soon(NOW - 1), usual, Code::TooSoon),
        ("a second before the interval is over", soon(NOW - 3599), usual, Code::TooSoon),
        ("a last push of just now", soon(NOW), usual, Code::TooSoon),
        ("half of the interval after the last push", soon(NOW - 1800), usual, Code::TooSoon),
        ("an emergency before the interval is over", soon(NOW), urgent, Code::TooSoon),
        (
            "an interval of a hundred years",
            Admission { interval_seconds: u32::MAX, ..soon(NOW - 86_400) },
            usual,
            Code::TooSoon,
        ),
        (
            "too soon and at a wrong hour",
            Admission { hours: OpenHours::of([3]).unwrap(), ..soon(NOW) },
            usual,
            Code::TooSoon,
        ),
        ("a budget of nothing", spent(0, 0), usual, Code::NoBudget),
        ("a budget that is used up", spent(1000, 1000), usual, Code::NoBudget),
        ("a budget that is more than used up", spent(u64::MAX, 1000), usual, Code::NoBudget),
        ("a budget used up in an emergency", spent(1000, 1000), urgent, Code::NoBudget),
        (
            "a budget used up to the last but one of all bytes",
            spent(u64::MAX - 1, u64::MAX - 1),
            usual,
            Code::NoBudget,
        ),
    ]
}

/// Each rule, for a push that begins and one that goes on.
pub(super) fn unwelcome() -> Vec<Case> {
    let file = obey(jail(), &begun(framed(2, b"block")), 1000).file;
    let hello = |role| said(ClientMessage::Hello { minor: MINOR, role });
    let mut cases = Vec::new();
    for (name, admission, role, code) in rules() {
        let mut jail = Jail { partial: scanned(&file, 100), ..jail() };
        jail.published.admission = admission;
        let go_on = [said(ClientMessage::GoOn { push: PUSH, frames: 2 }), framed(4, b"")].concat();
        for (what, bytes) in [("new", begun(Vec::new())), ("going on", go_on)] {
            let bytes = [hello(role), bytes].concat();
            cases.push(Case {
                jail: jail.clone(),
                ..case(format!("{name}: {what}"), bytes, code, Kept::Nothing)
            });
        }
    }
    cases.extend(measures());
    cases
}

/// More than was declared, or than there may be.
fn measures() -> Vec<Case> {
    let claim = |kind: u8| {
        framed(kind, &Block { codec: Codec::Zstd, expanded_bytes: 1 << 20, packed: b"x" }.encode())
    };
    let mut small = jail();
    small.published.limits.expanded_bytes = 1 << 20;
    small.published.limits.entries = 10;
    let mut poor = small.clone();
    poor.published.limits.expanded_bytes = 1 << 40;
    poor.published.admission.history_bytes = 1 << 20;
    let sealing = |entries| {
        let mut to = Vec::new();
        let mut push = wire::client::Outgoing::open_new(&header(), &mut to).unwrap();
        push.seal(wire::client::SealFacts { entries, ..FACTS }, &mut to).unwrap();
        to
    };
    let declared = |declared_bytes| {
        let header = Header { declared_bytes, ..header() };
        [new(), framed(1, &header.encode().unwrap())].concat()
    };
    let cases = [
        (
            "contents that say they expand to more than all",
            &small,
            begun(claim(2).repeat(67)),
            Code::TooLarge,
            Kept::Begun,
        ),
        (
            "changes that say they expand to more than all",
            &small,
            begun(claim(3).repeat(67)),
            Code::TooLarge,
            Kept::Begun,
        ),
        (
            "contents and changes together",
            &small,
            begun([claim(2).repeat(33), claim(3).repeat(34)].concat()),
            Code::TooLarge,
            Kept::Begun,
        ),
        ("contents beyond the budget", &poor, begun(claim(2).repeat(66)), Code::NoRoom, Kept::Begun),
        ("changes beyond the budget", &poor, begun(claim(3).repeat(66)), Code::NoRoom, Kept::Begun),
        ("one entry too many", &small, sealing(11), Code::TooLarge, Kept::Begun),
        ("all entries there can be", &small, sealing(u64::MAX), Code::TooLarge, Kept::Begun),
        (
            "a byte more declared than there may be",
            &small,
            declared((1 << 20) + 1),
            Code::TooLarge,
            Kept::Nothing,
        ),
        (
            "a byte more declared than the budget has",
            &poor,
            declared((1 << 20) + 1),
            Code::NoRoom,
            Kept::Nothing,
        ),
    ];
    cases
        .map(|(name, jail, bytes, code, kept)| Case { jail: jail.clone(), ..case(name, bytes, code, kept) })
        .into()
}
