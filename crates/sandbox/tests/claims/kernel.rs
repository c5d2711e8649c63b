//! What the kernel itself says, and what happens on a kernel that has less.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use sandbox::{Confinement, Keep, Landlock, LandlockState, Profile, SandboxError, Threads};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use crate::prisoner::{CELLS, Cell, confinement, enter, held};
use crate::world::{User, World, is_root};

pub(crate) fn child(word: &str) {
    match word {
        "thread" => with_a_second_thread(),
        "required" | "available" => without_landlock_child(word),
        cell => {
            let held = held();
            let report = enter(crate::prisoner::cell(cell), &held, Threads::One);
            println!("{report:?}");
            let _ = std::io::stdin().read_line(&mut String::new());
        }
    }
}

pub(crate) fn second_thread() {
    assert_eq!(World::new(User::Same).must(&["kernel", "thread"]), "refused, then confined\n");
}

fn with_a_second_thread() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let second = std::thread::spawn(move || wait.recv());
    let refused = Confinement::new(Profile::Decoder).apply();
    assert!(matches!(refused, Err(SandboxError::MoreThanOneThread)), "{refused:?}");
    assert!(std::fs::read("/etc/passwd").is_ok(), "nothing was given up yet");
    drop(go);
    let _ = second.join().unwrap();
    let _ = Confinement::new(Profile::Decoder).apply().unwrap();
    assert!(std::fs::read("/etc/passwd").is_err());
    println!("refused, then confined");
}

/// A filter that makes this kernel look like one without Landlock.
fn hide_landlock() {
    let rules = BTreeMap::from([(libc::SYS_landlock_create_ruleset, Vec::new())]);
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let hidden = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, hidden, arch).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

pub(crate) fn without_landlock() {
    let world = World::new(User::Same);
    assert_eq!(world.must(&["kernel", "required"]), "refused\n");
    assert_eq!(world.must(&["kernel", "available"]), "absent, files open, calls refused\n");
}

fn without_landlock_child(word: &str) {
    hide_landlock();
    let held = held();
    let confinement = confinement(Profile::Receiver, &held);
    if word == "required" {
        let refused = confinement.apply();
        assert!(matches!(refused, Err(SandboxError::NoLandlock)), "{refused:?}");
        println!("refused");
        return;
    }
    let report = confinement.landlock(Landlock::IfAvailable).apply().unwrap();
    assert_eq!(report.landlock, LandlockState::Absent);
    // The same read is refused where Landlock is in force: so it was Landlock that refused it.
    assert!(std::fs::read(held.path.join("outside/file")).is_ok());
    assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_err());
    assert!(rustix::fs::mkdirat(&held.inside, "d", rustix::fs::Mode::RWXU).is_err());
    println!("absent, files open, calls refused");
}

pub(crate) fn status() {
    for (word, cell) in CELLS {
        let world = World::new(User::Same);
        let mut command = world.prisoner(&["kernel", word]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let report = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').trim().to_owned()
        };
        if cell == Cell::Free {
            assert_eq!((field("NoNewPrivs").as_str(), field("Seccomp").as_str()), ("0", "0"), "control");
            continue;
        }
        assert_eq!((field("NoNewPrivs").as_str(), field("Seccomp").as_str()), ("1", "2"), "{word}");
        assert!(report.contains("Enforced { abi: "), "{word}: {report}");
        let read_search = 1_u64 << 2;
        let sys_admin = 1_u64 << 21;
        let kept = match cell {
            Cell::In(Profile::Client) if is_root() => read_search,
            // chown, dac_override, dac_read_search, fowner, fsetid, linux_immutable, mknod, setfcap
            Cell::In(Profile::Restore) if is_root() => {
                [0, 1, 2, 3, 4, 9, 27, 31].map(|bit| 1_u64 << bit).iter().sum::<u64>() | sys_admin
            }
            Cell::Trusted if is_root() => read_search | sys_admin,
            _ => 0,
        };
        for set in ["CapInh", "CapAmb", "CapPrm", "CapEff"] {
            let left = u64::from_str_radix(&field(set), 16).unwrap();
            let expected = if matches!(set, "CapPrm" | "CapEff") { kept } else { 0 };
            assert_eq!(left, expected, "{word} {set}");
        }
        if is_root() {
            assert_eq!(u64::from_str_radix(&field("CapBnd"), 16).unwrap(), kept, "{word}");
        }
    }
}

pub(crate) fn before_apply() {
    let held = std::fs::File::open("/").unwrap();
    drop(Confinement::new(Profile::Client).keep(Keep::ReadSearch).read_beneath(&held));
    assert!(std::fs::read("/etc/passwd").is_ok() && std::net::UdpSocket::bind("127.0.0.1:0").is_ok());
    assert!(!rustix::thread::no_new_privs().unwrap());
}
