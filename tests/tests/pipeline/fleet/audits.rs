//! The audit, where there is an init to ask: units, timers, slots, nice values, and both halves together.

use super::step::Step;
use super::world::{BACKUP, World};

/// What holds on a fleet that Salt deployed, whatever it came through.
const HOLD: [&str; 6] = ["R1", "R2", "R3", "R4", "R8", "R12"];
/// What does not: the bucket of this story lets its writer do everything, and nobody set a budget.
const FAIL: [&str; 3] = ["R6", "R7", "R11"];
const FAILED: i32 = 6;

/// Both halves together: the server's own attempts, and the reports of the hosts.
pub(super) fn both_halves_say_what_holds(world: &World) {
    let mut step = Step::begin("audit");
    let mut words = String::from("snapshotter audit --all --json");
    for host in &world.hosts {
        let outcome = world.sh(host, "push-client audit --json");
        step.fits("code of a host's half", outcome.code, |code| [0, 3].contains(code));
        let half = format!("/root/half-of-{host}");
        world.fleet.write(BACKUP, &half, "0600", &outcome.stdout).unwrap();
        words.push_str(&format!(" --with {host}={half}"));
    }
    let outcome = world.sh(BACKUP, &words);
    let outcome = step.ended(outcome, FAILED);
    let lines = |what: &str| -> Vec<_> {
        let found = outcome.stdout.lines().filter_map(|line| line.split_once(' '));
        found.filter(|(_, rest)| rest.trim_start().starts_with(what)).map(|(id, _)| id).collect()
    };
    let (pass, fail) = (lines("pass"), lines("fail"));
    for requirement in HOLD {
        step.fits(&outcome.stdout, pass.as_slice(), |pass| pass.contains(&requirement));
    }
    for requirement in FAIL {
        step.fits(&outcome.stdout, fail.as_slice(), |fail| fail.contains(&requirement));
    }
}
