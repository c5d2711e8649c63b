use std::os::unix::fs::PermissionsExt;

use sandbox::capabilities::{
    BoundingSet, ReadSearch, Trusted, drop_capabilities, keep_only_read_search, keep_read_search_and_trusted,
};

use crate::prisoner::held;
use crate::world::{User, World, is_root, users};

pub(crate) fn gone() {
    for user in users() {
        let privileged = user == User::Same && is_root();
        let said = World::new(user).must(&["capabilities", "none"]);
        let expected = if privileged { "Lowered" } else { "Untouched" };
        assert_eq!(said, format!("{expected}, nothing left\n"));
    }
}

pub(crate) fn read_search() {
    for user in users() {
        let world = World::new(user);
        let privileged = user == User::Same && is_root();
        // A file that only another user may read.
        let secret = world.at("outside/spare");
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o0)).unwrap();
        if is_root() {
            std::os::unix::fs::chown(&secret, Some(12_345), Some(12_345)).unwrap();
        }
        let said = world.must(&["capabilities", "read"]);
        let expected =
            if privileged { "Held: read true, write false\n" } else { "NotHeld: read false, write false\n" };
        assert_eq!(said, expected);
        if privileged {
            let free = std::fs::OpenOptions::new().write(true).open(&secret);
            assert!(free.is_ok(), "control: with all capabilities it can be written");
        }
    }
}

/// The one reason for which the great capability can be kept.
pub(crate) fn trusted() {
    if !is_root() {
        println!("SKIPPED: trusted_attributes_are_seen_only_by_who_keeps_the_capability_for_it: needs root");
        return;
    }
    let world = World::new(User::Same);
    let file = world.at("outside/spare");
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(&file, "trusted.firn", b"x", flags).is_err() {
        println!(
            "SKIPPED: trusted_attributes_are_seen_only_by_who_keeps_the_capability_for_it: none can be set here"
        );
        return;
    }
    assert_eq!(world.must(&["capabilities", "trusted"]), "Seen: seen true, other rights false\n");
    assert_eq!(world.must(&["capabilities", "untrusted"]), "Hidden: seen false, other rights false\n");
}

fn look_for_trusted(trusted: Trusted) {
    let file = held().path.join("outside/spare");
    let mut names = [0; 1_024];
    let length = rustix::fs::listxattr(&file, names.as_mut_slice()).unwrap();
    let seen = names[..length].split(|byte| *byte == 0).any(|name| name == b"trusted.firn");
    // Owners are for another capability.
    let chown = std::os::unix::fs::chown(&file, Some(4_711), None).is_ok();
    println!("{trusted:?}: seen {seen}, other rights {chown}");
}

pub(crate) fn child(word: &str) {
    match word {
        "trusted" => look_for_trusted(keep_read_search_and_trusted().unwrap().1),
        "untrusted" => {
            keep_only_read_search().unwrap();
            look_for_trusted(Trusted::Hidden);
        }
        "none" => {
            let bounding: BoundingSet = drop_capabilities().unwrap();
            let left = rustix::thread::capabilities(None).unwrap();
            assert!(left.effective.is_empty() && left.permitted.is_empty() && left.inheritable.is_empty());
            let all = rustix::thread::CapabilitySets {
                effective: rustix::thread::CapabilitySet::CHOWN,
                permitted: rustix::thread::CapabilitySet::CHOWN,
                inheritable: rustix::thread::CapabilitySet::empty(),
            };
            assert!(rustix::thread::set_capabilities(None, all).is_err());
            assert!(drop_capabilities().is_ok(), "a second time does no harm");
            println!("{bounding:?}, nothing left");
        }
        _ => {
            let (kept, _): (ReadSearch, _) = keep_only_read_search().unwrap();
            let secret = held().path.join("outside/spare");
            let read = std::fs::read(&secret).is_ok();
            let write = std::fs::OpenOptions::new().write(true).open(&secret).is_ok();
            println!("{kept:?}: read {read}, write {write}");
        }
    }
}
