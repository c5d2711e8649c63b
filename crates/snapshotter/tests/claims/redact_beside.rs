//! What goes on beside a redaction: a grant that is under way. And that it is done as its document says.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::process::Command;

use crate::redact::{SNAPSHOTS, approve, assert_redacted, by, cannot_be_two, request, world};
use crate::world::{Ended, PROGRAM};

#[test]
fn nothing_is_redacted_while_something_of_the_host_is_packed_for_a_grant() {
    if cannot_be_two("nothing_is_redacted_while_something_of_the_host_is_packed_for_a_grant") {
        return;
    }
    let world = world();
    let grants = world.path("grants");
    let config = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, format!("{config}\n[grants]\nrecords = {grants:?}\n")).unwrap();
    fs::DirBuilder::new().mode(0o700).create(&grants).unwrap();
    let asked = request(&world, "copy");
    let before = world.picture("history");
    // As `grant approve` has it from before it packs until its line is in the log.
    let packing = File::create(grants.join("web01.lock")).unwrap();
    packing.try_lock().unwrap();
    let ended = approve(&world, &asked);
    assert_eq!((ended.code, world.picture("history")), (10, before), "{ended:?}");
    drop(packing);
    assert_eq!(approve(&world, &asked).code, 0);
    assert_redacted(&world, SNAPSHOTS);
    // Where grants can be given and none ever was, none can begin meanwhile.
    fs::remove_dir_all(&grants).unwrap();
    let config = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, config.replace("[grants]\n", "[grants]\nenabled = true\n")).unwrap();
    let asked = request(&world, "own");
    assert_eq!(approve(&world, &asked).code, 0);
    assert!(grants.join("web01.lock").exists());
    // Who is refused is told of the right table.
    let asked = request(&world, "same");
    let alone = by(&world, "1001", &["redact", "approve", "web01", &asked]);
    assert!(alone.code == 2 && alone.err.contains("`two_persons = false` in [redact]"), "{alone:?}");
}

#[test]
fn it_is_done_as_the_document_says() {
    if cannot_be_two("it_is_done_as_the_document_says") {
        return;
    }
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/history.md")).unwrap();
    let part = document.split("\n## ").find(|part| part.starts_with("Erasing what the law demands")).unwrap();
    let lines: Vec<&str> = part.lines().filter_map(|line| line.strip_prefix("    snapshotter ")).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let world = world();
    let mut asked = String::new();
    for (person, line) in ["1001", "1002", "1002"].into_iter().zip(lines) {
        let line = line.replace("home/ada/cv.pdf", "copy").replace("2026-11-22T09:30:00Z", &asked);
        let text = format!("exec {PROGRAM:?} --config {:?} {line}", world.config);
        let ended = Ended::of(Command::new("sh").args(["-c", &text]).env("SUDO_UID", person));
        assert_eq!(ended.code, 0, "{line}: {ended:?}");
        if let Some((_, time)) = ended.out.split_once("redact approve web01 ") {
            asked = time.chars().take("2026-11-22T09:30:00Z".len()).collect();
        }
    }
    assert_redacted(&world, SNAPSHOTS);
}
