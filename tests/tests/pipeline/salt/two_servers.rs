//! What docs/scaling.md says about several servers: a real master decides by rendezvous hashing, and each server has its own hosts and no others.

use super::deploy::{World, orchestrate};
use super::srv::{MASTER, master, srv};
use crate::packages::built;

const SERVERS: [&str; 2] = ["backup1", "backup2"];
/// A host, and the server that the hash gives it to; held by salt/tests.
const PLACES: [(&str, &str); 2] = [("mail", "backup1"), ("web01", "backup2")];
const MOVES: &str = "mail";

/// The master's own settings: which servers there are. With the weight of 1000, the second one takes all that are here.
fn settings(weight: u32) -> String {
    master(&format!(
        "  - backup_server:\n      servers:\n        backup1: {{address: backup1}}\n        backup2: {{address: backup2, weight: {weight}}}\n"
    ))
}

pub(super) fn deployed() -> World {
    let files = [
        ("master.d/firn.conf", settings(1)),
        (
            "pillar/top.sls",
            "base:\n  '*': [fleet]\n  'backup*': [server]\n  'backup1': [first]\n  'web01,mail': [{match: list}, host]\n".to_owned(),
        ),
        ("pillar/fleet.sls", format!("firn: {{packages: {{version: {}}}}}\n", built().version())),
        (
            "pillar/server.sls",
            "firn:\n  roles: [backup-server]\nmine_functions:\n  firn_keys.server: []\n".to_owned(),
        ),
        ("pillar/first.sls", "firn: {retired: []}\n".to_owned()),
        (
            "pillar/host.sls",
            "firn:\n  roles: [push-client]\n  push: {roots: [/etc], exclude: [/etc/firn], settings: {verdict_wait_seconds: 60}}\nmine_functions:\n  firn_keys.push: [{mine_function: firn_keys.push}, {allow_tgt: 'backup1,backup2'}, {allow_tgt_type: list}]\n".to_owned(),
        ),
    ];
    let world = World::up(&[&SERVERS[..], &PLACES.map(|(host, _)| host)].concat(), srv(&files));
    for (host, server) in PLACES {
        deploy(&world, host, server);
    }
    world
}

fn deploy(world: &World, host: &str, server: &str) {
    world.said(MASTER, &orchestrate("deploy", &format!("\"server\": \"{server}\", \"hosts\": \"{host}\"")));
}

/// The names of the hosts that a server lets in.
fn active(world: &World, server: &str) -> String {
    world.said(server, "cd /etc/firn/keys && ls")
}

fn has_snapshot(world: &World, server: &str, host: &str) -> bool {
    world.sh(server, &format!("test -f /srv/firn/history/{host}/*/tree/etc/hostname")).code == 0
}

pub(super) fn each_host_is_with_its_own(world: &World) {
    for (host, server) in PLACES {
        world.said(host, "systemctl start firn-push.service");
        assert_eq!(active(world, server), format!("firn-{host}"), "{server}");
        for other in SERVERS {
            assert_eq!(has_snapshot(world, other, host), other == server, "{host} at {other}");
        }
    }
    for machine in SERVERS.iter().chain(&PLACES.map(|(host, _)| host)) {
        for state in world.apply(machine, "") {
            assert!(state.is_good && !state.is_changed, "{machine}: {state:?}");
        }
    }
}

/// Step by step as docs/scaling.md says it.
pub(super) fn a_host_moves(world: &World) {
    world.serve("master.d/firn.conf", &settings(1000));
    world.said(MASTER, "systemctl restart salt-master.service");
    world.answers(&[&SERVERS[..], &[MOVES]].concat());
    deploy(world, MOVES, "backup2");
    world.said(MOVES, "systemctl start firn-push.service");
    assert!(has_snapshot(world, "backup2", MOVES));
    assert_eq!(active(world, "backup2"), "firn-mail\nfirn-web01");
    // The old server does not take its going for granted.
    world.said("backup1", "salt-call --log-level=quiet saltutil.refresh_pillar wait=True");
    let refused = world.apply("backup1", "");
    let hosts = refused.iter().find(|state| state.id.contains("firn_hosts")).unwrap();
    assert!(!hosts.is_good && hosts.comment.contains(MOVES), "{hosts:?}");
    assert_eq!(active(world, "backup1"), "firn-mail");
    // Retired there, it keeps its past there. It was the last one, and that has to be said as well.
    world.serve("pillar/first.sls", "firn: {retired: [mail], server: {hosts_min: 0}}\n");
    world.said(MASTER, &orchestrate("retire", "\"server\": \"backup1\""));
    assert_eq!(active(world, "backup1"), "");
    assert!(has_snapshot(world, "backup1", MOVES));
    let again = world.apply("backup1", "");
    assert!(again.iter().all(|state| state.is_good && !state.is_changed), "{again:?}");
    world.said(MOVES, "systemctl start firn-push.service");
}
