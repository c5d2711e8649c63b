//! A client and a server of this crate, talking to each other.

use formats::published::Verdict;
use formats::push::FrameKind;
use formats::session::{Code, ServerMessage};
use formats::{Root, Version};
use proptest::prelude::*;
use wire::client::{Incoming, Outgoing, WireError};
use wire::partial::End;
use wire::server::Fate;

use crate::samples::*;

#[test]
fn a_push_is_kept_byte_for_byte_and_sealed() {
    let deeds = obey(jail(), &session(), usize::MAX);
    assert_eq!((deeds.begun, deeds.gone_on, deeds.ended), (1, 0, true));
    assert_eq!(deeds.sealed, [PUSH]);
    assert_eq!(deeds.awaited, [(PUSH, 5)]);
    assert!(matches!(deeds.answers[..], [ServerMessage::Base(_), ServerMessage::Sealed(PUSH)]));
    let whole = session();
    let frames = whole.windows(4).position(|w| w == &header_frame()[..4]).unwrap();
    let tail = framed(18, &[0; 20]).len() + framed(19, b"").len();
    assert_eq!(deeds.file[12..], whole[frames..whole.len() - tail], "what was sent is what is kept");
    let partial = scanned(&deeds.file, 100).unwrap();
    assert_eq!((partial.end, partial.header), (End::Sealed, header()));
    assert_eq!(partial.tally.bytes(), deeds.file.len() as u64);
}

#[test]
fn the_size_of_the_pieces_makes_no_difference() {
    let whole = obey(jail(), &session(), usize::MAX);
    for piece in [1, 2, 3, 7, 9, 64, 100, 511] {
        assert_eq!(obey(jail(), &session(), piece), whole, "pieces of {piece}");
    }
}

#[test]
fn many_frames_come_out_as_one_append() {
    let mut bytes = Vec::new();
    let mut push = Outgoing::open_new(&header(), &mut bytes).unwrap();
    for _ in 0..100 {
        push.contents(&block(&[5; 1000]), &mut bytes).unwrap();
    }
    let mut server = wire::server::Server::new(jail());
    assert_eq!(server.feed(&bytes), bytes.len());
    let mut appended = Vec::new();
    while let Some(effect) = server.next() {
        if let wire::server::Effect::Append(frames) = effect {
            appended.push(frames.len());
        }
    }
    assert_eq!(appended, [100 * framed(2, &block(&[5; 1000]).encode()).len()]);
}

#[test]
fn the_largest_frame_fits_and_flows_on() {
    let largest = vec![3u8; formats::limits::BLOCK_BYTES];
    let mut bytes = Vec::new();
    let mut push = Outgoing::open_new(&header(), &mut bytes).unwrap();
    for _ in 0..9 {
        push.contents(&block(&largest), &mut bytes).unwrap();
    }
    push.seal(FACTS, &mut bytes).unwrap();
    for piece in [65_536, 1 << 20, usize::MAX] {
        assert_eq!(obey(jail(), &bytes, piece).sealed, [PUSH], "pieces of {piece}");
    }
}

#[test]
fn a_known_push_is_answered_and_nothing_is_written() {
    let mut accepted = jail();
    let verdict = Verdict::Accepted { root: Root::from_bytes([3; 32]) };
    accepted.published.judge(PUSH, verdict);
    let mut rejected = jail();
    rejected.published.judge(PUSH, Verdict::Rejected { code: Code::ContentHash });
    let mut queued = jail();
    (queued.queued, queued.waiting) = (vec![OTHER, PUSH], 2);
    let answers = [
        (accepted, ServerMessage::Verdict { push: PUSH, verdict }),
        (
            rejected,
            ServerMessage::Verdict { push: PUSH, verdict: Verdict::Rejected { code: Code::ContentHash } },
        ),
        (queued, ServerMessage::Sealed(PUSH)),
    ];
    for (jail, answer) in answers {
        let deeds = obey(jail, &session(), 50);
        assert_eq!(deeds.answers[1..], [answer]);
        assert_eq!((deeds.begun, deeds.file.len(), deeds.sealed.len()), (0, 0, 0));
        assert_eq!((deeds.awaited.len(), deeds.ended, deeds.refused), (1, true, None), "the session goes on");
    }
}

#[test]
fn a_known_push_is_answered_even_when_the_queue_is_full() {
    let mut full = jail();
    (full.queued, full.waiting) = (vec![PUSH], 1000);
    assert_eq!(obey(full, &session(), 50).answers[1..], [ServerMessage::Sealed(PUSH)]);
}

#[test]
fn a_push_nobody_knows_has_a_pending_verdict() {
    let mut bytes = Vec::new();
    wire::client::await_verdict(OTHER, 1000, &mut bytes).unwrap();
    let deeds = obey(jail(), &bytes, 1);
    assert_eq!(deeds.awaited, [], "not worth a wait");
    assert_eq!(deeds.answers[1..], [ServerMessage::Verdict { push: OTHER, verdict: Verdict::Pending }]);
}

#[test]
fn a_later_minor_version_of_the_push_file_is_kept_as_it_says() {
    let minor = Version { major: 1, minor: 3 };
    let mut bytes = said(formats::session::ClientMessage::New { version: minor });
    bytes.extend(header_frame());
    let deeds = obey(jail(), &bytes, 10);
    assert_eq!(deeds.file[..12], formats::push::head_of(minor));
    assert!(scanned(&deeds.file, 5).is_some());
}

#[test]
fn a_client_hears_what_a_server_says_in_pieces_of_any_size() {
    let mut said = Vec::new();
    for message in obey(jail(), &session(), 100).answers {
        message.encode(&mut said).unwrap();
    }
    let verdict = ServerMessage::Verdict { push: PUSH, verdict: Verdict::Pending };
    verdict.encode(&mut said).unwrap();
    for piece in [1, 2, 10, 100, 10_000] {
        let mut incoming = Incoming::new();
        incoming.expect_sealed(PUSH);
        incoming.expect_verdict(PUSH);
        let mut heard = Vec::new();
        for piece in said.chunks(piece) {
            assert_eq!(incoming.feed(piece), piece.len());
            while let Some(message) = incoming.next().unwrap() {
                heard.push(message);
            }
        }
        assert!(matches!(
            heard[..],
            [ServerMessage::Base(_), ServerMessage::Sealed(PUSH), ServerMessage::Verdict { .. }]
        ));
    }
}

#[test]
fn an_outgoing_push_takes_nothing_out_of_order_and_keeps_the_bytes_clean() {
    let mut bytes = Vec::new();
    let mut push = Outgoing::open_new(&header(), &mut bytes).unwrap();
    push.entries(&block(b"changes"), &mut bytes).unwrap();
    let (before, mark) = (bytes.clone(), push.mark());
    assert!(push.contents(&block(b"too late"), &mut bytes).is_err());
    assert_eq!((bytes.clone(), push.mark()), (before, mark));
    push.seal(FACTS, &mut bytes).unwrap();
    assert!(push.entries(&block(b"too late"), &mut bytes).is_err());
    assert!(push.seal(FACTS, &mut bytes).is_err());
    assert_eq!(obey(jail(), &bytes, 9).sealed, [PUSH]);
    assert!(Outgoing::go_on(PUSH, push.mark(), &mut bytes).is_err(), "nothing goes on after a seal");
}

proptest! {
    #[test]
    fn no_bytes_make_a_server_panic_or_keep_a_broken_frame(bytes in proptest::collection::vec(any::<u8>(), 0..600), piece in 1usize..50) {
        let deeds = obey(jail(), &bytes, piece);
        prop_assert!(deeds.file.is_empty());
    }

    #[test]
    fn no_bytes_make_a_client_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut incoming = Incoming::new();
        incoming.feed(&bytes);
        while let Ok(Some(_)) = incoming.next() {}
    }

    #[test]
    fn one_changed_byte_of_a_session_never_seals_anything_else(at in any::<prop::sample::Index>(), change in 1u8..) {
        let mut bytes = session();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let deeds = obey(jail(), &bytes, 64);
        let whole = obey(jail(), &session(), 64);
        prop_assert!(deeds.sealed.is_empty() || deeds.file == whole.file);
        prop_assert!(whole.file.starts_with(&deeds.file), "only whole, unchanged frames are kept");
    }

    #[test]
    fn any_frames_in_any_order_leave_a_file_that_scans(kinds in proptest::collection::vec((0u8..24, 0usize..30), 0..40)) {
        let mut bytes = new();
        bytes.extend(header_frame());
        for (kind, length) in kinds {
            bytes.extend(framed(kind, &vec![kind; length]));
        }
        let deeds = obey(jail(), &bytes, 33);
        let partial = scanned(&deeds.file, 17).unwrap();
        prop_assert_eq!(partial.tally.bytes(), deeds.file.len() as u64);
    }
}

#[test]
fn an_error_ends_a_client_for_good() {
    let mut incoming = Incoming::new();
    incoming.feed(b"Welcome to Debian GNU/Linux 12!\r\n");
    assert!(matches!(incoming.next(), Err(WireError::TooLong { .. })));
    assert!(!incoming.is_open());
    assert_eq!(incoming.next(), Ok(None));
}

#[test]
fn a_seal_that_does_not_fit_discards_what_could_never_be_sealed() {
    let mut bytes = new();
    bytes.extend(header_frame());
    bytes.extend(framed(FrameKind::Seal.code(), &[0; 88]));
    assert_eq!(obey(jail(), &bytes, 1000).refused, Some((Code::BrokenFrames, Fate::Discard)));
}
