//! What commands, and the process that runs them, have and do not have.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use crate::around::Around;
use crate::commands::{run, text};
use crate::host::root;
use crate::runner::started;

/// The same number on every kind of machine.
const LANDLOCK_CREATE_RULESET: i64 = 444;
const ENOSYS: u32 = 38;

#[test]
fn neither_runner_nor_commands_have_the_environment_of_their_starter() {
    let around = Around::new();
    // A command's parent is the runner, whose environment is for root alone to read.
    let of_the_runner = around.shell("before", "cat /proc/$PPID/environ > @/environ && touch @/read");
    let done = around.run(&of_the_runner);
    if root() {
        assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
        assert_eq!((around.read("environ").as_str(), around.at("read").exists()), ("", true));
    }
    // And what a runner has that was started with more, its commands do not have.
    let settings = around.settings(&around.shell("before", "env > @/env"));
    let mut program = Command::new(env!("CARGO_BIN_EXE_push-client"));
    let (mut ours, child) = started(program.env("SECRET", "not for commands"), &settings).unwrap();
    ours.write_all(&[1, 1]).unwrap();
    ours.read_exact(&mut [0; 4]).unwrap();
    drop(ours);
    assert!(child.wait_with_output().unwrap().status.success());
    let words = around.read("env");
    assert!(words.contains("FIRN_HOST=web01\n") && !words.contains("SECRET"), "{words}");
}

#[test]
fn a_command_of_another_account_has_nothing_of_what_its_starter_held_fast() {
    const NAME: &str = "a_command_of_another_account_has_nothing_of_what_its_starter_held_fast";
    if !root() {
        return println!("SKIPPED: {NAME}: only root becomes others");
    }
    let around = Around::new();
    let caps = "[[before]]\ncommand = [\"grep\", \"Cap\", \"/proc/self/status\"]\n";
    let groups = "[[before]]\ncommand = [\"id\", \"-G\"]\n";
    let nobody = "user = \"nobody\"\n";
    let settings = around.settings(&[caps, caps, nobody, groups, groups, nobody].concat());
    // One then stays with a process that changes its user, and with what it becomes.
    let done = Command::new("setpriv")
        .args(["--inh-caps", "+chown", "--ambient-caps", "+chown", "--securebits", "+no_setuid_fixup"])
        .args(["--groups", "4"])
        .args([env!("CARGO_BIN_EXE_push-client"), "run", "--config", &settings, "--to-file"])
        .arg(around.at("push"))
        .output();
    let Ok(done) = done else { return println!("SKIPPED: {NAME}: no setpriv") };
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    let words = text(&done.stderr);
    let held = |whose: &str| {
        let lines = words.lines().filter_map(|line| line.strip_prefix(whose)?.strip_prefix("Cap"));
        let held: BTreeMap<_, _> = lines.filter_map(|line| line.split_once(":\\x09")).collect();
        assert_eq!(held.len(), 5, "{words}");
        held
    };
    // What root's command has shows that it was asked for.
    assert_eq!(held("before 1 (grep): ")["Amb"], "0000000000000001", "{words}");
    assert!(held("before 2 (grep): ").values().all(|set| *set == "0".repeat(16)), "{words}");
    // And groups, of which an account has its own.
    let groups = |whose: &str| words.lines().find_map(|line| line.strip_prefix(whose)).map(str::to_owned);
    assert_eq!(groups("before 3 (id): ").unwrap(), "0 4");
    assert_eq!(groups("before 4 (id): ").unwrap(), "65534");
}

#[test]
fn whoever_is_no_root_may_name_its_own_account() {
    const NAME: &str = "whoever_is_no_root_may_name_its_own_account";
    if !root() {
        return println!("SKIPPED: {NAME}: only root becomes others");
    }
    let around = Around::new();
    let line = "[[before]]\ncommand = [\"true\"]\nuser = ";
    let settings = around.settings(&format!("{line}\"nobody\"\n{line}\"daemon\"\n"));
    around.is_for_everyone_to_read(Path::new(&settings));
    let mut program = Command::new(env!("CARGO_BIN_EXE_push-client"));
    let Ok((mut ours, child)) = started(program.uid(65534).gid(65534), &settings) else {
        return println!("SKIPPED: {NAME}: the program is not for everyone");
    };
    let mut answers = [[0; 4]; 2];
    for (number, answer) in (1..).zip(&mut answers) {
        ours.write_all(&[1, number]).unwrap();
        ours.read_exact(answer).unwrap();
    }
    drop(ours);
    let done = child.wait_with_output().unwrap();
    // What is another's it may not: 127.
    assert_eq!(answers, [[1, 1, 0, 0], [1, 2, 0, 127]], "{}", text(&done.stderr));
}

#[test]
fn nobody_becomes_the_user_that_means_no_change() {
    for (uid, gid) in [("4294967295", "65534"), ("65534", "4294967295")] {
        let done = run(&["become-user", "--uid", uid, "--gid", gid, "--", "id"]);
        assert_eq!((done.status.code(), text(&done.stdout).as_str()), (Some(127), ""), "{uid} {gid}");
        assert!(text(&done.stderr).contains("cannot become user"), "{}", text(&done.stderr));
    }
}

/// Runs the program as on a kernel without Landlock.
pub(crate) fn without_landlock(arguments: Vec<String>) -> std::process::Output {
    let rules = BTreeMap::from([(LANDLOCK_CREATE_RULESET, Vec::new())]);
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let hidden = SeccompAction::Errno(ENOSYS);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, hidden, arch).unwrap();
    let filter = BpfProgram::try_from(filter).unwrap();
    // The filter is this thread's, and its children's.
    let thread = thread::spawn(move || {
        seccompiler::apply_filter(&filter).unwrap();
        Command::new(env!("CARGO_BIN_EXE_push-client")).args(arguments).output().unwrap()
    });
    thread.join().unwrap()
}

#[test]
fn where_there_is_no_landlock_there_are_no_pushes_with_commands() {
    let around = Around::new();
    let push = around.at("push");
    let pushed = |commands: &str| {
        let settings = around.settings(commands);
        let arguments = ["run", "-v", "--config", &settings, "--to-file", push.to_str().unwrap()];
        without_landlock(arguments.map(str::to_owned).to_vec())
    };
    for kind in ["before", "after", "dump"] {
        let path = if kind == "dump" { "path = \"/d/1\"\n" } else { "" };
        let done = pushed(&format!("{}{path}", around.shell(kind, "echo out")));
        assert_eq!(done.status.code(), Some(4), "{kind}: {}", text(&done.stderr));
        assert!(text(&done.stderr).contains("need a kernel with landlock"), "{}", text(&done.stderr));
        assert!(!push.exists(), "{kind}");
    }
    // Without commands it is not asked for.
    let done = pushed("");
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("this kernel has no landlock"), "{}", text(&done.stderr));
}
