//! A fleet of five machines: the Salt master, the backup server, two hosts on cron and one on a timer; deployed as salt/README.md says.

use pipeline_tests::{Fleet, FleetOptions, Outcome};
use serde_json::Value;
use tempfile::TempDir;

use super::srv::{MASTER, master, minions_answer, srv};
use crate::packages::built;
use crate::rig;

pub(super) const BACKUP: &str = "backup1";
/// On cron, on cron, on a timer. Each one's host id is its minion id.
pub(super) const HOSTS: [&str; 3] = ["web01", "db1.example.org", "mail"];

/// The fleet, and the folder that the master sees as `/srv`.
pub(super) struct World {
    pub(super) fleet: Fleet,
    srv: TempDir,
}

impl World {
    /// Boots the master and its minions, which then answer it.
    pub(super) fn up(minions: &[&str], srv: TempDir) -> World {
        let machines = [&[MASTER], minions].concat();
        let master = Some((MASTER, srv.path()));
        let fleet =
            Fleet::up(&FleetOptions { machines: &machines, master, ..FleetOptions::default() }).unwrap();
        minions_answer(&fleet, minions);
        World { fleet, srv }
    }

    /// Waits until these minions answer, after the master was restarted.
    pub(super) fn answers(&self, minions: &[&str]) {
        minions_answer(&self.fleet, minions);
    }

    /// `line` of shell on a machine.
    pub(super) fn sh(&self, machine: &str, line: &str) -> Outcome {
        self.fleet.sh(machine, line).unwrap()
    }

    /// What `line` says; it must end well.
    #[track_caller]
    pub(super) fn said(&self, machine: &str, line: &str) -> String {
        let outcome = self.sh(machine, line);
        assert_eq!(outcome.code, 0, "{machine}: {line}\n{}\n{}", outcome.stdout, outcome.said());
        outcome.stdout.trim_end().to_owned()
    }

    /// Writes a file that the master serves.
    pub(super) fn serve(&self, name: &str, text: &str) {
        rig::file(&self.srv.path().join(name), text.as_bytes());
    }

    /// Applies states on one machine, and gives what each came to.
    pub(super) fn apply(&self, machine: &str, states: &str) -> Vec<State> {
        let line = format!("salt-call --out=json --log-level=quiet state.apply {states}");
        let outcome = self.sh(machine, &line);
        let parsed: Value = serde_json::from_str(&outcome.stdout)
            .unwrap_or_else(|error| panic!("{machine}: {error}\n{}", outcome.said()));
        match &parsed["local"] {
            Value::Object(states) => states.iter().map(|(id, state)| State::new(id, state)).collect(),
            // What does not even render.
            other => vec![State {
                id: "rendering".to_owned(),
                is_good: false,
                is_changed: false,
                comment: other.to_string(),
            }],
        }
    }
}

/// One state of a run.
#[derive(Debug)]
pub(super) struct State {
    pub(super) id: String,
    pub(super) is_good: bool,
    pub(super) is_changed: bool,
    pub(super) comment: String,
}

impl State {
    fn new(id: &str, state: &Value) -> State {
        State {
            id: id.to_owned(),
            is_good: state["result"] == Value::Bool(true),
            is_changed: state["changes"].as_object().is_none_or(|changes| !changes.is_empty()),
            comment: state["comment"].to_string(),
        }
    }
}

fn pillar(version: &str) -> [(&'static str, String); 5] {
    let top = "base:\n  '*': [fleet, retired]\n  'backup1': [server]\n  'web01,db1.example.org,mail': [{match: list}, host]\n  'mail': [timer]\n";
    let fleet = format!(
        "firn:\n  packages: {{version: {version}}}\n  server: {{minion: backup1, address: backup1, networks: [10.77.0.0/24]}}\n  hours_of: {{mail: [4, 16]}}\n"
    );
    let host = "firn:\n  roles: [push-client]\n  push: {roots: [/etc], exclude: [/etc/firn]}\nmine_functions:\n  firn_keys.push: [{mine_function: firn_keys.push}, {allow_tgt: backup1}, {allow_tgt_type: list}]\n";
    [
        ("pillar/top.sls", top.to_owned()),
        ("pillar/fleet.sls", fleet),
        ("pillar/retired.sls", "firn: {retired: []}\n".to_owned()),
        ("pillar/server.sls", server_pillar("{s3: \"a secret of vaults\\n\", old: \"one of last year\\n\"}")),
        ("pillar/host.sls", host.to_owned()),
    ]
}

fn server_pillar(credentials: &str) -> String {
    format!(
        "firn:\n  roles: [backup-server, iceboxer]\n  ice:\n    settings:\n      history: /srv/firn/history\n      staging: /var/lib/firn/ice/staging\n      ledger: /var/lib/firn/ice/ledger\n      recipients: [{{certificate: /etc/firn/ice.asc, fingerprint: 0123456789ABCDEF0123456789ABCDEF01234567}}]\n      vaults: [{{name: local, url: 'file:/srv/vault', retention_days: 92}}]\n    files: {{ice.asc: salt://firn/files/ice.asc}}\n    credentials: {credentials}\nmine_functions:\n  firn_keys.server: []\n"
    )
}

/// Pillar and master's settings beside the formula, in one folder.
fn served() -> TempDir {
    let mut files = pillar(&built().version()).to_vec();
    files.push(("pillar/timer.sls", "firn: {schedule: timer}\n".to_owned()));
    files.push(("master.d/firn.conf", master("")));
    files.push(("salt/firn/files/ice.asc", "a certificate\n".to_owned()));
    srv(&files)
}

/// Boots the machines, and lets Salt do all the rest: one command.
pub(super) fn deployed() -> World {
    let world = World::up(&[&[BACKUP], &HOSTS[..]].concat(), served());
    // An address of containers, in a network that the pillar allows: nobody pushes from it, so nobody may be let in from it.
    let bridge =
        "ip link add docker0 type bridge && ip addr add 10.77.0.199/32 dev docker0 && ip link set docker0 up";
    world.said(HOSTS[0], bridge);
    world.said(
        MASTER,
        &orchestrate("deploy", &format!("\"server\": \"{BACKUP}\", \"hosts\": \"{}\"", HOSTS.join(","))),
    );
    world
}

pub(super) fn orchestrate(what: &str, pillar: &str) -> String {
    format!("salt-run state.orchestrate firn.orch.{what} pillar='{{{pillar}}}' 2>&1")
}

pub(super) fn a_second_run_changes_nothing(world: &World) {
    let mut count = 0;
    for machine in [BACKUP].iter().chain(&HOSTS) {
        for state in world.apply(machine, "") {
            assert!(state.is_good && !state.is_changed, "{machine}: {state:?}");
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
    println!("second run: {count} states, changed=0");
}

/// The new key is in use on both sides, the old one nowhere, and a push goes through with it.
pub(super) fn a_key_is_changed_for_a_new_one(world: &World) {
    let key = || world.said("web01", "cut -d ' ' -f 1,2 /etc/firn/push_ed25519.pub");
    let old = key();
    world.said(MASTER, &orchestrate("rotate", &format!("\"server\": \"{BACKUP}\", \"host\": \"web01\"")));
    let new = key();
    assert_ne!(old, new);
    let line = world.said(BACKUP, "cat /etc/firn/keys/firn-web01");
    assert!(line.ends_with(&new) && line.lines().count() == 1, "{line}");
    assert_eq!(world.said("web01", "ls /etc/firn"), "push.toml\npush_ed25519\npush_ed25519.pub");
    world.said("web01", "systemctl start firn-push.service");
    // A key that the server was not told of is not taken into use.
    let call = "salt-call --log-level=quiet";
    world.said("web01", &format!("{call} firn_keys.begin"));
    assert_ne!(world.sh("web01", &format!("{call} firn_keys.finish")).code, 0);
    world.said("web01", &format!("{call} firn_keys.cancel && push-client check"));
    assert_eq!(key(), new);
    a_second_run_changes_nothing(world);
}

/// Cut off before the server's step and after it: the next states of host and server, in either order, end with a host that can push.
pub(super) fn a_change_of_keys_that_was_cut_off_comes_to_its_end(world: &World) {
    let good = |machine: &str, states: &str| {
        let states = world.apply(machine, states);
        assert!(states.iter().all(|state| state.is_good), "{machine}: {states:?}");
    };
    let key = || world.said("web01", "cut -d ' ' -f 1,2 /etc/firn/push_ed25519.pub");
    let begin = "salt-call --log-level=quiet firn_keys.begin && salt-call --log-level=quiet mine.update";
    for (order, is_new) in [([BACKUP, "web01"], true), (["web01", BACKUP], false), ([BACKUP, "web01"], true)]
    {
        let old = key();
        world.said("web01", begin);
        for machine in order {
            good(machine, "");
            if machine == BACKUP && is_new {
                // The guard has something to mend.
                assert_ne!(world.sh("web01", "push-client check").code, 0);
            }
        }
        assert_eq!(key() != old, is_new, "{order:?}");
        assert_eq!(world.said("web01", "ls -A /etc/firn"), "push.toml\npush_ed25519\npush_ed25519.pub");
        world.said("web01", "push-client check");
    }
    // The server's own key, known to the Mine and to one host: its next state does the rest.
    world.said(BACKUP, &begin.replace("begin", "begin server"));
    good("mail", "firn.push-client");
    good(BACKUP, "");
    HOSTS.iter().for_each(|host| good(host, "firn.push-client"));
    HOSTS.iter().for_each(|host| drop(world.said(host, "push-client check")));
    a_second_run_changes_nothing(world);
}

/// As salt/README.md says it: hosts pin the new key, then the server has it.
pub(super) fn the_servers_key_is_changed_for_a_new_one(world: &World) {
    let call = "salt-call --log-level=quiet";
    world.said(BACKUP, &format!("{call} firn_keys.begin server && {call} mine.update"));
    for host in HOSTS {
        let states = world.apply(host, "firn.push-client");
        assert!(states.iter().all(|state| state.is_good), "{states:?}");
        assert_ne!(world.sh(host, "push-client check").code, 0, "{host}");
    }
    world.said(BACKUP, &format!("{call} firn_keys.finish server && {call} service.reload firn-sshd.service"));
    for host in HOSTS {
        world.said(host, "push-client check");
    }
    a_second_run_changes_nothing(world);
}

/// What the pillar no longer names is gone, for the unit too; what a person put there stays.
pub(super) fn credentials_that_the_pillar_no_longer_names_are_gone(world: &World) {
    let given = "systemd-run -q --wait --pipe --collect -p LoadCredential=vault:/etc/firn/credentials sh -c 'ls $CREDENTIALS_DIRECTORY'";
    world.said(BACKUP, "umask 077; echo by hand >/etc/firn/credentials/own");
    assert_eq!(world.said(BACKUP, given), "vault_old\nvault_own\nvault_s3");
    world.serve("pillar/server.sls", &server_pillar("{s3: \"a secret of vaults\\n\"}"));
    world.said(BACKUP, "salt-call --log-level=quiet saltutil.refresh_pillar wait=True");
    let states = world.apply(BACKUP, "");
    assert!(states.iter().all(|state| state.is_good), "{states:?}");
    assert_eq!(world.said(BACKUP, given), "vault_own\nvault_s3");
    world.said(BACKUP, "rm /etc/firn/credentials/own");
    a_second_run_changes_nothing(world);
}

/// The master's machine is no host, so the Mine has nothing of it, and no state fails: the deployment does.
pub(super) fn a_minion_without_an_account_fails_the_deployment(world: &World) {
    let hosts = format!("\"server\": \"{BACKUP}\", \"hosts\": \"web01,{MASTER}\"");
    let outcome = world.sh(MASTER, &orchestrate("deploy", &hosts));
    let named = format!("without an account on this server: {MASTER};");
    assert!(outcome.code != 0 && outcome.stdout.contains(&named), "{}\n{}", outcome.code, outcome.stdout);
}

pub(super) fn a_retired_host_is_locked_out_for_good(world: &World) {
    let history = || world.said(BACKUP, "find /srv/firn/history/web01 | wc -l");
    let before = history();
    world.serve("pillar/retired.sls", "firn: {retired: [web01]}\n");
    world.said(MASTER, &orchestrate("retire", &format!("\"server\": \"{BACKUP}\"")));
    assert_eq!(world.sh(BACKUP, "test -e /etc/firn/keys/firn-web01").code, 1);
    assert_eq!(history(), before);
    assert_ne!(world.sh("web01", "push-client check").code, 0);
    let again = world.apply(BACKUP, "");
    assert!(again.iter().all(|state| state.is_good && !state.is_changed), "{again:?}");
    // Forgotten in the pillar, its minion still there: the id stays nobody's.
    world.serve("pillar/retired.sls", "firn: {retired: []}\n");
    let refused = world.apply(BACKUP, "");
    let hosts = refused.iter().find(|state| state.id.contains("firn_hosts")).unwrap();
    assert!(!hosts.is_good && hosts.comment.contains("an id is never used again"), "{hosts:?}");
    assert_eq!(world.sh(BACKUP, "test -e /etc/firn/keys/firn-web01").code, 1);
}
