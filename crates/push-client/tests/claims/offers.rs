//! A host that lost its state reads everything, and sends what the server lacks.

mod unwell;

use std::fs;

use formats::published::Verdict;
use formats::session::Code;
use formats::{ContentHash, Entry, Root};
use push_client::push::{Account, Count, Outcome, PushError};

use crate::host::{Host, noise};
use crate::server::{Holdings, Server, header};

const SMALL: u64 = 400;
const LONG: u64 = 2;

/// Files of several lengths, all different; some folders.
fn host() -> Host {
    let host = Host::new();
    for n in 0..SMALL {
        host.write(&format!("d{}/file-{n}", n % 4), &noise(n + 1, 5_000 + n as usize));
    }
    for n in 0..LONG {
        host.write(&format!("long-{n}"), &noise(1_000 + n, 3_000_000));
    }
    host
}

/// A host whose push was accepted, and that then lost all it remembered; and the entries the server has.
fn forgetful(host: &Host) -> (Server, Vec<Entry>) {
    let mut server = Server::new();
    let (outcome, _) = host.push(&mut server);
    let entries = server.newest(&[]).entries;
    server.hold(&entries);
    server.judge(outcome.push, Verdict::Accepted { root: outcome.root });
    forget(host);
    (server, entries)
}

fn forget(host: &Host) {
    let _ = fs::remove_dir_all(host.state_path());
    assert!(!host.state_path().exists());
}

fn read_bytes() -> u64 {
    (0..SMALL).map(|n| 5_000 + n).sum::<u64>() + LONG * 3_000_000
}

#[test]
fn losing_the_state_costs_reading_and_next_to_no_sending() {
    let host = host();
    let (mut server, entries) = forgetful(&host);
    server.came = 0;
    let (outcome, account) = host.push(&mut server);
    let judged = server.newest_lent(&entries);
    assert_eq!((judged.entries.len(), judged.contents_count), (entries.len(), 0));
    assert_eq!((outcome.base, outcome.root), (None, header(&server.sealed[0]).lender.unwrap()));
    assert_eq!(account.get(Count::ReadFiles), SMALL + LONG);
    assert_eq!(account.get(Count::OfferedContents), SMALL + LONG);
    assert_eq!(account.get(Count::HadContents), SMALL + LONG);
    println!(
        "{} files, {} bytes of content: {} bytes went to the server, {} of them the push",
        SMALL + LONG,
        read_bytes(),
        server.came,
        account.get(Count::SentBytes)
    );
    assert!(server.came < 60_000, "{} bytes", server.came);
    // What is remembered is whole again: the next push is a usual one.
    server.judge(outcome.push, Verdict::Accepted { root: outcome.root });
    let (usual, account) = host.push(&mut server);
    assert_eq!(usual.base, Some(outcome.root));
    assert_eq!((account.get(Count::ReadFiles), account.get(Count::OfferedContents)), (0, 0));
}

#[test]
fn what_changed_meanwhile_is_sent_and_nothing_else() {
    let host = host();
    let (mut server, entries) = forgetful(&host);
    let new = [noise(50_000, 700), noise(50_001, 4_000_000), Vec::new()];
    host.write("d1/file-1", &new[0]);
    host.write("long-1", &new[1]);
    host.write("d2/empty", &new[2]);
    host.write("copy", &noise(3, 5_002));
    fs::remove_file(host.path("d3/file-3")).unwrap();
    let (outcome, _) = host.push_accepted_lent(&mut server, &entries);
    let judged = outcome.1;
    let mut sent: Vec<_> = judged.contents.keys().copied().collect();
    let mut expected: Vec<_> = new.iter().map(|bytes| ContentHash::of(bytes)).collect();
    sent.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sent, expected);
    assert_eq!(judged.entries.len(), entries.len() + 1);
}

impl Host {
    /// Pushes against a lender, and has the push opened and accepted.
    fn push_accepted_lent(
        &self,
        server: &mut Server,
        lender: &[Entry],
    ) -> ((Outcome, crate::judge::Judged), Account) {
        let (outcome, account) = self.push(server);
        let judged = server.newest_lent(lender);
        server.judge(outcome.push, Verdict::Accepted { root: outcome.root });
        ((outcome, judged), account)
    }
}

#[test]
fn without_the_list_or_with_that_of_another_state_all_is_sent_again() {
    let host = host();
    let (_, entries) = forgetful(&host);
    for holdings in ["none", "another state's"] {
        forget(&host);
        let (mut server, _) = forgetful(&host);
        match holdings {
            "none" => server.holdings = Holdings::Nothing,
            _ => {
                if let Holdings::Of(root, _) = &mut server.holdings {
                    *root = Root::from_bytes([1; 32]);
                }
            }
        }
        let (_, account) = host.push(&mut server);
        let judged = server.newest_lent(&entries);
        assert_eq!(judged.contents_count as u64, SMALL + LONG, "{holdings}");
        assert_eq!(account.get(Count::HadContents), 0, "{holdings}");
        assert!(account.get(Count::SentBytes) > read_bytes());
    }
}

#[test]
fn a_receiver_of_before_offers_gets_none_and_a_whole_push() {
    let host = host();
    for minor in [0, 1] {
        let (mut server, _) = forgetful(&host);
        server.minor = minor;
        let (_, account) = host.push(&mut server);
        assert_eq!(header(&server.sealed[0]).lender, None);
        assert_eq!(server.newest(&[]).contents_count as u64, SMALL + LONG);
        assert_eq!((account.get(Count::OfferedContents), server.offers), (0, 0));
        forget(&host);
    }
}

#[test]
fn a_server_that_says_it_has_what_it_has_not_is_not_asked_again_until_a_push_was_accepted() {
    for waits in [0, 5] {
        let mut host = host();
        host.verdict_wait_seconds = waits;
        let (mut server, _) = forgetful(&host);
        server.holdings = Holdings::Everything;
        host.write("new", b"what the server has never seen");
        server.verdict = Some(Verdict::Rejected { code: Code::MissingContent });
        let (first, _) = host.push_at(&mut server, 10);
        if waits == 0 {
            // It is judged later, and the host learns of it when it comes again.
            let outcome = first.unwrap();
            server.judge(outcome.push, Verdict::Rejected { code: Code::MissingContent });
            server.verdict = None;
        } else {
            assert!(matches!(first, Err(PushError::Rejected { code: Code::MissingContent })));
        }
        let offers = server.offers;
        assert!(offers > 0);
        let (outcome, account) = host.push_at(&mut server, 20);
        let outcome = outcome.unwrap();
        assert_eq!((account.get(Count::OfferedContents), server.offers), (0, offers), "asked again");
        assert_eq!(server.newest(&[]).contents_count as u64, SMALL + LONG + 1);
        server.judge(outcome.push, Verdict::Accepted { root: outcome.root });
        assert_eq!(host.push(&mut server).0.base, Some(outcome.root));
        // The control: it is only that one rejection which makes the difference.
        forget(&host);
        host.push(&mut server);
        assert!(server.offers > offers);
    }
}

#[test]
fn a_content_that_the_server_wants_again_is_sent_and_not_offered() {
    let host = host();
    let (mut server, entries) = forgetful(&host);
    let wanted = [noise(5, 5_004), noise(1_001, 3_000_000)].map(|bytes| ContentHash::of(&bytes));
    server.published.wanted = wanted.to_vec();
    server.published.wanted.sort_unstable();
    let (_, account) = host.push(&mut server);
    let judged = server.newest_lent(&entries);
    assert_eq!(judged.contents_count, 2);
    assert!(wanted.iter().all(|hash| judged.contents.contains_key(hash)));
    assert_eq!(account.get(Count::OfferedContents), SMALL + LONG - 2);
}

#[test]
fn a_long_file_that_was_had_costs_little_when_it_changes_afterwards() {
    let host = host();
    let (mut server, entries) = forgetful(&host);
    host.push_accepted_lent(&mut server, &entries);
    let mut long = noise(1_000, 3_000_000);
    long[1_500_000..1_500_100].fill(7);
    host.write("long-0", &long);
    let (_, account) = host.push(&mut server);
    assert!(account.get(Count::SentBytes) < 400_000, "{} bytes", account.get(Count::SentBytes));
}

#[test]
fn where_the_server_has_nothing_long_files_are_soon_read_once_and_asked_about_now_and_then() {
    let host = Host::new();
    for n in 0..2_100u64 {
        host.write(&format!("a/{n}"), &n.to_le_bytes());
    }
    for n in 0..32 {
        host.write(&format!("b/{n:02}"), &noise(n, 1_100_000));
    }
    let (mut server, entries) = forgetful(&host);
    server.holdings = Holdings::Nothing;
    let (_, account) = host.push(&mut server);
    assert_eq!(server.newest(&[]).entries, entries);
    let once = 2_100 * 8 + 32 * 1_100_000;
    let twice = account.get(Count::ReadBytes) - once;
    // Those before the first answer are known, and every sixteenth of the others.
    assert!((1_100_000..=4 * 1_100_000).contains(&twice), "{twice} bytes were read twice");
    // As soon as something is had, all are asked about.
    forget(&host);
    let (mut server, _) = forgetful(&host);
    if let Holdings::Of(_, contents) = &mut server.holdings {
        contents.remove(&ContentHash::of(&noise(0, 1_100_000)));
        for n in 0..2_100u64 {
            contents.remove(&ContentHash::of(&n.to_le_bytes()));
        }
    }
    let (_, account) = host.push(&mut server);
    let sent = server.newest_lent(&entries).contents.len() as u64 - 2_100;
    // The first is lacking and the sixteenth after it is had, or one of those before the first answer.
    assert!((1..=16).contains(&sent), "{sent}");
    assert_eq!(sent + account.get(Count::HadContents), 32);
}

#[test]
fn many_files_are_offered_many_at_a_time_and_equal_ones_once() {
    let host = Host::new();
    for n in 0..9_000u64 {
        host.write(&format!("d{}/{n}", n % 90), &(n % 5_000).to_le_bytes());
    }
    let (mut server, entries) = forgetful(&host);
    let (_, account) = host.push(&mut server);
    assert_eq!(server.newest_lent(&entries).contents_count, 0);
    assert_eq!((account.get(Count::OfferedContents), account.get(Count::HadContents)), (5_000, 5_000));
    assert_eq!(server.offers, 3);
}

#[test]
fn a_push_with_offers_that_is_cut_anywhere_goes_on_or_begins_anew_and_is_whole() {
    let (mut went_on, mut anew) = (0, 0);
    let mut whole = Server::new();
    let host = host();
    host.push(&mut whole);
    let all = whole.came;
    for part in 1..12 {
        let (mut server, entries) = forgetful(&host);
        // Half of it is had; the rest comes among the offers.
        if let Holdings::Of(_, contents) = &mut server.holdings {
            contents.retain(|content| content.as_bytes()[0].is_multiple_of(2));
        }
        server.cut_after = Some(all / 30 * part);
        let (cut, _) = host.push_at(&mut server, 10);
        assert!(cut.is_err() && server.sealed.is_empty(), "cut at {part}");
        let begun = (!server.partial.is_empty()).then(|| header(&server.partial).push);
        let (outcome, _) = host.push(&mut server);
        // Cut behind its walk, it is remembered which state it brought; and that is the server's.
        let judged = match header(&server.sealed[0]).base {
            Some(_) => server.newest(&entries),
            None => server.newest_lent(&entries),
        };
        assert_eq!(judged.entries.len(), entries.len());
        if begun == Some(outcome.push) {
            went_on += 1
        } else {
            anew += 1
        }
        forget(&host);
    }
    println!("{went_on} went on, {anew} began anew");
    assert!(went_on >= 9, "{went_on} went on, {anew} began anew");
}

#[test]
fn a_push_that_was_cut_does_not_go_on_with_another_lender() {
    let host = host();
    // More than can wait between walk and server: at the cut the walk is not yet done.
    for n in LONG..LONG + 6 {
        host.write(&format!("long-{n}"), &noise(1_000 + n, 3_000_000));
    }
    let (mut server, _) = forgetful(&host);
    server.holdings = Holdings::Nothing;
    server.cut_after = Some(2_500_000);
    assert!(host.push_at(&mut server, 10).0.is_err());
    let cut = header(&server.partial).push;
    server.published.base = Some(Root::from_bytes([3; 32]));
    let (outcome, _) = host.push(&mut server);
    assert_ne!(outcome.push, cut);
    assert_eq!(header(&server.sealed[0]).lender, Some(Root::from_bytes([3; 32])));
    // The control.
    forget(&host);
    let (mut server, _) = forgetful(&host);
    server.holdings = Holdings::Nothing;
    server.cut_after = Some(2_500_000);
    assert!(host.push_at(&mut server, 10).0.is_err());
    let cut = header(&server.partial).push;
    assert_eq!(host.push(&mut server).0.push, cut);
}

#[test]
fn what_the_server_had_before_a_cut_is_not_read_again() {
    let host = Host::new();
    for n in 0..30 {
        host.write(&format!("{n:02}"), &noise(n, 1_100_000));
    }
    for lost in [false, true] {
        let (mut server, entries) = forgetful(&host);
        // Each is offered by itself: a frame of 41 bytes.
        server.cut_after = Some(300 + 20 * 41);
        assert!(host.push_at(&mut server, 10).0.is_err());
        let cut = header(&server.partial).push;
        if lost {
            fs::remove_file(host.state_path().join("journal")).unwrap();
        }
        let (outcome, account) = host.push(&mut server);
        assert_eq!(server.newest_lent(&entries).contents_count, 0);
        let read = account.get(Count::ReadFiles);
        match lost {
            false => assert!(outcome.push == cut && read <= 14, "{read} of 30 files are read again"),
            true => assert!(outcome.push != cut && read == 30, "{read}"),
        }
        forget(&host);
    }
}
