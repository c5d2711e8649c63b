//! A host in the wrong hands, and a host that is no more.

use pipeline_tests::checker::prints::{Depth, Prints};
use pipeline_tests::checker::told;

use super::deploy;
use super::step::Step;
use super::troubles::ssh;
use super::world::{BACKUP, World, account};

const USAGE: i32 = 2;
const WRONG_HOST: i32 = 17;
const NO_CONNECTION: i32 = 19;
const REFUSED: i32 = 255;
const KEY: &str = "/etc/firn/push_ed25519";

/// Whoever holds all of `host` holds its future and nothing else: from another address its key opens nothing; from its own it opens no shell,
/// no tunnel and no other host's jail; what it sends is refused; the pasts of all stay as they are, down to inodes and times.
pub(super) fn a_compromised_host_changes_nothing_but_its_own_future(world: &World, host: &str, other: &str) {
    let mut step = Step::begin("a host is compromised");
    let rest: Vec<_> = world.hosts.iter().copied().filter(|name| *name != host).collect();
    let before = world.prints(&rest);
    let own = world.past(host);

    let stolen = world.said(host, &format!("cat {KEY}"));
    world.fleet.write(other, "/root/stolen", "0600", &format!("{stolen}\n")).unwrap();
    let away = step.ended(ssh(world, other, "/root/stolen", host, "</dev/null"), REFUSED);
    step.says(&away, "Permission denied");
    // At home the same key is let in: the refusal above was the address's. And then there is only the receiver, whatever is asked for.
    step.fits("a session at home", ssh(world, host, KEY, host, "</dev/null").code, |code| *code != REFUSED);
    for words in ["'cat /etc/passwd' </dev/null", "-t 'cat /etc/passwd' </dev/null", "-s sftp </dev/null"] {
        let home = ssh(world, host, KEY, host, words);
        step.is("what a session can read", home.stdout.contains("root:"), false);
    }
    let tunnel = ssh(world, host, KEY, host, "-W 127.0.0.1:22 </dev/null");
    step.fits("a tunnel", tunnel.code, |code| *code != 0);
    step.is("what a tunnel leads to", tunnel.stdout.contains("SSH-2.0"), false);
    let foreign = ssh(world, host, KEY, other, "</dev/null");
    step.ended(foreign, REFUSED);

    for bytes in ["head -c 300000 /dev/urandom", "head -c 300000 /dev/zero", "yes"] {
        let line = format!("{bytes} 2>/dev/null | head -c 300000 | {{ cat; sleep 1; }}");
        let fed = ssh_fed(world, host, &line);
        step.fits("garbage", fed.code, |code| *code != 0);
    }
    // The other host's name, honestly pushed, into one's own jail.
    let line = format!(
        "sed 's/^host = .*/host = \"{other}\"/; s,/var/lib/firn/push,/root/state,; s/^address = .*/&\\naccount = \"{}\"/' /etc/firn/push.toml >/root/push.toml && mkdir -p /root/state && push-client --config /root/push.toml run",
        account(host)
    );
    step.ended(world.sh(host, &line), WRONG_HOST);
    // The other host's account, with one's own key.
    let line = format!(
        "sed -i 's/^account = .*/account = \"{}\"/' /root/push.toml && push-client --config /root/push.toml run",
        account(other)
    );
    step.ended(world.sh(host, &line), NO_CONNECTION);

    for (name, (before, after)) in rest.iter().zip(before.iter().zip(world.prints(&rest))) {
        step.is(name, told(&before.changes(&after, Depth::Untouched)), String::new());
        step.fits("names compared", before.len(), |names| *names > 50);
    }
    its_past_is_kept(&mut step, world, host, &own);
    let count = world.count(host);
    world.said(host, "rm -r /data/small");
    step.ended(world.push(host), 0);
    step.is("snapshots", world.count(host), count + 1);
    its_past_is_kept(&mut step, world, host, &own);
    step.ended(world.sh(BACKUP, "snapshotter verify"), 0);
}

/// A retired host cannot push, its past stays, and its name is not given away.
pub(super) fn a_retired_host_keeps_its_past_and_nobody_takes_its_name(world: &World, host: &str) {
    let mut step = Step::begin("a host is retired");
    let before = world.prints(&[host]);
    step.ended(world.sh(BACKUP, &format!("snapshotter host retire {host}")), 0);
    step.ended(world.push(host), NO_CONNECTION);
    step.ended(world.sh(BACKUP, &format!("snapshotter host retire {host}")), 0);
    let key = world.said(host, "cat /etc/firn/push_ed25519.pub");
    let again = world.sh(BACKUP, &format!("echo '{key}' | snapshotter host add {host} --key -"));
    step.ended(again, USAGE);
    step.ended(world.push(host), NO_CONNECTION);
    step.ended(world.sh(BACKUP, &format!("getent passwd {}", account(host))), 0);
    step.is("its past", told(&before[0].changes(&world.prints(&[host])[0], Depth::Untouched)), String::new());
    step.ended(world.sh(BACKUP, &format!("snapshotter verify {host}")), 0);
}

/// All of it is there, untouched but for new links to its files; the log has only grown.
fn its_past_is_kept(step: &mut Step, world: &World, host: &str, before: &(Prints, Vec<u8>)) {
    let after = world.past(host);
    step.is("its own past", told(&before.0.changes(&after.0, Depth::Kept)), String::new());
    step.fits("its own log", after.1, |log| log.starts_with(&before.1));
}

/// What `line` writes, into a session of a host.
fn ssh_fed(world: &World, host: &str, line: &str) -> pipeline_tests::Outcome {
    let (account, port) = (account(host), deploy::PORT);
    let options =
        "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR";
    world.sh(host, &format!("{line} | timeout 30 ssh {options} -p {port} -i {KEY} {account}@{BACKUP}"))
}
