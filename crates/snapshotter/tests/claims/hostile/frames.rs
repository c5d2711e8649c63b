//! Frames, seals and headers.

use super::*;

pub(super) fn order(cases: &mut Vec<Case>) {
    let bad = Code::MalformedPush;
    let header = || good().header.encode().unwrap();
    let block = || zstd(&records(&[Record::Data(b"x"), Record::Drop]));
    cases.push(framed("contents after entries", bad, |frames| frames.push((CONTENTS, block()))));
    cases.push(framed("two headers", bad, |frames| frames.push((HEADER, header()))));
    cases.push(framed("two headers in a row", bad, |frames| frames.insert(1, (HEADER, header()))));
    cases.push(framed("an unknown kind of frame", bad, |frames| frames.push((99, Vec::new()))));
    cases.push(framed("kind of frame 0", bad, |frames| frames.push((0, Vec::new()))));
    cases.push(framed("a message of the session among frames", bad, |frames| frames.push((19, Vec::new()))));
    cases.push(framed("a resume frame that carries something", bad, |frames| {
        frames.insert(1, (RESUME, vec![0]))
    }));
    cases.push(framed("changes that a resume frame forgot", Code::WrongRoot, |frames| {
        frames.push((RESUME, Vec::new()))
    }));
    cases.push(sealed("a frame too many in the seal", Code::BrokenFrames, |seal| seal.frames += 1));
    cases.push(sealed("a frame too few in the seal", Code::BrokenFrames, |seal| seal.frames -= 1));
    cases.push(sealed("another chain in the seal", Code::BrokenFrames, |seal| seal.hash[31] ^= 1));
    cases.push(sealed("another root in the seal", Code::WrongRoot, |seal| {
        seal.root = Root::from_bytes([7; 32])
    }));
    cases.push(sealed("the base's root in the seal", Code::WrongRoot, |seal| {
        seal.root = first().summary().root
    }));
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

pub(super) fn headers(cases: &mut Vec<Case>) {
    cases.push(parted("another host's push", Code::WrongHost, |push| {
        push.header.host = HostId::parse("db1").unwrap()
    }));
    cases.push(parted("a base nobody has", Code::UnknownBase, |push| {
        push.header.base = Some(Root::from_bytes([3; 32]));
    }));
    cases.push(parted("a base of zeros", Code::UnknownBase, |push| {
        push.header.base = Some(Root::from_bytes([0; 32]))
    }));
    cases.push(parted("the result as its own base", Code::UnknownBase, |push| {
        push.header.base = Some(push.root)
    }));
    cases.push(parted("the neighbour's base", Code::UnknownBase, |push| {
        push.header.base = Some(neighbour().summary().root)
    }));
    cases.push(parted("changes of a base, sent as whole", Code::MalformedPush, |push| {
        push.header.base = None
    }));
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
pub(super) fn nameless() -> Vec<Case> {
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
        case("a version too new", bad, with_head(8, 3)),
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
        case("a base of an unknown kind", bad, at(1 + 5 + 16 + 16 + 8, 3)),
        case("changes against what only lends", Code::WrongRoot, at(1 + 5 + 16 + 16 + 8, 2)),
    ]
}
