//! The audit of a host against a server that means to keep it.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::commands::{run, settings, text, written};

/// Seven attempts with the host's own account, and two with others.
const ATTEMPTS: u32 = 9;
/// Of each, with `connect_seconds = 1`.
const LONGEST: Duration = Duration::from_secs(5);

/// libssh2 looks at its clock only where nothing is there to be read: so much is sent at a time that there always is.
#[test]
fn a_server_that_never_stops_talking_does_not_keep_an_audit() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = settings(folder.path(), listener.local_addr().unwrap().port());
    let path = written(folder.path(), &settings.replace("connect_seconds = 2", "connect_seconds = 1"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let words = b"220 wait\r\n".repeat(100_000);
                while stream.write_all(&words).is_ok() {}
            });
        }
    });
    let begun = Instant::now();
    let output = run(&["audit", "-v", "--config", &path]);
    let took = begun.elapsed();
    let said = text(&output.stderr);
    assert!(said.contains("R4 unknown: as firn-web01, to get a shell"), "{said}");
    assert!(took < LONGEST * (ATTEMPTS + 2), "{took:?}");
    assert!(
        said.contains("it did not come to an end within 5 seconds"),
        "no attempt came to its deadline: {said}"
    );
}
