//! Frames that lie, come out of order, or come with other company; all to the receiver.

use pipeline_tests::rawpush::draft::check;
use pipeline_tests::rawpush::talk::{await_verdict, bye, go_on, new_push, session};
use pipeline_tests::rawpush::{Draft, Entry, Header, Records, Seal, frame, frame_of, put};

use super::case::Expect::{Accepted, Nothing, Refused, Rejected};
use super::case::{Attack, Case, Expect, case};

fn small(header: &Header) -> Draft {
    Draft::whole(header, &[b"x"], &[Entry::file("f", b"x")])
}

/// An honest session, with its frames changed: header, contents, entries, seal.
fn changed(name: &'static str, expect: Expect, change: impl Fn(&mut Vec<Vec<u8>>) + 'static) -> Case {
    case(name, expect, move |facts| {
        let mut draft = small(&facts.header);
        change(&mut draft.frames);
        Attack::Talk([new_push(), draft.frames.concat(), bye()].concat())
    })
}

fn sealed(name: &'static str, expect: Expect, change: impl Fn(&mut Seal) + 'static) -> Case {
    case(name, expect, move |facts| {
        let file = Entry::file("f", b"x");
        let draft = Draft::new(&facts.header).contents(&Records::new().content(b"x")).changes(&[put(&file)]);
        let mut seal = draft.seal_for(&[file]);
        change(&mut seal);
        Attack::Push(draft.sealed_with(&seal))
    })
}

fn in_middle(name: &'static str, expect: Expect, bytes: impl Fn() -> Vec<u8> + 'static) -> Case {
    changed(name, expect, move |frames| frames.insert(1, bytes()))
}

/// A check that does not fit.
fn spoiled(raw: &mut [u8]) {
    raw[5] ^= 1;
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        changed("a header with a wrong check", Refused(6), |frames| spoiled(&mut frames[0])),
        changed("contents with a wrong check", Refused(6), |frames| spoiled(&mut frames[1])),
        changed("entries with a wrong check", Refused(6), |frames| spoiled(&mut frames[2])),
        changed("a seal with a wrong check", Refused(6), |frames| spoiled(&mut frames[3])),
        changed("a flipped bit in the contents", Refused(6), |frames| *frames[1].last_mut().unwrap() ^= 4),
        in_middle("a frame of 4 GiB", Refused(6), || frame_of(2, u32::MAX, 0, b"")),
        in_middle("a frame one byte too long", Refused(6), || {
            let payload = vec![0; BLOCK + 65];
            let length = u32::try_from(payload.len()).unwrap();
            frame_of(2, length, check(2, length, &payload), &payload)
        }),
        in_middle("a frame that begins and never ends", Nothing, || frame_of(2, 1 << 20, 0, b"")),
        in_middle("a frame of kind 0", Refused(6), || frame(0, b"")),
        in_middle("a frame of kind 6", Refused(6), || frame(6, b"")),
        in_middle("a frame of kind 255", Refused(6), || frame(255, b"")),
        in_middle("the receiver's own kind: base", Refused(6), || frame(64, &[1; 200])),
        in_middle("the receiver's own kind: sealed", Refused(6), || frame(65, &[1; 16])),
        in_middle("the receiver's own kind: verdict", Refused(6), || frame(67, &[1; 51])),
        in_middle("`new` in the middle of a push", Refused(6), new_push),
        in_middle("`go on` in the middle of a push", Refused(6), || go_on([1; 16], 1)),
        in_middle("`await` in the middle of a push", Refused(6), || await_verdict([1; 16], 1)),
        in_middle("`bye` in the middle of a push", Refused(6), bye),
        in_middle("a resume frame with a payload", Refused(6), || frame(4, b"x")),
        in_middle("a second header", Refused(6), || frame(1, &Header::new("evil", [7; 16], 99).encode())),
        changed("contents before the header", Refused(6), |frames| frames.swap(0, 1)),
        changed("contents after the entries", Refused(6), |frames| frames.swap(1, 2)),
        changed("no header", Refused(6), |frames| drop(frames.remove(0))),
        changed("a seal and nothing else", Refused(6), |frames| drop(frames.drain(..3))),
        changed("a header cut short", Refused(6), |frames| {
            let payload = frames[0][9..40].to_vec();
            frames[0] = frame(1, &payload);
        }),
        changed("an empty header", Refused(6), |frames| frames[0] = frame(1, b"")),
        changed("a header of 1 MiB", Refused(6), |frames| frames[0] = frame(1, &[b'a'; BLOCK])),
        changed("a base of another kind", Refused(6), |frames| {
            let mut payload = frames[0][9..].to_vec();
            payload[1 + 4 + 16 + 16 + 8] = 2;
            frames[0] = frame(1, &payload);
        }),
        changed("a frame left out", Refused(20), |frames| drop(frames.remove(1))),
        changed("a frame sent twice", Refused(20), |frames| frames.insert(1, frames[1].clone())),
        changed("a resume frame that the seal does not know", Refused(20), |frames| {
            frames.insert(1, frame(4, b""))
        }),
        changed("a seal cut short", Refused(6), |frames| frames[3] = frame(5, &[0; 87])),
        changed("bytes after the seal's end", Refused(6), |frames| {
            let payload = [&frames[3][9..], b"more"].concat();
            frames[3] = frame(5, &payload);
        }),
        changed("an honest push, and contents after the seal", Accepted, |frames| {
            frames.push(frames[1].clone())
        }),
        changed("an honest push, and another seal", Accepted, |frames| frames.push(frames[3].clone())),
        sealed("a seal with a frame more", Refused(20), |seal| seal.frames += 1),
        sealed("a seal with no frames", Refused(20), |seal| seal.frames = 0),
        sealed("a seal with 2^64 frames", Refused(20), |seal| seal.frames = u64::MAX),
        sealed("a seal with another chain", Refused(20), |seal| seal.hash[0] ^= 1),
        sealed("a seal with another root", Rejected(25), |seal| seal.root[0] ^= 1),
        sealed("a seal with an entry more", Rejected(25), |seal| seal.entries += 1),
        sealed("a seal with 2^64 entries", Refused(3), |seal| seal.entries = u64::MAX),
        sealed("a seal with 2^64 left out", Accepted, |seal| seal.left_out = u64::MAX),
    ];
    cases.extend(versions());
    cases
}

const BLOCK: usize = pipeline_tests::rawpush::draft::BLOCK_BYTES;

fn versions() -> Vec<Case> {
    let version = |name: &'static str, expect: Expect, major: u16, minor: u16| {
        case(name, expect, move |facts| {
            let file = Entry::file("f", b"x");
            let draft =
                Draft::of_version(major, minor, &facts.header).contents(&Records::new().content(b"x"));
            let draft = draft.changes(&[put(&file)]).sealed(&[file]);
            let new = frame(16, &[major.to_le_bytes(), minor.to_le_bytes()].concat());
            Attack::Talk([new, draft.frames.concat(), bye()].concat())
        })
    };
    vec![
        version("a push of a version that is too new", Refused(6), 3, 0),
        version("a push of version 2", Accepted, 2, 0),
        version("a push of a version that is too old", Refused(6), 0, 9),
        version("a push of version 65535", Refused(6), u16::MAX, u16::MAX),
        version("a push of a later minor version", Accepted, 1, 9),
        case("a version that the seal does not know", Refused(20), |facts| {
            let draft = small(&facts.header);
            Attack::Talk([frame(16, &[1, 0, 1, 0]), draft.frames.concat(), bye()].concat())
        }),
        case("a push of the deletion of everything", Accepted, |facts| {
            Attack::Push(Draft::new(&facts.header).sealed(&[]))
        }),
        case("a session that is all header", Nothing, |facts| {
            Attack::Talk([new_push(), Draft::new(&facts.header).frames.concat()].concat())
        }),
        case("no `new` before the push", Refused(6), |facts| {
            Attack::Talk(session(&small(&facts.header))[new_push().len()..].to_vec())
        }),
    ]
}
