//! The receiver, killed while it receives.

use std::process::Stdio;
use std::time::Duration;

use pipeline_tests::checker::Moment;
use pipeline_tests::rawpush::talk::bye;
use pipeline_tests::rawpush::{Answer, Talk};

use super::point::{Point, Telling, Watch, chosen};
use super::sample::Sample;
use super::server::{POINTS_MAX, Server};
use super::{Tally, is_possible_or_skipped};
use crate::rig;

const QUICK: usize = 190;
const LEAST: usize = 150;
const SESSION_MAX: Duration = Duration::from_secs(60);

#[test]
#[ignore = "unfinished: takes minutes, and its checks are not settled yet"]
fn a_receiver_killed_at_any_call_seals_nothing_half_and_the_next_session_finishes() {
    const TEST: &str = "a_receiver_killed_at_any_call_seals_nothing_half_and_the_next_session_finishes";
    if !is_possible_or_skipped(TEST) {
        return;
    }
    let _turn = rig::turn();
    let mut tally = Tally::default();
    let mut gone_on = 0;
    for points in chosen(points(), QUICK).chunks(POINTS_MAX) {
        let mut server = Server::new();
        for point in points {
            let _telling = Telling(point);
            gone_on += usize::from(kill_at(&mut server, point, &mut tally));
        }
    }
    println!("  receive: gone on with {gone_on} times");
    tally.tell("receive", LEAST);
    assert!(gone_on > 0, "no session went on with a partial push");
}

/// The calls of one session, from the first of the receiver itself: before it, its process was chroot's.
fn points() -> Vec<Point> {
    let mut server = Server::new();
    let first = server.sample();
    server.seal(&first);
    server.accept(first, 1);
    let sample = server.sample();
    let answers = feed(&server, &sample, None);
    assert!(matches!(answers.as_slice(), [Answer::Base(_), Answer::Sealed(_)]), "{answers:?}");
    server.strace.points(Watch::Alone, "/bin/receiver")
}

/// A whole session, watched, and killed if there is a point.
fn feed(server: &Server, sample: &Sample, point: Option<&Point>) -> Vec<Answer> {
    let command = rig::receiver(&server.scratch, &server.host);
    let mut command = match point {
        Some(point) => server.strace.kill(point, &command),
        None => server.strace.watch(Watch::Alone, &command),
    };
    let mut talk = Talk::start(command.stderr(Stdio::null())).unwrap();
    talk.say(&[sample.whole(), bye()].concat());
    talk.hang_up();
    let answers = talk.rest(SESSION_MAX);
    server.settle();
    answers
}

/// Returns whether the next session went on with what had arrived.
fn kill_at(server: &mut Server, point: &Point, tally: &mut Tally) -> bool {
    let sample = server.sample();
    let answers = feed(server, &sample, Some(point));
    let victim = server.strace.victim();
    let bytes = sample.draft.bytes();
    let sealed = server.sealed();
    assert!(sealed.is_none() || sealed.as_ref() == Some(&bytes), "another file is sealed than was sent");
    let told = answers.contains(&Answer::Sealed(sample.push));
    assert!(sealed.is_some() || !told, "it says sealed, and nothing is");
    let incoming = server.incoming();
    assert!(incoming.iter().all(|part| bytes.starts_with(part)), "what arrived is not what was sent");
    rig::sound(&server.scratch, &server.host, Moment::Any);
    tally.count(victim, incoming.iter().any(|part| !part.is_empty()), sealed.is_some());
    let (base, answers) = server.session(|base| match base.partial {
        _ if base.queued == [sample.push] => Vec::new(),
        Some((push, frames)) => {
            assert_eq!(push, sample.push);
            sample.rest(frames)
        }
        None => sample.whole(),
    });
    let queued = base.queued == [sample.push];
    assert!(sealed.is_none() || queued, "a sealed push is not named: {base:?}");
    assert!(queued || answers == [Answer::Sealed(sample.push)], "{answers:?} after {base:?}");
    assert!(server.sealed().is_some() && server.incoming().is_empty());
    let count = server.count();
    server.accept(sample, count);
    base.partial.is_some()
}
