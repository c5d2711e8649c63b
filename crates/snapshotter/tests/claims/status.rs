//! `status`: what is late is named, and seen in the exit code. When a host is late is proved beside the code that says so; here the facts are real.

use std::fs;
use std::time::Instant;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use formats::records::Record;
use formats::records::log::{Event, Ingest};
use formats::records::standing::{Damage, DrillsKnown, StandingIce, StandingProved, StandingRecord};
use formats::{HostId, InstallationId, PushId, Root};
use history::{History, LogAppender};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use serde_json::Value;

use crate::push::Push;
use crate::stories::first;
use crate::world::{Ended, World, give_away};

/// With a standing of its own.
fn world() -> World {
    let world = World::new();
    let text = fs::read_to_string(&world.config).unwrap();
    let own = format!("ice_standing = {:?}\n", world.path("standing.json"));
    fs::write(&world.config, own + &text).unwrap();
    fs::create_dir_all(world.path("records")).unwrap();
    world
}

/// A world whose host has just pushed, by a clock that is right.
fn pushed() -> World {
    let world = world();
    let mut push = Push::whole(1, &first());
    push.header.started = Utc::now().timestamp();
    world.seal(1, &push.bytes());
    world.ingest(0);
    world
}

fn ago(days: i64) -> String {
    (Utc::now() - TimeDelta::days(days)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Makes a file or folder look so many days old.
fn age(world: &World, name: &str, days: i64) {
    let time = Timespec { tv_sec: Utc::now().timestamp() - days * 86_400, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, world.path(name), &times, AtFlags::empty()).unwrap();
}

fn status(world: &World, hosts: &[&str], code: i32) -> (Ended, Vec<Value>) {
    let ended = world.run(&[&["--json", "status"], hosts].concat());
    assert_eq!(ended.code, code, "{ended:?}");
    let hosts = ended.report()["details"]["hosts"].as_array().unwrap().clone();
    (ended, hosts)
}

fn reasons(host: &Value) -> Vec<&str> {
    host["late"].as_array().unwrap().iter().map(|late| late["reason"].as_str().unwrap()).collect()
}

#[test]
fn a_host_that_has_pushed_is_in_time_and_all_that_is_known_of_it_is_told() {
    let world = pushed();
    let (ended, hosts) = status(&world, &["web01"], 0);
    let host = &hosts[0];
    assert_eq!((host["minute"].as_u64(), host["zone"].as_str()), (Some(40), Some("Europe/Berlin")));
    assert_eq!(host["hours"], serde_json::json!([2, 10, 18]));
    assert_eq!(
        (host["snapshots"].as_u64(), host["queued"].as_u64(), host["missed"].as_u64()),
        (Some(1), Some(0), Some(0))
    );
    assert_eq!(host["last_push"]["end"], "accepted");
    assert!(host["logical_bytes"].as_u64().unwrap() >= host["new_bytes"].as_u64().unwrap(), "{host}");
    let (due, next) = (host["last_due"].as_str().unwrap(), host["next_due"].as_str().unwrap());
    let [due, next] = [due, next].map(|text| DateTime::parse_from_rfc3339(text).unwrap());
    assert!(due <= Utc::now() && Utc::now() < next && next - due <= TimeDelta::hours(9), "{due} {next}");
    assert_eq!(
        host["unknown"],
        serde_json::json!(["ice", "drill"]),
        "nothing is published, and nothing is called well"
    );
    assert!(ended.out.contains("1 hosts: 0 late, 1 in time"), "{ended:?}");
    assert_eq!(
        status(&world, &[], 0).1[0]["logical_bytes"],
        Value::Null,
        "sizes are told of hosts that are named"
    );
}

#[test]
fn a_host_that_never_pushed_is_late_and_comes_first() {
    let world = pushed();
    for host in ["zz", "young"] {
        world.add(host);
    }
    age(&world, "jails/zz", 3);
    let (ended, hosts) = status(&world, &[], 5);
    assert_eq!(hosts[0]["host"], "zz");
    assert_eq!(reasons(&hosts[0]), ["never-pushed"]);
    assert!(hosts[1..].iter().all(|host| reasons(host).is_empty()), "{hosts:?}");
    assert!(ended.out.starts_with("LATE     zz: never pushed"), "{ended:?}");
    assert_eq!(status(&world, &["web01", "young"], 0).1.len(), 2, "only what is asked for counts");
    fs::write(world.path("records/zz.toml"), "retired = \"2026-01-01T00:00:00Z\"\n").unwrap();
    let (_, hosts) = status(&world, &[], 0);
    assert!(hosts.iter().any(|host| host["host"] == "zz" && host["state"] == "retired"));
    assert_eq!(world.run(&["status", "absent"]).code, 2);
}

#[test]
fn a_host_of_which_only_a_record_is_left_is_late() {
    let world = pushed();
    fs::write(world.path("records/lost.toml"), "known_as = \"lost\"\n").unwrap();
    let (_, hosts) = status(&world, &[], 5);
    assert_eq!(
        (hosts[0]["host"].as_str(), reasons(&hosts[0]).contains(&"no-jail")),
        (Some("lost"), true),
        "{hosts:?}"
    );
}

#[test]
fn a_rejected_push_a_lost_jail_and_a_record_that_is_none_are_named() {
    let world = pushed();
    let mut bad = Push::whole(2, &first());
    bad.entries += 1;
    world.seal(2, &bad.bytes());
    world.ingest(0);
    let (_, hosts) = status(&world, &[], 5);
    assert_eq!(reasons(&hosts[0]), ["rejected"]);
    assert_eq!(hosts[0]["last_push"]["end"], "rejected");
    world.seal(3, &Push::whole(3, &first()).bytes());
    world.ingest(0);
    status(&world, &[], 0);
    fs::rename(world.path("jails/web01"), world.path("gone")).unwrap();
    assert_eq!(reasons(&status(&world, &[], 5).1[0]), ["no-jail"]);
    fs::rename(world.path("gone"), world.path("jails/web01")).unwrap();
    fs::write(world.path("records/web01.toml"), "hours = [25]\n").unwrap();
    assert_eq!(reasons(&status(&world, &[], 2).1[0]), ["unreadable"]);
}

#[test]
fn a_damaged_log_keeps_its_code_and_the_other_hosts_are_told() {
    let world = pushed();
    world.add("db1");
    age(&world, "jails/db1", 3);
    let log = world.path("history/web01/log");
    fs::write(&log, fs::read_to_string(&log).unwrap().replacen('5', "6", 1)).unwrap();
    let (_, hosts) = status(&world, &[], 28);
    assert_eq!(hosts.len(), 2);
    assert!(hosts.iter().any(|host| reasons(host).contains(&"unreadable")), "{hosts:?}");
}

fn publish(world: &World, written: String, change: impl FnOnce(&mut StandingIce)) {
    let snapshot = world.log().latest().unwrap().name.to_string();
    let ice: formats::records::ice_id::IceId = format!("web01/{snapshot}").parse().unwrap();
    let until = ago(-92);
    let proved = StandingProved {
        ice: ice.clone(),
        snapshot: snapshot.clone(),
        drilled: ago(3),
        retain_until: until.clone(),
    };
    let mut standing = StandingIce {
        host: ice.host().clone(),
        vault: "off".into(),
        ice,
        snapshot,
        stored: ago(2),
        retain_until: until,
        damage: Damage::None,
        proved: Some(proved),
    };
    change(&mut standing);
    let record = StandingRecord {
        format: StandingRecord::format(),
        written,
        vaults: vec!["off".into()],
        drills: DrillsKnown::Read,
        ices: vec![standing],
    };
    let path = world.path("standing.json");
    fs::write(&path, record.to_line().unwrap()).unwrap();
    give_away(&path);
}

#[test]
fn what_iceboxer_published_is_told_and_judged() {
    let world = pushed();
    publish(&world, ago(0), |_| {});
    let (ended, hosts) = status(&world, &[], 0);
    assert_eq!(
        (&hosts[0]["unknown"], hosts[0]["ice"][0]["vault"].as_str()),
        (&serde_json::json!([]), Some("off"))
    );
    assert!(ended.out.contains("ice 2 days") && ended.out.contains("drill 3 days"), "{ended:?}");
    publish(&world, ago(0), |ice| ice.retain_until = ago(1));
    assert_eq!(reasons(&status(&world, &[], 5).1[0]), ["not-locked"]);
    publish(&world, ago(0), |ice| ice.damage = Damage::Found);
    assert_eq!(reasons(&status(&world, &[], 5).1[0]), ["damaged-ice"]);
    publish(&world, ago(20), |_| {});
    let (ended, _) = status(&world, &[], 5);
    assert!(ended.out.contains("iceboxer published nothing since"), "{ended:?}");
    fs::write(world.path("standing.json"), "{}").unwrap();
    let (ended, _) = status(&world, &[], 5);
    assert!(ended.out.contains("what iceboxer published cannot be read"), "{ended:?}");
}

/// So many hosts, each with the log of so many pushes, three a day until now.
fn fleet(hosts: u32, pushes: u64) -> World {
    let world = World::quick();
    let history = History::open(&world.path("history")).unwrap();
    for number in 0..hosts {
        let host = format!("h{number:04}");
        world.add(&host);
        let place = history.host_or_new(&HostId::parse(&host).unwrap()).unwrap();
        give_away(&world.path(&format!("history/{host}")));
        let alone = place.write_lock().unwrap().unwrap();
        let mut log = LogAppender::open(&place, &alone).unwrap();
        for sequence in 1..=pushes {
            let time = Utc::now() - TimeDelta::hours(8 * i64::try_from(pushes - sequence).unwrap());
            log.append(ingested(sequence, time), time).unwrap();
        }
        for name in ["log", ".lock"] {
            give_away(&world.path(&format!("history/{host}/{name}")));
        }
    }
    world
}

fn ingested(sequence: u64, time: DateTime<Utc>) -> Event {
    Event::Ingest(Ingest {
        emergency: false,
        imported: false,
        measured: None,
        sequence,
        name: format!("{}-{sequence:010}", time.format("%Y%m%dT%H%M%SZ")),
        root: Root::from_bytes([7; 32]),
        entries: 100_000,
        left_out: 0,
        base: Some(Root::from_bytes([7; 32])),
        push: PushId::from_bytes(u128::from(sequence).to_le_bytes()),
        installation: InstallationId::from_bytes([1; 16]),
        counter: sequence,
        started: time.timestamp(),
        zone: "Europe/Berlin".to_owned(),
        new_bytes: 1_000_000,
        changes: 100,
        long_entry_bytes: 0,
    })
}

#[test]
fn a_fleet_of_three_thousand_hosts_is_told_in_seconds() {
    let world = fleet(3_000, 21);
    let start = Instant::now();
    let (_, hosts) = status(&world, &[], 0);
    let seconds = start.elapsed().as_secs_f64();
    println!("status of {} hosts with 21 log lines each: {seconds:.2} s", hosts.len());
    assert_eq!(hosts.len(), 3_001);
    assert!(seconds < 60.0, "{seconds}");
}
