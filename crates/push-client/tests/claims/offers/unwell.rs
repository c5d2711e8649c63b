//! Offers to a server that lies, is slow, or has a limit.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use formats::published::{Limits, Published, Verdict};
use formats::session::{BaseMessage, Code, MINOR, ServerMessage};
use formats::{HostId, Root};
use push_client::push::{Count, PushError};

use super::{SMALL, forgetful, host};
use crate::host::{Host, carried, noise};
use crate::judge::is_open;
use crate::server::{Holdings, Server, header};

#[test]
fn a_base_that_stays_the_same_does_not_make_a_lying_server_believed_again() {
    let mut host = host();
    host.verdict_wait_seconds = 5;
    let mut server = Server::new();
    let (outcome, _) = host.push(&mut server);
    server.judge(outcome.push, Verdict::Accepted { root: outcome.root });
    host.push_accepted(&mut server);
    // `state` knows which state was accepted; only what that was is lost.
    fs::write(host.state_path().join(format!("{}.manifest", outcome.root)), b"spoiled").unwrap();
    host.write("new", b"what the server has never seen");
    server.holdings = Holdings::Everything;
    let mut offers = Vec::new();
    for _ in 0..3 {
        server.verdict = Some(Verdict::Rejected { code: Code::MissingContent });
        let (rejected, _) = host.push_at(&mut server, 10);
        assert!(matches!(rejected, Err(PushError::Rejected { .. })), "{rejected:?}");
        offers.push(server.offers);
    }
    assert!(offers[0] > 0, "nothing was offered at first");
    assert_eq!(offers, [offers[0]; 3], "offered again although nothing was accepted");
    // One that is accepted makes an end of it.
    host.verdict_wait_seconds = 0;
    let (whole, _) = host.push_accepted(&mut server);
    fs::write(host.state_path().join(format!("{}.manifest", whole.root)), b"spoiled").unwrap();
    let outcome = host.push_at(&mut server, 10).0.unwrap();
    assert!(server.offers > offers[0], "{outcome:?}");
}

/// Takes all that comes for so long, and says nothing after its first words.
fn listen_for(mut stream: UnixStream, words: &[u8], time: Duration) {
    let _ = stream.write_all(words);
    let end = Instant::now() + time;
    let mut buffer = vec![0; 65_536];
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    while Instant::now() < end {
        if let Ok(0) = stream.read(&mut buffer) {
            return;
        }
    }
}

#[test]
fn a_server_that_reads_and_does_not_answer_is_given_up() {
    let host = Host::new();
    host.write("file", b"offered");
    // A sign of life goes out each second; and this host waits for five.
    let limits = Limits { idle_seconds: 4, ..Limits::default() };
    let mut published = Published::new(HostId::parse("web01").unwrap(), limits);
    published.base = Some(Root::from_bytes([7; 32]));
    let base = BaseMessage { minor: MINOR, published, partial: None, queued: Vec::new() };
    let mut words = Vec::new();
    ServerMessage::Base(base).encode(&mut words).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (outcome, _) = std::thread::scope(|scope| {
        scope.spawn(|| listen_for(theirs, &words, Duration::from_secs(20)));
        host.push_over(carried(ours), 10)
    });
    assert!(matches!(outcome, Err(PushError::Silent { .. })), "{outcome:?}");
}

#[test]
fn a_server_that_thinks_about_an_offer_hears_that_the_host_is_there() {
    let host = Host::new();
    for n in 0..6_u8 {
        // It shrinks to so little that all of it is on its way while the server does not read.
        host.write(&format!("{n}"), &[n; 700_000]);
    }
    let (mut server, _) = forgetful(&host);
    server.holdings = Holdings::Nothing;
    server.published.limits.idle_seconds = 4;
    server.thinks = Duration::from_secs(3);
    host.push(&mut server);
    assert_eq!(server.offers, 2);
    let signs = server.newest(&[]).contents_count - 6;
    assert!(signs > 0, "nothing was said while it thought");
}

#[test]
fn before_a_long_file_is_only_hashed_no_content_is_left_half_sent() {
    let host = Host::new();
    for n in 0..4 {
        host.write(&format!("{n}"), &noise(n + 1, 2_500_000));
    }
    let (mut server, _) = forgetful(&host);
    server.holdings = Holdings::Nothing;
    host.push(&mut server);
    assert_eq!(server.at_offers.len(), 4);
    let open: Vec<_> = server.at_offers.iter().map(|at| is_open(&server.sealed[0][..*at])).collect();
    assert_eq!(open, [false; 4]);
}

#[test]
fn no_more_is_offered_than_the_server_lets_a_session_offer() {
    let host = host();
    let (mut server, _) = forgetful(&host);
    server.published.limits.entries = 100;
    let (outcome, account) = host.push_at(&mut server, 10);
    assert_eq!((account.get(Count::OfferedContents), account.get(Count::HadContents)), (100, 100));
    assert!(account.get(Count::ReadFiles) > SMALL);
    // This tree is itself over the limit: the seal is what is refused.
    assert!(matches!(outcome, Err(PushError::Refused { code: Code::TooLarge, .. })), "{outcome:?}");
}

#[test]
fn files_equal_to_one_that_the_server_had_are_not_read_again_after_a_cut() {
    let host = Host::new();
    for n in 0..200 {
        host.write(&format!("2-{n:03}"), b"equal");
    }
    host.write("0", b"equal");
    for n in 0..25 {
        let group = if n < 5 { 1 } else { 3 };
        host.write(&format!("{group}-{n:02}"), &noise(n, 1_100_000));
    }
    let (mut server, entries) = forgetful(&host);
    // The equal one is offered with the first of the long ones, and each of those is one frame of 41 bytes: cut among the last of them.
    server.cut_after = Some(300 + 32 + 15 * 41);
    assert!(host.push_at(&mut server, 10).0.is_err());
    let cut = header(&server.partial).push;
    let (outcome, account) = host.push(&mut server);
    assert_eq!((outcome.push, server.newest_lent(&entries).contents_count), (cut, 0));
    let read = account.get(Count::ReadFiles);
    assert!((1..20).contains(&read), "{read} of 226 files are read again");
}
