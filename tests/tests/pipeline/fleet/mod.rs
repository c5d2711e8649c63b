//! Real machines: an init, an sshd, cron and a disk in each, a network between them. What a folder cannot play is told here: units and
//! timers, dead hosts, cut cables, stolen keys, and the current gone in the middle of a write.

mod audits;
mod by_salt;
mod commands;
mod deploy;
mod guards;
mod life;
mod offsite;
mod power;
mod rendezvous;
mod slots;
mod step;
mod troubles;
mod world;

use std::process::Command;
use std::time::{Duration, Instant};

use pipeline_tests::fleet::Salt;
use pipeline_tests::machine::{target_folder, workspace};
use pipeline_tests::{Fleet, Outcome, process};

use crate::rig;

#[test]
fn a_fleet_deployed_by_hand_pushes_from_its_units_and_its_snapshots_are_its_files() {
    if rig::has_fleet_or_skipped(
        "a_fleet_deployed_by_hand_pushes_from_its_units_and_its_snapshots_are_its_files",
    ) {
        let _turn = rig::turn();
        let world = life::deployed(deploy::by_hand, &["web01", "db1.example.org"], &[]);
        life::first_pushes(&world);
        commands::commands_are_kept_from_what_they_need_until_the_drop_in_is_there(&world, "web01");
        troubles::the_servers_own_sshd_is_stopped_and_pushes_go_on(&world, "web01");
    }
}

#[test]
fn a_fleet_deployed_by_salt_pushes_and_a_second_highstate_changes_nothing() {
    if rig::has_fleet_or_skipped("a_fleet_deployed_by_salt_pushes_and_a_second_highstate_changes_nothing") {
        let _turn = rig::turn();
        let world = life::deployed(deploy::by_salt, &["web01", "db1.example.org"], &[]);
        life::first_pushes(&world);
        by_salt::a_second_highstate_changes_nothing(&world);
    }
}

#[test]
fn a_fleet_with_a_host_that_may_call_nobody_gets_its_pushes_too() {
    const TEST: &str = "a_fleet_with_a_host_that_may_call_nobody_gets_its_pushes_too";
    if rig::has_fleet_or_skipped(TEST) && rig::has_user_namespaces_or_skipped(TEST) {
        let _turn = rig::turn();
        let world = life::deployed(deploy::by_hand, &["web01"], &[]);
        life::first_pushes(&world);
        rendezvous::a_host_that_may_call_nobody_pushes_through_the_port_that_the_server_opens(
            &world, "web01",
        );
    }
}

#[test]
fn a_fleet_whose_maker_was_killed_goes_down_by_itself() {
    if !rig::has_fleet_or_skipped("a_fleet_whose_maker_was_killed_goes_down_by_itself") {
        return;
    }
    let _turn = rig::turn();
    Fleet::build_image(Salt::Unwanted).unwrap();
    let mut maker = Command::new("sleep").arg("300").spawn().unwrap();
    let start = process::started(maker.id()).unwrap();
    let folder = target_folder().join("rig");
    let rig = |verb: &str| {
        let mut command = Command::new(workspace().join("tests/rig/rig.sh"));
        command.env("RIG_DIR", &folder).env("RIG_ID", format!("k{}", maker.id())).arg(verb);
        command.env("RIG_MAKER", format!("{} {start}", maker.id()));
        command
    };
    let up = Outcome::of(rig("up").arg("web01")).unwrap();
    let run = folder.join(format!("run/k{}", maker.id()));
    let (mut list, mut down) = (rig("list"), rig("down"));
    let listed = Outcome::of(&mut list).unwrap();
    maker.kill().unwrap();
    maker.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while run.exists() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
    }
    let left = run.exists();
    Outcome::of(&mut down).unwrap();
    assert_eq!(up.code, 0, "{}", up.said());
    assert!(listed.stdout.starts_with("web01 10.77.0.11 leader="), "{}", listed.said());
    assert!(!left, "{} is still there", run.display());
}

#[test]
#[ignore = "long: minutes on six machines"]
fn a_fleet_comes_through_a_bad_year() {
    if !rig::has_fleet_or_skipped("a_fleet_comes_through_a_bad_year") {
        return;
    }
    let _turn = rig::turn();
    let [web, db, mail, files] = ["web01", "db1.example.org", "mail", "files"];
    let world = life::deployed(deploy::by_salt, &[web, db, mail, files], &["fresh"]);
    life::first_pushes(&world);
    by_salt::a_second_highstate_changes_nothing(&world);
    slots::pushes_fire_at_their_slots(&world);
    troubles::a_host_that_is_cut_off_is_named_late(&world);
    troubles::a_host_that_was_killed_while_it_pushed_goes_on(&world, db);
    troubles::a_host_that_was_installed_anew_raises_an_alarm(&world, mail);
    guards::a_compromised_host_changes_nothing_but_its_own_future(&world, web, files);
    power::the_server_loses_its_current_while_it_ingests(&world, files);
    let offsite = offsite::Offsite::new(&world);
    offsite.ice_comes_from_its_timer(&world);
    offsite.a_drill_restores_a_host_on_a_fresh_machine(&world, db, "fresh");
    audits::both_halves_say_what_holds(&world);
    guards::a_retired_host_keeps_its_past_and_nobody_takes_its_name(&world, mail);
}
