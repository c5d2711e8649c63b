//! A redaction: two persons, one line of the log, and a content is gone from every snapshot and every name, and nothing else is.

use std::fs;
use std::os::unix::fs::MetadataExt;

use formats::records::log::Event;
use formats::session::Code;

use crate::heal::{NAMES, flip, hash, precious, state, unchanged, world as three};
use crate::pruned::place;
use crate::push::Push;
use crate::state::{State, file};
use crate::world::{Ended, World, is_root};

pub(crate) const SNAPSHOTS: u8 = 3;

/// Turned on, with a folder of its own.
pub(crate) fn enabled(world: World) -> World {
    let config = fs::read_to_string(&world.config).unwrap();
    let at = |name: &str| world.path(name);
    let more =
        format!("\n[redact]\nenabled = true\nrecords = {:?}\nledger = {:?}\n", at("asked"), at("ledger"));
    fs::write(&world.config, config + &more).unwrap();
    world
}

pub(crate) fn world() -> World {
    enabled(three(SNAPSHOTS))
}

/// Whether the login that this runs under would be the person, whatever the environment says; or nobody here is root.
pub(crate) fn cannot_be_two(claim: &str) -> bool {
    let login = fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let skipped = !is_root() || !["", "4294967295"].contains(&login.trim());
    if skipped {
        println!("SKIPPED: {claim}: only root can be two persons, and only without a login");
    }
    skipped
}

pub(crate) fn by(world: &World, person: &str, words: &[&str]) -> Ended {
    Ended::of(world.command(words).env("SUDO_UID", person))
}

pub(crate) fn request(world: &World, path: &str) -> String {
    let ended =
        by(world, "1001", &["--json", "redact", "request", "web01", path, "--reason", "court order 12"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.report()["details"]["requested"].as_str().unwrap().to_owned()
}

pub(crate) fn approve(world: &World, asked: &str) -> Ended {
    by(world, "1002", &["--json", "redact", "approve", "web01", asked])
}

pub(crate) fn redacted(world: &World, path: &str) {
    let asked = request(world, path);
    let ended = approve(world, &asked);
    assert_eq!(ended.code, 0, "{ended:?}");
}

/// The content is gone from the first snapshots, and all else is as it was.
pub(crate) fn assert_redacted(world: &World, snapshots: u8) {
    for n in 1..=snapshots {
        let tree = world.tree(n.into());
        for name in NAMES {
            let bytes = fs::read(tree.join(name)).unwrap();
            assert!(bytes.len() == precious().len() && bytes.iter().all(|byte| *byte == 0), "{n}: {name}");
            assert_eq!(tree.join(name).metadata().unwrap().blocks(), 0, "its blocks are given back");
        }
        assert_eq!(fs::read(tree.join("own")).unwrap(), vec![n; 5_000]);
        assert_eq!(fs::read(tree.join("same")).unwrap(), b"as ever");
    }
}

#[test]
fn two_persons_take_a_content_from_every_snapshot_and_every_name() {
    if cannot_be_two("two_persons_take_a_content_from_every_snapshot_and_every_name") {
        return;
    }
    let world = world();
    let before = world.picture("history");
    let dry = by(&world, "1001", &["redact", "request", "web01", "d", "--reason", "x", "--dry-run"]);
    assert_eq!((dry.code, world.path("asked").exists()), (0, false), "{dry:?}");
    assert!(dry.out.contains("9 names elsewhere"), "{dry:?}");
    let asked = request(&world, "d/file");
    let told = by(&world, "1002", &["redact", "approve", "web01", &asked, "--dry-run"]);
    assert_eq!(told.code, 0, "{told:?}");
    for says in
        ["12 names in 3 snapshots", "9 names elsewhere", "which ice has it is not known", "court order 12"]
    {
        assert!(told.out.contains(says), "{says}: {told:?}");
    }
    assert_eq!(world.picture("history"), before, "it was only asked for");
    // One person is not two, and root is nobody.
    for person in ["1001", "0"] {
        assert_eq!(by(&world, person, &["redact", "approve", "web01", &asked]).code, 2, "{person}");
    }
    assert_eq!(approve(&world, "2020-01-01T00:00:00Z").code, 2, "something else than was seen");
    assert_eq!(world.picture("history"), before, "nobody approved it");
    let ended = approve(&world, &asked);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_redacted(&world, SNAPSHOTS);
    let Some(Event::Redact(line)) =
        place(&world).log_reader().unwrap().unwrap().map(|raw| raw.unwrap().line.event).last()
    else {
        panic!("the last line is the redaction");
    };
    assert_eq!(
        (line.requested_by.user, line.approved_by.user, line.names, line.snapshots),
        (1001, 1002, 12, 3)
    );
    assert_eq!((&*line.reason, line.contents[0].content), ("court order 12", hash()));
    let signed = world.run(&["verify", "--log"]);
    assert_eq!(signed.code, 0, "{signed:?}");
    let verified = world.run(&["--json", "verify"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let counts = &verified.report()["counts"];
    assert_eq!(
        (counts["redacted_names"].as_u64(), counts["redacted_contents"].as_u64()),
        (Some(12), Some(1))
    );
    assert_eq!(approve(&world, &asked).code, 2, "it is done, and nothing is asked for any more");
    assert!(world.run(&["redact", "list"]).out.contains(&format!("redacted {}", hash())));
}

#[test]
fn redactions_are_off_unless_somebody_turns_them_on() {
    let world = three(1);
    let words = ["redact", "request", "web01", "own", "--reason", "x"];
    let off = world.run(&words);
    assert!(off.code == 2 && (off.err.contains("[redact]") || !is_root()), "{off:?}");
    let world = enabled(world);
    assert_eq!(world.run(&["redact", "request", "web01", "/", "--reason", "x"]).code, 2, "not all of a host");
    assert_eq!(world.run(&["redact", "request", "web01", "--reason", "x"]).code, 2, "nothing is named");
    assert_eq!(world.run(&["redact", "request", "web01", "own"]).code, 2, "without a reason");
}

#[test]
fn nothing_hands_zeros_out_as_if_they_were_a_content() {
    if cannot_be_two("nothing_hands_zeros_out_as_if_they_were_a_content") {
        return;
    }
    let world = world();
    redacted(&world, "one");
    let to = world.path("to");
    let restored = world.run(&["restore", "web01", "latest", "--to", to.to_str().unwrap()]);
    assert_eq!(restored.code, 3, "{restored:?}");
    assert!(restored.err.matches("it was redacted at").count() >= 4, "{restored:?}");
    assert!(NAMES.iter().all(|name| !to.join(name).exists()) && to.join("own").exists());
    let tar = world.run(&["restore", "web01", "latest", "--tar"]);
    assert!(tar.code == 3 && tar.out.len() < 100_000, "{} {}", tar.code, tar.out.len());
    let shown = world.run(&["show", "web01", "latest", "--entries"]);
    assert_eq!(
        shown.out.matches("(redacted)").count(),
        3,
        "a later name of an inode is shown as such: {shown:?}"
    );
    let found = world.run(&["find", "copy"]);
    assert!(found.out.contains("(redacted)"), "{found:?}");
    // What a push brings anew is new, and told apart.
    world.seal(9, &unchanged(9, SNAPSHOTS).bytes());
    world.ingest(0);
    let to = world.path("again");
    assert_eq!(world.run(&["restore", "web01", "latest", "--to", to.to_str().unwrap()]).code, 0);
    assert!(NAMES.iter().all(|name| fs::read(to.join(name)).unwrap() == precious()));
    let names: Vec<String> = world.log().snapshots().iter().map(|one| one.name.to_string()).collect();
    let differs = world.run(&["diff", "web01", &names[2], &names[3], "copy"]);
    assert!(differs.out.contains("redacted in A") && !differs.out.contains("redacted in B"), "{differs:?}");
    assert_redacted(&world, SNAPSHOTS);
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn no_push_builds_on_what_was_redacted_and_what_it_brings_is_new() {
    if cannot_be_two("no_push_builds_on_what_was_redacted_and_what_it_brings_is_new") {
        return;
    }
    let world = world();
    let holdings = || fs::read(world.path("jails/web01/state/holdings")).unwrap();
    let is_held = |bytes: &[u8]| bytes.windows(32).any(|window| window == hash().as_bytes());
    assert!(is_held(&holdings()));
    redacted(&world, "copy");
    assert!(!is_held(&holdings()), "offers of it are not answered with yes");
    assert_eq!(world.published().wanted, [hash()], "whoever counts on it has to bring it");
    // By path, moved, and as part of a new content.
    let moved = state(3).with("moved", file(precious()));
    for (n, push) in [(4, Push::delta(4, &state(3), &state(4))), (5, Push::delta(5, &state(3), &moved))] {
        let push = Push { contents: vec![vec![4; 5_000]], ..push };
        world.seal(n.into(), &push.bytes());
        world.ingest(0);
        world.assert_rejected(n, Code::MissingContent);
    }
    let without = NAMES.iter().fold(state(3), |state, name| state.without(name));
    world.seal(6, &Push::delta(6, &state(3), &without).bytes());
    world.ingest(0);
    assert!(
        world.verdict(6).is_some_and(|verdict| format!("{verdict:?}").contains("Accepted")),
        "deleted on the host"
    );
    assert!(world.published().wanted.is_empty(), "the base does not count on it any more");
    world.seal(7, &Push { contents: vec![precious()], ..Push::delta(7, &without, &state(3)) }.bytes());
    world.ingest(0);
    state(3).assert_tree(&world.tree(5));
    assert_redacted(&world, SNAPSHOTS);
    let verified = world.run(&["verify", "--repair"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    assert_redacted(&world, SNAPSHOTS);
    // The new one rots and heals, and the old names stay as they are.
    flip(&world, 5, "copy");
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    assert_eq!(world.published().wanted, [hash()]);
    world.seal(8, &unchanged(8, SNAPSHOTS).bytes());
    world.ingest(0);
    state(3).assert_tree(&world.tree(5));
    assert_redacted(&world, SNAPSHOTS);
    assert_eq!(world.run(&["verify"]).code, 0);
    // Redacted once more, it is gone from the new ones, too.
    redacted(&world, "copy");
    assert_redacted(&world, SNAPSHOTS);
    assert!(fs::read(world.tree(6).join("copy")).unwrap().iter().all(|byte| *byte == 0));
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn only_zeros_pass_for_what_was_redacted_and_only_for_that() {
    if cannot_be_two("only_zeros_pass_for_what_was_redacted_and_only_for_that") {
        return;
    }
    let world = world();
    redacted(&world, "copy");
    let path = world.tree(2).join("copy");
    let zeros = fs::read(&path).unwrap();
    let mut one = zeros.clone();
    one[zeros.len() - 1] = 1;
    for bad in [precious(), one, zeros[1..].to_vec(), Vec::new(), [&zeros[..], &[0]].concat()] {
        fs::write(&path, bad).unwrap();
        let ended = world.run(&["verify"]);
        assert!(ended.code == 29 && ended.out.contains("was redacted, and is not zeros"), "{ended:?}");
    }
    fs::write(&path, &zeros).unwrap();
    assert_eq!(world.run(&["verify"]).code, 0);
    fs::write(world.tree(2).join("same"), [0; 7]).unwrap();
    assert_eq!(world.run(&["verify"]).code, 29, "zeros of what nobody redacted");
}

#[test]
fn what_stands_before_it_keeps_everything() {
    if cannot_be_two("what_stands_before_it_keeps_everything") {
        return;
    }
    let refused = |world: &World, says: &str| {
        let asked = request(world, "copy");
        let before = world.picture("history");
        let ended = approve(world, &asked);
        assert!(ended.code == 2 && ended.err.contains(says), "{says}: {ended:?}");
        assert_eq!(world.picture("history"), before, "{says}");
        assert_eq!(by(world, "1002", &["redact", "withdraw", "web01"]).code, 0);
    };
    let world = world();
    let newest = world.log().snapshots()[2].name.to_string();
    for target in ["web01".to_owned(), format!("web01/{newest}")] {
        assert_eq!(world.run(&["hold", &target, "--reason", "case 4711"]).code, 0);
        refused(&world, "on hold: case 4711");
        assert_eq!(world.run(&["release", &target, "--reason", "over"]).code, 0);
    }
    let pushed = world.seal(8, &unchanged(8, SNAPSHOTS).bytes());
    refused(&world, "waits for its verdict");
    fs::remove_file(pushed).unwrap();
    let trash = world.path("history/web01/.trash");
    fs::create_dir_all(trash.join("20200101T000000Z-0000000001")).unwrap();
    refused(&world, "not off the disk yet");
    fs::remove_dir_all(&trash).unwrap();
    let good = fs::read(world.tree(1).join("copy")).unwrap();
    flip(&world, 1, "copy");
    refused(&world, "is not what its manifest says");
    fs::write(world.tree(1).join("copy"), good).unwrap();
    redacted(&world, "copy");
    assert_redacted(&world, SNAPSHOTS);
}

#[test]
fn what_has_rotted_and_lies_aside_goes_too() {
    if cannot_be_two("what_has_rotted_and_lies_aside_goes_too") {
        return;
    }
    let world = world();
    flip(&world, 1, "copy");
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    let rot = world.path("history/web01/.rot");
    assert_eq!(fs::read_dir(&rot).unwrap().count(), 1, "a wrong bit, and all the rest");
    redacted(&world, "copy");
    assert_eq!(fs::read_dir(&rot).unwrap().count(), 0);
    assert_redacted(&world, SNAPSHOTS);
    assert!(world.log().rotten().is_empty());
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn a_link_in_the_place_of_a_file_leads_nowhere() {
    if cannot_be_two("a_link_in_the_place_of_a_file_leads_nowhere") {
        return;
    }
    let world = world();
    let (outside, name) = (world.path("outside"), world.tree(2).join("copy"));
    fs::write(&outside, precious()).unwrap();
    fs::remove_file(&name).unwrap();
    std::os::unix::fs::symlink(&outside, &name).unwrap();
    let asked = request(&world, "one");
    assert_ne!(approve(&world, &asked).code, 0);
    assert_eq!(fs::read(&outside).unwrap(), precious());
    // And a name whose folder leads out.
    fs::remove_file(&name).unwrap();
    fs::hard_link(world.tree(2).join("one"), &name).unwrap();
    let folder = world.tree(2).join("d");
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(world.path("elsewhere")).unwrap();
    fs::write(world.path("elsewhere/file"), precious()).unwrap();
    std::os::unix::fs::symlink(world.path("elsewhere"), &folder).unwrap();
    assert_ne!(approve(&world, &asked).code, 0);
    assert_eq!(fs::read(world.path("elsewhere/file")).unwrap(), precious());
}

/// A host whose history is asked for gets no other's; one that has the same content keeps it.
#[test]
fn the_same_content_of_another_host_stays() {
    if cannot_be_two("the_same_content_of_another_host_stays") {
        return;
    }
    let world = world();
    world.add("web02");
    let mut push = Push::whole(1, &State::of([("theirs", file(precious()))]));
    push.header.host = formats::HostId::parse("web02").unwrap();
    world.seal_for("web02", 1, &push.bytes());
    world.ingest(0);
    redacted(&world, "copy");
    let log = world.log_of("web02");
    let tree = world.path("history/web02").join(log.snapshots()[0].name.as_str()).join("tree");
    assert_eq!(fs::read(tree.join("theirs")).unwrap(), precious());
    assert!(log.redacted().is_empty());
}
