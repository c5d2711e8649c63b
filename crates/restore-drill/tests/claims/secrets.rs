//! Keys and passphrases: which open an ice, and that none of them is seen anywhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::ices::{Ice, Machine, ice_of, ran, seal, snapshots};
use super::images;
use super::keys::{Key, PASSPHRASE, key, locked_key, other_key};
use super::tree::small;

fn sealed_to(key: &Key) -> Ice {
    let snapshots = snapshots(&[small()]);
    seal(&snapshots, &images::write(&images::names(&snapshots)), 1 << 20, key)
}

#[test]
fn another_key_opens_nothing() {
    let machine = Machine::with(&ice_of(&small()));
    let out = machine.out();
    for key in [other_key().secret(), other_key().secret_binary()] {
        let key = ["--key", key.to_str().unwrap()];
        let restore = ["restore", "web01/latest", "--to", out.to_str().unwrap()];
        machine.run(&[&restore[..], &key].concat()).ends_with(40).because("it is sealed to other keys");
        machine.assert_nothing_restored();
        machine.run(&[&["verify", "web01/latest"][..], &key].concat()).ends_with(40);
    }
    // Which says nothing about the ice.
    assert!(machine.records().is_empty());
}

#[test]
fn a_binary_key_file_and_several_key_files_open_it() {
    let machine = Machine::with(&ice_of(&small()));
    let (binary, other) = (key().secret_binary(), other_key().secret());
    machine.run(&["verify", "web01/latest", "--key", binary.to_str().unwrap()]).ends_with(0);
    let both = ["--key", other.to_str().unwrap(), "--key", binary.to_str().unwrap()];
    machine.run(&[&["verify", "web01/latest"], &both[..]].concat()).ends_with(0);
    let joined = machine.path("joined");
    fs::write(&joined, [fs::read(other_key().secret_binary()).unwrap(), fs::read(binary).unwrap()].concat())
        .unwrap();
    fs::set_permissions(&joined, fs::Permissions::from_mode(0o600)).unwrap();
    machine.run(&["verify", "web01/latest", "--key", joined.to_str().unwrap()]).ends_with(0);
}

#[test]
fn the_key_may_be_named_in_the_settings() {
    let machine = Machine::with(&sealed_to(locked_key()));
    machine.settings(&format!(
        "key = \"{}\"\npassphrase_file = \"{}\"",
        locked_key().secret().display(),
        locked_key().passphrase().display()
    ));
    machine.run(&["verify", "web01/latest"]).ends_with(0);
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let machine = Machine::with(&sealed_to(locked_key()));
    let secret = locked_key().secret();
    for (number, wrong) in ["", "\n", "wrong", &PASSPHRASE[1..], &"x".repeat(4096)].iter().enumerate() {
        let file = machine.path(&format!("wrong{number}"));
        fs::write(&file, wrong).unwrap();
        let arguments = [
            "verify",
            "web01/latest",
            "--key",
            secret.to_str().unwrap(),
            "--passphrase-file",
            file.to_str().unwrap(),
        ];
        machine.run(&arguments).ends_with(40).because("the passphrase opens none of its keys");
        machine.assert_nothing_restored();
    }
    // Nothing was fetched: it says nothing about the ice.
    assert!(machine.records().is_empty());
}

#[test]
fn a_passphrase_file_may_end_its_line_in_any_way() {
    let machine = Machine::with(&sealed_to(locked_key()));
    let secret = locked_key().secret();
    for end in ["", "\n", "\r\n", "\nsecond line\n"] {
        let file = machine.path("passphrase");
        fs::write(&file, format!("{PASSPHRASE}{end}")).unwrap();
        let arguments = [
            "verify",
            "web01/latest",
            "--key",
            secret.to_str().unwrap(),
            "--passphrase-file",
            file.to_str().unwrap(),
        ];
        let ran = machine.run(&arguments).ends_with(0);
        assert!(ran.stderr.contains("others on this machine may read this passphrase"), "{}", ran.stderr);
    }
}

#[test]
fn a_passphrase_is_asked_for_on_the_terminal_and_not_shown() {
    let machine = Machine::with(&sealed_to(locked_key()));
    let secret = locked_key().secret();
    let line = format!(
        "{} --config {} verify web01/latest --key {}",
        env!("CARGO_BIN_EXE_restore-drill"),
        machine.path("drill.toml").display(),
        secret.display()
    );
    for (typed, code) in [(PASSPHRASE, 0), ("wrong", 40)] {
        let mut script = Command::new("script")
            .args(["-qefc", &line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Typed only once it is asked for: what is typed before, the terminal itself would show.
        let screen = type_when_asked(&mut script, typed);
        assert_eq!(script.wait().unwrap().code(), Some(code), "{screen}");
        assert!(screen.contains(&format!("passphrase of {}: ", locked_key().fingerprint)), "{screen}");
        assert!(!screen.contains(typed), "{screen}");
    }
}

fn type_when_asked(script: &mut std::process::Child, typed: &str) -> String {
    use std::io::{Read, Write};
    let mut screen = Vec::new();
    let mut byte = [0];
    let stdout = script.stdout.as_mut().unwrap();
    while stdout.read(&mut byte).unwrap_or(0) == 1 {
        screen.push(byte[0]);
        if screen.ends_with(b": ") && !screen.ends_with(b"warning: ") {
            // The terminal is made quiet right after the question is written.
            std::thread::sleep(std::time::Duration::from_millis(300));
            writeln!(script.stdin.as_mut().unwrap(), "{typed}").unwrap();
            break;
        }
    }
    stdout.read_to_end(&mut screen).unwrap();
    String::from_utf8(screen).unwrap()
}

#[test]
fn without_terminal_and_file_a_locked_key_opens_nothing() {
    let machine = Machine::with(&sealed_to(locked_key()));
    let secret = locked_key().secret();
    let verify = machine.command(&["verify", "web01/latest", "--key", secret.to_str().unwrap()]);
    let mut alone = Command::new("setsid");
    alone.arg("-w").arg(verify.get_program()).args(verify.get_args()).stdin(Stdio::null());
    ran(alone.output().unwrap()).ends_with(40).because("no terminal to ask");
}

#[test]
fn what_is_no_secret_key_is_refused() {
    let machine = Machine::with(&ice_of(&small()));
    machine.run(&["verify", "web01/latest"]).ends_with(2).because("no secret key was named");
    machine.run(&["verify", "web01/latest", "--key", "/nonexistent"]).ends_with(2);
    let junk = machine.path("junk");
    for (bytes, code) in [
        (fs::read(key().public()).unwrap(), 40),
        (b"junk".to_vec(), 40),
        (Vec::new(), 40),
        (fs::read(key().secret_binary()).unwrap()[..100].to_vec(), 40),
        (key().seal(b"x"), 40),
        (vec![0xff; 100_000], 40),
    ] {
        fs::write(&junk, bytes).unwrap();
        machine.run(&["verify", "web01/latest", "--key", junk.to_str().unwrap()]).ends_with(code);
    }
    machine.run(&["verify", "web01/latest", "--key", "/tmp"]).ends_with(2);
    machine.assert_nothing_left();
}

#[test]
fn a_passphrase_is_in_no_output_and_no_record() {
    let machine = Machine::with(&sealed_to(locked_key()));
    let (secret, passphrase) = (locked_key().secret(), locked_key().passphrase());
    let arguments = ["-vv", "verify", "web01/latest", "--key", secret.to_str().unwrap(), "--passphrase-file"];
    let ran = machine.run(&[&arguments[..], &[passphrase.to_str().unwrap()]].concat()).ends_with(0);
    let records = format!("{:?}", machine.records());
    for text in [ran.stdout, ran.stderr, records] {
        assert!(!text.contains(PASSPHRASE));
    }
}
