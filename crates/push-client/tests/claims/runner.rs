//! What the process that runs commands may be told, and by whom it may be read.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use cli::Silent;
use push_client::commands::{CommandError, Runner};
use push_client::plan::Plan;

use crate::around::{Around, assert_gone, signal};
use crate::commands::text;
use crate::host::root;

/// Speaks to the runner as a walk that was taken over would.
fn told(settings: &str, asks: &[[u8; 2]]) -> (Vec<u8>, String) {
    let (mut ours, child) = runner(settings);
    let mut answers = Vec::new();
    for ask in asks {
        ours.write_all(ask).unwrap();
        let mut answer = [0; 4];
        // It may have been hung up on us.
        if ours.read_exact(&mut answer).is_err() {
            break;
        }
        answers.extend_from_slice(&answer);
    }
    drop(ours);
    let done = child.wait_with_output().unwrap();
    (answers, text(&done.stderr))
}

/// A runner that has greeted us.
pub(crate) fn runner(settings: &str) -> (UnixStream, Child) {
    started(Command::new(env!("CARGO_BIN_EXE_push-client")).env_clear(), settings).unwrap()
}

/// The same, of a program that is called in some other way.
pub(crate) fn started(program: &mut Command, settings: &str) -> std::io::Result<(UnixStream, Child)> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let child = program
        .args(["run-commands", "--config", settings])
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // The command holds the other end of the socket, too.
    program.stdin(Stdio::null());
    ours.read_exact(&mut [0; 36])?;
    Ok((ours, child))
}

#[test]
fn a_walk_that_was_taken_over_can_ask_for_nothing_but_what_is_next() {
    let around = Around::new();
    let commands = [
        around.shell("before", "echo before1 >> @/log"),
        around.shell("before", "echo before2 >> @/log"),
        around.shell("after", "echo after >> @/log"),
    ];
    let settings = around.settings(&commands.concat());
    let log = |asks: &[[u8; 2]]| {
        let _ = fs::remove_file(around.at("log"));
        let (answers, words) = told(&settings, asks);
        (answers, words, around.read("log"))
    };
    // In order.
    let (answers, _, ran) = log(&[[1, 1], [1, 2], [3, 0]]);
    assert_eq!(answers, [1, 1, 0, 0, 1, 2, 0, 0, 3, 1, 0, 0]);
    assert_eq!(ran, "before1\nbefore2\nafter\n");
    for bad in [[1, 0], [1, 2], [1, 3], [1, 255], [2, 1], [2, 0], [9, 9]] {
        let (answers, words, ran) = log(&[bad]);
        assert_eq!((answers.as_slice(), ran.as_str()), ([].as_slice(), ""), "{bad:?}: {words}");
    }
    // Twice: what was done is undone, and nothing more is heard.
    let (_, words, ran) = log(&[[1, 1], [1, 1], [1, 2]]);
    assert_eq!(ran, "before1\nafter\n", "{words}");
    assert!(words.contains("before 1 is not what comes next"), "{words}");
    // One that did not end well is the last but for what comes after, and so is one that was not waited for.
    let failing = [around.shell("before", "exit 1"), commands.concat()].concat();
    let waiting = around.shell("before", "sleep 600") + "timeout_seconds = 60\n" + &commands.concat();
    for (commands, asks) in [(failing, [[1, 1], [1, 2]].as_slice()), (waiting, [[1, 1], [1, 2]].as_slice())] {
        let settings = around.settings(&commands);
        let _ = fs::remove_file(around.at("log"));
        let (mut ours, child) = runner(&settings);
        let begun = Instant::now();
        ours.write_all(&asks.concat()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(begun.elapsed().as_secs() < 40, "{:?}", begun.elapsed());
        assert_eq!(around.read("log"), "after\n", "{}", text(&done.stderr));
    }
}

#[test]
fn the_memory_of_the_runner_is_for_nobody() {
    let name = "the_memory_of_the_runner_is_for_nobody";
    if !root() {
        println!("SKIPPED: {name}: only root becomes others");
        return;
    }
    let around = Around::new();
    let settings = around.settings(&around.shell("before", "true"));
    around.is_for_everyone_to_read(Path::new(&settings));
    let mut program = Command::new(env!("CARGO_BIN_EXE_push-client"));
    let Ok((ours, mut child)) = started(program.uid(65534).gid(65534), &settings) else {
        println!("SKIPPED: {name}: the program is not for everyone");
        return;
    };
    // The kernel gives what is about a process to its account, but of one whose memory is closed to root.
    let owner = fs::metadata(format!("/proc/{}/mem", child.id())).unwrap().uid();
    drop(ours);
    assert!(child.wait().unwrap().success());
    assert_eq!(owner, 0);
}

#[test]
fn a_runner_that_is_told_to_end_undoes_what_came_before() {
    let around = Around::new();
    let commands = [
        around.shell("before", "echo $$ > @/pid; touch @/begun; exec sleep 600"),
        around.shell("after", "echo ran > @/after"),
    ];
    let (mut ours, child) = runner(&around.settings(&commands.concat()));
    ours.write_all(&[1, 1]).unwrap();
    around.wait_for("begun");
    // As a service manager does that ends the whole group.
    signal(child.id(), "TERM");
    drop(ours);
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{:?}", done.status);
    assert_eq!(around.read("after"), "ran\n", "{}", text(&done.stderr));
    assert_gone(&around.read("pid"));
}

#[test]
fn settings_that_change_between_two_readings_run_nothing() {
    let around = Around::new();
    let command = |name: &str| around.shell("before", &format!("touch @/{name}"));
    let settings = around.settings(&command("one"));
    let plan = Plan::load(Path::new(&settings)).unwrap();
    let start = || {
        let program = Path::new(env!("CARGO_BIN_EXE_push-client"));
        Runner::start_as(program, Path::new(&settings), &plan.commands, Stdio::null())
    };
    assert!(start().unwrap().before(&plan.commands, &Silent).is_ok() && around.at("one").exists());
    around.settings(&command("two"));
    let changed = start();
    assert!(matches!(changed, Err(CommandError::Changed)), "{changed:?}");
    assert!(!around.at("two").exists());
}
