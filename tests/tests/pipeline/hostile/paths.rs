//! Names that could lead out of a tree, or be two things at once.

use pipeline_tests::rawpush::{Entry, put, remove};

use super::case::Expect::Rejected;
use super::case::{Case, case, delta, puts, whole};

const X: &[&[u8]] = &[b"x"];

fn one(name: &'static str, path: impl Fn() -> Vec<u8> + 'static) -> Case {
    whole(name, Rejected(21), X, move || vec![Entry::file(path(), b"x")])
}

fn two(name: &'static str, entries: impl Fn() -> Vec<Entry> + 'static) -> Case {
    whole(name, Rejected(21), X, entries)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        one("a path of two dots", || b"..".to_vec()),
        one("a path that climbs at once", || b"../x".to_vec()),
        one("a path that climbs to the neighbour", || b"../../../good/stolen".to_vec()),
        two("a path that climbs later", || vec![Entry::folder("a"), Entry::file("a/../../x", b"x")]),
        one("an absolute path", || b"/etc/firn-was-here".to_vec()),
        one("an empty path", Vec::new),
        one("a path of one dot", || b".".to_vec()),
        one("a path that begins with a dot component", || b"./x".to_vec()),
        two("a path with a dot component inside", || vec![Entry::folder("a"), Entry::file("a/./x", b"x")]),
        two("a path with a double slash", || vec![Entry::folder("a"), Entry::file("a//x", b"x")]),
        one("a path with a trailing slash", || b"x/".to_vec()),
        one("a path with a byte 0", || b"x\0y".to_vec()),
        one("a component of 256 bytes", || vec![b'x'; 256]),
        two("a path of 4,097 components", || {
            let mut entries: Vec<Entry> =
                (1..=4096).map(|depth| Entry::folder(vec!["d"; depth].join("/"))).collect();
            entries.push(Entry::file(vec!["d"; 4097].join("/"), b"x"));
            entries
        }),
        two("a path of 32,768 bytes", || {
            let names = vec!["n".repeat(255); 128];
            let mut entries: Vec<Entry> =
                (1..128).map(|depth| Entry::folder(names[..depth].join("/"))).collect();
            entries.push(Entry::file(format!("{}x", names.join("/")), b"x"));
            entries
        }),
        two("an entry below a file", || vec![Entry::file("a", b"x"), Entry::file("a/b", b"x")]),
        two("an entry below a symlink", || vec![Entry::symlink("a", b"/etc"), Entry::file("a/passwd", b"x")]),
        two("an entry below a symlink to the neighbour", || {
            vec![Entry::symlink("a", b"../../../good"), Entry::file("a/stolen", b"x")]
        }),
        two("an entry below a device", || vec![Entry::device(8, "a", 8, 0), Entry::file("a/b", b"x")]),
        two("an entry below nothing", || vec![Entry::file("a/b", b"x")]),
        two("a folder after what it holds", || vec![Entry::file("a/b", b"x"), Entry::folder("a")]),
        two("the same name twice", || vec![Entry::file("a", b"x"), Entry::file("a", b"x")]),
        two("a symlink, then a folder of the same name, then a file in it", || {
            vec![Entry::symlink("a", b"/etc"), Entry::folder("a"), Entry::file("a/passwd", b"x")]
        }),
        two("a folder, then a symlink of the same name, then a file in it", || {
            vec![Entry::folder("a"), Entry::symlink("a", b"/etc"), Entry::file("a/passwd", b"x")]
        }),
        two("names out of order", || vec![Entry::file("b", b"x"), Entry::file("a", b"x")]),
        two("names in the order of bytes, not of components", || {
            vec![Entry::folder("a"), Entry::file("a-b", b"x"), Entry::file("a/b", b"x")]
        }),
    ];
    cases.extend(against_the_base());
    cases
}

fn against_the_base() -> Vec<Case> {
    vec![
        case("a removed path that climbs", Rejected(21), |facts| {
            delta(facts, &[remove(b"../../good")], &facts.entries.clone())
        }),
        case("a removed absolute path", Rejected(21), |facts| {
            delta(facts, &[remove(b"/etc")], &facts.entries.clone())
        }),
        case("a folder of the base replaced by a symlink, and what is in it kept", Rejected(21), |facts| {
            puts(facts, &[Entry::symlink("etc/d", b"/etc")])
        }),
        case("a folder of the base removed, and what is in it kept", Rejected(21), |facts| {
            delta(facts, &[remove(b"etc/d")], &facts.without(&[b"etc/d"]))
        }),
        case("a folder of the base replaced by a file, and what is in it kept", Rejected(21), |facts| {
            puts(facts, &[Entry::file("etc", b"alpha\n")])
        }),
        case("a file added below a symlink of the base", Rejected(21), |facts| {
            puts(facts, &[Entry::file("etc/link/passwd", b"alpha\n")])
        }),
        case("changes out of order", Rejected(21), |facts| {
            let new = [Entry::file("etc/x", b"alpha\n"), Entry::file("etc/w", b"alpha\n")];
            delta(facts, &[put(&new[0]), put(&new[1])], &facts.with(&new))
        }),
        case("two changes of one path", Rejected(21), |facts| {
            let new = Entry::file("etc/x", b"alpha\n");
            delta(facts, &[put(&new), put(&new)], &facts.with(&[new]))
        }),
        case("a put and a remove of one path", Rejected(21), |facts| {
            let new = Entry::file("etc/x", b"alpha\n");
            delta(facts, &[put(&new), remove(b"etc/x")], &facts.entries.clone())
        }),
        case("a remove of what is not there", Rejected(21), |facts| {
            delta(facts, &[remove(b"etc/nothing")], &facts.entries.clone())
        }),
        case("a put of what is there already", Rejected(21), |facts| {
            delta(facts, &[put(&facts.entries[1])], &facts.entries.clone())
        }),
    ]
}
