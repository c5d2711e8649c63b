//! The demo, as somebody runs it who has just cloned the project.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pipeline_tests::machine::cargo;
use pipeline_tests::{Outcome, data};

use crate::rig;

fn demo(words: &[&str]) -> Command {
    let mut command = cargo();
    command.args(["xtask", "demo", "--dev"]).args(words);
    command
}

/// The folder of the demo's scratch server, as it says itself.
fn folder_of(outcome: &Outcome) -> PathBuf {
    let line = outcome.stderr.lines().find_map(|line| line.strip_prefix("It lies in "));
    PathBuf::from(line.unwrap_or_else(|| panic!("{}", outcome.said())))
}

#[test]
fn the_demo_proves_a_restore_with_stock_tools_and_leaves_nothing() {
    let _turn = rig::turn();
    rig::programs();
    let folder = tempfile::tempdir().unwrap();
    data::write_small_files(&folder.path().join("files"), 3, 200, 3000).unwrap();
    let outcome = Outcome::of(demo(&["--path"]).arg(folder.path())).unwrap();
    assert_eq!(outcome.code, 0, "{}", outcome.said());
    for row in ["web01: second push", "db1.example.org: restore", "web01: without Firn"] {
        assert!(outcome.stdout.contains(row), "{row}: {}", outcome.said());
    }
    assert_eq!(outcome.stdout.matches("no difference").count(), 4, "{}", outcome.said());
    assert!(!folder_of(&outcome).exists());
}

#[test]
fn the_demo_leaves_its_server_to_look_at_when_asked() {
    let _turn = rig::turn();
    rig::programs();
    let folder = tempfile::tempdir().unwrap();
    data::write_small_files(&folder.path().join("files"), 4, 40, 500).unwrap();
    let outcome = Outcome::of(demo(&["--keep", "--path"]).arg(folder.path())).unwrap();
    assert_eq!(outcome.code, 0, "{}", outcome.said());
    let left = folder_of(&outcome);
    let mut list = Command::new(left.join("bin/restore-drill"));
    let listed = Outcome::of(list.arg("--config").arg(left.join("etc/drill.toml")).arg("list")).unwrap();
    fs::remove_dir_all(&left).unwrap();
    assert_eq!(listed.code, 0, "{}", listed.said());
    assert!(
        listed.stdout.contains("web01/") && listed.stdout.contains("db1.example.org/"),
        "{}",
        listed.said()
    );
}

#[test]
fn the_demo_refuses_a_folder_that_is_not_there() {
    let outcome = Outcome::of(&mut demo(&["--path", "/no/such/folder"])).unwrap();
    assert_ne!(outcome.code, 0);
    assert!(outcome.stderr.contains("/no/such/folder"), "{}", outcome.said());
}
