//! A disk that is full or fails: nothing sealed is lost, and the host is told.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use formats::limits::BLOCK_BYTES;
use formats::published::Limits;
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

/// The receiver with a system call tampered with, as strace writes it; none where strace is not there.
fn tampered(jail: &Jail, call: &str, how: &str, more: &[&str]) -> Option<Session> {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("SKIPPED: {call}_with_{how}: strace is not installed");
        return None;
    }
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{how}"));
    Some(jail.start_under(&[&["strace", "-o", "/dev/null", "-e", &trace, "-e", &inject], more].concat()))
}

/// The same with that call failing, the n-th time.
fn failing(jail: &Jail, call: &str, error: &str, when: u32) -> Option<Session> {
    tampered(jail, call, &format!("error={error}:when={when}"), &[])
}

/// Tampering with the reads of the partial push only.
fn tampered_reads(jail: &Jail, how: &str) -> Option<Session> {
    let current = jail.path("spool/incoming/current").canonicalize().unwrap();
    tampered(jail, "read", how, &["-P", current.to_str().unwrap()])
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

/// A jail in which a push has its seal, and was cut before its renaming.
fn sealed_but_not_renamed() -> Jail {
    let jail = Jail::new(limits());
    seal_one(&jail, PUSH);
    let name = jail.path("spool/sealed").join(&jail.sealed()[0].0);
    std::fs::rename(name, jail.path("spool/incoming/current")).unwrap();
    jail
}

#[test]
fn a_cut_seal_whose_bytes_did_not_reach_the_disk_is_never_called_sealed() {
    // After a failed fsync the bytes are in memory only. A session that dies there leaves a file that reads well once;
    // read back from the disk, it does not.
    let jail = sealed_but_not_renamed();
    let Some(mut session) = tampered_reads(&jail, "poke_exit=@arg2=0000000000000000:when=2+") else { return };
    let base = session.base();
    assert_eq!((base.partial, base.queued), (None, Vec::new()));
    session.end();
    assert_eq!((jail.sealed().len(), jail.incoming().len()), (0, 0));
    seal_one(&jail, PUSH);

    let jail = sealed_but_not_renamed();
    let Some(mut session) = failing(&jail, "fsync", "EIO", 1) else { return };
    assert_eq!(session.refusal(), Code::ServerFault);
    session.end();
    assert_eq!((jail.sealed().len(), jail.incoming().len()), (0, 0), "a failed fsync is final");

    // The control: a disk that holds what was written.
    let jail = sealed_but_not_renamed();
    let Some(mut session) = tampered_reads(&jail, "delay_exit=1:when=2+") else { return };
    assert_eq!(session.base().queued, [PUSH]);
    jail.the_sealed_push();
}

#[test]
fn a_queued_push_is_named_only_when_its_name_is_on_the_disk() {
    // A session may have died between the renaming and the fsync of the folders.
    let jail = Jail::new(limits());
    seal_one(&jail, PUSH);
    for when in [1, 2] {
        let Some(mut session) = failing(&jail, "fsync", "EIO", when) else { return };
        assert_eq!(session.refusal(), Code::ServerFault, "fsync number {when}");
        session.end();
    }
    let Some(mut session) = failing(&jail, "fsync", "EIO", 3) else { return };
    assert_eq!(session.base().queued, [PUSH]);
}

#[test]
fn a_partial_push_that_cannot_be_read_does_not_close_the_jail() {
    let jail = Jail::new(limits());
    let mut session = jail.start();
    session.base();
    session.send(&large(1));
    session.end();
    let Some(mut session) = tampered_reads(&jail, "error=EIO") else { return };
    assert_eq!(session.refusal(), Code::ServerFault);
    session.end();
    assert_eq!(jail.start().base().partial, None, "it could never be sealed");
    seal_one(&jail, PUSH);
}

#[test]
fn reading_a_partial_push_again_does_not_move_the_end() {
    let jail = Jail::new(Limits { session_seconds: 2, ..limits() });
    let mut session = jail.start();
    session.base();
    session.send(&large(12));
    session.end();
    let partial = jail.start().base().partial;
    assert_eq!(partial, Some((PUSH, 13)), "the control: a disk that is not slow");
    let Some(mut session) = tampered_reads(&jail, "delay_exit=1100ms") else { return };
    let start = Instant::now();
    assert_eq!(session.refusal(), Code::TooSlow);
    assert_eq!(session.end().code, Some(13));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(jail.start().base().partial, None, "or no session would ever come to its first message");
}
