//! A table of hostile pushes. Each is refused by name, leaves the history and the neighbours as they were, and does not keep the next good push
//! from being accepted.

mod contents;
mod entries;
mod frames;

use formats::change::Change;
use formats::entry::{Body, Entry, Kind};
use formats::push::{Block, Codec, FrameKind, Record, Seal, head};
use formats::session::Code;
use formats::{ContentHash, HostId, Root, frame};

use crate::push::{Frames, Push, header, records, stored, zstd};
use crate::state::{Item, State, file, path};
use crate::stories::first;
use crate::world::World;

/// One hostile push: what is wrong, the bytes, and the code it must get. Every push has id 9, unless its header cannot be read.
struct Case {
    what: &'static str,
    bytes: Vec<u8>,
    code: Code,
}

const HEADER: u8 = FrameKind::Header.code();
const CONTENTS: u8 = FrameKind::Contents.code();
const ENTRIES: u8 = FrameKind::Entries.code();
const RESUME: u8 = FrameKind::Resume.code();

/// Limits of the host in these tests: 8 MiB expanded, 1,000 entries.
const LIMITS: &str = "expanded_bytes = 8388608\nentries = 1000\npush_bytes = 4194304\n";

fn good() -> Push {
    Push::delta(9, &first(), &first().with("etc/new", file("new content")))
}

fn case(what: &'static str, code: Code, bytes: Vec<u8>) -> Case {
    Case { what, bytes, code }
}

/// The good push with its frames changed; the seal is right for them.
fn framed(what: &'static str, code: Code, change: impl FnOnce(&mut Vec<(u8, Vec<u8>)>)) -> Case {
    let push = good();
    let mut frames = push.frames();
    change(&mut frames.0);
    case(what, code, push.sealed(&frames))
}

/// The good push with its parts changed; the seal is right for them, as far as it can be.
fn parted(what: &'static str, code: Code, change: impl FnOnce(&mut Push)) -> Case {
    let mut push = good();
    change(&mut push);
    case(what, code, push.bytes())
}

fn sealed(what: &'static str, code: Code, change: impl FnOnce(&mut Seal)) -> Case {
    let push = good();
    let (root, entries, left_out) = (push.root, push.entries, 0);
    let bytes = push.frames().sealed(|frames, hash| {
        let mut seal = Seal { frames, hash, root, entries, left_out };
        change(&mut seal);
        seal
    });
    case(what, code, bytes)
}

/// A whole push of raw change bytes.
fn changes(what: &'static str, code: Code, raw: &[u8]) -> Case {
    framed(what, code, |frames| {
        frames.retain(|(kind, _)| *kind != ENTRIES);
        frames.push((ENTRIES, stored(raw)));
    })
}

fn put(name: &[u8], kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut entry = vec![kind];
    entry.extend_from_slice(&(name.len() as u16).to_le_bytes());
    entry.extend_from_slice(name);
    entry.extend_from_slice(rest);
    let mut change = vec![1];
    change.extend_from_slice(&(entry.len() as u32).to_le_bytes());
    change.extend_from_slice(&entry);
    change
}

/// Mode, owner, group, mtime, links of a folder.
fn meta(mode: u32, nanos: u32, links: u32) -> Vec<u8> {
    let mut meta = Vec::new();
    for number in [mode, 0, 0] {
        meta.extend_from_slice(&number.to_le_bytes());
    }
    meta.extend_from_slice(&5i64.to_le_bytes());
    meta.extend_from_slice(&nanos.to_le_bytes());
    meta.extend_from_slice(&links.to_le_bytes());
    meta
}

fn folder_named(name: &[u8]) -> Vec<u8> {
    put(name, 2, &[meta(0o755, 0, 1), vec![0, 0]].concat())
}

fn entry(name: &str, item: Item) -> Entry {
    State::of([(name, item)]).entries().remove(0)
}

fn neighbour() -> State {
    State::of([("secret", file("the neighbour's secret"))])
}

/// The world of a case: web01 with two snapshots, and a neighbour.
fn world() -> World {
    let world = World::limited(LIMITS);
    world.add("db1");
    let mut push = Push::whole(1, &neighbour());
    push.header.host = HostId::parse("db1").unwrap();
    world.seal_for("db1", 1, &push.bytes());
    world.seal(1, &Push::whole(1, &first().with("old", file("only in an older snapshot"))).bytes());
    world.seal(2, &Push::whole(2, &first()).bytes());
    world.ingest(0);
    world
}

/// All of them, and how many of the first have a header that can be read.
fn cases() -> (Vec<Case>, usize) {
    let mut cases = Vec::new();
    for part in [
        entries::names,
        entries::entries,
        entries::fields,
        contents::contents,
        contents::bombs,
        contents::budgets,
        frames::order,
        frames::headers,
    ] {
        part(&mut cases);
    }
    let named = cases.len();
    cases.extend(frames::nameless());
    (cases, named)
}

#[test]
fn every_hostile_push_is_refused_by_name_and_changes_nothing() {
    let (cases, named) = cases();
    let world = world();
    let trees: Vec<_> = (1..3).map(|n| world.tree(n)).collect();
    let before: Vec<_> = trees.iter().map(|tree| crate::damage::shape(tree)).collect();
    let neighbours = (world.picture("history/db1"), world.picture("jails/db1"));
    let log_before = world.log();
    for (n, case) in cases.iter().enumerate() {
        refuse(&world, case, n < named);
    }
    for (tree, before) in trees.iter().zip(&before) {
        assert_eq!(&crate::damage::shape(tree), before);
    }
    assert_eq!((world.picture("history/db1"), world.picture("jails/db1")), neighbours);
    let log = world.log();
    assert_eq!(log.snapshots(), log_before.snapshots());
    assert_eq!(log.lines(), log_before.lines() + cases.len() as u64);
    world.seal(9_000, &good_with_id(200).bytes());
    world.ingest(0);
    assert_eq!(world.log().snapshots().len(), 3);
    assert_eq!(world.run(&["verify"]).code, 0);
    println!("hostile pushes refused: {} ({named} with a readable header)", cases.len());
    assert!(cases.len() >= 80);
}

#[test]
fn every_hostile_push_that_comes_as_a_file_is_refused_the_same_and_keeps_no_good_one_out() {
    let (cases, _) = cases();
    let world = world();
    let before = (world.picture("history/db1"), world.picture("jails/db1"), world.log().snapshots().to_vec());
    let file = world.path("brought.push");
    for case in &cases {
        std::fs::write(&file, &case.bytes).unwrap();
        let ended = world.run(&["ingest", "web01", "--from", file.to_str().unwrap()]);
        assert_eq!(ended.code, i32::from(case.code.exit_code()), "{}: {ended:?}", case.what);
        let told = format!("rejected: {}", case.code.text());
        assert!(ended.out.contains(&told), "{}: expected {:?}: {ended:?}", case.what, case.code);
        assert!(!world.path("history/web01/.building").exists(), "{}", case.what);
        assert_eq!(std::fs::read(&file).unwrap(), case.bytes, "{}: the file is only read", case.what);
    }
    // Its id was never judged, though so many spoiled copies bore it.
    assert_eq!(world.published().verdict(good().header.push), None);
    let after = (world.picture("history/db1"), world.picture("jails/db1"), world.log().snapshots().to_vec());
    assert_eq!(after, before);
    std::fs::write(&file, good().bytes()).unwrap();
    let ended = world.run(&["ingest", "web01", "--from", file.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(world.log().snapshots().len(), 3);
    assert_eq!(world.run(&["verify"]).code, 0);
}

/// Each case gets an id of its own, as one id has one verdict. Ids are in the header frame, so the file is made anew around another one.
fn refuse(world: &World, case: &Case, named: bool) {
    let fresh = if named { with_id(&case.bytes, next_id()) } else { (case.bytes.clone(), None) };
    world.seal(50, &fresh.0);
    let ended = world.ingest(0);
    assert_eq!(world.sealed(), 0, "{}: {ended:?}", case.what);
    let told = format!("rejected: {}", case.code.text());
    assert!(ended.out.contains(&told), "{}: expected {:?}: {ended:?}", case.what, case.code);
    if let Some(id) = fresh.1 {
        let verdict = world.published().verdict(id);
        assert_eq!(verdict, Some(formats::published::Verdict::Rejected { code: case.code }), "{}", case.what);
    }
    assert!(!world.path("history/web01/.building").exists(), "{}", case.what);
}

fn next_id() -> formats::PushId {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [0xcc; 16];
    id[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    formats::PushId::from_bytes(id)
}

fn good_with_id(push: u8) -> Push {
    let mut good = good();
    good.header = header(push, 10, good.header.base);
    good
}

/// The same file with another push id: the header's check, and the seal if it was right, are made anew.
fn with_id(bytes: &[u8], id: formats::PushId) -> (Vec<u8>, Option<formats::PushId>) {
    use formats::push::{HEAD_BYTES, Tally};
    let mut out = bytes[..HEAD_BYTES].to_vec();
    let (mut old, mut new) = (Tally::begin(), Tally::begin());
    let mut rest = &bytes[HEAD_BYTES..];
    while let Ok(Some(found)) = frame::decode(rest) {
        let mut payload = found.payload.to_vec();
        if found.kind == HEADER && old.frames() == 0 {
            let place = 1 + usize::from(payload[0]) + 16;
            payload[place..place + 16].copy_from_slice(id.as_bytes());
        }
        if let (FrameKind::Seal, Ok(mut seal)) = (kind(found.kind), Seal::decode(&payload))
            && seal.hash == old.hash()
        {
            seal.hash = new.hash();
            payload = seal.encode();
        }
        let start = out.len();
        frame::encode(found.kind, &payload, &mut out).unwrap();
        let made = frame::decode(&out[start..]).unwrap().unwrap();
        let (_, _) = (old.take(&found), new.take(&made));
        rest = &rest[found.raw.len()..];
    }
    out.extend_from_slice(rest);
    (out, Some(id))
}

fn kind(code: u8) -> FrameKind {
    FrameKind::from_code(code).unwrap_or(FrameKind::Resume)
}
