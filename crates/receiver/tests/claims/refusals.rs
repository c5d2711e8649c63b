//! Sessions that are refused, and what they leave.

use std::fs;

use formats::HostId;
use formats::published::{Limits, Published};
use formats::push::{Header, Seal};
use formats::session::Code;
use wire::client::Outgoing;

use crate::rig::*;

fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut to = Vec::new();
    formats::frame::encode(kind, payload, &mut to).unwrap();
    to
}

fn opened(header: &Header) -> Vec<u8> {
    let mut to = Vec::new();
    Outgoing::open_new(header, &mut to).unwrap();
    to
}

/// What is sent is refused with this code, which is also the exit code, and nothing is sealed.
fn refused(jail: &Jail, bytes: &[u8], code: Code) {
    let mut session = jail.start();
    session.base();
    session.send(bytes);
    assert_eq!(session.refusal(), code);
    let ended = session.end();
    assert_eq!(ended.code, Some(code.exit_code().into()));
    assert_eq!(ended.stderr, format!("receiver: {code}\n"), "fixed words only");
    assert_eq!(jail.sealed(), []);
}

#[test]
fn another_host_is_refused_and_leaves_nothing() {
    let jail = Jail::new(limits());
    let header = Header { host: HostId::parse("db1").unwrap(), ..header(PUSH) };
    refused(&jail, &opened(&header), Code::WrongHost);
    assert_eq!(jail.incoming(), [""; 0]);
}

#[test]
fn a_push_over_its_limit_is_refused_and_leaves_nothing() {
    let jail = Jail::new(Limits { push_bytes: 2_000, ..limits() });
    refused(&jail, &push(PUSH).0, Code::TooLarge);
    assert_eq!(jail.incoming(), [""; 0], "it could never be sealed");
    let jail = Jail::new(Limits { expanded_bytes: 10, ..limits() });
    refused(&jail, &opened(&Header { declared_bytes: 11, ..header(PUSH) }), Code::TooLarge);
}

#[test]
fn a_push_for_which_there_is_no_room_is_refused_before_it_is_written() {
    let jail = Jail::new(Limits { free_bytes: u64::MAX, ..limits() });
    refused(&jail, &push(PUSH).0, Code::NoRoom);
    let jail = Jail::new(Limits { expanded_bytes: u64::MAX, ..limits() });
    refused(&jail, &opened(&Header { declared_bytes: u64::MAX / 2, ..header(PUSH) }), Code::NoRoom);
    assert_eq!(jail.incoming(), [""; 0]);
}

#[test]
fn a_full_queue_is_busy_until_it_is_shorter() {
    let jail = Jail::new(Limits { queued_pushes: 1, ..limits() });
    seal_one(&jail, OTHER);
    let mut session = jail.start();
    session.base();
    session.send(&push(PUSH).0);
    assert_eq!(session.refusal(), Code::Busy);
    session.end();
    assert_eq!((jail.sealed().len(), jail.incoming().len()), (1, 0));
    fs::remove_file(jail.path("spool/sealed").join(&jail.sealed()[0].0)).unwrap();
    seal_one(&jail, PUSH);
}

#[test]
fn sealed_files_without_a_readable_header_count_and_do_no_harm() {
    let jail = Jail::new(Limits { queued_pushes: 2, ..limits() });
    for n in 1..=2 {
        fs::write(jail.path(&format!("spool/sealed/0000000000000000000{n}.push")), b"rot").unwrap();
    }
    fs::write(jail.path("spool/sealed/not-ours"), b"x").unwrap();
    let mut session = jail.start();
    assert_eq!(session.base().queued, []);
    session.send(&push(PUSH).0);
    assert_eq!(session.refusal(), Code::Busy);
}

#[test]
fn a_seal_that_does_not_fit_is_refused_and_what_it_closed_is_discarded() {
    let jail = Jail::new(limits());
    let seal = Seal { frames: 1, hash: [0; 32], root: FACTS.root, entries: 0, left_out: 0 };
    refused(&jail, &[opened(&header(PUSH)), framed(5, &seal.encode())].concat(), Code::BrokenFrames);
    assert_eq!(jail.incoming(), [""; 0]);
}

#[test]
fn garbage_is_refused_with_fixed_words_and_changes_nothing() {
    let jail = Jail::new(limits());
    seal_one(&jail, OTHER);
    let before = jail.sealed();
    let garbage: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"\x1b[2J\x1b]0;evil\x07 printed to a terminal?".to_vec(),
        vec![0; 100_000],
        vec![0xff; 100_000],
        framed(0, b"unknown"),
        framed(200, b"unknown"),
        framed(64, b"your own words"),
        framed(2, b"contents before a header"),
        framed(17, &[7; 24]),
        [opened(&header(PUSH)), framed(77, b"unknown")].concat(),
        [opened(&header(PUSH)), opened(&header(PUSH))].concat(),
    ];
    for bytes in &garbage {
        let mut session = jail.start();
        session.base();
        session.send(bytes);
        assert_eq!(session.refusal(), Code::Protocol);
        let ended = session.end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(15), "receiver: protocol violated\n"));
        assert_eq!(jail.sealed(), before);
    }
}

#[test]
fn a_jail_without_a_published_state_is_not_ready() {
    let jail = Jail::new(limits());
    fs::remove_file(jail.path("state/base")).unwrap();
    let mut session = jail.start();
    assert_eq!(session.refusal(), Code::NotReady);
    assert_eq!(session.end().code, Some(14));
    assert_eq!(jail.incoming(), [""; 0]);
}

#[test]
fn a_published_state_that_cannot_be_read_is_a_fault_and_never_an_empty_one() {
    let whole = Published::new(host(), limits()).encode().unwrap();
    let mut later = whole.clone();
    later[8] = 2;
    for wrong in [&b""[..], b"firn.pub", &whole[..whole.len() - 1], &later, &vec![0; 300_000]] {
        let jail = Jail::new(limits());
        fs::write(jail.path("state/base"), wrong).unwrap();
        let mut session = jail.start();
        assert_eq!(session.refusal(), Code::ServerFault);
        assert_eq!(session.end().code, Some(16));
    }
}

#[test]
fn a_link_in_place_of_a_file_is_never_followed() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), b"precious").unwrap();
    for name in ["spool/incoming/current", "spool/incoming/lock", "state/base"] {
        let jail = Jail::new(limits());
        let _ = fs::remove_file(jail.path(name));
        std::os::unix::fs::symlink(outside.path(), jail.path(name)).unwrap();
        let mut session = jail.start();
        assert_eq!(session.refusal(), Code::ServerFault, "{name}");
        session.end();
        assert_eq!(fs::read(outside.path()).unwrap(), b"precious", "{name}");
    }
}

#[test]
fn a_folder_that_is_no_jail_is_a_fault() {
    let empty = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(RECEIVER).arg("--jail").arg(empty.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(16));
    assert_eq!(output.stderr, b"receiver: fault on the server: failed to open the state\n");
}
