//! How a fleet is deployed by hand: programs, accounts and settings as a person would make them who has no Salt.

use pipeline_tests::machine::workspace;
use pipeline_tests::{Fleet, FleetOptions};

use super::offsite::Offsite;
use super::world::{BACKUP, World, account};
use crate::rig;

/// The port of the sshd that hosts push to.
pub(super) const PORT: u16 = 22;
const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key.pub";

/// Boots the backup server, `hosts`, and `others` that nothing is done to, and deploys the first two.
pub(super) fn by_hand(hosts: &[&'static str], others: &[&'static str]) -> World {
    let machines = [&[BACKUP], hosts, others].concat();
    let options = FleetOptions { machines: &machines, disk: "ext4:3G", ..FleetOptions::default() };
    let world = World { fleet: Fleet::up(&options).unwrap(), hosts: hosts.to_vec() };
    server(&world);
    for host in hosts {
        self::host(&world, host);
    }
    world
}

/// The backup server, with its histories on a disk that the current can be taken from.
fn server(world: &World) {
    let line = "mkdir -p /vol/firn /srv/firn /etc/firn/keys /etc/firn/hosts
        echo '/vol/firn /srv/firn none bind 0 0' >>/etc/fstab
        systemctl daemon-reload && mount /srv/firn";
    world.said(BACKUP, line);
    install(&world.fleet, BACKUP, &["snapshotter", "iceboxer"]);
    world.fleet.push_file(BACKUP, rig::programs().receiver(), "/usr/lib/firn/receiver").unwrap();
    let line = "useradd -r -M -s /usr/sbin/nologin firn; groupadd -r firn-read; usermod -aG firn-read firn
        useradd -r -M -s /usr/sbin/nologin -G firn-read firn-ice
        mkdir -p /srv/firn/jails /srv/firn/history; chmod 2750 /srv/firn/history; chown firn:firn-read /srv/firn/history";
    world.said(BACKUP, line);
    let text = "jails = \"/srv/firn/jails\"\nhistory = \"/srv/firn/history\"\nkeys = \"/etc/firn/keys\"\nreceiver = \"/usr/lib/firn/receiver\"\n";
    world.fleet.write(BACKUP, "/etc/firn/server.toml", "0644", text).unwrap();
    let unit = "[Unit]\nRequiresMountsFor=/srv/firn\n[Service]\nUser=firn\nExecStart=sh -c 'while :; do snapshotter ingest; sleep 1; done'\n[Install]\nWantedBy=multi-user.target\n";
    world.fleet.write(BACKUP, "/etc/systemd/system/firn-ingest.service", "0644", unit).unwrap();
    world.said(BACKUP, "systemctl daemon-reload; systemctl enable --now firn-ingest.service");
    Offsite::install(world);
}

/// A host: its key, its settings, and what the server has to know of it. Also for one that was installed anew.
pub(super) fn host(world: &World, host: &str) {
    let fleet = &world.fleet;
    install(fleet, host, &["push-client"]);
    let unit = workspace().join("systemd/firn-push.service");
    fleet.push_file(host, &unit, "/usr/lib/systemd/system/firn-push.service").unwrap();
    let key = "mkdir -p /etc/firn /var/lib/firn/push /data; systemctl daemon-reload
        [ -e /etc/firn/push_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -C '' -f /etc/firn/push_ed25519
        chmod 0400 /etc/firn/push_ed25519; cat /etc/firn/push_ed25519.pub";
    let key = world.said(host, key);
    fleet.write(BACKUP, &format!("/root/{host}.pub"), "0644", &format!("{key}\n")).unwrap();
    let from = String::new();
    world.said(BACKUP, &format!("snapshotter host add {host} --key /root/{host}.pub {from}"));
    world.said(
        BACKUP,
        "snapshotter host sshd-config --json | tail -n 1 | python3 -c \"import json, sys; print(json.load(sys.stdin)['details']['sshd_config'])\" >/etc/ssh/sshd_config.d/firn.conf; systemctl reload ssh",
    );
    let host_key = world.said(BACKUP, &format!("cut -d' ' -f1,2 {HOST_KEY}"));
    let account = account(host);
    let text = format!(
        "host = {host:?}\nroots = [\"/data\", \"/etc\"]\nstate = \"/var/lib/firn/push\"\nverdict_wait_seconds = 60\n\n[server]\naddress = \"{BACKUP}\"\nport = {PORT}\naccount = {account:?}\nkey = \"/etc/firn/push_ed25519\"\nhost_key = {host_key:?}\nconnect_seconds = 5\nidle_seconds = 20\n"
    );
    fleet.write(host, "/etc/firn/push.toml", "0600", &text).unwrap();
    let minute = crc32fast::hash(host.as_bytes()) % 60;
    let entry = format!("{minute} 2,10,18 * * * root systemctl start --no-block firn-push.service\n");
    fleet.write(host, "/etc/cron.d/firn-push", "0644", &entry).unwrap();
}

/// A machine for drills: the program and its folders, no more.
pub(super) fn drill(world: &World, machine: &str) {
    install(&world.fleet, machine, &["restore-drill"]);
    let line = "mkdir -p /etc/firn; install -d -m 700 /var/lib/firn/drill/quarantine /var/lib/firn/drill/records /root/ice-key";
    world.said(machine, line);
}

fn install(fleet: &Fleet, machine: &str, programs: &[&str]) {
    for program in programs {
        fleet.push_file(machine, &rig::programs().path(program), &format!("/usr/bin/{program}")).unwrap();
    }
}
