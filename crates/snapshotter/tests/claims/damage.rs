//! A push file cut short or with a flipped bit: refused, or of the same result; never a panic, never a trace.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use formats::PushId;

use crate::push::Push;
use crate::state::file;
use crate::stories::first;
use crate::world::World;

/// Names, inodes and bytes of a tree: any change of it changes this.
pub(crate) fn shape(folder: &Path) -> Vec<(PathBuf, u64, u32, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        let bytes = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.push((path.clone(), meta.ino(), meta.mode(), bytes));
        if meta.is_dir() {
            found.extend(shape(&path));
        }
    }
    found.sort();
    found
}

/// A good push with an id of its own: what is judged twice is not looked at twice.
fn push(n: usize) -> Vec<u8> {
    let new = first().with("etc/new", file(vec![3; 5_000])).without("etc-");
    let mut push = Push::delta(2, &first(), &new);
    let mut id = [0xdd; 16];
    id[..8].copy_from_slice(&(n as u64).to_le_bytes());
    push.header.push = PushId::from_bytes(id);
    push.bytes()
}

/// Seals damaged pushes, one for each place, and ingests them in one run.
fn judge_all(places: Vec<usize>, damage: impl Fn(usize, Vec<u8>) -> Vec<u8>) -> World {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let count = places.len();
    for (n, place) in places.into_iter().enumerate() {
        world.seal(10 + n as u64, &damage(place, push(n)));
    }
    let ended = world.ingest(0);
    let rejected = ended.out.lines().filter(|line| line.contains(" rejected: ")).count();
    assert_eq!((world.sealed(), rejected), (0, count), "some were not looked at, or not refused");
    assert_eq!(world.log().snapshots().len(), 1);
    assert_eq!(world.run(&["verify"]).code, 0);
    world
}

#[test]
fn a_push_cut_short_at_any_byte_is_refused() {
    let length = push(0).len();
    judge_all((0..length).collect(), |place, bytes| bytes[..place].to_vec());
    println!("cuts refused: {length}");
    assert!(length >= 100);
}

#[test]
fn a_push_with_a_bit_flipped_in_any_byte_is_refused() {
    let length = push(0).len();
    judge_all((0..length).collect(), |place, mut bytes| {
        bytes[place] ^= 1 << (place % 8);
        bytes
    });
    println!("flips refused: {length}");
}
