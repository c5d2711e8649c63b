//! docs/getting-started.md, block by block, each on the machine that it names: two machines with systemd and sshd, packages and all. The blocks of
//! "your own machine" are run here, where `scp` is played by the rig.

use std::fs;
use std::path::Path;
use std::process::Command;

use pipeline_tests::machine::{cargo, workspace};
use pipeline_tests::{Fleet, FleetOptions, Outcome};

use crate::rig;

const TEST: &str = "the_commands_of_getting_started_lead_to_a_first_backup_that_runs_by_itself";
const SERVER: &str = "backup1";
const HOST: &str = "web01";
/// What the document calls the address of the host.
const ADDRESS: &str = "192.0.2.12";

/// Machine and text of each marked block, in order.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("\n```sh ").skip(1);
    parts
        .map(|part| part.split_once('\n').unwrap())
        .map(|(on, rest)| (on, rest.split("\n```").next().unwrap()))
        .collect()
}

/// One line on the admin's own machine.
fn on_your_own_machine(fleet: &Fleet, folder: &Path, line: &str) {
    let words: Vec<_> = line.split(' ').collect();
    match words.as_slice() {
        ["cargo", "xtask", "package", "--to", to] => {
            let mut command = cargo();
            command.args(["xtask", "package", "--dev", "--to"]).arg(folder.join(to));
            Outcome::of(&mut command).unwrap().expect_code(&[0]).unwrap();
        }
        ["scp", source, target] if source.contains(':') => {
            let (from, file) = source.split_once(':').unwrap();
            let (to, name) = target.split_once(':').unwrap();
            let here = folder.join(name);
            fleet.pull_file(from, file, &here).unwrap();
            fleet.push_file(to, &here, &format!("/root/{name}")).unwrap();
        }
        ["scp", pattern, target] => {
            let found =
                Outcome::of(Command::new("sh").args(["-c", &format!("ls {pattern}")]).current_dir(folder))
                    .unwrap();
            let file = folder.join(found.expect_code(&[0]).unwrap().stdout.trim());
            let to = target.strip_suffix(':').unwrap();
            fleet
                .push_file(to, &file, &format!("/root/{}", file.file_name().unwrap().to_str().unwrap()))
                .unwrap();
        }
        _ => panic!("the rig cannot play this line: {line}"),
    }
}

#[test]
fn the_commands_of_getting_started_lead_to_a_first_backup_that_runs_by_itself() {
    if !rig::is_root_or_skipped(TEST) || !rig::has_or_skipped(TEST, &["dpkg-deb", "dpkg-shlibdeps"]) {
        return;
    }
    if let Some(lacking) = Fleet::lacking().unwrap() {
        rig::skipped(TEST, &lacking);
        return;
    }
    rig::programs();
    let document = fs::read_to_string(workspace().join("docs/getting-started.md")).unwrap();
    let blocks = blocks(&document);
    assert_eq!(blocks.len(), 9);
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::up(&FleetOptions { machines: &[SERVER, HOST], ..FleetOptions::default() }).unwrap();
    let address = fleet.address(HOST).unwrap();
    let run = |on: &str, text: &str| {
        fleet.sh(on, &format!("set -eux; cd /root\n{}", text.replace(ADDRESS, &address))).unwrap()
    };
    for (on, text) in &blocks {
        if *on == "you" {
            text.lines().for_each(|line| on_your_own_machine(&fleet, folder.path(), line));
            continue;
        }
        if text.contains("snapshotter host add") {
            // The control: a host that the server does not know is told so.
            let (_, settings) = blocks.iter().find(|(_, text)| text.contains("push-client check")).unwrap();
            let refused = run(HOST, settings);
            assert_eq!(refused.code, 19, "{}", refused.said());
        }
        let outcome = run(on, text);
        assert_eq!(outcome.code, 0, "on {on}:\n{text}\n{}", outcome.said());
        if text.contains("push-client check") {
            let told: String = outcome.stdout.lines().map(|line| format!("    {line}\n")).collect();
            assert!(document.contains(&told), "the document shows something else than\n{told}");
        }
    }
    let slots =
        run(HOST, "systemctl list-timers --all firn-push.timer; test \"$(push-client schedule)\" = 40");
    assert!(slots.code == 0 && slots.stdout.contains(":40:00"), "{}", slots.said());
    let entries = run(SERVER, "test -f /srv/firn/history/web01/*/tree/etc/hostname");
    assert_eq!(entries.code, 0, "{}", entries.said());
}
