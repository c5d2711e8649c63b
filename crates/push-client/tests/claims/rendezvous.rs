//! A host that may call nobody: the server comes to the host's own sshd, opens one port there, and can do nothing else.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::commands::{run, text};
use crate::server::Server;
use crate::sshd::{Sshd, user};

/// Which walls stand on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walls {
    None,
    Line,
    Block,
    Both,
}

/// The sshd of a host, and the port that it lets the server open.
struct HostSshd {
    sshd: Sshd,
    listen: u16,
}

/// What is printed, for the only account that a test's sshd has.
fn printed(words: &[&str]) -> String {
    let done = run(words);
    assert!(done.status.success(), "{}", text(&done.stderr));
    text(&done.stdout)
}

impl HostSshd {
    fn start(test: &str, walls: Walls) -> Option<Self> {
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = listen.to_string();
        let block = printed(&["rendezvous", "sshd-config", "--port", &port]);
        let sshd = Sshd::start_with(test, |folder| match walls {
            Walls::None | Walls::Line => "AllowTcpForwarding yes\nGatewayPorts clientspecified\n".to_owned(),
            Walls::Block | Walls::Both => block
                .replace("firn-rendezvous\n", &format!("{}\n", user()))
                .replace("/etc/firn/rendezvous_keys", &format!("{}/authorized", folder.display())),
        })?;
        if matches!(walls, Walls::Line | Walls::Both) {
            let public = sshd.at("key.pub");
            let line = printed(&["rendezvous", "key", public.to_str().unwrap(), "--port", &port]);
            fs::write(sshd.at("authorized"), line).unwrap();
        }
        Some(Self { sshd, listen })
    }

    /// ssh as the server calls it, with these words.
    fn ssh(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
        command.args([
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "ExitOnForwardFailure=yes",
        ]);
        command.args(["-p", &self.sshd.port.to_string(), "-l", &user(), "-i"]).arg(self.sshd.at("key"));
        command.args(words).env_remove("SSH_AUTH_SOCK");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What it said within a few seconds, fed with `input`; and whether it then still ran.
    fn tried(&self, words: &[&str], input: &[u8]) -> (String, bool) {
        let mut child = self.ssh(words).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all(input);
        let until = Instant::now() + Duration::from_secs(4);
        while child.try_wait().unwrap().is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let still = child.try_wait().unwrap().is_none();
        let _ = child.kill();
        drop(stdin);
        let done = child.wait_with_output().unwrap();
        (String::from_utf8_lossy(&done.stdout).into_owned(), still)
    }

    /// Opens the way, as the server's unit does.
    fn opened(&self, to: u16) -> Tunnel {
        let forward = format!("127.0.0.1:{}:127.0.0.1:{to}", self.listen);
        let child = self.ssh(&["-N", "-R", &forward, "127.0.0.1"]).spawn().unwrap();
        let mut tunnel = Tunnel(child);
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.listen)).is_err() {
            assert!(
                Instant::now() < until && tunnel.0.try_wait().unwrap().is_none(),
                "the port is not opened"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        tunnel
    }
}

struct Tunnel(Child);

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the server's key could do on the host, tried; those that it did.
fn done_by_key(host: &HostSshd) -> Vec<&'static str> {
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    let behind = format!("127.0.0.1:{}", inside.local_addr().unwrap().port());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = inside.accept() {
            let _ = stream.write_all(b"firn-42 from inside");
        }
    });
    let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (other, wide) = (format!("127.0.0.1:{other}:{behind}"), format!("0.0.0.0:{}:{behind}", host.listen));
    let socket = format!("{}:{behind}", host.sshd.at("socket").display());
    let mut done = Vec::new();
    let said: [(&str, &[&str], &[u8]); 4] = [
        ("command", &["127.0.0.1", "echo firn-$((6*7))"], b""),
        ("shell", &["127.0.0.1"], b"echo firn-$((6*7))\n"),
        ("terminal", &["-tt", "127.0.0.1"], b"echo firn-$((6*7))\nexit\n"),
        ("through", &["-W", &behind, "127.0.0.1"], b""),
    ];
    for (name, words, input) in said {
        let (said, _) = host.tried(words, input);
        done.extend(said.contains("firn-42").then_some(name));
    }
    done.extend(through_socket(host).then_some("through a socket"));
    let listens: [(&str, &str); 3] = [("other port", &other), ("all addresses", &wide), ("socket", &socket)];
    for (name, forward) in listens {
        let (_, still) = host.tried(&["-N", "-R", forward, "127.0.0.1"], b"");
        done.extend(still.then_some(name));
    }
    done
}

/// To a Unix socket of the host, as programs there listen on.
fn through_socket(host: &HostSshd) -> bool {
    let path = host.sshd.at("program");
    let inside = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = inside.accept() {
            let _ = stream.write_all(b"firn-42 from inside");
        }
    });
    let ours = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let forward = format!("127.0.0.1:{ours}:{}", path.display());
    let _ssh = Tunnel(host.ssh(&["-N", "-L", &forward, "127.0.0.1"]).spawn().unwrap());
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", ours)) {
            stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said);
            return said.starts_with(b"firn-42");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn the_servers_key_opens_one_port_and_the_block_of_sshd_holds_alone() {
    let test = "the_servers_key_opens_one_port_and_the_block_of_sshd_holds_alone";
    std::thread::scope(|scope| {
        for walls in [Walls::None, Walls::Line, Walls::Block, Walls::Both] {
            scope.spawn(move || {
                let Some(host) = HostSshd::start(test, walls) else { return };
                let done = done_by_key(&host);
                let expected = match walls {
                    // Control: a key without walls does all of it.
                    Walls::None => vec![
                        "command",
                        "shell",
                        "terminal",
                        "through",
                        "through a socket",
                        "other port",
                        "all addresses",
                        "socket",
                    ],
                    // No option of a key keeps it from listening on Unix sockets; that is what the block is for.
                    Walls::Line => vec!["socket"],
                    Walls::Block | Walls::Both => Vec::new(),
                };
                assert_eq!(done, expected, "{walls:?}");
                let inside = TcpListener::bind("127.0.0.1:0").unwrap();
                let _tunnel = host.opened(inside.local_addr().unwrap().port());
                assert!(inside.accept().is_ok(), "{walls:?}: its one port is opened");
            });
        }
    });
}

#[test]
fn a_push_goes_out_through_the_port_and_knows_its_server() {
    let test = "a_push_goes_out_through_the_port_and_knows_its_server";
    for transport in ["ssh2", "ssh"] {
        let (Some(host), Some(server)) = (HostSshd::start(test, Walls::Both), Sshd::start(test)) else {
            return;
        };
        let _tunnel = host.opened(server.port);
        // Whoever tried the way out before: a session that came to nothing.
        let more = format!("transport = {transport:?}\n{}", server.key_line());
        let settings = server.settings(&more);
        let through = |settings: &str| {
            fs::read_to_string(settings)
                .unwrap()
                .replace(&format!("port = {}\n", server.port), &format!("port = {}\n", host.listen))
        };
        let settings = server.written("push.toml", &through(&settings));
        let mut received = Server::new();
        let done = std::thread::scope(|scope| {
            scope.spawn(|| server.serve(&mut received));
            run(&["run", "--config", &settings])
        });
        assert_eq!(done.status.code(), Some(18), "{transport}: {}", text(&done.stderr));
        assert_eq!(received.sealed.len(), 1);
        // A server that offers another one behind the port gets nothing.
        drop(_tunnel);
        let Some(false_one) = Sshd::start(test) else { return };
        let _tunnel = host.opened(false_one.port);
        let done = run(&["run", "--config", &settings]);
        assert_eq!(done.status.code(), Some(19), "{transport}: {}", text(&done.stderr));
        assert!(text(&done.stderr).contains("is not the pinned one"), "{}", text(&done.stderr));
    }
}

#[test]
fn while_the_server_has_not_come_a_push_finds_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let path = crate::commands::written(folder.path(), &crate::commands::settings(folder.path(), port));
    let done = run(&["run", "--config", &path]);
    assert_eq!(done.status.code(), Some(19), "{}", text(&done.stderr));
    let _ = TcpStream::connect(("127.0.0.1", port)).map(|mut stream| stream.read(&mut [0]));
}
