#![no_main]
//! JSON records: read or refused. What is read can be written, and is read the same.
use formats::records::Record;
use formats::records::drill::DrillRecord;
use formats::records::ice::IceRecord;
use formats::records::ledger::LedgerLine;
use formats::records::lock::LockRecord;
use formats::records::log::LogLine;
use formats::records::log_head::LogHead;
use formats::records::plan::PrunePlan;
use formats::records::standing::StandingRecord;

fn check<R: Record + PartialEq + std::fmt::Debug>(data: &[u8]) -> Option<R> {
    let record = R::from_line(data).ok()?;
    if let Ok(line) = record.to_line() {
        assert_eq!(R::from_line(&line).expect("just written"), record);
    }
    Some(record)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = check::<LogLine>(data);
    let _ = check::<LogHead>(data);
    let _ = check::<LedgerLine>(data);
    let _ = check::<LockRecord>(data);
    let _ = check::<PrunePlan>(data);
    let _ = check::<DrillRecord>(data);
    let _ = check::<StandingRecord>(data);
    if let Some(record) = check::<IceRecord>(data) {
        let _ = record.check();
    }
});
