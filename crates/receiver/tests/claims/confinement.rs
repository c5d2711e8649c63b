//! The receiver gives up all it does not need before it reads a byte of what a host sends.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use formats::published::{Limits, Sandbox};
use formats::session::Code;

use crate::rig::*;

/// One field of `/proc/PID/status`.
fn status(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    line.unwrap_or_else(|| panic!("no {field}")).to_owned()
}

#[test]
fn a_living_session_has_a_filter_and_no_privilege() {
    let jail = Jail::new(limits());
    let mut session = jail.start();
    session.base();
    let receiver = session.pid();
    assert_eq!(status(receiver, "NoNewPrivs"), "1");
    assert_eq!(status(receiver, "Seccomp"), "2");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(receiver, set), "0000000000000000", "{set}");
    }
    // The control: a program that confines nothing shows nothing of this.
    let mut control = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let plain = (status(control.id(), "NoNewPrivs"), status(control.id(), "Seccomp"));
    drop(control.stdin.take());
    control.wait().unwrap();
    assert_ne!(plain, ("1".into(), "2".into()), "the control is confined too: this test shows nothing here");
}

/// The system calls of one session, in order, as strace writes them; none where strace is not there.
fn traced(words: &[&str], limits: Limits) -> Option<(Vec<String>, Option<Code>, String)> {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("SKIPPED: confinement_seen_from_outside: strace is not installed");
        return None;
    }
    let jail = Jail::new(limits);
    let trace = tempfile::NamedTempFile::new().unwrap();
    let trace_path = trace.path().to_str().unwrap().to_owned();
    let mut session = jail.start_under(&[&["strace", "-o", &trace_path], words].concat());
    let refused = match session.hear() {
        Some(formats::session::ServerMessage::Refused { code, .. }) => Some(code),
        _ => {
            session.send(&push(PUSH).0);
            session.sealed();
            session.send(&bye());
            None
        }
    };
    let stderr = session.end().stderr;
    let calls = fs::read_to_string(trace.path()).unwrap().lines().map(str::to_owned).collect();
    Some((calls, refused, stderr))
}

#[test]
fn everything_is_in_force_before_the_first_byte_is_read() {
    let Some((calls, refused, _)) = traced(&[], limits()) else { return };
    assert_eq!(refused, None);
    let at = |what: &str| calls.iter().position(|call| call.starts_with(what) && call.ends_with("= 0"));
    let landlock = at("landlock_restrict_self(").unwrap();
    let filter =
        calls.iter().rposition(|call| call.starts_with("seccomp(") && call.ends_with("= 0")).unwrap();
    let first_read = calls.iter().position(|call| call.starts_with("read(0,")).unwrap();
    let first_lock = calls.iter().position(|call| call.starts_with("flock(")).unwrap();
    assert!(landlock < filter && filter < first_lock && first_lock < first_read);
    let after = &calls[filter..];
    assert!(
        !after.iter().any(|call| call.ends_with("= -1 EPERM (Operation not permitted)")),
        "the filter refuses nothing it needs: {after:#?}"
    );
    for never in [
        "execve",
        "socket",
        "connect",
        "clone",
        "fork",
        "ptrace",
        "linkat",
        "symlinkat",
        "mkdirat",
        "chmod",
        "chown",
        "mknod",
    ] {
        assert!(!after.iter().any(|call| call.starts_with(never)), "{never}");
    }
    assert!(
        !after.iter().any(|call| call.starts_with("open(") || call.starts_with("openat(")),
        "only openat2"
    );
    for open in after.iter().filter(|call| call.starts_with("openat2(")) {
        assert!(open.contains("RESOLVE_BENEATH") && open.contains("RESOLVE_NO_SYMLINKS"), "{open}");
    }
}

/// The words between two others in a line.
fn between<'a>(line: &'a str, before: &str, after: &str) -> &'a str {
    line.split_once(before).and_then(|(_, rest)| rest.split_once(after)).unwrap().0
}

/// Crate sandbox tries what these rights allow and refuse, from inside; this is that the receiver asks for these and no others.
#[test]
fn it_keeps_its_spool_and_its_state_and_nothing_else() {
    let Some((calls, ..)) = traced(&["-y"], limits()) else { return };
    let ruleset = calls.iter().find(|call| call.starts_with("landlock_create_ruleset({")).unwrap();
    for right in ["EXECUTE", "READ_FILE", "WRITE_FILE", "REMOVE_DIR", "MAKE_CHAR", "MAKE_SYM", "REFER"] {
        assert!(ruleset.contains(&format!("LANDLOCK_ACCESS_FS_{right}|")), "{right} is refused by default");
    }
    let mut kept = Vec::new();
    for rule in calls.iter().filter(|call| call.starts_with("landlock_add_rule(")) {
        let folder = between(rule, "parent_fd=", ">}").rsplit('/').next().unwrap();
        let rights = between(rule, "allowed_access=", ",").replace("LANDLOCK_ACCESS_FS_", "");
        // Truncation is newer than some versions of strace.
        kept.push(format!("{folder}: {}", rights.replace("0x4000", "TRUNCATE")));
    }
    let files = "WRITE_FILE|READ_FILE|READ_DIR|REMOVE_FILE|MAKE_REG|REFER|TRUNCATE";
    assert_eq!(
        kept,
        [format!("incoming: {files}"), format!("sealed: {files}"), "state: READ_FILE|READ_DIR".to_owned()]
    );
}

/// What a process has open: the target of each descriptor above standard error. None where that cannot be looked at.
fn open_files(pid: u32) -> Option<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).ok()? {
        let entry = entry.unwrap();
        if entry.file_name().to_str().unwrap().parse::<u32>().unwrap() > 2 {
            files.push(fs::read_link(entry.path()).ok()?.to_str().unwrap().to_owned());
        }
    }
    files.sort();
    Some(files)
}

#[test]
fn a_living_session_holds_nothing_open_but_what_it_keeps() {
    let jail = Jail::new(limits());
    let mut session = jail.start();
    session.base();
    let Some(mut held) = open_files(session.pid()) else {
        println!(
            "SKIPPED: a_living_session_holds_nothing: only root can look at a process that is not dumpable"
        );
        return;
    };
    // What this test was started with open is not the receiver's; sshd starts it with nothing.
    let mut control = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    control.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    control.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let inherited = open_files(control.id()).unwrap();
    drop(control.stdin.take());
    control.wait().unwrap();
    held.retain(|file| !inherited.contains(file));
    let kept = ["spool/incoming", "spool/incoming/lock", "spool/sealed", "state"];
    let root = jail.path("").canonicalize().unwrap();
    assert_eq!(held, kept.map(|path| root.join(path).to_str().unwrap().to_owned()));
}

#[test]
fn without_landlock_it_refuses_to_start_unless_the_server_accepts_the_chroot_alone() {
    let no_landlock = ["-e", "inject=landlock_create_ruleset:error=ENOSYS"];
    let Some((calls, refused, stderr)) = traced(&no_landlock, limits()) else { return };
    assert_eq!(refused, Some(Code::ServerFault));
    assert!(stderr.contains("no landlock of abi 2 or later"), "{stderr}");
    assert!(
        !calls.iter().any(|call| call.starts_with("read(0,") || call.starts_with("flock(")),
        "nothing was begun"
    );
    let accepted = Limits { sandbox: Sandbox::ChrootAccepted, ..limits() };
    let (calls, refused, _) = traced(&no_landlock, accepted).unwrap();
    assert_eq!(refused, None);
    assert!(
        calls.iter().any(|call| call.starts_with("seccomp(") && call.ends_with("= 0")),
        "the filter is there all the same"
    );
}

#[test]
fn without_a_filter_it_refuses_to_start() {
    for sandbox in [Sandbox::Required, Sandbox::ChrootAccepted] {
        let limits = Limits { sandbox, ..limits() };
        let Some((calls, refused, stderr)) = traced(&["-e", "inject=seccomp:error=EINVAL"], limits) else {
            return;
        };
        assert_eq!(refused, Some(Code::ServerFault));
        assert!(stderr.contains("confine its system calls with seccomp"), "{stderr}");
        assert!(!calls.iter().any(|call| call.starts_with("read(0,")));
    }
}

#[test]
fn the_environment_and_the_client_s_command_change_nothing() {
    let jail = Jail::new(limits());
    let mut command = jail.command();
    command
        .env("SSH_ORIGINAL_COMMAND", "rm -rf / --jail /etc")
        .env("HOME", "/etc")
        .env("TMPDIR", "/etc")
        .env("RUST_LOG", "trace")
        .env("LD_LIBRARY_PATH", "/nowhere")
        .current_dir("/");
    let mut session = Session::of(command);
    session.base();
    session.send(&push(PUSH).0);
    session.sealed();
    session.send(&bye());
    assert_eq!(session.end().code, Some(0));
    jail.the_sealed_push();
}
