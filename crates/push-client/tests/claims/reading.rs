//! Files are read once, and kept only as they held still.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use formats::Kind;
use push_client::push::Count;

use crate::host::{Host, noise, root};
use crate::server::{Server, header};

#[test]
fn contents_of_every_size_arrive_as_they_are() {
    let (host, mut server) = (Host::new(), Server::new());
    let sizes = [0, 1, 4_096, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 1 << 20, (3 << 20) + 17];
    for (n, size) in sizes.into_iter().enumerate() {
        host.write(&format!("noise-{size}"), &noise(n as u64 + 1, size));
        host.write(&format!("text-{size}"), &b"snow falls ".repeat(size / 11 + 1)[..size]);
    }
    let (_, account) = host.push(&mut server);
    let judged = server.newest(&[]);
    for (n, size) in sizes.into_iter().enumerate() {
        assert!(judged.content(&format!("data/noise-{size}")) == noise(n as u64 + 1, size), "{size}");
        assert_eq!(judged.content(&format!("data/text-{size}")).len(), size);
    }
    assert_eq!(account.get(Count::ReadBytes), sizes.iter().sum::<usize>() as u64 * 2);
    assert_eq!(account.get(Count::ReadFiles), sizes.len() as u64 * 2);
}

#[test]
fn equal_small_files_are_sent_once() {
    let (host, mut server) = (Host::new(), Server::new());
    for n in 0..50 {
        host.write(&format!("same-{n}"), &noise(1, 10_000));
    }
    host.push(&mut server);
    let judged = server.newest(&[]);
    assert_eq!(judged.contents_count, 1);
    assert_eq!(judged.entries.len(), 51);
}

/// Ends a writer when it is dropped.
struct Stopped<'a>(&'a AtomicBool);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A short file is read between two strokes of its writer now and then; a long one never.
#[test]
fn a_file_that_never_holds_still_is_kept_as_last_read_and_named() {
    for (size, tries) in [(1_000, 500), (24 << 20, 1)] {
        let host = Host::new();
        let path = host.write("log", &noise(1, size));
        host.write("still", b"still");
        let stop = AtomicBool::new(false);
        let (mut server, account) = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut file = fs::File::options().append(true).open(&path).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    file.write_all(b"one more line\n").unwrap();
                }
            });
            // A push that fails must not leave the writer at work.
            let _stopped = Stopped(&stop);
            // The writer is at work.
            while fs::metadata(&path).unwrap().len() == size as u64 {
                std::thread::yield_now();
            }
            let mut pushes = (0..tries).map(|_| {
                let mut server = Server::new();
                let (_, account) = host.push(&mut server);
                (server, account)
            });
            let named = pushes.find(|(_, account)| account.left_out_count > 0);
            named.expect("the file held still each time")
        });
        let judged = server.newest(&[]);
        assert_eq!(account.left_out.len(), 1, "{:?}", account.left_out);
        assert_eq!(account.left_out[0].0, b"data/log");
        assert!(account.left_out[0].1.contains("changed each time it was read"));
        let Kind::File { size: kept, .. } = judged.node("data/log").kind else { panic!() };
        assert_eq!(judged.content("data/log").len() as u64, kept);
        assert!(judged.content("data/log").starts_with(&noise(1, size)));
        assert_eq!(judged.left_out, 1);
        // Whatever its times say, it is read again.
        let push = header(server.sealed.last().unwrap()).push;
        let verdict = accepted(&server);
        server.judge(push, verdict);
        let (_, account) = host.push(&mut server);
        assert_eq!(account.get(Count::ReadFiles), 1);
        assert_eq!(account.left_out, []);
    }
}

fn accepted(server: &Server) -> formats::published::Verdict {
    formats::published::Verdict::Accepted { root: crate::server::seal(server.sealed.last().unwrap()).root }
}

/// Root reads everything, so the push runs in a thread that has given that up.
#[test]
fn what_cannot_be_read_is_named_and_the_push_still_seals() {
    let (host, mut server) = (Host::new(), Server::new());
    let secret = host.write("secret", b"x");
    host.write("closed/inside", b"x");
    host.write("open", b"x");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(host.path("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let account = std::thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            if root() {
                sandbox::capabilities::drop_capabilities().unwrap();
            }
            host.push(&mut server).1
        });
        pushing.join().unwrap()
    });
    let judged = server.newest(&[]);
    assert_eq!(judged.paths(), ["data", "data/closed", "data/open"]);
    let named: Vec<_> = account.left_out.iter().map(|(path, why)| (path.as_slice(), why.as_str())).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(named[0].0 == b"data/closed" && named[0].1.contains("without what it holds"), "{named:?}");
    assert!(named[1].0 == b"data/secret" && named[1].1.contains("ermission denied"), "{named:?}");
    assert_eq!(judged.left_out, 2);
    fs::set_permissions(host.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
}

/// Whoever may write in a tree swaps a file and a fifo, a link and a file, as fast as he can: nothing hangs, and nothing of
/// another inode is called by this name.
#[test]
fn a_file_swapped_while_it_is_opened_is_whole_or_not_there() {
    let host = Host::new();
    host.write("name", &b"a".repeat(100_000));
    host.write("other", &b"b".repeat(100_000));
    fs::create_dir_all(host.top().join("secret")).unwrap();
    fs::write(host.top().join("secret/file"), b"SENTINEL").unwrap();
    std::os::unix::fs::symlink(host.top().join("secret/file"), host.path("link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        host.path("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let exchange = |a: &str, b: &str| {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    host.path(a),
                    rustix::fs::CWD,
                    host.path(b),
                    flags,
                )
                .unwrap();
            };
            while !stop.load(Ordering::Relaxed) {
                for other in ["other", "link", "fifo"] {
                    exchange("name", other);
                }
            }
        });
        for _ in 0..300 {
            let mut server = Server::new();
            host.push(&mut server);
            for bytes in server.newest(&[]).contents.values() {
                let of_one_inode = bytes.iter().all(|b| *b == bytes[0]) && bytes.len() == 100_000;
                assert!(of_one_inode, "{} bytes", bytes.len());
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
