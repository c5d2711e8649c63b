//! Messages, published state, header, seal: one encoding each, and nothing beyond it.

use std::collections::BTreeSet;

use formats::frame;
use formats::published::{Judged, Limits, Published, Sandbox, Verdict};
use formats::push::{Header, Record, Seal};
use formats::session::{BaseMessage, ClientMessage, Code, Had, MINOR, Offer, Role, ServerMessage, Soft};
use formats::{Admission, ContentHash, HostId, InstallationId, OpenHours, PushId, Root, Version};

pub(crate) fn header() -> Header {
    Header {
        host: HostId::parse("db1.example.org").unwrap(),
        installation: InstallationId::from_bytes([1; 16]),
        push: PushId::from_bytes([2; 16]),
        counter: 7,
        base: Some(Root::from_bytes([3; 32])),
        lender: None,
        started: 1_700_000_000,
        zone: "Europe/Berlin".into(),
        declared_bytes: 1 << 33,
    }
}

pub(crate) fn published() -> Published {
    let mut published = Published::new(HostId::parse("web01").unwrap(), Limits::default());
    published.base = Some(Root::from_bytes([9; 32]));
    published.judge(PushId::from_bytes([4; 16]), Verdict::Accepted { root: Root::from_bytes([9; 32]) });
    published.judge(PushId::from_bytes([5; 16]), Verdict::Rejected { code: Code::UnknownBase });
    published.wanted = vec![ContentHash::from_bytes([6; 32]), ContentHash::from_bytes([7; 32])];
    published.limits.sandbox = Sandbox::ChrootAccepted;
    published
}

/// As only version 2.0 can say it.
pub(crate) fn published_with_admission() -> Published {
    let admission = Admission {
        hours: OpenHours::of([22, 23, 0, 1]).unwrap(),
        interval_seconds: 3600,
        newest: 1_700_000_000,
        emergency_pushes: 3,
        emergencies: vec![1_699_000_000, 1_699_900_000],
        grace_seconds: 600,
        least_bytes_second: 1024,
        soft_bytes: 1 << 33,
        soft_entries: 1 << 20,
        history_bytes: 1 << 40,
        history_soft_bytes: 1 << 39,
        history_used_bytes: 1 << 38,
    };
    Published { admission, ..published() }
}

pub(crate) fn server_messages() -> Vec<ServerMessage> {
    vec![
        ServerMessage::Base(BaseMessage {
            minor: 0,
            published: published(),
            partial: Some((PushId::from_bytes([8; 16]), 41)),
            queued: vec![PushId::from_bytes([10; 16])],
        }),
        ServerMessage::Sealed(PushId::from_bytes([8; 16])),
        ServerMessage::Refused { code: Code::Busy, retry_seconds: 60 },
        ServerMessage::Verdict { push: PushId::from_bytes([8; 16]), verdict: Verdict::Pending },
    ]
}

pub(crate) fn client_messages() -> Vec<ClientMessage> {
    vec![
        ClientMessage::New { version: Version::ONE },
        ClientMessage::GoOn { push: PushId::from_bytes([8; 16]), frames: 41 },
        ClientMessage::Await { push: PushId::from_bytes([8; 16]), seconds: 60 },
        ClientMessage::Bye,
    ]
}

/// What came with minor version 1.
pub(crate) fn later_server_messages() -> Vec<ServerMessage> {
    let soft = [Soft::Bytes, Soft::Entries, Soft::History];
    let warned = soft.map(|what| ServerMessage::Warned { what, used: 7 << 33, limit: 3 << 33 });
    let base = BaseMessage { minor: 1, published: published(), partial: None, queued: Vec::new() };
    let refused = [Code::OutOfHours, Code::TooSoon, Code::NoBudget]
        .map(|code| ServerMessage::Refused { code, retry_seconds: 77 });
    [vec![ServerMessage::Base(base)], warned.to_vec(), refused.to_vec()].concat()
}

/// As [`later_server_messages`].
pub(crate) fn later_client_messages() -> Vec<ClientMessage> {
    [Role::Usual, Role::Emergency].map(|role| ClientMessage::Hello { minor: 1, role }).to_vec()
}

/// What came with minor version 2.
pub(crate) fn newest_server_messages() -> Vec<ServerMessage> {
    let base = BaseMessage { minor: MINOR, published: published(), partial: None, queued: Vec::new() };
    let had = Had::answer(&offer(), |content| Ok::<_, ()>(content.as_bytes()[31] % 2 == 0)).unwrap();
    vec![ServerMessage::Base(base), ServerMessage::Had(had)]
}

/// As [`newest_server_messages`].
pub(crate) fn newest_client_messages() -> Vec<ClientMessage> {
    vec![ClientMessage::Hello { minor: MINOR, role: Role::Usual }, ClientMessage::Offer(offer())]
}

fn offer() -> Offer {
    Offer::new((0..11u8).map(|n| ContentHash::of(&[n])).collect()).unwrap()
}

#[test]
fn messages_are_read_as_they_were_written() {
    for message in [server_messages(), later_server_messages(), newest_server_messages()].concat() {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).unwrap();
        assert_eq!(ServerMessage::decode(&frame::decode(&bytes).unwrap().unwrap()).unwrap(), message);
    }
    for message in [client_messages(), later_client_messages(), newest_client_messages()].concat() {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).unwrap();
        assert_eq!(ClientMessage::decode(&frame::decode(&bytes).unwrap().unwrap()).unwrap(), message);
    }
}

#[test]
fn a_message_cut_or_lengthened_at_any_byte_is_refused() {
    for message in [server_messages(), later_server_messages()].concat() {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).unwrap();
        let payload = &bytes[frame::HEAD_BYTES..];
        let decode = |payload: &[u8]| {
            let mut again = Vec::new();
            frame::encode(bytes[0], payload, &mut again).unwrap();
            ServerMessage::decode(&frame::decode(&again).unwrap().unwrap())
        };
        for end in 0..payload.len() {
            assert!(decode(&payload[..end]).is_err());
        }
        assert!(decode(&[payload, &[0]].concat()).is_err());
    }
}

#[test]
fn the_published_state_is_read_as_it_was_written_and_cuts_are_refused() {
    for (published, major) in [(published(), 1), (published_with_admission(), 2)] {
        let bytes = published.encode().unwrap();
        assert_eq!(bytes[8], major, "the version says no more than is needed");
        assert_eq!(Published::decode(&bytes).unwrap(), published);
        for end in 0..bytes.len() {
            assert!(Published::decode(&bytes[..end]).is_err());
        }
        assert!(Published::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
        for other in [0, 3, 3 - major] {
            let mut other_version = bytes.clone();
            other_version[8] = other;
            let error = Published::decode(&other_version).unwrap_err();
            assert!(error.to_string().contains("published state"), "{other}");
        }
    }
}

#[test]
fn an_admission_that_breaks_a_rule_is_refused() {
    let whole = published_with_admission().encode().unwrap();
    let plain = published().encode().unwrap().len();
    let patched = |at: usize, bytes: &[u8]| {
        let mut patched = whole.clone();
        patched[plain + at..plain + at + bytes.len()].copy_from_slice(bytes);
        Published::decode(&patched)
    };
    assert!(patched(0, &[1, 0, 0, 0]).is_ok(), "the control: another hour");
    for (what, at, bytes) in [
        ("no hour", 0, [0; 4].as_slice()),
        ("hour 24", 0, &[0, 0, 0, 1]),
        ("hour 31", 0, &[0, 0, 0, 0x80]),
        ("more emergencies than there can be", 16, &[17]),
        ("more times than there can be", 17, &[17]),
        ("fewer times than are there", 17, &[1]),
    ] {
        assert!(patched(at, bytes).is_err(), "{what}");
    }
    let mut long = published_with_admission();
    long.admission.emergencies = vec![0; 17];
    assert!(long.encode().is_err());
    // Two encodings of one thing: a default admission has no place in version 2.0.
    let mut twice = Published { admission: Admission::default(), ..published_with_admission() };
    let bytes = twice.encode().unwrap();
    twice.admission.interval_seconds = 1;
    let mut forged = twice.encode().unwrap();
    forged[plain + 4] = 0;
    assert_eq!(forged.len(), bytes.len() + 66);
    assert!(Published::decode(&forged).is_err());
}

#[test]
fn a_jail_remembers_the_newest_verdicts_and_one_for_each_push() {
    let mut published = published();
    for n in 0..200u8 {
        published.judge(PushId::from_bytes([n; 16]), Verdict::Pending);
    }
    published.judge(PushId::from_bytes([199; 16]), Verdict::Rejected { code: Code::Replayed });
    assert_eq!(published.verdicts.len(), 64);
    assert_eq!(
        published.verdict(PushId::from_bytes([199; 16])),
        Some(Verdict::Rejected { code: Code::Replayed })
    );
    assert_eq!(published.verdict(PushId::from_bytes([3; 16])), None);
    assert_eq!(
        published.verdicts.first(),
        Some(&Judged { push: PushId::from_bytes([136; 16]), verdict: Verdict::Pending })
    );
}

#[test]
fn headers_and_seals_are_read_as_they_were_written_and_cuts_are_refused() {
    let bytes = header().encode().unwrap();
    assert_eq!(Header::decode(&bytes).unwrap(), header());
    let seal = Seal { frames: 9, hash: [1; 32], root: Root::from_bytes([2; 32]), entries: 8, left_out: 1 };
    let sealed = seal.encode();
    assert_eq!(Seal::decode(&sealed).unwrap(), seal);
    for end in 0..bytes.len() {
        assert!(Header::decode(&bytes[..end]).is_err());
    }
    for end in 0..sealed.len() {
        assert!(Seal::decode(&sealed[..end]).is_err());
    }
}

#[test]
fn a_header_names_a_base_or_a_lender_and_never_both() {
    let root = Root::from_bytes([7; 32]);
    let lent = Header { base: None, lender: Some(root), ..header() };
    assert_eq!(Header::decode(&lent.encode().unwrap()).unwrap(), lent);
    assert!(Header { base: Some(root), lender: Some(root), ..header() }.encode().is_err());
    let whole = Header { base: None, lender: None, ..header() };
    assert_eq!(Header::decode(&whole.encode().unwrap()).unwrap(), whole);
}

#[test]
fn a_header_that_lies_about_its_fields_is_refused() {
    for zone in ["a b", "x\n", "é", &"a".repeat(65)] {
        let mut header = header();
        header.zone = zone.into();
        assert!(header.encode().is_err(), "{zone:?}");
    }
    let good = header().encode().unwrap();
    let mut sealed_payload = good.clone();
    let at = sealed_payload.len() - 3;
    sealed_payload[at] = 1;
    assert!(Header::decode(&sealed_payload).is_err());
    let mut signed = good.clone();
    let at = signed.len() - 1;
    signed[at] = 1;
    assert!(Header::decode(&signed).is_err());
    let mut other_host = good;
    other_host[1] = b'/';
    assert!(Header::decode(&other_host).is_err());
}

#[test]
fn a_record_without_data_or_of_an_unknown_kind_is_refused() {
    let endless = [&[5u8][..], &[0xff; 8], &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
    let nothing = [&[5u8][..], &[0; 16]].concat();
    let paths: [&[u8]; 4] = [b"\x04\x00\x00", b"\x04\x02\x00..", b"\x04\x02\x00/a", b"\x04\x09\x00a"];
    let short: [&[u8]; 6] = [&[1, 0, 0, 0, 0], &[6], &[0], &[2, 1], &[1, 9, 0, 0, 0, 1], &[5, 1]];
    for bytes in short.into_iter().chain(paths).chain([&endless[..], &nothing]) {
        assert!(Record::decode(&mut formats::cursor::Cursor::new(bytes)).is_err(), "{bytes:?}");
    }
}

#[test]
fn every_code_has_its_own_number_and_those_of_one_exit_code_are_known_by_the_first() {
    let numbers: BTreeSet<u16> = Code::ALL.iter().map(|code| code.number()).collect();
    assert_eq!(numbers.len(), Code::ALL.len());
    let known: BTreeSet<u16> = Code::ALL.iter().map(|code| code.known_to(0).number()).collect();
    let exits: BTreeSet<u8> = Code::ALL.iter().map(|code| code.exit_code()).collect();
    assert_eq!(known.len(), exits.len(), "a client of the first minor version knows one code for each");
    for code in Code::ALL {
        assert_eq!(Code::from_number(code.number()), Ok(*code));
        assert!((10..30).contains(&code.exit_code()));
        assert_eq!(code.known_to(0).exit_code(), code.exit_code());
        assert_eq!(code.known_to(MINOR), *code);
        assert!(!(9..=11).contains(&code.known_to(0).number()));
    }
}
