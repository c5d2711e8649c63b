#![no_main]
//! Frames: whatever decodes encodes to the very bytes it came from.
use formats::frame;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Ok(Some(found)) = frame::decode(rest) {
        let mut again = Vec::new();
        frame::encode(found.kind, found.payload, &mut again).expect("a read frame can be written");
        assert_eq!(again, found.raw);
        rest = &rest[found.raw.len()..];
    }
});
