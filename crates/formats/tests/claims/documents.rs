//! What the documents say in numbers is what the code does.

use std::collections::BTreeSet;

use formats::limits::*;
use formats::records::drill::DRILL_RECORD_BYTES;
use formats::records::grant::GRANT_HOURS;
use formats::records::ice::{FIRST_SEGMENT_BYTES, ICE_RECORD_BYTES};
use formats::records::ledger::LEDGER_LINE_BYTES;
use formats::records::plan::{PLAN_BYTES, PLANNED};
use formats::records::redaction::{REDACTED, REDACTED_ICE, REDACTED_PATH_BYTES};
use formats::records::standing::STANDING_BYTES;
use formats::session::Code;

fn document(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../../docs/formats/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Digits in groups of three, as the documents write them.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

#[test]
fn every_limit_stands_in_its_document() {
    let numbers: [(&str, &str, u64); 20] = [
        ("manifest.md", "a component above # bytes", COMPONENT_BYTES as u64),
        ("manifest.md", "more than # components", PATH_COMPONENTS as u64),
        ("manifest.md", "more than # bytes in all", PATH_BYTES as u64),
        ("manifest.md", "u16 target length (1..=#)", TARGET_BYTES as u64),
        ("manifest.md", "number of attributes (at most #)", ATTRIBUTES as u64),
        ("manifest.md", "u16 name length (0..=#)", ATTRIBUTE_NAME_BYTES as u64),
        ("manifest.md", "u32 value length (at most #)", ATTRIBUTE_VALUE_BYTES as u64),
        ("manifest.md", "u32 length (1..=#), entry bytes", ENTRY_BYTES as u64),
        ("push-file.md", "u32 payload length at most #:", FRAME_BYTES as u64),
        ("push-file.md", "u32 expanded length (1..=#)", BLOCK_BYTES as u64),
        ("push-file.md", "at most # bytes, no \"..\"", HOST_ID_BYTES as u64),
        ("push-file.md", "IANA name, at most # bytes", ZONE_BYTES as u64),
        ("session.md", "queued push ids (at most #)", QUEUED as u64),
        ("session.md", "1 to # contents, 32 bytes each", OFFER as u64),
        ("session.md", "u16 verdicts (at most #)", VERDICTS as u64),
        ("session.md", "u32 wanted (at most #)", WANTED as u64),
        ("session.md", "u8 times (at most #)", EMERGENCIES as u64),
        ("session.md", "At most # bytes.", PUBLISHED_BYTES as u64),
        ("snapshot-log.md", "A line is at most # bytes", LINE_BYTES as u64),
        ("snapshot-log.md", "hold more than the # bytes that each is", FLAT_ENTRY_BYTES),
    ];
    for (name, words, number) in numbers {
        let words = words.replace('#', &grouped(number));
        let text = document(name).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&words), "{name} does not say: {words}");
    }
    assert!(document("push-file.md").contains("At most 2^28 frames") && FRAMES == 1 << 28);
    assert!(document("ice.md").contains("on one line (at most 16 MiB)") && ICE_RECORD_BYTES == 16 << 20);
    assert!(document("ice.md").contains("at\nmost 32 MiB") && LEDGER_LINE_BYTES == 32 << 20);
    assert!(document("ice.md").contains("its first 4,096 bytes") && FIRST_SEGMENT_BYTES == 4_096);
    assert!(document("standing.md").contains("at most 32 MiB") && STANDING_BYTES == 32 << 20);
    assert!(document("grant.md").contains("1 to 168") && GRANT_HOURS == 168);
    for name in ["redaction.md", "snapshot-log.md"] {
        assert!(document(name).contains("1 to 400") && REDACTED == 400);
    }
    assert!(document("snapshot-log.md").contains("at most 64)") && REDACTED_ICE == 64);
    assert!(document("redaction.md").contains("at most 1,000 bytes") && REDACTED_PATH_BYTES == 1_000);
    let plan = document("prune-plan.md");
    assert!(plan.contains("at most 4 MiB") && PLAN_BYTES == 4 << 20);
    assert!(plan.contains("at most 10,000") && PLANNED == 10_000);
    assert!(document("drill-record.md").contains("at most 16 MiB") && DRILL_RECORD_BYTES == 16 << 20);
}

#[test]
fn every_code_stands_in_the_document_with_its_exit_code() {
    let listed: BTreeSet<(u16, u8)> = document("session.md")
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            Some((cells.get(1)?.parse().ok()?, cells.get(3)?.parse().ok()?))
        })
        .collect();
    let known: BTreeSet<(u16, u8)> = Code::ALL.iter().map(|code| (code.number(), code.exit_code())).collect();
    assert_eq!(listed, known);
}
