//! Contents that are not what they claim, and claims on contents of others.

use pipeline_tests::rawpush::{Draft, Entry, Records, put};

use super::case::Expect::{Accepted, Rejected};
use super::case::{Attack, Case, Expect, case, puts};
use super::ground::{Facts, OLD, SECRET};

fn hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// A whole push of one file with content `x`, whose contents are these records.
fn records(name: &'static str, expect: Expect, records: impl Fn() -> Records + 'static) -> Case {
    case(name, expect, move |facts| push(facts, &records(), &[Entry::file("f", b"x")]))
}

fn push(facts: &Facts, records: &Records, entries: &[Entry]) -> Attack {
    let changes: Vec<_> = entries.iter().map(put).collect();
    Attack::Push(Draft::new(&facts.header).contents(records).changes(&changes).sealed(entries))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        records("other bytes under the hash", Rejected(22), || Records::new().data(b"y").end(1, hash(b"x"))),
        records("bytes of another length under the hash", Rejected(22), || {
            Records::new().data(b"xx").end(2, hash(b"x"))
        }),
        records("no bytes under the hash", Rejected(22), || Records::new().end(1, hash(b"x"))),
        records("a size one too large", Rejected(22), || Records::new().data(b"x").end(2, hash(b"x"))),
        records("a size one too small", Rejected(22), || Records::new().data(b"x").end(0, hash(b"x"))),
        records("a size of 16 EiB", Rejected(22), || Records::new().data(b"x").end(u64::MAX, hash(b"x"))),
        records("a second content under a hash that was right once", Rejected(22), || {
            Records::new().content(b"x").data(b"y").end(1, hash(b"x"))
        }),
        records("a content that is never closed", Rejected(21), || {
            Records::new().content(b"x").data(b"and then")
        }),
        records("a content that is forgotten", Rejected(23), || Records::new().data(b"x").raw(&[3])),
        records("no content at all", Rejected(23), Records::new),
        records("data of length 0", Rejected(21), || Records::new().raw(&[1, 0, 0, 0, 0]).content(b"x")),
        records("data longer than its block", Rejected(21), || {
            Records::new().raw(&[1, 255, 255, 255, 255, 7])
        }),
        records("a record of an unknown kind", Rejected(21), || Records::new().content(b"x").raw(&[9])),
        records("half a closing record", Rejected(21), || Records::new().data(b"x").raw(&[2, 1, 0, 0])),
        records("the same content twice, honestly", Accepted, || Records::new().content(b"x").content(b"x")),
        records("a content that nothing refers to", Accepted, || {
            Records::new().content(b"x").content(b"unused")
        }),
    ];
    cases.extend(claims());
    cases
}

fn claims() -> Vec<Case> {
    let x = || Records::new().content(b"x");
    vec![
        case("an entry with another size than its content", Rejected(23), move |facts| {
            push(facts, &x(), &[Entry::claim("f", 2, hash(b"x"))])
        }),
        case("a sparse file of 8 EiB that was never sent", Rejected(23), move |facts| {
            push(facts, &x(), &[Entry::claim("f", 1 << 63, hash(b"zeros"))])
        }),
        case("an entry with 8 EiB of a content that has one byte", Rejected(23), move |facts| {
            push(facts, &x(), &[Entry::claim("f", 1 << 63, hash(b"x"))])
        }),
        case("a content of the base with another size", Rejected(23), |facts| {
            puts(facts, &[Entry::claim("etc/n", 7, hash(b"alpha\n"))])
        }),
        case("a content that only an older snapshot has", Rejected(23), |facts| {
            puts(facts, &[Entry::file("etc/n", OLD)])
        }),
        case("a content that only the neighbour has", Rejected(23), |facts| {
            puts(facts, &[Entry::file("etc/n", SECRET)])
        }),
        case("a content of the base, without naming the base", Rejected(23), |facts| {
            push(facts, &Records::new(), &[Entry::file("f", b"alpha\n")])
        }),
        case("the hash of a symlink's target as a content", Rejected(23), |facts| {
            puts(facts, &[Entry::file("etc/n", b"a.conf")])
        }),
        case("the root of the base as a content", Rejected(23), |facts| {
            puts(facts, &[Entry::claim("etc/n", 1, facts.base)])
        }),
        case("a content closed after going on, without its beginning", Rejected(22), |facts| {
            let draft = Draft::new(&facts.header).contents(&Records::new().data(b"x")).frame(4, &[]);
            let draft = draft.contents(&Records::new().end(1, hash(b"x")));
            Attack::Push(draft.changes(&[put(&Entry::file("f", b"x"))]).sealed(&[Entry::file("f", b"x")]))
        }),
        case("a content that comes after the entries, in a push of its own order", Rejected(23), |facts| {
            let entry = Entry::file("f", b"x");
            let draft =
                Draft::new(&facts.header).changes(&[put(&entry)]).frame(4, &[]).changes(&[put(&entry)]);
            Attack::Push(draft.sealed(&[entry]))
        }),
        case("a lawful change of a content of the base", Accepted, |facts| {
            puts(facts, &[Entry::file("etc/n", b"alpha\n")])
        }),
    ]
}
