//! The audit, where there is an init to ask: units, timers, slots, nice values, and both halves together.

use super::step::Step;
use super::world::{BACKUP, World};

/// What must be found to hold on a fleet that Salt deployed, with ice in a locked bucket.
const HOLD: [&str; 6] = ["R1", "R2", "R3", "R4", "R6", "R7"];
const FAILED: i32 = 6;

/// Both halves, on the hosts that still push. No requirement fails.
pub(super) fn both_halves_say_what_holds(world: &World, hosts: &[&str]) {
    let mut step = Step::begin("audit");
    let mut halves = String::new();
    for host in hosts {
        let outcome = world.sh(host, "push-client audit --json");
        step.fits("code of a host's half", outcome.code, |code| [0, 3].contains(code));
        halves.push_str(outcome.stdout.lines().last().unwrap());
        halves.push('\n');
    }
    world.fleet.write(BACKUP, "/root/halves", "0600", &halves).unwrap();
    let outcome = world.sh(BACKUP, "snapshotter audit --all -v --with /root/halves --json");
    println!("{}\n{}", outcome.stdout, outcome.stderr);
    step.fits("code", outcome.code, |code| *code != FAILED && *code < 10);
    for requirement in HOLD {
        step.says(&outcome, &format!("{requirement} pass"));
    }
}
