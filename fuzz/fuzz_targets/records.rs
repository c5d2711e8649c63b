#![no_main]
//! JSON records: read or refused. What is read can be written and is read the same.
use formats::records::Record;
use formats::records::log::LogLine;

fn check<R: Record + PartialEq + std::fmt::Debug>(data: &[u8]) {
    if let Ok(record) = R::from_line(data) {
        if let Ok(line) = record.to_line() {
            assert_eq!(R::from_line(&line).expect("just written"), record);
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check::<LogLine>(data);
});
