//! Hostile sessions that need more than one process, or patience: two at once, slow ones, ones with a strange command, and files
//! among the sealed pushes that are no files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pipeline_tests::checker::Moment;
use pipeline_tests::checker::prints::{Depth, Prints};
use pipeline_tests::rawpush::talk::{await_verdict, bye, new_push};
use pipeline_tests::rawpush::{Answer, Draft, Entry, Header, Talk};
use pipeline_tests::{Host, Options, Outcome, Power, Scratch, process};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::rig;

const SESSION: Duration = Duration::from_secs(6);
const IDLE: Duration = Duration::from_secs(2);
/// What a busy machine may need on top.
const SLACK: Duration = Duration::from_secs(10);

fn server(limits: &str) -> (Scratch, Host) {
    let mut scratch = rig::scratch(&Options { limits: limits.to_owned(), ..Options::default() });
    let host = scratch.add_host("evil", &[scratch.folder.join("hosts")]).unwrap();
    (scratch, host)
}

fn start(scratch: &Scratch, host: &Host) -> Talk {
    let talk = Talk::start(rig::receiver(scratch, host).stderr(Stdio::null())).unwrap();
    assert!(matches!(talk.hear(SLACK), Some(Answer::Base(_))));
    talk
}

fn small(push: u8) -> Draft {
    let header = Header::new("evil", [push; 16], u64::from(push));
    Draft::whole(&header, &[b"x"], &[Entry::file("f", b"x")])
}

/// The jail takes a push as if nothing had been.
fn pushes(scratch: &Scratch, host: &Host, push: u8) {
    let mut talk = start(scratch, host);
    talk.say(&[new_push(), small(push).frames.concat(), bye()].concat());
    assert_eq!(talk.rest(SLACK), [Answer::Sealed([push; 16])]);
}

#[test]
fn a_second_session_is_refused_while_the_first_lives_and_served_when_it_is_gone() {
    let (scratch, host) = server("");
    let mut first = start(&scratch, &host);
    first.say(&[new_push(), small(1).frames[..2].concat()].concat());
    for _ in 0..3 {
        let second = Talk::start(rig::receiver(&scratch, &host).stderr(Stdio::null())).unwrap();
        assert_eq!(second.rest(SLACK), [Answer::Refused(1)]);
    }
    // The first has lost nothing by it.
    first.say(&[small(1).frames[2..].concat(), bye()].concat());
    assert_eq!(first.rest(SLACK), [Answer::Sealed([1; 16])]);
    let killed = start(&scratch, &host);
    drop(killed);
    pushes(&scratch, &host, 2);
    assert_eq!(scratch.ingest().unwrap().code, 0);
    assert_eq!(rig::sound(&scratch, &host, Moment::Quiet).snapshots.len(), 2);
}

#[test]
fn slow_hosts_hold_their_jail_no_longer_than_the_limits() {
    let _turn = rig::turn();
    let (scratch, host) = server("session_seconds = 6\nidle_seconds = 2\n");
    type Slow = fn(&mut Talk);
    let drip: Slow = |talk| {
        // Well beyond the session's end; a receiver that has gone takes the bytes away unread.
        for byte in [new_push(), small(3).frames.concat()].concat().iter().take(60) {
            talk.say(&[*byte]);
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    let slow: [(&str, Slow, Duration, &[u16]); 5] = [
        ("says nothing", |_| {}, IDLE, &[4]),
        ("stops in a frame", |talk| talk.say(&small(3).frames[0][..20]), IDLE, &[4]),
        (
            "stops after the header",
            |talk| talk.say(&[new_push(), small(3).frames[0].clone()].concat()),
            IDLE,
            &[4],
        ),
        ("drips", drip, SESSION, &[4]),
        (
            "drips words without end",
            |talk| {
                for _ in 0..60 {
                    talk.say(&await_verdict([9; 16], 0));
                    std::thread::sleep(Duration::from_millis(200));
                }
            },
            SESSION,
            &[4],
        ),
    ];
    let count = slow.len() + 1;
    for (name, act, limit, codes) in slow {
        let began = Instant::now();
        let mut talk = start(&scratch, &host);
        let watched = talk.pid();
        std::thread::scope(|scope| {
            let ended = scope.spawn(move || {
                while process::started(watched).is_some() && began.elapsed() < limit + SLACK {
                    std::thread::sleep(Duration::from_millis(20));
                }
                began.elapsed()
            });
            act(&mut talk);
            let took = ended.join().unwrap();
            assert!(took >= limit - Duration::from_millis(500), "{name}: ended after {took:?}");
            assert!(took < limit + SLACK, "{name}: lasted {took:?}");
        });
        let refused: Vec<u16> = talk
            .rest(SLACK)
            .iter()
            .filter_map(|answer| match answer {
                Answer::Refused(code) => Some(*code),
                _ => None,
            })
            .collect();
        assert_eq!(refused, codes, "{name}");
    }
    // Asking for the verdict of a queued push for 136 years.
    pushes(&scratch, &host, 4);
    let began = Instant::now();
    let mut talk = start(&scratch, &host);
    talk.say(&await_verdict([4; 16], u32::MAX));
    let answers = talk.rest(SESSION + SLACK);
    assert!(matches!(answers.first(), Some(Answer::Verdict(_, 0, _) | Answer::Refused(4))), "{answers:?}");
    assert!(began.elapsed() < SESSION + SLACK);
    println!("SLOW SESSIONS: {count}");
    pushes(&scratch, &host, 5);
}

/// Words that a shell, a receiver with options, or a log would take up.
const WORDS: [&str; 25] = [
    "",
    "receiver --jail /etc",
    "--jail /",
    "-c",
    "--help",
    "--version",
    "sh",
    "/bin/sh -i",
    "$(id)",
    "`id`",
    "a;id",
    "a\nid",
    "a|id>/spool/owned",
    "\x1b[2J",
    "%s%n",
    "../../bin/receiver",
    "scp -t /",
    "rsync --server . /",
    "internal-sftp",
    "cat /state/base",
    "new",
    "\u{202e}",
    "A=B receiver",
    "' OR 1=1",
    "-oProxyCommand=id",
];

#[test]
fn what_a_host_asks_to_run_changes_nothing() {
    let (scratch, host) = server("");
    let honest = first_answer(rig::receiver(&scratch, &host));
    assert!(!honest.is_empty());
    let mut count = 0;
    for word in WORDS {
        for round in 0..8 {
            let word = word.repeat(round * round + 1);
            let mut command = rig::receiver(&scratch, &host);
            command.env("SSH_ORIGINAL_COMMAND", &word).env("RUST_LOG", "trace").env("TZ", "/etc/shadow");
            assert_eq!(first_answer(command), honest, "{word:?}");
            count += 1;
        }
    }
    println!("COMMANDS: {count}");
    assert_eq!(count, 200);
    assert_eq!(fs::read_dir(host.jail.join("spool/sealed")).unwrap().count(), 0);
}

#[test]
fn what_a_host_asks_sshd_to_run_is_not_run() {
    if !rig::has_or_skipped("what_a_host_asks_sshd_to_run_is_not_run", &["ssh", "sshd"]) {
        return;
    }
    let (scratch, host) = server("");
    let honest = first_answer(rig::receiver(&scratch, &host));
    for word in WORDS {
        assert_eq!(first_answer(ssh(&scratch, &host, word)), honest, "{word:?}");
    }
    // A subsystem, a terminal and a forwarding are refused, or are the receiver again.
    for option in [["-s", "sftp"], ["-tt", "sh"], ["-W", "127.0.0.1:22"]] {
        let mut command = ssh(&scratch, &host, "");
        command.args(option);
        let said = first_answer(command);
        assert!(said.is_empty() || said == honest, "{option:?}: {}", said.escape_ascii());
    }
}

fn ssh(scratch: &Scratch, host: &Host, word: &str) -> Command {
    let mut command = Command::new("ssh");
    command.args([
        "-F",
        "/dev/null",
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "LogLevel=ERROR",
    ]);
    command
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-i"])
        .arg(&host.key.path);
    command.arg("-p").arg(scratch.sshd.port.to_string()).arg(format!("{}@127.0.0.1", host.account));
    if !word.is_empty() {
        command.arg("--").arg(word);
    }
    command
}

/// All that it says to somebody who says goodbye.
fn first_answer(mut command: Command) -> Vec<u8> {
    use std::io::Write;
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // One that has ended already says what it says.
    let _ = child.stdin.take().unwrap().write_all(&bye());
    child.wait_with_output().unwrap().stdout
}

#[test]
fn what_is_no_push_file_among_the_sealed_ones_is_removed_and_never_followed() {
    let (scratch, host) = server("");
    pushes(&scratch, &host, 1);
    assert_eq!(scratch.ingest().unwrap().code, 0);
    let outside = scratch.folder.join("sentinel");
    rig::file(&outside.join("file"), &small(9).bytes());
    type Plant = fn(&Path, &Path);
    let plants: [(&str, Plant); 8] = [
        ("a symlink to a push file", |at, outside| symlink(outside.join("file"), at).unwrap()),
        ("a symlink to a folder", |at, outside| symlink(outside, at).unwrap()),
        ("a symlink to nothing", |at, _| symlink("nothing", at).unwrap()),
        ("an empty folder", |at, _| fs::create_dir(at).unwrap()),
        ("a folder that others may write to, with a symlink out", |at, outside| {
            fs::create_dir(at).unwrap();
            fs::set_permissions(at, fs::Permissions::from_mode(0o777)).unwrap();
            symlink(outside, at.join("out")).unwrap();
        }),
        ("a named pipe", |at, _| mknodat(CWD, at, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap()),
        ("a socket", |at, _| drop(UnixListener::bind(at).unwrap())),
        ("a file of 1 TiB that is all hole", |at, _| fs::File::create(at).unwrap().set_len(1 << 40).unwrap()),
    ];
    let before = Prints::take(&outside, &|_| false).unwrap();
    let history =
        || Prints::take(&scratch.history("evil"), &|path| path == b"log" || path == b".lock").unwrap();
    let count = plants.len();
    for (name, plant) in plants {
        let was = history();
        let at = host.jail.join("spool/sealed/00000000000000000001.push");
        plant(&at, &outside);
        if scratch.power == Power::Root {
            Outcome::of(Command::new("chown").arg("-hR").arg(&host.account).arg(&at)).unwrap();
        }
        // Until the snapshotter has been there, a receiver may refuse to work beside it; it must not hang or follow it.
        let talk = Talk::start(rig::receiver(&scratch, &host).stderr(Stdio::null())).unwrap();
        let answer = talk.hear(SLACK);
        assert!(matches!(answer, Some(Answer::Base(_) | Answer::Refused(7))), "{name}: {answer:?}");
        drop(talk);
        let outcome = scratch.ingest().unwrap();
        assert_eq!(outcome.code, 0, "{name}: {}", outcome.said());
        let found = rig::sound(&scratch, &host, Moment::Quiet);
        assert_eq!(found.snapshots.len(), 1, "{name}");
        assert_eq!(found.events.last().unwrap()["kind"], "reject", "{name}");
        assert_eq!(was.changes(&history(), Depth::Unchanged), [], "{name}");
        assert_eq!(
            before.changes(&Prints::take(&outside, &|_| false).unwrap(), Depth::Untouched),
            [],
            "{name}"
        );
    }
    println!("OBJECTS: {count}");
    pushes(&scratch, &host, 2);
    assert_eq!(scratch.ingest().unwrap().code, 0);
    assert_eq!(rig::sound(&scratch, &host, Moment::Quiet).snapshots.len(), 2);
}

/// The account can make a folder in which the snapshotter may not remove anything. It thereby stops its own backups, and is named.
#[test]
fn a_folder_that_cannot_be_removed_stops_nobody_else() {
    if !rig::is_root_or_skipped("a_folder_that_cannot_be_removed_stops_nobody_else") {
        return;
    }
    let (mut scratch, host) = server("");
    let good = scratch.add_host("good", &[scratch.folder.join("hosts")]).unwrap();
    let at = host.jail.join("spool/sealed/folder");
    rig::file(&at.join("a/b"), b"x");
    Outcome::of(Command::new("chown").arg("-hR").arg(&host.account).arg(&at)).unwrap();
    let honest = Draft::whole(&Header::new("good", [7; 16], 1), &[b"x"], &[Entry::file("f", b"x")]);
    rig::place(&scratch, &good, "00000000000000000001.push", &honest.bytes());
    let outcome = scratch.ingest().unwrap();
    assert_ne!(outcome.code, 0, "{}", outcome.said());
    assert!(outcome.stderr.contains("evil"), "{}", outcome.said());
    assert_eq!(rig::sound(&scratch, &good, Moment::Quiet).snapshots.len(), 1);
    fs::remove_dir_all(&at).unwrap();
    pushes(&scratch, &host, 1);
    assert_eq!(scratch.ingest().unwrap().code, 0);
    assert_eq!(rig::sound(&scratch, &host, Moment::Quiet).snapshots.len(), 1);
}

#[test]
fn a_push_file_that_may_not_be_read_does_not_stop_the_others() {
    let (mut scratch, host) = server("");
    let good = scratch.add_host("good", &[scratch.folder.join("hosts")]).unwrap();
    let bad = rig::place(&scratch, &host, "00000000000000000001.push", &small(1).bytes());
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o000)).unwrap();
    let honest = Draft::whole(&Header::new("good", [7; 16], 1), &[b"x"], &[Entry::file("f", b"x")]);
    rig::place(&scratch, &good, "00000000000000000001.push", &honest.bytes());
    let outcome = scratch.ingest().unwrap();
    // Nothing of this host can be judged; that is said, and its neighbour has its snapshot.
    assert_eq!(rig::sound(&scratch, &good, Moment::Quiet).snapshots.len(), 1, "{}", outcome.said());
    assert_ne!(outcome.code, 0, "{}", outcome.said());
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(scratch.ingest().unwrap().code, 0);
    assert_eq!(rig::sound(&scratch, &host, Moment::Quiet).snapshots.len(), 1);
}
