//! A host that changes between the look at who may fetch and the end of the packing.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{HOST, World, world};
use crate::rig;

const WAIT_MAX: Duration = Duration::from_secs(60);

/// Approves what was asked for, so slowly that there is time to meddle: each sync takes longer.
fn begin(world: &World) -> Child {
    let text = fs::read_to_string(world.scratch.folder.join("grants/web01.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    let words = ["grant", "approve", HOST, record["requested"].as_str().unwrap()];
    let plain = world.scratch.snapshotter_as_admin(&words);
    let trace = world.scratch.folder.join("trace");
    let _ = fs::remove_file(&trace);
    let mut slow = Command::new("strace");
    slow.args(["-f", "-qq", "-s", "200", "-o"]).arg(&trace);
    slow.args(["-e", "trace=execve,fsync", "-e", "inject=fsync:delay_enter=400000"]);
    slow.arg(plain.get_program()).args(plain.get_args()).env("SUDO_UID", "5001");
    slow.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Until the process is there that packs.
fn wait_for_packing(world: &World) {
    let until = Instant::now() + WAIT_MAX;
    let trace = world.scratch.folder.join("trace");
    while !fs::read_to_string(&trace).is_ok_and(|text| text.contains("\"--tar\"")) {
        assert!(Instant::now() < until, "nothing is packed");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_host_that_changes_while_its_archive_is_made_is_given_nothing() {
    let test = "a_host_that_changes_while_its_archive_is_made_is_given_nothing";
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &["strace"]) {
        return;
    }
    let _turn = rig::turn();
    let world = world();
    world.enable("two_persons = false\n");
    let key_file = world.scratch.folder.join("keys").join(world.account());
    // The control: as slow, and nothing changes.
    world.request(&world.file, "1").expect_code(&[0]).unwrap();
    world.approve(5001).expect_code(&[0]).unwrap();
    world.grant(5001, &["withdraw", HOST]).expect_code(&[0]).unwrap();
    world.request(&world.file, "1").expect_code(&[0]).unwrap();
    let output = begin(&world).wait_with_output().unwrap();
    assert!(output.status.success() && key_file.exists(), "{output:?}");
    world.grant(5001, &["withdraw", HOST]).expect_code(&[0]).unwrap();

    world.request(&world.file, "1").expect_code(&[0]).unwrap();
    let approving = begin(&world);
    wait_for_packing(&world);
    let record = world.scratch.folder.join("etc/hosts/web01.toml");
    let text = fs::read_to_string(&record).unwrap_or_default();
    rig::file(&record, format!("{text}\n[limits]\ninterval_seconds = 60\n").as_bytes());
    let output = approving.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("was changed while its archive was made"), "{said}");
    assert_eq!(world.events().last().unwrap()["event"]["how"], "withdrawn");
    assert!(!world.archive().exists() && !key_file.exists());
}
