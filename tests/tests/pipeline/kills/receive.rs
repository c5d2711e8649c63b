//! The receiver, killed while it receives.

use std::process::Stdio;
use std::time::Duration;

use pipeline_tests::checker::Moment;
use pipeline_tests::rawpush::talk::bye;
use pipeline_tests::rawpush::{Answer, Draft, Talk};

use super::point::{Point, Telling, Watch, chosen};
use super::sample::Sample;
use super::server::{POINTS_MAX, Server};
use super::{Least, Tally, is_possible_or_skipped};
use crate::rig;

const LEAST: Least = Least { usual: 150, long: 300 };
/// Of each way, how many points are tried.
const QUICK: usize = 100;
const SESSION_MAX: Duration = Duration::from_secs(60);

/// What the session that is killed does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Begins,
    GoesOn,
}

#[test]
fn a_receiver_killed_at_any_call_seals_nothing_half_and_the_next_session_finishes() {
    const TEST: &str = "a_receiver_killed_at_any_call_seals_nothing_half_and_the_next_session_finishes";
    if !is_possible_or_skipped(TEST) {
        return;
    }
    let _turn = rig::turn();
    let mut tally = Tally::default();
    for way in [Way::Begins, Way::GoesOn] {
        let mut gone_on = 0;
        for points in chosen(points(way), QUICK).chunks(POINTS_MAX) {
            let mut server = Server::new();
            for point in points {
                let _telling = Telling(point);
                gone_on += usize::from(kill_at(&mut server, way, point, &mut tally));
            }
        }
        println!("  receive {way:?}: the next session went on with what it had {gone_on} times");
        assert!(gone_on > 0, "{way:?}: no session went on with a partial push");
    }
    tally.tell("receive", LEAST);
    assert!(tally.done > 0, "no kill came after the rename");
}

/// The calls of one session, from the first of the receiver itself: before it, its process was chroot's.
fn points(way: Way) -> Vec<Point> {
    let mut server = Server::new();
    let first = server.sample();
    server.seal(&first);
    server.accept(first, 1);
    let sample = server.sample();
    let (_, said) = prepare(&server, way, &sample);
    let answers = feed(&server, &said, None);
    assert!(matches!(answers.as_slice(), [Answer::Base(_), Answer::Sealed(_)]), "{answers:?}");
    server.strace.points(Watch::Alone, "/bin/receiver")
}

/// Whatever comes before the session to be killed. Returns the push it is to make, and what is said in it.
fn prepare(server: &Server, way: Way, sample: &Sample) -> (Draft, Vec<u8>) {
    if way == Way::Begins {
        return (sample.draft.clone(), sample.whole());
    }
    let (said, frames) = sample.cut();
    server.broken_session(|_| said);
    server.settle();
    sample.go_on(&sample.draft, frames)
}

/// A whole session, watched, and killed if there is a point.
fn feed(server: &Server, said: &[u8], point: Option<&Point>) -> Vec<Answer> {
    let command = rig::receiver(&server.scratch, &server.host);
    let mut command = match point {
        Some(point) => server.strace.kill(point, &command),
        None => server.strace.watch(Watch::Alone, &command),
    };
    let mut talk = Talk::start(command.stderr(Stdio::null())).unwrap();
    talk.say(&[said, &bye()].concat());
    talk.hang_up();
    let answers = talk.rest(SESSION_MAX);
    server.settle();
    answers
}

/// Returns whether the next session went on with what had arrived.
fn kill_at(server: &mut Server, way: Way, point: &Point, tally: &mut Tally) -> bool {
    let sample = server.sample();
    let (sent, said) = prepare(server, way, &sample);
    let before = server.incoming();
    let answers = feed(server, &said, Some(point));
    let victim = server.strace.victim();
    let bytes = sent.bytes();
    let sealed = server.sealed();
    assert!(sealed.is_none() || sealed.as_ref() == Some(&bytes), "another file is sealed than was sent");
    let told = answers.contains(&Answer::Sealed(sample.push));
    assert!(sealed.is_some() || !told, "it says sealed, and nothing is");
    let incoming = server.incoming();
    let was_sent = |part: &Vec<u8>| bytes.starts_with(part) || before.contains(part);
    assert!(incoming.iter().all(was_sent), "what arrived is not what was sent");
    rig::sound(&server.scratch, &server.host, Moment::Any);
    tally.count(victim, incoming != before && incoming.iter().any(|part| !part.is_empty()), sealed.is_some());
    let (base, answers) = server.session(|base| match base.partial {
        _ if base.queued == [sample.push] => Vec::new(),
        Some((push, frames)) => {
            assert_eq!(push, sample.push);
            sample.go_on(&sent, frames).1
        }
        None => sample.whole(),
    });
    let queued = base.queued == [sample.push];
    assert!(sealed.is_none() || queued, "a sealed push is not named: {base:?}");
    assert!(queued || answers == [Answer::Sealed(sample.push)], "{answers:?} after {base:?}");
    // Frames that were safe before the kill are not lost by it.
    let kept = |(_, frames)| frames >= sample.cut().1;
    assert!(queued || way == Way::Begins || base.partial.is_some_and(kept), "{base:?}");
    assert!(server.sealed().is_some() && server.incoming().is_empty());
    let count = server.count();
    server.accept(sample, count);
    base.partial.is_some()
}
