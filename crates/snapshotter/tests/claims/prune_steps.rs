//! What a prune tells, notes and holds while it works, and when it cannot go on.

use std::fs;
use std::process::{Command, Output};

use chrono::TimeDelta;
use formats::records::log::Event;
use history::LogAppender;

use crate::kill::{inject_into, strace};
use crate::pruned::{
    NOTHING, assert_whole, copy, date_back, execute, place, planned, sequences, state, wait,
};
use crate::push::Push;
use crate::state::file;
use crate::world::World;

fn disturbed(world: &World, call: &str, how: &str, words: &[&str]) -> Option<Output> {
    let Some(strace) = strace() else {
        println!("SKIPPED: no strace");
        return None;
    };
    let output = inject_into(world, &strace, &["-f"], call, how, words);
    let trace = fs::read_to_string(world.path("trace")).unwrap();
    assert!(
        ["(INJECTED)", "(DELAYED)"].iter().any(|hit| trace.contains(hit)),
        "nothing was disturbed: {output:?}"
    );
    Some(output)
}

fn freed(world: &World) -> u64 {
    let events = place(world).log_reader().unwrap().unwrap().map(|raw| raw.unwrap().line.event);
    events.map(|event| if let Event::Freed { bytes } = event { bytes } else { 0 }).sum()
}

#[test]
fn what_was_removed_and_freed_is_told_and_noted_though_a_later_step_fails() {
    let settings = format!("{NOTHING}keep_min = 2\n");
    let whole = planned(5, &settings);
    execute(&whole, 0);
    for stuck in 5..=24 {
        told_and_noted(&whole, &settings, stuck);
    }
}

/// One name cannot be removed: what is freed is told once, by the run that frees it.
fn told_and_noted(whole: &World, settings: &str, stuck: usize) {
    let world = planned(5, settings);
    let words = ["--json", "prune", "--execute"];
    let how = format!("error=EIO:when={stuck}");
    let Some(output) = disturbed(&world, "unlinkat", &how, &words) else { return };
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches(": removed 2").count(), 3, "{text}");
    let report: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let told = report["counts"]["freed_bytes"].as_u64().unwrap();
    assert_eq!((sequences(&world).len(), told), (2, freed(&world)));
    assert!(told < freed(whole), "stuck at {stuck}: {told}");
    execute(&world, 0);
    assert_eq!(freed(&world), freed(whole), "stuck at {stuck}");
    assert_whole(&world);
}

/// On a full disk that is the room which the next line of the log needs.
#[test]
fn what_was_moved_is_removed_also_if_the_next_line_cannot_be_written() {
    let world = planned(20, &format!("{NOTHING}keep_min = 1\n"));
    let words = ["prune-host", "web01", "execute"];
    let Some(output) = disturbed(&world, "pwrite64", "error=ENOSPC:when=2", &words) else { return };
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(sequences(&world), [17, 18, 19, 20]);
    let trash = fs::read_dir(world.path("history/web01/.trash")).unwrap();
    assert_eq!(trash.count(), 0);
    assert!(freed(&world) > 0);
    assert_whole(&world);
    execute(&world, 0);
    assert_eq!(sequences(&world), [20]);
}

/// However much is deleted, it is no alarm.
const QUIET: &str = "\n[tripwires]\nleast_files = 1000000\n";

/// Snapshots are removed side by side: of a file that several of them have, exactly one removes the last name.
#[test]
fn what_several_threads_free_together_is_counted_once() {
    const SHARED: u64 = 200;
    let has = |number: u8| match number {
        9 => state(9),
        number => (0..SHARED).fold(state(number), |state, n| {
            state.with(&format!("etc/shared-{n}"), file(vec![7; 1 + usize::try_from(n).unwrap()]))
        }),
    };
    let world = World::quick();
    let text = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, format!("keep_days = 0\n{text}\n{NOTHING}keep_min = 1\n{QUIET}")).unwrap();
    for number in 1..=9 {
        let push = match number {
            1 => Push::whole(1, &has(1)),
            number => Push::delta(number, &has(number - 1), &has(number)),
        };
        world.seal(u64::from(number), &push.bytes());
    }
    world.ingest(0);
    date_back(&world, TimeDelta::days(1));
    assert_eq!(world.run(&["verify"]).code, 0);
    wait(&world);
    execute(&world, 0);
    assert_eq!(sequences(&world), [9]);
    let shared: u64 = (1..=SHARED).sum();
    let own: u64 = (1..9).map(|number| 10_000 + number + "number 1".len() as u64).sum();
    assert_eq!(freed(&world), shared + own);
}

#[test]
fn the_host_is_told_of_its_room_at_once() {
    let world = planned(5, &format!("{NOTHING}keep_min = 2\n"));
    let text = fs::read_to_string(&world.config).unwrap();
    let limit = "[limits]\nhistory_bytes = 100000000\n";
    fs::write(&world.config, text.replacen("[limits]\n", limit, 1)).unwrap();
    world.ingest(0);
    let before = world.published();
    execute(&world, 0);
    let after = world.published();
    assert!(after.admission.history_used_bytes < before.admission.history_used_bytes);
    assert_eq!((after.base, &after.verdicts), (before.base, &before.verdicts));
    world.ingest(0);
    assert_eq!(world.published(), after, "as an ingest would say it");
}

#[test]
fn the_lock_of_who_writes_is_held_for_a_few_snapshots_at_a_time() {
    let world = planned(20, &format!("{NOTHING}keep_min = 1\n"));
    let words = ["prune-host", "web01", "execute"];
    let Some(output) = disturbed(&world, "flock", "delay_enter=1", &words) else { return };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(sequences(&world), [20]);
    assert_whole(&world);
    let trace = fs::read_to_string(world.path("trace")).unwrap();
    // Not those of the process that signs plans.
    let pruning = trace.split_whitespace().next().unwrap();
    let own = trace.lines().filter(|line| line.split_whitespace().next() == Some(pruning));
    let taken = own.filter(|line| line.contains("LOCK_EX")).count();
    // The plans once, twice who writes, each snapshot's own, and once to note what was freed.
    assert_eq!(taken, 1 + 2 + 19 + 1, "{trace}");
}

/// Who wrote a line may have been killed before it was on the disk: before it is acted on, it is brought there.
#[test]
fn a_line_that_cannot_be_brought_to_the_disk_is_not_acted_on() {
    let world = planned(3, &format!("{NOTHING}keep_min = 1\n"));
    let snapshot = world.log().snapshots()[0].clone();
    let history = place(&world);
    let alone = history.write_lock().unwrap().unwrap();
    let (sequence, name, root) = (snapshot.sequence, snapshot.name.to_string(), snapshot.root);
    let event = Event::Prune { sequence, name: name.clone(), root, planned: String::new() };
    LogAppender::open(&history, &alone).unwrap().append(event, chrono::Utc::now()).unwrap();
    drop(alone);
    let folder = world.path("history/web01").join(&name);
    let Some(output) = disturbed(&world, "fsync", "error=EIO", &["prune-host", "web01", "execute"]) else {
        return;
    };
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("bring the snapshot log to the disk"),
        "{output:?}"
    );
    assert!(folder.exists(), "moved, and the line might be lost");
    execute(&world, 0);
    assert!(!folder.exists());
}

#[test]
fn a_verify_that_cannot_be_noted_is_told() {
    let world = crate::pruned::world(2, NOTHING);
    let Some(output) = disturbed(&world, "pwrite64", "error=ENOSPC", &["verify"]) else { return };
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not noted in its log"), "{output:?}");
    assert_eq!(world.run(&["verify"]).code, 0, "control");
}

/// What one host's files were says nothing of another's: between the two no lock is held.
#[test]
fn a_verify_forgets_what_it_read_of_a_host_before_the_next() {
    let world = World::new();
    world.add("db1");
    for host in ["web01", "db1"] {
        let mut push = crate::push::Push::whole(1, &crate::stories::first());
        push.header.host = formats::HostId::parse(host).unwrap();
        world.seal_for(host, 1, &push.bytes());
    }
    world.ingest(0);
    let read = || world.run(&["--json", "verify"]).report()["counts"]["read_bytes"].as_u64().unwrap();
    let before = read();
    let tree = |host: &str| {
        let name = world.log_of(host).snapshots()[0].name.to_string();
        world.path("history").join(host).join(name).join("tree/etc/hosts")
    };
    fs::remove_file(tree("db1")).unwrap();
    fs::hard_link(tree("web01"), tree("db1")).unwrap();
    assert_eq!(read(), before);
}

#[test]
fn a_record_that_cannot_be_read_hides_no_snapshot_of_any_host() {
    let world = crate::pruned::world(2, NOTHING);
    fs::create_dir_all(world.path("records")).unwrap();
    fs::write(world.path("records/web01.toml"), "hours = nonsense").unwrap();
    let ended = world.run(&["list"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert_eq!(ended.out.matches("kept by unknown rules").count(), 2, "{ended:?}");
}

/// A rename across folders can come to the disk as both names, if the power goes between the two.
#[test]
fn what_a_power_cut_left_both_in_its_place_and_in_the_trash_is_gone_after_the_next_run() {
    let world = planned(5, &format!("{NOTHING}keep_min = 2\n"));
    let before = copy(&world);
    execute(&world, 0);
    let name = before.log().snapshots()[0].name.to_string();
    let manifest = format!("manifests/{name}.manifest");
    for (part, thrown) in [(&name, name.clone()), (&manifest, format!("{name}.manifest"))] {
        for to in [part, &format!(".trash/{thrown}")] {
            let history = |world: &World| world.path("history/web01");
            let mut copied = Command::new("cp");
            copied.arg("-a").arg(history(&before).join(part)).arg(history(&world).join(to));
            assert!(copied.status().unwrap().success(), "{copied:?}");
        }
    }
    execute(&world, 0);
    assert_eq!(sequences(&world), [4, 5]);
    assert_eq!(fs::read_dir(world.path("history/web01/.trash")).unwrap().count(), 0);
    assert!(!world.path("history/web01").join(manifest).exists());
    assert_whole(&world);
    assert_eq!(world.run(&["verify"]).code, 0);
}
