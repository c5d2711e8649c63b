//! An sshd of its own, by the configuration that `host sshd-config --dedicated` prints and nothing else.

use std::fs;
use std::process::Command;

use pipeline_tests::Outcome;
use pipeline_tests::machine::find_program;

use super::world::{ACCEPTED, World, expect};
use crate::rig;

/// What sshd itself must say that it was told.
const TOLD: [&str; 22] = [
    "permitrootlogin no",
    "passwordauthentication no",
    "kbdinteractiveauthentication no",
    "authenticationmethods publickey",
    "pubkeyacceptedalgorithms ssh-ed25519",
    "hostkeyalgorithms ssh-ed25519",
    "disableforwarding yes",
    "permittty no",
    "permituserrc no",
    "permituserenvironment no",
    "permittunnel no",
    "x11forwarding no",
    "compression no",
    "maxsessions 1",
    "maxauthtries 2",
    "maxstartups 300:30:600",
    "persourcemaxstartups 20",
    "logingracetime 20",
    "clientaliveinterval 30",
    "usedns no",
    "strictmodes yes",
    "forcecommand receive",
];

#[test]
fn an_sshd_of_its_own_takes_pushes_and_lets_nobody_do_anything_else() {
    if !rig::is_root_or_skipped("an_sshd_of_its_own_takes_pushes_and_lets_nobody_do_anything_else") {
        return;
    }
    let mut world = World::new();
    world.scratch.dedicate_sshd().unwrap();
    let config = world.scratch.folder.join("sshd/sshd_config");
    let sshd = find_program("sshd").unwrap();
    let asked = |option: &str| {
        let mut command = Command::new(&sshd);
        expect(Outcome::of(command.arg(option).arg("-f").arg(&config)).unwrap(), 0).stdout
    };
    asked("-t");
    let told = asked("-T");
    for line in TOLD {
        assert!(told.lines().any(|found| found == line), "{line}:\n{told}");
    }
    let keys: Vec<&str> = told.lines().filter(|line| line.starts_with("hostkey ")).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    expect(world.push_and_ingest(), ACCEPTED);
    world.newest_is_now(1);
    // A key of a host is of no use for another account, nor for a forwarding.
    let port = world.scratch.sshd.port.to_string();
    let ssh = |login: &str, words: &[&str]| {
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
        command.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "ExitOnForwardFailure=yes", "-i"]);
        command.arg(&world.host.key.path).args(["-p", &port]).args(words);
        Outcome::of(command.arg(format!("{login}@127.0.0.1")).stdin(std::process::Stdio::null())).unwrap()
    };
    for login in ["root", &world.scratch.names.owner, &world.scratch.names.ice] {
        let refused = ssh(login, &[]);
        assert!(refused.code == 255 && refused.stderr.contains("Permission denied"), "{}", refused.said());
    }
    let refused = ssh(&world.host.account, &["-N", "-R", "0:127.0.0.1:9"]);
    assert!(refused.code == 255 && refused.stderr.contains("forwarding failed"), "{}", refused.said());
}

#[test]
fn the_examples_of_the_verbs_of_hosts_do_what_they_say() {
    if !rig::is_root_or_skipped("the_examples_of_the_verbs_of_hosts_do_what_they_say") {
        return;
    }
    let scratch = rig::scratch(&pipeline_tests::Options::default());
    let folder = scratch.folder.join("hosts");
    let key = pipeline_tests::keys::SshKey::make(&folder.join("web01")).unwrap();
    assert!(key.public_path().ends_with("web01.pub"));
    pipeline_tests::keys::SshKey::make(&folder.join("fw1")).unwrap();
    let program = scratch.folder.join("bin/snapshotter");
    let settings = scratch.folder.join("etc/server.toml");
    let admins = format!("{}-admins", scratch.names.owner);
    scratch.add_account(&admins, "/usr/sbin/nologin").unwrap();
    let mut ran = 0;
    for verb in ["add", "list", "sshd-config", "retire"] {
        let help = Outcome::of(Command::new(&program).args(["host", verb, "--help"])).unwrap().stdout;
        let examples = help.lines().filter_map(|line| line.strip_prefix("  snapshotter "));
        for line in examples.filter(|line| !line.contains("--user-mode")) {
            let typed = line.replace("/etc/", &format!("{}/etc/", scratch.folder.display()));
            let typed = typed.replace("web-admins", &admins);
            fs::create_dir_all(scratch.folder.join("etc/ssh")).unwrap();
            fs::create_dir_all(scratch.folder.join("etc/firn")).unwrap();
            let script = format!("{} --config {} {typed}", program.display(), settings.display());
            let run = || Outcome::of(Command::new("sh").args(["-c", &script]).current_dir(&folder));
            let outcome = scratch.adopted(run).unwrap();
            assert_eq!(outcome.code, 0, "{line}: {}", outcome.said());
            ran += 1;
        }
    }
    assert_eq!(ran, 12, "examples that were run");
}
