//! The order of messages, against a model that shares nothing with the state machine: every sequence up to a length.

use formats::frame;
use formats::push::{FrameKind, Header, Seal, Tally};
use formats::session::{ClientMessage, Offer, Role};
use formats::{ContentHash, Root};
use wire::server::Jail;

use crate::samples::*;

const LETTERS: &[u8; 11] = b"LNGABHCERSO";

/// The legal order of `docs/formats/session.md` as a table: place, letter, next place. Anything else is refused.
const MODEL: &[(&str, &str, &str)] = &[
    ("idle", "N", "header due"),
    ("idle", "G", "resume due"),
    ("idle", "A", "idle"),
    ("idle", "B", "end"),
    ("idle", "L", "greeted"),
    ("greeted", "N", "greeted, header due"),
    ("greeted", "G", "greeted, resume due"),
    ("greeted", "A", "greeted"),
    ("greeted", "B", "end"),
    ("header due", "H", "contents"),
    ("resume due", "R", "contents"),
    ("greeted, header due", "H", "greeted, contents"),
    ("greeted, resume due", "R", "greeted, contents"),
    ("greeted, contents", "CRO", "greeted, contents"),
    ("greeted, contents", "E", "entries"),
    ("greeted, contents", "S", "done"),
    ("contents", "CR", "contents"),
    ("contents", "E", "entries"),
    ("contents", "S", "done"),
    ("entries", "ER", "entries"),
    ("entries", "S", "done"),
    ("done", "A", "done"),
    ("done", "B", "end"),
];

/// The place after the letters, or the number of the letter that is refused.
fn model(letters: &[u8]) -> Result<&'static str, usize> {
    let mut place = "idle";
    for (nth, letter) in letters.iter().enumerate() {
        if place == "end" {
            break;
        }
        let step = MODEL.iter().find(|(from, on, _)| *from == place && on.as_bytes().contains(letter));
        place = step.ok_or(nth)?.2;
    }
    Ok(place)
}

/// Of a push that takes contents from a lender: others may offer none.
fn lent() -> Vec<u8> {
    Header { lender: Some(Root::from_bytes([5; 32])), ..header() }.encode().unwrap()
}

/// A partial push of a header and one block.
fn cut_short() -> Jail {
    let mut bytes = new();
    bytes.extend(framed(FrameKind::Header.code(), &lent()));
    bytes.extend(framed(2, b"block"));
    Jail { partial: scanned(&obey(jail(), &bytes, 100).file, 100), ..jail() }
}

/// The bytes for the letters; a seal fits what went before it, as far as anything can.
fn bytes(letters: &[u8], jail: &Jail) -> Vec<u8> {
    let partial = jail.partial.as_ref().unwrap();
    let mut tally = Tally::begin();
    let mut to = Vec::new();
    for letter in letters {
        let (kind, payload) = match letter {
            b'N' => {
                tally = Tally::begin();
                to.extend(new());
                continue;
            }
            b'G' => {
                tally = partial.tally.clone();
                to.extend(said(ClientMessage::GoOn { push: PUSH, frames: tally.frames() }));
                continue;
            }
            b'A' => {
                to.extend(said(ClientMessage::Await { push: PUSH, seconds: 1 }));
                continue;
            }
            b'L' => {
                to.extend(said(ClientMessage::Hello { minor: 2, role: Role::Usual }));
                continue;
            }
            b'B' => {
                to.extend(said(ClientMessage::Bye));
                continue;
            }
            b'O' => {
                let offer = Offer::new(vec![ContentHash::of(b"offered")]).unwrap();
                to.extend(said(ClientMessage::Offer(offer)));
                continue;
            }
            b'H' => (FrameKind::Header, lent()),
            b'C' => (FrameKind::Contents, b"contents".to_vec()),
            b'E' => (FrameKind::Entries, b"entries".to_vec()),
            b'R' => (FrameKind::Resume, Vec::new()),
            _ => {
                let seal = Seal {
                    frames: tally.frames(),
                    hash: tally.hash(),
                    root: FACTS.root,
                    entries: FACTS.entries,
                    left_out: 0,
                };
                (FrameKind::Seal, seal.encode())
            }
        };
        let raw = framed(kind.code(), &payload);
        let _ = tally.take(&frame::decode(&raw).unwrap().unwrap());
        to.extend(raw);
    }
    to
}

fn check(letters: &[u8], jail: &Jail) {
    let deeds = obey(jail.clone(), &bytes(letters, jail), usize::MAX);
    let told = String::from_utf8_lossy(letters);
    match model(letters) {
        Err(_) => assert!(deeds.refused.is_some(), "{told} was taken: {deeds:?}"),
        Ok(place) => {
            assert_eq!(deeds.refused, None, "{told} was refused");
            assert_eq!(deeds.ended, place == "end", "{told}");
            assert_eq!(deeds.sealed.len(), usize::from(letters_seal(letters)), "{told}");
        }
    }
}

fn letters_seal(letters: &[u8]) -> bool {
    let end = letters.iter().position(|letter| *letter == b'B').unwrap_or(letters.len());
    letters[..end].contains(&b'S')
}

#[test]
fn every_sequence_of_up_to_four_messages_is_taken_or_refused_as_the_document_says() {
    let jail = cut_short();
    let (mut taken, mut refused) = (0u32, 0u32);
    for length in 0..=4u32 {
        for number in 0..LETTERS.len().pow(length) {
            let letters: Vec<u8> =
                (0..length).map(|place| LETTERS[number / LETTERS.len().pow(place) % LETTERS.len()]).collect();
            check(&letters, &jail);
            if model(&letters).is_ok() { taken += 1 } else { refused += 1 }
        }
    }
    assert!(taken > 400 && refused > 9_000, "{taken} taken, {refused} refused");
}

#[test]
fn every_message_out_of_order_in_a_long_session_is_refused() {
    let jail = cut_short();
    for legal in
        [&b"ANHCCRCEERESAAB"[..], b"AGRCREESAB", b"ALANHCESAB", b"LGRCESAB", b"LNHOCOREESAB", b"LGROCRESAB"]
    {
        assert!(model(legal).is_ok());
        for end in 0..legal.len() {
            for letter in LETTERS {
                let mut letters = legal[..end].to_vec();
                letters.push(*letter);
                check(&letters, &jail);
            }
        }
    }
}
