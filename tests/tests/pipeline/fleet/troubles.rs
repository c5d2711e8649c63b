//! What happens to machines: the cable, the power switch, a new disk.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::deploy;
use super::step::Step;
use super::world::{BACKUP, World, account};

/// The codes that these steps are about.
const OVERDUE: i32 = 5;
const NO_CONNECTION: i32 = 19;
const REFUSED: i32 = 255;
/// A push that began so shortly before a slot counts for it.
const EARLY: TimeDelta = TimeDelta::minutes(10);
/// How long after its slot a push is awaited, and a minute.
const GRACE: TimeDelta = TimeDelta::minutes(121);

/// Without its cable a host's push says so. Two hours after its slot the server names it, and no other.
pub(super) fn a_host_that_is_cut_off_is_named_late(world: &World) {
    let mut step = Step::begin("a host is cut off");
    let (code, hosts) = status(world, "");
    step.is("status before", code, 0);
    step.is("hosts", hosts.len(), world.hosts.len());
    // Who is due next, and not by the push that it has just made.
    let time = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let due = |host: &Value| time(&host["next_due"]);
    let is_open = |host: &&Value| due(host) > time(&host["last_push"]["time"]) + EARLY;
    let next = hosts.iter().filter(is_open).min_by_key(|host| due(host)).unwrap();
    let host = next["host"].as_str().unwrap();
    world.fleet.cut(host).unwrap();
    step.ended(world.push(host), NO_CONNECTION);
    let then = due(next) + GRACE;
    // The clock is the program's alone.
    let line = format!("faketime -f '@{}'", then.format("%F %T"));
    let (code, hosts) = status(world, &line);
    step.is("status when the slot has passed", code, OVERDUE);
    for found in &hosts {
        let late: Vec<_> =
            found["late"].as_array().unwrap().iter().filter_map(|late| late["reason"].as_str()).collect();
        let expected = if found["host"] == host { vec!["no-push"] } else { vec![] };
        step.is("who is late", (&found["host"], late), (&found["host"], expected));
    }
    world.fleet.heal(host).unwrap();
    let before = world.count(host);
    world.said(host, "mkdir -p /data && date >/data/after-the-cut");
    let pushed = step.ended(world.push(host), 0);
    step.is(&format!("snapshots after\n{}\n", pushed.stdout), world.count(host), before + 1);
    step.is("status after", status(world, "").0, 0);
}

/// The code of `snapshotter status`, and what it says of each host.
fn status(world: &World, before: &str) -> (i32, Vec<Value>) {
    let outcome = world.sh(BACKUP, &format!("{before} snapshotter --json status"));
    let report = outcome.report().unwrap_or_else(|| panic!("{}", outcome.said()));
    (outcome.code, report["details"]["hosts"].as_array().unwrap().clone())
}

/// Who stops the server's own sshd takes `/run/sshd` away, and with it nothing from the sshd for pushes.
pub(super) fn the_servers_own_sshd_is_stopped_and_pushes_go_on(world: &World, host: &str) {
    let mut step = Step::begin("the server's own sshd is stopped");
    let folder = || world.sh(BACKUP, "test -d /run/sshd").code;
    step.is("its folder before", folder(), 0);
    world.said(BACKUP, "systemctl stop ssh.service");
    step.is("its folder", folder(), 1);
    step.ended(world.push(host), 0);
    // What is told to sshd can be changed then, too.
    step.ended(
        world.sh(BACKUP, "systemctl reload firn-sshd.service && systemctl restart firn-sshd.service"),
        0,
    );
    step.ended(world.push(host), 0);
    // And the other way round.
    world.said(BACKUP, "systemctl start ssh.service && systemctl stop firn-sshd.service");
    step.is("its folder after firn-sshd", folder(), 0);
    world.said(BACKUP, "systemctl start firn-sshd.service");
}

/// Killed in the middle of a push, a host boots and finishes it; nothing of the half push counts.
pub(super) fn a_host_that_was_killed_while_it_pushed_goes_on(world: &World, host: &str) {
    let mut step = Step::begin("a host is killed and booted");
    let before = world.count(host);
    world.said(host, "head -c 12000000 /dev/urandom >/data/large");
    world.fleet.slow(BACKUP, "8mbit").unwrap();
    world.said(host, "systemctl start --no-block firn-push.service");
    let incoming = format!("find /srv/firn/jails/{host}/spool/incoming -type f -size +1000k");
    step.comes("the beginning of a push", Duration::from_secs(60), || {
        (!world.said(BACKUP, &incoming).is_empty()).then_some(())
    });
    world.fleet.kill(host).unwrap();
    world.fleet.slow(BACKUP, "off").unwrap();
    step.is("snapshots after the kill", world.count(host), before);
    world.fleet.boot(host).unwrap();
    // The server has to notice first that its caller is gone.
    step.comes("a push that is let in", Duration::from_secs(150), || {
        (world.push(host).code == 0).then_some(())
    });
    step.is("snapshots", world.count(host), before + 1);
    step.is("the newest snapshot", world.newest(host), world.data(host));
}

/// A host with new disks is another installation under an old name: its pushes are kept, and an alarm and a hold say that a person has to look.
/// Its old key opens nothing any more.
pub(super) fn a_host_that_was_installed_anew_raises_an_alarm(world: &World, host: &str) {
    let mut step = Step::begin("a host is installed anew");
    let before = world.sound(host);
    let old_key = world.said(host, "cat /etc/firn/push_ed25519");
    world.fleet.reinstall(host).unwrap();
    deploy::host(world, host);
    world.said(host, "mkdir -p /data; echo new >/data/new");
    let key = world.said(host, "cat /etc/firn/push_ed25519");
    step.fits("the new key", key, |key| *key != old_key);
    step.ended(world.push(host), 0);
    let after = world.sound(host);
    step.is("snapshots", after.snapshots.len(), before.snapshots.len() + 1);
    step.is("alarms", after.count("alarm"), before.count("alarm") + 1);
    step.is("holds", after.count("hold"), before.count("hold") + 1);
    step.is("the newest snapshot", world.newest(host), world.data(host));
    world.fleet.write(host, "/root/old", "0600", &format!("{old_key}\n")).unwrap();
    step.ended(ssh(world, host, "/root/old", host, ""), REFUSED);
    step.ended(world.push(host), 0);
}

/// ssh from a machine to the account of a host.
pub(super) fn ssh(
    world: &World,
    machine: &str,
    key: &str,
    host: &str,
    words: &str,
) -> pipeline_tests::Outcome {
    let (account, port) = (account(host), deploy::PORT);
    let options = "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5 -o IdentitiesOnly=yes -o LogLevel=ERROR";
    world.sh(machine, &format!("timeout 20 ssh {options} -p {port} -i {key} {account}@{BACKUP} {words}"))
}
