//! How a fleet is deployed by Salt: the formula, a pillar, and one command on the master.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pipeline_tests::machine::workspace;
use pipeline_tests::{Fleet, Outcome};
use tempfile::TempDir;

use super::step::Step;
use super::world::{BACKUP, World};
use crate::packages::built;
use crate::rig;

/// The Salt master, which is no backup server.
pub(super) const MASTER: &str = "master";
/// Goes with the role of the backup server.
pub(super) const MINE_OF_SERVER: &str = "mine_functions:\n  firn_keys.server: []\n";
/// How long minions may take to find their master.
const ANSWER: Duration = Duration::from_secs(180);

/// What the master sees as `/srv`: formula, packages, pillar and its own settings. Nothing is deployed on `others` yet.
pub(super) fn srv(hosts: &[&str], others: &[&str]) -> TempDir {
    let srv = tempfile::tempdir().unwrap();
    copy(&workspace().join("salt"), &srv.path().join("salt"));
    copy(&built().folder(), &srv.path().join("salt/firn/packages"));
    let hosts = hosts.join(",");
    let drills: String = others.iter().map(|other| format!("  {other:?}: [drill]\n")).collect();
    let version = built().version();
    let files = [
        ("salt/top.sls", "base:\n  '*': [firn]\n".to_owned()),
        (
            "pillar/top.sls",
            format!(
                "base:\n  '*': [fleet]\n  '{BACKUP}': [server]\n  '{hosts}': [{{match: list}}, host]\n{drills}"
            ),
        ),
        ("pillar/drill.sls", "{}\n".to_owned()),
        (
            "pillar/fleet.sls",
            format!(
                "firn:\n  packages: {{version: {version}}}\n  server: {{minion: {BACKUP}, address: {BACKUP}, networks: [10.77.0.0/24]}}\n"
            ),
        ),
        ("pillar/server.sls", format!("firn:\n  roles: [backup-server]\n{MINE_OF_SERVER}")),
        (
            "pillar/host.sls",
            format!(
                "firn:\n  roles: [push-client]\n  push:\n    roots: [/data, /etc]\n    settings: {{verdict_wait_seconds: 60}}\nmine_functions:\n  firn_keys.push: [{{mine_function: firn_keys.push}}, {{allow_tgt: {BACKUP}}}, {{allow_tgt_type: list}}]\n"
            ),
        ),
        (
            "master.d/firn.conf",
            "extension_modules: /srv/salt\next_pillar:\n  - backup_minute: {}\nauto_accept: True\n"
                .to_owned(),
        ),
    ];
    for (name, text) in files {
        rig::file(&srv.path().join(name), text.as_bytes());
    }
    readable(srv.path());
    srv
}

/// The folder of a test is its maker's alone; in the machine it is the master's.
fn readable(folder: &Path) {
    let mut open = Command::new("chmod");
    Outcome::of(open.args(["-R", "a+rX"]).arg(folder)).unwrap().expect_code(&[0]).unwrap();
}

/// The whole fleet from nothing, in one command.
pub(super) fn deploy(fleet: &Fleet, hosts: &[&str]) {
    let mut step = Step::begin("highstate from nothing");
    let line = format!("salt --out=txt -L '{BACKUP},{}' test.ping", hosts.join(","));
    step.comes("an answer of every minion", ANSWER, || {
        let said = fleet.sh(MASTER, &line).unwrap().stdout;
        (said.matches("True").count() == hosts.len() + 1).then_some(())
    });
    for host in hosts {
        fleet.sh(host, "mkdir -p /data").unwrap().expect_code(&[0]).unwrap();
    }
    let line = format!(
        "salt-run state.orchestrate firn.orch.deploy pillar='{{\"server\": \"{BACKUP}\", \"hosts\": \"{}\"}}' 2>&1",
        hosts.join(",")
    );
    step.ended(fleet.sh(MASTER, &line).unwrap(), 0);
}

/// A host that was installed anew: the master forgets its old minion, and deploys the new one.
pub(super) fn host(world: &World, host: &str) {
    world.said(MASTER, &format!("salt-key -y -d {host}; true"));
    world.said(host, "systemctl restart salt-minion.service; mkdir -p /data");
    let line = format!(
        "for n in $(seq 60); do salt --out=txt {host} test.ping | grep -q True && exit 0; sleep 1; done; exit 1"
    );
    world.said(MASTER, &line);
    let line = format!(
        "salt-run state.orchestrate firn.orch.deploy pillar='{{\"server\": \"{BACKUP}\", \"hosts\": \"{host}\"}}' 2>&1"
    );
    world.said(MASTER, &line);
}

/// Applied again, the states find all as it should be.
pub(super) fn a_second_highstate_changes_nothing(world: &World) {
    let mut step = Step::begin("second highstate");
    for machine in [BACKUP].iter().chain(&world.hosts) {
        nothing_changes(&mut step, world, machine);
    }
}

fn nothing_changes(step: &mut Step, world: &World, machine: &str) {
    let [states, failed, changed] = highstate(world, machine);
    step.fits("states", states, |count| *count >= 5);
    step.is("states that failed and that changed something", [failed, changed], [0, 0]);
}

/// How many states there are, how many of them failed, and how many changed something.
fn highstate(world: &World, machine: &str) -> [u32; 3] {
    let line = "salt-call --out=json --log-level=quiet state.apply | python3 -c '
import json, sys
states = json.load(sys.stdin)[\"local\"].values()
print(len(states), sum(state[\"result\"] is not True for state in states), sum(bool(state[\"changes\"]) for state in states))'";
    let said = world.said(machine, line);
    let counts: Vec<u32> = said.split(' ').map(|word| word.parse().unwrap()).collect();
    counts.try_into().unwrap()
}

/// Serves these files, one of them the pillar that says what `machine` is now, and has Salt make it that.
pub(super) fn becomes(step: &mut Step, world: &World, machine: &str, files: &[(&str, String)]) {
    let srv = world.srv.as_ref().unwrap().path();
    files.iter().for_each(|(name, text)| rig::file(&srv.join(name), text.as_bytes()));
    readable(srv);
    world.said(machine, "salt-call --log-level=quiet saltutil.sync_all; salt-call --log-level=quiet saltutil.refresh_pillar wait=True");
    let [states, failed, changed] = highstate(world, machine);
    step.is("states that failed", failed, 0);
    step.fits("states that changed something", changed, |changed| (1..=states).contains(changed));
    nothing_changes(step, world, machine);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let mut copy = Command::new("cp");
    Outcome::of(copy.arg("-rL").arg(from).arg(to)).unwrap().expect_code(&[0]).unwrap();
}
