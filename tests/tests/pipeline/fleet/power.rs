//! The current goes while the server writes.

use std::time::Duration;

use pipeline_tests::checker::history::Found;

use super::step::Step;
use super::world::{BACKUP, World};

/// In the middle of an ingest the server loses its current, and with it what was not synced. Every snapshot that counted before counts
/// after, what did not is not there, and the push is accepted without being sent again.
pub(super) fn the_server_loses_its_current_while_it_ingests(world: &World, host: &str) {
    let mut step = Step::begin("the server's current is cut");
    let before = world.sound(host);
    let line = "mkdir -p /data/many && cd /data/many && for n in $(seq 20000); do echo $n >$n; done
        head -c 20000000 /dev/urandom >../bulk";
    world.said(host, line);
    world.said(BACKUP, "systemctl disable --now firn-ingest.service");
    // Sealed, and no verdict: nobody ingests.
    let quick = "sed 's/^verdict_wait_seconds.*/verdict_wait_seconds = 0/' /etc/firn/push.toml >/root/quick.toml && push-client --config /root/quick.toml run";
    step.ended(world.sh(host, quick), 18);
    let found = world.sound(host);
    step.is("snapshots before", found.snapshots.len(), before.snapshots.len());
    world.said(BACKUP, "sync");
    let names: Vec<_> =
        before.snapshots.iter().map(|snapshot| format!("-not -path '*/{}/*'", snapshot.name)).collect();
    let fresh = format!(
        "find /srv/firn/history/{host} -newer /etc/firn/server.toml {} -path '*many*' -type f 2>/dev/null | head -n 20 | wc -l",
        names.join(" ")
    );
    // Looked at and stopped on the machine itself: an ingest does not wait for who looks from afar.
    let middle = format!(
        "systemctl start --no-block firn-ingest.service
        for n in $(seq 3000); do [ \"$({fresh})\" = 20 ] && pkill -STOP -u firn && exit 0; sleep .01; done; exit 1"
    );
    step.ended(world.sh(BACKUP, &middle), 0);
    world.fleet.powercut(BACKUP).unwrap();
    world.fleet.boot(BACKUP).unwrap();
    // Nobody ingests yet. It was in the middle: the push still waits, whole, and nothing of it counts.
    let after = world.sound(host);
    let roots = |found: &Found| found.snapshots.iter().map(|one| one.root.clone()).collect::<Vec<_>>();
    step.is("snapshots after the cut", roots(&after), roots(&before));
    let sealed = format!("ls /srv/firn/jails/{host}/spool/sealed | wc -l");
    step.is("pushes that wait", world.said(BACKUP, &sealed), "1".to_owned());
    step.ended(world.sh(BACKUP, "snapshotter verify"), 0);
    step.ended(world.sh(BACKUP, "systemctl enable --now firn-ingest.service"), 0);
    step.comes("the snapshot", Duration::from_secs(60), || {
        (world.count(host) == before.snapshots.len() + 1).then_some(())
    });
    step.is("the newest snapshot", world.newest(host), world.data(host));
    step.ended(world.sh(BACKUP, "snapshotter verify"), 0);
    let next = step.ended(world.push(host), 0);
    step.says(&next, "\"exit\":0");
}
