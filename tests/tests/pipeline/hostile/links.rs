//! Hard links that lead to what is not theirs.

use pipeline_tests::rawpush::{Entry, put, remove};

use super::case::Expect::Rejected;
use super::case::{Case, case, delta, puts, whole};

const X: &[&[u8]] = &[b"x"];

fn links(name: &'static str, entries: impl Fn() -> Vec<Entry> + 'static) -> Case {
    whole(name, Rejected(21), X, entries)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        links("a hard link to itself", || vec![Entry::link("a", b"a")]),
        links("a hard link to nothing", || vec![Entry::link("a", b"b")]),
        links("a hard link to a later name", || {
            vec![Entry::link("a", b"b"), Entry::file("b", b"x").links(2)]
        }),
        links("a hard link to a folder", || vec![Entry::folder("a"), Entry::link("b", b"a")]),
        links("a hard link to a hard link", || {
            vec![Entry::file("a", b"x").links(3), Entry::link("b", b"a"), Entry::link("c", b"b")]
        }),
        links("two hard links to each other", || vec![Entry::link("a", b"b"), Entry::link("b", b"a")]),
        links("a hard link to a file of one name", || vec![Entry::file("a", b"x"), Entry::link("b", b"a")]),
        links("a hard link that climbs", || vec![Entry::link("a", b"../../good/log")]),
        links("a hard link to an absolute path", || vec![Entry::link("a", b"/etc/passwd")]),
        links("a hard link to nowhere", || vec![Entry::link("a", b"")]),
        links("an entry below a hard link", || {
            vec![Entry::file("a", b"x").links(2), Entry::link("b", b"a"), Entry::file("b/c", b"x")]
        }),
        case("a hard link whose first name is removed", Rejected(21), |facts| {
            delta(facts, &[remove(b"etc/one")], &facts.without(&[b"etc/one"]))
        }),
        case("a hard link whose first name becomes a folder", Rejected(21), |facts| {
            puts(facts, &[Entry::folder("etc/one")])
        }),
        case("a hard link whose first name becomes a file of one name", Rejected(21), |facts| {
            puts(facts, &[Entry::file("etc/one", b"hard\n")])
        }),
        case("a hard link to a path of the base that this push removes", Rejected(21), |facts| {
            let new = Entry::link("etc/three", b"etc/one");
            let mut result = facts.without(&[b"etc/one", b"etc/two"]);
            result.push(new.clone());
            delta(facts, &[remove(b"etc/one"), put(&new), remove(b"etc/two")], &result)
        }),
        case("a hard link to a name that only an older snapshot has", Rejected(21), |facts| {
            puts(facts, &[Entry::link("etc/z", b"etc/old")])
        }),
    ]
}
