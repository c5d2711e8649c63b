//! Removing what no rule keeps: in two steps, and with many reasons not to.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use formats::records::Record;
use formats::records::log::Event;
use formats::records::standing::{Damage, DrillsKnown, StandingIce, StandingRecord};

use crate::pruned::{
    NOTHING, assert_whole, execute, place, planned, plans, redate, sequences, state, wait, world,
};
use crate::push::Push;
use crate::state::file;
use crate::world::{World, give_away};

fn with(more: &str) -> String {
    format!("{NOTHING}{more}\n")
}

fn said(ended: &crate::world::Ended, words: &str) {
    assert!(format!("{}{}", ended.out, ended.err).contains(words), "{words}: {ended:?}");
}

#[test]
fn a_plan_removes_nothing_and_what_it_named_goes_once_it_has_waited() {
    let world = world(5, &with("keep_min = 2"));
    assert_eq!(world.run(&["verify"]).code, 0);
    let trees = world.picture("history/web01/manifests");
    let ended = world.run(&["prune", "--plan"]);
    assert_eq!((ended.code, ended.out.matches("plans to remove").count()), (0, 3), "{ended:?}");
    execute(&world, 0);
    assert_eq!((sequences(&world).len(), world.picture("history/web01/manifests")), (5, trees));
    redate(&plans(&world)[0], Utc::now() - TimeDelta::hours(71));
    world.run(&["prune", "--plan"]);
    execute(&world, 0);
    assert_eq!(sequences(&world).len(), 5, "71 hours are not 72");
    let inode = |number: usize, path: &str| fs::metadata(world.tree(number).join(path)).unwrap().ino();
    assert_eq!(inode(1, "etc/hosts"), inode(5, "etc/hosts"), "what goes and what stays share files");
    redate(&plans(&world)[0], Utc::now() - TimeDelta::hours(73));
    let report = execute(&world, 0).report();
    assert_eq!(sequences(&world), [4, 5]);
    assert_whole(&world);
    let own: u64 = (1..=3).map(|number| 10_000 + number + "number 1".len() as u64).sum();
    assert_eq!(report["counts"]["removed"], 3);
    assert_eq!(report["counts"]["freed_bytes"], own, "what only they had");
    assert!(fs::read_dir(world.path("history/web01/.trash")).unwrap().next().is_none());
    assert_eq!(fs::read_dir(world.path("history/web01/manifests")).unwrap().count(), 2);
    assert_eq!(plans(&world).len(), 1, "the newest is remembered");
    execute(&world, 0);
    assert_eq!(sequences(&world), [4, 5]);
}

#[test]
fn every_reader_knows_what_was_pruned() {
    let world = planned(5, &with("keep_min = 2"));
    let name = world.log().snapshots()[0].name.to_string();
    let bytes = world.log().content_bytes();
    execute(&world, 0);
    let listed = world.run(&["--json", "list"]).report();
    assert_eq!(listed["counts"]["snapshots"], 2);
    let shown = world.run(&["show", "web01", &name]);
    assert_eq!(shown.code, 2);
    said(&shown, "was pruned at");
    let verified = world.run(&["--json", "verify"]);
    assert_eq!((verified.code, &verified.report()["counts"]["snapshots"]), (0, &2.into()), "{verified:?}");
    assert!(world.log().content_bytes() < bytes);
    let status = world.run(&["--json", "status"]).report();
    let host = &status["details"]["hosts"][0];
    assert_eq!((&host["snapshots"], &host["pruned"]), (&2.into(), &3.into()), "{host}");
    // The next push builds on the newest, and gets the next sequence.
    world.seal(6, &Push::delta(6, &state(5), &state(6)).bytes());
    world.ingest(0);
    assert_eq!(sequences(&world), [4, 5, 6]);
    assert_whole(&world);
    // One that builds on what was pruned is told so, and the next is whole.
    world.seal(7, &Push::delta(7, &state(1), &state(7)).bytes());
    world.ingest(0);
    world.assert_rejected(7, formats::session::Code::UnknownBase);
}

/// Each guard by itself, around the first of five snapshots, which goes where nothing stands before it.
#[test]
fn a_guard_keeps_what_would_go_without_it() {
    let settings = with("keep_min = 1");
    type Guard = (&'static str, fn(&World), &'static [u64]);
    let guards: [Guard; 7] = [
        ("control: nothing stands before it", |_| (), &[5]),
        ("a hold on the snapshot", |world| hold(world, &format!("web01/{}", first_of(world))), &[1, 5]),
        ("a sealed push that builds on it", |world| drop(world.seal(9, &on_the_first().bytes())), &[1, 5]),
        ("a push on its way that builds on it", |world| incoming(world, &on_the_first().bytes()), &[1, 5]),
        (
            "a push on its way, cut after its header",
            |world| incoming(world, &on_the_first().bytes()[..400]),
            &[1, 5],
        ),
        (
            "a push that takes contents from it",
            |world| {
                let mut push = Push::whole(9, &state(1));
                push.header.lender = Some(state(1).summary().root);
                incoming(world, &push.bytes());
            },
            &[1, 5],
        ),
        (
            "a published state that names it",
            |world| {
                let mut published = world.published();
                published.base = Some(state(1).summary().root);
                fs::write(world.path("jails/web01/state/base"), published.encode().unwrap()).unwrap();
            },
            &[1, 5],
        ),
    ];
    let template = planned(5, &settings);
    for (what, arrange, left) in guards {
        let world = crate::pruned::copy(&template);
        arrange(&world);
        execute(&world, 0);
        assert_eq!(sequences(&world), left, "{what}");
        assert_whole(&world);
    }
}

#[test]
fn what_is_odd_keeps_everything_and_is_named() {
    type Oddity = (&'static str, fn(&World), i32, &'static str);
    let oddities: [Oddity; 7] = [
        ("control", |_| (), 0, ""),
        ("a hold", |world| hold(world, "web01"), 0, "on hold: a reason"),
        (
            "a plan of the future",
            |world| redate(&plans(world)[1], Utc::now() + TimeDelta::days(400)),
            3,
            "the clock is behind",
        ),
        (
            "a gap",
            |world| redate(&plans(world)[1], Utc::now() - TimeDelta::days(6)),
            3,
            "no plan was made for 6 days",
        ),
        (
            "a snapshot without its files",
            |world| fs::rename(world.tree(4).parent().unwrap(), world.path("away")).unwrap(),
            28,
            "not all there",
        ),
        (
            "a log that lost its last line",
            |world| {
                let log = world.path("history/web01/log");
                let text = fs::read_to_string(&log).unwrap();
                fs::write(&log, text.split_inclusive('\n').take(5).collect::<String>()).unwrap();
            },
            28,
            "the log is not the one",
        ),
        (
            "a plan that cannot be read",
            |world| fs::write(&plans(world)[0], "{\"format\":\"firn.prune-plan/3.0\"}").unwrap(),
            28,
            "too new",
        ),
    ];
    let template = planned(5, &with("keep_min = 1"));
    for (what, arrange, code, words) in oddities {
        let world = crate::pruned::copy(&template);
        arrange(&world);
        let ended = execute(&world, code);
        said(&ended, words);
        assert_eq!(sequences(&world).len(), if what == "control" { 1 } else { 5 }, "{what}");
    }
    // Never verified: there is no plan that names anything, either.
    let world = crate::pruned::world(5, &with("keep_min = 1"));
    let ended = world.run(&["prune", "--plan"]);
    assert_eq!((ended.code, ended.out.contains("plans to")), (3, false), "{ended:?}");
    said(&ended, "never verified");
}

#[test]
fn after_a_hold_or_an_oddity_a_plan_waits_anew() {
    let world = planned(5, &with("keep_min = 1"));
    hold(&world, "web01");
    execute(&world, 0);
    assert_eq!(world.run(&["release", "web01", "--reason", "looked"]).code, 0);
    execute(&world, 0);
    assert_eq!(sequences(&world).len(), 5, "the plan of before the release is void");
    let ended = world.run(&["prune", "--plan"]);
    assert_eq!(ended.out.matches("plans to remove").count(), 4, "{ended:?}");
}

#[test]
fn a_cap_holds_for_a_run_and_the_floor_for_ever() {
    let world = planned(6, &with("keep_min = 2\ncap = 3"));
    execute(&world, 0);
    assert_eq!(sequences(&world), [4, 5, 6]);
    wait(&world);
    execute(&world, 0);
    assert_eq!(sequences(&world), [5, 6]);
    wait(&world);
    execute(&world, 0);
    assert_eq!(sequences(&world), [5, 6]);
}

#[test]
fn what_is_not_off_site_stays_where_ice_is_required() {
    let world = planned(5, &with("keep_min = 1\nrequire_ice = true"));
    let text = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, format!("ice_standing = {:?}\n{text}", world.path("standing.json"))).unwrap();
    let publish = |iced: usize, written: TimeDelta, damage: Damage| {
        let snapshot = world.log().snapshots()[iced].name.to_string();
        let stamp = |ago: TimeDelta| (Utc::now() - ago).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let ice: formats::records::ice_id::IceId = format!("web01/{snapshot}").parse().unwrap();
        let (stored, retain_until) = (stamp(written), stamp(TimeDelta::days(-90)));
        let host = ice.host().clone();
        let ice = StandingIce {
            host,
            vault: "off".into(),
            ice,
            snapshot,
            stored,
            retain_until,
            damage,
            proved: None,
        };
        let record = StandingRecord {
            format: StandingRecord::format(),
            written: stamp(written),
            vaults: vec!["off".into()],
            drills: DrillsKnown::Unknown,
            ices: vec![ice],
        };
        fs::write(world.path("standing.json"), record.to_line().unwrap()).unwrap();
        give_away(&world.path("standing.json"));
    };
    let again = |left: &[u64]| {
        wait(&world);
        execute(&world, 0);
        assert_eq!(sequences(&world), left);
    };
    again(&[1, 2, 3, 4, 5]);
    publish(4, TimeDelta::days(18), Damage::None);
    again(&[1, 2, 3, 4, 5]);
    publish(4, TimeDelta::days(1), Damage::Found);
    again(&[1, 2, 3, 4, 5]);
    publish(4, TimeDelta::days(-1), Damage::None);
    again(&[1, 2, 3, 4, 5]);
    publish(1, TimeDelta::days(1), Damage::None);
    again(&[3, 4, 5]);
    publish(2, TimeDelta::days(1), Damage::None);
    again(&[5]);
}

/// While a tree is removed slowly, a push is judged.
#[test]
fn an_ingest_waits_for_no_removal() {
    let many = |world: &World, push: u8| {
        let state = (0..600).fold(state(1), |state, n| state.with(&format!("var/many{n}"), file("")));
        world.seal(u64::from(push), &Push::whole(push, &state).bytes());
        world.ingest(0);
    };
    let slow = NOTHING.replace("names_per_second = 0", "names_per_second = 60");
    let world = world(1, &format!("{slow}keep_min = 1\n"));
    many(&world, 2);
    many(&world, 3);
    many(&world, 4);
    assert_eq!(world.run(&["verify"]).code, 0);
    wait(&world);
    let mut pruning = world.command(&["prune", "--execute"]).spawn().unwrap();
    let began = Instant::now();
    while sequences(&world).len() > 1 {
        assert!(began.elapsed() < Duration::from_secs(50), "nothing was pruned");
        std::thread::sleep(Duration::from_millis(20));
    }
    // The newest alone is left, and what was pruned is on its way out.
    many(&world, 5);
    assert!(world.run(&["show", "web01", "latest"]).code == 0);
    assert!(pruning.try_wait().unwrap().is_none(), "control: the removal is still at work");
    assert!(pruning.wait().unwrap().success());
    assert_eq!(sequences(&world), [4, 5]);
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn a_hold_is_told_by_all_who_list_and_needs_a_reason() {
    let world = world(2, NOTHING);
    let name = first_of(&world);
    assert_eq!(world.run(&["hold", "web01"]).code, 2);
    assert_eq!(world.run(&["hold", "web01", "--reason", " "]).code, 2);
    assert_eq!(world.run(&["hold", "web01", "--reason", "two\nlines"]).code, 2);
    assert_eq!(world.run(&["hold", "web01/none", "--reason", "x"]).code, 2);
    assert_eq!(world.run(&["release", "web01", "--reason", "x"]).code, 2);
    assert_eq!(world.log().lines(), 2);
    hold(&world, "web01");
    hold(&world, &format!("web01/{name}"));
    let listed = world.run(&["--json", "list"]);
    said(&listed, "on hold: a reason");
    let holds = &world.run(&["--json", "status"]).report()["details"]["hosts"][0]["holds"];
    assert_eq!(holds.as_array().unwrap().len(), 2);
    assert_eq!(
        (&holds[0]["snapshot"], &holds[1]["snapshot"]),
        (&serde_json::Value::Null, &name.clone().into())
    );
    assert_eq!(world.run(&["release", &format!("web01/{name}"), "--reason", "looked"]).code, 0);
    assert_eq!(world.log().holds().len(), 1);
    let events: Vec<Event> =
        place(&world).log_reader().unwrap().unwrap().map(|raw| raw.unwrap().line.event).collect();
    assert_eq!(events.last(), Some(&Event::Release { reason: "looked".into(), snapshot: Some(name) }));
}

fn hold(world: &World, target: &str) {
    let ended = world.run(&["hold", target, "--reason", "a reason"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

fn first_of(world: &World) -> String {
    world.log().snapshots()[0].name.to_string()
}

fn on_the_first() -> Push {
    Push::delta(9, &state(1), &state(2))
}

fn incoming(world: &World, bytes: &[u8]) {
    let path = world.path("jails/web01/spool/incoming/00000000000000000009.partial");
    fs::write(&path, bytes).unwrap();
    give_away(&path);
}
