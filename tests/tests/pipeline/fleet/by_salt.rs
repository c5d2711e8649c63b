//! How a fleet is deployed by Salt: the formula, a pillar, and one command on the master.

use pipeline_tests::Fleet;
use tempfile::TempDir;

use super::step::Step;
use super::world::{BACKUP, World};
use crate::packages::built;
use crate::salt::srv::{MASTER, master, minions_answer, srv};

/// What the master sees as `/srv`: formula, packages, pillar and its own settings.
pub(super) fn served(hosts: &[&str]) -> TempDir {
    let hosts = hosts.join(",");
    let version = built().version();
    let files = [
        (
            "pillar/top.sls",
            format!("base:\n  '*': [fleet]\n  '{BACKUP}': [server]\n  '{hosts}': [{{match: list}}, host]\n"),
        ),
        (
            "pillar/fleet.sls",
            format!(
                "firn:\n  packages: {{version: {version}}}\n  server: {{minion: {BACKUP}, address: {BACKUP}, networks: [10.77.0.0/24]}}\n"
            ),
        ),
        (
            "pillar/server.sls",
            "firn:\n  roles: [backup-server]\nmine_functions:\n  firn_keys.server: []\n".to_owned(),
        ),
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
        let line = "salt-call --out=json --log-level=quiet state.apply | python3 -c '
import json, sys
states = json.load(sys.stdin)[\"local\"].values()
print(len(states), sum(state[\"result\"] is not True for state in states), sum(bool(state[\"changes\"]) for state in states))'";
        let said = world.said(machine, line);
        let counts: Vec<u32> = said.split(' ').map(|word| word.parse().unwrap()).collect();
        step.fits("states", counts[0], |count| *count >= 5);
        step.is("states that failed and that changed something", &counts[1..], &[0, 0][..]);
    }
}
