//! Pushes, jails and messages that the claims are made of.

use formats::frame;
use formats::published::{Limits, Published};
use formats::push::{Block, Codec, FrameKind, Header};
use formats::session::{ClientMessage, Role, ServerMessage};
use formats::{ContentHash, HostId, InstallationId, PushId, Root};
use wire::client::{Outgoing, SealFacts};
use wire::partial::{Partial, Scan};
use wire::server::{Effect, Fate, Jail, Server};

pub(crate) const PUSH: PushId = PushId::from_bytes([7; 16]);
/// The time of all sessions here: the middle of hour 8, UTC.
pub(crate) const NOW: i64 = 20_833 * 86_400 + 8 * 3600 + 1800;
pub(crate) const OTHER: PushId = PushId::from_bytes([8; 16]);
pub(crate) const FACTS: SealFacts = SealFacts { root: Root::from_bytes([9; 32]), entries: 3, left_out: 0 };

pub(crate) fn host() -> HostId {
    HostId::parse("web01").unwrap()
}

pub(crate) fn header() -> Header {
    Header {
        host: host(),
        installation: InstallationId::from_bytes([1; 16]),
        push: PUSH,
        counter: 1,
        base: None,
        lender: None,
        started: 1_800_000_000,
        zone: "Europe/Vienna".into(),
        declared_bytes: 100,
    }
}

pub(crate) fn jail() -> Jail {
    let published = Published::new(host(), Limits::default());
    Jail { published, partial: None, queued: Vec::new(), waiting: 0, sealed_last: None, emergencies: 0 }
}

pub(crate) fn block(bytes: &[u8]) -> Block<'_> {
    Block { codec: Codec::Stored, expanded_bytes: bytes.len(), packed: bytes }
}

pub(crate) fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut to = Vec::new();
    frame::encode(kind, payload, &mut to).unwrap();
    to
}

pub(crate) fn header_frame() -> Vec<u8> {
    framed(FrameKind::Header.code(), &header().encode().unwrap())
}

pub(crate) fn said(message: ClientMessage) -> Vec<u8> {
    let mut to = Vec::new();
    message.encode(&mut to).unwrap();
    to
}

pub(crate) fn new() -> Vec<u8> {
    said(ClientMessage::New { version: formats::push::VERSION })
}

/// A whole session: one push with blocks of several sizes, the wait for its verdict, and goodbye.
pub(crate) fn session() -> Vec<u8> {
    let mut to = Vec::new();
    let mut push = Outgoing::open_new(&header(), &mut to).unwrap();
    for length in [1usize, 40, 700] {
        push.contents(&block(&vec![length as u8; length]), &mut to).unwrap();
    }
    push.entries(&block(b"changes"), &mut to).unwrap();
    push.seal(FACTS, &mut to).unwrap();
    wire::client::await_verdict(PUSH, 5, &mut to).unwrap();
    wire::client::bye(&mut to).unwrap();
    to
}

/// What a receiver did, with appended bytes joined to one file.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Deeds {
    pub(crate) answers: Vec<ServerMessage>,
    pub(crate) file: Vec<u8>,
    pub(crate) begun: u32,
    pub(crate) gone_on: u32,
    pub(crate) sealed: Vec<PushId>,
    pub(crate) awaited: Vec<(PushId, u32)>,
    pub(crate) refused: Option<(formats::session::Code, Fate)>,
    pub(crate) wait_seconds: u32,
    /// What each push was admitted as.
    pub(crate) roles: Vec<Role>,
    /// Contents that were offered, and against which lender.
    pub(crate) offered: Vec<(Root, ContentHash)>,
    pub(crate) ended: bool,
}

/// Obeys a session that gets `bytes` in pieces of at most `piece`.
pub(crate) fn obey(jail: Jail, bytes: &[u8], piece: usize) -> Deeds {
    let mut server = Server::new(jail);
    server.set_time(NOW);
    let mut deeds = Deeds::default();
    drain(&mut server, &mut deeds);
    for piece in bytes.chunks(piece.max(1)) {
        let mut rest = piece;
        while !rest.is_empty() {
            let count = server.feed(rest);
            assert!(count > 0, "the buffer is full and nothing comes out");
            rest = &rest[count..];
            drain(&mut server, &mut deeds);
            if deeds.ended || deeds.refused.is_some() {
                return deeds;
            }
        }
    }
    deeds
}

fn drain(server: &mut Server, deeds: &mut Deeds) {
    while let Some(effect) = server.next() {
        assert!(!deeds.ended && deeds.refused.is_none(), "something after the end: {effect:?}");
        match effect {
            Effect::Answer(message) => deeds.answers.push(message),
            Effect::Begin { bytes, role, .. } => {
                deeds.begun += 1;
                deeds.roles.push(role);
                deeds.file = bytes;
            }
            Effect::GoOn { role } => {
                deeds.gone_on += 1;
                deeds.roles.push(role);
            }
            Effect::Append(bytes) => {
                assert!(!bytes.is_empty());
                deeds.file.extend_from_slice(bytes);
            }
            Effect::Seal { push, frame } => {
                deeds.file.extend_from_slice(frame);
                deeds.sealed.push(push);
            }
            Effect::Offered { lender, offer } => {
                deeds.offered.extend(offer.contents().iter().map(|content| (lender, *content)));
            }
            Effect::Await { push, seconds } => deeds.awaited.push((push, seconds)),
            Effect::Refuse { code, partial, wait_seconds } => {
                deeds.refused = Some((code, partial));
                deeds.wait_seconds = wait_seconds;
            }
            Effect::End => deeds.ended = true,
        }
    }
}

/// What a push file holds, read in pieces of at most `piece`.
pub(crate) fn scanned(file: &[u8], piece: usize) -> Option<Partial> {
    let mut scan = Scan::new();
    let mut rest = file;
    while scan.goes_on() && !rest.is_empty() {
        let space = scan.space();
        let count = space.len().min(piece).min(rest.len());
        assert!(count > 0);
        space[..count].copy_from_slice(&rest[..count]);
        scan.filled(count);
        rest = &rest[count..];
    }
    scan.finish()
}
