//! What a host that means harm can send, at every point of a session, to the real program: each case has a name, an answer, and what it
//! may leave behind.

use std::fs;
use std::process::Stdio;

use formats::frame::{self, HEAD_BYTES};
use formats::push::{FrameKind, Header, Seal};
use formats::session::{ClientMessage, Code, MINOR, Role, ServerMessage};
use formats::{HostId, Version};
use wire::client::Incoming;

use crate::rig::*;

/// A point of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Greeted,
    New,
    GoOn,
    Contents,
    Entries,
    Known,
    Sealed,
}

const POINTS: [At; 8] =
    [At::Start, At::Greeted, At::New, At::GoOn, At::Contents, At::Entries, At::Known, At::Sealed];

fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut to = Vec::new();
    frame::encode(kind, payload, &mut to).unwrap();
    to
}

fn said(message: ClientMessage) -> Vec<u8> {
    let mut to = Vec::new();
    message.encode(&mut to).unwrap();
    to
}

fn new(major: u16) -> Vec<u8> {
    said(ClientMessage::New { version: Version { major, minor: 0 } })
}

fn header_frame(header: &Header) -> Vec<u8> {
    framed(FrameKind::Header.code(), &header.encode().unwrap())
}

fn head(kind: u8, length: u32) -> Vec<u8> {
    [vec![kind], length.to_le_bytes().to_vec(), vec![0; 4]].concat()
}

/// A jail in which `OTHER` is queued, and if asked for, `PUSH` is cut after its header.
fn jail(at: At) -> Jail {
    let jail = Jail::new(limits());
    seal_one(&jail, OTHER);
    if at == At::GoOn {
        let mut session = jail.start();
        session.base();
        session.send(&[new(1), header_frame(&header(PUSH))].concat());
        session.end();
    }
    jail
}

/// What leads to a point.
fn way(at: At) -> Vec<u8> {
    let begun = [new(1), header_frame(&header(PUSH))].concat();
    match at {
        At::Start => Vec::new(),
        At::Greeted => hello(Role::Usual),
        At::New => new(1),
        At::GoOn => said(ClientMessage::GoOn { push: PUSH, frames: 1 }),
        At::Contents => begun,
        At::Entries => [begun, framed(3, &block(b"changes").encode())].concat(),
        At::Known => [new(1), header_frame(&header(OTHER))].concat(),
        At::Sealed => push(PUSH).0,
    }
}

/// What is sent then, and where it is taken; anywhere else the answer is this code.
struct Input {
    name: &'static str,
    bytes: Vec<u8>,
    taken: &'static [At],
    code: Code,
}

fn input(name: &'static str, bytes: Vec<u8>, taken: &'static [At]) -> Input {
    Input { name, bytes, taken, code: Code::Protocol }
}

const NEVER: &[At] = &[];
const TALK: &[At] = &[At::Start, At::Greeted, At::Known, At::Sealed];

fn messages() -> Vec<Input> {
    let hello = |role| said(ClientMessage::Hello { minor: MINOR, role });
    vec![
        input("new", new(1), &[At::Start, At::Greeted]),
        input("new of a version long gone", new(0), NEVER),
        input("new of a version to come", new(9), NEVER),
        input("new without a version", framed(16, b""), NEVER),
        input("hello", hello(Role::Usual), &[At::Start]),
        input("hello in an emergency", hello(Role::Emergency), &[At::Start]),
        input("hello of a version to come", framed(20, &[0xff, 0xff, 0]), &[At::Start]),
        input("hello in a role that nobody has", framed(20, &[1, 0, 7]), NEVER),
        input("hello cut short", framed(20, &[1]), NEVER),
        input("going on with what is not there", said(ClientMessage::GoOn { push: OTHER, frames: 3 }), NEVER),
        input(
            "going on after all frames there can be",
            said(ClientMessage::GoOn { push: PUSH, frames: u64::MAX }),
            NEVER,
        ),
        input("await", await_verdict(PUSH, 0), TALK),
        input("await cut short", framed(18, &[7; 19]), NEVER),
        input("bye", bye(), TALK),
        input("bye with words", framed(19, b"rm -rf /"), NEVER),
    ]
}

fn frames() -> Vec<Input> {
    let other_host = Header { host: HostId::parse("db1").unwrap(), ..header(PUSH) };
    let seal = |frames| {
        let seal = Seal { frames, hash: [0; 32], root: FACTS.root, entries: 1, left_out: 0 };
        framed(5, &seal.encode())
    };
    let broken = |name, bytes| Input { code: Code::BrokenFrames, ..input(name, bytes, &[At::Known]) };
    let block = |kind: u8| framed(kind, &block(b"some bytes").encode());
    const PUSHING: &[At] = &[At::Contents, At::Entries, At::Known];
    vec![
        input("a header", header_frame(&header(PUSH)), &[At::New]),
        input("a header cut short", framed(1, &header(PUSH).encode().unwrap()[..40]), NEVER),
        input("a header of another host", header_frame(&other_host), NEVER),
        input("contents", block(2), &[At::Contents, At::Known]),
        input("contents that are no block", framed(2, b"\xff"), &[At::Contents, At::Known]),
        input("contents of nothing", framed(2, b""), &[At::Contents, At::Known]),
        input("entries", block(3), PUSHING),
        input("a resume frame", framed(4, b""), &[At::GoOn, At::Contents, At::Entries, At::Known]),
        input("a resume frame that says something", framed(4, b"x"), NEVER),
        broken("a seal that fits nothing", seal(1)),
        broken("a seal over all frames there can be", seal(u64::MAX)),
        input("a seal cut short", framed(5, &[0; 87]), &[At::Known]),
        input("a frame of four gigabytes", head(2, u32::MAX), NEVER),
        input("a frame with a wrong check", [head(2, 1), vec![7]].concat(), NEVER),
        input("a frame of ours with a wrong check", [head(5, 88), vec![0; 88]].concat(), NEVER),
    ]
}

fn strangers() -> Vec<Input> {
    let mut inputs = vec![
        input("a web browser", b"GET / HTTP/1.1\r\nHost: backup\r\n\r\n".to_vec(), NEVER),
        input("an ssh banner", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), NEVER),
        input("a shell", b"cat /etc/passwd; exit\n".to_vec(), NEVER),
        input("steering of a terminal", b"\x1b[2J\x1b]0;evil\x07%n%n%n%s".to_vec(), NEVER),
        input("zeros", vec![0; 100_000], NEVER),
        input("ones", vec![0xff; 100_000], NEVER),
    ];
    const KINDS: [(u8, &str); 9] = [
        (0, "kind 0"),
        (6, "kind 6"),
        (21, "kind 21"),
        (64, "a base message"),
        (65, "sealed"),
        (66, "a refusal"),
        (67, "a verdict"),
        (68, "a warning"),
        (255, "kind 255"),
    ];
    inputs.extend(KINDS.map(|(kind, name)| input(name, framed(kind, &[7; 50]), NEVER)));
    inputs
}

/// The answer to an input at a point; none if it is taken.
fn expected(input: &Input, at: At) -> Option<Code> {
    if input.taken.contains(&at) {
        return None;
    }
    let pushes = matches!(at, At::Contents | At::Entries);
    match input.name {
        // Only where a header is due is it read.
        "a header of another host" if at == At::New => Some(Code::WrongHost),
        _ if input.code == Code::BrokenFrames && !pushes => Some(Code::Protocol),
        _ => Some(input.code),
    }
}

/// Runs one case; what is wrong with what came of it, if anything.
fn run(at: At, input: &Input) -> Result<(), String> {
    let jail = jail(at);
    let state = fs::read(jail.path("state/base")).unwrap();
    let mut command = jail.command();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A receiver that has refused need not take the rest.
    let _ =
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &[way(at), input.bytes.clone()].concat());
    let output = child.wait_with_output().unwrap();
    let told = refusal(&output.stdout);
    let expected = expected(input, at);
    if told != expected {
        return Err(format!("told {told:?}, not {expected:?}"));
    }
    let code = expected.map_or(0, |code| i32::from(code.exit_code()));
    if output.status.code() != Some(code) {
        return Err(format!("ended with {:?}, not {code}", output.status.code()));
    }
    let words = expected.map(|code| format!("receiver: {code}\n")).unwrap_or_default();
    if output.stderr != words.as_bytes() {
        return Err(format!("said {:?}", String::from_utf8_lossy(&output.stderr)));
    }
    let sealed = 1 + usize::from(at == At::Sealed);
    if jail.sealed().len() != sealed || fs::read(jail.path("state/base")).unwrap() != state {
        return Err("something is sealed or published that should not be".to_owned());
    }
    let mut left = jail.incoming();
    left.retain(|name| name != "current");
    if !left.is_empty() || fs::read_dir(jail.path(".")).unwrap().count() != 2 {
        return Err(format!("left {left:?}"));
    }
    // Whoever comes next is served.
    drop(jail.start().base());
    Ok(())
}

/// The refusal among a receiver's words; all of them must be words of the protocol.
fn refusal(words: &[u8]) -> Option<Code> {
    let mut rest = words;
    let mut told = None;
    while let Some(frame) = frame::decode(rest).unwrap() {
        assert!(told.is_none(), "nothing follows a refusal");
        if let ServerMessage::Refused { code, .. } = ServerMessage::decode(&frame).unwrap() {
            told = Some(code);
        }
        rest = &rest[HEAD_BYTES + frame.payload.len()..];
    }
    assert!(rest.is_empty());
    // And the client side reads them, up to what it did not ask for.
    assert!(Incoming::new().feed(words) > 0);
    told
}

#[test]
fn every_hostile_client_gets_its_answer_at_every_point_and_leaves_nothing() {
    let inputs: Vec<Input> = [messages(), frames(), strangers()].into_iter().flatten().collect();
    let mut wrong = Vec::new();
    let (mut cases, mut refused) = (0, 0);
    for input in &inputs {
        for at in POINTS {
            cases += 1;
            refused += usize::from(expected(input, at).is_some());
            if let Err(why) = run(at, input) {
                wrong.push(format!("{} at {at:?}: {why}", input.name));
            }
        }
    }
    println!("hostile clients against the receiver: {cases} cases, {refused} of them refused");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(cases >= 300 && refused >= 250, "{cases} cases, {refused} refused");
}
