//! What a receiver says of offers, from the list of its own jail.

use std::fs;
use std::os::unix::fs::symlink;

use formats::holdings::{Head, HoldingsError};
use formats::limits::OFFER;
use formats::published::Limits;
use formats::push::Header;
use formats::session::{Code, Had, Offer, Role, ServerMessage};
use formats::{ContentHash, Root};
use wire::client::Outgoing;

use crate::rig::*;

const LENDER: Root = Root::from_bytes([5; 32]);

/// Every second of these contents is in the list.
fn contents(numbers: std::ops::Range<u32>) -> Vec<ContentHash> {
    numbers.map(|n| ContentHash::of(&n.to_le_bytes())).collect()
}

fn list(root: Root, mut contents: Vec<ContentHash>) -> Vec<u8> {
    contents.sort_unstable();
    let mut bytes = Head { root, count: contents.len() as u64 }.encode();
    contents.iter().for_each(|content| bytes.extend_from_slice(content.as_bytes()));
    [bytes, root.as_bytes().to_vec()].concat()
}

fn listed() -> Vec<u8> {
    list(LENDER, contents(0..10_000).into_iter().step_by(2).collect())
}

/// A push that names the lender, in a session of version 1.2.
fn begun(session: &mut Session) -> Outgoing {
    session.base();
    let mut bytes = hello(Role::Usual);
    let header = Header { lender: Some(LENDER), ..header(PUSH) };
    let push = Outgoing::open_new(&header, &mut bytes).unwrap();
    session.send(&bytes);
    push
}

fn offer(session: &mut Session, contents: Vec<ContentHash>) {
    session.heard.expect_had(contents.len());
    let mut bytes = Vec::new();
    wire::client::offer(Offer::new(contents).unwrap(), &mut bytes).unwrap();
    session.send(&bytes);
}

fn had(session: &mut Session) -> Had {
    match session.hear() {
        Some(ServerMessage::Had(had)) => had,
        other => panic!("no answer but {other:?}"),
    }
}

/// How many of 100 contents are had, of which 50 are listed.
fn had_of_100(jail: &Jail) -> usize {
    let mut session = jail.start();
    begun(&mut session);
    offer(&mut session, contents(0..100));
    let had = had(&mut session);
    (0..100).filter(|place| had.has(*place)).count()
}

#[test]
fn a_receiver_says_which_of_the_offered_contents_the_base_has_and_keeps_the_push_as_any() {
    let jail = Jail::new(limits());
    fs::write(jail.path("state/holdings"), listed()).unwrap();
    let mut session = jail.start();
    let mut push = begun(&mut session);
    for first in [0u32, 3, 9_000, 50_000] {
        offer(&mut session, contents(first..first + OFFER as u32));
    }
    for first in [0u32, 3, 9_000, 50_000] {
        let had = had(&mut session);
        let right =
            |place: usize| (first as usize + place).is_multiple_of(2) && first as usize + place < 10_000;
        assert!((0..OFFER).all(|place| had.has(place) == right(place)), "from {first}");
    }
    let mut bytes = Vec::new();
    push.contents(&block(b"what was not had"), &mut bytes).unwrap();
    push.entries(&block(b"changes"), &mut bytes).unwrap();
    push.seal(FACTS, &mut bytes).unwrap();
    session.send(&bytes);
    session.sealed();
    assert_eq!(contents_of(&jail.the_sealed_push()), [b"what was not had"]);
}

#[test]
fn a_list_that_is_not_whole_or_not_of_the_lender_has_nothing() {
    let jail = Jail::new(limits());
    assert_eq!(had_of_100(&jail), 0, "no list");
    let good = listed();
    let path = jail.path("state/holdings");
    let changed = |at: usize, to: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let few = list(LENDER, Vec::new());
    let spoiled = [
        ("another root", list(Root::from_bytes([6; 32]), contents(0..100))),
        ("no byte", Vec::new()),
        ("a head cut short", good[..40].to_vec()),
        ("a list cut short", good[..good.len() / 2].to_vec()),
        ("no end", good[..good.len() - 32].to_vec()),
        ("one byte too few", good[..good.len() - 1].to_vec()),
        ("one byte more", [&good[..], &[0]].concat()),
        ("an end of zeros", changed(good.len() - 32, &[0; 32])),
        ("another magic", changed(0, b"firn.psh")),
        ("another major version", changed(8, &[2])),
        ("a count that is not its own", changed(44, &[1])),
        ("a count beyond all files", changed(44, &[255; 8])),
        ("a count of none", changed(44, &[0; 8])),
        ("nothing listed", few),
    ];
    for (what, bytes) in spoiled {
        fs::write(&path, bytes).unwrap();
        assert_eq!(had_of_100(&jail), 0, "{what}");
    }
    fs::remove_file(&path).unwrap();
    fs::write(jail.path("elsewhere"), &good).unwrap();
    symlink(jail.path("elsewhere"), &path).unwrap();
    assert_eq!(had_of_100(&jail), 0, "a link");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(had_of_100(&jail), 0, "a folder");
    // The control.
    fs::remove_dir(&path).unwrap();
    fs::write(&path, &good).unwrap();
    assert_eq!(had_of_100(&jail), 50);
    assert!(
        matches!(Head::decode(&good), Err(HoldingsError::Malformed(_))),
        "a head is only the first bytes"
    );
}

#[test]
fn a_list_longer_than_a_manifest_of_this_host_may_be_has_nothing() {
    let of = |entries| {
        let jail = Jail::new(Limits { entries, ..limits() });
        fs::write(jail.path("state/holdings"), listed()).unwrap();
        had_of_100(&jail)
    };
    assert_eq!((of(4_999), of(5_000)), (0, 50));
}

#[test]
fn a_list_that_is_replaced_while_a_session_lasts_changes_no_answer() {
    let jail = Jail::new(limits());
    fs::write(jail.path("state/holdings"), listed()).unwrap();
    let mut session = jail.start();
    begun(&mut session);
    let mut count = || {
        offer(&mut session, contents(0..100));
        let had = had(&mut session);
        (0..100).filter(|place| had.has(*place)).count()
    };
    assert_eq!(count(), 50);
    fs::write(jail.path("state/new"), list(Root::from_bytes([6; 32]), contents(0..100))).unwrap();
    fs::rename(jail.path("state/new"), jail.path("state/holdings")).unwrap();
    assert_eq!(count(), 50);
}

#[test]
fn a_list_cut_under_an_open_session_has_nothing_and_ends_nothing() {
    let jail = Jail::new(limits());
    fs::write(jail.path("state/holdings"), listed()).unwrap();
    let mut session = jail.start();
    begun(&mut session);
    offer(&mut session, contents(0..100));
    assert!(had(&mut session).has(0));
    fs::OpenOptions::new().write(true).open(jail.path("state/holdings")).unwrap().set_len(60).unwrap();
    offer(&mut session, contents(0..100));
    let had = had(&mut session);
    assert!((0..100).all(|place| !had.has(place)));
}

#[test]
fn offers_out_of_order_or_beyond_the_limit_end_the_session() {
    let jail = Jail::new(Limits { entries: 150, ..limits() });
    let mut session = jail.start();
    begun(&mut session);
    offer(&mut session, contents(0..100));
    had(&mut session);
    offer(&mut session, contents(0..100));
    assert_eq!(session.refusal(), Code::TooLarge);
    assert_eq!(session.end().code, Some(12));
    assert_eq!(jail.incoming(), [""; 0], "what can never be sealed does not stay");
    let mut session = jail.start();
    session.base();
    session.send(&hello(Role::Usual));
    offer(&mut session, contents(0..1));
    assert_eq!(session.refusal(), Code::Protocol);
    let mut session = jail.start();
    session.base();
    let mut bytes = Vec::new();
    Outgoing::open_new(&Header { lender: Some(LENDER), ..header(PUSH) }, &mut bytes).unwrap();
    session.send(&bytes);
    offer(&mut session, contents(0..1));
    assert_eq!(session.refusal(), Code::Protocol, "a client that did not say that it speaks 1.2");
}
