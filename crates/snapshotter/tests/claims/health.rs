//! `status`: how real histories stand beyond whether a push is missing.

use std::fs;
use std::os::unix::fs::MetadataExt;

use formats::limits::FLAT_ENTRY_BYTES;
use serde_json::{Value, json};

use crate::pruned::{NOTHING, state, world};
use crate::world::{Ended, World};

/// A status of web01, and what is told of it.
fn status(world: &World) -> (Ended, Value) {
    let ended = world.run(&["--json", "status", "web01"]);
    let host = ended.report()["details"]["hosts"][0].clone();
    (ended, host)
}

fn reasons(host: &Value) -> Vec<&str> {
    host["late"].as_array().unwrap().iter().map(|late| late["reason"].as_str().unwrap()).collect()
}

/// In the settings, for what stood there.
fn set(world: &World, old: &str, new: &str) {
    let text = fs::read_to_string(&world.config).unwrap();
    assert!(text.contains(old), "{text}");
    fs::write(&world.config, text.replace(old, new)).unwrap();
}

#[test]
fn quota_use_names_and_the_days_that_are_left_are_told_of_a_real_history() {
    let world = world(2, "");
    let [first, second] = [0, 1].map(|number| world.log().snapshots()[number].clone());
    let used = first.new_bytes + second.new_bytes + (first.entries + second.entries) * FLAT_ENTRY_BYTES;
    fs::create_dir_all(world.path("records")).unwrap();
    let budget = format!("[limits]\nhistory_bytes = {}\nhistory_soft_bytes = {}\n", used + 1, used - 1);
    fs::write(world.path("records/web01.toml"), budget).unwrap();
    let (ended, host) = status(&world);
    let health = &host["health"];
    assert_eq!(
        health["quota"],
        json!({ "used_bytes": used, "soft_bytes": used - 1, "hard_bytes": used + 1 })
    );
    assert!(ended.out.contains(&format!("bytes of history: {used} of {}", used - 1)), "{ended:?}");

    // The second push, on the two days that the history is old; the first brought what was there before.
    let bytes = (second.new_bytes + second.entries * FLAT_ENTRY_BYTES) / 2;
    let contents = state(2).contents().len() as u64;
    let inodes = (second.entries - contents + second.changes) / 2;
    assert_eq!(health["per_day"], json!({ "bytes": bytes, "inodes_at_most": inodes }));

    // var/a has three names in each push, and all of them are one inode.
    let names = fs::metadata(world.tree(2).join("var/a")).unwrap().nlink();
    assert_eq!(names, 2 * 3);
    assert_eq!(
        health["links"],
        json!({ "a_snapshot": 3, "names": names, "ceiling": 65_000, "snapshots_left": (65_000 - 6) / 3 })
    );

    let forecast = |ended: &Ended| ended.report()["details"]["forecast"]["bytes"].clone();
    let room = forecast(&ended);
    assert_eq!(room["per_day"], bytes);
    assert_eq!(room["days"].as_u64().unwrap(), room["free"].as_u64().unwrap() / bytes);
    assert!(room["days"].as_u64().unwrap() > 30, "{room}");
    assert!(!ended.out.contains("SOON     all hosts: the history's room"), "the control: {ended:?}");
    // More is kept back than there is.
    set(&world, "free_bytes = 1000000\n", &format!("free_bytes = {}\n", i64::MAX));
    let (ended, _) = status(&world);
    assert_eq!(forecast(&ended), json!({ "free": 0, "per_day": bytes, "days": 0 }));
    let soon = "SOON     all hosts: the history's room will be used up in 0 days, as the last 30 were";
    assert!(ended.out.lines().any(|line| line == soon), "{ended:?}");
}

#[test]
fn names_are_only_counted_of_hosts_that_are_named() {
    let world = world(1, "");
    let links = world.run(&["--json", "status"]).report()["details"]["hosts"][0]["health"]["links"].clone();
    let nothing = Value::Null;
    assert_eq!(
        links,
        json!({ "a_snapshot": nothing, "names": nothing, "ceiling": 65_000, "snapshots_left": nothing })
    );
}

#[test]
fn a_verify_that_is_overdue_is_late_as_soon_as_it_stands_before_a_prune() {
    let settings = format!("{NOTHING}keep_min = 1\nverify_days = 30");
    let world = world(2, &settings);
    // It is 2 days old, and was never verified.
    assert!(!reasons(&status(&world).1).contains(&"no-verify"));
    set(&world, "verify_days = 30", "verify_days = 1");
    let (ended, host) = status(&world);
    assert_eq!(ended.code, 5);
    assert!(reasons(&host).contains(&"no-verify"), "{host}");
    assert!(ended.out.contains("no verify has found it well for 2 days, and nothing is pruned"), "{ended:?}");
    let pruned = world.run(&["prune", "--plan"]);
    assert_eq!(pruned.code, 3, "{pruned:?}");
    // The same history, as soon as it was verified.
    assert_eq!(world.run(&["verify"]).code, 0);
    assert!(!reasons(&status(&world).1).contains(&"no-verify"));
    let pruned = world.run(&["prune", "--plan"]);
    assert_eq!(pruned.code, 0, "{pruned:?}");
}
