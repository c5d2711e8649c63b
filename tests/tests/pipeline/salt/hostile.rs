//! A minion that is broken in may put anything into the Mine. Here one does, on a real Mine.

use super::deploy::{BACKUP, World};

/// Where a minion keeps its modules: whoever is root there may change them.
const MODULE: &str = "/var/cache/salt/minion/extmods/modules/firn_keys.py";
const WORD: &str = "{'host': 'mail', 'key': KEY, 'from': ['10.77.0.15']}";

/// What `mail` says, in Python, and a part of the reason for which it is refused.
const WORDS: &[(&str, &str, &str)] = &[
    ("options before the key", "dict(word, key='command=\"/bin/sh\" ' + KEY)", "key"),
    ("a second line", "dict(word, key=KEY + '\\nssh-ed25519 ' + KEY)", "visible characters"),
    ("an RSA key", "dict(word, key='ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7')", "key"),
    // Salt itself cuts it, and what is left is refused.
    ("1 MiB", "dict(word, key=KEY + 'A' * (1 << 20))", "key"),
    ("100,000 digits", "dict(word, key=KEY + 'A' * 100000)", "visible characters"),
    ("another host's id", "dict(word, host='web01')", "not its own"),
    ("an id that climbs", "dict(word, host='../../../etc')", "host id"),
    ("another host's key", "dict(word, key=OTHER)", "two minions have one key"),
    ("from everywhere", "dict(word, **{'from': ['0.0.0.0/0']})", "from"),
    ("from with a quote", "dict(word, **{'from': ['10.77.0.15\",command=\"/bin/sh']})", "from"),
    ("10,000 addresses", "dict(word, **{'from': ['10.77.0.15'] * 10000})", "1 to 16 addresses"),
    ("a list in lists", "[[[[word]]]] * 1000", "not exactly host, key and from"),
    ("a text", "'{{ salt[\"cmd.run\"](\"reboot\") }}'", "not exactly host, key and from"),
];

fn module(world: &World, value: &str) -> String {
    let of = |host: &str| world.said(host, "cut -d ' ' -f 1,2 /etc/firn/push_ed25519.pub");
    format!(
        "KEY = '{}'\nOTHER = '{}'\nword = {WORD}\ndef push():\n    return {value}\ndef make():\n    return KEY\n",
        of("mail"),
        of("web01")
    )
}

/// All that a run could change on the server.
fn prints(world: &World) -> String {
    world.said(
        BACKUP,
        "{ cat /etc/passwd /etc/shadow /etc/group; find /etc/firn /srv/firn/jails -not -path '*/spool/*' -printf '%p %y %m %U %G %s %T@ %i\\n' | sort;
        find /etc/firn -type f -exec sha256sum {} +; } | sha256sum",
    )
}

pub(super) fn no_word_of_a_minion_changes_anything(world: &World) {
    let honest = world.said("mail", &format!("cat {MODULE}"));
    for (name, value, reason) in WORDS {
        world.fleet.write("mail", MODULE, "0644", &module(world, value)).unwrap();
        refused(world, name, reason);
    }
    // A Mine that lost a host, and one that is empty.
    world.said("mail", "salt-call --log-level=quiet mine.flush");
    refused(world, "a host less", "is not in the Mine");
    for host in ["web01", "db1.example.org"] {
        world.said(host, "salt-call --log-level=quiet mine.flush");
    }
    let before = prints(world);
    let said = hosts(world);
    assert!(said.contains("is not in the Mine") && said.contains("hosts_min"), "{said}");
    assert_eq!(before, prints(world), "an empty Mine");
    // Honest again, and all is as it was.
    world.fleet.write("mail", MODULE, "0644", &format!("{honest}\n")).unwrap();
    for host in ["mail", "web01", "db1.example.org"] {
        world.said(host, "salt-call --log-level=quiet mine.update");
    }
    let states = world.apply(BACKUP, "firn.backup-server");
    assert!(states.iter().all(|state| state.is_good && !state.is_changed), "{states:?}");
    println!("{} hostile words on a real Mine refused, nothing changed", WORDS.len() + 2);
}

fn refused(world: &World, name: &str, reason: &str) {
    if name != "a host less" {
        world.said("mail", "salt-call --log-level=quiet mine.update");
    }
    let before = prints(world);
    let said = hosts(world);
    assert!(said.contains("nothing was changed") && said.contains(reason), "{name}: {said}");
    assert_eq!(before, prints(world), "{name}");
}

/// The comment of the one state that must have failed.
fn hosts(world: &World) -> String {
    let states = world.apply(BACKUP, "firn.backup-server");
    let failed: Vec<_> = states.iter().filter(|state| !state.is_good).collect();
    match failed[..] {
        [state] if state.id.contains("firn_hosts") => state.comment.clone(),
        _ => panic!("{failed:?}"),
    }
}

/// A real one, on its own ports.
pub(super) fn a_master_on_the_backup_server_is_refused(world: &World) {
    world.said(BACKUP, "systemctl start salt-master.service");
    let states = world.apply(BACKUP, "firn.backup-server");
    assert!(
        matches!(&states[..], [state] if state.comment.contains("a Salt master runs on this machine")),
        "{states:?}"
    );
    world.said(BACKUP, "systemctl stop salt-master.service");
    assert!(world.apply(BACKUP, "firn.backup-server").iter().all(|state| state.is_good));
}
