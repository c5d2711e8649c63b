//! Contents that a push makes from parts of files of its base.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use formats::push::{FrameKind, Record};
use formats::session::Code;
use formats::{ContentHash, Root};

use crate::push::{Push, records, zstd};
use crate::state::{Item, State, file, path};
use crate::stories::accepted;
use crate::world::{Ended, World};

const LENGTH: usize = 3_000_000;

/// Bytes of which no part equals another.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn base() -> State {
    State::of([
        ("big", file(pattern(LENGTH))),
        ("dir", Item::Folder),
        ("dir/other", file("other")),
        ("link", Item::Symlink(b"dir/other".to_vec())),
        ("passwd", Item::Symlink(b"/etc/passwd".to_vec())),
    ])
}

/// A push on the base, whose one content is made by these records.
fn push(id: u8, new: &State, made_by: &[Record<'_>]) -> Push {
    let mut push = Push::delta(id, &base(), new);
    push.contents.clear();
    push.made_by(made_by)
}

impl Push {
    pub(crate) fn made_by(mut self, made_by: &[Record<'_>]) -> Self {
        self.extra = vec![(FrameKind::Contents.code(), zstd(&records(made_by)))];
        self
    }
}

fn end(content: &[u8]) -> Record<'static> {
    Record::End { size: content.len() as u64, hash: ContentHash::of(content) }
}

fn copy(offset: usize, length: usize) -> Record<'static> {
    Record::Copy { offset: offset as u64, length: length as u64 }
}

fn from(name: &str) -> Record<'static> {
    Record::From(path(name))
}

fn world() -> World {
    with_base(World::new())
}

fn with_base(world: World) -> World {
    world.seal(1, &Push::whole(1, &base()).bytes());
    world.ingest(0);
    world
}

/// Judges one push that makes `big` anew.
fn judged(world: &World, made_by: &[Record<'_>], becomes: &[u8]) -> Ended {
    let new = base().with("big", file(becomes));
    world.seal(2, &push(2, &new, made_by).bytes());
    let ended = world.run(&["ingest"]);
    assert!(!ended.err.contains("panicked"), "{ended:?}");
    ended
}

fn refused(made_by: &[Record<'_>], becomes: &[u8], code: Code) {
    let world = world();
    judged(&world, made_by, becomes);
    world.assert_rejected(2, code);
    base().assert_tree(&world.tree(1));
    assert_eq!(world.log().snapshots().len(), 1);
}

/// Edited in place, longer, shorter, with something put in and something taken out, all in one.
fn edits() -> Vec<(&'static str, Vec<Record<'static>>, Vec<u8>)> {
    let old = pattern(LENGTH);
    let edited = [&old[..70_000], b"EDIT", &old[70_004..]].concat();
    let inserted = [b"in front", old.as_slice()].concat();
    let moved = [&old[2_000_000..], &old[..1_000_001], &[0; 500_000], b"end"].concat();
    let edit: &'static [u8] = b"EDIT";
    let zeros: &'static [u8] = &[0; 500_000];
    vec![
        (
            "edited",
            vec![
                from("big"),
                copy(0, 70_000),
                Record::Data(edit),
                copy(70_004, LENGTH - 70_004),
                end(&edited),
            ],
            edited,
        ),
        ("inserted", vec![from("big"), Record::Data(b"in front"), copy(0, LENGTH), end(&inserted)], inserted),
        ("cut short", vec![from("big"), copy(0, 5), end(&old[..5])], old[..5].to_vec()),
        (
            "moved about",
            vec![
                from("big"),
                copy(2_000_000, LENGTH - 2_000_000),
                copy(0, 1_000_001),
                Record::Data(zeros),
                Record::Data(b"end"),
                end(&moved),
            ],
            moved,
        ),
        ("nothing of it", vec![from("big"), end(b"")], Vec::new()),
    ]
}

#[test]
fn a_changed_file_is_made_from_parts_of_its_base() {
    every_edit_comes_out_right(World::new);
}

pub(crate) fn every_edit_comes_out_right(empty: impl Fn() -> World) {
    for (what, made_by, becomes) in edits() {
        let world = with_base(empty());
        let ended = judged(&world, &made_by, &becomes);
        let new = base().with("big", file(&becomes));
        assert_eq!((ended.code, world.verdict(2)), (0, accepted(&new)), "{what}: {ended:?}");
        new.assert_tree(&world.tree(2));
        base().assert_tree(&world.tree(1));
        assert_eq!(world.run(&["verify"]).code, 0, "{what}");
    }
}

#[test]
fn a_whole_push_takes_from_the_snapshot_it_names() {
    let world = world();
    let new = base().with("more", file("more"));
    let mut push = Push::whole(2, &new);
    push.contents = vec![b"more".to_vec()];
    push.header.lender = Some(base().summary().root);
    world.seal(2, &push.bytes());
    world.ingest(0);
    assert_eq!(world.verdict(2), accepted(&new));
    new.assert_tree(&world.tree(2));
    // Without a lender those contents are missing, and one that is not there lends nothing.
    push.header.push = formats::PushId::from_bytes([3; 16]);
    push.header.lender = None;
    world.seal(3, &push.bytes());
    push.header.push = formats::PushId::from_bytes([4; 16]);
    push.header.lender = Some(Root::from_bytes([9; 32]));
    world.seal(4, &push.bytes());
    world.ingest(0);
    world.assert_rejected(3, Code::MissingContent);
    world.assert_rejected(4, Code::UnknownBase);
}

#[test]
fn what_is_not_a_file_of_the_base_is_no_source() {
    let old = pattern(LENGTH);
    let passwd = fs::read("/etc/passwd").unwrap();
    for name in ["missing", "dir", "link", "passwd", "dir/missing", "link/x", "big/x"] {
        let made_by = [from(name), copy(0, 5), end(&old[..5])];
        refused(&made_by, &old[..5], Code::MissingContent);
    }
    let made_by = [from("passwd"), copy(0, passwd.len()), end(&passwd)];
    refused(&made_by, &passwd, Code::MissingContent);
}

#[test]
fn copies_out_of_bounds_or_out_of_order_are_refused() {
    let old = pattern(LENGTH);
    let five = &old[..5];
    refused(&[from("big"), copy(LENGTH - 4, 5), end(five)], five, Code::MissingContent);
    refused(&[from("big"), copy(LENGTH, 1), end(five)], five, Code::MissingContent);
    let far = Record::Copy { offset: u64::MAX - 5, length: 5 };
    refused(&[from("big"), far, end(five)], five, Code::MissingContent);
    refused(&[copy(0, 5), end(five)], five, Code::MalformedPush);
    refused(&[Record::Data(b"x"), copy(0, 5), end(five)], five, Code::MalformedPush);
    refused(&[from("big"), copy(0, 5), from("big"), end(five)], five, Code::MalformedPush);
    refused(&[from("big"), copy(0, 5), Record::Drop, copy(0, 5), end(five)], five, Code::MalformedPush);
    refused(&[from("big"), copy(0, 5), end(five), copy(0, 5)], five, Code::MalformedPush);
    refused(&[from("big"), copy(0, 5)], five, Code::MalformedPush);
    refused(&[from("big"), copy(1, 5), end(five)], five, Code::ContentHash);
}

#[test]
fn a_push_without_a_base_has_nothing_to_copy_from() {
    let world = world();
    let new = State::of([("big", file("0123456789"))]);
    let mut push = Push::whole(2, &new).made_by(&[from("big"), copy(0, 5), end(b"01234")]);
    push.contents.clear();
    world.seal(2, &push.bytes());
    world.ingest(0);
    world.assert_rejected(2, Code::MissingContent);
}

/// 17 bytes could stand for the whole file, again and again.
#[test]
fn copies_count_as_expanded_bytes() {
    let world = with_base(World::limited("expanded_bytes = 9000000\n"));
    let old = pattern(LENGTH);
    let thrice = [old.as_slice(), &old, &old].concat();
    let ended = judged(
        &world,
        &[from("big"), copy(0, LENGTH), copy(0, LENGTH), copy(0, LENGTH), end(&thrice)],
        &thrice,
    );
    assert_eq!(world.verdict(2), accepted(&base().with("big", file(&thrice))), "{ended:?}");
    let world = with_base(World::limited("expanded_bytes = 8999999\n"));
    judged(&world, &[from("big"), copy(0, LENGTH), copy(0, LENGTH), copy(0, LENGTH), end(&thrice)], &thrice);
    world.assert_rejected(2, Code::OverBudget);
}

/// Version 1 had no copies: a file that says so and has some was not made by any client.
#[test]
fn a_push_file_of_version_1_is_read_and_has_no_copies() {
    let world = world();
    let old = pattern(LENGTH);
    let new = base().with("big", file(&old[..5]));
    let good = Push::delta(2, &base(), &new);
    world.seal(2, &good.of_version_1());
    let bad = push(3, &new, &[from("big"), copy(0, 5), end(&old[..5])]);
    world.seal(3, &bad.of_version_1());
    let mut lent = Push::whole(4, &new);
    lent.header.lender = Some(base().summary().root);
    world.seal(4, &lent.of_version_1());
    world.ingest(0);
    assert_eq!(world.verdict(2), accepted(&new));
    world.assert_rejected(3, Code::MalformedPush);
    // Its header was not believed, so nobody is told.
    assert_eq!((world.verdict(4), world.sealed(), world.log().snapshots().len()), (None, 0, 2));
}

/// Whoever is to blame: the next push must come through.
#[test]
fn a_damaged_file_of_the_base_is_not_blamed_on_the_push() {
    for damage in [flip as fn(&Path), shorten, remove] {
        let world = world();
        damage(&world.tree(1).join("big"));
        let (_, made_by, becomes) = edits().swap_remove(0);
        let ended = judged(&world, &made_by, &becomes);
        assert!(ended.err.contains("damaged") || ended.out.contains("damaged"), "{ended:?}");
        world.assert_rejected(2, Code::UnknownBase);
        assert_eq!(world.published().base, None, "the next push is whole");
        let new = base().with("big", file(&becomes));
        world.seal(3, &Push::whole(3, &new).bytes());
        world.run(&["ingest"]);
        assert_eq!(world.verdict(3), accepted(&new));
    }
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes[1_000] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn shorten(file: &Path) {
    fs::File::options().write(true).open(file).unwrap().set_len(100_000).unwrap();
}

fn remove(file: &Path) {
    fs::remove_file(file).unwrap();
}

#[test]
fn zeros_that_are_copied_take_no_room() {
    let world = World::new();
    let mut sparse = vec![0; 20_000_000];
    sparse[10_000_000] = 1;
    let old = State::of([("sparse", file(&sparse))]);
    world.seal(1, &Push::whole(1, &old).bytes());
    world.ingest(0);
    let longer = [sparse.as_slice(), b"more"].concat();
    let new = old.with("sparse", file(&longer));
    let mut push = Push::delta(2, &old, &new);
    push.contents.clear();
    let made_by = [from("sparse"), copy(0, sparse.len()), Record::Data(b"more"), end(&longer)];
    world.seal(2, &push.made_by(&made_by).bytes());
    world.ingest(0);
    new.assert_tree(&world.tree(2));
    assert!(fs::metadata(world.tree(2).join("sparse")).unwrap().blocks() < 2_000);
}
