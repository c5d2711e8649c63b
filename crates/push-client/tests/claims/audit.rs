//! The audit of a host against servers that mean to keep it.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::commands::{run, settings, text, written};

/// Seven attempts with the host's own account, and two with others.
const ATTEMPTS: u32 = 9;
/// Of each, with `connect_seconds = 1`.
const LONGEST: Duration = Duration::from_secs(5);

/// How long an audit takes against a server that says `word` again and again, with a pause between; and how many attempts had no end.
fn audited(word: &'static [u8], pause: Duration) -> (Duration, usize) {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = settings(folder.path(), listener.local_addr().unwrap().port());
    let path = written(folder.path(), &settings.replace("connect_seconds = 2", "connect_seconds = 1"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                while stream.write_all(word).is_ok() {
                    std::thread::sleep(pause);
                }
            });
        }
    });
    let begun = Instant::now();
    let output = run(&["audit", "-v", "--config", &path]);
    let said = text(&output.stderr);
    assert!(said.contains("R4 unknown: as firn-web01, to get a shell"), "{said}");
    (begun.elapsed(), said.matches("it did not come to an end within 5 seconds").count())
}

#[test]
fn a_server_that_trickles_bytes_does_not_keep_an_audit() {
    let (took, _) = audited(b"x", Duration::from_millis(200));
    assert!(took < LONGEST * (ATTEMPTS + 2), "{took:?}");
}

/// libssh2 looks at its clock only where nothing is there to be read.
#[test]
fn a_server_that_never_stops_talking_does_not_keep_an_audit() {
    let (took, endless) = audited(b"220 wait\r\n", Duration::ZERO);
    assert!(took < LONGEST * (ATTEMPTS + 2), "{took:?}");
    assert!(endless > 0, "no attempt came to its deadline");
}
