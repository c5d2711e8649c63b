//! Files among the sealed pushes that no receiver would have sealed: what someone can do who has taken it over.

use pipeline_tests::rawpush::talk::{await_verdict, bye, new_push};
use pipeline_tests::rawpush::{Draft, Entry, Header, Records, Seal, frame, frame_of, put};

use super::case::Expect::{Accepted, Rejected};
use super::case::{Attack, Case, Expect, case};

fn small(header: &Header) -> Draft {
    Draft::whole(header, &[b"x"], &[Entry::file("f", b"x")])
}

fn bytes(name: impl Into<String>, expect: Expect, change: impl Fn(&mut Vec<u8>) + 'static) -> Case {
    case(name, expect, move |facts| {
        let mut bytes = small(&facts.header).bytes();
        change(&mut bytes);
        Attack::File(bytes)
    })
}

/// An honest file with its frames changed, and sealed again so that counts and chain fit.
fn frames(name: &'static str, expect: Expect, change: impl Fn(&mut Draft) + 'static) -> Case {
    case(name, expect, move |facts| {
        let mut draft = small(&facts.header);
        draft.frames.pop();
        change(&mut draft);
        Attack::File(draft.sealed(&[Entry::file("f", b"x")]).bytes())
    })
}

fn sealed(name: &'static str, expect: Expect, change: impl Fn(&mut Seal) + 'static) -> Case {
    case(name, expect, move |facts| {
        let file = Entry::file("f", b"x");
        let draft = Draft::new(&facts.header).contents(&Records::new().content(b"x")).changes(&[put(&file)]);
        let mut seal = draft.seal_for(&[file]);
        change(&mut seal);
        Attack::File(draft.sealed_with(&seal).bytes())
    })
}

fn header(name: &'static str, expect: Expect, change: impl Fn(&mut Header) + 'static) -> Case {
    case(name, expect, move |facts| {
        let mut header = facts.header.clone();
        change(&mut header);
        Attack::File(small(&header).bytes())
    })
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        bytes("an empty file", Rejected(20), Vec::clear),
        bytes("one byte", Rejected(20), |bytes| bytes.truncate(1)),
        bytes("another magic", Rejected(21), |bytes| bytes[0] = b'F'),
        bytes("another major version", Rejected(21), |bytes| bytes[8] = 3),
        bytes("major version 0", Rejected(21), |bytes| bytes[8] = 0),
        bytes("the version changed after sealing", Rejected(20), |bytes| bytes[10] = 1),
        bytes("a byte after the seal", Rejected(21), |bytes| bytes.push(0)),
        bytes("a second push after the first", Rejected(21), |bytes| bytes.extend_from_within(..)),
        bytes("a flipped bit in the header's check", Rejected(20), |bytes| bytes[12 + 5] ^= 1),
        bytes("a flipped bit in a length", Rejected(20), |bytes| bytes[12 + 2] ^= 1),
        bytes("a length of 4 GiB", Rejected(21), |bytes| bytes[13..17].fill(0xff)),
        bytes("zeros", Rejected(21), |bytes| bytes.fill(0)),
        frames("no header", Rejected(21), |draft| drop(draft.frames.remove(0))),
        frames("two headers", Rejected(21), |draft| draft.frames.insert(1, draft.frames[0].clone())),
        frames("contents after entries", Rejected(21), |draft| draft.frames.swap(1, 2)),
        frames("entries before the header", Rejected(21), |draft| draft.frames.swap(0, 2)),
        frames("an unknown kind", Rejected(21), |draft| draft.frames.push(frame(6, b""))),
        frames("a message of the session", Rejected(21), |draft| draft.frames.insert(1, new_push())),
        frames("another message of the session", Rejected(21), |draft| {
            draft.frames.push(await_verdict([1; 16], 1))
        }),
        frames("a goodbye", Rejected(21), |draft| draft.frames.push(bye())),
        frames("a resume frame with a payload", Rejected(21), |draft| draft.frames.push(frame(4, b"x"))),
        frames("a frame with a wrong check, sealed as it is", Rejected(20), |draft| {
            draft.frames.insert(1, frame_of(4, 0, 1, b""));
        }),
        frames("another seal before the seal", Rejected(21), |draft| {
            let seal = draft.clone().sealed(&[]).frames.pop().unwrap();
            draft.frames.push(seal);
        }),
        sealed("a seal with a frame more", Rejected(20), |seal| seal.frames += 1),
        sealed("a seal with another chain", Rejected(20), |seal| seal.hash[31] ^= 1),
        sealed("a seal with another root", Rejected(25), |seal| seal.root = [0; 32]),
        sealed("a seal with an entry less", Rejected(25), |seal| seal.entries -= 1),
        header("a name that climbs", Rejected(21), |header| header.host = b"../../good".to_vec()),
        header("a sealed payload, which is reserved", Rejected(21), |header| header.payload = 1),
        header("a signature, which is reserved", Rejected(21), |header| header.signature = 1),
        header("a time zone of control characters", Rejected(21), |header| {
            header.zone = b"\x1b[2J\n".to_vec()
        }),
        // What was declared is the receiver's business; what comes is counted.
        header("16 EiB declared", Accepted, |header| header.declared_bytes = u64::MAX),
    ];
    // Cut everywhere that matters: in the head, in each frame's head, in each payload, and just before the end.
    let whole = small(&Header::new("evil", [0; 16], 1)).bytes().len();
    for cut in
        [4, 11, 12, 13, 20, 22, 60, 110, 130, 133, 150, 180, 200, 240, whole - 89, whole - 50, whole - 1]
    {
        cases.push(bytes(format!("a file cut after {cut} bytes"), Rejected(20), move |bytes| {
            bytes.truncate(cut)
        }));
    }
    cases
}
