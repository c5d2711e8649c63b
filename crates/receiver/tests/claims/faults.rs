//! A disk that is full or fails: nothing sealed is lost, and the host is told.

use std::path::Path;
use std::process::Command;

use formats::limits::BLOCK_BYTES;
use formats::session::Code;
use wire::client::Outgoing;
use wire::partial::End;

use crate::rig::*;

/// A push of so many mebibytes, without its seal.
fn large(mebibytes: usize) -> Vec<u8> {
    let content = vec![5u8; BLOCK_BYTES];
    let mut to = Vec::new();
    let mut push = Outgoing::open_new(&header(PUSH), &mut to).unwrap();
    for _ in 0..mebibytes {
        push.contents(&block(&content), &mut to).unwrap();
    }
    to
}

/// After a full disk: what is there is whole frames, and can be gone on with when there is room again.
fn goes_on_after(jail: &Jail) {
    let left = std::fs::read(jail.path("spool/incoming/current")).unwrap();
    let partial = scanned(&left).unwrap();
    assert_eq!(
        (partial.tally.bytes(), partial.end),
        (left.len() as u64, End::Open),
        "only whole frames are left"
    );
    let mut session = jail.start();
    assert_eq!(session.base().partial, Some((PUSH, partial.tally.frames())));
    session.end();
}

/// A file system of its own, as large as said; gone with the value.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn tmpfs(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"])
            .arg(dir.path())
            .output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_whole_frames_and_all_that_is_sealed() {
    let Some(mounted) = Mounted::tmpfs("6m") else {
        println!("SKIPPED: a_full_disk: mounting a scratch tmpfs needs root");
        return;
    };
    let jail = Jail::at(mounted.path(), limits());
    seal_one(&jail, OTHER);
    let before = jail.sealed();
    let mut session = jail.start();
    session.base();
    session.send(&large(9));
    assert_eq!(session.refusal(), Code::NoRoom);
    assert_eq!(session.end().code, Some(11));
    assert_eq!(jail.sealed(), before);
    goes_on_after(&jail);
}

#[test]
fn a_file_size_limit_is_told_like_a_full_disk() {
    let jail = Jail::new(limits());
    let mut session = jail.start_under(&["sh", "-c", "ulimit -f 3000; exec \"$@\"", "sh"]);
    session.base();
    session.send(&large(5));
    assert_eq!(session.refusal(), Code::NoRoom);
    assert_eq!(session.end().code, Some(11));
    goes_on_after(&jail);
}

/// The receiver with one system call failing, the n-th time; none where strace is not there.
fn failing(jail: &Jail, call: &str, error: &str, when: u32) -> Option<Session> {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("SKIPPED: {call}_failing_with_{error}: strace is not installed");
        return None;
    }
    let inject = format!("inject={call}:error={error}:when={when}");
    Some(jail.start_under(&["strace", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]))
}

#[test]
fn a_push_that_does_not_reach_the_disk_is_never_called_sealed() {
    for (when, lies_sealed) in [(1, false), (2, true), (3, true)] {
        let jail = Jail::new(limits());
        let Some(mut session) = failing(&jail, "fsync", "EIO", when) else { return };
        session.base();
        session.send(&push(PUSH).0);
        assert_eq!(session.refusal(), Code::ServerFault, "fsync number {when}");
        assert_eq!(session.end().code, Some(16));
        assert_eq!(jail.incoming(), [""; 0], "fsync number {when}: a file whose fsync failed is not kept");
        // After the renaming the file is among the sealed ones, but the host was never told so.
        assert_eq!(!jail.sealed().is_empty(), lies_sealed, "fsync number {when}");
    }
    let jail = Jail::new(limits());
    let Some(mut session) = failing(&jail, "fsync", "EIO", 4) else { return };
    session.base();
    session.send(&push(PUSH).0);
    session.sealed();
}

#[test]
fn a_push_that_cannot_be_renamed_is_sealed_by_the_next_session() {
    let jail = Jail::new(limits());
    let Some(mut session) = failing(&jail, "renameat2", "EIO", 1) else { return };
    session.base();
    session.send(&push(PUSH).0);
    assert_eq!(session.refusal(), Code::ServerFault);
    session.end();
    assert_eq!(jail.sealed(), []);
    assert_eq!(jail.start().base().queued, [PUSH]);
    jail.the_sealed_push();
}

#[test]
fn a_write_that_fails_leaves_whole_frames() {
    for (error, code) in [
        ("ENOSPC", Code::NoRoom),
        ("EDQUOT", Code::NoRoom),
        ("EFBIG", Code::NoRoom),
        ("EIO", Code::ServerFault),
    ] {
        let jail = Jail::new(limits());
        // The first write is the base message, the second the header, the third the contents.
        let Some(mut session) = failing(&jail, "write", error, 3) else { return };
        session.base();
        let (bytes, _) = push(PUSH);
        session.send(&bytes[..150]);
        std::thread::sleep(std::time::Duration::from_millis(200));
        session.send(&bytes[150..]);
        assert_eq!(session.refusal(), code, "{error}");
        session.end();
        assert_eq!(jail.sealed(), []);
        goes_on_after(&jail);
    }
}
