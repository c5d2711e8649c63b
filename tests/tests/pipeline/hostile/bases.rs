//! Pushes on what is not theirs, and pushes of yesterday.

use pipeline_tests::rawpush::talk::{bye, new_push, session};
use pipeline_tests::rawpush::{Draft, Entry, Header, put};

use super::case::Expect::{Accepted, Answered, Refused, Rejected, Repeated};
use super::case::{Attack, Case, Expect, case};
use super::ground::{Facts, NEW, OLD, SECRET};

fn small(header: &Header) -> Draft {
    Draft::whole(header, &[b"x"], &[Entry::file("f", b"x")])
}

fn on(name: &'static str, expect: Expect, base: impl Fn(&Facts) -> [u8; 32] + 'static) -> Case {
    case(name, expect, move |facts| {
        let new = Entry::file("etc/n", b"alpha\n");
        let draft = Draft::new(&facts.header.clone().on(base(facts)));
        Attack::Push(draft.changes(&[put(&new)]).sealed(&facts.with(&[new])))
    })
}

/// A push with a header that was changed.
fn header(name: &'static str, expect: Expect, change: impl Fn(&Facts, &mut Header) + 'static) -> Case {
    case(name, expect, move |facts| {
        let mut header = facts.header.clone();
        change(facts, &mut header);
        Attack::Push(small(&header))
    })
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        // First, for a receiver remembers only so many verdicts.
        case("a push that was accepted, sent again", Answered, |facts| Attack::Push(small(&facts.accepted))),
        case("a push that was rejected, sent again with better contents", Answered, |facts| {
            Attack::Push(small(&facts.rejected))
        }),
        case("a push that was accepted, put among the sealed ones again", Repeated, |facts| {
            Attack::File(small(&facts.accepted).bytes())
        }),
        on("a base that nobody has", Rejected(24), |_| [9; 32]),
        on("the neighbour's snapshot as the base", Rejected(24), |facts| facts.neighbour),
        on("the hash of a content as the base", Rejected(24), |_| *blake3::hash(b"alpha\n").as_bytes()),
        on("the root of a rejected push as the base", Rejected(24), |_| {
            pipeline_tests::rawpush::root_of(&[Entry::file("missing", b"never sent")])
        }),
        case("an older snapshot of its own as the base", Accepted, |facts| {
            let new = Entry::file("etc/n", OLD);
            let draft = Draft::new(&facts.header.clone().on(facts.older));
            Attack::Push(draft.changes(&[put(&new)]).sealed(&facts.older_with(&[new])))
        }),
        case(
            "an older snapshot as the base, and a content that only the newest has",
            Rejected(23),
            |facts| {
                let new = Entry::file("etc/n", NEW);
                let draft = Draft::new(&facts.header.clone().on(facts.older));
                Attack::Push(draft.changes(&[put(&new)]).sealed(&facts.older_with(&[new])))
            },
        ),
        case("another push under an accepted id, put among the sealed ones", Rejected(27), |facts| {
            let header = Header { counter: 1000, ..facts.accepted.clone() };
            Attack::File(Draft::whole(&header, &[b"y"], &[Entry::file("f", b"y")]).bytes())
        }),
        case("another installation under an accepted id, put among the sealed ones", Rejected(27), |facts| {
            let header = Header { installation: [9; 16], ..facts.accepted.clone() };
            Attack::File(Draft::whole(&header, &[b"y"], &[Entry::file("f", b"y")]).bytes())
        }),
        // Kept, with an alarm and a hold: garbage does not stop a host from being backed up.
        header("a counter that was used", Accepted, |facts, header| header.counter = facts.accepted.counter),
        header("a counter of 0", Accepted, |_, header| header.counter = 0),
        header("another installation under the own name", Accepted, |_, header| {
            header.installation = [2; 16]
        }),
        header("another installation at the end of its counter", Accepted, |_, header| {
            (header.installation, header.counter) = ([3; 16], u64::MAX);
        }),
        header("the neighbour's name", Refused(8), |_, header| header.host = b"good".to_vec()),
        header("the neighbour's name and push id", Refused(8), |facts, header| {
            *header = facts.foreign.clone()
        }),
        header("the neighbour's push id, under the own name", Accepted, |facts, header| {
            header.push = facts.foreign.push;
        }),
        header("an empty name", Refused(6), |_, header| header.host.clear()),
        header("a name that climbs", Refused(6), |_, header| header.host = b"../good".to_vec()),
        header("a name in capitals", Refused(6), |_, header| header.host = b"EVIL".to_vec()),
        header("a name with a byte 0", Refused(6), |_, header| header.host = b"evil\0".to_vec()),
        header("a name of 64 bytes", Refused(6), |_, header| header.host = vec![b'e'; 64]),
        header("a name that is a prefix", Refused(8), |_, header| header.host = b"evi".to_vec()),
        header("a time zone with a line break", Refused(6), |_, header| header.zone = b"UTC\nroot".to_vec()),
        header("a time zone of 65 bytes", Refused(6), |_, header| header.zone = vec![b'z'; 65]),
        header("a sealed payload, which is reserved", Refused(6), |_, header| header.payload = 1),
        header("a signature, which is reserved", Refused(6), |_, header| header.signature = 64),
        header("bytes after the header", Refused(6), |_, header| header.tail = vec![0; 64]),
        header("more declared than this host may send", Refused(3), |_, header| {
            header.declared_bytes = 1 << 40
        }),
        header("16 EiB declared", Refused(3), |_, header| header.declared_bytes = u64::MAX),
        header("a start at the end of time", Accepted, |_, header| header.started = i64::MAX),
        header("a start at the beginning of time", Accepted, |_, header| header.started = i64::MIN),
    ];
    cases.extend(spliced());
    cases
}

/// Parts of other pushes.
fn spliced() -> Vec<Case> {
    vec![
        case("the frames and the seal of an older push under a new header", Refused(20), |facts| {
            let mut draft = small(&facts.accepted);
            draft.frames[0] = Draft::new(&facts.header).frames[0].clone();
            Attack::Push(draft)
        }),
        case("the seal of another push", Refused(20), |facts| {
            let mut draft = small(&facts.header);
            let other = Draft::whole(&facts.header, &[b"y"], &[Entry::file("f", b"y")]);
            *draft.frames.last_mut().unwrap() = other.frames.last().unwrap().clone();
            Attack::Push(draft)
        }),
        case("the neighbour's whole push file", Refused(8), |facts| {
            let draft = Draft::whole(&facts.foreign, &[SECRET], &[Entry::file("f", SECRET)]);
            Attack::Talk(session(&draft))
        }),
        case("the neighbour's whole push file among the own sealed ones", Rejected(8), |facts| {
            Attack::File(Draft::whole(&facts.foreign, &[SECRET], &[Entry::file("f", SECRET)]).bytes())
        }),
        case("an honest push, and the same once more in the same session", Accepted, |facts| {
            let draft = small(&facts.header);
            Attack::Talk(
                [new_push(), draft.frames.concat(), new_push(), draft.frames.concat(), bye()].concat(),
            )
        }),
    ]
}

/// To be run after so many other pushes that no receiver remembers these.
pub(super) fn forgotten() -> Vec<Case> {
    vec![
        case("a push that was accepted long ago, sent again", Repeated, |facts| {
            Attack::Push(small(&facts.accepted))
        }),
        case("a push that was rejected long ago, sent again with better contents", Repeated, |facts| {
            Attack::Push(small(&facts.rejected))
        }),
        case("another push under the id of one that was accepted long ago", Rejected(27), |facts| {
            Attack::Push(small(&Header { push: [0xab; 16], ..facts.header.clone() }))
        }),
    ]
}
