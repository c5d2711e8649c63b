//! The names people know: links to snapshots, kept current.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{DateTime, Days};
use formats::records::log::{Event, Ingest, Unchanged};
use formats::{HostId, InstallationId, PushId, Root};
use history::{History, LogAppender, SnapshotName};

use crate::pruned;
use crate::push::Push;
use crate::state::file;
use crate::stories::first;
use crate::world::{World, give_away, is_root};

/// A server that keeps views.
fn world() -> World {
    let world = World::new();
    fs::create_dir(world.path("views")).unwrap();
    give_away(&world.path("views"));
    set_views(&world, &world.path("views"));
    world
}

fn set_views(world: &World, path: &Path) {
    let config = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, format!("views = {path:?}\n{config}")).unwrap();
}

fn view(world: &World, name: &str) -> PathBuf {
    world.path("views/web01").join(name)
}

fn push(world: &World, number: u8) {
    let hosts = file(format!("as pushed by {number}"));
    world.seal(u64::from(number), &Push::whole(number, &first().with("etc/hosts", hosts)).bytes());
}

/// The names in a host's folder of views.
fn names(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.path("views/web01")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn each_ingest_keeps_the_names_people_know_current() {
    let world = world();
    for number in 1..=3 {
        push(&world, number);
        let ended = world.ingest(0);
        assert!(!ended.err.contains("views"), "{ended:?}");
        let log = world.log();
        let newest = &log.latest().unwrap().name;
        let of_the_day = log.snapshots().iter().find(|one| one.name.as_str()[..8] == newest.as_str()[..8]);
        for (known, name) in [("latest", newest), ("daily.0", &of_the_day.unwrap().name)] {
            let target = fs::read_link(view(&world, known)).unwrap();
            assert_eq!(target.to_str().unwrap(), format!("../../history/web01/{name}/tree"), "{known}");
            let read = fs::read_to_string(view(&world, known).join("etc/hosts")).unwrap();
            assert_eq!(read, format!("as pushed by {}", name.sequence()), "{known}");
        }
        assert!(names(&world).iter().any(|name| name == "weekly.0"));
    }
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn without_a_folder_in_the_settings_there_are_no_views() {
    let world = World::new();
    push(&world, 1);
    world.ingest(0);
    let ended = world.run(&["views"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("views = \"/srv/firn/views\""), "{ended:?}");
}

#[test]
fn views_that_cannot_be_made_keep_no_push_from_being_judged_and_are_named() {
    let world = World::new();
    set_views(&world, &world.path("views"));
    push(&world, 1);
    let ended = world.ingest(0);
    assert!(ended.err.contains("web01: its views are not current: open the folder"), "{ended:?}");
    assert_eq!(world.log().snapshots().len(), 1);
    assert_eq!(world.run(&["views"]).code, 4);
    // A name of a view that is a folder cannot be a link.
    fs::create_dir_all(view(&world, "daily.0")).unwrap();
    give_away(&world.path("views"));
    give_away(&world.path("views/web01"));
    push(&world, 2);
    let ended = world.run(&["--json", "ingest"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.report()["details"]["pushes"][0]["views"].is_string(), "{ended:?}");
    assert_eq!(world.log().snapshots().len(), 2);
    fs::remove_dir(view(&world, "daily.0")).unwrap();
    let ended = world.run(&["views"]);
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (0, "web01: 4 views, 3 of them new, 0 removed\n"),
        "{ended:?}"
    );
    assert!(view(&world, "daily.0").join("etc/hosts").exists());
}

/// A history of one snapshot a day, as its log tells it.
fn days(world: &World, count: u64) -> Vec<SnapshotName> {
    let host = HostId::parse("web01").unwrap();
    let history = History::open(&world.path("history")).unwrap().host_or_new(&host).unwrap();
    let alone = history.write_lock().unwrap().unwrap();
    let mut log = LogAppender::open(&history, &alone).unwrap();
    let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let mut names = Vec::new();
    for day in 1..=count {
        let time = start + Days::new(day);
        let name = SnapshotName::new(time, day).unwrap();
        fs::create_dir_all(world.path("history/web01").join(name.as_str()).join("tree")).unwrap();
        let push = PushId::from_bytes([u8::try_from(day).unwrap(); 16]);
        let ingest = Ingest {
            sequence: day,
            name: name.to_string(),
            root: Root::from_bytes([1; 32]),
            entries: 1,
            left_out: 0,
            base: None,
            push,
            installation: InstallationId::from_bytes([1; 16]),
            counter: day,
            started: 0,
            zone: "UTC".to_owned(),
            new_bytes: 0,
            changes: 1,
            long_entry_bytes: 0,
            emergency: false,
            imported: false,
            measured: None,
        };
        log.append(Event::Ingest(ingest), time).unwrap();
        names.push(name);
    }
    let own = Command::new("chown").args(["-R", "nobody", world.path("history").to_str().unwrap()]).status();
    assert!(!is_root() || own.unwrap().success());
    names
}

#[test]
fn older_snapshots_have_the_names_of_their_days_weeks_and_months_and_links_to_none_are_removed() {
    let world = world();
    let snapshots = days(&world, 100);
    fs::create_dir(world.path("views/web01")).unwrap();
    for stale in ["daily.99", "weekly.0", "monthly.5"] {
        symlink("../../history/web01/gone/tree", view(&world, stale)).unwrap();
    }
    fs::write(view(&world, "notes"), "a person's").unwrap();
    fs::write(view(&world, "daily.77"), "a person's").unwrap();
    symlink("elsewhere", view(&world, "mine")).unwrap();
    give_away(&world.path("views/web01"));
    let ended = world.run(&["views", "web01"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    // 2023-11-15, a Wednesday, to 2024-02-22.
    assert_eq!(ended.out, "web01: 51 views, 51 of them new, 2 removed\n");
    assert_eq!(names(&world).len(), 51 + 3);
    let leads = |name: &str| fs::read_link(view(&world, name)).unwrap().to_str().unwrap().to_owned();
    let to = |at: usize| format!("../../history/web01/{}/tree", snapshots[at - 1]);
    assert_eq!([leads("latest"), leads("daily.0"), leads("daily.31")], [to(100), to(100), to(69)]);
    assert_eq!([leads("weekly.0"), leads("weekly.1"), leads("weekly.13")], [to(97), to(90), to(6)]);
    assert_eq!([leads("monthly.0"), leads("monthly.1"), leads("monthly.3")], [to(79), to(48), to(1)]);
    // Once more there is nothing to do; and what is not there any more has no name.
    let again = world.run(&["views"]);
    assert_eq!(again.out, "web01: 51 views, 0 of them new, 0 removed\n");
    for gone in &snapshots[69..] {
        fs::remove_dir_all(world.path("history/web01").join(gone.as_str())).unwrap();
    }
    assert_eq!(world.run(&["views"]).code, 0);
    assert_eq!(leads("latest"), to(69));
    for name in names(&world).iter().filter(|name| !["notes", "daily.77", "mine"].contains(&name.as_str())) {
        assert!(view(&world, name).is_dir(), "{name} leads nowhere");
    }
}

#[test]
fn a_day_on_which_nothing_changed_is_called_as_any_other() {
    let world = world();
    let snapshots = days(&world, 2);
    {
        let place = pruned::place(&world);
        let alone = place.write_lock().unwrap().unwrap();
        let mut log = LogAppender::open(&place, &alone).unwrap();
        let event = Unchanged {
            sequence: 2,
            root: Root::from_bytes([1; 32]),
            left_out: 0,
            push: PushId::from_bytes([9; 16]),
            installation: InstallationId::from_bytes([1; 16]),
            counter: 3,
            started: 0,
            zone: "UTC".to_owned(),
            emergency: false,
        };
        log.append(Event::Unchanged(event), snapshots[1].time() + Days::new(1)).unwrap();
    }
    let ended = world.run(&["views"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    for (name, at) in [("latest", 1), ("daily.0", 1), ("daily.1", 1), ("daily.2", 0)] {
        let target = fs::read_link(view(&world, name)).unwrap();
        assert_eq!(target.to_str().unwrap(), format!("../../history/web01/{}/tree", snapshots[at]), "{name}");
    }
}

/// Five days that no rule keeps but the last two, planned, and their views.
fn planned() -> World {
    let world = pruned::planned(5, &format!("{}keep_min = 2\n", pruned::NOTHING));
    fs::create_dir(world.path("views")).unwrap();
    give_away(&world.path("views"));
    set_views(&world, &world.path("views"));
    let ended = world.run(&["views"]);
    assert_eq!((ended.code, view(&world, "daily.4").is_dir()), (0, true), "{ended:?}");
    world
}

#[test]
fn a_prune_leaves_no_view_of_what_it_removed() {
    let world = planned();
    // Of a run that was killed before it came so far.
    symlink("../../history/web01/gone/tree", view(&world, "monthly.9")).unwrap();
    let ended = pruned::execute(&world, 0);
    assert!(!ended.err.contains("views"), "{ended:?}");
    assert_eq!(pruned::sequences(&world), [4, 5]);
    for name in names(&world) {
        assert!(view(&world, &name).is_dir(), "{name} leads nowhere");
    }
    let read = |name: &str| fs::read_to_string(view(&world, name).join("etc/number")).unwrap();
    assert_eq!([read("latest"), read("daily.0"), read("daily.1")], ["number 5", "number 5", "number 4"]);
    assert!(fs::symlink_metadata(view(&world, "daily.2")).is_err());
}

#[test]
fn views_that_cannot_be_made_keep_nothing_from_being_pruned_and_are_told() {
    let world = planned();
    fs::remove_dir_all(world.path("views/web01")).unwrap();
    fs::write(world.path("views/web01"), "in the way").unwrap();
    let ended = pruned::execute(&world, 0);
    assert!(ended.err.contains("web01: its views are not current"), "{ended:?}");
    assert!(ended.report()["details"]["hosts"][0]["views"].is_string(), "{ended:?}");
    assert_eq!(pruned::sequences(&world), [4, 5]);
}

#[test]
fn a_prune_with_nothing_to_do_makes_the_views_that_an_earlier_one_could_not() {
    let world = planned();
    fs::remove_dir_all(world.path("views/web01")).unwrap();
    fs::write(world.path("views/web01"), "in the way").unwrap();
    for removed in [3, 0] {
        let ended = pruned::execute(&world, 0);
        let report = &ended.report()["details"]["hosts"][0];
        assert_eq!(report["removed"].as_array().unwrap().len(), removed, "{ended:?}");
        assert!(ended.err.contains("web01: its views are not current"), "{ended:?}");
    }
    fs::remove_file(world.path("views/web01")).unwrap();
    let ended = pruned::execute(&world, 0);
    assert!(!ended.err.contains("views"), "{ended:?}");
    let read = |name: &str| fs::read_to_string(view(&world, name).join("etc/number")).unwrap();
    assert_eq!([read("latest"), read("daily.0"), read("daily.1")], ["number 5", "number 5", "number 4"]);
    // A link to what is gone, too; then there is nothing to do, and whoever writes is not waited for.
    symlink("../../history/web01/gone/tree", view(&world, "monthly.9")).unwrap();
    pruned::execute(&world, 0);
    assert!(fs::symlink_metadata(view(&world, "monthly.9")).is_err());
    let _alone = pruned::place(&world).write_lock().unwrap().unwrap();
    let ended = pruned::execute(&world, 0);
    assert!(!ended.err.contains("views"), "{ended:?}");
}

#[test]
fn a_folder_of_views_that_is_in_the_way_of_others_is_refused() {
    let world = World::new();
    let config = fs::read_to_string(&world.config).unwrap();
    for bad in ["history", "history/web01", "jails/views", "keys", ""] {
        fs::write(&world.config, &config).unwrap();
        set_views(&world, &world.path(bad));
        let ended = world.run(&["ingest"]);
        assert_eq!(ended.code, 2, "{bad}: {ended:?}");
        assert!(ended.err.contains("`views` must lie outside of"), "{ended:?}");
    }
    fs::write(&world.config, format!("views = \"views\"\n{config}")).unwrap();
    assert!(world.run(&["ingest"]).err.contains("`views` must be an absolute path"));
}

#[test]
fn where_the_history_is_mounted_so_that_no_link_is_followed_views_still_lead_there() {
    let world = world();
    push(&world, 1);
    world.ingest(0);
    // Where the host's own link leads, out of its tree.
    let name = world.log().latest().unwrap().name.to_string();
    fs::write(world.path("history/web01").join(name).join("outside"), "led out").unwrap();
    let script = "set -e
        cat \"$2/etc/link\"; echo
        mount --bind \"$1\" \"$1\"; mount -o remount,bind,nosymfollow \"$1\"
        cat \"$2/etc/hosts\"; echo
        readlink \"$2/etc/link\"
        if cat \"$2/etc/link\" 2>/dev/null; then echo followed; fi";
    let output = Command::new("unshare")
        .args(["--mount", "--", "sh", "-c", script, "sh"])
        .args([world.path("history"), view(&world, "latest")])
        .output();
    match output {
        Ok(output) if output.status.success() => {
            assert_eq!(String::from_utf8_lossy(&output.stdout), "led out\nas pushed by 1\n../../outside\n");
        }
        other => println!(
            "SKIPPED: where_the_history_is_mounted_so_that_no_link_is_followed_views_still_lead_there: {other:?}"
        ),
    }
}
