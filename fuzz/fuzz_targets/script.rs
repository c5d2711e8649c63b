//! What a host sends, from a fuzzer's bytes: the checks are made right, so that what lies behind them is reached.
#![allow(dead_code, reason = "each target uses a part")]
use formats::push::{FrameKind, Header, Seal, Tally};
use formats::session::ClientMessage;
use formats::{HostId, InstallationId, PushId, Root, frame};

/// Stands for bytes that are in no frame.
const RAW: u8 = 255;

/// The host of the golden push file.
pub fn host() -> HostId {
    HostId::parse("db1.example.org").expect("a host id")
}

pub fn header(push: PushId) -> Header {
    Header {
        host: host(),
        installation: InstallationId::from_bytes([1; 16]),
        push,
        counter: 1,
        base: None,
        lender: None,
        started: 0,
        zone: String::new(),
        declared_bytes: 0,
    }
}

/// What a push takes contents from, if it takes them from anything.
pub const LENDER: Root = Root::from_bytes([5; 32]);

/// Input: kind, u16 length, payload, again and again. Each becomes a frame with a right check. A header of up to one byte becomes a
/// whole one of the push with that id, one of two bytes one that names a lender besides, an empty `go on` names the partial push, and an empty seal becomes the one that fits.
pub fn bytes(mut rest: &[u8], partial: &Tally, id: PushId) -> Vec<u8> {
    let mut tally = Tally::begin();
    let mut to = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([head[1], head[2]])).min(tail.len());
        let (payload, tail) = tail.split_at(length);
        rest = tail;
        let payload = match (head[0], payload) {
            (RAW, raw) => {
                to.extend_from_slice(raw);
                continue;
            }
            (16, _) => {
                tally = Tally::begin();
                payload.to_vec()
            }
            (17, []) => {
                tally = partial.clone();
                ClientMessage::GoOn { push: id, frames: tally.frames() }.encode(&mut to).expect("short");
                continue;
            }
            (1, []) => header(id).encode().expect("a header"),
            (1, [byte]) => header(PushId::from_bytes([*byte; 16])).encode().expect("a header"),
            (1, [byte, _]) => {
                let push = PushId::from_bytes([*byte; 16]);
                Header { lender: Some(LENDER), ..header(push) }.encode().expect("a header")
            }
            (5, []) => {
                let root = Root::from_bytes([9; 32]);
                Seal { frames: tally.frames(), hash: tally.hash(), root, entries: 0, left_out: 0 }.encode()
            }
            (_, payload) => payload.to_vec(),
        };
        let start = to.len();
        frame::encode(head[0], &payload, &mut to).expect("short");
        if FrameKind::from_code(head[0]).is_some() {
            let found = frame::decode(&to[start..]).expect("right check").expect("whole");
            let _ = tally.take(&found);
        }
    }
    to
}

/// What a push file holds, read in pieces of at most `piece`.
pub fn scanned(file: &[u8], piece: usize) -> Option<wire::partial::Partial> {
    let mut scan = wire::partial::Scan::new();
    let mut rest = file;
    while scan.goes_on() && !rest.is_empty() {
        let space = scan.space();
        let count = space.len().min(piece.max(1)).min(rest.len());
        assert!(count > 0, "no space, and it goes on");
        space[..count].copy_from_slice(&rest[..count]);
        scan.filled(count);
        rest = &rest[count..];
    }
    scan.finish()
}
