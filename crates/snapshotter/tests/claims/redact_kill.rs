//! A redaction killed, or met by a broken machine, at any system call: the log says what is gone before anything goes, and the same again ends it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::heal::{NAMES, hash, precious, world as three};
use crate::kill::{command_of, injected, strace};
use crate::pruned::copy;
use crate::redact::{SNAPSHOTS, assert_redacted, enabled};
use crate::world::{Ended, World, give_away};

/// Every call that changes or secures something.
const CALLS: &[&str] =
    &["fsync", "ftruncate", "linkat", "renameat2", "syncfs", "unlinkat", "write", "pwrite64"];
const MISSING: (u8, &str) = (2, "one");
/// What is asked between them, in the long form only.
const QUESTIONS: &[&str] = &["flock", "getdents64", "lseek", "newfstatat", "openat2", "read"];

pub(crate) fn order(world: &World, approved_by: u32) -> File {
    let person = |user: u32| serde_json::json!({"user": user, "name": "somebody"});
    let asked = serde_json::json!({
        "format": "firn.redaction/1.0", "host": "web01", "path": "copy", "reason": "court order 12",
        "contents": [{"content": hash(), "size": precious().len()}],
        "requested": "2026-01-02T03:04:05Z", "requested_by": person(1001),
    });
    let erasure = serde_json::json!({
        "asked": asked, "approved_by": person(approved_by), "ices": null, "ice": [], "extent": "Erase",
    });
    fs::write(world.path("order"), serde_json::json!({"Erase": erasure}).to_string()).unwrap();
    File::open(world.path("order")).unwrap()
}

fn again(world: &World) -> Ended {
    Ended::of(world.command(&["redact-host", "web01"]).stdin(Stdio::from(order(world, 1002))))
}

/// Without the line, all is there. With it, each file has the content or nothing, and nobody takes one for the other.
fn assert_told(world: &World, at: &str) -> bool {
    let is_told = !world.log().redacted().is_empty();
    for n in 1..=SNAPSHOTS {
        for name in NAMES {
            let Ok(bytes) = fs::read(world.tree(n.into()).join(name)) else {
                assert_eq!((n, name), MISSING, "{at}");
                continue;
            };
            let is_gone = bytes.iter().all(|byte| *byte == 0);
            assert!(bytes == precious() || is_gone && is_told, "{at}: {n}/{name}");
        }
    }
    is_told
}

/// One name has no file, and what lies aside is something else that has names of its own.
fn template() -> World {
    let world = enabled(three(SNAPSHOTS));
    fs::remove_file(world.tree(MISSING.0.into()).join(MISSING.1)).unwrap();
    fs::create_dir(world.path("history/web01/.rot")).unwrap();
    give_away(&world.path("history/web01/.rot"));
    fs::hard_link(world.tree(1).join("same"), aside(&world)).unwrap();
    world
}

pub(crate) fn aside(world: &World) -> PathBuf {
    world.path("history/web01/.rot").join(format!("{}-1.rotten", hash()))
}

fn disturb(template: &World, strace: &Path, call: &str, how: &str, counts: &mut (u32, u32)) {
    for n in 1..1_000 {
        let world = copy(template);
        let at = format!("{call} {n} {how}");
        let mut command =
            command_of(&world, strace, &[], call, &format!("{how}:when={n}"), &["redact-host", "web01"]);
        let output = command.stdin(Stdio::from(order(&world, 1002))).output().unwrap();
        let is_hit = if how.starts_with("signal") { !output.status.success() } else { injected(&world) };
        if !is_hit {
            assert!(output.status.success(), "{at}: {output:?}");
            return assert_redacted(&world, SNAPSHOTS);
        }
        counts.0 += 1;
        if assert_told(&world, &at) {
            counts.1 += 1;
        }
        let ended = again(&world);
        assert_eq!(ended.code, 0, "{at}: {ended:?}");
        assert_redacted(&world, SNAPSHOTS);
        assert!(!aside(&world).exists(), "{at}");
        assert_eq!(world.published().wanted, [hash()], "{at}");
        let verified = world.run(&["verify"]);
        assert_eq!(verified.code, 0, "{at}: {verified:?}");
        let lines = fs::read_to_string(world.path("history/web01/log")).unwrap();
        assert_eq!(lines.matches("\"kind\":\"redact\"").count(), 1, "{at}");
    }
    panic!("{call} never ends");
}

#[test]
fn a_redaction_disturbed_at_any_system_call_is_finished_by_the_next() {
    let Some(strace) = strace() else {
        println!("SKIPPED: a_redaction_disturbed_at_any_system_call_is_finished_by_the_next: no strace");
        return;
    };
    let template = template();
    let mut counts = (0, 0);
    let questions = if std::env::var_os("FIRN_LONG").is_some() { QUESTIONS } else { &[] };
    for how in ["signal=KILL", "error=EIO", "error=ENOSPC"] {
        for call in CALLS.iter().chain(questions) {
            disturb(&template, &strace, call, how, &mut counts);
        }
    }
    println!("points of a redaction, and how often the log said so by then: {counts:?}");
    assert!(counts.0 >= 20 && counts.1 >= 8, "{counts:?}");
}
