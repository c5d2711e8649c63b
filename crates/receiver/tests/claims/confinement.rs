//! The receiver gives up all it does not need before it reads a byte of what a host sends.

use std::fs;
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
fn traced(words: &[&str], limits: Limits) -> Option<(Vec<String>, Option<Code>)> {
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
    session.end();
    let calls = fs::read_to_string(trace.path()).unwrap().lines().map(str::to_owned).collect();
    Some((calls, refused))
}

#[test]
fn everything_is_in_force_before_the_first_byte_is_read() {
    let Some((calls, refused)) = traced(&[], limits()) else { return };
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

#[test]
fn without_landlock_it_refuses_to_start_unless_the_server_accepts_the_chroot_alone() {
    let no_landlock = ["-e", "inject=landlock_create_ruleset:error=ENOSYS"];
    let Some((calls, refused)) = traced(&no_landlock, limits()) else { return };
    assert_eq!(refused, Some(Code::ServerFault));
    assert!(
        !calls.iter().any(|call| call.starts_with("read(0,") || call.starts_with("flock(")),
        "nothing was begun"
    );
    let accepted = Limits { sandbox: Sandbox::ChrootAccepted, ..limits() };
    let (calls, refused) = traced(&no_landlock, accepted).unwrap();
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
        let Some((calls, refused)) = traced(&["-e", "inject=seccomp:error=EINVAL"], limits) else { return };
        assert_eq!(refused, Some(Code::ServerFault));
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
