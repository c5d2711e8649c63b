//! What goes on beside a redaction: a grant that is under way.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;

use crate::redact::{SNAPSHOTS, approve, assert_redacted, by, cannot_be_two, request, world};

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
