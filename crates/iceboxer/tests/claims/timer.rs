//! The units in systemd/, read by systemd itself.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use cli::Exit;

use crate::rig::output;

fn unit(name: &str) -> (PathBuf, String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../systemd").join(name);
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

/// Looked for, not started: a program that is asked for its version may ask others for a newer one.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn lacks_systemd(test: &str) -> bool {
    let lacks = !is_installed("systemd-analyze");
    if lacks {
        println!("SKIPPED: {test}: systemd-analyze is not on this machine");
    }
    lacks
}

fn calendar() -> String {
    let (_, timer) = unit("firn-ice.timer");
    timer.lines().find_map(|line| line.strip_prefix("OnCalendar=")).unwrap().to_owned()
}

#[test]
fn systemd_accepts_the_units() {
    if lacks_systemd("systemd_accepts_the_units") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let verify = |service: &str| {
        fs::write(folder.path().join("firn-ice.service"), service).unwrap();
        fs::write(folder.path().join("firn-ice.timer"), unit("firn-ice.timer").1).unwrap();
        let mut command = Command::new("systemd-analyze");
        command.args(["verify", "--man=no", "./firn-ice.service", "./firn-ice.timer"]).current_dir(&folder);
        let output = output(&mut command);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        // What it says of other units of this machine is not ours.
        let ours: Vec<String> =
            errors.lines().filter(|line| line.contains("firn-ice")).map(str::to_owned).collect();
        (output.status.success(), ours)
    };
    let service = unit("firn-ice.service").1.replace("/usr/bin/iceboxer", env!("CARGO_BIN_EXE_iceboxer"));
    assert_eq!(verify(&service), (true, Vec::new()));
    for line in ["Restart=always", "StartLimitBurst=many", "RestartPreventExitStatus=two"] {
        let (key, _) = line.split_once('=').unwrap();
        let wrong: String = service
            .lines()
            .map(|found| if found.starts_with(&format!("{key}=")) { line } else { found })
            .flat_map(|found| [found, "\n"])
            .collect();
        assert!(!verify(&wrong).1.is_empty(), "{line}");
    }
    // The positive controls: it does look.
    let wrong = service.replace("ProtectSystem=strict", "ProtectSystem=always");
    assert!(verify(&wrong).1.iter().any(|line| line.contains("ignoring: always")));
    assert!(!verify(&service.replace("Type=oneshot\n", "").replace("ExecStart=", "ExecPre=")).0);
}

#[test]
fn it_runs_on_days_1_and_15_and_makes_up_for_what_was_missed() {
    let (_, timer) = unit("firn-ice.timer");
    for line in ["Persistent=true", "RandomizedDelaySec=2h", "WantedBy=timers.target"] {
        assert!(timer.lines().any(|found| found == line), "{line}");
    }
    if lacks_systemd("it_runs_on_days_1_and_15") {
        return;
    }
    let mut command = Command::new("systemd-analyze");
    command.args(["calendar", "--iterations=4", "--base-time=2026-11-21 00:00:00 UTC", &calendar()]);
    let output = output(command.env("TZ", "UTC").env("LC_ALL", "C"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let mut rest = text.as_str();
    for day in ["2026-12-01 02:30", "2026-12-15 02:30", "2027-01-01 02:30", "2027-01-15 02:30"] {
        let at = rest.find(day).unwrap_or_else(|| panic!("{day} in {text}"));
        rest = &rest[at..];
    }
}

#[test]
fn a_run_that_was_cut_short_goes_on_within_hours_and_what_a_person_must_mend_is_not_tried_again() {
    let (_, service) = unit("firn-ice.service");
    let value = |key: &str| {
        let line = service.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {key}"))
    };
    assert_eq!((value("Restart"), value("RestartSec")), ("on-failure", "6h"));
    assert_eq!((value("StartLimitIntervalSec"), value("StartLimitBurst")), ("3d", "8"));
    let prevented: Vec<u8> =
        value("RestartPreventExitStatus").split(' ').map(|code| code.parse().unwrap()).collect();
    // What iceboxer ends with, as docs/exit-codes.md has it.
    let may_pass = [Exit::BUSY, Exit::VAULT_UNREACHABLE, Exit::FROZEN].map(|exit| exit.code());
    let codes = [1, 2, 4, 10].into_iter().chain(28..=38);
    let expected: Vec<u8> = codes.filter(|code| !may_pass.contains(code)).collect();
    assert_eq!(prevented, expected);
}

#[test]
fn secrets_reach_the_service_as_credentials_and_nothing_else() {
    let (_, service) = unit("firn-ice.service");
    for line in [
        "LoadCredential=vault:/etc/firn/credentials",
        "ProtectSystem=strict",
        "NoNewPrivileges=true",
        "CapabilityBoundingSet=",
        "MemoryDenyWriteExecute=true",
        "LimitCORE=0",
        "User=firn-ice",
    ] {
        assert!(service.lines().any(|found| found == line), "{line}");
    }
    assert!(!service.contains("Environment"));
}
