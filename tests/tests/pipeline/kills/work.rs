//! The other work of a server, killed at any call: a prune, a repair, and a restore.

use pipeline_tests::checker::Moment;

use super::ground::{Ground, Work};
use super::point::{Point, Telling, chosen};
use super::{Least, Tally, is_possible_or_skipped};
use crate::rig;

/// How many points are tried, and how many must be hit.
const QUICK: usize = 90;
pub(super) const PRUNE: Least = Least { usual: 50, long: 600 };
pub(super) const REPAIR: Least = Least { usual: 50, long: 750 };
pub(super) const RESTORE: Least = Least { usual: 50, long: 700 };

#[test]
fn a_prune_killed_at_any_call_removes_nothing_else_and_the_next_one_finishes() {
    const TEST: &str = "a_prune_killed_at_any_call_removes_nothing_else_and_the_next_one_finishes";
    killed(TEST, Work::Prune, PRUNE);
}

#[test]
fn a_repair_killed_at_any_call_loses_nothing_else_and_the_next_one_finishes() {
    const TEST: &str = "a_repair_killed_at_any_call_loses_nothing_else_and_the_next_one_finishes";
    killed(TEST, Work::Repair, REPAIR);
}

#[test]
fn a_restore_killed_at_any_call_leaves_no_wrong_file_and_the_next_one_brings_all_back() {
    const TEST: &str = "a_restore_killed_at_any_call_leaves_no_wrong_file_and_the_next_one_brings_all_back";
    killed(TEST, Work::Restore, RESTORE);
}

fn killed(test: &str, work: Work, least: Least) {
    if !is_possible_or_skipped(test) {
        return;
    }
    let _turn = rig::turn();
    let ground = Ground::new();
    let mut tally = Tally::default();
    for point in chosen(ground.points(work), QUICK) {
        let _telling = Telling(&point);
        kill_at(&ground, work, &point, &mut tally);
    }
    println!("  views were not current {} times", ground.stale.get());
    assert!(work != Work::Prune || ground.stale.get() > 0, "no kill came between a removal and its views");
    tally.tell(&format!("{work:?}").to_lowercase(), least);
}

fn kill_at(ground: &Ground, work: Work, point: &Point, tally: &mut Tally) {
    ground.reset(work);
    let ran = ground.run(work, |command| ground.server.strace.kill(point, command));
    ground.assert_holds(work, &ran);
    let victim = ground.server.strace.victim();
    let (found, breaches) = ground.look(Moment::Any, work, &ran);
    if work == Work::Repair && ran.told {
        ground.rot.assert_only_wanted(&found, &breaches);
    }
    let left = ground.is_unfinished(work);
    let done = match work {
        Work::Restore => ran.told,
        Work::Repair => found.count("healed") > 0,
        _ => found.count("freed") > 0,
    };
    tally.count(victim, left, done);
    ground.converge(work);
}
