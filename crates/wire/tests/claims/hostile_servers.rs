//! What a server that means harm can send to a client, which may run as root and can read every file of its host.

use formats::limits::{QUEUED, WANTED};
use formats::published::{Limits, Published, Verdict};
use formats::session::{BaseMessage, ClientMessage, Code, MINOR, Role, ServerMessage, Soft};
use formats::{ContentHash, Root};
use wire::client::{Incoming, MESSAGE_BYTES, WireError};

use crate::samples::*;

fn base() -> BaseMessage {
    BaseMessage {
        minor: MINOR,
        published: Published::new(host(), Limits::default()),
        partial: None,
        queued: Vec::new(),
    }
}

fn told(message: &ServerMessage) -> Vec<u8> {
    let mut to = Vec::new();
    message.encode(&mut to).unwrap();
    to
}

fn greeting() -> Vec<u8> {
    told(&ServerMessage::Base(base()))
}

fn sealed(push: formats::PushId) -> Vec<u8> {
    told(&ServerMessage::Sealed(push))
}

fn verdict(push: formats::PushId) -> Vec<u8> {
    told(&ServerMessage::Verdict { push, verdict: Verdict::Pending })
}

fn warned() -> Vec<u8> {
    told(&ServerMessage::Warned { what: Soft::Bytes, used: 2, limit: 1 })
}

fn refused() -> Vec<u8> {
    told(&ServerMessage::Refused { code: Code::Busy, retry_seconds: 60 })
}

fn head(kind: u8, length: u32) -> Vec<u8> {
    [vec![kind], length.to_le_bytes().to_vec(), vec![0; 4]].concat()
}

/// A greeting whose payload is patched, with a right check.
fn patched(at: usize, to: u8) -> Vec<u8> {
    let mut payload = greeting()[9..].to_vec();
    payload[at] = to;
    framed(64, &payload)
}

/// What a client hears that sends the push `PUSH` and waits for its verdict.
fn hear(bytes: &[u8], piece: usize) -> (Vec<ServerMessage>, Result<(), WireError>) {
    let mut incoming = Incoming::new();
    incoming.expect_sealed(PUSH);
    incoming.expect_verdict(PUSH);
    let mut heard = Vec::new();
    for piece in bytes.chunks(piece) {
        let mut rest = piece;
        while !rest.is_empty() && incoming.is_open() {
            let count = incoming.feed(rest);
            rest = &rest[count..];
            loop {
                match incoming.next() {
                    Ok(Some(message)) => heard.push(message),
                    Ok(None) => break,
                    Err(error) => return (heard, Err(error)),
                }
            }
            assert!(count > 0 || !incoming.is_open(), "the buffer is full and nothing comes out");
        }
    }
    (heard, Ok(()))
}

/// Name, what is sent, how many messages count before the error.
fn cases() -> Vec<(String, Vec<u8>, usize)> {
    let after = |then: Vec<u8>| [greeting(), then].concat();
    let length = greeting().len() - 9;
    let mut unsorted = base();
    unsorted.published.wanted = vec![ContentHash::from_bytes([2; 32]), ContentHash::from_bytes([1; 32])];
    let both = BaseMessage { partial: Some((PUSH, 3)), queued: vec![PUSH], ..base() };
    let empty = BaseMessage { partial: Some((PUSH, 0)), ..base() };
    let named: Vec<(&str, Vec<u8>, usize)> = vec![
        ("a message of the day", b"Welcome to Debian GNU/Linux 12 (bookworm)!\r\n\r\n".to_vec(), 0),
        ("a shell that prints an error", b"bash: receiver: command not found\n".to_vec(), 0),
        ("a web server", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), 0),
        ("zeros", vec![0; 4096], 0),
        ("ones", vec![0xff; 4096], 0),
        ("a message of four gigabytes", head(64, u32::MAX), 0),
        ("a message one byte too long", head(64, MESSAGE_BYTES as u32 + 1), 0),
        ("a message as long as the largest frame", head(64, formats::limits::FRAME_BYTES as u32), 0),
        ("a long message later", after(head(65, 1 << 20)), 1),
        ("a wrong check", [&greeting()[..5], &[1, 2, 3, 4], &greeting()[9..]].concat(), 0),
        ("sealed first", sealed(PUSH), 0),
        ("a verdict first", verdict(OTHER), 0),
        ("a second greeting", after(greeting()), 1),
        ("another push is sealed", after(sealed(OTHER)), 1),
        ("sealed twice", after([sealed(PUSH), sealed(PUSH)].concat()), 2),
        ("a verdict on another push", after(verdict(OTHER)), 1),
        ("a third verdict", after([verdict(PUSH), verdict(PUSH), verdict(PUSH)].concat()), 3),
        ("the client's own words", new(), 0),
        ("the client's own header", header_frame(), 0),
        ("the client's own goodbye", after(said(ClientMessage::Bye)), 1),
        ("contents for the client", after(framed(2, b"have this")), 1),
        ("another major version", patched(0, 2), 0),
        ("a host that is a path", patched(5, b'/'), 0),
        ("a host id longer than the message", patched(4, 255), 0),
        ("a base that is neither there nor not", patched(10, 2), 0),
        ("more verdicts than there can be", patched(11, 65), 0),
        ("more verdicts than there are", patched(11, 1), 0),
        ("more wanted contents than there can be", patched(15, 1), 0),
        ("wanted contents that are not there", patched(13, 1), 0),
        ("a partial push that is neither there nor not", patched(length - 2, 3), 0),
        ("a partial push that is not there", patched(length - 2, 1), 0),
        ("more queued pushes than there can be", patched(length - 1, QUEUED as u8 + 1), 0),
        ("queued pushes that are not there", patched(length - 1, 1), 0),
        ("a sandbox nobody knows", patched(length - 3, 9), 0),
        ("wanted contents out of order", raw_base(&unsorted), 0),
        ("a partial push that is queued too", told(&ServerMessage::Base(both)), 0),
        ("a partial push without a header", told(&ServerMessage::Base(empty)), 0),
        ("bytes behind a greeting", framed(64, &[&greeting()[9..], &[0]].concat()), 0),
        ("sealed cut short", after(framed(65, &[7; 15])), 1),
        ("sealed with more behind it", after(framed(65, &[7; 17])), 1),
        ("a refusal nobody knows", framed(66, &[99, 0, 0, 0, 0, 0]), 0),
        ("a refusal cut short", framed(66, &[1, 0, 0]), 0),
        ("a verdict nobody knows", after(framed(67, &[&[7; 16][..], &[9], &[0; 34]].concat())), 1),
        (
            "accepted, with a reason why not",
            after(framed(67, &[&[7; 16][..], &[1, 22, 0], &[0; 32]].concat())),
            1,
        ),
        ("rejected, with a root", after(framed(67, &[&[7; 16][..], &[2, 22, 0], &[1; 32]].concat())), 1),
        ("a warning first", warned(), 0),
        ("a warning to one who said no hello", after(warned()), 1),
        ("a warning of nothing", after(framed(68, &[0; 17])), 1),
        ("a warning that nobody knows", after(framed(68, &[&[4][..], &[0; 16]].concat())), 1),
        ("a warning cut short", after(framed(68, &[1; 16])), 1),
        ("a warning with more behind it", after(framed(68, &[1; 18])), 1),
        ("contents that are had before anything", framed(69, &[1]), 0),
        ("contents that are had and were not offered", after(framed(69, &[1])), 1),
        ("no contents that are had", after(framed(69, b"")), 1),
        ("more contents that are had than an offer has", after(framed(69, &[1; 257])), 1),
        ("an offer for the client", after(framed(21, &[1; 32])), 1),
        ("a hello for the client", after(said(ClientMessage::Hello { minor: 1, role: Role::Emergency })), 1),
        ("a refusal of the number 12", framed(66, &[12, 0, 0, 0, 0, 0]), 0),
        ("pending, with a root", after(framed(67, &[&[7; 16][..], &[0, 0, 0], &[1; 32]].concat())), 1),
    ];
    let mut cases: Vec<_> =
        named.into_iter().map(|(name, bytes, heard)| (name.to_owned(), bytes, heard)).collect();
    for kind in [0u8, 1, 5, 15, 20, 21, 63, 68, 69, 70, 200, 255] {
        cases.push((format!("kind {kind} first"), framed(kind, &[0; 16]), 0));
        cases.push((format!("kind {kind} later"), after(framed(kind, &[0; 16])), 1));
    }
    cases
}

fn raw_base(base: &BaseMessage) -> Vec<u8> {
    told(&ServerMessage::Base(base.clone()))
}

#[test]
fn every_hostile_server_is_an_error_to_the_client() {
    let cases = cases();
    for (name, bytes, heard) in &cases {
        for piece in [usize::MAX, 100, 1] {
            let (messages, outcome) = hear(bytes, piece);
            assert!(outcome.is_err(), "{name} was believed: {messages:?}");
            assert_eq!(messages.len(), *heard, "{name}: {outcome:?}");
        }
    }
    println!("hostile servers against the client's half of the protocol: {} cases", cases.len());
    assert!(cases.len() >= 70, "{} cases", cases.len());
}

#[test]
fn a_greeting_cut_at_any_byte_is_no_greeting() {
    let payload = greeting()[9..].to_vec();
    for cut in 0..payload.len() {
        assert!(hear(&framed(64, &payload[..cut]), 1000).1.is_err(), "cut at {cut}");
    }
}

#[test]
fn nothing_counts_after_a_refusal() {
    let bytes = [refused(), greeting(), sealed(PUSH)].concat();
    let (heard, outcome) = hear(&bytes, usize::MAX);
    assert!(matches!(heard[..], [ServerMessage::Refused { code: Code::Busy, .. }]));
    assert_eq!(outcome, Ok(()));
}

#[test]
fn a_sealed_push_that_is_not_being_sent_is_an_error() {
    let mut incoming = Incoming::new();
    incoming.feed(&[greeting(), sealed(PUSH)].concat());
    assert!(incoming.next().unwrap().is_some());
    assert_eq!(incoming.next(), Err(WireError::Unasked { message: "sealed" }));
}

#[test]
fn the_largest_greeting_there_can_be_is_heard() {
    let mut largest = base();
    for n in 0..64u8 {
        largest.published.judge(
            formats::PushId::from_bytes([n; 16]),
            Verdict::Accepted { root: Root::from_bytes([n; 32]) },
        );
        largest.queued.push(formats::PushId::from_bytes([100 + n; 16]));
    }
    largest.published.wanted = (0..WANTED as u32)
        .map(|n| {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            ContentHash::from_bytes(hash)
        })
        .collect();
    largest.partial = Some((PUSH, u64::MAX));
    for piece in [1000, usize::MAX] {
        let (heard, outcome) = hear(&told(&ServerMessage::Base(largest.clone())), piece);
        assert_eq!((heard.len(), outcome), (1, Ok(())));
    }
}
