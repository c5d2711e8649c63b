//! What the process that runs commands may be told, and by whom it may be read.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::around::Around;
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
fn runner(settings: &str) -> (UnixStream, Child) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_push-client"))
        .args(["run-commands", "--config", settings])
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut greeting = [0; 36];
    ours.read_exact(&mut greeting).unwrap();
    (ours, child)
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
    let waiting = [around.shell("before", "sleep 600"), commands.concat()].concat();
    for (commands, asks) in [(failing, [[1, 1], [1, 2]].as_slice()), (waiting, [[1, 1], [1, 2]].as_slice())] {
        let settings = around.settings(&commands);
        let _ = fs::remove_file(around.at("log"));
        let (mut ours, child) = runner(&settings);
        ours.write_all(&asks.concat()).unwrap();
        let done = child.wait_with_output().unwrap();
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
    let folder = Path::new(&settings).parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o644)).unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let started = Command::new(env!("CARGO_BIN_EXE_push-client"))
        .args(["run-commands", "--config", &settings])
        .uid(65534)
        .gid(65534)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn();
    let Ok(mut child) = started else {
        println!("SKIPPED: {name}: the program is not for everyone");
        return;
    };
    ours.read_exact(&mut [0; 36]).unwrap();
    // The kernel gives what is about a process to its account, but of one whose memory is closed to root.
    let owner = fs::metadata(format!("/proc/{}/mem", child.id())).unwrap().uid();
    drop(ours);
    assert!(child.wait().unwrap().success());
    assert_eq!(owner, 0);
}
