//! What the client says of itself, and what it makes of a server that says not now.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use formats::published::{Limits, Published};
use formats::session::{BaseMessage, Code, MINOR, Role, ServerMessage, Soft};
use formats::{Admission, HostId, OpenHours, frame};
use push_client::push::{PushError, Warning};

use crate::host::{Host, carried};
use crate::server::Server;

fn host(role: Role) -> Host {
    let mut host = Host::new();
    host.role = role;
    host.write("file", b"content");
    host
}

/// A server at whose clock it is hour 0, for a host that may push in hour 5.
fn closed() -> Server {
    let mut server = Server::new();
    let hours = OpenHours::of([5]).unwrap();
    server.published.admission = Admission { hours, emergency_pushes: 1, ..Admission::default() };
    server
}

#[test]
fn outside_its_hours_a_host_is_told_when_and_how_to_come_back() {
    let (outcome, _) = host(Role::Usual).push_at(&mut closed(), 10);
    let error = outcome.unwrap_err();
    let PushError::Refused { code, retry_seconds } = error else { panic!("{error:?}") };
    assert_eq!(code, Code::OutOfHours);
    assert!((5 * 3600..5 * 3600 + 1800).contains(&retry_seconds));
    assert_eq!(cli::Failure::exit(&error).code(), 10);
    let advice = cli::Failure::advice(&error).unwrap();
    assert!(advice.contains("--emergency") && advice.contains(&retry_seconds.to_string()), "{advice}");
}

#[test]
fn an_emergency_says_so_and_is_taken_as_one() {
    let mut server = closed();
    host(Role::Emergency).push_accepted(&mut server);
    assert_eq!(server.roles, [Role::Emergency]);
    // At its hour it is a push like any other.
    let mut server = Server { now: 5 * 3600, ..closed() };
    host(Role::Emergency).push_accepted(&mut server);
    assert_eq!(server.roles, [Role::Usual]);
}

#[test]
fn what_the_server_warns_of_is_kept_and_the_push_goes_on() {
    let mut server = Server::new();
    server.published.admission.soft_entries = 1;
    server.published.admission.history_soft_bytes = 5;
    server.published.admission.history_used_bytes = 6;
    let (_, account) = host(Role::Usual).push_accepted(&mut server);
    let [history, entries] = account.warnings.as_slice() else { panic!("{:?}", account.warnings) };
    assert_eq!(*history, Warning { what: Soft::History, used: 6, limit: 5 });
    assert_eq!((entries.what, entries.limit), (Soft::Entries, 1));
    assert_eq!(host(Role::Usual).push_accepted(&mut Server::new()).1.warnings, []);
}

/// What a client sends first to a server that speaks this minor version, and what comes of it when the server then says `words`.
fn first_frame(minor: u16, words: &[ServerMessage]) -> (u8, PushError) {
    let published = Published::new(HostId::parse("web01").unwrap(), Limits::default());
    let base = BaseMessage { minor, published, partial: None, queued: Vec::new() };
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let host = host(Role::Emergency);
    std::thread::scope(|scope| {
        let served = scope.spawn(move || {
            let mut bytes = Vec::new();
            ServerMessage::Base(base).encode(&mut bytes).unwrap();
            words.iter().for_each(|message| message.encode(&mut bytes).unwrap());
            theirs.write_all(&bytes).unwrap();
            let mut head = [0; frame::HEAD_BYTES];
            theirs.read_exact(&mut head).unwrap();
            // Till the client is done with what it has to say.
            let mut rest = vec![0; 65_536];
            let _ = theirs.read(&mut rest);
            head[0]
        });
        let (outcome, account) = host.push_over(carried(ours), 10);
        assert!(account.warnings.len() <= 8);
        (served.join().unwrap(), outcome.unwrap_err())
    })
}

#[test]
fn hello_is_said_to_a_server_that_knows_it_and_to_no_other() {
    assert_eq!(first_frame(MINOR, &[]).0, 20);
    assert_eq!(first_frame(7, &[]).0, 20);
    assert_eq!(first_frame(0, &[]).0, 16);
}

#[test]
fn a_server_that_warns_without_end_or_unasked_is_left() {
    let warned = ServerMessage::Warned { what: Soft::Bytes, used: u64::MAX, limit: 0 };
    for (minor, count) in [(MINOR, 9), (MINOR, 10_000), (0, 1)] {
        let (_, error) = first_frame(minor, &vec![warned.clone(); count]);
        assert_eq!(cli::Failure::exit(&error).code(), 15, "{count}: {error:?}");
    }
}
