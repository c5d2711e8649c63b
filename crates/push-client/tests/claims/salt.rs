//! The formula in `salt/` refuses the settings that this program refuses, before they reach a host.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::commands::{run, text, written};

/// Salt's cases, what it says of each and what it would have written; and the keys that it knows.
fn told_by_salt(name: &str) -> Option<Value> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../salt/tests/push_settings.py");
    let Ok(done) = Command::new("python3").arg("-B").arg(cases).output() else {
        println!("SKIPPED: {name}: no python3");
        return None;
    };
    assert!(done.status.success(), "{}", text(&done.stderr));
    Some(serde_json::from_slice(&done.stdout).unwrap())
}

#[test]
fn what_this_program_refuses_salt_refuses_too() {
    let Some(told) = told_by_salt("what_this_program_refuses_salt_refuses_too") else { return };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let (mut refused, mut taken, mut stricter) = (0, 0, 0);
    for case in told["cases"].as_array().unwrap() {
        let name = &case["name"];
        let settings = case["written"].as_str().unwrap_or_else(|| panic!("{name} has no form"));
        let path = written(folder.path(), &settings.replace("/var/lib/firn/push", state.to_str().unwrap()));
        let done = run(&["status", "--config", &path]);
        let (said, is_refused_by_salt) = (text(&done.stderr), case["salt"].is_string());
        match case["client"].as_str() {
            Some(why) => {
                assert_eq!(done.status.code(), Some(2), "{name}: {said}");
                assert!(said.contains(why), "{name}: {said}");
                assert!(is_refused_by_salt, "{name}");
                refused += 1;
            }
            None => {
                assert_eq!(done.status.code(), Some(0), "{name}: {said}");
                taken += usize::from(!is_refused_by_salt);
                stricter += usize::from(is_refused_by_salt);
            }
        }
    }
    println!("{refused} settings refused by both, {taken} taken by both, {stricter} refused by Salt only");
    assert!(refused > 90 && taken > 3, "{refused}, {taken}");
}

/// The fields of the structs in settings.rs, as keys.
fn fields() -> BTreeSet<String> {
    let tables: [(&str, &[&str]); 6] = [
        ("Settings", &[""]),
        ("RootAt", &["root."]),
        ("Command", &["before.", "after."]),
        ("Dump", &["dump."]),
        ("Server", &["server."]),
        ("Ssh", &["server.ssh."]),
    ];
    let source = include_str!("../../src/settings.rs");
    let mut keys = BTreeSet::new();
    for (name, above) in tables {
        let (_, begun) = source.split_once(&format!("pub struct {name} {{\n")).unwrap();
        let (body, _) = begun.split_once("\n}\n").unwrap();
        let fields = body.lines().filter_map(|line| line.strip_prefix("    pub ")?.split_once(':'));
        for (field, _) in fields {
            keys.extend(above.iter().map(|above| format!("{above}{field}")));
        }
    }
    keys
}

#[test]
fn salt_knows_every_key_of_push_toml_and_no_other() {
    let Some(told) = told_by_salt("salt_knows_every_key_of_push_toml_and_no_other") else { return };
    let known = told["known"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned());
    let (known, fields) = (known.collect::<BTreeSet<_>>(), fields());
    assert!(fields.len() > 40 && fields.contains("dump.least_bytes"), "{fields:?}");
    assert_eq!(known, fields, "salt/_modules/firn_push.py and settings.rs");
}
