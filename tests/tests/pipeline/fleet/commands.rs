//! Commands around a push, under a real init: what the unit keeps from them, and what the drop-in gives back.

use super::step::Step;
use super::world::{BACKUP, World};

/// What systemd/README.md asks for.
const DROP_IN: &str = "mkdir -p /etc/systemd/system/firn-push.service.d
    ln -s /usr/lib/firn/firn-push-commands.conf /etc/systemd/system/firn-push.service.d/commands.conf && systemctl daemon-reload";
/// One mounts, one is another account, one tells what became of it.
const COMMANDS: &str = r#"
[[before]]
command = ["/bin/mount", "--bind", "/data/small", "/mnt"]

[[dump]]
command = ["/usr/bin/id", "-un"]
user = "nobody"
path = "/var/backups/who"

[[after]]
command = ["/bin/sh", "-c", "echo $FIRN_EXIT >/var/lib/firn/after"]
"#;

/// Without the drop-in the push ends before it calls; with it, what was mounted is pushed, and the whole machine sees the mount.
pub(super) fn commands_are_kept_from_what_they_need_until_the_drop_in_is_there(world: &World, host: &str) {
    let mut step = Step::begin("commands");
    let settings = world.said(host, "cat /etc/firn/push.toml");
    let with = settings.replacen(r#"roots = ["/data", "/etc"]"#, r#"roots = ["/data", "/etc", "/mnt"]"#, 1);
    world.fleet.write(host, "/etc/firn/push.toml", "0600", &format!("{with}\n{COMMANDS}")).unwrap();
    let before = world.count(host);
    let kept = step.ended(world.push(host), 7);
    step.says(&kept, "before 1");
    step.is("snapshots", world.count(host), before);
    step.ended(world.sh(host, "mountpoint -q /mnt"), 32);
    world.said(host, DROP_IN);
    step.ended(world.push(host), 0);
    step.is("snapshots", world.count(host), before + 1);
    let name = world.sound(host).snapshots.last().expect("no snapshot").name.clone();
    let tree = format!("/srv/firn/history/{host}/{name}/tree");
    step.is(
        "the account of the dump",
        world.said(BACKUP, &format!("cat {tree}/var/backups/who")),
        "nobody".into(),
    );
    let mounted = world.sums(BACKUP, &format!("{tree}/mnt"));
    step.is("what was mounted", mounted, world.sums(host, "/data/small"));
    step.ended(world.sh(host, "mountpoint -q /mnt && umount /mnt"), 0);
    step.is("what the last command was told", world.said(host, "cat /var/lib/firn/after"), "0".into());
    world.fleet.write(host, "/etc/firn/push.toml", "0600", &format!("{settings}\n")).unwrap();
    world.said(host, "rm -r /etc/systemd/system/firn-push.service.d; systemctl daemon-reload");
    step.ended(world.push(host), 0);
    step.is("snapshots", world.count(host), before + 2);
}
