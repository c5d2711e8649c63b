//! How a fleet is deployed by Salt: the formula, a pillar, and one command on the master.

use pipeline_tests::Fleet;
use tempfile::TempDir;

use super::step::Step;
use super::world::{BACKUP, World};
use crate::packages::built;
use crate::salt::srv::{MASTER, master, minions_answer, serve, srv};

/// Goes with the role of the backup server.
pub(super) const MINE_OF_SERVER: &str = "mine_functions:\n  firn_keys.server: []\n";

/// What the master sees as `/srv`: formula, packages, pillar and its own settings. Nothing is deployed on `others` yet.
pub(super) fn served(hosts: &[&str], others: &[&str]) -> TempDir {
    let hosts = hosts.join(",");
    let drills: String = others.iter().map(|other| format!("  {other:?}: [drill]\n")).collect();
    let version = built().version();
    let files = [
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
        ("master.d/firn.conf", master("")),
    ];
    srv(&files)
}

/// The whole fleet from nothing, in one command.
pub(super) fn deploy(fleet: &Fleet, hosts: &[&str]) {
    let mut step = Step::begin("highstate from nothing");
    minions_answer(fleet, &[&[BACKUP], hosts].concat());
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
    minions_answer(&world.fleet, &[host]);
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
    serve(world.srv.as_ref().unwrap().path(), files);
    world.said(machine, "salt-call --log-level=quiet saltutil.sync_all; salt-call --log-level=quiet saltutil.refresh_pillar wait=True");
    let [states, failed, changed] = highstate(world, machine);
    step.is("states that failed", failed, 0);
    step.fits("states that changed something", changed, |changed| (1..=states).contains(changed));
    nothing_changes(step, world, machine);
}
