//! What of a drop is taken.

use super::*;
use crate::host::appliance::TypedAppliance;
use crate::limits::TypedLimits;
use formats::published::Sandbox;

/// A drop of whoever runs this, looked at so many seconds from now.
fn desk(folder: &Path, later_seconds: i64) -> Desk {
    let top = Dir::open_root(folder).unwrap();
    let open = |name| top.make_dir_or_open(Name::literal(name), 0o700).unwrap();
    let (dropped, leaving, files) = (open(DROP), open(LEAVING), open("files"));
    Desk {
        user: rustix::process::geteuid().as_raw(),
        manner: TypedAppliance::default().meant(),
        allowed: TypedLimits::default().meant(Sandbox::Required),
        dropped,
        leaving,
        files,
        scratch: top,
        now_seconds: seconds(SystemTime::now()) + later_seconds,
    }
}

fn kept(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder.join("files")).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_was_dropped_is_taken_when_it_was_quiet_for_long_enough_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let _made = desk(folder.path(), 0);
    std::fs::write(folder.path().join("drop/a"), "a").unwrap();
    for (later_seconds, waiting, taken) in [(-3_600, 1, 0), (100, 1, 0), (125, 0, 1)] {
        let desk = desk(folder.path(), later_seconds);
        let mut found = desk.move_out().unwrap();
        found.add(desk.copy().unwrap());
        assert_eq!((found.waiting, found.taken), (waiting, taken), "{later_seconds}");
    }
    assert_eq!(kept(folder.path()), ["a"]);
}

#[test]
fn a_file_that_was_not_dropped_anew_for_long_is_no_part_of_the_state_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let _made = desk(folder.path(), 0);
    for (name, days) in [("old", 1), ("newer", 30), ("newest", 33)] {
        std::fs::write(folder.path().join("drop").join(name), name).unwrap();
        let desk = desk(folder.path(), days * DAY_SECONDS);
        desk.move_out().unwrap();
        assert_eq!(desk.copy().unwrap().taken, 1, "{name}");
        // All were copied just now, so all that were there before are as old as the look is late.
        let expected: &[&str] = match name {
            "old" => &["old"],
            "newer" => &["newer", "old"],
            _ => &["newest"],
        };
        assert_eq!(kept(folder.path()), expected);
        // A snapshot has it.
        std::fs::remove_file(folder.path().join("due")).unwrap();
    }
}

#[test]
fn what_no_snapshot_has_is_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let _made = desk(folder.path(), 0);
    for (name, days) in [("old", 1), ("new", 33)] {
        std::fs::write(folder.path().join("drop").join(name), name).unwrap();
        let desk = desk(folder.path(), days * DAY_SECONDS);
        desk.move_out().unwrap();
        assert_eq!(desk.copy().unwrap().taken, 1, "{name}");
    }
    assert_eq!(kept(folder.path()), ["new", "old"]);
}

#[test]
fn what_is_full_gets_empty_and_a_file_takes_the_place_of_its_like() {
    let folder = tempfile::tempdir().unwrap();
    let _made = desk(folder.path(), 0);
    for (name, days, taken) in [("a", 1, 1), ("a", 2, 1), ("b", 3, 0), ("b", 40, 1)] {
        std::fs::write(folder.path().join("drop").join(name), "four").unwrap();
        let mut small = desk(folder.path(), days * DAY_SECONDS);
        small.allowed.limits.expanded_bytes = 5;
        small.move_out().unwrap();
        assert_eq!(small.copy().unwrap().taken, taken, "{name} on day {days}");
        let _ = std::fs::remove_file(folder.path().join("due"));
    }
    assert_eq!(kept(folder.path()), ["b"]);
}

#[test]
fn no_more_is_moved_than_a_copy_looks_at() {
    let folder = tempfile::tempdir().unwrap();
    let _made = desk(folder.path(), 0);
    for number in 0..DROPPED_MAX - 1 {
        std::fs::write(folder.path().join("leaving").join(number.to_string()), "").unwrap();
    }
    for name in ["x", "y"] {
        std::fs::write(folder.path().join("drop").join(name), "").unwrap();
    }
    assert_eq!(desk(folder.path(), 600).move_out().unwrap().waiting, 1);
    std::fs::write(folder.path().join("leaving/z"), "").unwrap();
    let mut full = desk(folder.path(), 600);
    full.allowed.limits.expanded_bytes = 0;
    full.allowed.limits.entries = 0;
    // One more than is looked at, and no error; each of them is left out.
    assert!(full.copy().unwrap().left_out.len() > NAMED_MAX);
    assert_eq!(full.move_out().unwrap().waiting, 1);
}

#[test]
fn an_upload_that_never_ended_is_named_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let _made = desk(folder.path(), 0);
    std::fs::write(folder.path().join("drop/a.part"), "a").unwrap();
    assert_eq!(desk(folder.path(), 3_600).move_out().unwrap().left_out, []);
    let found = desk(folder.path(), CUT_SECONDS + 60).move_out().unwrap();
    assert_eq!(found.left_out.first().map(|(name, _)| name.as_str()), Some("a.part"));
}

#[test]
fn what_cannot_be_kept_within_the_limits_stays_where_it_is_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let _made = desk(folder.path(), 0);
    std::fs::write(folder.path().join("drop/a"), "four").unwrap();
    let mut small = desk(folder.path(), 600);
    small.move_out().unwrap();
    small.allowed.limits.expanded_bytes = 3;
    assert_eq!(small.copy().unwrap().left_out.len(), 1);
    small.allowed.limits.expanded_bytes = 4;
    small.allowed.limits.free_bytes = 1 << 60;
    assert_eq!(small.copy().unwrap().left_out.len(), 1);
    small.allowed.limits.free_bytes = 0;
    assert_eq!(small.copy().unwrap().taken, 1, "control: it fits");
}
