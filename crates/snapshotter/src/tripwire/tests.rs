//! Trees as they are, and what is done to them.

use std::collections::BTreeMap;
use std::convert::Infallible;

use formats::change::{Applied, apply, diff};
use formats::entry::{Body, Entry, Kind, Meta, Mtime, Node};
use formats::records::log::{Alarm, Measured};
use formats::{ContentHash, RelPath};

use super::judge::adds_up;
use super::measure::file;
use super::*;

/// Names and contents; the second number is the size.
type Tree = BTreeMap<String, (u64, u64)>;

fn wires() -> Wires {
    TypedTripwires::default().meant(&TypedTripwires::default())
}

fn entries(tree: &Tree) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        tree.iter().map(|(name, (content, size))| entry(name, *content, *size)).collect();
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries
}

fn entry(name: &str, content: u64, size: u64) -> Entry {
    let mtime = Mtime { seconds: 0, nanos: 0 };
    let meta = Meta { mode: 0o644, owner: 0, group: 0, mtime, links: 1, attributes: Vec::new() };
    let kind = Kind::File { size, content: ContentHash::of(&content.to_le_bytes()) };
    Entry { path: RelPath::new(name.as_bytes()).unwrap(), body: Body::Node(Node { meta, kind }) }
}

/// So many files of a thousand bytes.
fn tree(files: u64) -> Tree {
    (0..files).map(|n| (format!("home/d{:02}/f{n:06}.txt", n % 40), (n, 1_000))).collect()
}

fn measured<'a>(wires: &'a Wires, old: &Tree, new: &Tree) -> Meter<'a> {
    let mut meter = Meter::new(&wires.canaries, 7);
    let ok = |entry| Ok::<_, Infallible>(entry);
    compare(&mut meter, entries(old).into_iter().map(ok), entries(new).into_iter().map(ok)).unwrap();
    let wanted = meter.wanted();
    let there = entries(new).iter().filter_map(|entry| Some(file(entry)?.1.1)).collect();
    meter.survived(wanted.intersection(&there).copied().collect());
    meter
}

fn findings_of(wires: &Wires, old: &Tree, new: &Tree, past: &Past) -> Vec<Alarm> {
    judge(&measured(wires, old, new), wires, past).into_iter().map(|finding| finding.what).collect()
}

fn found(old: &Tree, new: &Tree) -> Vec<Alarm> {
    findings_of(&wires(), old, new, &Past::default())
}

/// The same tree, with this done to each file whose number is below so many.
fn with(old: &Tree, first: usize, change: impl Fn(&str, (u64, u64)) -> Option<(String, (u64, u64))>) -> Tree {
    let changed = old.iter().enumerate().filter_map(|(place, (name, file))| {
        if place < first { change(name, *file) } else { Some((name.clone(), *file)) }
    });
    changed.collect()
}

fn rewritten(name: &str, (content, size): (u64, u64)) -> Option<(String, (u64, u64))> {
    Some((name.to_owned(), (content + 1_000_000, size + 7)))
}

/// What becomes of a file, by its name and (content, size); none if it is gone.
type Change<'a> = &'a dyn Fn(&str, (u64, u64)) -> Option<(String, (u64, u64))>;

#[test]
fn what_destroys_files_is_seen_and_a_step_less_is_not() {
    let old = tree(1_000);
    let locked = |name: &str, (content, size): (u64, u64)| {
        Some((format!("{name}.locked"), (content + 1_000_000, size)))
    };
    let emptied = |name: &str, _: (u64, u64)| Some((name.to_owned(), (9_999_999, 0)));
    let gone = |_: &str, _: (u64, u64)| None;
    let cases: [(&str, usize, Change<'_>, &[Alarm]); 4] = [
        ("rewritten", 500, &rewritten, &[Alarm::Changed]),
        ("deleted", 400, &gone, &[Alarm::Deleted]),
        ("emptied", 200, &emptied, &[Alarm::Shrunken]),
        ("renamed", 100, &locked, &[Alarm::Extension]),
    ];
    for (what, least, change, alarms) in cases {
        assert_eq!(found(&old, &with(&old, least, change)), alarms, "{what}");
        assert_eq!(found(&old, &with(&old, least - 1, change)), [], "{what}");
    }
    assert_eq!(found(&old, &Tree::new()), [Alarm::Deleted]);
    assert_eq!(found(&old, &old), []);
}

#[test]
fn a_small_host_raises_no_alarm_by_a_few_files_but_by_all() {
    let five = tree(5);
    assert_eq!(found(&five, &with(&five, 3, rewritten)), []);
    let twenty = tree(20);
    assert_eq!(found(&twenty, &with(&twenty, 17, rewritten)), []);
    assert_eq!(found(&twenty, &with(&twenty, 18, rewritten)), [Alarm::Changed]);
    assert_eq!(found(&twenty, &Tree::new()), [Alarm::Deleted]);
    assert_eq!(found(&Tree::new(), &tree(1_000)), [], "nothing is lost of nothing");
}

#[test]
fn what_is_moved_or_rotated_is_not_lost() {
    let old = tree(1_000);
    let moved: Tree =
        old.iter().map(|(name, file)| (name.replace("home/", "srv/old.home/"), *file)).collect();
    assert_eq!(found(&old, &moved), []);
    // log.1 becomes log.2, and so on; one is new.
    let logs: Tree = (0..200).map(|n| (format!("log/app.{n:03}.gz"), (n, 5_000))).collect();
    let rotated: Tree =
        (0..200u64).map(|n| (format!("log/app.{n:03}.gz"), (n.wrapping_sub(1), 5_000))).collect();
    assert_eq!(found(&logs, &rotated), []);
    let lost: Tree = (0..200).map(|n| (format!("log/app.{n:03}.gz"), (n + 777, 5_000))).collect();
    assert_eq!(found(&logs, &lost), [Alarm::Changed], "the control");
}

#[test]
fn objects_that_git_packed_are_not_lost_and_without_a_pack_they_are() {
    let object = |n: u64| format!("srv/repo.git/objects/{:02x}/{:038x}", n % 256, n);
    let mut old: Tree = (0..2_000).map(|n| (object(n), (n, 300))).collect();
    old.insert("srv/repo.git/HEAD".into(), (1, 23));
    let mut new = Tree::from([("srv/repo.git/HEAD".to_owned(), (1, 23))]);
    assert_eq!(found(&old, &new), [Alarm::Deleted], "the control");
    new.insert("srv/other.git/objects/pack/pack-1.pack".into(), (5_000, 90_000));
    assert_eq!(found(&old, &new), [Alarm::Deleted], "a pack of another store");
    new.insert("srv/repo.git/objects/pack/pack-1.pack".into(), (5_000, 90_000));
    assert_eq!(found(&old, &new), []);
}

#[test]
fn a_canary_is_an_alarm_by_itself_and_a_new_time_is_none() {
    let typed: TypedTripwires = TypedTripwires::of_canaries(&["/home/**/.canary*", "/etc/never"]);
    let wires = typed.meant(&TypedTripwires::default());
    let mut old = tree(50);
    old.insert("home/d01/.canary-1".into(), (1, 100));
    old.insert("etc/never".into(), (2, 100));
    let past = Past::default();
    assert_eq!(findings_of(&wires, &old, &old, &past), []);
    let mut other = old.clone();
    other.insert("home/d01/.canary-2".into(), (3, 100));
    other.insert("home/d01/canary".into(), (3, 100));
    assert_eq!(findings_of(&wires, &old, &other, &past), [], "a new one is no alarm");
    for name in ["home/d01/.canary-1", "etc/never"] {
        let mut gone = old.clone();
        gone.remove(name);
        assert_eq!(findings_of(&wires, &old, &gone, &past), [Alarm::Canary], "{name}");
        let mut touched = old.clone();
        touched.insert(name.into(), (99, 100));
        assert_eq!(findings_of(&wires, &old, &touched, &past), [Alarm::Canary], "{name}");
        assert_eq!(found(&old, &touched), [], "without canaries, {name}");
    }
}

#[test]
fn each_tripwire_can_be_switched_off() {
    let old = tree(1_000);
    let new =
        with(&old, 1_000, |name, (content, _)| Some((format!("{name}.locked"), (content + 1_000_000, 1))));
    assert_eq!(found(&old, &new), [Alarm::Deleted, Alarm::Extension]);
    let off = Wires { deleted: 0, ..wires() };
    assert_eq!(findings_of(&off, &old, &new, &Past::default()), [Alarm::Extension]);
    let off = Wires { deleted: 0, extension: 0, ..wires() };
    assert_eq!(findings_of(&off, &old, &new, &Past::default()), []);
}

#[test]
fn a_host_that_always_changes_much_is_measured_by_itself_but_never_to_the_end() {
    let old = tree(1_000);
    let usual = |changed| Past {
        pushes: vec![Measured { files: 1_000, changed, ..Measured::default() }; 10],
        between: 1,
    };
    let new = with(&old, 600, rewritten);
    let (quiet, busy) = (usual(1), usual(250));
    assert_eq!(findings_of(&wires(), &old, &new, &quiet), [Alarm::Changed]);
    assert_eq!(findings_of(&wires(), &old, &new, &busy), []);
    let all = with(&old, 1_000, rewritten);
    assert_eq!(findings_of(&wires(), &old, &all, &usual(1_000)), [Alarm::Changed]);
    // Four pushes of ten that somebody made large on purpose change nothing.
    let mut steered = quiet.clone();
    steered.pushes.iter_mut().take(4).for_each(|one| one.changed = 1_000);
    assert_eq!(findings_of(&wires(), &old, &new, &steered), [Alarm::Changed]);
}

#[test]
fn an_ending_that_is_new_is_no_alarm_unless_something_went_for_it() {
    let old = tree(1_000);
    let mut new = old.clone();
    new.extend((0..5_000).map(|n| (format!("opt/new/{n}.rs"), (n + 50_000, 900))));
    assert_eq!(found(&old, &new), []);
    // As many endings as files, so that none is counted often: the one of an attack still is.
    let mut many =
        with(&old, 300, |name, (content, size)| Some((format!("{name}.locked"), (content + 90_000, size))));
    many.extend((0..3_000).map(|n| (format!("home/d00/x{n}.e{n}"), (n + 200_000, 900))));
    assert_eq!(found(&old, &many), [Alarm::Extension]);
}

#[test]
fn noise_is_what_is_encrypted_and_not_what_was_compressed_before() {
    let noise = |length: usize, seed: u32| -> Vec<u8> {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let step = move |_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 11) as u8
        };
        (0..length).map(step).collect()
    };
    let text = |length: usize| {
        "the quick brown fox jumps over the lazy dog; ".bytes().cycle().take(length).collect::<Vec<u8>>()
    };
    for length in [256, 300, 512, 1_000, 2_048, 4_096, 16_384] {
        for seed in 1..50 {
            assert!(noise::rises(&[text(length)], &[noise(length, seed)]), "{length} {seed}");
        }
        assert!(!noise::rises(&[text(length)], &[text(length / 2)]));
        assert!(!noise::rises(&[noise(length, 1)], &[noise(length, 2)]), "it was noise before, {length}");
        let zip = zstd::bulk::compress(&noise(length, 3), 3).unwrap();
        assert!(!noise::rises(&[zip], &[noise(length, 2)]), "{length}");
        let base64: Vec<u8> = noise(length, 4).iter().map(|byte| b'0' + byte % 64).collect();
        assert!(
            !noise::rises(&[text(length)], &[base64]),
            "as is said: what is written in letters is not seen"
        );
    }
    assert!(
        !noise::rises(&[text(1_000), noise(16_384, 5)], &[noise(16_384, 6), noise(16_384, 7)]),
        "in its middle"
    );
    assert!(!noise::rises(&[], &[noise(16_384, 6)]) && !noise::rises(&[text(9)], &[noise(255, 6)]));
    assert_eq!(noise::places(65_536).collect::<Vec<_>>(), [0]);
    assert_eq!(noise::places(u64::MAX).collect::<Vec<_>>(), [0, u64::MAX / 2]);
}

#[test]
fn noise_is_judged_by_the_files_where_it_can_be_told() {
    let mut old = tree(1_000);
    old.extend((0..9_000).map(|n| (format!("tiny/{n}"), (n + 10_000, 10))));
    let new = with(&old, 100, rewritten);
    let wires = wires();
    for (noisy, alarms) in [(50, &[Alarm::Noise][..]), (49, &[])] {
        let mut meter = measured(&wires, &old, &new);
        let paths: Vec<_> = meter.pairs().iter().take(noisy).map(|pair| pair.path.clone()).collect();
        paths.into_iter().for_each(|path| meter.noisy(path));
        let what: Vec<_> = judge(&meter, &wires, &Past::default()).into_iter().map(|one| one.what).collect();
        assert_eq!(what, alarms, "{noisy}");
    }
}

#[test]
fn small_steps_add_up() {
    let step = Measured { files: 1_000, changed: 60, ..Measured::default() };
    assert!(!adds_up(std::iter::repeat_n(step, 8), &wires()));
    assert!(adds_up(std::iter::repeat_n(step, 9), &wires()));
    let noise = Measured { files: 1_000, noise: 2, ..Measured::default() };
    assert!(!adds_up(std::iter::repeat_n(noise, 4), &wires()));
    assert!(adds_up(std::iter::repeat_n(noise, 5), &wires()));
    let most = Measured {
        files: u64::MAX,
        changed: u64::MAX,
        deleted: u64::MAX,
        shrunken: u64::MAX,
        noise: u64::MAX,
    };
    assert!(adds_up(std::iter::repeat_n(most, 3), &wires()));
}

/// As an ingest does, while it applies the changes of a push; of these steps.
fn meanwhile<'a>(wires: &'a Wires, old: &Tree, new: &Tree, seen: impl Fn(&Applied) -> bool) -> Meter<'a> {
    let ok = |entry| Ok::<_, Infallible>(entry);
    let changes = diff(entries(old).into_iter().map(ok), entries(new).into_iter().map(ok));
    let mut meter = Meter::new(&wires.canaries, 7);
    let steps = apply(entries(old).into_iter().map(ok), changes).map(Result::unwrap);
    steps.filter(seen).for_each(|step| meter.take(step.before(), step.entry()));
    meter
}

#[test]
fn what_is_measured_while_changes_are_applied_is_what_two_manifests_tell() {
    let wires = TypedTripwires::of_canaries(&["/home/**/*7.txt"]).meant(&TypedTripwires::default());
    let object = |n: u64| format!("srv/objects/{:02x}/{:038x}", n % 256, n);
    let mut old = tree(3_000);
    old.extend((0..900).map(|n| (object(n), (n, 300))));
    let locked = |name: &str, (content, size): (u64, u64)| {
        (content % 3 > 0).then(|| (format!("{name}.locked"), (content + 1_000_000, size)))
    };
    let emptied = |name: &str, (content, _): (u64, u64)| Some((name.to_owned(), (content + 9, 5)));
    let mut mixed = with(&with(&with(&old, 3_800, locked), 1_500, emptied), 700, rewritten);
    mixed.insert("srv/objects/pack/pack-1.pack".into(), (5_000, 90_000));
    for (what, new) in [("mixed", mixed), ("all gone", Tree::new()), ("nothing", old.clone())] {
        // Above 512 the samples are a matter of chance, and it is the same chance.
        let of = |meter: &Meter<'_>| {
            let samples = format!("{:?}", meter.pairs());
            (meter.measured(), judge(meter, &wires, &Past::default()), meter.wanted(), samples)
        };
        let mut whole = Meter::new(&wires.canaries, 7);
        let ok = |entry| Ok::<_, Infallible>(entry);
        compare(&mut whole, entries(&old).into_iter().map(ok), entries(&new).into_iter().map(ok)).unwrap();
        assert_eq!(of(&meanwhile(&wires, &old, &new, |_| true)), of(&whole), "{what}");
        if new != old {
            let without = meanwhile(&wires, &old, &new, |step| !matches!(step, Applied::Removed(_)));
            assert_ne!(of(&without), of(&whole), "the control, {what}");
        }
    }
}

/// Whatever a host sends and whatever its log says: figures stay figures, and samples stay small.
#[test]
fn nothing_a_host_sends_makes_it_large_or_stops_it() {
    let mut state = 1u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..200 {
        let mut some = |files: u64| -> Tree {
            (0..files)
                .map(|_| {
                    let ending = ["", ".a", "..", ".locked", ".\u{1b}[2J", ".ü"][next(6) as usize];
                    let folder = ["objects/ab", "objects/pack", "x", "objects"][next(4) as usize];
                    (
                        format!("{folder}/{:038x}{ending}", next(500)),
                        (next(300), [0, 1, 64, 300, u64::MAX][next(5) as usize]),
                    )
                })
                .collect()
        };
        let (old, new) = (some(400), some(400));
        let wires = Wires { least_files: 1, changed: 1, deleted: 1, ..wires() };
        let past = Past {
            pushes: vec![Measured { files: round % 2, changed: u64::MAX, ..Measured::default() }; 3],
            between: u64::MAX,
        };
        let mut meter = measured(&wires, &old, &new);
        assert!(meter.pairs().len() <= 512 && meter.wanted().len() <= 3 * 512);
        (0..2_000).for_each(|n| meter.noisy(RelPath::new(format!("{n}").as_bytes()).unwrap()));
        for finding in judge(&meter, &wires, &past) {
            assert!(finding.paths.len() <= 5 && finding.paths.iter().all(|path| path.len() <= 200));
            assert!(
                !finding.paths.concat().contains('\u{1b}')
                    && finding.extension.is_none_or(|one| !one.contains('\u{1b}'))
            );
        }
    }
    let long = "\u{1b}".repeat(120);
    let old: Tree = (0..100).map(|n| (format!("{long}/{n}"), (n, 1))).collect();
    let findings = judge(&measured(&wires(), &old, &Tree::new()), &wires(), &Past::default()).len();
    assert_eq!(findings, 1);
}
