//! Restoring to file systems that cannot do all that ext4 does: NFS, FUSE, older ZFS, and those of sticks and cameras. What they answer is put into
//! the mouth of the kernel.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::ices::{Machine, Ran, ice_of};
use super::tree::{noise, small};
use super::weak_machines::under_strace;

/// Restores where these calls are answered with errors; none if that cannot be done here.
fn restore(machine: &Machine, faults: &[&str]) -> Option<Ran> {
    let _ = fs::remove_dir_all(machine.out());
    let inject: Vec<String> = faults.iter().map(|fault| format!("inject={fault}")).collect();
    let words: Vec<&str> = inject.iter().flat_map(|inject| ["-e", inject]).collect();
    let out = machine.out();
    let ran = under_strace(machine, &["restore", "web01/latest", "--to", out.to_str().unwrap()], &words);
    if ran.is_none() {
        println!("SKIPPED: restoring to odd file systems: strace is not installed");
    }
    let trace = fs::read_to_string(machine.path("trace")).unwrap_or_default();
    assert!(ran.is_none() || trace.contains("(INJECTED)"), "nothing was refused: {trace}");
    ran
}

fn assert_contents(machine: &Machine) {
    let out = machine.out();
    assert_eq!(fs::read(out.join("etc/hosts")).unwrap(), b"127.0.0.1 localhost\n");
    assert_eq!(fs::read(out.join("srv/data.bin")).unwrap(), noise(300_000));
    assert_eq!(fs::read(out.join("srv/data.link")).unwrap(), noise(300_000));
    assert_eq!(fs::read_dir(out.join("etc")).unwrap().count(), 3, "no name of no meaning stays");
}

#[test]
fn all_comes_back_where_nothing_can_be_renamed_on_condition() {
    let machine = Machine::with(&ice_of(&small()));
    for error in ["EINVAL", "ENOSYS", "EOPNOTSUPP"] {
        let Some(ran) = restore(&machine, &[&format!("renameat2:error={error}")]) else { return };
        ran.ends_with(0);
        assert_contents(&machine);
        assert_eq!(machine.out().join("srv/data.bin").metadata().unwrap().nlink(), 2);
        assert_eq!(machine.out().join("etc/hosts").metadata().unwrap().nlink(), 1);
    }
}

#[test]
fn all_comes_back_where_there_are_no_hard_links_either() {
    let machine = Machine::with(&ice_of(&small()));
    // A rename without a condition is the same call: only those with one are refused there.
    for link in ["EPERM", "EOPNOTSUPP", "ENOSYS"] {
        let Some(ran) = restore(&machine, &[&format!("linkat:error={link}")]) else { return };
        let ran = ran.ends_with(3);
        assert_contents(&machine);
        assert_eq!(ran.report["left_out"][0]["path"], "srv/data.link");
        assert_eq!(machine.out().join("srv/data.bin").metadata().unwrap().nlink(), 1);
    }
}

#[test]
fn what_a_file_system_cannot_hold_of_a_files_metadata_costs_no_content() {
    let mut tree = small();
    tree.meta("etc/hosts").owner = 77;
    tree.meta("etc/hosts").mode = 0o640;
    let machine = Machine::with(&ice_of(&tree));
    for faults in [
        &["fchmod:error=EPERM"][..],
        &["fchownat:error=EOVERFLOW"],
        &["fchownat:error=EOPNOTSUPP"],
        &["utimensat:error=EPERM"],
        &["fchmod:error=EOPNOTSUPP", "fchownat:error=ENOSYS", "utimensat:error=EINVAL"],
    ] {
        let Some(ran) = restore(&machine, faults) else { return };
        let ran = ran.ends_with(3);
        assert_contents(&machine);
        assert!(!ran.report["left_out"].as_array().unwrap().is_empty(), "{faults:?}");
    }
}
