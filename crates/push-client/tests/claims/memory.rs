//! What a host remembers, forgets, and survives the loss of.

use std::fs;

use formats::published::Verdict;
use formats::session::Code;
use formats::{PushId, Root};
use push_client::push::{Count, PushError};
use push_client::state::{StateError, StateFolder};

use crate::host::{Host, names, noise};
use crate::server::{Server, header};

fn host() -> Host {
    let host = Host::new();
    host.write("file", &noise(1, 5_000));
    host.write("other", b"x");
    host
}

#[test]
fn a_second_run_is_refused_while_the_first_lives() {
    let host = host();
    let first = host.state();
    let error = StateFolder::open(&host.state_path()).unwrap_err();
    assert!(matches!(error, StateError::Busy));
    assert_eq!(cli::Failure::exit(&error), cli::Exit::BUSY);
    drop(first);
    host.state();
}

#[test]
fn the_counter_rises_with_every_push_and_the_installation_stays() {
    let (host, mut server) = (host(), Server::new());
    let mut seen = Vec::new();
    for _ in 0..3 {
        host.push_accepted(&mut server);
        let remembered = StateFolder::peek(&host.state_path()).unwrap().unwrap();
        let installation = remembered.installation.unwrap();
        seen.push((installation.id(), installation.counter()));
    }
    assert_eq!(seen.iter().map(|(_, counter)| *counter).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(seen.iter().all(|(id, _)| *id == seen[0].0));
}

#[test]
fn a_push_says_who_pushes_what_against_which_base() {
    let (host, mut server) = (host(), Server::new());
    let (first, _) = host.push(&mut server);
    let head = header(server.sealed.last().unwrap());
    assert_eq!((head.host.as_str(), head.push, head.counter, head.base), ("web01", first.push, 1, None));
    server.judge(first.push, Verdict::Accepted { root: first.root });
    host.write("more", b"more");
    let (second, _) = host.push(&mut server);
    let head = header(server.sealed.last().unwrap());
    assert_eq!((head.counter, head.base, second.base), (2, Some(first.root), Some(first.root)));
}

#[test]
fn two_pushes_can_wait_and_the_next_goes_against_the_one_that_was_accepted() {
    let (host, mut server) = (host(), Server::new());
    let (first, _) = host.push(&mut server);
    host.write("second", b"2");
    let (second, _) = host.push(&mut server);
    // Both against nothing, as nothing was accepted yet.
    assert_eq!((first.base, second.base), (None, None));
    server.judge(first.push, Verdict::Accepted { root: first.root });
    server.judge(second.push, Verdict::Accepted { root: second.root });
    host.write("third", b"3");
    let (third, account) = host.push(&mut server);
    assert_eq!(third.base, Some(second.root));
    assert_eq!(account.get(Count::ReadFiles), 1);
    // What nobody needs any more is gone.
    let kept = names(&host.state_path());
    assert!(!kept.contains(&format!("{}.manifest", first.root)), "{kept:?}");
    assert!(kept.contains(&format!("{}.manifest", third.root)), "{kept:?}");
}

#[test]
fn a_verdict_that_comes_in_time_is_remembered() {
    let (mut host, mut server) = (host(), Server::new());
    host.verdict_wait_seconds = 5;
    // The root is known only when the push is: so ask for a wrong one first.
    server.verdict = Some(Verdict::Accepted { root: Root::from_bytes([7; 32]) });
    let (outcome, _) = host.push_at(&mut server, 10);
    assert!(matches!(outcome, Err(PushError::OutOfTurn)), "{outcome:?}");
    server = Server::new();
    let (outcome, _) = host.push(&mut server);
    assert!(!outcome.is_accepted);
    server = Server::new();
    server.verdict = Some(Verdict::Accepted { root: outcome.root });
    let (outcome, _) = host.push(&mut server);
    assert!(outcome.is_accepted);
    let remembered = StateFolder::peek(&host.state_path()).unwrap().unwrap();
    assert_eq!(remembered.memory.accepted, Some(outcome.root));
}

#[test]
fn a_rejection_ends_with_its_own_code_and_the_next_push_is_a_good_one() {
    for code in [Code::UnknownBase, Code::ContentHash, Code::Replayed] {
        let (mut host, mut server) = (host(), Server::new());
        host.verdict_wait_seconds = 5;
        server.verdict = Some(Verdict::Rejected { code });
        let (outcome, _) = host.push_at(&mut server, 10);
        let error = outcome.unwrap_err();
        assert!(matches!(error, PushError::Rejected { code: found } if found == code));
        assert_eq!(cli::Failure::exit(&error).code(), code.exit_code());
        let remembered = StateFolder::peek(&host.state_path()).unwrap().unwrap();
        assert_eq!(remembered.memory.pending, []);
        let (outcome, _) = host.push(&mut server);
        assert_eq!(outcome.base, None);
        server.newest(&[]);
    }
}

#[test]
fn a_push_that_was_rejected_later_is_forgotten() {
    let (host, mut server) = (host(), Server::new());
    let (first, _) = host.push_accepted(&mut server);
    host.write("bad", b"bad");
    let (second, _) = host.push(&mut server);
    server.judge(second.push, Verdict::Rejected { code: Code::WrongRoot });
    let (third, _) = host.push(&mut server);
    assert_eq!(third.base, Some(first.root));
    assert_eq!(third.earlier, Some(Code::WrongRoot));
    let remembered = StateFolder::peek(&host.state_path()).unwrap().unwrap();
    assert!(remembered.memory.pending.iter().all(|pending| pending.push != second.push));
}

#[test]
fn a_lost_state_costs_one_whole_push_where_the_server_cannot_tell_what_it_has() {
    let (host, mut server) = (host(), Server::new());
    host.push_accepted(&mut server);
    fs::remove_dir_all(host.state_path()).unwrap();
    let (outcome, account) = host.push(&mut server);
    assert_eq!(outcome.base, None);
    assert_eq!(account.get(Count::ReadFiles), 2);
    server.newest(&[]);
}

#[test]
fn a_lost_history_costs_one_whole_push() {
    let (host, mut server) = (host(), Server::new());
    host.push_accepted(&mut server);
    let (outcome, _) = host.push(&mut Server::new());
    assert_eq!(outcome.base, None);
    // A server that is ahead of us, as after a restore of this host.
    server.published.base = Some(Root::from_bytes([9; 32]));
    let (outcome, _) = host.push(&mut server);
    assert_eq!(outcome.base, None);
    server.newest(&[]);
}

/// Every byte of the stamps' head and end, and a sample between; every byte of a small manifest.
#[test]
fn a_damaged_memory_makes_the_next_push_whole_and_never_wrong() {
    let (host, mut server) = (host(), Server::new());
    let (first, _) = host.push_accepted(&mut server);
    let entries = server_entries(&host, first.root);
    for kind in ["manifest", "stamps"] {
        let path = host.state_path().join(format!("{}.{kind}", first.root));
        let good = fs::read(&path).unwrap();
        let mut whole_pushes = 0;
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            let state = host.state();
            whole_pushes += usize::from(state.base(first.root).is_err());
        }
        // All but the two bytes of the manifest's minor version, where a higher one is read as well. The stamps' are checked.
        let harmless = if kind == "manifest" { 2 } else { 0 };
        assert_eq!(whole_pushes, good.len() - harmless, "{kind}: a damaged byte was believed");
        for length in [0, 1, 11, good.len() / 2, good.len() - 1] {
            fs::write(&path, &good[..length]).unwrap();
            assert!(host.state().base(first.root).is_err(), "{kind} cut to {length}");
        }
        let (outcome, _) = host.push(&mut server);
        assert_eq!((outcome.base, outcome.root), (None, first.root));
        server.newest(&[]);
        server.sealed.clear();
        fs::write(&path, &good).unwrap();
        assert!(host.state().base(first.root).is_ok());
    }
    assert_eq!(crate::server::root_of(&entries), first.root);
    for file in ["state", "installation"] {
        fs::write(host.state_path().join(file), b"{\"format\":\"firn.client/9.0\"").unwrap();
        let (_, _) = host.push(&mut server);
        server.sealed.clear();
    }
}

fn server_entries(host: &Host, root: Root) -> Vec<formats::Entry> {
    let file = fs::File::open(host.state_path().join(format!("{root}.manifest"))).unwrap();
    formats::ManifestReader::new(std::io::BufReader::new(file)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn the_state_is_for_nobody_elses_eyes() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (host, mut server) = (host(), Server::new());
    fs::create_dir(host.state_path()).unwrap();
    fs::set_permissions(host.state_path(), fs::Permissions::from_mode(0o755)).unwrap();
    host.push(&mut server);
    assert_eq!(fs::metadata(host.state_path()).unwrap().mode() & 0o7777, 0o700);
    for name in names(&host.state_path()) {
        let mode = fs::metadata(host.state_path().join(&name)).unwrap().mode() & 0o077;
        assert!(name == "lock" || mode == 0, "{name}");
    }
}

#[test]
fn a_push_of_an_unknown_id_is_never_taken_for_ours() {
    let (host, mut server) = (host(), Server::new());
    server
        .published
        .judge(PushId::from_bytes([3; 16]), Verdict::Accepted { root: Root::from_bytes([4; 32]) });
    let (outcome, _) = host.push(&mut server);
    assert_eq!(outcome.base, None);
}
