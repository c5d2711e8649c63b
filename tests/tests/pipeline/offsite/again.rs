//! What a second run uploads when the host has hardly changed, with images as they are really written.

use pipeline_tests::data;

use super::{BUCKET, HOST, World};
use crate::rig;

const SEGMENT_BYTES: u64 = 1 << 20;
const FILE_BYTES: u64 = 40 << 20;

impl World {
    /// Bytes of the newest ice, and how many of them lie in its own folder.
    fn newest(&self) -> (u64, u64) {
        let records = self.objects().into_iter().filter(|(key, _)| key.ends_with("/ice.json"));
        let (key, version) = records.max().unwrap();
        let record = self.server.data(BUCKET, &key, &version).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        let own = format!("ice/{}/", record["ice"].as_str().unwrap());
        let segments = record["segments"].as_array().unwrap();
        let bytes = |is_own: bool| -> u64 {
            let those =
                segments.iter().filter(|one| one["object"].as_str().unwrap().starts_with(&own) == is_own);
            those.map(|one| one["bytes"].as_u64().unwrap()).sum()
        };
        (bytes(true) + bytes(false), bytes(true))
    }
}

/// Per cent of the second ice that was uploaded, after one small file has changed.
fn share(name: &str, small_files: u64) -> u64 {
    let world = World::new(SEGMENT_BYTES, FILE_BYTES);
    data::write_small_files(&world.host.roots[0].join("many"), 7, small_files, 40).unwrap();
    world.snapshot("one");
    world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
    let (all, own) = world.newest();
    assert_eq!(all, own, "the first ice is all its own");
    world.snapshot("two, and no longer than that");
    world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
    let (all, own) = world.newest();
    let share = own * 100 / all;
    println!("AGAIN: {name}: {own} of {all} bytes uploaded, {share} %");
    world.scratch.verify(HOST).unwrap().expect_code(&[0]).unwrap();
    // Nothing has changed: nothing is uploaded.
    world.server.forget_requests();
    world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
    assert_eq!(world.asked("PutObject") + world.asked("CreateMultipartUpload"), 0);
    share
}

/// Blocks are written in the order of paths, and manifests come first. A short manifest and short files are gathered in fragments, which move nothing; a long
/// manifest has blocks of its own, and where those come out longer or shorter, all that follows moves.
#[test]
fn a_second_run_uploads_little_where_the_manifest_is_short_and_is_whole_where_it_is_long() {
    let _turn = rig::turn();
    assert!(share("few files", 10) <= 12);
    assert!(share("many files", 4_000) <= 100);
}
