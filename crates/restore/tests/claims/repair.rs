//! What a repair of a hand copy sets, and what it leaves alone.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use cli::Task;
use formats::Kind;
use restore::{Powers, Repair, Repaired, Selection};

use crate::tree::{Tree, extended, path, run};

fn tree() -> Tree {
    let mut tree = Tree::default();
    tree.folder("etc");
    tree.folder("etc/app").mode = 0o2710;
    tree.file("etc/app/one", b"first").mode = 0o600;
    tree.file("etc/app/two", b"second").attributes = vec![extended("user.mine", b"1")];
    tree.add("etc/app/link", Kind::Symlink { target: b"one".to_vec() }, 0o777).mtime.seconds = 5;
    tree.folder("etc/app/sub").mtime.nanos = 7;
    tree.file("etc/app/sub/three", b"third");
    tree
}

/// As `cp -r` would have brought it.
fn copy(to: &Path) {
    fs::create_dir(to).unwrap();
    fs::write(to.join("one"), "first").unwrap();
    fs::write(to.join("two"), "second").unwrap();
    symlink("one", to.join("link")).unwrap();
    fs::create_dir(to.join("sub")).unwrap();
    fs::write(to.join("sub/three"), "third").unwrap();
}

fn repair(tree: &Tree, selection: Selection, at: &Path) -> (Repaired, u64) {
    let mut run = run();
    let mut repair = Repair::new(&mut run, Repair::hold(at).unwrap(), at, tree.survey(selection));
    for entry in tree.entries.values() {
        repair.entry(entry, &Task::silent()).unwrap();
    }
    repair.finish(&Task::silent()).unwrap();
    let counts = repair.counts;
    (counts, run.report().left_out())
}

fn app() -> Selection {
    Selection::Beneath(path("etc/app"))
}

#[test]
fn a_hand_copy_gets_back_what_the_manifest_says() {
    let scratch = tempfile::tempdir().unwrap();
    let (by_hand, placed) = (scratch.path().join("by-hand"), scratch.path().join("placed"));
    copy(&by_hand);
    fs::write(by_hand.join("stranger"), "mine").unwrap();
    rustix::fs::setxattr(by_hand.join("one"), "user.got-here", b"x", rustix::fs::XattrFlags::empty())
        .unwrap();
    let (counts, left_out) = repair(&tree(), app(), &by_hand);
    assert_eq!((counts, left_out), (Repaired { repaired: 6, missing: 0, differing: 0 }, 0));
    tree().restore(&placed, Powers::Withheld);
    for name in ["", "one", "two", "link", "sub", "sub/three"] {
        let facts = |at: &Path| {
            let stat = fs::symlink_metadata(at).unwrap();
            (stat.mode(), stat.uid(), stat.mtime(), stat.mtime_nsec())
        };
        assert_eq!(facts(&by_hand.join(name)), facts(&placed.join("etc/app").join(name)), "{name}");
    }
    let has = |name: &str, attribute: &str| {
        rustix::fs::lgetxattr(by_hand.join(name), attribute, [0u8; 8].as_mut_slice()).is_ok()
    };
    assert!(has("two", "user.mine") && !has("one", "user.got-here"));
    assert_eq!(fs::read(by_hand.join("stranger")).unwrap(), b"mine");
}

#[test]
fn what_is_missing_or_differs_is_named_and_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let by_hand = scratch.path().join("by-hand");
    copy(&by_hand);
    fs::write(by_hand.join("one"), "changed").unwrap();
    fs::set_permissions(by_hand.join("one"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_dir_all(by_hand.join("sub")).unwrap();
    fs::remove_file(by_hand.join("link")).unwrap();
    symlink("two", by_hand.join("link")).unwrap();
    let (counts, left_out) = repair(&tree(), app(), &by_hand);
    assert_eq!((counts, left_out), (Repaired { repaired: 2, missing: 1, differing: 2 }, 3));
    assert_eq!(fs::metadata(by_hand.join("one")).unwrap().mode() & 0o7777, 0o644);
    assert_eq!(fs::read(by_hand.join("one")).unwrap(), b"changed");
}

#[test]
fn what_has_names_elsewhere_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let (by_hand, history) = (scratch.path().join("by-hand"), scratch.path().join("history"));
    copy(&history);
    fs::create_dir(&by_hand).unwrap();
    // As after `cp -l`.
    fs::hard_link(history.join("one"), by_hand.join("one")).unwrap();
    fs::write(by_hand.join("two"), "second").unwrap();
    let before = fs::metadata(history.join("one")).unwrap();
    let (counts, _) = repair(&tree(), app(), &by_hand);
    assert_eq!((counts.repaired, counts.differing), (2, 1));
    let after = fs::metadata(history.join("one")).unwrap();
    assert_eq!((after.mode(), after.mtime_nsec()), (before.mode(), before.mtime_nsec()));
}

#[test]
fn a_link_in_place_of_a_folder_or_a_file_is_not_followed() {
    let scratch = tempfile::tempdir().unwrap();
    let (by_hand, outside) = (scratch.path().join("by-hand"), scratch.path().join("outside"));
    copy(&outside);
    fs::create_dir(&by_hand).unwrap();
    symlink(outside.join("one"), by_hand.join("one")).unwrap();
    symlink(outside.join("sub"), by_hand.join("sub")).unwrap();
    let mode = |name: &str| fs::metadata(outside.join(name)).unwrap().mode();
    let before = [mode("one"), mode("sub"), mode("sub/three")];
    let (counts, _) = repair(&tree(), app(), &by_hand);
    assert_eq!((counts.repaired, counts.differing, counts.missing), (1, 2, 2));
    assert_eq!([mode("one"), mode("sub"), mode("sub/three")], before);
}

#[test]
fn a_single_file_is_repaired_in_the_folder_that_holds_it() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("one"), "first").unwrap();
    let single = Selection::Beneath(path("etc/app/one"));
    let (counts, left_out) = repair(&tree(), single, scratch.path());
    assert_eq!((counts.repaired, left_out), (1, 0));
    assert_eq!(fs::metadata(scratch.path().join("one")).unwrap().mode() & 0o7777, 0o600);
}

/// What a group of three names in a manifest allows.
fn group() -> Tree {
    let mut tree = Tree::default();
    tree.file("a", b"same").mode = 0o600;
    tree.link("b", "a");
    tree.link("c", "a");
    tree.file("d", b"same").mode = 0o604;
    tree
}

#[test]
fn a_host_that_says_many_names_opens_no_file_elsewhere() {
    let scratch = tempfile::tempdir().unwrap();
    let (by_hand, elsewhere) = (scratch.path().join("by-hand"), scratch.path().join("elsewhere"));
    fs::create_dir(&by_hand).unwrap();
    fs::write(&elsewhere, "same").unwrap();
    let before = fs::metadata(&elsewhere).unwrap().mode();
    // Fewer names than the manifest has, and one of them is not in the copy.
    fs::hard_link(&elsewhere, by_hand.join("a")).unwrap();
    let (counts, _) = repair(&group(), Selection::All, &by_hand);
    assert_eq!((counts.repaired, counts.differing, counts.missing), (0, 1, 3));
    fs::hard_link(&elsewhere, by_hand.join("b")).unwrap();
    let (counts, _) = repair(&group(), Selection::All, &by_hand);
    assert_eq!((counts.repaired, counts.differing, counts.missing), (0, 2, 2));
    assert_eq!(fs::metadata(&elsewhere).unwrap().mode(), before);
    // The control: without the name elsewhere both are repaired.
    fs::remove_file(&elsewhere).unwrap();
    let (counts, _) = repair(&group(), Selection::All, &by_hand);
    assert_eq!((counts.repaired, counts.differing, counts.missing), (2, 0, 2));
    assert_eq!(fs::metadata(by_hand.join("b")).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn one_file_with_names_of_two_groups_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("a"), "same").unwrap();
    fs::hard_link(scratch.path().join("a"), scratch.path().join("d")).unwrap();
    let before = fs::metadata(scratch.path().join("a")).unwrap().mode();
    let (counts, _) = repair(&group(), Selection::All, scratch.path());
    assert_eq!((counts.repaired, counts.differing, counts.missing), (0, 2, 2));
    assert_eq!(fs::metadata(scratch.path().join("a")).unwrap().mode(), before);
}

#[test]
fn a_repair_hands_out_no_powers() {
    let mut tree = Tree::default();
    tree.file("a", b"power").mode = 0o6755;
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("a"), "power").unwrap();
    let (counts, left_out) = repair(&tree, Selection::All, scratch.path());
    assert_eq!((counts.repaired, left_out), (1, 1));
    assert_eq!(fs::metadata(scratch.path().join("a")).unwrap().mode() & 0o7777, 0o755);
}
