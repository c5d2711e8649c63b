//! A bit that turned over in any stored object is found by the drill.

use std::time::Instant;

use super::{BUCKET, World, is_long};
use crate::rig;

/// Codes that tell of it. A vault that cannot be reached, or a machine that failed, has found nothing.
const DAMAGED: i32 = 28;
const WRONG_KEY: i32 = 40;
const DECRYPTION: i32 = 42;
const UNSIGNED: i32 = 44;
const FLIPS: usize = 300;
const FLIPS_QUICK: usize = 40;
/// Where the packets of a message are headed: the encrypted session key, and what begins the data.
const HEAD_BYTES: u64 = 128;

/// Numbers that come out the same every time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[test]
fn every_bit_that_turned_over_in_any_stored_object_is_found_by_the_drill() {
    let _turn = rig::turn();
    let world = World::new(65_536, 400_000);
    world.snapshot("one");
    world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
    let objects = world.objects();
    for end in ["/0000.pgp", "/0003.pgp", "/catalogue.pgp", "/ice.json"] {
        assert!(objects.iter().any(|(key, _)| key.ends_with(end)), "{end}: {objects:?}");
    }
    let verified = || world.scratch.verify(super::HOST).unwrap();
    assert_eq!(verified().code, 0, "the control");
    let began = Instant::now();
    let flips = if is_long() { FLIPS } else { FLIPS_QUICK };
    let mut draw = Draw(7);
    let (mut found, mut passed) = (0, Vec::new());
    for number in 0..flips {
        // Each object in turn: its first bits, its last, its head, and anywhere.
        let (key, version) = &objects[number % objects.len()];
        let bytes = world.server.versions(BUCKET, key)[0].size;
        let offset = match number / objects.len() % 4 {
            0 => draw.below(HEAD_BYTES.min(bytes)),
            1 => bytes - 1 - draw.below(HEAD_BYTES.min(bytes)),
            _ => draw.below(bytes),
        };
        let bit = draw.below(8) as u8;
        assert!(world.server.flip_bit(BUCKET, key, version, offset, bit));
        let verified = verified();
        let where_ = || format!("bit {bit} of byte {offset} of {bytes} of {key}: {}", verified.said());
        match verified.code {
            code @ (DAMAGED | DECRYPTION | UNSIGNED) => {
                assert_eq!(world.recorded(&verified), Some(code), "{}", where_());
                found += 1;
            }
            // The name of the key it is sealed to: it could be somebody else's.
            WRONG_KEY if key.ends_with("/catalogue.pgp") => {
                assert_eq!(world.recorded(&verified), None, "{}", where_());
                found += 1;
            }
            _ => passed.push(where_()),
        }
        assert!(world.server.flip_bit(BUCKET, key, version, offset, bit));
    }
    println!("FLIPS: {flips} found {found}, in {} objects, {} s", objects.len(), began.elapsed().as_secs());
    assert!(passed.is_empty(), "{passed:#?}");
    assert_eq!(verified().code, 0, "all are undone");
}
