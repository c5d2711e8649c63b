//! Entries that say what an entry cannot say.

use pipeline_tests::rawpush::{Draft, Entry, put};

use super::case::Expect::{Refused, Rejected};
use super::case::{Attack, Case, case, whole};

const X: &[&[u8]] = &[b"x"];

fn one(name: &'static str, entry: impl Fn() -> Entry + 'static) -> Case {
    whole(name, Rejected(21), X, move || vec![entry()])
}

fn file() -> Entry {
    Entry::file("f", b"x")
}

/// A push whose changes are these bytes, whatever they are; sealed for a lawful result.
fn change(name: &'static str, change: impl Fn() -> Vec<u8> + 'static) -> Case {
    case(name, Rejected(21), move |facts| {
        Attack::Push(Draft::new(&facts.header).changes(&[change()]).sealed(&[file()]))
    })
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        one("a mode with the bits of a type", || file().mode(0o100_644)),
        one("a mode of all ones", || file().mode(u32::MAX)),
        one("a nanosecond too many", || Entry { mtime: (0, 1_000_000_000), ..file() }),
        one("no names at all", || file().links(0)),
        one("a folder with two names", || Entry::folder("d").links(2)),
        one("an empty symlink target", || Entry::symlink("l", b"")),
        one("a symlink target with a byte 0", || Entry::symlink("l", b"/etc\0/passwd")),
        one("a symlink target of 4,096 bytes", || Entry::symlink("l", &[b't'; 4096])),
        one("a kind of number 0", || Entry::of(0, "k", Vec::new())),
        one("a kind of number 9", || Entry::of(9, "k", Vec::new())),
        one("a kind of number 255", || Entry::of(255, "k", Vec::new())),
        one("bytes after an entry", || Entry { tail: vec![0], ..file() }),
        one("bytes after a hard link", || Entry { tail: vec![0; 40], ..Entry::link("l", b"f") }),
        one("half a device number", || Entry::of(7, "c", vec![1, 0, 0, 0, 3])),
        one("an attribute of an unknown tag", || file().attribute(3, b"n", b"v")),
        one("an attribute without a name", || file().attribute(16, b"", b"v")),
        one("an owner's name with a name", || file().attribute(1, b"n", b"v")),
        one("an attribute's name with a byte 0", || file().attribute(16, b"user.\0", b"v")),
        one("an attribute's name of 256 bytes", || file().attribute(16, &[b'n'; 256], b"v")),
        one("an attribute of 65,537 bytes", || file().attribute(16, b"user.x", &[0; 65_537])),
        one("the same attribute twice", || {
            file().attribute(16, b"user.x", b"1").attribute(16, b"user.x", b"2")
        }),
        one("attributes out of order", || file().attribute(16, b"user.b", b"").attribute(16, b"user.a", b"")),
        one("257 attributes", || {
            (0..257)
                .fold(file(), |file, number| file.attribute(16, format!("user.{number:03}").as_bytes(), b""))
        }),
        one("more attributes promised than there are", || Entry { attribute_count: Some(200), ..file() }),
        one("65,535 attributes promised", || Entry { attribute_count: Some(u16::MAX), ..file() }),
        one("fewer attributes promised than there are", || Entry {
            attribute_count: Some(0),
            ..file().attribute(16, b"user.x", b"v")
        }),
        one("an entry of more than 512 KiB", || {
            (0..9).fold(file(), |file, number| {
                file.attribute(16, format!("user.{number}").as_bytes(), &[0; 60_000])
            })
        }),
    ];
    cases.extend([
        change("a change of an unknown kind", || [&[3], put(&file()).as_slice()].concat()),
        change("a change cut short", || put(&file()).split_last().unwrap().1.to_vec()),
        change("an entry of length 0", || vec![1, 0, 0, 0, 0]),
        change("an entry of length 4 GiB", || vec![1, 255, 255, 255, 255, 1, 2, 3]),
        change("a path longer than its entry", || {
            let mut entry = file().encode();
            entry[1..3].copy_from_slice(&u16::MAX.to_le_bytes());
            [&[1], u32::try_from(entry.len()).unwrap().to_le_bytes().as_slice(), &entry].concat()
        }),
        change("an attribute's value longer than its entry", || {
            let mut entry = file().attribute(16, b"user.x", b"v").encode();
            let place = entry.len() - 5;
            entry[place..place + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            [&[1], u32::try_from(entry.len()).unwrap().to_le_bytes().as_slice(), &entry].concat()
        }),
        case("a change that goes on in the next block", Rejected(21), |facts| {
            let change = put(&file());
            let (head, tail) = change.split_at(10);
            let block =
                |draft: Draft, part: &[u8]| draft.block(3, 0, u32::try_from(part.len()).unwrap(), part);
            Attack::Push(block(block(Draft::new(&facts.header), head), tail).sealed(&[file()]))
        }),
        case("a header that is an entry", Refused(6), |facts| {
            let mut draft = Draft::new(&facts.header);
            draft.frames = vec![pipeline_tests::rawpush::frame(1, &put(&file()))];
            Attack::Push(draft.sealed(&[]))
        }),
    ]);
    cases
}
