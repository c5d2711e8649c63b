//! How a push behaves towards the line, the server and the machine.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::commands::{run, text};
use crate::host::noise;
use crate::server::Server;
use crate::sshd::Sshd;

const TRANSPORTS: [&str; 2] = ["ssh2", "ssh"];

/// A line between client and server, which counts what the client sends, and can go dead without a word.
struct Line {
    port: u16,
    sent: Arc<AtomicU64>,
    dead: Arc<AtomicBool>,
}

impl Line {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line =
            Self { port: listener.local_addr().unwrap().port(), sent: Arc::default(), dead: Arc::default() };
        let (sent, dead) = (Arc::clone(&line.sent), Arc::clone(&line.dead));
        std::thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (back_from, back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let back_dead = Arc::clone(&dead);
            std::thread::spawn(move || carry(back_from, back_to, &AtomicU64::new(0), &back_dead));
            carry(client, server, &sent, &dead);
        });
        line
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64, dead: &AtomicBool) {
    let mut bytes = [0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if !dead.load(Ordering::Relaxed) && to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

fn settings(sshd: &Sshd, port: u16, more: &str) -> String {
    let path = sshd.settings(&format!("{}{more}", sshd.key_line()));
    let text = fs::read_to_string(&path).unwrap();
    sshd.written("push.toml", &text.replace(&format!("port = {}\n", sshd.port), &format!("port = {port}\n")))
}

#[test]
fn a_silent_server_is_asked_and_a_dead_one_given_up() {
    std::thread::scope(|scope| {
        for transport in TRANSPORTS {
            scope.spawn(move || is_asked_and_given_up(transport));
        }
    });
}

fn is_asked_and_given_up(transport: &str) {
    let Some(sshd) = Sshd::start("a_silent_server_is_asked_and_a_dead_one_given_up") else { return };
    let sent_in_silence = |keepalive_seconds| {
        let line = Line::to(sshd.port);
        let more = format!("transport = {transport:?}\nkeepalive_seconds = {keepalive_seconds}\n");
        let settings = settings(&sshd, line.port, &more);
        let mut client = Command::new(env!("CARGO_BIN_EXE_push-client"))
            .args(["run", "--config", &settings])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It was let in, and is told nothing.
        let held = sshd.accept();
        std::thread::sleep(Duration::from_millis(500));
        let before = line.sent.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(5));
        let sent = line.sent.load(Ordering::Relaxed) - before;
        assert!(client.try_wait().unwrap().is_none(), "{transport}: a server that answers is not given up");
        line.dead.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        let done = client.wait_with_output().unwrap();
        drop(held);
        assert_eq!(done.status.code(), Some(19), "{transport}: {}", text(&done.stderr));
        (sent, begun.elapsed())
    };
    let (sent, took) = sent_in_silence(2);
    assert!(sent > 0, "{transport}: nothing was asked");
    assert!(took < Duration::from_secs(12), "{transport}: {took:?}");
    // Control: without questions nothing is sent, and the end comes when the greeting does not.
    let (sent, took) = sent_in_silence(0);
    assert_eq!(sent, 0, "{transport}");
    assert!(took > Duration::from_secs(12), "{transport}: {took:?}");
}

#[test]
fn a_limit_of_the_line_is_kept() {
    for transport in TRANSPORTS {
        let Some(sshd) = Sshd::start("a_limit_of_the_line_is_kept") else { return };
        let took = |limit: &str| {
            let path = settings(&sshd, sshd.port, &format!("transport = {transport:?}\n{limit}"));
            fs::write(sshd.at("data/noise"), noise(7, 1 << 20)).unwrap();
            let _ = fs::remove_dir_all(sshd.at("state"));
            let mut server = Server::new();
            let begun = Instant::now();
            let done = std::thread::scope(|scope| {
                scope.spawn(|| sshd.serve(&mut server));
                run(&["run", "--config", &path])
            });
            assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
            begun.elapsed()
        };
        let limited = took("bandwidth_limit = \"256KiB/s\"\n");
        assert!(limited > Duration::from_millis(3_500), "{transport}: {limited:?}");
        let free = took("");
        assert!(free < limited, "{transport}: {free:?} without a limit, {limited:?} with one");
    }
}

#[test]
fn a_run_and_its_transport_step_back_behind_others() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = crate::commands::settings(folder.path(), listener.local_addr().unwrap().port());
    let own = rustix::process::getpriority_process(None).unwrap();
    for (line, expected) in [("nice = 0\n", own), ("", own.max(10)), ("nice = 19\n", 19)] {
        let path = crate::commands::written(folder.path(), &format!("{line}{good}"));
        let mut client = Command::new(env!("CARGO_BIN_EXE_push-client"))
            .args(["run", "--config", &path])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (held, _) = listener.accept().unwrap();
        let nice = |pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            // After the name in brackets: state is the first, nice the 17th.
            let fields = stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().to_owned();
            fields.parse::<i32>().unwrap()
        };
        let id = client.id();
        let end = Instant::now() + Duration::from_secs(10);
        let child = loop {
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
            match children.split_whitespace().next() {
                Some(child) => break child.parse().unwrap(),
                None => assert!(Instant::now() < end, "no transport was started"),
            }
        };
        assert_eq!((nice(id), nice(child)), (expected, expected), "{line}");
        client.kill().unwrap();
        client.wait().unwrap();
        drop(held);
    }
}
