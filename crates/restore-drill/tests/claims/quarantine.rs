//! The quarantine: nobody else enters, nothing stays that a run has ended with.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::ices::{Machine, ice_of};
use super::tree::small;

#[test]
fn one_run_at_a_time_uses_a_quarantine() {
    let machine = Machine::with(&ice_of(&small()));
    machine.verify().ends_with(0);
    let lock = fs::File::open(machine.path("quarantine/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    machine.verify().ends_with(4).because("another run works in this quarantine");
    drop(lock);
    machine.verify().ends_with(0);
}

#[test]
fn a_quarantine_that_others_may_enter_is_refused() {
    let machine = Machine::with(&ice_of(&small()));
    fs::create_dir(machine.path("quarantine")).unwrap();
    fs::set_permissions(machine.path("quarantine"), fs::Permissions::from_mode(0o755)).unwrap();
    machine.verify().ends_with(4).because("others may enter");
    // It was this machine's fault: nothing is recorded about the ice.
    assert!(machine.records().is_empty());
}

#[test]
fn an_image_larger_than_the_disk_is_refused_before_it_is_fetched() {
    let mut ice = ice_of(&small());
    let huge = 1u64 << 60;
    let first = ice.record["segments"][0].clone();
    ice.record["image"]["bytes"] = (huge + 4096).into();
    ice.record["segment_bytes"] = huge.into();
    let mut second = ice.record["segments"][1].clone();
    second["plain_bytes"] = huge.into();
    second["bytes"] = huge.into();
    ice.record["segments"] = serde_json::json!([first, second]);
    let machine = Machine::with(&ice);
    let ran = machine.verify().ends_with(4).because("are free");
    assert_eq!(ran.report["counts"]["fetched_bytes"], 0);
    machine.assert_nothing_left();
}
