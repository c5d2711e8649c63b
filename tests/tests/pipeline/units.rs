//! The units in systemd/, read by systemd itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use pipeline_tests::Outcome;
use pipeline_tests::machine::workspace;

use crate::rig;

/// Every unit, with the most that `systemd-analyze security` may say of a service. systemd/README.md says why it is what it is.
const UNITS: [(&str, Option<f64>); 17] = [
    ("firn-push.service", Some(2.7)),
    ("firn-push.timer", None),
    ("firn-sshd.service", Some(2.9)),
    ("firn-ingest.service", Some(2.0)),
    ("firn-status.service", Some(2.0)),
    ("firn-status.timer", None),
    ("firn-prune.service", Some(2.0)),
    ("firn-prune.timer", None),
    ("firn-take.service", Some(2.1)),
    ("firn-take.timer", None),
    ("firn-verify.service", Some(2.0)),
    ("firn-verify.timer", None),
    ("firn-grants.service", Some(2.3)),
    ("firn-grants.timer", None),
    ("firn-ice.service", Some(2.0)),
    ("firn-ice.timer", None),
    ("firn-rendezvous@.service", Some(2.0)),
];

/// What a deployment adds to the timer of a host whose minute is 40.
const SLOTS: &str = "[Timer]\nOnCalendar=*-*-* 02,10,18:40:00\n";

pub(crate) fn unit(name: &str) -> String {
    fs::read_to_string(workspace().join("systemd").join(name)).unwrap()
}

pub(crate) fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

fn analyze(folder: &Path, words: &[&str]) -> Outcome {
    let mut command = Command::new("systemd-analyze");
    Outcome::of(command.args(words).current_dir(folder).env("TZ", "UTC").env("LC_ALL", "C")).unwrap()
}

fn lacks_systemd(test: &str) -> bool {
    !rig::has_or_skipped(test, &["systemd-analyze"])
}

/// Writes all units as they would be on a machine with our programs, and the drop-in of a host.
fn lay(folder: &Path) {
    for (name, _) in UNITS {
        let mut text = unit(name);
        for program in ["push-client", "snapshotter", "iceboxer"] {
            let path = rig::programs().path(program).to_string_lossy().into_owned();
            text = text.replace(&format!("/usr/bin/{program}"), &path);
        }
        fs::write(folder.join(name), text).unwrap();
    }
    fs::create_dir(folder.join("firn-push.timer.d")).unwrap();
    fs::write(folder.join("firn-push.timer.d/slots.conf"), SLOTS).unwrap();
}

/// What systemd has against a unit; what it says of other units of this machine is not ours.
fn against(folder: &Path, name: &str) -> (bool, Vec<String>) {
    let said = analyze(folder, &["verify", "--man=no", "--recursive-errors=yes", &format!("./{name}")]);
    let ours = said.stderr.lines().filter(|line| line.contains("firn-")).map(str::to_owned).collect();
    (said.code == 0, ours)
}

#[test]
fn every_unit_in_the_folder_is_known_here() {
    let found: BTreeSet<String> = fs::read_dir(workspace().join("systemd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".service") || name.ends_with(".timer"))
        .collect();
    assert_eq!(found, UNITS.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn systemd_accepts_every_unit_and_knows_every_key() {
    if lacks_systemd("systemd_accepts_every_unit_and_knows_every_key")
        || !rig::has_or_skipped("systemd_accepts_every_unit_and_knows_every_key", &["sshd"])
    {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    lay(folder.path());
    for (name, _) in UNITS {
        assert_eq!(against(folder.path(), name), (true, Vec::new()), "{name}");
    }
    // The positive controls: unknown keys, wrong values, missing programs.
    let right = fs::read_to_string(folder.path().join("firn-ingest.service")).unwrap();
    for (from, to) in [
        ("ProtectHome=true", "ProtectHomes=true"),
        ("ProtectSystem=strict", "ProtectSystem=always"),
        ("snapshotter ingest", "snapshotter-that-is-not ingest"),
    ] {
        fs::write(folder.path().join("firn-ingest.service"), right.replace(from, to)).unwrap();
        let (accepted, said) = against(folder.path(), "firn-ingest.service");
        assert!(!accepted && !said.is_empty(), "{to}: {said:?}");
    }
}

#[test]
fn the_timer_of_a_host_does_nothing_without_the_hosts_own_minute() {
    if lacks_systemd("the_timer_of_a_host_does_nothing_without_the_hosts_own_minute") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    lay(folder.path());
    fs::remove_dir_all(folder.path().join("firn-push.timer.d")).unwrap();
    let (accepted, said) = against(folder.path(), "firn-push.timer");
    assert!(!accepted && said.iter().any(|line| line.contains("lacks value setting")), "{said:?}");
}

fn exposure(folder: &Path, name: &str) -> f64 {
    let said = analyze(folder, &["security", "--offline=true", "--no-pager", &format!("./{name}")]);
    let line = said.stdout.lines().find(|line| line.contains("Overall exposure level"));
    let line = line.unwrap_or_else(|| panic!("{}", said.said()));
    let figure = line.rsplit(": ").next().unwrap().split(' ').next().unwrap();
    figure.parse().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn no_service_is_more_open_than_the_readme_says() {
    if lacks_systemd("no_service_is_more_open_than_the_readme_says") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    lay(folder.path());
    let readme = unit("README.md");
    for (name, most) in UNITS {
        let Some(most) = most else { continue };
        let found = exposure(folder.path(), name);
        println!("{name}: {found}, at most {most}");
        assert!(found <= most, "{name}: {found}");
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let told: f64 = row.unwrap().split('|').nth(2).unwrap().trim().parse().unwrap();
        assert!(found <= told && told <= most, "{name}: {found}, and the README says {told}");
    }
    // The positive control: a service that is opened is seen.
    let open =
        unit("firn-ingest.service").replace("PrivateNetwork=true", "").replace("NoNewPrivileges=true", "");
    let open = open.replace("ProtectSystem=strict", "").replace("CapabilityBoundingSet=\n", "");
    fs::write(folder.path().join("firn-ingest.service"), open).unwrap();
    assert!(exposure(folder.path(), "firn-ingest.service") > 2.0);
}

fn times(calendar: &str, base: &str, count: usize) -> String {
    let words = ["calendar", &format!("--iterations={count}"), &format!("--base-time={base} UTC"), calendar];
    let said = analyze(Path::new("/"), &words);
    assert_eq!(said.code, 0, "{}", said.said());
    said.stdout
}

#[test]
fn the_state_is_told_every_day_and_a_host_pushes_three_times_a_day_at_its_minute() {
    if lacks_systemd("the_state_is_told_every_day") {
        return;
    }
    let expected = [
        (
            values(&unit("firn-status.timer"), "OnCalendar")[0].to_owned(),
            vec!["2026-11-21 07:45", "2026-11-22 07:45"],
        ),
        (
            values(&unit("firn-prune.timer"), "OnCalendar")[0].to_owned(),
            vec!["2026-11-21 12:25", "2026-11-22 12:25"],
        ),
        (
            values(&unit("firn-verify.timer"), "OnCalendar")[0].to_owned(),
            vec!["2026-11-21 12:55", "2026-11-22 12:55"],
        ),
        (
            values(SLOTS, "OnCalendar")[0].to_owned(),
            vec!["2026-11-21 02:40", "2026-11-21 10:40", "2026-11-21 18:40", "2026-11-22 02:40"],
        ),
    ];
    for (calendar, days) in expected {
        let text = times(&calendar, "2026-11-21 00:00:00", days.len());
        let mut rest = text.as_str();
        for day in days {
            let at = rest.find(day).unwrap_or_else(|| panic!("{day} in {text}"));
            rest = &rest[at..];
        }
    }
    for timer in ["firn-push.timer", "firn-status.timer", "firn-prune.timer", "firn-verify.timer"] {
        assert_eq!(values(&unit(timer), "Persistent"), ["true"], "{timer}: what was missed is made up for");
    }
    let push = unit("firn-push.timer");
    assert_eq!(values(&push, "RandomizedDelaySec"), ["0"], "the minute is the host's");
    assert_eq!(values(&push, "OnCalendar"), Vec::<&str>::new(), "the minute is the host's");
}

/// The codes of docs/exit-codes.md.
fn codes() -> BTreeSet<u8> {
    let text = fs::read_to_string(workspace().join("docs/exit-codes.md")).unwrap();
    let table = text.split("\n## ").next().unwrap();
    table.lines().filter_map(|line| line.split('|').nth(1)?.trim().parse().ok()).collect()
}

#[test]
fn a_push_that_met_what_passes_is_tried_again_a_few_times_and_what_a_person_must_mend_is_not() {
    let push = unit("firn-push.service");
    let numbers = |key: &str| -> BTreeSet<u8> {
        let values = values(&push, key);
        values[0].split(' ').map(|code| code.parse().unwrap()).collect()
    };
    let done: BTreeSet<u8> = [3, 18].into();
    let passes: BTreeSet<u8> = [10, 11, 13, 14, 16, 19].into();
    assert_eq!(numbers("SuccessExitStatus"), done);
    // All that push-client ends with: this machine's, a command's, refused, rejected, damaged.
    let all: BTreeSet<u8> = codes().into_iter().filter(|code| matches!(code, 1..=4 | 7 | 10..=28)).collect();
    let person = all.iter().filter(|code| !done.contains(code) && !passes.contains(code) && **code != 5);
    assert_eq!(numbers("RestartPreventExitStatus"), person.copied().collect());
    // Six starts ten minutes apart end the slot, and the next one, eight hours later, begins anew.
    let value = |key| values(&push, key)[0];
    assert_eq!(
        (value("RestartSec"), value("StartLimitBurst"), value("StartLimitIntervalSec")),
        ("10min", "6", "2h")
    );
    assert_eq!(value("Type"), "oneshot", "two never run");
}

#[test]
fn the_unit_of_a_push_hides_nothing_of_what_is_backed_up() {
    let push = unit("firn-push.service");
    // Each of these mounts something over files of the host, or maps their owners; the walk would pass it by.
    for key in [
        "PrivateTmp",
        "PrivateUsers",
        "DynamicUser",
        "ProtectKernelModules",
        "InaccessiblePaths",
        "TemporaryFileSystem",
        "BindPaths",
        "BindReadOnlyPaths",
        "ReadOnlyPaths",
        "NoExecPaths",
        "RootDirectory",
        "RootImage",
        "MountImages",
        "ProcSubset",
        "PrivateNetwork",
    ] {
        assert_eq!(values(&push, key), Vec::<&str>::new(), "{key}");
    }
    // Without it, ProtectSystem=strict makes mounts of /home and /root.
    assert_eq!(values(&push, "ProtectHome"), ["read-only"]);
    assert_eq!(values(&push, "ReadWritePaths"), ["/var/lib/firn/push"]);
    assert_eq!(values(&push, "CapabilityBoundingSet"), ["CAP_DAC_READ_SEARCH"]);
    // With commands: no mount of the unit's own either, or the host would not see what they mount.
    let commands = unit("firn-push-commands.conf");
    assert!(commands.lines().any(|line| line == "ReadWritePaths="), "{commands}");
    assert!(values(&commands, "ReadWritePaths").iter().all(|value| value.is_empty()));
}

#[test]
fn what_expands_the_files_of_hosts_has_no_network_and_no_capability() {
    for name in ["firn-ingest.service", "firn-status.service", "firn-prune.service", "firn-verify.service"] {
        let service = unit(name);
        for line in [
            "PrivateNetwork=true",
            "CapabilityBoundingSet=",
            "NoNewPrivileges=true",
            "User=firn",
            "MemoryDenyWriteExecute=true",
        ] {
            assert!(service.lines().any(|found| found == line), "{name}: {line}");
        }
    }
    assert!(values(&unit("firn-status.service"), "ReadWritePaths").is_empty());
}

/// Whether root with these capabilities and no others can tell in which container a process of another account lives.
fn tells_containers(other: u32, capabilities: &str) -> bool {
    let kept = capabilities.split(' ').map(|one| one.trim_start_matches("CAP_").to_lowercase());
    let kept: Vec<String> = kept.map(|one| format!("+{one}")).collect();
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-all", &format!("--bounding-set=-all,{}", kept.join(","))]);
    command.args(["readlink", &format!("/proc/{other}/ns/pid")]);
    Outcome::of(&mut command).unwrap().code == 0
}

#[test]
fn a_unit_that_looks_for_sessions_can_tell_them_from_the_processes_of_a_container() {
    let test = "a_unit_that_looks_for_sessions_can_tell_them_from_the_processes_of_a_container";
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &["setpriv"]) {
        return;
    }
    let mut sleeper = Command::new("setpriv");
    let mut other = sleeper.args(["--reuid=65534", "--clear-groups", "sleep", "60"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let mut told = Vec::new();
    for name in ["firn-take.service", "firn-grants.service"] {
        let service = unit(name);
        let all = values(&service, "CapabilityBoundingSet")[0];
        told.push((name, tells_containers(other.id(), all)));
        // The positive control.
        let fewer = all.replace(" CAP_SYS_PTRACE", "");
        told.push((name, fewer != all && !tells_containers(other.id(), &fewer)));
    }
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(told.iter().all(|(_, well)| *well), "{told:?}");
}

#[test]
fn a_new_configuration_of_sshd_ends_no_push_that_runs() {
    let sshd = unit("firn-sshd.service");
    assert_eq!(values(&sshd, "KillMode"), ["process"]);
    assert_eq!(values(&sshd, "ExecStartPre"), ["/usr/sbin/sshd -t -f /etc/firn/sshd_config"]);
    assert_eq!(values(&sshd, "ExecReload")[0], "/usr/sbin/sshd -t -f /etc/firn/sshd_config");
    // The machine's own sshd has its folder in the machine's /run: neither takes the other's away.
    assert_eq!(values(&sshd, "RuntimeDirectory"), Vec::<&str>::new());
    assert_eq!(values(&sshd, "TemporaryFileSystem"), ["/run:ro /run/sshd:ro"]);
}

/// systemd answers openat2 with "not implemented" under it, and then nothing of ours opens a file: seen with systemd 252.
const TAKES_OPENAT2: &str = "RestrictSUIDSGID";

#[test]
fn no_unit_takes_away_what_the_programs_open_files_and_confine_themselves_with() {
    let services = UNITS.iter().map(|(name, _)| *name).filter(|name| name.ends_with(".service"));
    for name in services {
        let service = unit(name);
        assert_eq!(values(&service, TAKES_OPENAT2), Vec::<&str>::new(), "{name}");
        // iceboxer is confined by its unit alone, and so is ssh, which confines itself with nothing of this.
        if ["firn-ice.service", "firn-rendezvous@.service"].contains(&name) {
            continue;
        }
        let last = values(&service, "SystemCallFilter").pop().unwrap().to_owned();
        for call in
            ["capset", "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"]
        {
            assert!(last.split(' ').any(|found| found == call), "{name}: {call}");
        }
    }
}
