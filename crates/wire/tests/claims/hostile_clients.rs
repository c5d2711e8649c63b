//! What a host that means harm can send, and what it gets: each case by name, with the answer and what was written before it.

mod offers;
mod unwelcome;

use formats::limits::FRAME_BYTES;
use formats::published::Limits;
use formats::push::{FrameKind, Header};
use formats::session::{ClientMessage, Code, ServerMessage};
use formats::{HostId, Version};
use wire::server::{Fate, Jail};

use crate::samples::*;
use offers::offers;
use unwelcome::unwelcome;

/// How much of a push the case may leave behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    Begun,
}

struct Case {
    name: String,
    jail: Jail,
    bytes: Vec<u8>,
    code: Code,
    kept: Kept,
}

fn case(name: impl Into<String>, bytes: Vec<u8>, code: Code, kept: Kept) -> Case {
    Case { name: name.into(), jail: jail(), bytes, code, kept }
}

fn limited(limits: Limits) -> Jail {
    let mut jail = jail();
    jail.published.limits = limits;
    jail
}

fn with_header(header: &Header) -> Vec<u8> {
    [new(), framed(1, &header.encode().unwrap())].concat()
}

fn begun(then: Vec<u8>) -> Vec<u8> {
    [new(), header_frame(), then].concat()
}

fn head(kind: u8, length: u32) -> Vec<u8> {
    [vec![kind], length.to_le_bytes().to_vec(), vec![0; 4]].concat()
}

fn changed(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] ^= 1;
    bytes
}

fn garbage() -> Vec<Case> {
    let no = |name: &str, bytes: Vec<u8>| case(name, bytes, Code::Protocol, Kept::Nothing);
    vec![
        no("a web browser", b"GET / HTTP/1.1\r\nHost: backup\r\n\r\n".to_vec()),
        no("an ssh banner", b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n".to_vec()),
        no("an sftp client", vec![0, 0, 0, 5, 1, 0, 0, 0, 3]),
        no("an rsync server call", b"@RSYNCD: 31.0\n\0\0\0\0".to_vec()),
        no("zeros", vec![0; 4096]),
        no("ones", vec![0xff; 4096]),
        no("a frame of four gigabytes", head(2, u32::MAX)),
        no("a frame one byte too long", head(2, FRAME_BYTES as u32 + 1)),
        no("a wrong check", changed(new(), 5)),
        no("a changed payload", changed(new(), 9)),
        no("a changed length", [changed(new(), 1), vec![0; 64]].concat()),
        no("the largest frame of an unknown kind", framed(99, &vec![1; FRAME_BYTES])),
    ]
}

fn unknown_kinds() -> Vec<Case> {
    [0u8, 6, 7, 15, 21, 22, 63, 64, 65, 66, 67, 68, 69, 128, 255]
        .into_iter()
        .flat_map(|kind| {
            [
                case(format!("kind {kind} first"), framed(kind, &[0; 16]), Code::Protocol, Kept::Nothing),
                case(format!("kind {kind} in a push"), begun(framed(kind, b"")), Code::Protocol, Kept::Begun),
            ]
        })
        .collect()
}

fn messages() -> Vec<Case> {
    let no = |name: &str, bytes: Vec<u8>| case(name, bytes, Code::Protocol, Kept::Nothing);
    let version = |major| said(ClientMessage::New { version: Version { major, minor: 0 } });
    let go_on = |push, frames| said(ClientMessage::GoOn { push, frames });
    vec![
        no("an older major version", version(0)),
        no("a later major version", version(3)),
        no("the last major version", version(u16::MAX)),
        no("new without a version", framed(16, b"")),
        no("new with more than a version", framed(16, &[1, 0, 0, 0, 0])),
        no("new twice", [new(), new()].concat()),
        no("new and await", [new(), said(ClientMessage::Await { push: PUSH, seconds: 1 })].concat()),
        no("going on with nothing", go_on(PUSH, 1)),
        no("going on without frames", go_on(PUSH, 0)),
        no("going on with all frames there can be", go_on(PUSH, u64::MAX)),
        no("go on cut short", framed(17, &[0; 23])),
        no("await cut short", framed(18, &[0; 19])),
        no("await with more behind it", framed(18, &[0; 21])),
        no("bye with words", framed(19, b"so long")),
        no("the server's own base message", server_words()),
        no("hello twice", hello().repeat(2)),
        no("hello behind new", [new(), hello()].concat()),
        no("hello cut short", framed(20, &[1, 0])),
        no("hello with more behind it", framed(20, &[1, 0, 0, 0])),
        no("hello in a role that nobody has", framed(20, &[1, 0, 2])),
        no("a warning to the server", framed(68, &[1; 17])),
    ]
}

fn hello() -> Vec<u8> {
    said(ClientMessage::Hello { minor: 1, role: formats::session::Role::Emergency })
}

fn server_words() -> Vec<u8> {
    let mut to = Vec::new();
    obey(jail(), b"", 1).answers[0].encode(&mut to).unwrap();
    to
}

fn going_on() -> Vec<Case> {
    let file = obey(jail(), &begun(framed(2, b"block")), 1000).file;
    let partial = || Jail { partial: scanned(&file, 100), ..jail() };
    let go_on = |push, frames, then: Vec<u8>| [said(ClientMessage::GoOn { push, frames }), then].concat();
    let resume = || framed(4, b"");
    let cases = [
        ("going on with another push", go_on(OTHER, 2, resume())),
        ("going on one frame early", go_on(PUSH, 1, resume())),
        ("going on one frame late", go_on(PUSH, 3, resume())),
        ("going on without a resume frame", go_on(PUSH, 2, framed(2, b"block"))),
        ("going on with a header", go_on(PUSH, 2, header_frame())),
        ("going on with a seal", go_on(PUSH, 2, framed(5, &[0; 88]))),
        ("going on twice", go_on(PUSH, 2, go_on(PUSH, 2, resume()))),
        ("going on and new", go_on(PUSH, 2, new())),
        ("going on with a resume frame that says something", go_on(PUSH, 2, framed(4, b"x"))),
    ];
    cases
        .into_iter()
        .map(|(name, bytes)| Case { jail: partial(), ..case(name, bytes, Code::Protocol, Kept::Nothing) })
        .collect()
}

fn headers() -> Vec<Case> {
    let raw = header().encode().unwrap();
    let with = |payload: Vec<u8>| [new(), framed(1, &payload)].concat();
    let patched = |at: usize, to: u8| {
        let mut payload = raw.clone();
        payload[at] = to;
        with(payload)
    };
    let other_host = Header { host: HostId::parse("db1").unwrap(), ..header() };
    let no = |name: &str, bytes: Vec<u8>| case(name, bytes, Code::Protocol, Kept::Nothing);
    let end = raw.len();
    let mut cases = vec![
        case("another host", with_header(&other_host), Code::WrongHost, Kept::Nothing),
        no("a host that is a path", patched(1, b'/')),
        no("a host in capitals", patched(1, b'W')),
        no("a host that ends in a dot", patched(5, b'.')),
        no("a host id longer than the header", patched(0, 255)),
        no("an empty host id", patched(0, 0)),
        no("a base that is neither there nor not", patched(46, 2)),
        no("a time zone with a dot", patched(57, b'.')),
        no("a time zone longer than the header", patched(55, 64)),
        no("a sealed payload", patched(end - 3, 1)),
        no("a signature", patched(end - 2, 1)),
        no("a header with more behind it", with([raw.clone(), vec![0]].concat())),
        no("a header of a megabyte", with(vec![b'a'; FRAME_BYTES])),
        no("no header at all", [new(), framed(2, b"block")].concat()),
        no("a header before anything", header_frame()),
    ];
    cases.extend((0..end).map(|cut| no(&format!("a header cut at {cut}"), with(raw[..cut].to_vec()))));
    cases
}

fn frames() -> Vec<Case> {
    let no = |name: &str, then: Vec<u8>| case(name, begun(then), Code::Protocol, Kept::Begun);
    let broken = |name: &str, then: Vec<u8>| case(name, begun(then), Code::BrokenFrames, Kept::Begun);
    let entries = framed(FrameKind::Entries.code(), b"changes");
    vec![
        no("a second header", header_frame()),
        no("contents behind entries", [entries, framed(2, b"late")].concat()),
        no("a resume frame that says something", framed(4, b"resume")),
        no("await in a push", said(ClientMessage::Await { push: PUSH, seconds: 1 })),
        no("bye in a push", said(ClientMessage::Bye)),
        no("new in a push", new()),
        no("hello in a push", hello()),
        no("a frame of four gigabytes in a push", head(2, u32::MAX)),
        no("a wrong check in a push", changed(framed(2, b"block"), 10)),
        no("a seal cut short", framed(5, &[0; 87])),
        no("a seal with more behind it", framed(5, &[0; 89])),
        broken("a seal of zeros", framed(5, &[0; 88])),
        broken("a seal that counts one frame more", seal_with(2, None)),
        broken("a seal that counts itself away", seal_with(0, None)),
        broken("a seal with another hash", seal_with(1, Some([1; 32]))),
    ]
}

/// A seal over the header alone, with this count and hash.
fn seal_with(frames: u64, hash: Option<[u8; 32]>) -> Vec<u8> {
    let file = obey(jail(), &begun(Vec::new()), 1000).file;
    let hash = hash.unwrap_or_else(|| scanned(&file, 100).unwrap().tally.hash());
    let (root, entries, left_out) = (FACTS.root, FACTS.entries, FACTS.left_out);
    framed(5, &formats::push::Seal { frames, hash, root, entries, left_out }.encode())
}

fn limits() -> Vec<Case> {
    let greedy = Header { declared_bytes: u64::MAX, ..header() };
    let small = |push_bytes| limited(Limits { push_bytes, ..Limits::default() });
    let head_bytes = 12 + header_frame().len() as u64;
    let busy =
        |waiting, queued_pushes| Jail { waiting, ..limited(Limits { queued_pushes, ..Limits::default() }) };
    let no = |name: &str, jail, bytes, code, kept| Case { jail, ..case(name, bytes, code, kept) };
    vec![
        case("more declared than the host may have", with_header(&greedy), Code::TooLarge, Kept::Nothing),
        no("no byte allowed", small(0), session(), Code::TooLarge, Kept::Nothing),
        no(
            "one byte too little for the header",
            small(head_bytes - 1),
            session(),
            Code::TooLarge,
            Kept::Nothing,
        ),
        no("room for the header alone", small(head_bytes), session(), Code::TooLarge, Kept::Begun),
        no(
            "room for all but the seal's last byte",
            small(seal_end() - 1),
            session(),
            Code::TooLarge,
            Kept::Begun,
        ),
        no("a full queue", busy(8, 8), session(), Code::Busy, Kept::Nothing),
        no("a queue that may hold none", busy(0, 0), session(), Code::Busy, Kept::Nothing),
        no("more waiting than a base message can name", busy(64, 1000), session(), Code::Busy, Kept::Nothing),
    ]
}

fn seal_end() -> u64 {
    obey(jail(), &session(), 1000).file.len() as u64
}

fn after_the_seal() -> Vec<Case> {
    let bye = framed(19, b"").len();
    let sealed = session()[..session().len() - bye].to_vec();
    [
        ("a second push in one session", new()),
        ("going on behind a seal", said(ClientMessage::GoOn { push: PUSH, frames: 6 })),
        ("contents behind a seal", framed(2, b"late")),
        ("a second seal", framed(5, &[0; 88])),
        ("a header behind a seal", header_frame()),
        ("hello behind a seal", hello()),
    ]
    .into_iter()
    .map(|(name, then)| case(name, [sealed.clone(), then].concat(), Code::Protocol, Kept::Begun))
    .collect()
}

#[test]
fn every_hostile_client_is_refused_by_name() {
    let groups = [
        garbage(),
        unknown_kinds(),
        messages(),
        going_on(),
        headers(),
        frames(),
        limits(),
        after_the_seal(),
        unwelcome(),
        offers(),
    ];
    let cases: Vec<Case> = groups.into_iter().flatten().collect();
    for case in &cases {
        for piece in [usize::MAX, 1000, 7] {
            let deeds = obey(case.jail.clone(), &case.bytes, piece);
            assert_eq!(deeds.refused.map(|(code, _)| code), Some(case.code), "{}: {deeds:?}", case.name);
            assert_eq!(deeds.begun > 0, case.kept == Kept::Begun, "{}", case.name);
            assert_eq!(deeds.file.is_empty(), case.kept == Kept::Nothing, "{}", case.name);
            assert!(matches!(deeds.answers[0], ServerMessage::Base(_)), "{}", case.name);
        }
    }
    let cuts = cases.iter().filter(|case| case.name.contains("cut at")).count();
    println!("hostile clients against the protocol: {} cases, and {cuts} cuts", cases.len() - cuts);
    assert!(cases.len() - cuts >= 150, "{} cases", cases.len() - cuts);
}

#[test]
fn a_known_push_over_the_limit_is_refused_and_the_partial_one_of_another_push_stays() {
    let file = obey(jail(), &begun(framed(2, b"block")), 1000).file;
    let small = Limits { push_bytes: 2_000, ..Limits::default() };
    let jail = Jail { partial: scanned(&file, 100), queued: vec![OTHER], waiting: 1, ..limited(small) };
    let again = |push| [with_header(&Header { push, ..header() }), framed(2, &[1; 4_000])].concat();
    let known = obey(jail.clone(), &again(OTHER), 1000);
    assert_eq!((known.begun, known.refused), (0, Some((Code::TooLarge, Fate::Keep))));
    // The control: a push that is not known has replaced the partial one by then, and could never be sealed.
    let unknown = obey(jail, &again(PUSH), 1000);
    assert_eq!((unknown.begun, unknown.refused), (1, Some((Code::TooLarge, Fate::Discard))));
}

#[test]
fn the_limit_is_met_exactly() {
    let mut exact = jail();
    exact.published.limits.push_bytes = seal_end();
    assert_eq!(obey(exact, &session(), 100).sealed, [PUSH]);
}

#[test]
fn a_flood_of_questions_is_answered_one_by_one_in_bounded_memory() {
    let question = said(ClientMessage::Await { push: OTHER, seconds: u32::MAX });
    let flood: Vec<u8> = question.iter().copied().cycle().take(question.len() * 10_000).collect();
    let deeds = obey(jail(), &flood, usize::MAX);
    assert_eq!((deeds.answers.len(), deeds.refused), (10_001, None));
}
