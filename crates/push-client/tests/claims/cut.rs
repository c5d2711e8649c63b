//! A push that is cut anywhere leaves nothing sealed, and goes on.

use std::fs;

use formats::frame;
use formats::published::Verdict;
use formats::push::{FrameKind, HEAD_BYTES};
use push_client::push::Count;

use crate::host::{Host, noise};
use crate::server::{Server, header};

/// Several blocks of contents, and one of entries.
fn host() -> Host {
    let host = Host::new();
    for n in 0..40 {
        host.write(&format!("d{}/file-{n}", n % 4), &noise(n + 1, 100_000));
    }
    host.write("large", &noise(99, 1_500_000));
    host
}

/// Where each frame of a push file ends, counted from its start, and its kind.
fn ends(file: &[u8]) -> Vec<(u64, FrameKind)> {
    let (mut at, mut ends) = (HEAD_BYTES, Vec::new());
    while at < file.len() {
        let frame = frame::decode(&file[at..]).unwrap().unwrap();
        at += frame.raw.len();
        ends.push((at as u64, FrameKind::from_code(frame.kind).unwrap()));
    }
    ends
}

#[test]
fn a_push_cut_at_any_frame_goes_on_from_there() {
    let host = host();
    let mut whole = Server::new();
    let (outcome, _) = host.push(&mut whole);
    let file = whole.sealed.pop().unwrap();
    let ends = ends(&file);
    assert!(ends.len() > 7 && ends.iter().any(|(_, kind)| *kind == FrameKind::Entries));
    let mut cuts = 0;
    for (index, (end, kind)) in ends.iter().enumerate() {
        // Before, within and just after each frame; the message `new` comes before the file's own bytes.
        for offset in [-30i64, -1, 0, 1, 40] {
            let fresh = Host::new();
            copy(&host, &fresh);
            let mut server = Server::new();
            server.cut_after = Some(end.saturating_add_signed(offset));
            let (cut, _) = fresh.push_at(&mut server, 10);
            if cut.is_ok() {
                assert_eq!(*kind, FrameKind::Seal, "cut at {index} had no effect");
                continue;
            }
            assert!(server.sealed.is_empty(), "frame {index}: sealed though it was cut");
            let held = server.partial.len();
            let (again, account) = fresh.push(&mut server);
            cuts += 1;
            assert_eq!((again.root, again.base), (outcome.root, None));
            let judged = server.newest(&[]);
            assert_eq!(judged.entries.len(), 46);
            // What had arrived in whole blocks is not read again, let alone sent.
            if held > 2_000_000 {
                assert!(
                    account.get(Count::ReadFiles) < 41,
                    "frame {index}: {held} bytes held, all read again"
                );
            }
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 30);
}

/// The same tree with the same inodes cannot be had twice; the same contents and times can.
fn copy(from: &Host, to: &Host) {
    let copied =
        std::process::Command::new("cp").arg("-a").arg(from.top()).arg(to.top().parent().unwrap()).status();
    assert!(copied.unwrap().success());
}

#[test]
fn a_journal_that_is_lost_or_torn_costs_a_new_push() {
    for damage in ["remove", "truncate", "flip", "other"] {
        let host = host();
        let mut server = Server::new();
        server.cut_after = Some(3_000_000);
        assert!(host.push_at(&mut server, 10).0.is_err());
        let cut = header(&server.partial).push;
        let path = host.state_path().join("journal");
        let mut bytes = fs::read(&path).unwrap();
        match damage {
            "remove" => fs::remove_file(&path).unwrap(),
            "truncate" => fs::write(&path, &bytes[..100]).unwrap(),
            "flip" => {
                bytes[90] ^= 1;
                fs::write(&path, &bytes).unwrap();
            }
            _ => {
                bytes[12] ^= 1; // another push's
                fs::write(&path, &bytes).unwrap();
            }
        }
        let (outcome, account) = host.push(&mut server);
        assert_ne!(outcome.push, cut, "{damage}");
        assert_eq!(account.get(Count::ReadFiles), 41, "{damage}");
        server.newest(&[]);
    }
}

#[test]
fn a_file_that_changed_since_the_cut_is_read_again() {
    let host = host();
    let mut server = Server::new();
    server.cut_after = Some(3_000_000);
    assert!(host.push_at(&mut server, 10).0.is_err());
    let cut = header(&server.partial).push;
    host.write("d0/file-0", b"changed");
    fs::remove_file(host.path("d0/file-4")).unwrap();
    let (outcome, _) = host.push(&mut server);
    assert_eq!(outcome.push, cut);
    let judged = server.newest(&[]);
    assert_eq!(judged.content("data/d0/file-0"), b"changed");
    assert!(judged.entry("data/d0/file-4").is_none());
}

#[test]
fn a_push_that_was_sealed_before_the_answer_was_lost_becomes_the_base() {
    let host = host();
    let mut whole = Server::new();
    host.push(&mut whole);
    let length = whole.sealed[0].len() as u64;
    let host = self::host();
    let mut server = Server::new();
    // All arrives, and the line is gone before the answer.
    server.cut_after = Some(length + 13);
    let (cut, _) = host.push_at(&mut server, 10);
    if server.sealed.is_empty() {
        // The last frame was not whole yet: the receiver finds it so, and the push goes on.
        assert!(cut.is_err());
        let (outcome, _) = host.push(&mut server);
        server.judge(outcome.push, Verdict::Accepted { root: outcome.root });
    } else {
        let head = header(&server.sealed[0]);
        let root = crate::server::seal(&server.sealed[0]).root;
        server.judge(head.push, Verdict::Accepted { root });
    }
    let (outcome, account) = host.push(&mut server);
    assert!(outcome.base.is_some());
    assert_eq!(account.get(Count::ReadFiles), 0);
}

/// Touches a file without changing it.
fn touch(path: &std::path::Path) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(100)).unwrap();
}

/// What is read after a cut by a host whose files were all touched, and read and not sent before it.
fn read_after_a_cut(damage: impl Fn(&Host)) -> u64 {
    let host = Host::new();
    for n in 0..600 {
        host.write(&format!("a/{n}"), &noise(n + 1, 100));
    }
    for n in 0..4 {
        host.write(&format!("b/long-{n}"), &noise(n + 1_000, 1_200_000));
    }
    let mut server = Server::new();
    host.push_accepted(&mut server);
    (0..600).for_each(|n| touch(&host.path(&format!("a/{n}"))));
    (0..4).for_each(|n| touch(&host.path(&format!("b/long-{n}"))));
    for n in 0..30 {
        host.write(&format!("c/new-{n:02}"), &noise(n + 2_000, 200_000));
    }
    server.cut_after = Some(4_000_000);
    assert!(host.push_at(&mut server, 10).0.is_err());
    let cut = header(&server.partial).push;
    damage(&host);
    let (outcome, account) = host.push(&mut server);
    assert_eq!(outcome.push == cut, account.get(Count::ReadFiles) < 634, "it went on");
    account.get(Count::ReadFiles)
}

#[test]
fn what_was_read_and_not_sent_before_a_cut_is_not_read_again() {
    let read = read_after_a_cut(|_| {});
    println!("{read} of 634 files are read again");
    // The last short ones are noted together; of the new ones some had arrived.
    assert!(read <= 88 + 30, "{read} of 634 files are read again");
    // The control.
    let all = read_after_a_cut(|host| fs::remove_file(host.state_path().join("journal")).unwrap());
    assert_eq!(all, 634);
}
