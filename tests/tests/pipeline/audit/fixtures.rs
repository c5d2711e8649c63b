//! Twelve ways to break a server, one for each requirement, each mended again.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use pipeline_tests::{Host, Outcome};

use super::world::{World, set_mode};

type Mend = Box<dyn FnOnce(&mut World)>;

pub(super) struct Fixture {
    pub(super) requirement: &'static str,
    pub(super) what: &'static str,
    /// A word of the evidence.
    pub(super) named: &'static str,
    pub(super) break_it: fn(&mut World) -> Mend,
    /// What else happens on the machine, as shell.
    pub(super) stage: &'static str,
}

pub(super) const FIXTURES: [Fixture; 12] = [
    Fixture {
        requirement: "R1",
        what: "a spool that everybody can read",
        named: "spool/sealed",
        break_it: spool,
        stage: "",
    },
    Fixture {
        requirement: "R2",
        what: "a private key beside the settings",
        named: "is a private SSH key",
        break_it: key,
        stage: "",
    },
    Fixture {
        requirement: "R3",
        what: "an older file that was written to",
        named: "changes",
        break_it: older,
        stage: "",
    },
    Fixture {
        requirement: "R4",
        what: "a history that its host may read",
        named: "can list",
        break_it: own,
        stage: "",
    },
    Fixture {
        requirement: "R5",
        what: "ice that is too old",
        named: "days old",
        break_it: old_ice,
        stage: "",
    },
    Fixture {
        requirement: "R6",
        what: "credentials that may change the bucket's versioning",
        named: "PutBucketVersioning",
        break_it: versioning,
        stage: "",
    },
    Fixture {
        requirement: "R7",
        what: "credentials that may delete",
        named: "DeleteObject",
        break_it: deletion,
        stage: "",
    },
    Fixture { requirement: "R8", what: "locks of a month", named: "30 days", break_it: short, stage: "" },
    Fixture {
        requirement: "R9",
        what: "a history of three months",
        named: "keep_days is 90",
        break_it: keep,
        stage: "",
    },
    Fixture {
        requirement: "R10",
        what: "a host that fell silent",
        named: "has not pushed for",
        break_it: silent,
        stage: "",
    },
    Fixture {
        requirement: "R11",
        what: "a budget that does not last",
        named: "passes the budget",
        break_it: budget,
        stage: "",
    },
    Fixture {
        requirement: "R12",
        what: "hosts that all come in one minute",
        named: "come in minute",
        break_it: at_once,
        stage: "",
    },
];

fn spool(world: &mut World) -> Mend {
    let folder = world.hosts[0].jail.join("spool/sealed");
    let before = set_mode(&folder, 0o2775);
    Box::new(move |_| {
        set_mode(&folder, before);
    })
}

fn key(world: &mut World) -> Mend {
    let file = world.etc("id_ed25519");
    fs::copy(&world.hosts[0].key.path, &file).unwrap();
    Box::new(move |_| fs::remove_file(file).unwrap())
}

/// As a mirror does that writes in place.
fn older(world: &mut World) -> Mend {
    let host = &world.hosts[0];
    let [older, ..] = &world.snapshots(&host.name)[..] else { panic!("no snapshots") };
    let file = older.join("tree").join(host.roots[0].join("changes").strip_prefix("/").unwrap());
    let before = fs::read(&file).unwrap();
    fs::write(&file, b"as it never was").unwrap();
    Box::new(move |_| fs::write(file, before).unwrap())
}

/// The folder of histories may be walked through by this account only, so no other host sees more than before.
fn own(world: &mut World) -> Mend {
    let host = &world.hosts[0];
    let (all, one) = (world.scratch.folder.join("history"), world.scratch.history(&host.name));
    acl(&["-m", &format!("u:{}:--x", host.account)], &all);
    acl(&["-m", &format!("u:{}:r-x", host.account)], &one);
    Box::new(move |_| {
        acl(&["-b"], &all);
        acl(&["-b"], &one);
    })
}

fn acl(words: &[&str], path: &Path) {
    Outcome::of(Command::new("setfacl").args(words).arg(path)).unwrap().expect_code(&[0]).unwrap();
}

/// A change that is in no ice. Changed back, each host is what the ice holds, in a snapshot of its own.
fn old_ice(world: &mut World) -> Mend {
    let change = |host: &Host| {
        let path = host.roots[0].join("changes");
        let before = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
        fs::write(&path, b"as it is after the ice").unwrap();
        (path, before)
    };
    let changed: Vec<_> = world.hosts.iter().map(change).collect();
    world.push_all();
    let mend = aged(world);
    Box::new(move |world| {
        mend(world);
        for (path, (bytes, time)) in changed {
            fs::write(&path, bytes).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }
        world.push_all();
    })
}

pub(super) fn aged(world: &World) -> Mend {
    let file = world.standing();
    let before = fs::read_to_string(&file).unwrap();
    let mut standing: serde_json::Value = serde_json::from_str(&before).unwrap();
    for ice in standing["ices"].as_array_mut().unwrap() {
        ice["stored"] = "2026-01-01T00:00:00Z".into();
    }
    fs::write(&file, format!("{standing}\n")).unwrap();
    Box::new(move |_| fs::write(file, before).unwrap())
}

fn versioning(world: &mut World) -> Mend {
    world.point(&["s3:PutBucketVersioning"], "");
    Box::new(|world| world.point(&[], ""))
}

fn deletion(world: &mut World) -> Mend {
    world.point(&["s3:DeleteObject"], "");
    Box::new(|world| world.point(&[], ""))
}

/// iceboxer itself refuses such settings, so that no lock can be tried: those lines are unknown.
fn short(world: &mut World) -> Mend {
    let before = world.edit("ice.toml", |text| text.replace("retention_days = 92", "retention_days = 30"));
    Box::new(move |world| fs::write(world.etc("ice.toml"), before).unwrap())
}

fn keep(world: &mut World) -> Mend {
    let before = world.edit("server.toml", |text| format!("keep_days = 90\n{text}"));
    Box::new(move |world| fs::write(world.etc("server.toml"), before).unwrap())
}

/// The clock is never set; instead a host's log is written as if all of it had happened five days earlier, with sound hashes.
fn silent(world: &mut World) -> Mend {
    let host = world.hosts[0].name.clone();
    let file = world.scratch.history(&host).join("log");
    let before = fs::read_to_string(&file).unwrap();
    let mut previous = blake3::hash(host.as_bytes()).to_hex().to_string();
    let mut after = String::new();
    for line in before.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let time = chrono::DateTime::parse_from_rfc3339(value["time"].as_str().unwrap()).unwrap();
        let earlier = (time - chrono::TimeDelta::days(5))
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
            .replace("+00:00", "Z");
        let old = |name: &str| format!("\"{name}\":{}", value[name]);
        let line = line.replacen(&old("time"), &format!("\"time\":\"{earlier}\""), 1);
        let line = line.replacen(&old("previous"), &format!("\"previous\":\"{previous}\""), 1);
        let (checked, _) = line.split_once(",\"check\"").unwrap();
        let line = format!("{checked},\"check\":\"{}\"}}\n", blake3::hash(checked.as_bytes()).to_hex());
        previous = blake3::hash(line.as_bytes()).to_hex().to_string();
        after.push_str(&line);
    }
    fs::write(&file, after).unwrap();
    // It was signed as it was; a verify signs it as it is.
    let head = world.scratch.folder.join("signing/heads").join(format!("{host}.asc"));
    let signed = fs::read(&head).unwrap();
    fs::remove_file(&head).unwrap();
    Outcome::of(&mut world.scratch.snapshotter(&["verify", &host])).unwrap().expect_code(&[0]).unwrap();
    Box::new(move |_| {
        fs::write(file, before).unwrap();
        fs::write(head, signed).unwrap();
    })
}

fn budget(world: &mut World) -> Mend {
    world.point(&[], "0.000001");
    Box::new(|world| world.point(&[], ""))
}

/// Four hosts more, chosen for their names. They stay: a host is not removed.
fn at_once(world: &mut World) -> Mend {
    let minute = crc32fast::hash(world.hosts[0].name.as_bytes()) % 60;
    let names = (0..10_000)
        .map(|number| format!("h{number}"))
        .filter(|name| crc32fast::hash(name.as_bytes()) % 60 == minute);
    for name in names.take(4) {
        fs::create_dir_all(world.etc("nothing")).unwrap();
        world.scratch.add_host(&name, &[world.etc("nothing")]).unwrap();
    }
    Box::new(|world| {
        for host in world.scratch.hosts().iter().skip(2) {
            fs::remove_dir_all(&host.jail).unwrap();
            // A record alone would still make it a host.
            let _ = fs::remove_file(world.etc("hosts").join(format!("{}.toml", host.name)));
        }
    })
}
