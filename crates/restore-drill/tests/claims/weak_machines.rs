//! What this machine cannot read, expand or wait for is never the ice's fault, and no record says so.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::ices::{Machine, Ran, ice_of, ran};
use super::keys::key;
use super::tree::{Tree, noise, small};

/// Runs `verify` under strace with these words; none if strace is not there.
pub(crate) fn under_strace(machine: &Machine, verb: &[&str], words: &[&str]) -> Option<Ran> {
    let secret = key().secret();
    let command = machine.command(&[verb, &["--key", secret.to_str().unwrap()]].concat());
    let output = Command::new("strace")
        .args(["-qq", "-o"])
        .arg(machine.path("trace"))
        .args(words)
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .ok()?;
    Some(ran(output))
}

fn injected(machine: &Machine) -> usize {
    fs::read_to_string(machine.path("trace")).unwrap().matches("(INJECTED)").count()
}

const VERIFY: [&str; 2] = ["verify", "web01/latest"];

#[test]
fn a_read_that_fails_on_this_machine_leaves_no_record_of_a_failed_drill() {
    let test = "a_read_that_fails_on_this_machine_leaves_no_record_of_a_failed_drill";
    let mut tree = small();
    tree.file("large", noise(3_000_000));
    let machine = Machine::with(&ice_of(&tree));
    let (mut struck, mut machines) = (0, 0);
    // Of this process and of the child that reads the image, for which each thread is counted by itself.
    for (follow, call, most) in
        [("-f", "read", 120), ("-f", "recvfrom", 30), ("-f", "pread64", 20), ("-f", "write", 40)]
    {
        for nth in (1..most).step_by(3) {
            let inject = format!("inject={call}:error=EIO:when={nth}");
            let trace = format!("trace={call}");
            let Some(ran) = under_strace(&machine, &VERIFY, &[follow, "-e", &trace, "-e", &inject]) else {
                return println!("SKIPPED: {test}: strace is not installed");
            };
            struck += usize::from(injected(&machine) > 0);
            machines += usize::from(ran.code == 4);
            assert!([-1, 0, 1, 2, 4, 30, 40, 127].contains(&ran.code), "{call} {nth}: {ran:?}");
            let failed: Vec<_> =
                machine.records().into_iter().filter(|record| record["result"] != "proved").collect();
            assert!(failed.is_empty(), "{call} {nth}: {failed:?}");
            let _ = fs::remove_dir_all(machine.path("quarantine"));
        }
    }
    println!("{struck} reads and writes failed, {machines} runs ended with 4");
    assert!(struck > 40 && machines > 5, "{struck} {machines}");
}

#[test]
fn a_child_that_is_killed_proves_nothing_about_the_ice() {
    let mut tree = Tree::default();
    for number in 0..40u32 {
        tree.file(format!("f{number:05}"), noise(1_000_000));
    }
    let machine = Machine::with(&ice_of(&tree));
    let secret = key().secret();
    let mut killed = 0;
    // Sooner and later in its talk.
    for wait in [0, 20, 60, 120] {
        let child = machine
            .command(&["verify", "web01/latest", "--key", secret.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let reader = loop {
            match reader_of(child.id()) {
                Some(reader) => break reader,
                None => assert!(begun.elapsed() < Duration::from_secs(60), "no child appeared"),
            }
        };
        std::thread::sleep(Duration::from_millis(wait));
        let reader = rustix::process::Pid::from_raw(reader).unwrap();
        let hit = rustix::process::kill_process(reader, rustix::process::Signal::KILL).is_ok();
        let ran = ran(child.wait_with_output().unwrap());
        if hit && ran.code != 0 {
            killed += 1;
            ran.ends_with(4).because("the child that reads the image ended with");
        }
    }
    assert!(killed > 1, "{killed}");
    assert!(machine.records().iter().all(|record| record["result"] == "proved"), "{:?}", machine.records());
    // What was fetched is still there.
    machine.verify().ends_with(0);
}

/// The child of a process that reads an image.
fn reader_of(parent: u32) -> Option<i32> {
    let children = format!("/proc/{parent}/task/{parent}/children");
    let children = fs::read_to_string(children).unwrap_or_default();
    let reads = |pid: &&str| {
        let words = fs::read(Path::new("/proc").join(pid).join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == b"read-image")
    };
    children.split_whitespace().find(reads).map(|pid| pid.parse().unwrap())
}

#[test]
fn too_little_memory_for_an_image_is_the_machines_fault() {
    let mut tree = Tree::default();
    for number in 0..60_000u32 {
        tree.file(format!("a_name_that_takes_room_{}_{number:05}", "x".repeat(200)), "");
    }
    let machine = Machine::with(&ice_of(&tree));
    machine.settings("memory_bytes = 67108864");
    let ran = machine.verify();
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.report["error"]["advice"].as_str().unwrap().contains("memory_bytes"), "{ran:?}");
    assert!(machine.records().is_empty());
    machine.settings("");
    machine.verify().ends_with(0);
}
