//! The quiet part: deployed, pushed, pushed again.

use super::step::Step;
use super::world::{BACKUP, World};

/// What a fleet is deployed by: [`super::deploy`].
pub(super) type Deploy = fn(&[&'static str], &[&'static str]) -> World;

/// A fleet from nothing, with a few files on each host.
pub(super) fn deployed(deploy: Deploy, hosts: &[&'static str], others: &[&'static str]) -> World {
    let mut step = Step::begin("deployed");
    let world = deploy(hosts, others);
    for host in hosts {
        let line = "mkdir -p /data/small && cd /data && head -c 300000 /dev/urandom >noise && ln noise small/second
            ln -s ../noise small/link; for n in $(seq 50); do echo \"$n $(hostname)\" >small/$n; done; : >empty";
        step.ended(world.sh(host, line), 0);
        step.is(
            "units that failed",
            world.said(host, "systemctl --failed --plain --no-legend"),
            String::new(),
        );
    }
    step.is("units that failed", world.said(BACKUP, "systemctl --failed --plain --no-legend"), String::new());
    world
}

/// Every host pushes twice, by its unit.
pub(super) fn first_pushes(world: &World) {
    let mut step = Step::begin("first pushes");
    for host in &world.hosts {
        step.ended(world.push(host), 0);
        step.is("snapshots", world.count(host), 1);
        step.is("the newest snapshot", world.newest(host), world.data(host));
        world.said(host, "echo changed >/data/small/7; rm /data/small/8");
        step.ended(world.push(host), 0);
        step.is("snapshots", world.count(host), 2);
        step.is("the newest snapshot", world.newest(host), world.data(host));
    }
}
