//! A server that is not what it should be. It can refuse service; it can do nothing else.

mod table;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use formats::published::{Limits, Published};
use formats::session::{BaseMessage, Code, MINOR, ServerMessage};
use formats::{HostId, PushId, Root, frame};
use push_client::push::{Account, Outcome, PushError};

use crate::host::{Host, carried, noise};
use crate::server::Server;

/// A server that says these bytes at once, then takes `takes` bytes, then says `later`, and is gone.
fn talk(host: &Host, first: &[u8], takes: usize, later: &[u8]) -> (Result<Outcome, PushError>, Account) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The client may be gone before all is said.
            let _ = theirs.write_all(first);
            let mut left = takes;
            let mut buffer = vec![0; 65_536];
            while left > 0 {
                let want = left.min(buffer.len());
                match theirs.read(&mut buffer[..want]) {
                    Ok(0) | Err(_) => return,
                    Ok(count) => left -= count,
                }
            }
            let _ = theirs.write_all(later);
        });
        host.push_over(carried(ours), 10)
    })
}

fn host() -> Host {
    let host = Host::new();
    for n in 0..40 {
        host.write(&format!("file-{n}"), &noise(n + 1, 200_000));
    }
    host
}

fn said(message: &ServerMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes).unwrap();
    bytes
}

fn base_message() -> BaseMessage {
    let published = Published::new(HostId::parse("web01").unwrap(), Limits::default());
    BaseMessage { minor: MINOR, published, partial: None, queued: Vec::new() }
}

fn exit(error: &PushError) -> u8 {
    cli::Failure::exit(error).code()
}

#[test]
fn every_refusal_ends_with_its_own_code_and_advice() {
    let host = host();
    for code in Code::ALL {
        let refused = said(&ServerMessage::Refused { code: *code, retry_seconds: 60 });
        let (outcome, _) = talk(&host, &refused, 0, b"");
        let error = outcome.unwrap_err();
        assert!(matches!(error, PushError::Refused { .. }), "{error:?}");
        assert_eq!(exit(&error), code.exit_code());
        assert!(cli::Failure::advice(&error).unwrap().contains("60 seconds"));
    }
}

#[test]
fn a_refusal_in_the_middle_is_told_as_what_it_is() {
    let host = host();
    let refused = said(&ServerMessage::Refused { code: Code::NoRoom, retry_seconds: 0 });
    for takes in [1, 1_000, 3_000_000] {
        let (outcome, _) = talk(&host, &said(&ServerMessage::Base(base_message())), takes, &refused);
        assert_eq!(exit(&outcome.unwrap_err()), Code::NoRoom.exit_code(), "after {takes} bytes");
    }
}

#[test]
fn what_is_no_base_message_ends_the_session() {
    let host = host();
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("a shell's words", b"This account is currently not available.\r\n".to_vec()),
        ("http", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("a sealed out of the blue", said(&ServerMessage::Sealed(PushId::from_bytes([0; 16])))),
        ("zeros", vec![0; 400_000]),
        ("ones", vec![0xff; 400_000]),
    ];
    let mut length = vec![64u8];
    length.extend_from_slice(&u32::MAX.to_le_bytes());
    length.extend_from_slice(&[0; 4]);
    cases.push(("an endless message", length));
    let mut client_frame = Vec::new();
    frame::encode(1, b"a frame of ours", &mut client_frame).unwrap();
    cases.push(("a frame of ours", client_frame));
    for (name, bytes) in cases {
        let (outcome, _) = talk(&host, &bytes, 0, b"");
        let error = outcome.expect_err(name);
        assert!([15, 19].contains(&exit(&error)), "{name}: {error:?}");
    }
}

#[test]
fn a_base_message_with_any_byte_changed_hurts_nobody() {
    let host = Host::new();
    host.write("file", b"x");
    let mut message = base_message();
    message.queued.push(PushId::from_bytes([5; 16]));
    message.partial = Some((PushId::from_bytes([6; 16]), 3));
    message.published.base = Some(Root::from_bytes([7; 32]));
    let good = said(&ServerMessage::Base(message));
    // The payload, with a check that is right: what a hostile server can say.
    let payload = &good[frame::HEAD_BYTES..];
    for at in 0..payload.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bad = payload.to_vec();
            bad[at] ^= flip;
            let mut bytes = Vec::new();
            frame::encode(64, &bad, &mut bytes).unwrap();
            let (outcome, account) = talk(&host, &bytes, 0, b"");
            assert!(outcome.is_err());
            assert_eq!(account.left_out, []);
        }
    }
}

#[test]
fn a_jail_of_another_host_gets_nothing() {
    let host = host();
    let mut message = base_message();
    message.published.host = HostId::parse("web02").unwrap();
    let (outcome, _) = talk(&host, &said(&ServerMessage::Base(message)), 10_000_000, b"");
    let error = outcome.unwrap_err();
    assert_eq!(exit(&error), 17);
    assert!(error.to_string().contains("web02") && error.to_string().contains("web01"));
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_without_end() {
    let host = host();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (outcome, _) = host.push_over(carried(ours), 10);
    drop(theirs);
    // connect_seconds is 5 in these tests, and the greeting has twice that.
    assert!(matches!(outcome, Err(PushError::Silent { .. })), "{outcome:?}");
}

#[test]
fn an_answer_about_another_push_is_not_believed() {
    let host = Host::new();
    host.write("file", b"x");
    let base = said(&ServerMessage::Base(base_message()));
    let other = said(&ServerMessage::Sealed(PushId::from_bytes([9; 16])));
    let (outcome, _) = talk(&host, &base, 100, &other);
    assert_eq!(exit(&outcome.unwrap_err()), 15);
    // The server it trusts is none the worse.
    let mut server = Server::new();
    host.push(&mut server);
    server.newest(&[]);
}

/// Wanted contents are hashes to look for among our own files: what is not there is not sent.
#[test]
fn a_server_cannot_ask_for_a_file_that_is_not_chosen() {
    let (host, mut server) = (Host::new(), Server::new());
    host.write("public", b"public");
    std::fs::create_dir_all(host.top().join("etc")).unwrap();
    std::fs::write(host.top().join("etc/shadow"), b"root:hash").unwrap();
    host.push_accepted(&mut server);
    server.want(formats::ContentHash::of(b"root:hash"));
    host.push(&mut server);
    let file = server.sealed.last().unwrap();
    assert!(!file.windows(9).any(|bytes| bytes == b"root:hash"));
}
