//! A confined process and the child it started before.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::{LandlockState, Profile, limits};

use crate::prisoner::{confinement, held};
use crate::world::{User, World};

pub(crate) fn child() {
    assert_eq!(World::new(User::Same).must(&["family", "kill"]), "mine killed, others not\n");
}

/// A child that asked for it ends with a parent that named it. Landlock keeps apart a parent that did not, from ABI 6 on;
/// and a child that never asked stays, or the first case would prove nothing.
pub(crate) fn dies_with_parent() {
    for word in ["named", "unnamed", "orphan"] {
        let world = World::new(User::Same);
        let mut command = world.prisoner(&["family", word]);
        let mut parent = command.stdout(Stdio::piped()).spawn().unwrap();
        let line = BufReader::new(parent.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let (child, abi): (u32, u32) =
            line.split_once(' ').map(|(child, abi)| (child.parse().unwrap(), abi.parse().unwrap())).unwrap();
        assert!(lives(child), "control");
        parent.kill().unwrap();
        parent.wait().unwrap();
        let dies = word == "named" || (word == "unnamed" && abi < 6);
        assert_eq!(gone_within(child, Duration::from_secs(if dies { 10 } else { 1 })), dies, "{word}");
        if !dies {
            let pid = rustix::process::Pid::from_raw(child.cast_signed()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    }
}

fn gone_within(pid: u32, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    while lives(pid) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    !lives(pid)
}

/// Neither gone nor a corpse that nobody has buried.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn sleeper(errand: &str) -> Child {
    let this = std::env::current_exe().unwrap();
    let mut child =
        Command::new(this).args(["prisoner", "family", errand]).stdout(Stdio::piped()).spawn().unwrap();
    // It says something once it is set up.
    let ready = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert_eq!(ready, "ready");
    child
}

pub(crate) fn child_process(word: &str) {
    match word {
        "sleep" => {
            limits::die_with_parent().unwrap();
            println!("ready");
            std::thread::sleep(Duration::from_secs(60));
        }
        "sleep alone" => {
            println!("ready");
            std::thread::sleep(Duration::from_secs(60));
        }
        "kill" => {
            let (mut mine, mut other) = (sleeper("sleep"), sleeper("sleep"));
            let held = held();
            let _ = confinement(Profile::Ingest, &held).child(mine.id()).apply().unwrap();
            assert!(other.kill().is_err());
            assert!(other.try_wait().unwrap().is_none());
            mine.kill().unwrap();
            assert!(!mine.wait().unwrap().success());
            println!("mine killed, others not");
        }
        errand => {
            let mut child = sleeper(if errand == "orphan" { "sleep alone" } else { "sleep" });
            let held = held();
            let confinement = confinement(Profile::Ingest, &held);
            let confinement = if errand == "unnamed" { confinement } else { confinement.child(child.id()) };
            let LandlockState::Enforced { abi } = confinement.apply().unwrap().landlock else {
                panic!("no landlock")
            };
            println!("{} {abi}", child.id());
            child.wait().unwrap();
        }
    }
}
