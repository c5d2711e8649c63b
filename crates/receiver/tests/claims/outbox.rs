//! The outbox: one archive, once, until a time.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

const LATER: u64 = 3600;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn outbox(archive: &[u8], until: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["out", "mark"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("out/files.tar"), archive).unwrap();
    fs::write(folder.path().join("out/until"), format!("{until}\n")).unwrap();
    folder
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outbox"));
    command.arg("--outbox").arg(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn fetch(folder: &Path) -> Output {
    command(folder).output().unwrap()
}

#[test]
fn an_archive_is_handed_out_once() {
    let folder = outbox(&vec![7; 1 << 20], now() + LATER);
    let first = fetch(folder.path());
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
    assert_eq!(first.stdout, vec![7; 1 << 20]);
    let second = fetch(folder.path());
    assert_eq!((second.status.code(), second.stdout.len()), (Some(43), 0));
    // The mark is what makes it once.
    fs::remove_file(folder.path().join("mark/fetched")).unwrap();
    assert_eq!(fetch(folder.path()).stdout.len(), 1 << 20);
}

#[test]
fn a_fetch_that_breaks_off_may_be_made_again() {
    let folder = outbox(&vec![7; 8 << 20], now() + LATER);
    let mut child = command(folder.path()).spawn().unwrap();
    let mut some = vec![0; 1000];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert!(!folder.path().join("mark/fetched").exists());
    assert_eq!(fetch(folder.path()).stdout.len(), 8 << 20);
}

#[test]
fn one_session_at_a_time_fetches() {
    let folder = outbox(&vec![7; 8 << 20], now() + LATER);
    let mut first = command(folder.path()).spawn().unwrap();
    let mut out = first.stdout.take().unwrap();
    out.read_exact(&mut [0; 1000]).unwrap();
    let second = fetch(folder.path());
    assert_eq!((second.status.code(), second.stdout.len()), (Some(10), 0));
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).unwrap();
    assert_eq!((rest.len(), first.wait().unwrap().code()), ((8 << 20) - 1000, Some(0)));
}

#[test]
fn nothing_is_handed_out_when_the_time_is_over_or_unknown() {
    let folder = outbox(b"archive", 0);
    let past = format!("{}\n", now() - 1);
    for (until, code) in [(past.as_str(), 43), ("", 4), ("soon\n", 4), ("99999999999999999999999\n", 4)] {
        fs::write(folder.path().join("out/until"), until).unwrap();
        let found = fetch(folder.path());
        let said = String::from_utf8_lossy(&found.stderr).into_owned();
        assert_eq!((found.status.code(), found.stdout.len()), (Some(code), 0), "{until:?}: {said}");
    }
    fs::remove_file(folder.path().join("out/until")).unwrap();
    assert_eq!((fetch(folder.path()).status.code(), fetch(folder.path()).stdout.len()), (Some(43), 0));
    fs::write(folder.path().join("out/until"), format!("{}\n", now() + LATER)).unwrap();
    assert_eq!(fetch(folder.path()).stdout, b"archive");
}

#[test]
fn a_link_in_the_place_of_the_archive_is_not_followed() {
    let folder = outbox(b"archive", now() + LATER);
    let archive = folder.path().join("out/files.tar");
    fs::remove_file(&archive).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &archive).unwrap();
    let found = fetch(folder.path());
    assert_eq!((found.status.code(), found.stdout.len()), (Some(43), 0));
}

#[test]
fn what_the_other_side_asks_for_is_not_read() {
    for words in [&["-c"][..], &["-c", "--outbox", "/tmp"], &["-c", "cat /etc/passwd"]] {
        // The outbox is / then, and here / is none.
        let said =
            Command::new(env!("CARGO_BIN_EXE_outbox")).args(words).stdin(Stdio::null()).output().unwrap();
        assert_eq!((said.status.code(), said.stdout.len()), (Some(4), 0), "{words:?}");
    }
    for words in [&[][..], &["/tmp"], &["--outbox"]] {
        let said =
            Command::new(env!("CARGO_BIN_EXE_outbox")).args(words).stdin(Stdio::null()).output().unwrap();
        assert_eq!(said.status.code(), Some(2), "{words:?}");
    }
}
