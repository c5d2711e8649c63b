#![no_main]
//! Push files, as the receiver and the decoder read them. The checks (CRC, seal) are made right first, so that what lies behind them is reached.
use formats::change::Change;
use formats::cursor::Cursor;
use formats::frame;
use formats::push::{Block, Codec, FrameKind, Header, Record, Seal, Tally};

fn records(expanded: &[u8]) {
    let mut from = Cursor::new(expanded);
    while let (false, before) = (from.is_empty(), from.rest()) {
        let Ok(record) = Record::decode(&mut from) else { return };
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!(again, before[..before.len() - from.rest().len()]);
    }
}

fn changes(expanded: &[u8]) {
    let mut from = Cursor::new(expanded);
    while let (false, before) = (from.is_empty(), from.rest()) {
        let Ok(change) = Change::decode(&mut from) else { return };
        let mut again = Vec::new();
        change.encode(&mut again).expect("a read change can be written");
        assert_eq!(again, before[..before.len() - from.rest().len()]);
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut tally = Tally::begin();
    let mut rest = data;
    // Input: kind, u16 length, payload. The frame around it is made here, with a right check.
    while let Some((head, tail)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([head[1], head[2]])).min(tail.len());
        let (payload, tail) = tail.split_at(length);
        rest = tail;
        let mut bytes = Vec::new();
        frame::encode(head[0], payload, &mut bytes).expect("short");
        let found = frame::decode(&bytes).expect("right check").expect("whole");
        let Ok(kind) = tally.take(&found) else { return };
        match kind {
            FrameKind::Header => {
                if let Ok(header) = Header::decode(payload) {
                    assert_eq!(header.encode().expect("a read header can be written"), payload);
                }
            }
            FrameKind::Contents | FrameKind::Entries => {
                let Ok(block) = Block::decode(payload) else { continue };
                assert_eq!(block.encode(), payload);
                if block.codec == Codec::Stored {
                    records(block.packed);
                    changes(block.packed);
                }
            }
            FrameKind::Seal => {
                if let Ok(seal) = Seal::decode(payload) {
                    assert_eq!(seal.encode(), payload);
                    let _ = tally.check(&seal);
                }
            }
            FrameKind::Resume => {}
        }
    }
});
