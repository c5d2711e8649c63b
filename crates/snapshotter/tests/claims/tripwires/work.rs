//! What work does to a host: it raises no alarm.

use std::fs;
use std::path::Path;
use std::process::Command;

use formats::records::log::Alarm;

use super::{alarms, next, noise, text, world};
use crate::state::{Item, State, file, path};
use crate::world::Ended;

/// A program and its arguments, in this folder; it has to do well.
fn does(folder: &Path, words: &[&str]) {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(folder).env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1");
    let ended = Ended::of(&mut command);
    assert_eq!(ended.code, 0, "{words:?}: {ended:?}");
}

fn read(top: &Path, folder: &Path, state: &mut State) {
    for entry in fs::read_dir(folder).unwrap() {
        let place = entry.unwrap().path();
        let name = path(place.strip_prefix(top).unwrap().to_str().unwrap());
        if place.is_dir() {
            state.0.insert(name, Item::Folder);
            read(top, &place, state);
        } else {
            state.0.insert(name, file(fs::read(&place).unwrap()));
        }
    }
}

/// All files of a folder.
fn of(folder: &Path) -> State {
    let mut state = State::default();
    read(folder, folder, &mut state);
    state
}

/// Programs and libraries, one in seven of them new.
fn upgrade(top: &Path) {
    let usr = top.join("usr/lib");
    for n in (0..700u64).step_by(7) {
        fs::write(usr.join(format!("lib{n}.so.1")), text(n + 70_000, 3_000)).unwrap();
        fs::remove_file(usr.join(format!("doc{n}.gz"))).unwrap();
        fs::write(usr.join(format!("doc{n}.1.gz")), noise(900, n + 70_000)).unwrap();
    }
}

/// Ten logs, each with ten that were packed before: all move on by one, and the oldest goes.
fn rotate(top: &Path) {
    let log = top.join("var/log");
    for n in 0..10u64 {
        let at = |age: u64| log.join(format!("app{n}.log.{age}.gz"));
        fs::remove_file(at(10)).unwrap();
        (2..10).rev().for_each(|age| fs::rename(at(age), at(age + 1)).unwrap());
        let live = log.join(format!("app{n}.log"));
        let first = log.join(format!("app{n}.log.1"));
        does(&log, &["gzip", "-n", first.to_str().unwrap()]);
        fs::rename(at(1), at(2)).unwrap();
        fs::rename(&live, &first).unwrap();
        fs::write(&live, text(n + 80_000, 200)).unwrap();
    }
}

fn furnish(top: &Path) {
    for folder in ["usr/lib", "var/log", "var/backups", "srv/repo"] {
        fs::create_dir_all(top.join(folder)).unwrap();
    }
    for n in 0..700u64 {
        fs::write(top.join(format!("usr/lib/lib{n}.so.1")), text(n, 2_500)).unwrap();
        fs::write(top.join(format!("usr/lib/doc{n}.gz")), noise(800, n)).unwrap();
    }
    for n in 0..10u64 {
        let log = |age: &str| top.join(format!("var/log/app{n}.log{age}"));
        fs::write(log(""), text(n + 1_000, 4_000)).unwrap();
        fs::write(log(".1"), text(n + 2_000, 4_000)).unwrap();
        (2..=10u64).for_each(|age| fs::write(log(&format!(".{age}.gz")), noise(700, n * 100 + age)).unwrap());
    }
    fs::write(top.join("var/backups/dump.sql"), text(5, 400_000)).unwrap();
}

/// A repository with a thousand loose objects and more.
fn commit(top: &Path) {
    let repo = top.join("srv/repo");
    for n in 0..1_000u64 {
        fs::write(repo.join(format!("source{n}.c")), text(n + 9_000, 300)).unwrap();
    }
    does(&repo, &["git", "init", "-q", "."]);
    does(&repo, &["git", "config", "gc.auto", "0"]);
    does(&repo, &["git", "add", "."]);
    does(
        &repo,
        &["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "all of it"],
    );
    (0..1_000u64).for_each(|n| fs::remove_file(repo.join(format!("source{n}.c"))).unwrap());
}

/// A day's work on a tree.
type Step<'a> = &'a dyn Fn(&Path);

/// One step of a day's work after the other, each a push, on a host that has little else: none raises an alarm, nor do all of them together.
#[test]
fn upgrades_rotations_dumps_and_git_raise_no_alarm() {
    if Command::new("git").arg("--version").output().is_err() {
        println!("SKIPPED: upgrades_rotations_dumps_and_git_raise_no_alarm: git is not there");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let top = scratch.path();
    furnish(top);
    commit(top);
    let mut state = of(top);
    let world = world("", &state);
    let dump = |top: &Path| fs::write(top.join("var/backups/dump.sql"), text(5, 440_000)).unwrap();
    let gc = |top: &Path| does(&top.join("srv/repo"), &["git", "gc", "-q", "--prune=now"]);
    let steps: [(&str, Step<'_>); 4] =
        [("upgrade", &upgrade), ("rotation", &rotate), ("dump", &dump), ("git gc", &gc)];
    for (push, (what, step)) in (2..).zip(steps) {
        step(top);
        let after = of(top);
        next(&world, push, &state, &after);
        assert_eq!(alarms(&world), [], "{what}");
        state = after;
    }
    assert_eq!(world.log().hold(), None);
    assert_eq!(world.log().snapshots().len(), 5);
    // The control: the same host, when its objects go and no pack comes.
    let pack = |name: &str| name.starts_with("usr/") || name.starts_with("var/log");
    let gone = State(
        state
            .0
            .iter()
            .filter(|(name, _)| !pack(&name.to_string()))
            .map(|(name, item)| (name.clone(), item.clone()))
            .collect(),
    );
    next(&world, 9, &state, &gone);
    assert_eq!(alarms(&world), [Alarm::Deleted]);
}
