//! What an attack does to a host raises an alarm and a hold, is accepted all the same, and takes nothing of the past along.

mod redacted;
mod same;
mod work;

use std::fs;

use formats::InstallationId;
use formats::records::log::Alarm;

use crate::push::Push;
use crate::state::{Item, State, file, path};
use crate::world::{Ended, World};

/// So many files, as a host has them.
const FILES: u64 = 400;

/// Bytes as of a cipher.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn text(seed: u64, length: usize) -> Vec<u8> {
    let line = |n: u64| format!("{seed} line {n}: the snow settles in layers, and the layers turn to ice\n");
    (0..).map(line).flat_map(String::into_bytes).take(length).collect()
}

/// Documents, and photos that were always like noise.
fn host() -> State {
    let mut state = State::of([("home", Item::Folder), ("home/.canary", file("touch me not"))]);
    for n in 0..FILES {
        let (name, bytes) = match n % 10 {
            9 => (format!("home/p{n:04}.jpg"), noise(2_000, n)),
            _ => (format!("home/d{n:04}.txt"), text(n, 1_500)),
        };
        state.0.insert(path(&name), file(bytes));
    }
    state
}

/// With this done to the files from one number to another.
fn with(
    state: &State,
    numbers: std::ops::Range<u64>,
    change: impl Fn(&str, &[u8]) -> Option<(String, Item)>,
) -> State {
    let mut changed = State::default();
    for (name, item) in &state.0 {
        let text = name.to_string();
        let number = text.get(6..10).and_then(|digits| digits.parse::<u64>().ok());
        match item.bytes().filter(|_| number.is_some_and(|number| numbers.contains(&number))) {
            Some(bytes) => changed.0.extend(change(&text, bytes).map(|(name, item)| (path(&name), item))),
            None => drop(changed.0.insert(name.clone(), item.clone())),
        }
    }
    changed
}

fn encrypted(name: &str, bytes: &[u8]) -> Option<(String, Item)> {
    let seed = name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
    Some((name.to_owned(), file(noise(bytes.len() + 16, seed))))
}

/// A world whose host has pushed this.
fn world(settings: &str, state: &State) -> World {
    let world = World::new();
    let lines = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, format!("{lines}\n{settings}\n")).unwrap();
    world.seal(1, &Push::whole(1, state).bytes());
    world.ingest(0);
    world
}

fn next(world: &World, push: u8, before: &State, after: &State) -> Ended {
    world.seal(u64::from(push), &Push::delta(push, before, after).bytes());
    world.ingest(0)
}

fn alarms(world: &World) -> Vec<Alarm> {
    world.log().alarms().iter().map(|raised| raised.what).collect()
}

fn said(ended: &Ended, words: &str) {
    assert!(format!("{}{}", ended.out, ended.err).contains(words), "{words}: {ended:?}");
}

#[test]
fn an_attack_is_accepted_noted_and_held_and_the_last_good_version_stays() {
    let good = host();
    let world =
        world("[retain]\nevery_days = 0\ndaily = 0\nweekly = 0\nmonthly = 0\n[prune]\nkeep_min = 1", &good);
    let first = world.log().snapshots()[0].name.to_string();
    let bad = with(&good, 0..FILES, encrypted);
    let ended = next(&world, 2, &good, &bad);
    said(&ended, "accepted as");
    said(&ended, "many files look encrypted");
    assert_eq!(alarms(&world), [Alarm::Changed, Alarm::Noise]);
    let log = world.log();
    assert_eq!((log.snapshots().len(), log.hold().is_some()), (2, true));
    let measured = log.latest().unwrap().measured.unwrap();
    assert_eq!((measured.files, measured.changed, measured.noise), (FILES + 1, FILES, FILES - FILES / 10));
    let noisy = log.alarms()[1].tripwire.as_ref().unwrap();
    assert_eq!((noisy.found, noisy.paths.len(), noisy.compared.as_str()), (360, 5, &*first));

    let explained = world.run(&["explain", "web01"]);
    assert_eq!(explained.code, 0, "{explained:?}");
    for words in [
        "web01 is on hold since",
        "360 of 400",
        "home/d",
        &format!("restore web01 {first} --to"),
        "release web01 --reason",
    ] {
        said(&explained, words);
    }
    let report = world.run(&["--json", "explain", "web01"]).report();
    assert_eq!(report["details"]["last_good"], *first);
    assert_eq!(report["details"]["alarms"][1]["tripwire"]["found"], 360);
    let of_good = world.run(&["--json", "explain", &format!("web01/{first}")]).report();
    assert_eq!(of_good["counts"]["alarms"], 0, "the good one raised none");

    // Garbage goes on to come: noted, no second hold, and nothing goes.
    let worse = with(&bad, 0..FILES, |_, _| None);
    next(&world, 3, &bad, &worse);
    assert_eq!((alarms(&world).len(), world.log().holds().len()), (3, 1));
    assert_eq!(world.run(&["verify"]).code, 0);
    let planned = world.run(&["prune", "--plan"]);
    assert_eq!((planned.code, planned.out.matches("plans to remove").count()), (0, 0), "{planned:?}");
    said(&planned, "on hold");
    assert_eq!(world.log().snapshots().len(), 3);
    good.assert_tree(&world.tree(1));
    let status = world.run(&["--json", "status"]);
    let health = &status.report()["details"]["hosts"][0]["health"];
    assert_eq!((&health["tripwires"]["alarms"], &health["verify_days"]), (&3.into(), &0.into()), "{health}");
    said(&status, "snapshotter explain web01");

    assert_eq!(world.run(&["release", "web01", "--reason", "restored, keys were changed"]).code, 0);
    let log = fs::read_to_string(world.path("history/web01/log")).unwrap();
    assert!(log.contains(r#""kind":"release","reason":"restored, keys were changed""#));
    said(&world.run(&["explain", "web01"]), "is not on hold");
    let planned = world.run(&["prune", "--plan"]);
    assert_eq!(
        planned.out.matches("plans to remove").count(),
        1,
        "the control: without the hold it would have gone: {planned:?}"
    );
}

#[test]
fn each_way_to_destroy_files_raises_its_alarm() {
    let good = host();
    let locked = |name: &str, bytes: &[u8]| Some((format!("{name}.locked"), encrypted(name, bytes)?.1));
    let emptied = |name: &str, _: &[u8]| Some((name.to_owned(), file("")));
    let cases: [(&str, State, &[Alarm]); 5] = [
        ("encrypted in place, a tenth", with(&good, 0..45, encrypted), &[Alarm::Noise]),
        ("encrypted and renamed", with(&good, 0..FILES, locked), &[Alarm::Deleted, Alarm::Extension]),
        ("a fifth encrypted and renamed", with(&good, 0..80, locked), &[Alarm::Extension]),
        ("deleted", with(&good, 0..FILES, |_, _| None), &[Alarm::Deleted]),
        ("emptied", with(&good, 0..FILES, emptied), &[Alarm::Changed, Alarm::Shrunken]),
    ];
    for (what, bad, expected) in cases {
        let world = world("", &good);
        next(&world, 2, &good, &bad);
        assert_eq!(alarms(&world), expected, "{what}");
        assert_eq!(world.log().snapshots().len(), 2, "{what}");
        assert!(world.log().hold().is_some(), "{what}");
    }
}

/// Whoever owns the host decides what a push says it builds on. It is compared with what the history has all the same.
#[test]
fn a_push_that_names_no_base_is_compared_with_the_newest_snapshot() {
    let good = host();
    let bad = with(&good, 0..FILES, encrypted);
    let world = world("", &good);
    world.seal(2, &Push::whole(2, &bad).bytes());
    world.ingest(0);
    assert_eq!(alarms(&world), [Alarm::Changed, Alarm::Noise]);
    // The first push of a new installation raises its own alarm, and those of tripwires.
    let mut stranger = Push::whole(3, &with(&bad, 0..FILES, |_, _| None));
    stranger.header.installation = InstallationId::from_bytes([9; 16]);
    world.seal(3, &stranger.bytes());
    world.ingest(0);
    assert_eq!(alarms(&world)[2..], [Alarm::SecondInstallation, Alarm::Deleted]);
}

#[test]
fn a_canary_is_an_alarm_by_itself_and_a_records_settings_go_first() {
    let good = host();
    let bad = good.with("home/.canary", file("touched"));
    let world = world("[tripwires]\ncanaries = ['/home/.canary']\nnoise = 0", &good);
    next(&world, 2, &good, &bad);
    assert_eq!(alarms(&world), [Alarm::Canary]);
    said(&world.run(&["explain", "web01"]), "home/.canary");
    assert_eq!(world.run(&["release", "web01", "--reason", "it was me"]).code, 0);
    let noisy = with(&bad, 0..45, encrypted);
    next(&world, 3, &bad, &noisy);
    assert_eq!(alarms(&world).len(), 1, "noise is switched off");
    fs::create_dir_all(world.path("records")).unwrap();
    fs::write(world.path("records/web01.toml"), "[tripwires]\nnoise = 5\ncanaries = []\n").unwrap();
    let again = with(&noisy.with("home/.canary", file("again")), 100..150, encrypted);
    next(&world, 4, &noisy, &again);
    assert_eq!(alarms(&world)[1..], [Alarm::Noise], "and for this host it is on, without canaries");
    for (wrong, words) in [
        ("noise = 101", "tripwires.noise"),
        ("canaries = ['a**']", "tripwires.canaries"),
        ("nois = 1", "nois"),
    ] {
        fs::write(world.path("records/web01.toml"), format!("[tripwires]\n{wrong}\n")).unwrap();
        let ended = world.run(&["ingest"]);
        assert_ne!(ended.code, 0, "{wrong}");
        said(&ended, words);
    }
}

/// Two in a hundred a push: seen where it makes noise, once it adds up; where it makes none, not, as is said.
#[test]
fn slow_steps_are_seen_by_the_noise_that_they_add_up_to() {
    let rewritten = |name: &str, bytes: &[u8]| {
        Some((name.to_owned(), file(text(bytes.len() as u64 + 90_000, bytes.len() + 1))))
    };
    for (what, change, expected) in [
        ("encrypted", &encrypted as &dyn Fn(&str, &[u8]) -> Option<(String, Item)>, &[Alarm::Noise][..]),
        ("rewritten in letters", &rewritten, &[]),
    ] {
        let mut state = host();
        let world = world("", &state);
        for push in 0..5u64 {
            let after = with(&state, push * 8..push * 8 + 8, change);
            next(&world, push as u8 + 2, &state, &after);
            state = after;
        }
        assert_eq!(alarms(&world), expected, "{what}");
        if let Some(raised) = world.log().alarms().first() {
            let compared = &raised.tripwire.as_ref().unwrap().compared;
            assert_eq!(
                *compared,
                world.log().snapshots()[0].name.to_string(),
                "with what was before all of it"
            );
        }
    }
}

/// What came before quiet nights is one push of many, and no usual one, however few others changed anything.
#[test]
fn pushes_in_which_nothing_changed_are_of_the_past_and_came_to_nothing() {
    let mut state = host();
    let world = world("", &state);
    let rewritten = |salt: u64| {
        move |name: &str, bytes: &[u8]| {
            Some((name.to_owned(), file(text(salt * 10_000 + bytes.len() as u64, bytes.len() + 1))))
        }
    };
    let mut push = 2;
    for job in 1..=4 {
        let after = with(&state, 0..100, rewritten(job));
        for (before, after) in [(&state, &after), (&after, &after), (&after, &after)] {
            next(&world, push, before, after);
            push += 1;
        }
        state = after;
    }
    assert_eq!((alarms(&world), world.log().unchanged_pushes().len()), (Vec::new(), 8), "the control");
    next(&world, push, &state, &with(&state, 0..240, rewritten(9)));
    assert_eq!(alarms(&world), [Alarm::Changed]);
}

#[test]
fn what_was_released_is_not_told_again() {
    let good = host();
    let world = world("", &good);
    let bad = with(&good, 0..FILES, encrypted);
    next(&world, 2, &good, &bad);
    assert_eq!(world.run(&["release", "web01", "--reason", "the new disk encryption"]).code, 0);
    next(&world, 3, &bad, &bad.with("home/new", file("new")));
    assert_eq!((alarms(&world).len(), world.log().hold().is_some()), (2, false));
}

fn spoil(world: &World, place: usize) {
    let name = world.log().snapshots()[place].name.to_string();
    let manifest = world.path(&format!("history/web01/manifests/{name}.manifest"));
    let mut bytes = fs::read(&manifest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(&manifest, bytes).unwrap();
}

/// The state of ten pushes ago may be the newest snapshot. What was compared instead of that stays compared.
#[test]
fn after_ten_quiet_pushes_a_newest_snapshot_that_cannot_be_read_hides_nothing() {
    let good = host();
    let world = world("", &good);
    let more = good.with("home/more", file("more"));
    next(&world, 2, &good, &more);
    (3..12).for_each(|push| drop(next(&world, push, &more, &more)));
    spoil(&world, 1);
    world.seal(12, &Push::whole(12, &with(&more, 0..100, |_, _| None)).bytes());
    said(&world.ingest(0), "it was with");
    assert_eq!((world.log().snapshots().len(), alarms(&world)), (3, Vec::new()), "it is no attack");
}

/// Else whoever waits for a damaged manifest is never seen: the next push is measured by this one.
#[test]
fn a_newest_snapshot_that_cannot_be_read_is_said_and_the_one_before_it_is_taken() {
    for (spoiled, words, expected) in [
        (&[1][..], "it was with", &[Alarm::Changed, Alarm::Noise][..]),
        (&[0, 1], "no tripwire could see it", &[]),
    ] {
        let good = host();
        let world = world("", &good);
        next(&world, 2, &good, &good.with("home/more", file("more")));
        spoiled.iter().for_each(|place| spoil(&world, *place));
        world.seal(3, &Push::whole(3, &with(&good, 0..FILES, encrypted)).bytes());
        said(&world.ingest(0), words);
        assert_eq!((world.log().snapshots().len(), alarms(&world)), (3, expected.to_vec()));
    }
}

/// Twenty times as many files in the push before make all shares small; of what the host had before that, all is gone.
#[test]
fn junk_in_an_earlier_push_hides_no_loss() {
    let good = host();
    let world = world("", &good);
    let mut junk = good.clone();
    junk.0.extend((0..FILES * 20).map(|n| (path(&format!("x{n:05}")), file("junk"))));
    next(&world, 2, &good, &junk);
    assert_eq!(alarms(&world), []);
    let locked = |name: &str, bytes: &[u8]| Some((format!("{name}.locked"), encrypted(name, bytes)?.1));
    next(&world, 3, &junk, &with(&junk, 0..FILES, locked));
    assert_eq!(alarms(&world), [Alarm::Deleted, Alarm::Extension]);
    let compared = world.log().alarms()[0].tripwire.as_ref().unwrap().compared.clone();
    assert_eq!(compared, world.log().snapshots()[0].name.to_string());
}
