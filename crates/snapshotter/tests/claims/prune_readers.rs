//! What is read stays, and only that.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use chrono::Utc;
use formats::records::log::Event;
use history::LogAppender;

use crate::pruned::{NOTHING, assert_whole, execute, place, planned, sequences, state, wait, world};
use crate::push::Push;
use crate::state::file;

const KEPT: &str = "somebody reads it";

#[test]
fn what_a_reader_reads_stays_and_is_named_and_all_else_goes() {
    let world = planned(5, &format!("{NOTHING}keep_min = 1\n"));
    let place = place(&world);
    let second = world.log().snapshots()[1].clone();
    let reading = place.read_lock(&second).unwrap();
    let began = Instant::now();
    let ended = execute(&world, 0);
    assert!(began.elapsed() < Duration::from_secs(20), "nobody is waited for");
    assert_eq!(sequences(&world), [2, 5]);
    assert_eq!(ended.out.matches(&format!(": {KEPT}\n")).count(), 1, "{ended:?}");
    assert!(ended.out.contains(&format!("kept {}: {KEPT}", second.name)), "{ended:?}");
    assert_whole(&world);
    assert_eq!(world.run(&["verify"]).code, 0, "who reads keeps nobody from reading");
    drop(reading);
    wait(&world);
    let ended = execute(&world, 0);
    assert_eq!(sequences(&world), [5]);
    assert!(!ended.out.contains(KEPT), "{ended:?}");
}

/// One run removes no more than `cap`, from the oldest on.
#[test]
fn what_is_read_takes_the_place_of_nothing_that_may_go() {
    let world = planned(6, &format!("{NOTHING}keep_min = 1\ncap = 2\n"));
    // The plan names the two oldest, and the one of tomorrow the next two.
    wait(&world);
    let place = place(&world);
    let reading: Vec<_> =
        world.log().snapshots()[..2].iter().map(|one| place.read_lock(one).unwrap()).collect();
    let ended = execute(&world, 0);
    assert_eq!(sequences(&world), [1, 2, 5, 6], "{ended:?}");
    assert_eq!(ended.out.matches(&format!(": {KEPT}\n")).count(), 2, "{ended:?}");
    drop(reading);
    wait(&world);
    execute(&world, 0);
    assert_eq!(sequences(&world), [5, 6]);
}

/// Whoever may read may lock, also alone. That keeps readers waiting, and no longer than a prune could: half a minute, so this is of the long form.
#[test]
fn who_locks_a_snapshot_alone_keeps_nobody_from_restoring_it_nor_a_host_from_pushing() {
    if std::env::var_os("FIRN_LONG").is_none() {
        let test = "who_locks_a_snapshot_alone_keeps_nobody_from_restoring_it_nor_a_host_from_pushing";
        return println!("SKIPPED: {test}: needs FIRN_LONG, and a minute");
    }
    let world = planned(3, &format!("{NOTHING}keep_min = 1\n"));
    let first = world.log().snapshots()[0].clone();
    let (name, history) = (first.name.to_string(), place(&world));
    let alone = history.removal_lock(&first.name).unwrap().expect("free");
    let before = world.log().verified().map(|verified| verified.time.clone());
    let (restored, verified) = std::thread::scope(|scope| {
        let verify = scope.spawn(|| world.run(&["--json", "verify", "web01"]));
        let target = world.path("target");
        let restored = world.run(&["restore", "web01", &name, "--to", target.to_str().unwrap()]);
        (restored, verify.join().unwrap())
    });
    // Privileges and a device were not asked for, and nothing else is left out.
    assert!(restored.code == 3 && restored.err.contains("locked by somebody"), "{restored:?}");
    assert!(world.path("target").join("etc").is_dir());
    // The others are read all the same; that all is well is not said.
    assert!(verified.code == 3 && verified.err.contains("locked by somebody"), "{verified:?}");
    assert_eq!(verified.report()["counts"]["snapshots"], 2, "{verified:?}");
    let noted = || world.log().verified().map(|verified| verified.time.clone());
    assert_eq!(noted(), before, "{verified:?}");
    world.seal(4, &Push::delta(4, &state(3), &state(4)).bytes());
    world.ingest(0);
    let ended = execute(&world, 0);
    assert!(ended.out.contains(&format!("kept {name}: {KEPT}")), "{ended:?}");
    assert!(sequences(&world).contains(&1) && !sequences(&world).contains(&2), "{ended:?}");
    drop(alone);
    assert_eq!(world.run(&["verify"]).code, 0);
}

/// A real one, which waits for somebody to take what it gives.
#[test]
fn a_restore_at_work_keeps_its_snapshot_and_comes_to_its_end() {
    let world = world(2, &format!("{NOTHING}keep_min = 1\n"));
    let big = state(3).with("var/big", file(vec![b'b'; 8 << 20]));
    world.seal(3, &Push::delta(3, &state(2), &big).bytes());
    world.ingest(0);
    world.seal(4, &Push::delta(4, &big, &state(4)).bytes());
    world.ingest(0);
    assert_eq!(world.run(&["verify"]).code, 0);
    wait(&world);
    let name = world.log().snapshots()[2].name.to_string();
    let mut restoring = world.command(&["restore", "web01", &name, "--tar"]);
    let mut restoring = restoring.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = restoring.stdout.take().unwrap();
    out.read_exact(&mut [0; 512]).unwrap();
    let ended = execute(&world, 0);
    assert_eq!(sequences(&world), [3, 4]);
    assert!(ended.out.contains(&format!("kept {name}: {KEPT}")), "{ended:?}");
    assert!(restoring.try_wait().unwrap().is_none(), "control: it is still at work");
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).unwrap();
    let ended = restoring.wait_with_output().unwrap();
    // Privileges and a device were not asked for, and nothing else is left out.
    assert!(ended.status.code() == Some(3) && rest.len() > 8 << 20, "{ended:?}");
    wait(&world);
    execute(&world, 0);
    assert_eq!(sequences(&world), [4]);
}

/// One after the other, and the newest until the end.
#[test]
fn a_verify_at_work_keeps_what_it_reads() {
    let world = world(3, "[verify]\nbytes_per_second = 40000\n");
    let (place, snapshots) = (place(&world), world.log().snapshots().to_vec());
    let mut verifying = world.command(&["verify"]).stdout(Stdio::null()).spawn().unwrap();
    let (mut read, mut looks_at_newest) = (vec![false; snapshots.len()], 0);
    while verifying.try_wait().unwrap().is_none() {
        for (snapshot, is_read) in snapshots.iter().zip(&mut read) {
            *is_read |= place.removal_lock(&snapshot.name).unwrap().is_none();
        }
        let is_first = place.removal_lock(&snapshots[0].name).unwrap().is_none();
        looks_at_newest += u32::from(is_first && place.removal_lock(&snapshots[2].name).unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(verifying.wait().unwrap().success());
    assert!(read.iter().all(|is_read| *is_read) && looks_at_newest > 0, "{read:?}, {looks_at_newest}");
    assert!(snapshots.iter().all(|one| place.removal_lock(&one.name).unwrap().is_some()), "all is let go");
}

/// The line is in the log, its writer was killed, and somebody had found the snapshot before.
#[test]
fn what_was_pruned_half_way_is_moved_only_when_nobody_reads_it_any_more() {
    let world = planned(3, &format!("{NOTHING}keep_min = 1\n"));
    let place = place(&world);
    let first = world.log().snapshots()[0].clone();
    let reading = place.read_lock(&first).unwrap();
    let alone = place.write_lock().unwrap().unwrap();
    let (sequence, name, root) = (first.sequence, first.name.to_string(), first.root);
    let event = Event::Prune { sequence, name: name.clone(), root, planned: String::new() };
    LogAppender::open(&place, &alone).unwrap().append(event, Utc::now()).unwrap();
    drop(alone);
    let (tree, manifest) = (
        world.path("history/web01").join(&name).join("tree"),
        world.path(&format!("history/web01/manifests/{name}.manifest")),
    );
    let ended = execute(&world, 0);
    assert!(tree.exists() && manifest.exists(), "{ended:?}");
    assert!(ended.out.contains(&format!("kept {name}: {KEPT}")), "{ended:?}");
    assert_eq!(sequences(&world), [3], "the others went");
    drop(reading);
    execute(&world, 0);
    assert!(!tree.exists() && !manifest.exists());
    assert_eq!(world.run(&["verify"]).code, 0);
}
