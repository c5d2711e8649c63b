//! A push that is cut, at any byte, and gone on with.

use formats::push::{MARK_BYTES, Mark};
use formats::session::ServerMessage;
use wire::client::Outgoing;
use wire::partial::End;
use wire::server::Jail;

use crate::samples::*;

/// What the client journals: the mark after each frame.
fn journal() -> Vec<Mark> {
    let mut to = Vec::new();
    let mut push = Outgoing::open_new(&header(), &mut to).unwrap();
    let mut marks = vec![push.mark()];
    for length in [1usize, 40, 700] {
        push.contents(&block(&vec![length as u8; length]), &mut to).unwrap();
        marks.push(push.mark());
    }
    push.entries(&block(b"changes"), &mut to).unwrap();
    marks.push(push.mark());
    marks
}

/// Goes on from a mark and sends the rest again, as a client would: contents that are not there yet, then all changes.
fn going_on(mark: Mark) -> Vec<u8> {
    let mut to = Vec::new();
    let mut push = Outgoing::go_on(PUSH, mark, &mut to).unwrap();
    for (nth, length) in [1usize, 40, 700].into_iter().enumerate() {
        if mark.frames <= nth as u64 + 1 {
            push.contents(&block(&vec![length as u8; length]), &mut to).unwrap();
        }
    }
    push.entries(&block(b"changes"), &mut to).unwrap();
    push.seal(FACTS, &mut to).unwrap();
    to
}

fn after(file: &[u8]) -> Jail {
    Jail { partial: scanned(file, 30), ..jail() }
}

#[test]
fn a_push_cut_at_any_byte_goes_on_from_its_last_whole_frame() {
    let (session, journal) = (session(), journal());
    let (mut gone_on, mut sealed) = (0, 0);
    for cut in 0..session.len() {
        let cut_short = obey(jail(), &session[..cut], 77);
        let jail = after(&cut_short.file);
        if cut_short.sealed == [PUSH] {
            sealed += 1;
            continue;
        }
        let Some(partial) = jail.partial.clone() else {
            assert!(cut_short.file.is_empty());
            continue;
        };
        assert_eq!(partial.end, End::Open);
        assert_eq!(
            partial.tally.bytes(),
            cut_short.file.len() as u64,
            "cut at {cut}: only whole frames are written"
        );
        let mark = journal[partial.tally.frames() as usize - 1];
        assert_eq!(mark, partial.tally.mark(), "both sides stand at the same place");
        let second = obey(jail, &going_on(mark), 77);
        assert_eq!(
            (second.gone_on, second.begun, second.sealed.as_slice()),
            (1, 0, &[PUSH][..]),
            "cut at {cut}"
        );
        let file = [cut_short.file, second.file].concat();
        assert_eq!(scanned(&file, 1000).unwrap().end, End::Sealed, "cut at {cut}");
        gone_on += 1;
    }
    assert!(gone_on > 900 && sealed > 20, "{gone_on} cuts gone on with, {sealed} after the seal");
}

#[test]
fn a_push_can_be_cut_after_every_frame_and_again_while_going_on() {
    let mut file = obey(jail(), &session()[..200], 50).file;
    let mut cuts = 0;
    for _ in 0..20 {
        let jail = after(&file);
        let mark = jail.partial.as_ref().unwrap().tally.mark();
        let rest = going_on(mark);
        // One frame further each time: the resume frame, then the rest is cut off.
        let deeds = obey(jail, &rest[..rest.len() - 1], 50);
        assert_eq!(deeds.sealed, []);
        file.extend(deeds.file);
        cuts += 1;
    }
    let jail = after(&file);
    let mark = jail.partial.as_ref().unwrap().tally.mark();
    assert_eq!(obey(jail, &going_on(mark), 50).sealed, [PUSH], "after {cuts} cuts");
}

#[test]
fn a_file_torn_at_any_byte_is_cut_to_its_last_whole_frame() {
    let file = obey(jail(), &session(), 1000).file;
    let mut ends: Vec<u64> = journal().iter().map(|mark| mark.bytes).collect();
    ends.push(file.len() as u64);
    for torn in 0..=file.len() {
        let whole = ends.iter().rev().find(|end| **end <= torn as u64).copied();
        let found = scanned(&file[..torn], 64);
        assert_eq!(found.map(|partial| partial.tally.bytes()), whole, "torn at {torn}");
    }
}

#[test]
fn a_flipped_bit_in_a_file_ends_it_before_the_frame_it_is_in() {
    let file = obey(jail(), &session(), 1000).file;
    let ends: Vec<u64> = journal().iter().map(|mark| mark.bytes).collect();
    for at in 12..file.len() {
        let mut rotten = file.clone();
        rotten[at] ^= 0x10;
        let whole = ends.iter().rev().find(|end| **end <= at as u64).copied();
        let found = scanned(&rotten, 64);
        assert_eq!(found.as_ref().map(|partial| partial.tally.bytes()), whole, "flipped at {at}");
        assert!(found.is_none_or(|partial| partial.end == End::Open));
    }
}

#[test]
fn frames_behind_a_seal_are_not_part_of_the_file() {
    let mut file = obey(jail(), &session(), 1000).file;
    let whole = file.len() as u64;
    file.extend(framed(2, b"more"));
    let found = scanned(&file, 1000).unwrap();
    assert_eq!((found.tally.bytes(), found.end), (whole, End::Sealed));
}

#[test]
fn the_base_message_names_the_partial_push() {
    let file = obey(jail(), &session()[..200], 50).file;
    let deeds = obey(after(&file), b"", 1);
    let [ServerMessage::Base(base)] = &deeds.answers[..] else { panic!("no base message") };
    let frames = scanned(&file, 10).unwrap().tally.frames();
    assert_eq!(base.partial, Some((PUSH, frames)));
}

#[test]
fn a_mark_of_another_place_never_seals() {
    let file = obey(jail(), &session()[..400], 50).file;
    let right = scanned(&file, 50).unwrap().tally.mark();
    let chain = [0; 32];
    let deeds = obey(after(&file), &going_on(Mark { chain, ..right }), 50);
    assert_eq!(deeds.sealed, [], "the chain is not the receiver's");
    let deeds = obey(after(&file), &going_on(Mark { frames: right.frames - 1, ..right }), 50);
    assert_eq!((deeds.sealed.len(), deeds.gone_on), (0, 0), "the number is not the receiver's");
    let mut bytes = Vec::new();
    right.encode(&mut bytes);
    assert_eq!(bytes.len(), MARK_BYTES);
}
