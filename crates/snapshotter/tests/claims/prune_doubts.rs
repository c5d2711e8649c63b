//! What is odd stays odd until somebody has looked, and what was planned before is void.

use std::fs;
use std::path::Path;

use chrono::{TimeDelta, Utc};

use crate::pruned::{NOTHING, copy, execute, planned, plans, redate, sequences, sign, text_of, wait, world};
use crate::world::{World, give_away};

const KEEPING: &str = "[retain]\nevery_days = 99\n[prune]\n";

fn plan(world: &World) -> i32 {
    world.run(&["prune", "--plan"]).code
}

fn hold(world: &World) {
    assert_eq!(world.run(&["hold", "web01", "--reason", "a reason"]).code, 0);
}

fn release(world: &World) {
    assert_eq!(world.run(&["release", "web01", "--reason", "looked"]).code, 0);
}

fn newest(world: &World) -> std::path::PathBuf {
    plans(world).pop().unwrap()
}

fn edit(plan: &Path, key: &str, value: serde_json::Value) {
    let mut record: serde_json::Value = serde_json::from_slice(&text_of(plan)).unwrap();
    assert!(record.get(key).is_some());
    record[key] = value;
    sign(plan, serde_json::to_string(&record).unwrap().as_bytes());
}

/// Lines of the log are lost: so many are left.
fn cut_log(world: &World, lines: usize) {
    let log = world.path("history/web01/log");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.split_inclusive('\n').take(lines).collect::<String>()).unwrap();
}

#[test]
fn what_no_later_plan_could_tell_stays_odd_until_the_host_is_released() {
    type Oddity = (&'static str, fn(&World), i32);
    let oddities: [Oddity; 4] = [
        ("a clock", |world| redate(&newest(world), Utc::now() - TimeDelta::days(40)), 3),
        ("a list", |world| edit(&newest(world), "snapshots", 9.into()), 28),
        ("a log", |world| edit(&newest(world), "log_head", "ab".repeat(32).into()), 28),
        ("a log that is shorter now", |world| cut_log(world, 5), 28),
    ];
    for settings in [NOTHING, KEEPING] {
        let template = planned(5, &format!("{settings}keep_min = 1\n"));
        for (what, arrange, code) in oddities {
            let world = copy(&template);
            arrange(&world);
            let told: Vec<i32> = (0..3).map(|_| plan(&world)).collect();
            assert_eq!(told, [code; 3], "{what}");
            execute(&world, code);
            // A release of before it was told would not count; this one is of after.
            hold(&world);
            assert_eq!(plan(&world), code, "{what}");
            release(&world);
            assert!(matches!(plan(&world), 0 | 3), "{what}");
            // Whoever looked takes the log as it is: until then one that is shorter than what was signed is damage to verify.
            let is_another = world.run(&["verify", "--log", "web01"]).code == 28;
            assert_eq!(is_another, what == "a log that is shorter now", "{what}");
            fs::remove_file(world.path("signing/heads/web01.asc")).unwrap();
            assert_eq!(world.run(&["verify"]).code, 0);
            assert_eq!(plan(&world), 0, "{what}");
            assert_eq!(sequences(&world).len(), 5);
        }
        // An outage explains a gap of a few days: told once.
        let world = copy(&template);
        redate(&newest(&world), Utc::now() - TimeDelta::days(6));
        assert_eq!((plan(&world), plan(&world)), (3, 0));
    }
}

#[test]
fn a_release_of_before_a_doubt_was_told_does_not_end_it() {
    let world = planned(5, &format!("{NOTHING}keep_min = 1\n"));
    edit(&newest(&world), "snapshots", 9.into());
    hold(&world);
    release(&world);
    assert_eq!((plan(&world), plan(&world)), (28, 28));
}

#[test]
fn what_the_log_does_not_know_keeps_everything_in_every_run() {
    let world = world(5, &format!("{NOTHING}keep_min = 1\n"));
    assert_eq!(world.run(&["verify"]).code, 0);
    let template = copy(&world);
    for words in [["prune", "--plan"], ["prune", "--execute"]] {
        // Without a plan that remembers more: the list that is left is whole in itself.
        let world = copy(&template);
        assert_eq!(world.run(&words).code, 0, "control");
        let world = copy(&template);
        cut_log(&world, 4);
        let ended = world.run(&words);
        assert_eq!(ended.code, 28, "{ended:?}");
        assert!(ended.err.contains("is not in the snapshot log"), "{ended:?}");
        // While an ingest is at work, that is what it is about to add.
        let building = world.path("history/web01/.building");
        fs::create_dir(&building).unwrap();
        give_away(&building);
        assert!(!world.run(&words).err.contains("is not in the snapshot log"));
        cut_log(&world, 3);
        assert_eq!(world.run(&words).code, 28, "and no more than one");
    }
    let world = planned(5, &format!("{NOTHING}keep_min = 1\n"));
    cut_log(&world, 4);
    execute(&world, 28);
    assert_eq!(sequences(&world).len(), 4);
    let plan = fs::read_to_string(&plans(&world)[0]).unwrap();
    assert!(plan.contains("\"remove\":[]"), "{plan}");
}

#[test]
fn a_release_voids_what_was_planned_before_it() {
    let template = planned(5, &format!("{NOTHING}keep_min = 1\n"));
    let world = copy(&template);
    hold(&world);
    release(&world);
    execute(&world, 0);
    assert_eq!(sequences(&world).len(), 5);
    // The same without them.
    execute(&template, 0);
    assert_eq!(sequences(&template).len(), 1);
}

#[test]
fn a_doubt_voids_also_what_has_not_waited_yet() {
    let settings = format!("{NOTHING}keep_min = 1\n");
    let world = world(5, &settings);
    assert_eq!(world.run(&["verify"]).code, 0);
    let control = copy(&world);
    assert_eq!((plan(&world), plan(&control)), (0, 0));
    hold(&world);
    assert_eq!(plan(&world), 0);
    let ended = world.run(&["prune", "--plan"]);
    assert!(ended.out.contains("on hold"), "{ended:?}");
    for world in [&world, &control] {
        for plan in plans(world) {
            let age = TimeDelta::days(4);
            redate(&plan, Utc::now() - age);
        }
    }
    let named =
        |world: &World| plans(world).iter().any(|plan| fs::read_to_string(plan).unwrap().contains("Z-0"));
    assert!(named(&control) && !named(&world));
}

#[test]
fn trash_is_not_emptied_while_the_host_is_on_hold() {
    let world = planned(3, &format!("{NOTHING}keep_min = 1\n"));
    let trash = world.path("history/web01/.trash");
    fs::create_dir(&trash).unwrap();
    give_away(&trash);
    let lying = trash.join("20250102T030405Z-0000000009");
    fs::create_dir(&lying).unwrap();
    give_away(&lying);
    hold(&world);
    execute(&world, 0);
    assert!(lying.exists());
    release(&world);
    execute(&world, 0);
    assert!(!lying.exists());
}

#[test]
fn a_standing_that_cannot_be_read_is_told() {
    let world = world(3, &format!("{NOTHING}keep_min = 1\nrequire_ice = true\n"));
    let text = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, format!("ice_standing = {:?}\n{text}", world.path("standing.json"))).unwrap();
    assert_eq!(world.run(&["verify"]).code, 0);
    wait(&world);
    fs::write(world.path("standing.json"), "no standing").unwrap();
    give_away(&world.path("standing.json"));
    let ended = world.run(&["prune", "--plan"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("what is off-site cannot be read"), "{ended:?}");
}
