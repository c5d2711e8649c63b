//! The program itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::ices::{Machine, ice_of, ran};
use super::keys::key;
use super::tree::small;

fn sources(folder: &Path, all: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, all),
            false => all.push((path.display().to_string(), fs::read_to_string(&path).unwrap())),
        }
    }
}

#[test]
fn there_is_no_way_to_encrypt_in_it() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    assert!(all.iter().any(|(_, text)| text.contains("DecryptorBuilder")), "the sources were not found");
    for (path, text) in all {
        for word in ["serialize::stream", "Encryptor", "Recipient::", "SEIP1", "encrypt_"] {
            assert!(!text.contains(word), "{path} has {word}");
        }
    }
}

#[test]
fn every_verb_explains_itself_with_examples() {
    let help = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_restore-drill")).args(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let all = help(&["--help"]);
    for verb in ["list", "verify", "restore", "report"] {
        assert!(all.contains(&format!("\n  {verb} ")), "{all}");
    }
    assert!(!all.contains("read-image"), "{all}");
    for verb in [&["--help"][..], &["verify", "--help"], &["restore", "--help"]] {
        assert!(help(verb).contains("Examples:\n  restore-drill"), "{verb:?}");
    }
}

/// The verbs and options of the examples are real ones.
#[test]
fn the_examples_run() {
    let machine = Machine::with(&ice_of(&small()));
    let key = key().secret();
    machine.settings(&format!("key = \"{}\"", key.display()));
    let mut count = 0;
    for verb in [&["--help"][..], &["verify", "--help"], &["restore", "--help"], &["thaw", "--help"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_restore-drill")).args(verb).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("  restore-drill ")) {
            let line = line
                .replace("/tmp/", &format!("{}/", machine.path("").display()))
                .replace("/srv/", &format!("{}/", machine.path("").display()))
                .replace("/media/usb/secret.asc", key.to_str().unwrap())
                .replace("etc/nginx", "etc/hosts")
                .replace("20260102T030405Z-0000000001", &super::images::name(1));
            let _ = fs::remove_dir_all(machine.path("web01"));
            let _ = fs::remove_dir_all(machine.path("nginx"));
            machine.run(&line.split_whitespace().collect::<Vec<_>>()).ends_with(0);
            count += 1;
        }
    }
    assert_eq!(count, 13);
}

#[test]
fn settings_that_are_wrong_are_named() {
    let machine = Machine::with(&ice_of(&small()));
    let good = fs::read_to_string(machine.path("drill.toml")).unwrap();
    for (from, to, why) in [
        ("quarantine", "quarantaine", "unknown key `quarantaine`"),
        ("records = \"/", "records = \"", "\"records\" must be an absolute path"),
        ("quarantine", "memory_bytes = 1\nquarantine", "memory_bytes"),
        ("name =", "nmae =", "unknown key `nmae`"),
        ("file:", "s3:", "is no vault"),
    ] {
        fs::write(machine.path("drill.toml"), good.replacen(from, to, 1)).unwrap();
        let ran = machine.run(&["list"]).ends_with(2);
        let text = ran.report["error"]["text"].as_str().unwrap().replace('`', "\"");
        assert!(text.contains(&why.replace('`', "\"")), "{text}");
    }
    fs::write(machine.path("drill.toml"), "").unwrap();
    machine.run(&["list"]).ends_with(2).because("missing key");
    let ran = ran(machine.command(&["list", "--config", "/nonexistent.toml"]).output().unwrap());
    ran.ends_with(2);
}

/// A stranger on the other side of the talk gets a child that can do nothing.
#[test]
fn the_child_that_reads_an_image_can_open_no_file() {
    let machine = Machine::new();
    fs::write(machine.path("image"), super::tree::noise(10_000)).unwrap();
    let trace = machine.path("trace");
    let output = Command::new("strace")
        .args(["-f", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_restore-drill"))
        .args(["read-image", "--memory-bytes=100000000", "--", "x"])
        .stdin(fs::File::open(machine.path("image")).unwrap())
        .output();
    let Ok(output) = output else {
        return println!("SKIPPED: the_child_that_reads_an_image_can_open_no_file: strace is not installed");
    };
    assert!(output.status.success());
    assert_eq!(output.stdout.first(), Some(&255), "noise is no image");
    let text = fs::read_to_string(trace).unwrap();
    assert!(text.contains("seccomp("), "no filter was set");
    let after = text.rsplit("seccomp(").next().unwrap();
    let mut opens = after.lines().filter(|line| line.contains("openat(") || line.contains("openat2("));
    assert!(opens.all(|line| line.contains("EPERM")), "{after}");
}
