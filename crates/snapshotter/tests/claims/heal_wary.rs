//! What heals is wary: a damaged manifest takes nothing out of the other snapshots and stops no healing, and what was put aside by mistake comes back.

use std::fs;

use crate::heal::{hash, precious, state, world};
use crate::world::World;

/// One bit in the manifest of this snapshot, so many bytes before or behind the first hash of the precious content.
fn spoil(world: &World, sequence: usize, place: isize) {
    let name = &world.log().snapshots()[sequence - 1].name;
    let path = world.path(&format!("history/web01/manifests/{name}.manifest"));
    let mut bytes = fs::read(&path).unwrap();
    let hash = hash();
    let at = bytes.windows(32).position(|part| part == hash.as_bytes()).unwrap();
    let size = &bytes[at - 8..at];
    assert_eq!(size, (precious().len() as u64).to_le_bytes());
    bytes[at.checked_add_signed(place).unwrap()] ^= 1;
    fs::write(path, bytes).unwrap();
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
