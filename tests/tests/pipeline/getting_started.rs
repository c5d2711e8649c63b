//! docs/getting-started.md, block by block, each on the machine that it names: machines with systemd and sshd, packages and all. The blocks of
//! "your own machine" are run here, where `scp` is played by the rig.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pipeline_tests::machine::{cargo, workspace};
use pipeline_tests::{Fleet, FleetOptions, Outcome};

use crate::rig;

const BY_HAND: &str = "the_commands_of_getting_started_lead_to_a_first_backup_that_runs_by_itself";
const BY_SALT: &str = "the_commands_of_getting_started_with_salt_deploy_a_host_that_pushes";
const MASTER: &str = "master";
const SERVER: &str = "backup1";
const HOST: &str = "web01";
/// What the document calls the address of the host.
const ADDRESS: &str = "192.0.2.12";
/// Where the document goes over from one way to the other.
const WITH_SALT: &str = "\n## With Salt\n";
/// How long minions may take to find their master.
const ANSWER: Duration = Duration::from_secs(180);

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
        ["scp", "-r", sources @ .., target] => {
            let to = target.strip_suffix(':').unwrap();
            for source in sources {
                let made = folder.join(source);
                let from = if made.exists() { made } else { workspace().join(source) };
                fleet.push_file(to, &from, &format!("/root/{source}")).unwrap();
            }
        }
        ["scp", source, target] if source.contains(':') => {
            let (from, file) = source.split_once(':').unwrap();
            let (to, name) = target.split_once(':').unwrap();
            let here = folder.join(name);
            fleet.pull_file(from, file, &here).unwrap();
            fleet.push_file(to, &here, &format!("/root/{name}")).unwrap();
        }
        ["scp", pattern, target] => {
            let mut list = Command::new("sh");
            let found = Outcome::of(list.args(["-c", &format!("ls {pattern}")]).current_dir(folder)).unwrap();
            let file = folder.join(found.expect_code(&[0]).unwrap().stdout.trim());
            let to = target.strip_suffix(':').unwrap();
            let name = file.file_name().unwrap().to_str().unwrap();
            fleet.push_file(to, &file, &format!("/root/{name}")).unwrap();
        }
        _ => panic!("the rig cannot play this line: {line}"),
    }
}

/// Runs `text` on a machine of the rig.
fn run(fleet: &Fleet, on: &str, text: &str) -> Outcome {
    let address = fleet.address(HOST).unwrap();
    fleet.sh(on, &format!("set -eux; cd /root\n{}", text.replace(ADDRESS, &address))).unwrap()
}

/// Runs one block, which must end well, where it says.
fn follow(fleet: &Fleet, folder: &Path, (on, text): (&str, &str)) -> Outcome {
    if on == "you" {
        text.lines().for_each(|line| on_your_own_machine(fleet, folder, line));
        return run(fleet, HOST, "true");
    }
    let outcome = run(fleet, on, text);
    assert_eq!(outcome.code, 0, "on {on}:\n{text}\n{}", outcome.said());
    outcome
}

/// Whether this machine can build packages, and have the machines of `test`; if not, tells that it did not run.
fn is_possible_or_skipped(test: &str) -> bool {
    rig::has_or_skipped(test, &["dpkg-deb", "dpkg-shlibdeps"]) && rig::has_fleet_or_skipped(test)
}

fn document() -> String {
    fs::read_to_string(workspace().join("docs/getting-started.md")).unwrap()
}

#[test]
fn the_commands_of_getting_started_lead_to_a_first_backup_that_runs_by_itself() {
    if !is_possible_or_skipped(BY_HAND) {
        return;
    }
    rig::programs();
    let document = document();
    let blocks = blocks(document.split_once(WITH_SALT).unwrap().0);
    assert_eq!(blocks.len(), 9);
    let folder = tempfile::tempdir().unwrap();
    let _turn = rig::turn();
    let fleet = Fleet::up(&FleetOptions { machines: &[SERVER, HOST], ..FleetOptions::default() }).unwrap();
    for block in &blocks {
        if block.1.contains("snapshotter host add") {
            // The control: a host that the server does not know is told so.
            let (_, settings) = blocks.iter().find(|(_, text)| text.contains("push-client check")).unwrap();
            let refused = run(&fleet, HOST, settings);
            assert_eq!(refused.code, 19, "{}", refused.said());
        }
        let outcome = follow(&fleet, folder.path(), *block);
        if block.1.contains("push-client check") {
            let told: String = outcome.stdout.lines().map(|line| format!("    {line}\n")).collect();
            assert!(document.contains(&told), "the document shows something else than\n{told}");
        }
    }
    let line = "systemctl list-timers --all firn-push.timer; test \"$(push-client schedule)\" = 40";
    let slots = run(&fleet, HOST, line);
    assert!(slots.code == 0 && slots.stdout.contains(":40:00"), "{}", slots.said());
    let entries = run(&fleet, SERVER, "test -f /srv/firn/history/web01/*/tree/etc/hostname");
    assert_eq!(entries.code, 0, "{}", entries.said());
}

#[test]
fn the_commands_of_getting_started_with_salt_deploy_a_host_that_pushes() {
    if !is_possible_or_skipped(BY_SALT) {
        return;
    }
    rig::programs();
    let document = document();
    let blocks = blocks(document.split_once(WITH_SALT).unwrap().1);
    assert_eq!(blocks.len(), 5);
    let (folder, srv) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _turn = rig::turn();
    let machines = &[MASTER, SERVER, HOST];
    let master = Some((MASTER, srv.path()));
    let fleet = Fleet::up(&FleetOptions { machines, master, ..FleetOptions::default() }).unwrap();
    minions_answer(&fleet);
    for block in &blocks {
        if block.1.contains("firn.orch.deploy") {
            minions_answer(&fleet);
        }
        let outcome = follow(&fleet, folder.path(), *block);
        if block.1.contains("state.apply") {
            let failed = outcome.stdout.lines().filter_map(|line| line.strip_prefix("Failed:"));
            let counts: Vec<_> = failed.map(str::trim).collect();
            assert_eq!(counts, ["0", "0"], "{}", outcome.said());
            assert!(!outcome.stdout.contains("(changed="), "{}", outcome.said());
            assert!(outcome.stdout.contains("web01/"), "{}", outcome.said());
        }
    }
    let cron = run(&fleet, HOST, "crontab -l");
    assert!(
        cron.stdout.contains("40 2,10,18 * * * systemctl start --no-block firn-push.service"),
        "{cron:?}"
    );
    let entries = run(&fleet, SERVER, "test -f /srv/firn/history/web01/*/tree/etc/hostname");
    assert_eq!(entries.code, 0, "{}", entries.said());
}

/// The master has accepted its minions, as the document asks for, and they answer it.
fn minions_answer(fleet: &Fleet) {
    let until = Instant::now() + ANSWER;
    let line = format!("salt-key --yes --accept-all >/dev/null; salt --out=txt -L {SERVER},{HOST} test.ping");
    while run(fleet, MASTER, &line).stdout.matches("True").count() < 2 {
        assert!(Instant::now() < until, "no answer of every minion");
        std::thread::sleep(Duration::from_secs(1));
    }
}
