//! On a file system whose files can share blocks, a changed file shares those that stayed with its base.

use std::path::Path;

use formats::ContentHash;
use formats::push::Record;

use crate::copies::every_edit_comes_out_right;
use crate::disk::Disk;
use crate::push::Push;
use crate::state::{State, file, path};
use crate::world::World;

fn on_a_disk(test: &str, run: impl FnOnce(&Disk, &Path)) {
    match Disk::new("btrfs", &[]) {
        Ok(disk) => run(&disk, &disk.mounted),
        Err(why) => println!("SKIPPED: {test}: {why}"),
    }
}

#[test]
fn whatever_was_changed_comes_out_right_on_top_of_a_clone() {
    on_a_disk("whatever_was_changed_comes_out_right_on_top_of_a_clone", |_, place| {
        every_edit_comes_out_right(|| World::at(place, ""));
    });
}

const LENGTH: usize = 60_000_000;

fn bytes() -> Vec<u8> {
    (0..LENGTH as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn copy(offset: usize, length: usize) -> Record<'static> {
    Record::Copy { offset: offset as u64, length: length as u64 }
}

/// How much of a disk a file takes that is its base and two bytes, if so much may be expanded and so many clones came to nothing before.
fn taken_after(disk: &Disk, place: &Path, clones: usize, expanded_bytes: usize) -> u64 {
    let folder = place.join(clones.to_string());
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let world = World::at(&folder, &format!("expanded_bytes = {expanded_bytes}\n"));
    let old = bytes();
    let before = State::of([("big", file(&old))]);
    world.seal(1, &Push::whole(1, &before).bytes());
    world.ingest(0);
    let used = disk.used_bytes();
    let new = [&old, b"x\n".as_slice()].concat();
    let after = before.with("big", file(&new));
    let mut made_by = Vec::new();
    for _ in 0..clones {
        made_by.extend([Record::From(path("big")), Record::Drop]);
    }
    let end = Record::End { size: new.len() as u64, hash: ContentHash::of(&new) };
    made_by.extend([Record::From(path("big")), copy(0, LENGTH), Record::Data(b"x\n"), end]);
    let mut push = Push::delta(2, &before, &after);
    push.contents.clear();
    world.seal(2, &push.made_by(&made_by).bytes());
    world.ingest(0);
    after.assert_tree(&world.tree(2));
    assert_eq!(world.log().latest().unwrap().new_bytes, new.len() as u64, "charged as if it were no clone");
    disk.used_bytes().saturating_sub(used)
}

#[test]
fn a_push_clones_no_more_than_it_may_expand_to() {
    on_a_disk("a_push_clones_no_more_than_it_may_expand_to", |disk, place| {
        let within = taken_after(disk, place, 2, 3 * LENGTH);
        let beyond = taken_after(disk, place, 3, 3 * LENGTH);
        println!("{within} bytes taken after two clones, {beyond} after three");
        assert!(within < 5_000_000 && beyond >= LENGTH as u64);
    });
}

#[test]
fn a_change_in_place_takes_the_room_of_what_is_new() {
    on_a_disk("a_change_in_place_takes_the_room_of_what_is_new", |disk, place| {
        let world = World::at(place, "");
        let old = bytes();
        let before = State::of([("big", file(&old))]);
        world.seal(1, &Push::whole(1, &before).bytes());
        world.ingest(0);
        let used = disk.used_bytes();
        let mut new = old.clone();
        new[30_000_000..30_000_004].copy_from_slice(b"EDIT");
        let after = before.with("big", file(&new));
        let made_by = [
            Record::From(path("big")),
            copy(0, 30_000_000),
            Record::Data(b"EDIT"),
            copy(30_000_004, LENGTH - 30_000_004),
            Record::End { size: LENGTH as u64, hash: ContentHash::of(&new) },
        ];
        let mut push = Push::delta(2, &before, &after);
        push.contents.clear();
        world.seal(2, &push.made_by(&made_by).bytes());
        world.ingest(0);
        after.assert_tree(&world.tree(2));
        before.assert_tree(&world.tree(1));
        let more = disk.used_bytes().saturating_sub(used);
        println!("4 bytes of {LENGTH} changed: {more} bytes more are used");
        assert!(more < 5_000_000, "{more} bytes more");
    });
}
