//! A table of hostile pushes. Each is refused by name, leaves the history and the neighbours as they were, and does not keep the next good push
//! from being accepted.

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

fn names(cases: &mut Vec<Case>) {
    let long = [b'a'; 256];
    let deep = [b"a/".repeat(4_096), b"a".to_vec()].concat();
    let bad: [(&'static str, &[u8]); 17] = [
        ("an empty name", b""),
        ("the name .", b"."),
        ("the name ..", b".."),
        ("an absolute name", b"/etc"),
        ("a trailing slash", b"etc/"),
        ("a double slash", b"etc//x"),
        ("a dot in the middle", b"etc/./x"),
        ("dots in the middle", b"etc/../x"),
        ("dots at the start", b"../x"),
        ("dots at the end", b"etc/.."),
        ("many dots", b"../../../../../../../../etc/cron.d/x"),
        ("a NUL", b"etc/a\0b"),
        ("only a NUL", b"\0"),
        ("only a slash", b"/"),
        ("a component of 256 bytes", &long),
        ("4,097 components", &deep),
        ("a drive of another system's, with dots", b"c:\\/../x"),
    ];
    for (what, name) in bad {
        cases.push(changes(what, Code::MalformedPush, &folder_named(name)));
    }
    let removed = |name: &[u8]| [&[2u8][..], &(name.len() as u16).to_le_bytes(), name].concat();
    cases.push(changes("a remove of ..", Code::MalformedPush, &removed(b"..")));
    cases.push(changes("a remove of /etc", Code::MalformedPush, &removed(b"/etc")));
    cases.push(changes("a hard link to ..", Code::MalformedPush, &put(b"x", 4, &[2, 0, b'.', b'.'])));
    cases.push(changes("a hard link to an absolute path", Code::MalformedPush, &put(b"x", 4, &[2, 0, b'/', b'x'])));
    cases.push(changes("a name longer than its entry", Code::MalformedPush, &[1, 3, 0, 0, 0, 2, 255, 255]));
}

fn entries(cases: &mut Vec<Case>) {
    let bad = Code::MalformedPush;
    let mut with = |what, code, new: Vec<Change>| {
        cases.push(parted(what, code, |push| push.changes = new));
    };
    let put = |name, item| Change::Put(entry(name, item));
    with("an entry below a file", bad, vec![put("etc/hosts/x", Item::Folder)]);
    with("an entry below a symlink", bad, vec![put("etc/link/x", Item::Folder)]);
    with("an entry below nothing", bad, vec![put("nothing/x", Item::Folder)]);
    with("a folder that is a file and has children", bad, vec![put("var", file(""))]);
    with("a folder replaced by a symlink under its children", bad, vec![put("etc", Item::Symlink(b"/etc".to_vec()))]);
    with("a folder removed under its children", bad, vec![Change::Remove(path("etc"))]);
    with("a put of what is there", bad, vec![put("etc", Item::Folder)]);
    with("a remove of what is not there", bad, vec![Change::Remove(path("etc/zzz"))]);
    with("a name twice", bad, vec![put("x", Item::Folder), put("x", Item::Fifo)]);
    with("put and remove of one name", bad, vec![put("x", Item::Folder), Change::Remove(path("x"))]);
    with("names that descend", bad, vec![put("y", Item::Folder), put("x", Item::Folder)]);
    with("names in another order", bad, vec![put("x-", Item::Folder), put("x/y", Item::Folder)]);
    with("a hard link to nothing", bad, vec![put("x", Item::Link("nothing"))]);
    with("a hard link to itself", bad, vec![put("x", Item::Link("x"))]);
    with("a hard link to a later name", bad, vec![put("x", Item::Link("y")), put("y", Item::First(2, vec![]))]);
    with("a hard link to a folder", bad, vec![put("x", Item::Link("etc"))]);
    with("a hard link to a hard link", bad, vec![put("x", Item::Link("var/b"))]);
    with("a hard link to a file of one name", bad, vec![put("x", Item::Link("etc/hosts"))]);
    with("a file of a content that nobody has", Code::MissingContent, vec![put("x", file("not sent"))]);
    with("a hard link's first removed", bad, vec![Change::Remove(path("var/a"))]);
    let lied = |size| {
        let mut lied = entry("x", file("new content"));
        if let Body::Node(node) = &mut lied.body {
            node.kind = Kind::File { size, content: ContentHash::of(b"new content") };
        }
        Change::Put(lied)
    };
    with("a file smaller than its content", bad, vec![lied(3)]);
    with("a file larger than its content", bad, vec![lied(1 << 60)]);
    let mut lied = entry("x", file("a prefix"));
    if let Body::Node(node) = &mut lied.body {
        node.kind = Kind::File { size: 0, content: ContentHash::of(b"a prefix") };
    }
    with("a file of the base's content and another size", bad, vec![Change::Put(lied)]);
    with("no changes", Code::WrongRoot, vec![]);
    with("1,001 entries", Code::OverBudget, many(1_001));
    with("fewer entries than sealed", Code::WrongRoot, vec![Change::Remove(path("etc-"))]);
}

fn many(count: usize) -> Vec<Change> {
    (0..count).map(|n| Change::Put(entry(&format!("x{n:05}"), Item::Folder))).collect()
}

fn fields(cases: &mut Vec<Case>) {
    let bad = Code::MalformedPush;
    let none = [0u8, 0];
    let mut raw = |what, bytes: Vec<u8>| cases.push(changes(what, bad, &bytes));
    raw("an unknown kind of change", vec![3, 0, 0]);
    raw("a change cut short", vec![1, 200, 0, 0, 0, 1]);
    raw("an entry of 4 GiB", [&[1u8][..], &u32::MAX.to_le_bytes(), &[0; 64]].concat());
    raw("an unknown kind of entry", put(b"x", 9, &[meta(0, 0, 1), none.to_vec()].concat()));
    raw("kind 0", put(b"x", 0, &[meta(0, 0, 1), none.to_vec()].concat()));
    raw("a mode above 7777", put(b"x", 2, &[meta(0o10_000, 0, 1), none.to_vec()].concat()));
    raw("a second of more nanoseconds", put(b"x", 2, &[meta(0, 1_000_000_000, 1), none.to_vec()].concat()));
    raw("an inode without a name", put(b"x", 5, &[meta(0, 0, 0), none.to_vec()].concat()));
    raw("a folder of two names", put(b"x", 2, &[meta(0, 0, 2), none.to_vec()].concat()));
    raw("an empty symlink", put(b"x", 3, &[meta(0, 0, 1), none.to_vec(), none.to_vec()].concat()));
    raw("a symlink with a NUL", put(b"x", 3, &[meta(0, 0, 1), vec![1, 0, 0], none.to_vec()].concat()));
    raw("a symlink of 4,096 bytes", {
        put(b"x", 3, &[meta(0, 0, 1), vec![0, 16], vec![b'a'; 4096], none.to_vec()].concat())
    });
    raw("257 attributes", put(b"x", 2, &[meta(0, 0, 1), vec![1, 1]].concat()));
    raw("65,535 attributes", put(b"x", 2, &[meta(0, 0, 1), vec![255, 255]].concat()));
    raw("an unknown attribute", put(b"x", 2, &[meta(0, 0, 1), vec![1, 0, 7, 0, 0, 0, 0, 0, 0]].concat()));
    raw("an attribute of 4 GiB", {
        put(b"x", 2, &[meta(0, 0, 1), vec![1, 0, 16, 1, 0, b'n', 255, 255, 255, 255]].concat())
    });
    raw("attributes out of order", {
        let attribute = |name: u8| vec![16, 1, 0, name, 0, 0, 0, 0];
        put(b"x", 2, &[meta(0, 0, 1), vec![2, 0], attribute(b'b'), attribute(b'a')].concat())
    });
    raw("an attribute twice", {
        let attribute = vec![16, 1, 0, b'a', 0, 0, 0, 0];
        put(b"x", 2, &[meta(0, 0, 1), vec![2, 0], attribute.clone(), attribute].concat())
    });
    raw("bytes after an entry", put(b"x", 2, &[meta(0, 0, 1), none.to_vec(), vec![1]].concat()));
}

fn contents(cases: &mut Vec<Case>) {
    let hash = ContentHash::of(b"new content");
    let end = |size, hash| Record::End { size, hash };
    let mut with = |what, code, block: Vec<u8>| {
        cases.push(framed(what, code, |frames| {
            frames.insert(1, (CONTENTS, stored(&block)));
        }));
    };
    let forged = Code::ContentHash;
    with("a hash of other bytes", forged, records(&[Record::Data(b"other"), end(5, hash)]));
    with("a hash of the same bytes and one more", forged, records(&[Record::Data(b"new content!"), end(11, hash)]));
    with("a size one too small", forged, records(&[Record::Data(b"new content"), end(10, hash)]));
    with("a size one too large", forged, records(&[Record::Data(b"new content"), end(12, hash)]));
    with("a size of 16 EiB", forged, records(&[Record::Data(b"new content"), end(u64::MAX, hash)]));
    with("an empty content with another hash", forged, records(&[end(0, hash)]));
    with("the hash of the base's content", forged, {
        records(&[Record::Data(b"evil"), end(4, ContentHash::of(b"127.0.0.1 localhost\n"))])
    });
    with("a forged hash in two records", forged, {
        records(&[Record::Data(b"new "), Record::Data(b"kontent"), end(11, hash)])
    });
    let bad = Code::MalformedPush;
    with("empty data", bad, vec![1, 0, 0, 0, 0]);
    with("data longer than its block", bad, vec![1, 9, 0, 0, 0, b'x']);
    with("data of 4 GiB", bad, vec![1, 255, 255, 255, 255, b'x']);
    with("an end cut short", bad, vec![2, 0, 0]);
    with("an unknown record", bad, vec![9]);
    with("record 0", bad, vec![0]);
    cases.push(framed("a content that never ends", bad, |frames| {
        let last = frames.iter().rposition(|(kind, _)| *kind == CONTENTS).unwrap();
        frames.insert(last + 1, (CONTENTS, stored(&records(&[Record::Data(b"open")]))));
    }));
    cases.push(framed("a content that its push dropped", Code::MissingContent, |frames| {
        let dropped = records(&[Record::Data(b"new content"), Record::Drop]);
        frames.retain(|(kind, _)| *kind != CONTENTS);
        frames.insert(1, (CONTENTS, stored(&dropped)));
    }));
    cases.push(framed("a content that a resume frame forgot", Code::ContentHash, |frames| {
        frames.retain(|(kind, _)| *kind != CONTENTS);
        frames.insert(1, (CONTENTS, stored(&records(&[Record::Data(b"new ")]))));
        frames.insert(2, (RESUME, Vec::new()));
        frames.insert(3, (CONTENTS, stored(&records(&[Record::Data(b"content"), end(11, hash)]))));
    }));
    cases.push(framed("1,001 empty contents", Code::OverBudget, |frames| {
        let empty = end(0, ContentHash::of(b""));
        frames.insert(1, (CONTENTS, zstd(&records(&vec![empty; 1_001]))));
    }));
}

fn bombs(cases: &mut Vec<Case>) {
    let bad = Code::MalformedPush;
    let packed = zstd::bulk::compress(&vec![0; 1 << 20], 19).unwrap();
    let bomb = |expanded_bytes| Block { codec: Codec::Zstd, expanded_bytes, packed: &packed }.encode();
    let mut with = |what, code, kind, payload: Vec<u8>| {
        cases.push(framed(what, code, |frames| frames.insert(if kind == ENTRIES { frames.len() } else { 1 }, (kind, payload))));
    };
    with("a block that expands beyond what it says", bad, CONTENTS, bomb(4096));
    with("a block that expands beyond one byte", bad, CONTENTS, bomb(1));
    with("a block that expands to less than it says", bad, CONTENTS, bomb((1 << 20) - 1));
    with("entries that expand beyond what they say", bad, ENTRIES, bomb(10));
    with("a block of no bytes", bad, CONTENTS, bomb(0));
    with("a block above 1 MiB", bad, CONTENTS, bomb((1 << 20) + 1));
    with("a block of 4 GiB", bad, CONTENTS, [&[1u8][..], &u32::MAX.to_le_bytes(), &packed].concat());
    with("an unknown codec", bad, CONTENTS, [&[2u8][..], &9u32.to_le_bytes(), b"123456789"].concat());
    with("a stored block of another length", bad, CONTENTS, [&[0u8][..], &9u32.to_le_bytes(), b"12345678"].concat());
    with("a block without a codec", bad, CONTENTS, Vec::new());
    let huge = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
    with("64 MiB in a block that says 1 MiB", bad, CONTENTS, {
        Block { codec: Codec::Zstd, expanded_bytes: 1 << 20, packed: &huge }.encode()
    });
    let record = zstd(&records(&[Record::Data(b"x"), Record::Drop]));
    let (codec_and_length, one) = record.split_at(5);
    with("two zstd frames in a block", bad, CONTENTS, [codec_and_length, one, one].concat());
    with("a byte after a zstd frame", bad, CONTENTS, [codec_and_length, one, &[0]].concat());
    with("a frame that zstd skips, first", bad, CONTENTS, {
        [codec_and_length, &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], one].concat()
    });
    with("a zstd frame cut short", bad, CONTENTS, record[..record.len() - 1].to_vec());
    with("garbage for zstd", bad, CONTENTS, [codec_and_length, &[0xff; 40]].concat());
    cases.push(framed("9 MiB of zeros for a host of 8", Code::OverBudget, |frames| {
        let mut expanded = records(&[Record::Data(&vec![0; (1 << 20) - 5])]);
        expanded.truncate(1 << 20);
        let block = zstd(&expanded);
        for _ in 0..9 {
            frames.insert(1, (CONTENTS, block.clone()));
        }
    }));
    cases.push(framed("200 MiB of zeros in 20 KiB", Code::OverBudget, |frames| {
        let block = zstd(&records(&[Record::Data(&vec![0; (1 << 20) - 5])]));
        for _ in 0..200 {
            frames.insert(1, (CONTENTS, block.clone()));
        }
    }));
    cases.push(framed("200 MiB of dropped zeros", Code::OverBudget, |frames| {
        let block = zstd(&records(&[Record::Data(&vec![0; (1 << 20) - 6]), Record::Drop]));
        for _ in 0..200 {
            frames.insert(1, (CONTENTS, block.clone()));
        }
    }));
    cases.push(framed("200 MiB of changes", Code::OverBudget, |frames| {
        let change = folder_named(b"x");
        let block = zstd(&change.repeat((1 << 20) / change.len()));
        for _ in 0..200 {
            frames.push((ENTRIES, block.clone()));
        }
    }));
    cases.push(parted("a push file above its limit", Code::OverBudget, |push| {
        let mut noise = vec![0u8; 5 << 20];
        let mut seed = 1u32;
        for byte in &mut noise {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (seed >> 24) as u8;
        }
        push.contents.push(noise);
    }));
}

fn order(cases: &mut Vec<Case>) {
    let bad = Code::MalformedPush;
    let header = || good().header.encode().unwrap();
    let block = || zstd(&records(&[Record::Data(b"x"), Record::Drop]));
    cases.push(framed("contents after entries", bad, |frames| frames.push((CONTENTS, block()))));
    cases.push(framed("two headers", bad, |frames| frames.push((HEADER, header()))));
    cases.push(framed("two headers in a row", bad, |frames| frames.insert(1, (HEADER, header()))));
    cases.push(framed("an unknown kind of frame", bad, |frames| frames.push((99, Vec::new()))));
    cases.push(framed("kind of frame 0", bad, |frames| frames.push((0, Vec::new()))));
    cases.push(framed("a message of the session among frames", bad, |frames| frames.push((19, Vec::new()))));
    cases.push(framed("a resume frame that carries something", bad, |frames| frames.insert(1, (RESUME, vec![0]))));
    cases.push(framed("changes that a resume frame forgot", Code::WrongRoot, |frames| frames.push((RESUME, Vec::new()))));
    cases.push(sealed("a frame too many in the seal", Code::BrokenFrames, |seal| seal.frames += 1));
    cases.push(sealed("a frame too few in the seal", Code::BrokenFrames, |seal| seal.frames -= 1));
    cases.push(sealed("another chain in the seal", Code::BrokenFrames, |seal| seal.hash[31] ^= 1));
    cases.push(sealed("another root in the seal", Code::WrongRoot, |seal| seal.root = Root::from_bytes([7; 32])));
    cases.push(sealed("the base's root in the seal", Code::WrongRoot, |seal| seal.root = first().summary().root));
    cases.push(sealed("an entry too many in the seal", Code::WrongRoot, |seal| seal.entries += 1));
    cases.push(sealed("no entries in the seal", Code::WrongRoot, |seal| seal.entries = 0));
    cases.push(sealed("16 EiB entries in the seal", Code::OverBudget, |seal| seal.entries = u64::MAX));
    cases.push(case("no seal", Code::BrokenFrames, good().frames().unsealed()));
    cases.push(case("a byte after the seal", bad, [good().bytes(), vec![0]].concat()));
    cases.push(case("a push after the seal", bad, [good().bytes(), good().bytes()].concat()));
    cases.push(case("two seals", bad, {
        let bytes = good().bytes();
        let seal = bytes[bytes.len() - 97..].to_vec();
        [bytes, seal].concat()
    }));
    cases.push(case("a frame of 4 GiB", bad, {
        [good().frames().unsealed(), vec![CONTENTS, 255, 255, 255, 255, 0, 0, 0, 0]].concat()
    }));
    cases.push(case("a frame just above the limit", bad, {
        let length = (formats::limits::FRAME_BYTES as u32 + 1).to_le_bytes();
        [good().frames().unsealed(), vec![CONTENTS], length.to_vec(), vec![0; 4]].concat()
    }));
    cases.push(case("a short seal", bad, {
        let mut bytes = good().frames().unsealed();
        frame::encode(FrameKind::Seal.code(), &[0; 10], &mut bytes).unwrap();
        bytes
    }));
}

fn headers(cases: &mut Vec<Case>) {
    cases.push(parted("another host's push", Code::WrongHost, |push| push.header.host = HostId::parse("db1").unwrap()));
    cases.push(parted("a base nobody has", Code::UnknownBase, |push| {
        push.header.base = Some(Root::from_bytes([3; 32]));
    }));
    cases.push(parted("a base of zeros", Code::UnknownBase, |push| push.header.base = Some(Root::from_bytes([0; 32]))));
    cases.push(parted("the result as its own base", Code::UnknownBase, |push| push.header.base = Some(push.root)));
    cases.push(parted("the neighbour's base", Code::UnknownBase, |push| push.header.base = Some(neighbour().summary().root)));
    cases.push(parted("changes of a base, sent as whole", Code::MalformedPush, |push| push.header.base = None));
    cases.push(case("the neighbour's content by its hash", Code::MissingContent, {
        let new = first().with("stolen", file("the neighbour's secret"));
        let mut push = Push::delta(9, &first(), &new);
        push.contents.clear();
        push.bytes()
    }));
    cases.push(case("an older snapshot's content by its hash", Code::MissingContent, {
        let new = first().with("old", file("only in an older snapshot"));
        let mut push = Push::delta(9, &first(), &new);
        push.contents.clear();
        push.bytes()
    }));
}

/// Files whose header cannot be read: their verdict has no push id.
fn nameless() -> Vec<Case> {
    let bad = Code::MalformedPush;
    let frames = |frames: Vec<(u8, Vec<u8>)>| good().sealed(&Frames(frames));
    let header = good().header.encode().unwrap();
    let at = |place: usize, byte: u8| {
        let mut bytes = header.clone();
        bytes[place] = byte;
        frames(vec![(HEADER, bytes)])
    };
    let with_head = |place: usize, byte: u8| {
        let mut bytes = good().bytes();
        bytes[place] = byte;
        bytes
    };
    let length = header.len();
    vec![
        case("nothing", Code::BrokenFrames, Vec::new()),
        case("half a head", Code::BrokenFrames, head()[..7].to_vec()),
        case("only a head", Code::BrokenFrames, head()),
        case("another magic", bad, with_head(0, b'F')),
        case("a version too new", bad, with_head(8, 2)),
        case("a version too old", bad, with_head(8, 0)),
        case("zeros", bad, vec![0; 10_000]),
        case("a manifest", bad, [&b"firn.man"[..], &[1, 0, 0, 0], &[0; 44]].concat()),
        case("an ELF program", bad, std::fs::read("/bin/true").unwrap()),
        case("no frames", bad, frames(vec![])),
        case("contents first", bad, frames(vec![(CONTENTS, stored(b"\x03"))])),
        case("a resume frame first", bad, frames(vec![(RESUME, Vec::new())])),
        case("an empty header", bad, frames(vec![(HEADER, Vec::new())])),
        case("a header cut short", bad, frames(vec![(HEADER, header[..length - 1].to_vec())])),
        case("a header with a byte more", bad, frames(vec![(HEADER, [header.clone(), vec![0]].concat())])),
        case("a host id with a slash", bad, at(2, b'/')),
        case("a host id of capitals", bad, at(1, b'W')),
        case("a host id of 255 bytes", bad, at(0, 255)),
        case("a sealed payload, which nobody knows", bad, at(length - 3, 1)),
        case("a signature, which nobody knows", bad, at(length - 1, 1)),
        case("two bases", bad, at(1 + 5 + 16 + 16 + 8, 2)),
    ]
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

#[test]
fn every_hostile_push_is_refused_by_name_and_changes_nothing() {
    let mut cases = Vec::new();
    for part in [names, entries, fields, contents, bombs, order, headers] {
        part(&mut cases);
    }
    let named = cases.len();
    cases.extend(nameless());
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
