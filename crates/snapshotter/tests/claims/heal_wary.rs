//! What heals is wary: a damaged manifest takes nothing out of the other snapshots and stops no healing, and what was put aside by mistake comes
//! back.

use std::fs;

use formats::HostId;

use crate::heal::{assert_healed, flip, hash, precious, state, unchanged, world};
use crate::kill::{inject_into, injected, strace};
use crate::pruned::place;
use crate::push::Push;
use crate::world::World;

/// One bit in the manifest of this snapshot, so many bytes before or behind the first hash of the precious content.
fn spoil(world: &World, sequence: usize, place: isize) {
    let name = world.log().snapshots()[sequence - 1].name.to_string();
    let path = world.path(&format!("history/web01/manifests/{name}.manifest"));
    // Plain, and read as such: what is squeezed does not hold one bit for another.
    let mut bytes = zstd::stream::decode_all(fs::read(&path).unwrap().as_slice()).unwrap();
    let hash = hash();
    let at = bytes.windows(32).position(|part| part == hash.as_bytes()).unwrap();
    let size = &bytes[at - 8..at];
    assert_eq!(size, (precious().len() as u64).to_le_bytes());
    bytes[at.checked_add_signed(place).unwrap()] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// What only a damaged manifest names is not lost, and what is lost is healed all the same: once, and not with each push.
#[test]
fn a_damaged_manifest_makes_nothing_wanted_and_keeps_nothing_from_being_healed() {
    let world = world(3);
    // The last byte of a hash: a content that never was.
    spoil(&world, 1, 31);
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    assert!(world.published().wanted.is_empty() && world.log().rotten().is_empty());
    flip(&world, 2, "copy");
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    assert_eq!(world.published().wanted, [hash()]);
    world.seal(4, &unchanged(4, 3).bytes());
    let healed = world.ingest(0);
    assert!(healed.out.contains("healed 1 contents"), "{healed:?}");
    assert!(world.published().wanted.is_empty() && world.log().rotten().is_empty());
    for n in 2..=3 {
        state(n).assert_tree(&world.tree(usize::from(n)));
    }
    // What nobody can prove is left as it is, and asks for nothing.
    let lines = world.log().lines();
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    assert!(world.published().wanted.is_empty() && world.log().lines() == lines);
}

/// A cable, a controller: what could not be read was good, and heals without its host.
#[test]
fn what_was_put_aside_and_has_its_content_after_all_comes_back_without_a_push() {
    let world = world(3);
    flip(&world, 1, "copy");
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    assert_eq!((world.published().wanted, world.tree(1).join("copy").exists()), (vec![hash()], false));
    let aside = fs::read_dir(world.path("history/web01/.rot")).unwrap().next().unwrap().unwrap().path();
    fs::write(aside, precious()).unwrap();
    assert_eq!(world.run(&["verify", "--repair"]).code, 29, "it was still missing when it was read");
    assert_healed(&world, 3, "put aside");
}

/// An inode that the file system has lost, at each place where one is looked at: it is named, and the other hosts are read as ever.
#[test]
fn an_inode_that_cannot_be_looked_at_is_a_lost_file_and_keeps_no_other_from_being_read() {
    let Some(strace) = strace() else {
        println!(
            "SKIPPED: an_inode_that_cannot_be_looked_at_is_a_lost_file_and_keeps_no_other_from_being_read: no strace"
        );
        return;
    };
    let world = world(1);
    world.add("web02");
    let mut push = Push::whole(1, &state(1));
    push.header.host = HostId::parse("web02").unwrap();
    world.seal_for("web02", 1, &push.bytes());
    world.ingest(0);
    let (mut points, mut named) = (0, 0);
    for n in 1.. {
        let how = format!("error=EUCLEAN:when={n}");
        let output = inject_into(&world, &strace, &[], "newfstatat", &how, &["verify"]);
        if !injected(&world) {
            break;
        }
        points += 1;
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("web01/") && said.contains("cannot be looked at") {
            named += 1;
            assert_eq!(output.status.code(), Some(29), "{n}: {output:?}");
            assert!(
                !said.contains("web02/") && !String::from_utf8_lossy(&output.stderr).contains("left out")
            );
        }
    }
    println!("inodes that cannot be looked at: {named} of {points} points");
    assert!(named >= 6, "{named} of {points}");
}

#[test]
fn what_was_found_lost_and_could_not_be_noted_puts_the_host_on_hold() {
    let world = world(2);
    flip(&world, 1, "copy");
    // Without it, who mends cannot begin.
    fs::remove_dir_all(world.path("jails/web01/state")).unwrap();
    let ended = world.run(&["verify", "--repair"]);
    assert!(ended.code == 29 && ended.err.contains("could not be mended"), "{ended:?}");
    let log = world.log();
    assert!(log.rotten().is_empty() && log.hold().unwrap().starts_with("verify found 1 contents lost"));
    let lines = log.lines();
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    assert_eq!(world.log().lines(), lines, "once is enough");
}

#[test]
fn a_size_that_a_damaged_manifest_names_takes_no_good_file_out_of_any_snapshot() {
    let world = world(4);
    spoil(&world, 1, -8);
    let repaired = world.run(&["verify", "--repair"]);
    assert_eq!(repaired.code, 29, "{repaired:?}");
    assert!(repaired.out.contains("copy has another size"), "{repaired:?}");
    for n in 1..=4 {
        state(n).assert_tree(&world.tree(usize::from(n)));
    }
}

/// A reader that is stopped for hours holds up neither the look, nor the push that heals.
#[test]
fn what_somebody_reads_is_healed_all_the_same() {
    let world = world(3);
    let (place, log) = (place(&world), world.log());
    let _reading: Vec<_> = log.snapshots().iter().map(|one| place.read_lock(one).unwrap()).collect();
    flip(&world, 1, "copy");
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    assert_eq!(world.published().wanted, vec![hash()]);
    world.seal(4, &unchanged(4, 3).bytes());
    world.ingest(0);
    for n in 1..=3 {
        state(n).assert_tree(&world.tree(usize::from(n)));
    }
    assert_eq!(world.run(&["verify"]).code, 0);
    assert!(world.published().wanted.is_empty() && world.log().rotten().is_empty());
    assert_eq!(fs::read_dir(world.path("history/web01/.rot")).unwrap().count(), 0, "nothing is kept for it");
}
