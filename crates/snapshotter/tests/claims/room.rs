//! What an ingest leaves of a file system that others need, too.

use crate::disk::Disk;
use crate::push::Push;
use crate::state::{State, file, path};
use crate::stories::accepted;
use crate::world::World;

const NO_ROOM: i32 = 11;
const INODES: &str = "20000";

/// So many files, each with a content of its own.
fn files(count: usize) -> State {
    State((0..count).map(|n| (path(&format!("{n:06}")), file(n.to_string()))).collect())
}

fn set(world: &World, free_inodes: u64) {
    let text = std::fs::read_to_string(&world.config).unwrap();
    let kept = text.lines().filter(|line| !line.starts_with("free_inodes")).collect::<Vec<_>>().join("\n");
    std::fs::write(&world.config, format!("{kept}\nfree_inodes = {free_inodes}\n")).unwrap();
}

#[test]
fn an_ingest_stops_before_it_uses_up_the_last_inodes() {
    let disk = match Disk::new("ext4", &["-N", INODES]) {
        Ok(disk) => disk,
        Err(why) => return println!("SKIPPED: an_ingest_stops_before_it_uses_up_the_last_inodes: {why}"),
    };
    let world = World::at(&disk.mounted, "");
    let free = || rustix::fs::statvfs(&disk.mounted).unwrap().f_favail;
    let (before, state) = (free(), files(15_000));
    assert!((15_000..20_001).contains(&before), "{before}");
    world.seal(1, &Push::whole(1, &state).bytes());
    // The first is touched half-way, the second from the start.
    for reserve in [9_000, before + 1_000] {
        set(&world, reserve);
        let ended = world.ingest(NO_ROOM);
        assert!(ended.err.contains(&format!("less than {reserve} inodes would stay free")), "{ended:?}");
        assert!(ended.err.contains("limits.free_inodes"), "{ended:?}");
        assert_eq!((world.sealed(), world.verdict(1)), (1, None));
        assert!(free() + 100 > before, "what it took is given back");
    }
    set(&world, 1_000);
    world.ingest(0);
    assert_eq!(world.verdict(1), accepted(&state));
    assert!(free() >= 1_000);
}
