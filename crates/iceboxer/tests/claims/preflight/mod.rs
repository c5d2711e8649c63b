//! What preflight names, and that it names nothing where nothing is wrong.

mod buckets;
mod here;
mod judged;
mod world;

use std::collections::BTreeMap;
use std::fs;

use iceboxer::preflight::checks::{ALL, Severity};

#[test]
fn the_document_lists_exactly_what_can_be_found() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/preflight.md");
    let document = fs::read_to_string(path).unwrap();
    let mut listed = BTreeMap::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, code, severity, why, fix, _] = cells[..] else { continue };
        let Some(code) = code.strip_prefix('`').and_then(|code| code.strip_suffix('`')) else { continue };
        assert!(listed.insert(code, (severity, why, fix)).is_none(), "{code} is listed twice");
    }
    let known: BTreeMap<_, _> =
        ALL.iter().map(|check| (check.code, (check.severity.word(), check.why, check.fix))).collect();
    assert_eq!(known.len(), ALL.len(), "codes are unique");
    assert_eq!(listed, known);
    for check in ALL {
        assert!(check.severity != Severity::Failure || check.exit != cli::Exit::WHOLE, "{}", check.code);
    }
}

#[test]
fn everything_that_can_be_found_is_found_in_a_test() {
    let tests = [
        include_str!("buckets.rs"),
        include_str!("here.rs"),
        include_str!("judged.rs"),
        include_str!("../gcs.rs"),
    ]
    .concat();
    for check in ALL {
        assert!(tests.contains(&format!("\"{}\"", check.code)), "{}", check.code);
    }
}
