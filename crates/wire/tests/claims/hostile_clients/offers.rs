//! Offers that are not a host's to make.

use formats::limits::OFFER;
use formats::published::Limits;
use formats::push::{FrameKind, Header};
use formats::session::{ClientMessage, Code, Offer, Role};
use formats::{ContentHash, PushId, Root};

use super::{Case, Kept, case, limited, with_header};
use crate::samples::*;

fn hello(minor: u16) -> Vec<u8> {
    said(ClientMessage::Hello { minor, role: Role::Usual })
}

fn offer(contents: usize) -> Vec<u8> {
    let contents = (0..contents).map(|n| ContentHash::of(&n.to_le_bytes())).collect();
    said(ClientMessage::Offer(Offer::new(contents).unwrap()))
}

fn lent() -> Header {
    Header { lender: Some(Root::from_bytes([5; 32])), ..header() }
}

pub(super) fn offers() -> Vec<Case> {
    let begun = |then: Vec<u8>| [hello(2), with_header(&lent()), then].concat();
    let no = |name: &str, bytes: Vec<u8>, kept| case(name, bytes, Code::Protocol, kept);
    let entries = framed(FrameKind::Entries.code(), b"changes");
    let based = Header { base: Some(Root::from_bytes([5; 32])), lender: None, ..header() };
    let too_many = |limit: u64, then: Vec<u8>| Case {
        jail: limited(Limits { entries: limit, ..Limits::default() }),
        ..case(format!("offers beyond {limit} entries"), begun(then), Code::TooLarge, Kept::Begun)
    };
    let known = PushId::from_bytes([3; 16]);
    let mut judged = jail();
    judged.queued = vec![known];
    vec![
        no("an offer before anything", offer(1), Kept::Nothing),
        no("an offer behind hello", [hello(2), offer(1)].concat(), Kept::Nothing),
        no("an offer before the header", [hello(2), new(), offer(1)].concat(), Kept::Nothing),
        no("an offer without hello", [with_header(&lent()), offer(1)].concat(), Kept::Begun),
        no("an offer in session 1.1", [hello(1), with_header(&lent()), offer(1)].concat(), Kept::Begun),
        no("an offer without a lender", [hello(2), with_header(&header()), offer(1)].concat(), Kept::Begun),
        no("an offer against a base", [hello(2), with_header(&based), offer(1)].concat(), Kept::Begun),
        no("an offer behind entries", begun([entries, offer(1)].concat()), Kept::Begun),
        no("an offer of nothing", begun(framed(21, b"")), Kept::Begun),
        no("an offer of half a content", begun(framed(21, &[1; 16])), Kept::Begun),
        no("an offer of one and a half", begun(framed(21, &[1; 48])), Kept::Begun),
        no("an offer of one too many", begun(framed(21, &vec![1; (OFFER + 1) * 32])), Kept::Begun),
        no("an offer as long as the largest frame", begun(framed(21, &vec![1; 1 << 20])), Kept::Begun),
        no("an answer to the server", begun(framed(69, &[1])), Kept::Begun),
        too_many(0, offer(1)),
        too_many(10, offer(11)),
        too_many(10, [offer(5), offer(5), offer(1)].concat()),
        too_many(OFFER as u64 * 3, offer(OFFER).repeat(4)),
        Case {
            jail: judged,
            ..case(
                "an offer of half a content for a push that is known",
                [hello(2), with_header(&Header { push: known, ..lent() }), framed(21, &[1; 16])].concat(),
                Code::Protocol,
                Kept::Nothing,
            )
        },
    ]
}
