//! Lies of a server by name, each told to a real push: how the push ends, what it sent, and that it works with an honest server afterwards.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use formats::limits::{QUEUED, WANTED};
use formats::published::Verdict;
use formats::push::{FrameKind, Header};
use formats::session::{BaseMessage, ClientMessage, Code, MINOR, Role, ServerMessage, Soft};
use formats::{ContentHash, PushId, Root, frame};

use super::{base_message, exit, said};
use crate::host::{Host, carried};
use crate::server::Server;

const OTHER: PushId = PushId::from_bytes([9; 16]);
const SECRET: &[u8] = b"root:$6$hash-that-nobody-chose";

/// When a server says what it says.
enum Words {
    /// At once, and is gone.
    First(Vec<u8>),
    /// After a base message, when so many bytes have come.
    During(usize, Vec<u8>),
    /// When the seal has come; of the push whose id this is given.
    AtEnd(fn(PushId) -> Vec<u8>),
}

struct Lie {
    name: String,
    words: Words,
    /// How the push may end.
    exits: &'static [u8],
}

/// Protocol, or the connection that ended.
const BROKEN: &[u8] = &[15, 19];

fn first(name: &str, words: Vec<u8>) -> Lie {
    Lie { name: name.to_owned(), words: Words::First(words), exits: BROKEN }
}

fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode(kind, payload, &mut bytes).unwrap();
    bytes
}

fn greeting() -> Vec<u8> {
    said(&ServerMessage::Base(base_message()))
}

fn greeted(change: impl FnOnce(&mut BaseMessage)) -> Vec<u8> {
    let mut base = base_message();
    change(&mut base);
    said(&ServerMessage::Base(base))
}

/// A greeting whose payload is patched, with a right check.
fn patched(at: usize, to: &[u8]) -> Vec<u8> {
    let mut payload = greeting()[frame::HEAD_BYTES..].to_vec();
    payload[at..at + to.len()].copy_from_slice(to);
    framed(64, &payload)
}

fn verdict(push: PushId, verdict: Verdict) -> Vec<u8> {
    said(&ServerMessage::Verdict { push, verdict })
}

fn accepted(push: PushId, root: u8) -> Vec<u8> {
    verdict(push, Verdict::Accepted { root: Root::from_bytes([root; 32]) })
}

fn warned() -> Vec<u8> {
    said(&ServerMessage::Warned { what: Soft::Entries, used: 2, limit: 1 })
}

fn client_words() -> Vec<u8> {
    let mut bytes = Vec::new();
    ClientMessage::Hello { minor: MINOR, role: Role::Emergency }.encode(&mut bytes).unwrap();
    bytes
}

/// Whoever answers is no receiver.
fn strangers() -> Vec<Lie> {
    vec![
        first("nothing at all", Vec::new()),
        first("one byte", vec![64]),
        first("a shell's words", b"This account is currently not available.\r\n".to_vec()),
        first("a web server", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        first("steering of a terminal", b"\x1b]0;evil\x07\x1b[2J".to_vec()),
        first("zeros", vec![0; 400_000]),
        first("ones", vec![0xff; 400_000]),
        first("a message of four gigabytes", [&[64][..], &[0xff; 4], &[0; 4]].concat()),
        first("sealed", said(&ServerMessage::Sealed(OTHER))),
        first("a verdict", accepted(OTHER, 1)),
        first("a warning", warned()),
        first("our own words", client_words()),
        first("a message of kind 0", framed(0, b"")),
        first("a message of kind 69", framed(69, &[0; 40])),
        first("a message of kind 255", framed(255, &[0; 40])),
    ]
}

/// Base messages that break a rule.
fn greetings() -> Vec<Lie> {
    let payload = greeting()[frame::HEAD_BYTES..].to_vec();
    let end = payload.len();
    let mut unsorted = base_message();
    unsorted.published.wanted = vec![ContentHash::from_bytes([2; 32]), ContentHash::from_bytes([1; 32])];
    let mut twice = base_message();
    twice.published.wanted = vec![ContentHash::from_bytes([2; 32]); 2];
    vec![
        first("a greeting with a wrong check", [&greeting()[..5], &[1, 2, 3, 4], &payload].concat()),
        first("half a greeting", greeting()[..greeting().len() / 2].to_vec()),
        first("a greeting of no version", patched(0, &[0, 0])),
        first("a greeting of the next version", patched(0, &[2, 0])),
        first("a greeting of the last version", patched(0, &[0xff, 0xff])),
        first("a greeting with more behind it", framed(64, &[&payload[..], &[0]].concat())),
        first("a host that is a path", patched(5, b"/")),
        first("a host without a name", patched(4, &[0])),
        first("a host longer than the message", patched(4, &[255])),
        first("a base that is neither there nor not", patched(10, &[2])),
        first("more verdicts than there can be", patched(11, &[65, 0])),
        first("verdicts that are not there", patched(11, &[3, 0])),
        first("more wanted contents than there can be", patched(13, &(WANTED as u32 + 1).to_le_bytes())),
        first("wanted contents that are not there", patched(13, &4_000u32.to_le_bytes())),
        first("wanted contents out of order", said(&ServerMessage::Base(unsorted))),
        first("a wanted content twice", said(&ServerMessage::Base(twice))),
        first("a sandbox nobody knows", patched(end - 3, &[9])),
        first("a partial push that is neither there nor not", patched(end - 2, &[7])),
        first("a partial push that is not there", patched(end - 2, &[1])),
        first("more queued pushes than there can be", patched(end - 1, &[QUEUED as u8 + 1])),
        first("queued pushes that are not there", patched(end - 1, &[1])),
    ]
}

/// Base messages that are in order, and lie.
fn well_formed() -> Vec<Lie> {
    vec![
        first("a partial push without frames", greeted(|base| base.partial = Some((OTHER, 0)))),
        first(
            "a partial push that is queued",
            greeted(|base| (base.partial, base.queued) = (Some((OTHER, 1)), vec![OTHER])),
        ),
        first("a refusal that nobody knows", framed(66, &[99, 0, 0, 0, 0, 0])),
        first("a refusal cut short", framed(66, &[1, 0, 0])),
        first("a greeting and nothing more", greeting()),
        first("two greetings", greeting().repeat(2)),
        first("a partial push of nobody's", greeted(|base| base.partial = Some((OTHER, u64::MAX)))),
        first("a base of nobody's", greeted(|base| base.published.base = Some(Root::from_bytes([7; 32])))),
        first(
            "a verdict on a push of nobody's",
            greeted(|base| {
                base.published.judge(OTHER, Verdict::Accepted { root: Root::from_bytes([7; 32]) });
            }),
        ),
        first(
            "every content there is wanted",
            greeted(|base| {
                let hash = |n: u32| {
                    let mut hash = [0; 32];
                    hash[..4].copy_from_slice(&n.to_be_bytes());
                    ContentHash::from_bytes(hash)
                };
                base.published.wanted = (0..WANTED as u32).map(hash).collect();
            }),
        ),
        first("a silence of no time", greeted(|base| base.published.limits.idle_seconds = 0)),
        first("a minor version of the far future", greeted(|base| base.minor = u16::MAX)),
        Lie {
            exits: &[17],
            ..first(
                "the jail of another host",
                greeted(|base| base.published.host = formats::HostId::parse("web02").unwrap()),
            )
        },
    ]
}

/// Of a server that names a base, so that it is offered the two contents there are; with a base that nobody remembers.
fn of_offers() -> Vec<Lie> {
    let lent = greeted(|base| base.published.base = Some(Root::from_bytes([7; 32])));
    let lie = |name: &str, words: Vec<u8>| first(name, [lent.clone(), words].concat());
    let had = |bits: &[u8]| framed(69, bits);
    vec![
        lie("an answer before the offer", had(&[0b11])),
        lie("contents that are had and were not offered", had(&[0b111])),
        lie("an answer that is too long", had(&[0, 0])),
        lie("an answer of nothing", had(&[])),
        lie("answers without end", had(&[0]).repeat(50_000)),
        lie("half an answer", had(&[0])[..9].to_vec()),
        lie("an offer for us", framed(21, &[1; 32])),
        lie("sealed instead of an answer", said(&ServerMessage::Sealed(OTHER))),
        lie("a greeting instead of an answer", greeting()),
        Lie {
            exits: &[10],
            ..lie(
                "busy instead of an answer",
                said(&ServerMessage::Refused { code: Code::Busy, retry_seconds: 1 }),
            )
        },
    ]
}

fn during() -> Vec<Lie> {
    let words: Vec<(&str, Vec<u8>, &'static [u8])> = vec![
        ("a second greeting", greeting(), BROKEN),
        ("another push is sealed", said(&ServerMessage::Sealed(OTHER)), BROKEN),
        ("another push is accepted", accepted(OTHER, 1), BROKEN),
        ("another push is pending", verdict(OTHER, Verdict::Pending), BROKEN),
        ("warnings without end", warned().repeat(100), BROKEN),
        ("a warning that nobody knows", framed(68, &[9; 17]), BROKEN),
        ("our own words", client_words(), BROKEN),
        ("contents that are had", framed(69, &[1]), BROKEN),
        ("contents for us", framed(2, b"keep this"), BROKEN),
        ("noise", vec![0x5a; 5_000], BROKEN),
        ("nothing more", Vec::new(), BROKEN),
        (
            "half a refusal",
            said(&ServerMessage::Refused { code: Code::Busy, retry_seconds: 1 })[..9].to_vec(),
            BROKEN,
        ),
        ("busy", said(&ServerMessage::Refused { code: Code::Busy, retry_seconds: u32::MAX }), &[10]),
        (
            "an hour that is not ours",
            said(&ServerMessage::Refused { code: Code::OutOfHours, retry_seconds: 0 }),
            &[10],
        ),
        ("no budget", said(&ServerMessage::Refused { code: Code::NoBudget, retry_seconds: 5 }), &[11]),
        (
            "a code of the snapshotter",
            said(&ServerMessage::Refused { code: Code::WrongRoot, retry_seconds: 5 }),
            &[25],
        ),
    ];
    let mut lies = Vec::new();
    for (name, bytes, exits) in words {
        for takes in [1, 150] {
            let name = format!("{name} after {takes} bytes");
            lies.push(Lie { name, words: Words::During(takes, bytes.clone()), exits });
        }
    }
    lies
}

fn at_the_end() -> Vec<Lie> {
    fn sealed(push: PushId) -> Vec<u8> {
        said(&ServerMessage::Sealed(push))
    }
    let lie = |name: &str, words, exits| Lie { name: name.to_owned(), words: Words::AtEnd(words), exits };
    // 18: sealed, and no verdict that can be believed.
    const OPEN: &[u8] = &[15, 18];
    vec![
        lie("accepted, with a root that is not ours", |push| accepted(push, 1), &[15]),
        lie(
            "sealed, and accepted with a root that is not ours",
            |push| [sealed(push), accepted(push, 1)].concat(),
            &[15],
        ),
        lie("another push is sealed at the end", |_| sealed(OTHER), &[15]),
        lie("sealed twice", |push| sealed(push).repeat(2), &[15]),
        lie("sealed, and another push accepted", |push| [sealed(push), accepted(OTHER, 1)].concat(), &[15]),
        lie("sealed, and a greeting", |push| [sealed(push), greeting()].concat(), &[15]),
        lie("sealed, and noise", |push| [sealed(push), vec![0x5a; 500]].concat(), &[15]),
        lie("sealed, and warnings without end", |push| [sealed(push), warned().repeat(50)].concat(), &[15]),
        lie("sealed, and our own words", |push| [sealed(push), client_words()].concat(), &[15]),
        lie("sealed, and gone", sealed, OPEN),
        lie(
            "sealed, and busy",
            |push| {
                [sealed(push), said(&ServerMessage::Refused { code: Code::Busy, retry_seconds: 1 })].concat()
            },
            OPEN,
        ),
        lie(
            "sealed, and rejected",
            |push| [sealed(push), verdict(push, Verdict::Rejected { code: Code::WrongRoot })].concat(),
            &[25],
        ),
        lie(
            "sealed, and half a verdict",
            |push| [sealed(push), accepted(push, 1)[..30].to_vec()].concat(),
            OPEN,
        ),
        lie("rejected at once", |push| verdict(push, Verdict::Rejected { code: Code::ContentHash }), &[22]),
        lie(
            "too slow at the end",
            |_| said(&ServerMessage::Refused { code: Code::TooSlow, retry_seconds: 1 }),
            &[13],
        ),
        lie("nothing at the end", |_| Vec::new(), BROKEN),
    ]
}

/// Tells the lie; all that was sent to it.
fn tell(words: &Words, stream: &mut UnixStream) -> Vec<u8> {
    let mut heard = Vec::new();
    // The client may be gone before all is said.
    let say = |stream: &mut UnixStream, bytes: &[u8]| drop(stream.write_all(bytes));
    match words {
        Words::First(bytes) => say(stream, bytes),
        Words::During(takes, bytes) => {
            say(stream, &greeting());
            heard.resize(*takes, 0);
            drop(stream.read_exact(&mut heard));
            say(stream, bytes);
        }
        Words::AtEnd(words) => {
            say(stream, &greeting());
            if let Some(push) = hear_out(stream, &mut heard) {
                say(stream, &words(push));
            }
        }
    }
    drop(stream.shutdown(std::net::Shutdown::Write));
    drop(stream.read_to_end(&mut heard));
    heard
}

/// Reads frames up to the seal; the id of the push.
fn hear_out(stream: &mut UnixStream, heard: &mut Vec<u8>) -> Option<PushId> {
    let mut push = None;
    let mut at = 0;
    loop {
        while let Ok(Some(found)) = frame::decode(&heard[at..]) {
            match FrameKind::from_code(found.kind) {
                Some(FrameKind::Header) => {
                    push = Header::decode(found.payload).ok().map(|header| header.push)
                }
                Some(FrameKind::Seal) => return push,
                _ => {}
            }
            at += found.raw.len();
        }
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return None,
            Ok(count) => heard.extend_from_slice(&bytes[..count]),
        }
    }
}

/// One lie to a new host; what is wrong with what came of it.
fn check(lie: &Lie) -> Result<(), String> {
    let mut host = Host::new();
    host.verdict_wait_seconds = 5;
    host.write("public", b"chosen");
    host.write("folder/other", b"chosen too");
    std::fs::create_dir_all(host.top().join("etc")).unwrap();
    std::fs::write(host.top().join("etc/shadow"), SECRET).unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (outcome, account, heard) = std::thread::scope(|scope| {
        let telling = scope.spawn(move || tell(&lie.words, &mut theirs));
        let (outcome, account) = host.push_over(carried(ours), 10);
        (outcome, account, telling.join().unwrap())
    });
    let code = match &outcome {
        Ok(outcome) if outcome.is_accepted => 0,
        Ok(_) => 18,
        Err(error) => exit(error),
    };
    if !lie.exits.contains(&code) {
        return Err(format!("ended with {code}: {outcome:?}"));
    }
    if !account.left_out.is_empty() || account.warnings.len() > 8 {
        return Err(format!("{account:?}"));
    }
    if heard.windows(SECRET.len()).any(|bytes| bytes == SECRET) {
        return Err("sent what nobody chose".to_owned());
    }
    // An honest server, which knows of nothing, gets all of it, and what it says is believed.
    let mut server = Server::new();
    let (honest, _) = host.push(&mut server);
    server.newest(&[]);
    server.judge(honest.push, Verdict::Accepted { root: honest.root });
    let (again, _) = host.push_accepted(&mut server);
    if again.base.is_none() {
        Err("the next push does not build on the accepted one".to_owned())
    } else {
        Ok(())
    }
}

#[test]
fn every_lie_of_a_server_ends_one_push_and_nothing_else() {
    let lies: Vec<Lie> = [strangers(), greetings(), well_formed(), of_offers(), during(), at_the_end()]
        .into_iter()
        .flatten()
        .collect();
    let wrong: Vec<String> =
        lies.iter().filter_map(|lie| Some(format!("{}: {}", lie.name, check(lie).err()?))).collect();
    println!("hostile servers against a push: {} cases", lies.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(lies.len() >= 90, "{} cases", lies.len());
}
