//! The snapshotter, killed while it ingests.

use std::process::Command;

use pipeline_tests::Outcome;
use pipeline_tests::checker::Moment;

use super::point::{Point, Telling, Watch, chosen};
use super::server::{POINTS_MAX, Server};
use super::{Least, Tally, is_possible_or_skipped};
use crate::rig;

pub(super) const LEAST: Least = Least { usual: 150, long: 1_200 };

/// Who is started, who may die, and how many points are tried of how it runs.
const WAYS: [(&str, Watch, usize); 3] = [
    // Whoever is first: mostly the decoder and the process that is confined to one host.
    ("ingest", Watch::Family, 110),
    // The parent: what it started may even finish without it.
    ("ingest", Watch::Alone, 45),
    // The confined process, while its decoder lives.
    ("ingest-host", Watch::Alone, 75),
];

#[test]
fn an_ingest_killed_at_any_call_leaves_history_whole_and_the_next_one_finishes() {
    const TEST: &str = "an_ingest_killed_at_any_call_leaves_history_whole_and_the_next_one_finishes";
    if !is_possible_or_skipped(TEST) {
        return;
    }
    let _turn = rig::turn();
    let mut tally = Tally::default();
    for (verb, watch, quick) in WAYS {
        let mut of_way = Tally::default();
        for points in chosen(points(verb, watch), quick).chunks(POINTS_MAX) {
            let mut server = Server::new();
            begin(&mut server);
            for point in points {
                let _telling = Telling(point);
                let (victim, left_behind, done) = kill_at(&mut server, verb, point);
                of_way.count(victim, left_behind, done);
                tally.count(victim, left_behind, done);
            }
        }
        println!("  {verb} {watch:?}: {of_way:?}");
        // A parent alone has little to leave: its child ends with it, or has ended.
        let is_parent = (verb, watch) == ("ingest", Watch::Alone);
        assert!(of_way.hit > 0 && (of_way.left_behind > 0 || is_parent), "{verb} {watch:?}: {of_way:?}");
    }
    tally.tell("ingest", LEAST);
    assert!(tally.done > 0, "no kill came after the commit");
}

fn command(server: &Server, verb: &str) -> Command {
    match verb {
        "ingest-host" => server.scratch.snapshotter(&[verb, &server.host.name]),
        _ => server.scratch.snapshotter(&[verb]),
    }
}

/// A first snapshot, for the others to be changes of.
fn begin(server: &mut Server) {
    let first = server.sample();
    server.seal(&first);
    server.accept(first, 1);
}

fn points(verb: &str, watch: Watch) -> Vec<Point> {
    let mut server = Server::new();
    begin(&mut server);
    let sample = server.sample();
    server.seal(&sample);
    let outcome = Outcome::of(&mut server.strace.watch(watch, &command(&server, verb))).unwrap();
    assert_eq!(outcome.code, 0, "{}", outcome.said());
    server.strace.points(watch, "nothing before it")
}

/// Returns who died, whether that left something unfinished, and whether the snapshot was there nevertheless.
fn kill_at(server: &mut Server, verb: &str, point: &Point) -> (Option<usize>, bool, bool) {
    let sample = server.sample();
    let count = server.count();
    server.seal(&sample);
    let sealed = server.sealed();
    assert_eq!(sealed, Some(sample.draft.bytes()));
    let outcome = Outcome::of(&mut server.strace.kill(point, &command(server, verb))).unwrap();
    server.settle();
    let victim = server.strace.victim();
    // The log and what it names are right at this very moment.
    let found = rig::sound(&server.scratch, &server.host, Moment::Any);
    assert_eq!(found.count("reject"), 0, "a kill is not the push's fault: {:?}", found.events);
    assert_eq!(server.views().dangling(&found), [""; 0]);
    let done = found.snapshots.len() == count;
    assert!(done || found.snapshots.len() == count - 1, "{:?}", found.events);
    let waits = server.sealed();
    assert!(done || waits == sealed, "it is neither in the history nor in the spool");
    assert!(done || outcome.code != 0, "a push waits and nobody is told: {}", outcome.said());
    // An untouched spool is no damage; a building site, or a snapshot whose push still waits, is.
    let left_behind = server.is_unfinished() || (done && waits.is_some());
    server.accept(sample, count);
    (victim, left_behind, done)
}
