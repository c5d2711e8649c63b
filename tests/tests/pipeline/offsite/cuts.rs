//! The network breaks in the middle of every part, after every call that stores, and in the middle of every object on its way back.

use chrono::Utc;
use fake_s3::{Fault, Times};

use super::{World, is_long};
use crate::rig;

/// Three parts each, of at most 5 MiB.
const SEGMENT_BYTES: u64 = 11 << 20;
/// Of which an image keeps half.
const FILE_BYTES: u64 = 46 << 20;

/// Every how many chances one is struck, when not all are.
const EVERY: usize = 4;

impl World {
    /// What holds after a run that has ended well. `stale` uploads wait for a later run, or the bucket's own rule, to end them.
    fn check_whole(&self, after: &str, stale: usize) {
        let line = self.ledger().pop().unwrap();
        let receipts = line["receipts"].as_array().unwrap();
        let objects = self.objects();
        assert_eq!(receipts.len(), objects.len(), "{after}: {objects:?}");
        for receipt in receipts {
            let named = (receipt["object"].as_str().unwrap(), receipt["version"].as_str().unwrap());
            assert!(
                objects.iter().any(|(key, version)| (key.as_str(), version.as_str()) == named),
                "{after}: {named:?}"
            );
            let version = &self.server.versions(super::BUCKET, named.0)[0];
            assert_eq!(Some(version.size), receipt["bytes"].as_u64(), "{after}");
            assert!(version.retention.is_some(), "{after}: {version:?}");
        }
        assert_eq!(self.server.uploads(super::BUCKET).len(), stale, "{after}");
        // Read back by who knows the hash of all of it.
        self.scratch.verify(super::HOST).unwrap().expect_code(&[0]).unwrap();
    }
}

/// The chances of a fault that are tried.
fn chances(all: usize) -> impl Iterator<Item = u64> {
    (0..all as u64).step_by(if is_long() { 1 } else { EVERY })
}

#[test]
fn an_upload_that_is_cut_in_any_part_or_before_any_answer_is_completed() {
    let _turn = rig::turn();
    let world = World::new(SEGMENT_BYTES, FILE_BYTES);
    world.snapshot("one");
    // The control, which counts the chances.
    world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
    world.check_whole("no cut", 0);
    let creations = world.asked("CreateMultipartUpload");
    let parts = world.asked("UploadPart");
    let answers = world.asked("PutObject") + world.asked("CompleteMultipartUpload");
    assert!(creations >= 2 && parts >= 5 && answers >= 5, "{creations} {parts} {answers}");
    let (mut cuts, mut repeated) = (0, 0);
    for (fault, all) in
        [(Fault::CutPart, parts), (Fault::CutAnswer, answers), (Fault::CutCreation, creations)]
    {
        for chance in chances(all) {
            world.lay();
            let struck = world.server.hits(fault);
            world.server.arm(fault, Times::After(chance));
            let first = world.scratch.ice().unwrap();
            assert_eq!(world.server.hits(fault), struck + 1, "{fault:?} {chance} did not strike");
            cuts += 1;
            if first.code != 0 {
                assert_eq!(first.code, 30, "{fault:?} {chance}: {}", first.said());
                world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
                repeated += 1;
            }
            // Nobody was told the name of an upload whose creation was not answered.
            let nameless = usize::from(fault == Fault::CutCreation);
            world.check_whole(&format!("{fault:?} {chance}"), nameless);
            if nameless == 1 {
                assert!(world.server.uploads(super::BUCKET)[0].parts.is_empty(), "nothing was sent to it");
                world.server.advance_days(8);
                world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
                assert!(world.server.uploads(super::BUCKET).is_empty(), "a later run ends it");
                world.server.clock().set(Utc::now());
            }
        }
    }
    println!("CUTS: {cuts}, of which {repeated} needed a second run");
    // Its retries take most of a minute.
    if is_long() {
        ends_where_every_part_is_cut(&world);
    }
}

/// And the next run finds a better line.
fn ends_where_every_part_is_cut(world: &World) {
    world.lay();
    world.server.arm(Fault::CutPart, Times::Always);
    let ended = world.scratch.ice().unwrap();
    assert_eq!(ended.code, 30, "{}", ended.said());
    world.server.disarm(Fault::CutPart);
    world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
    world.check_whole("a run that ended with 30", 0);
    println!("CUTS: ever cut: code 30, and the next run completed");
}

#[test]
fn a_drill_whose_objects_are_cut_goes_on_or_refuses_and_proves_nothing_that_is_not_whole() {
    let _turn = rig::turn();
    let world = World::new(1 << 20, 8 << 20);
    world.snapshot("one");
    world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
    world.server.forget_requests();
    world.scratch.verify(super::HOST).unwrap().expect_code(&[0]).unwrap();
    let gets = world.asked("GetObject");
    assert!(gets >= world.objects().len(), "{gets} {:?}", world.objects());
    let mut cuts = 0;
    for chance in chances(gets) {
        let struck = world.server.hits(Fault::CutGet);
        world.server.arm(Fault::CutGet, Times::After(chance));
        world.server.forget_requests();
        let verified = world.scratch.verify(super::HOST).unwrap();
        assert_eq!(world.server.hits(Fault::CutGet), struck + 1, "{chance} did not strike");
        assert_eq!(verified.code, 0, "{chance}: {}", verified.said());
        assert_eq!(world.recorded(&verified), Some(0), "{chance}");
        cuts += 1;
    }
    println!("CUTS: {cuts} of {gets} reads, all resumed");
    // A line that breaks every time, from the first read on or from one of a segment, proves nothing and says nothing of the ice.
    for before in [0, gets as u64 / 2] {
        world.server.arm(Fault::CutGet, Times::From(before));
        let verified = world.scratch.verify(super::HOST).unwrap();
        world.server.disarm(Fault::CutGet);
        assert_eq!(verified.code, 30, "{before}: {}", verified.said());
        assert_eq!(world.recorded(&verified), None, "{before}: {}", verified.said());
        assert_eq!(verified.stderr.contains(".pgp"), before > 0, "{before}: {}", verified.said());
        println!("CUTS: ever cut after {before} reads: code 30, no record");
    }
    // The second of them had some segments: the next goes on there.
    let verified = world.scratch.verify(super::HOST).unwrap();
    assert_eq!(world.recorded(&verified), Some(0), "{}", verified.said());
    let kept = verified.report().unwrap()["counts"]["kept_segments"].as_u64().unwrap();
    assert!(kept > 1, "{}", verified.said());
}
