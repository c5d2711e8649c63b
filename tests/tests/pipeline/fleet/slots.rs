//! Pushes that cron starts, at the minute that belongs to the host.

use std::time::Duration;

use super::step::Step;
use super::world::World;

/// Debian's place of the library that shows a program another clock.
const OTHER_CLOCK: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// cron lives in a day of its own, shortly before the slot; what it starts has the true clock. The slot's push comes; an hour that is no
/// slot brings none.
pub(super) fn pushes_fire_at_their_slots(world: &World) {
    let mut step = Step::begin("pushes at their slots");
    let before: Vec<_> = world.hosts.iter().map(|host| world.count(host)).collect();
    let last = world.hosts.len() - 1;
    for (number, host) in world.hosts.iter().enumerate() {
        let minute = crc32fast::hash(host.as_bytes()) % 60;
        let table = step.ended(world.sh(host, "crontab -l 2>/dev/null; cat /etc/cron.d/*"), 0);
        step.says(&table, &format!("{minute} 2,10,18 * * * "));
        // The last host waits for an hour that is none of its slots.
        let hour = if number == last { 3 } else { 10 };
        let (hour, before) = if minute == 0 { (hour - 1, 59) } else { (hour, minute - 1) };
        let dropin = format!(
            "[Service]\nEnvironment=LD_PRELOAD={OTHER_CLOCK} FAKETIME_DONT_FAKE_MONOTONIC=1 \"FAKETIME=@2027-01-04 {hour:02}:{before:02}:55\"\n"
        );
        world.fleet.write(host, "/etc/systemd/system/cron.service.d/clock.conf", "0644", &dropin).unwrap();
        world.said(host, "systemctl daemon-reload; systemctl restart cron");
    }
    for (host, before) in world.hosts.iter().zip(&before).take(last) {
        step.comes("a push", Duration::from_secs(60), || (world.count(host) > *before).then_some(()));
    }
    // As long as the others took, and through the minute in question.
    let host = world.hosts[last];
    step.comes("the minute", Duration::from_secs(60), || {
        let clock = "awk '{ print int($22 / 100) }' /proc/$(systemctl show -P MainPID cron)/stat; cut -d. -f1 /proc/uptime";
        let times: Vec<u64> = world.said(host, clock).lines().map(|line| line.parse().unwrap()).collect();
        (times[1] > times[0] + 15).then_some(())
    });
    step.is("snapshots of a host outside its slots", world.count(host), before[last]);
    for host in &world.hosts {
        world.said(
            host,
            "rm -r /etc/systemd/system/cron.service.d; systemctl daemon-reload; systemctl restart cron",
        );
    }
}
