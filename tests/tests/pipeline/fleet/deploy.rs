//! How a fleet is deployed by hand: packages, and the few commands of a person who has no Salt.

use pipeline_tests::{Fleet, FleetOptions};

use super::by_salt;
use super::world::{BACKUP, World};
use crate::packages::built;
use crate::salt::srv::MASTER;

/// The port of the sshd that hosts push to.
pub(super) const PORT: u16 = 2222;
/// Thinly laid. The server keeps a GiB free.
const DISK: &str = "ext4:3G";

/// Boots the backup server, `hosts`, and `others` that nothing is done to, and deploys the first two.
pub(super) fn by_hand(hosts: &[&'static str], others: &[&'static str]) -> World {
    built();
    let machines = [&[BACKUP], hosts, others].concat();
    let options = FleetOptions { machines: &machines, disk: DISK, ..FleetOptions::default() };
    let world = World { fleet: Fleet::up(&options).unwrap(), hosts: hosts.to_vec(), srv: None };
    server(&world);
    for host in hosts {
        self::host(&world, host);
    }
    world
}

/// The same, deployed by a Salt master, which is one machine more.
pub(super) fn by_salt(hosts: &[&'static str], others: &[&'static str]) -> World {
    let srv = by_salt::served(hosts, others);
    let machines = [&[MASTER, BACKUP], hosts, others].concat();
    let master = Some((MASTER, srv.path()));
    let fleet = Fleet::up(&FleetOptions { machines: &machines, master, disk: DISK }).unwrap();
    let world = World { fleet, hosts: hosts.to_vec(), srv: Some(srv) };
    disk(&world);
    by_salt::deploy(&world.fleet, hosts);
    world
}

/// What the current can be taken from holds jails and histories.
fn disk(world: &World) {
    let line = "mkdir -p /vol/firn /srv/firn && echo '/vol/firn /srv/firn none bind 0 0' >>/etc/fstab
        systemctl daemon-reload && mount /srv/firn";
    world.said(BACKUP, line);
}

fn server(world: &World) {
    disk(world);
    install(&world.fleet, BACKUP, "firn-server");
    world.said(BACKUP, "systemctl enable --now firn-sshd.service firn-ingest.service firn-status.timer firn-verify.timer firn-prune.timer");
}

/// A host: its key, its settings, its slots, and what the server has to know of it. Also for one that was installed anew.
pub(super) fn host(world: &World, host: &str) {
    if world.srv.is_some() {
        return by_salt::host(world, host);
    }
    let fleet = &world.fleet;
    install(fleet, host, "firn-client");
    let line = "mkdir -p /etc/firn /var/lib/firn/push /data && chmod 700 /var/lib/firn/push
        ssh-keygen -q -t ed25519 -N '' -C '' -f /etc/firn/push_ed25519 </dev/null
        chmod 0400 /etc/firn/push_ed25519; cat /etc/firn/push_ed25519.pub";
    let key = world.said(host, line);
    let from = fleet.address(host).unwrap();
    let add = format!(
        "echo '{key}' >/root/{host}.pub && snapshotter host add {host} --key /root/{host}.pub --from {from}"
    );
    world.said(BACKUP, &add);
    let host_key = world.said(BACKUP, "cut -d' ' -f1,2 /etc/firn/ssh_host_ed25519_key.pub");
    let text = format!(
        "host = {host:?}\nroots = [\"/data\", \"/etc\"]\nstate = \"/var/lib/firn/push\"\nverdict_wait_seconds = 60\n\n[server]\naddress = \"{BACKUP}\"\nport = {PORT}\nkey = \"/etc/firn/push_ed25519\"\nhost_key = {host_key:?}\nconnect_seconds = 5\nidle_seconds = 20\n"
    );
    fleet.write(host, "/etc/firn/push.toml", "0600", &text).unwrap();
    let minute = crc32fast::hash(host.as_bytes()) % 60;
    let entry = format!("{minute} 2,10,18 * * * root systemctl start --no-block firn-push.service\n");
    fleet.write(host, "/etc/cron.d/firn-push", "0644", &entry).unwrap();
}

fn install(fleet: &Fleet, machine: &str, package: &str) {
    fleet.push_file(machine, &built().file(package), "/root/package.deb").unwrap();
    // What it depends on is in the image: there is no network to fetch it from.
    fleet
        .sh(machine, "dpkg -i /root/package.deb && rm /root/package.deb")
        .unwrap()
        .expect_code(&[0])
        .unwrap();
}
