//! A host whose firewall drops every connection that it makes: the server comes to it.

use std::time::Duration;

use super::step::Step;
use super::world::{BACKUP, World};

const NO_CONNECTION: i32 = 19;

/// Nothing that the host begins leaves it; what others began goes on.
const FIREWALL: &str = "nft add table inet firn && nft 'add chain inet firn out { type filter hook output priority 0; policy drop; }' &&
    nft add rule inet firn out oif lo accept && nft add rule inet firn out ct state established,related accept";

pub(super) fn a_host_that_may_call_nobody_pushes_through_the_port_that_the_server_opens(
    world: &World,
    host: &str,
) {
    let mut step = Step::begin("a host that may call nobody");
    let before = world.count(host);
    world.said(host, "mkdir -p /data && date > /data/behind-a-wall");
    // Control: from now on it reaches nobody.
    world.said(host, FIREWALL);
    step.ended(world.push(host), NO_CONNECTION);
    set_up(world, host);
    let listens = "ss -Hltn 'sport = :5022' | grep -c '127.0.0.1:5022'";
    step.comes("the port", Duration::from_secs(60), || (world.sh(host, listens).code == 0).then_some(()));
    step.ended(world.push(host), 0);
    step.is("snapshots", world.count(host), before + 1);
    step.is("what was pushed", world.newest(host), world.data(host));
    // The key does nothing else there, tried by the server's half of the audit, and by hand.
    let address = world.fleet.address(host).unwrap();
    let call = format!(
        "ssh -F none -T -o BatchMode=yes -o LogLevel=ERROR -o HostKeyAlias={host} -o UserKnownHostsFile=/etc/firn/rendezvous/known_hosts \
         -o ConnectTimeout=5 -i /etc/firn/rendezvous/key_ed25519 -l firn-rendezvous"
    );
    for (words, to) in [("", "id"), ("-W 127.0.0.1:22", ""), ("-W 10.77.0.1:22", ""), ("-s", "sftp")] {
        let tried = world.sh(BACKUP, &format!("timeout 10 {call} {words} {address} {to} </dev/null"));
        assert!(tried.code != 0 && tried.stdout.is_empty(), "{words} {to}: {}", tried.said());
    }
    let audit = world.sh(BACKUP, "snapshotter audit -v");
    let line = format!("{host}, with the key that opens its port, to run a command: refused");
    assert!(audit.stderr.contains(&line), "{}", audit.said());
    let audit = world.sh(host, "push-client audit -v");
    assert!(audit.stderr.contains("have port 5022 of this host's loopback listen"), "{}", audit.said());
    assert!(audit.stderr.contains("port 5022 to listen on, and nothing else"), "{}", audit.said());
    // A host that was off is called again by itself.
    world.fleet.kill(host).unwrap();
    world.fleet.boot(host).unwrap();
    world.said(host, FIREWALL);
    step.comes("the port", Duration::from_secs(180), || (world.sh(host, listens).code == 0).then_some(()));
    world.said(host, "date > /data/after-a-night");
    step.ended(world.push(host), 0);
    step.is("snapshots", world.count(host), before + 2);
}

/// What docs/rendezvous.md says.
fn set_up(world: &World, host: &str) {
    let server = world.fleet.address(BACKUP).unwrap();
    let address = world.fleet.address(host).unwrap();
    let key = world.said(
        BACKUP,
        "ssh-keygen -q -t ed25519 -N '' -C backup -f /etc/firn/rendezvous/key_ed25519 && cat /etc/firn/rendezvous/key_ed25519.pub",
    );
    world.fleet.write(host, "/root/rendezvous.pub", "0644", &format!("{key}\n")).unwrap();
    let line = format!(
        "set -e
        useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin --password '*' firn-rendezvous
        push-client rendezvous key /root/rendezvous.pub --from {server} > /etc/firn/rendezvous_keys
        push-client rendezvous sshd-config > /etc/ssh/sshd_config.d/60-firn-rendezvous.conf
        sshd -t && systemctl reload ssh
        sed -i 's/^address = .*/address = \"127.0.0.1\"/; s/^port = .*/port = 5022/' /etc/firn/push.toml
        cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub"
    );
    let host_key = world.said(host, &line);
    let line = format!(
        "set -e
        echo 'ADDRESS={address}' > /etc/firn/rendezvous/{host}.env
        echo '{host} {host_key}' >> /etc/firn/rendezvous/known_hosts
        snapshotter host add {host} --key /root/{host}.pub --from 127.0.0.1
        systemctl enable --now firn-rendezvous@{host}.service"
    );
    world.said(BACKUP, &line);
}
