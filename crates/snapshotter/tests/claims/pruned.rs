//! Worlds whose history is old: made by real pushes, and dated back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use formats::HostId;
use formats::records::Record;
use formats::records::log::Event;
use formats::records::plan::PrunePlan;
use history::{History, HostHistory, LogAppender, SnapshotName};

use crate::push::Push;
use crate::state::{State, file};
use crate::stories::first;
use crate::world::{Ended, World, give_away};

/// Keeps the newest, and what a guard keeps; `keep_min` and others by what is appended.
pub(crate) const NOTHING: &str =
    "[retain]\nevery_days = 0\ndaily = 0\nweekly = 0\nmonthly = 0\n[prune]\nnames_per_second = 0\n";

/// What the host had when it pushed for the n-th time: something of its own each time, and something that stays.
pub(crate) fn state(number: u8) -> State {
    first()
        .with("own", file(vec![number; 10_000 + usize::from(number)]))
        .with("etc/number", file(format!("number {number}")))
}

/// So many snapshots, one a day until yesterday, and these lines of settings.
pub(crate) fn world(snapshots: u8, settings: &str) -> World {
    let world = World::quick();
    let text = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, format!("keep_days = 0\n{text}\n{settings}")).unwrap();
    for number in 1..=snapshots {
        let push = match number {
            1 => Push::whole(1, &state(1)),
            number => Push::delta(number, &state(number - 1), &state(number)),
        };
        world.seal(u64::from(number), &push.bytes());
    }
    world.ingest(0);
    date_back(&world, TimeDelta::days(1));
    world
}

/// As [`world`], verified, with a plan that has waited.
pub(crate) fn planned(snapshots: u8, settings: &str) -> World {
    let world = world(snapshots, settings);
    assert_eq!(world.run(&["verify"]).code, 0);
    wait(&world);
    world
}

/// The same again, from a copy of it.
pub(crate) fn copy(of: &World) -> World {
    let world = World::quick();
    let text = fs::read_to_string(&of.config).unwrap();
    let (from, to) = (of.dir.path().to_str().unwrap(), world.dir.path().to_str().unwrap());
    fs::write(&world.config, text.replace(from, to)).unwrap();
    for folder in ["history", "jails", "signing"] {
        let _ = fs::remove_dir_all(world.path(folder));
        let copied = Command::new("cp").arg("-a").arg(of.path(folder)).arg(world.path(folder)).status();
        assert!(copied.unwrap().success());
    }
    world
}

pub(crate) fn place(world: &World) -> HostHistory {
    History::open(&world.path("history")).unwrap().host(&HostId::parse("web01").unwrap()).unwrap()
}

/// Plans, makes all plans four days old, and plans again, as a timer does.
pub(crate) fn wait(world: &World) {
    let ended = world.run(&["prune", "--plan"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    for plan in plans(world) {
        redate(&plan, Utc::now() - TimeDelta::days(4));
    }
    let again = world.run(&["prune", "--plan"]);
    assert_eq!(again.code, 0, "{again:?}");
}

pub(crate) fn plans(world: &World) -> Vec<PathBuf> {
    let folder = fs::read_dir(world.path("history/web01/.prune")).unwrap();
    let mut plans: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    plans.retain(|path| path.extension().is_some_and(|end| end == "plan"));
    plans.sort();
    plans
}

pub(crate) fn redate(plan: &Path, time: DateTime<Utc>) {
    let mut record = PrunePlan::from_line(&text_of(plan)).unwrap();
    record.written = time.to_rfc3339_opts(SecondsFormat::Secs, true);
    sign(plan, &record.to_line().unwrap());
}

/// The text of a plan, whoever signed it.
pub(crate) fn text_of(plan: &Path) -> Vec<u8> {
    let signed = fs::read_to_string(plan).unwrap();
    signed.lines().find(|line| line.starts_with('{')).unwrap().as_bytes().to_vec()
}

/// Writes it as the server does, which has the key.
pub(crate) fn sign(plan: &Path, text: &[u8]) {
    let signing = plan.ancestors().nth(4).unwrap().join("signing");
    let signer = signing::Signer::open(&signing).unwrap();
    fs::write(plan, signer.sign(text, SystemTime::now()).unwrap()).unwrap();
}

pub(crate) fn execute(world: &World, code: i32) -> Ended {
    let ended = world.run(&["--json", "prune", "--execute"]);
    assert_eq!(ended.code, code, "{ended:?}");
    assert!(!ended.err.contains("panicked") && !ended.err.contains("firn: bug"), "{ended:?}");
    ended
}

/// Sequences that the log says exist.
pub(crate) fn sequences(world: &World) -> Vec<u64> {
    world.log().snapshots().iter().map(|snapshot| snapshot.sequence).collect()
}

/// What the log names is there and whole, whatever else lies there.
pub(crate) fn assert_whole(world: &World) {
    for snapshot in world.log().snapshots() {
        let tree = world.path("history/web01").join(snapshot.name.as_str()).join("tree");
        state(u8::try_from(snapshot.sequence).unwrap()).assert_tree(&tree);
        assert!(world.path(&format!("history/web01/manifests/{}.manifest", snapshot.name)).exists());
    }
}

/// Renames every snapshot, and writes the log anew, as if each had come `step` before the next.
pub(crate) fn date_back(world: &World, step: TimeDelta) {
    let host = place(world);
    let lines: Vec<_> = host.log_reader().unwrap().unwrap().map(|raw| raw.unwrap().line).collect();
    let count = world.log().snapshots().len();
    fs::remove_file(world.path("history/web01/log")).unwrap();
    // It was signed, and what is written here instead is another one.
    fs::remove_file(world.path("signing/heads/web01.asc")).unwrap();
    let alone = host.write_lock().unwrap().unwrap();
    let mut log = LogAppender::open(&host, &alone).unwrap();
    for line in lines {
        let Event::Ingest(mut ingest) = line.event else { continue };
        let age = i32::try_from(count - usize::try_from(ingest.sequence).unwrap() + 1).unwrap();
        let time = Utc::now() - step * age;
        let name = SnapshotName::new(time, ingest.sequence).unwrap().to_string();
        let at = |name: &str| world.path("history/web01").join(name);
        fs::rename(at(&ingest.name), at(&name)).unwrap();
        let manifest = |name: &str| at(&format!("manifests/{name}.manifest"));
        fs::rename(manifest(&ingest.name), manifest(&name)).unwrap();
        ingest.name = name;
        log.append(Event::Ingest(ingest), time).unwrap();
    }
    give_away(&world.path("history/web01/log"));
}
