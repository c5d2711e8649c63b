//! The program itself: settings, help, exit codes, report.

use std::fs;
use std::process::{Command, Output};

use crate::rig::{Scratch, everything, output, spawn};

fn iceboxer(args: &[&str]) -> Output {
    output(Command::new(env!("CARGO_BIN_EXE_iceboxer")).args(args))
}

fn write_settings(scratch: &Scratch, fingerprint: &str, days: u32, more: &str) -> String {
    let at = |name| scratch.path(name).display().to_string();
    let text = format!(
        "history = \"{}\"\nstaging = \"{}\"\nledger = \"{}\"\nsegment_bytes = 65536\n{more}\n[[recipients]]\ncertificate = \"{}\"\nfingerprint = \"{fingerprint}\"\n[[vaults]]\nname = \"local\"\nurl = \"file:{}\"\nimmutable = \"never\"\nretention_days = {days}\n",
        at("history"),
        at("staging"),
        at("ledger"),
        at("one.asc"),
        at("vault"),
    );
    let file = scratch.path("ice.toml");
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

fn report(output: &Output) -> serde_json::Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn run_and_list_from_a_settings_file() {
    let scratch = Scratch::new();
    let recipient = scratch.recipient("one");
    let name = scratch.snapshot("web01", &everything());
    let config = write_settings(&scratch, recipient.fingerprint().as_str(), 92, "");
    let output = iceboxer(&["run", "--json", "--config", &config]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let warning = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(warning.contains("one certificate only"), "{warning}");
    let run = report(&output);
    assert_eq!(run["exit"], 0);
    assert_eq!(run["details"]["ices"][0]["ice"], format!("web01/{name}"));
    assert_eq!(run["counts"]["manifest_only"], 2);
    let output = iceboxer(&["list", "--json", "--config", &config]);
    assert_eq!(report(&output)["details"]["ices"][0]["vault"], "local");
    let table = String::from_utf8(iceboxer(&["list", "--config", &config]).stdout).unwrap();
    assert!(table.contains(&format!("web01/{name}")) && table.contains("LOCKED UNTIL"), "{table}");
    scratch.thaw(&format!("web01/{name}"));
}

#[test]
fn settings_that_cannot_be_meant_end_with_2_before_anything_is_read() {
    let scratch = Scratch::new();
    let print = "AB".repeat(20);
    for (fingerprint, days, more, word) in [
        (print.as_str(), 91, "", "retention_days"),
        (&print, 4_000, "", "retention_days"),
        ("ABCD", 92, "", "fingerprint"),
        (&print, 92, "scope = \"newest\"", "scope"),
        (&print, 92, "retention = 5", "retention"),
        (&print, 92, "scope = \"all\"\nunchanged = \"extend\"", "`unchanged` cannot be"),
    ] {
        let config = write_settings(&scratch, fingerprint, days, more);
        let output = iceboxer(&["run", "--json", "--config", &config]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(word), "{errors}");
        assert_eq!(report(&output)["exit"], 2);
    }
    assert!(!scratch.path("staging").exists());
}

#[test]
fn a_certificate_is_refused_before_any_history_is_read() {
    let scratch = Scratch::new();
    let recipient = scratch.recipient("one");
    fs::remove_dir(scratch.path("history")).unwrap();
    let config = write_settings(&scratch, &"AB".repeat(20), 92, "");
    let output = iceboxer(&["run", "--config", &config]);
    assert_eq!(output.status.code(), Some(33));
    assert!(!scratch.path("staging").exists());
    // The positive control: with the right pin it is the history that is missed.
    let config = write_settings(&scratch, recipient.fingerprint().as_str(), 92, "");
    assert_eq!(iceboxer(&["run", "--config", &config]).status.code(), Some(4));
}

#[test]
fn a_vault_that_is_not_there_ends_with_30() {
    let scratch = Scratch::new();
    let recipient = scratch.recipient("one");
    scratch.snapshot("web01", &everything());
    fs::remove_dir(scratch.path("vault")).unwrap();
    let config = write_settings(&scratch, recipient.fingerprint().as_str(), 92, "");
    assert_eq!(iceboxer(&["run", "--config", &config]).status.code(), Some(30));
}

#[test]
fn a_machine_with_one_core_makes_ice_too() {
    let scratch = Scratch::new();
    let recipient = scratch.recipient("one");
    scratch.snapshot("web01", &everything());
    let config = write_settings(&scratch, recipient.fingerprint().as_str(), 92, "");
    let iceboxer = env!("CARGO_BIN_EXE_iceboxer");
    let output = output(Command::new("taskset").args(["-c", "0", iceboxer, "run", "--config", &config]));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn help_shows_examples_and_every_verb() {
    let text = String::from_utf8(iceboxer(&["--help"]).stdout).unwrap();
    for word in ["Examples:", "run", "list", "--config", "--json"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let text = String::from_utf8(iceboxer(&["run", "--help"]).stdout).unwrap();
    assert!(text.contains("--again") && text.contains("Examples:"), "{text}");
}

#[test]
fn killed_at_any_moment_the_next_run_completes() {
    use std::time::Duration;
    let scratch = Scratch::new();
    let recipient = scratch.recipient("one");
    let config = write_settings(&scratch, recipient.fingerprint().as_str(), 92, "");
    let mut cut = 0;
    for round in 0..12u64 {
        let name = scratch.snapshot("web01", &everything());
        let mut child =
            spawn(Command::new(env!("CARGO_BIN_EXE_iceboxer")).args(["run", "--config", &config]));
        std::thread::sleep(Duration::from_millis(10 * round));
        child.kill().unwrap();
        cut += usize::from(child.wait().unwrap().code().is_none());
        let output = iceboxer(&["run", "--config", &config]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        scratch.record(&format!("web01/{name}"));
        assert!(scratch.is_staging_empty("web01"));
    }
    println!("killed {cut} times");
    assert!(cut > 0);
}

#[test]
fn a_mistake_in_a_vault_is_told_with_its_line_and_its_key() {
    let scratch = Scratch::new();
    let config = write_settings(&scratch, &"AB".repeat(20), 92, "");
    let good = fs::read_to_string(&config).unwrap();
    let refused = |text: String| {
        fs::write(&config, text).unwrap();
        let output = iceboxer(&["list", "--config", &config]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let second = "[[vaults]]\nname = \"off-site\"\nurl = \"s3:ice\"\nregion = \"a\"\n";
    let line = |text: &str| text.lines().count();
    // What is added comes last, so its line is the last one.
    for (more, says) in [
        ("retention_days = \"long\"\n", "invalid type: string \"long\", expected u32"),
        ("retention_days = 92\nprices = 3\n", "invalid type: integer `3`, expected a string"),
        ("retention_days = 92\npart_bytes = \"a\"\n", "invalid type: string \"a\", expected u64"),
        (
            "retention_days = 92\nretention_day = 3\n",
            "unknown key `retention_day`, expected one of `name`, `url`, ",
        ),
        ("retention_days = 92\nprove_lock = \"maybe\"\n", "unknown variant `maybe`"),
        (
            "retention_days = 92\nprice = 3\n",
            "`credentials_systemd`, `retention_days`, `prices`, `prove_lock`",
        ),
        ("retention_days = 92\nstorage_class = \"COLD\"\n", "unknown variant `COLD`"),
    ] {
        let text = format!("{good}{second}{more}");
        let place = format!("ice.toml:{}:", line(&text));
        let said = refused(text);
        assert!(said.contains(&place) && said.contains(says), "{place} {says}: {said}");
    }
    let whole = refused(format!("{good}{second}"));
    let place = format!("ice.toml:{}:", line(&good) + 1);
    assert!(whole.contains(&place) && whole.contains("`retention_days` of vault \"off-site\""), "{whole}");
    let short = refused(format!("{good}{second}retention_days = 3\n"));
    assert!(short.contains("`vaults.retention_days` of vault off-site must be 92 to"), "{short}");
    let twice = refused(format!("{good}{second}retention_days = 92\nretention_days = 93\n"));
    assert!(twice.contains("duplicate key"), "{twice}");
}
