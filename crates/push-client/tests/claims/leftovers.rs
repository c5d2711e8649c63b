//! What a command has started and left, and what does not end when it is told to.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::around::{Around, assert_gone, signal};
use crate::commands::text;
use crate::host::root;
use crate::runner::started;

#[test]
fn what_a_command_leaves_in_its_group_ends_with_it() {
    let around = Around::new();
    let done = around.run(&around.shell("before", "sleep 600 & echo $! > @/child"));
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    assert_gone(&around.read("child"));
}

#[test]
fn a_daemon_that_holds_or_fills_what_its_command_said_keeps_nobody_waiting() {
    for daemon in ["sleep 30", "timeout 30 yes"] {
        let around = Around::new();
        let line = format!("setsid {daemon} & sleep 0.3; echo the last word");
        let begun = Instant::now();
        let done = around.run(&around.shell("before", &line));
        assert_eq!(done.status.code(), Some(18), "{daemon}: {}", text(&done.stderr));
        assert!(begun.elapsed().as_secs() < 20, "{daemon}: {:?}", begun.elapsed());
        let words = text(&done.stderr);
        // Whoever goes on for ever is heard for 200 lines.
        let lines = words.lines().filter(|line| line.starts_with("before 1 (/bin/sh): ")).count();
        assert!(lines <= 201, "{daemon}: {lines}");
        assert_eq!(words.contains("): the last word\n"), daemon == "sleep 30", "{words}");
    }
}

#[test]
fn what_a_command_said_last_is_heard() {
    let around = Around::new();
    // The runner does not listen while all is said, more than it reads at once.
    let line = "(sleep 1; kill -CONT $PPID) & kill -STOP $PPID; head -c 60000 /dev/zero | tr '\\0' x; echo; echo the last word";
    let done = around.run(&around.shell("before", line));
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("): the last word\n"), "{}", text(&done.stderr));
}

#[test]
fn a_late_command_that_left_its_group_is_ended_all_the_same() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("SKIPPED: a_late_command_that_left_its_group_is_ended_all_the_same: no python3");
        return;
    }
    let around = Around::new();
    let leaving = "import os, time; os.setpgid(0, os.getpgid(os.getppid())); print(os.getpgrp() != os.getpid(), flush=True); time.sleep(60)";
    let line = format!("[[before]]\ncommand = [\"python3\", \"-c\", {leaving:?}]\ntimeout_seconds = 3\n");
    let begun = Instant::now();
    let done = around.run(&line);
    assert_eq!(done.status.code(), Some(7), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("before 1 (python3): True"), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("took longer than its timeout_seconds"), "{}", text(&done.stderr));
    assert!(!text(&done.stderr).contains("left behind"), "{}", text(&done.stderr));
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

/// The runner is nobody's, and its command becomes root's: no signal of ours reaches it.
#[test]
fn a_command_that_cannot_be_ended_is_left_behind_by_its_number() {
    const NAME: &str = "a_command_that_cannot_be_ended_is_left_behind_by_its_number";
    if !root() {
        return println!("SKIPPED: {NAME}: only root becomes others");
    }
    let around = Around::new();
    // What lies in it makes root of whoever runs it: it is for root and nobody alone.
    chown(around.folder.path(), None, Some(65534)).unwrap();
    fs::set_permissions(around.folder.path(), fs::Permissions::from_mode(0o710)).unwrap();
    for (name, mode) in [("runner", 0o755), ("become-root", 0o4755)] {
        fs::copy(env!("CARGO_BIN_EXE_push-client"), around.at(name)).unwrap();
        fs::set_permissions(around.at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let line = format!("echo $$ > {0}/pid; exec sleep 60", around.folder.path().display());
    let settings = around.settings(&format!(
        "[[before]]\ncommand = [{:?}, \"become-user\", \"--uid\", \"0\", \"--gid\", \"0\", \"--\", \"/bin/sh\", \"-c\", {line:?}]\n\
         timeout_seconds = 2\n",
        around.at("become-root")
    ));
    around.is_for_everyone_to_read(Path::new(&settings));
    let mut program = Command::new(around.at("runner"));
    let (mut ours, child) = started(program.uid(65534).gid(65534), &settings).unwrap();
    let begun = Instant::now();
    ours.write_all(&[1, 1]).unwrap();
    let mut answer = [0; 4];
    ours.read_exact(&mut answer).unwrap();
    let took = begun.elapsed();
    drop(ours);
    let done = child.wait_with_output().unwrap();
    let pid = around.read("pid");
    if pid.is_empty() {
        return println!("SKIPPED: {NAME}: no program becomes root in {}", std::env::temp_dir().display());
    }
    signal(pid.trim().parse().unwrap(), "KILL");
    assert_gone(&pid);
    // Before 1 took too long. Two seconds, and twice five in which it was asked to end and made to.
    assert_eq!(answer, [1, 1, 2, 0]);
    assert!((12..40).contains(&took.as_secs()), "{took:?}");
    let words = format!("process {} cannot be ended, and is left behind", pid.trim());
    assert!(text(&done.stderr).contains(&words), "{}", text(&done.stderr));
}
