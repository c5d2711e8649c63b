//! push-client and the child that speaks SSH, killed while they push.

use std::fs;
use std::os::unix::fs::symlink;

use pipeline_tests::Outcome;
use pipeline_tests::checker::item::Item;
use pipeline_tests::checker::live::{compare, scan};
use pipeline_tests::checker::{Moment, told};

use super::point::{Point, Telling, Watch, chosen};
use super::sample::noise;
use super::server::{POINTS_MAX, Server};
use super::{Least, Tally, is_possible_or_skipped};
use crate::rig;

const LEAST: Least = Least { usual: 60, long: 2_500 };
/// Sealed, not yet accepted.
const PENDING: i32 = 18;
/// Who may die, and how many points are tried of how it runs.
const WAYS: [(Watch, usize); 2] = [(Watch::Family, 80), (Watch::Alone, 35)];

#[test]
fn a_push_killed_at_any_call_seals_nothing_half_and_the_next_one_finishes() {
    const TEST: &str = "a_push_killed_at_any_call_seals_nothing_half_and_the_next_one_finishes";
    if !is_possible_or_skipped(TEST) {
        return;
    }
    let _turn = rig::turn();
    let mut tally = Tally::default();
    for (watch, quick) in WAYS {
        for points in chosen(points(watch), quick).chunks(POINTS_MAX) {
            let server = Server::new();
            begin(&server);
            for (number, point) in (2..).zip(points) {
                let _telling = Telling(point);
                kill_at(&server, number, point, &mut tally);
            }
        }
    }
    tally.tell("push", LEAST);
    assert!(tally.victims[0] > 0 && tally.victims[1] > 0, "one of the two was never killed: {tally:?}");
}

/// A source, and its first snapshot.
fn begin(server: &Server) {
    let source = &server.source;
    rig::file(&source.join("etc/keep"), b"keep\n");
    rig::file(&source.join("etc/one"), b"hard\n");
    fs::hard_link(source.join("etc/one"), source.join("etc/two")).unwrap();
    fs::hard_link(source.join("etc/one"), source.join("etc/three")).unwrap();
    symlink("keep", source.join("etc/link")).unwrap();
    rig::file(&source.join("var/nothing"), b"");
    fs::create_dir(source.join("var/empty")).unwrap();
    change(server, 1);
    finish(server, 1, &now(server));
}

/// A file goes, one comes, two change, one of them of three names.
fn change(server: &Server, number: u64) {
    let source = &server.source;
    let _ = fs::remove_file(source.join(format!("etc/new-{}", number - 1)));
    rig::file(&source.join(format!("etc/new-{number}")), number.to_string().as_bytes());
    rig::file(&source.join("etc/one"), format!("hard {number}").as_bytes());
    rig::file(&source.join("var/big"), &noise(number, 5 << 19));
}

/// What the host has, without the folders above its source, which others change too.
fn now(server: &Server) -> Vec<Item> {
    own(server, scan(&[&server.source]).unwrap())
}

fn own(server: &Server, items: Vec<Item>) -> Vec<Item> {
    let source = server.source.to_str().unwrap().as_bytes()[1..].to_vec();
    items.into_iter().filter(|item| item.path.starts_with(&source)).collect()
}

fn points(watch: Watch) -> Vec<Point> {
    let server = Server::new();
    begin(&server);
    change(&server, 2);
    let push = server.scratch.push_client(&server.host, &["run"]);
    let outcome = Outcome::of(&mut server.strace.watch(watch, &push)).unwrap();
    assert_eq!(outcome.code, PENDING, "{}", outcome.said());
    server.strace.points(watch, "nothing before it")
}

fn kill_at(server: &Server, number: u64, point: &Point, tally: &mut Tally) {
    change(server, number);
    let expected = now(server);
    let push = server.scratch.push_client(&server.host, &["run"]);
    let outcome = Outcome::of(&mut server.strace.kill(point, &push)).unwrap();
    server.settle();
    let victim = server.strace.victim();
    // Looks at the file too: it is whole, or it is not there.
    let sealed = server.sealed().is_some();
    assert!(sealed || outcome.code != PENDING, "it says sealed, and nothing is: {}", outcome.said());
    rig::sound(&server.scratch, &server.host, Moment::Any);
    let arrived = server.incoming().iter().any(|part| !part.is_empty());
    tally.count(victim, arrived, sealed);
    finish(server, number, &expected);
}

/// A push that nobody disturbs: sealed, ingested, and equal to the source.
fn finish(server: &Server, number: u64, expected: &[Item]) {
    let outcome = server.scratch.push(&server.host).unwrap();
    assert_eq!(outcome.code, PENDING, "{}", outcome.said());
    let ingest = server.scratch.ingest().unwrap();
    assert_eq!(ingest.code, 0, "{}", ingest.said());
    let found = rig::sound(&server.scratch, &server.host, Moment::Quiet);
    assert_eq!(found.count("reject"), 0, "{:?}", found.events);
    assert!(found.snapshots.len() as u64 >= number, "{:?}", found.events);
    let differences = compare(expected, &own(server, found.snapshots.last().unwrap().items.clone()));
    assert!(differences.is_empty(), "{}", told(&differences));
}
