#![no_main]
//! What a partial push file holds: whole frames from its start, however it is read, and nothing that a second look does not find.
mod script;

use formats::PushId;
use formats::push::{Order, Tally, head};
use wire::partial::End;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Input: how it is read, whether it is a file as it is or a script, then that.
    let Some((&[piece, kind], rest)) = data.split_first_chunk::<2>() else { return };
    let file = match kind {
        0 => rest.to_vec(),
        _ => [head(), script::bytes(rest, &Tally::begin(), PushId::from_bytes([7; 16]))].concat(),
    };
    let found = script::scanned(&file, usize::from(piece));
    assert_eq!(found, script::scanned(&file, usize::MAX), "in other pieces it is another");
    let Some(partial) = found else { return };
    let bytes = usize::try_from(partial.tally.bytes()).expect("no more than was read");
    assert!(partial.tally.frames() > 0 && bytes <= file.len());
    assert_eq!(partial.end == End::Sealed, partial.tally.order() == Order::Sealed);
    assert_eq!(
        script::scanned(&file[..bytes], usize::MAX),
        Some(partial),
        "cut to what it holds, it holds that"
    );
});
