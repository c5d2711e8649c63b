#![no_main]
//! The receiver's side of a session: whatever a host sends, in whatever pieces, what is written is a valid start of a push file within
//! the limits, and what is said and done does not depend on the pieces.
mod script;

use formats::published::{Limits, Published, Verdict};
use formats::push::{Tally, head};
use formats::session::{Code, Offer, Role, ServerMessage};
use formats::{Admission, OpenHours, PushId, Root};
use wire::partial::End;
use wire::server::{Effect, Fate, Jail, Server};

const PARTIAL: PushId = PushId::from_bytes([7; 16]);
const QUEUED: PushId = PushId::from_bytes([8; 16]);
const JUDGED: PushId = PushId::from_bytes([9; 16]);

/// What a receiver did.
#[derive(Debug, Default, PartialEq)]
struct Deeds {
    answers: Vec<ServerMessage>,
    file: Vec<u8>,
    opened: u32,
    sealed: Vec<PushId>,
    roles: Vec<Role>,
    awaited: Vec<(PushId, u32)>,
    offered: Vec<(Root, Offer)>,
    refused: Option<(Code, Fate)>,
    ended: bool,
}

fn jail(setting: u8) -> (Jail, Vec<u8>) {
    let push_bytes = 1 << (6 + (setting & 15));
    let limits = Limits { push_bytes, queued_pushes: 2, expanded_bytes: 1 << 40, entries: 40, ..Limits::default() };
    let mut published = Published::new(script::host(), limits);
    published.judge(JUDGED, Verdict::Rejected { code: Code::WrongRoot });
    // Closed at the hour of the session, for all but one emergency.
    let hours = if setting & 32 != 0 { OpenHours::of([5]) } else { None };
    let soft_bytes = 1 << 10;
    let history_bytes = if setting & 64 != 0 { 1 << 27 } else { u64::MAX };
    let hours = hours.unwrap_or(OpenHours::ALL);
    published.admission = Admission { hours, emergency_pushes: 1, soft_bytes, history_bytes, ..Admission::default() };
    let mut jail = Jail { published, partial: None, queued: vec![QUEUED], waiting: 1, sealed_last: None, emergencies: 0 };
    let mut file = Vec::new();
    if setting & 16 != 0 {
        let started = script::bytes(b"\x01\0\0\x02\x04\0some", &Tally::begin(), PARTIAL);
        file = [head(), started].concat();
        jail.partial = script::scanned(&file, usize::MAX);
        assert!(jail.partial.is_some());
    }
    jail.waiting += usize::from(setting >> 7);
    (jail, file)
}

fn obey(jail: Jail, partial: &[u8], bytes: &[u8], piece: usize) -> Deeds {
    let mut server = Server::new(jail);
    let mut deeds = Deeds::default();
    drain(&mut server, partial, &mut deeds);
    let mut rest = bytes;
    while !rest.is_empty() && !deeds.ended && deeds.refused.is_none() {
        let count = server.feed(&rest[..rest.len().min(piece.max(1))]);
        assert!(count > 0, "the buffer is full and nothing comes out");
        rest = &rest[count..];
        drain(&mut server, partial, &mut deeds);
    }
    deeds
}

fn drain(server: &mut Server, partial: &[u8], deeds: &mut Deeds) {
    while let Some(effect) = server.next() {
        assert!(!deeds.ended && deeds.refused.is_none(), "something after the end: {effect:?}");
        match effect {
            Effect::Answer(message) => {
                message.encode(&mut Vec::new()).expect("what is said can be said");
                deeds.answers.push(message);
            }
            Effect::Begin { header, bytes, role } => {
                assert!(![QUEUED, JUDGED].contains(&header.push), "a known push is not begun again");
                (deeds.opened, deeds.file) = (deeds.opened + 1, bytes);
                deeds.roles.push(role);
            }
            Effect::GoOn { role } => {
                (deeds.opened, deeds.file) = (deeds.opened + 1, partial.to_vec());
                deeds.roles.push(role);
            }
            Effect::Append(bytes) => deeds.file.extend_from_slice(bytes),
            Effect::Seal { push, frame } => {
                deeds.file.extend_from_slice(frame);
                deeds.sealed.push(push);
            }
            Effect::Offered { lender, offer } => deeds.offered.push((lender, offer)),
            Effect::Await { push, seconds } => deeds.awaited.push((push, seconds)),
            Effect::Refuse { code, partial, .. } => deeds.refused = Some((code, partial)),
            Effect::End => deeds.ended = true,
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Input: the jail, the pieces, a script.
    let Some((&[setting, piece], rest)) = data.split_first_chunk::<2>() else { return };
    let (jail, partial) = jail(setting);
    let tally = jail.partial.as_ref().map_or_else(Tally::begin, |partial| partial.tally.clone());
    let bytes = script::bytes(rest, &tally, PARTIAL);
    let limits = jail.published.limits;
    let is_open = jail.published.admission.hours == OpenHours::ALL;
    let deeds = obey(jail.clone(), &partial, &bytes, usize::from(piece));
    assert_eq!(deeds, obey(jail, &partial, &bytes, usize::MAX), "in other pieces it is another");

    assert!(matches!(deeds.answers.first(), Some(ServerMessage::Base(_))), "the base message comes first");
    assert!(deeds.opened <= 1 && deeds.sealed.len() <= 1, "one push a session");
    let admitted_as = if is_open { Role::Usual } else { Role::Emergency };
    assert!(deeds.roles.iter().all(|role| *role == admitted_as), "an emergency only where it is needed");
    let warnings = deeds.answers.iter().filter(|answer| matches!(answer, ServerMessage::Warned { .. }));
    assert!(warnings.count() <= 3, "each warning once");
    let offered: usize = deeds.offered.iter().map(|(_, offer)| offer.contents().len()).sum();
    assert!(offered as u64 <= limits.entries, "more is offered than a manifest may have");
    assert!(deeds.offered.iter().all(|(lender, _)| *lender == script::LENDER), "only against the lender of the push");
    if deeds.opened == 0 {
        assert!(deeds.offered.is_empty());
        assert!(deeds.file.is_empty() && deeds.sealed.is_empty());
        assert!(
            !matches!(deeds.refused, Some((_, Fate::Discard))),
            "nothing of this session is there to discard"
        );
        return;
    }
    let most = limits.push_bytes.max(partial.len() as u64);
    assert!(deeds.file.len() as u64 <= most, "over the limit of bytes");
    let file = script::scanned(&deeds.file, usize::MAX).expect("a push file has a header");
    assert_eq!(file.tally.bytes(), deeds.file.len() as u64, "only whole frames in order are written");
    assert_eq!(file.header.host, script::host());
    assert_eq!(file.end == End::Sealed, deeds.sealed == [file.push()]);
});
