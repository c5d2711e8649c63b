#![no_main]
//! Messages, published state and the head of holdings: whatever decodes encodes to the very bytes it came from.
use formats::frame;
use formats::holdings::Head;
use formats::published::Published;
use formats::session::{ClientMessage, ServerMessage};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(published) = Published::decode(data) {
        let minor = &data[10..12];
        let mut again = published.encode().expect("a read state can be written");
        again[10..12].copy_from_slice(minor);
        assert_eq!(again, data);
    }
    if let Ok(head) = Head::decode(data) {
        let mut again = head.encode();
        again[10..12].copy_from_slice(&data[10..12]);
        assert_eq!(again, data);
    }
    let Some((kind, payload)) = data.split_first() else { return };
    let mut bytes = Vec::new();
    if frame::encode(*kind, payload, &mut bytes).is_err() {
        return;
    }
    let found = frame::decode(&bytes).expect("right check").expect("whole");
    if let Ok(message) = ServerMessage::decode(&found) {
        let mut again = Vec::new();
        message.encode(&mut again).expect("a read message can be written");
        // The minor version in a base message is read and not kept.
        if !matches!(message, ServerMessage::Base(_)) {
            assert_eq!(again, bytes);
        }
    }
    if let Ok(message) = ClientMessage::decode(&found) {
        let mut again = Vec::new();
        message.encode(&mut again).expect("a read message can be written");
        assert_eq!(again, bytes);
    }
});
