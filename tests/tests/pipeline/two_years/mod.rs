//! Two years with a host that somebody else has: it pushes garbage, nothing, times of all centuries; fifty times, and five hundred times in the long
//! form. The clock of the server jumps by 400 days and comes back, three times. A prune runs every fourth day, by the policy that holds if nobody
//! chooses one. What is left?
//!
//! Three hosts have the same files and the same attacker, and differ in what keeps their past. The same story is told to the real rsnapshot.

mod attack;
mod rsnapshot;
mod world;

use chrono::TimeDelta;
use pipeline_tests::checker::history::Found;

use crate::rig;
use attack::{Attacker, KINDS};
use rsnapshot::{Retain, Rsnapshot};
use world::{GOOD, World, sequence};

/// As it is installed: nobody does anything, ever.
const ALONE: &str = "web01";
/// The control, with every tripwire off: somebody puts right what the clock has done (`hold`, `release`, `verify`), and never looks at what is
/// pushed.
const RULES: &str = "app01";
/// The same, but after 20 days somebody put the last good snapshot on hold.
const HELD: &str = "db01";
const HOSTS: [&str; 3] = [ALONE, RULES, HELD];

/// Of the good version of 2 February, the first of the month in which the host was broken into.
const FIRST_OF_MONTH: u64 = 4;
const DAYS: i64 = 730;
const PUSHES: u64 = 500;
const HELD_AFTER_DAYS: i64 = 20;
const PRUNE_EVERY_DAYS: i64 = 4;
const VERIFY_EVERY_DAYS: i64 = 27;
/// From this day on, for four days, the clock is so many days off. A push comes then.
const JUMPS: [(i64, i64); 3] = [(198, 400), (375, -400), (552, 400)];
const JUMP_DAYS: i64 = 4;

/// How many garbage pushes a host has sent on this day. Fifty in the quick form: one a day at first, then one a week, until no rule but that of months
/// keeps a good version; and then one now and then, also when the clock is wrong.
fn pushes(day: u64) -> u64 {
    match day {
        day if is_long() => PUSHES * day / DAYS as u64,
        0..=32 => day,
        33..=110 => 32 + (day - 32) / 7,
        day => 43 + (day - 110) * 7 / (DAYS as u64 - 110),
    }
}

fn is_long() -> bool {
    std::env::var_os("FIRN_LONG").is_some()
}

/// One host in somebody else's hands.
struct Taken {
    host: &'static str,
    attacker: Attacker,
    /// So many times.
    attacks: u64,
    /// Push files.
    sent: u64,
    /// The good versions that there were when it began.
    good: Vec<u64>,
    /// So many days later the last of them was pruned.
    lost_day: Option<i64>,
    /// How many snapshots were pruned since, and how often a prune has said that something is odd.
    removed: u64,
    doubts: u64,
}

impl Taken {
    fn new(world: &World, host: &'static str) -> Taken {
        let good = good_ones(&world.found(host)).into_iter().map(|(sequence, _)| sequence).collect();
        let attacker = world.attacker(host);
        Taken { host, attacker, attacks: 0, sent: 0, good, lost_day: None, removed: 0, doubts: 0 }
    }

    /// Sends what is due on this day, and says what the last of it was.
    fn attack(&mut self, world: &mut World, day: i64) -> Option<(attack::Kind, u64)> {
        let due = pushes(day.unsigned_abs());
        let mut last = None;
        while self.sent < due {
            let kind = KINDS[self.attacks as usize % KINDS.len()];
            let files = self.attacker.next(kind);
            world.place(self.host, &files);
            self.attacks += 1;
            self.sent += files.len() as u64;
            last = Some((kind, self.attacks));
        }
        last
    }
}

fn off_days(day: i64) -> i64 {
    JUMPS.iter().find(|(from, _)| (*from..from + JUMP_DAYS).contains(&day)).map_or(0, |(_, off)| *off)
}

/// What somebody does who sees that a prune refused, and looks at the clock and at nothing else.
fn put_right(world: &World, host: &str, refused: &str) {
    world.snapshotter(&["hold", host, "--reason", "the clock was wrong"], &[0]);
    world.snapshotter(&["release", host, "--reason", "the clock is right again"], &[0]);
    if refused.contains("verif") {
        world.snapshotter(&["verify", host], &[0]);
    }
}

/// The good weeks: a push every third day, and everything as it runs by itself.
fn good_weeks(world: &mut World, others: &[Rsnapshot]) {
    for day in 0..=3 * (GOOD - 1) {
        if day.is_multiple_of(3) {
            world.good(day / 3 + 1);
        }
        others.iter().for_each(|other| other.day(world.now));
        if day.is_multiple_of(3) {
            world.snapshotter(&["verify"], &[0]);
            world.prune();
        }
        world.sleep(1);
    }
}

/// One day of the two years.
fn bad_day(world: &mut World, taken: &mut [Taken], day: i64) -> Option<(attack::Kind, u64)> {
    let sent: Vec<_> = taken.iter_mut().map(|one| one.attack(world, day)).collect();
    let off = off_days(day);
    world.now += TimeDelta::days(off);
    let senders = taken.iter().zip(&sent).filter(|(_, sent)| sent.is_some()).map(|(one, _)| one.host);
    let words: Vec<&str> = std::iter::once("ingest").chain(senders).collect();
    if words.len() > 1 {
        // What was rejected is told by the code.
        let ended = world.snapshotter(&words, &(0..30).collect::<Vec<_>>());
        assert!(ended.code == 0 || ended.code >= 20 || ended.code == 3, "{}", ended.said());
    }
    if day % VERIFY_EVERY_DAYS == 0 {
        world.snapshotter(&["verify"], &[0]);
    }
    if day == HELD_AFTER_DAYS {
        let last =
            world.found(HELD).snapshots.iter().find(|one| sequence(&one.name) == GOOD).unwrap().name.clone();
        world.snapshotter(&["hold", &format!("{HELD}/{last}"), "--reason", "the last that is good"], &[0]);
    }
    if day % PRUNE_EVERY_DAYS == 0 || off != 0 {
        for told in world.prune() {
            let one = taken.iter_mut().find(|one| one.host == told.host).unwrap();
            one.removed += told.removed.len() as u64;
            if told.removed.iter().any(|name| sequence(name) == GOOD) {
                one.lost_day = Some(day);
            }
            let Some(odd) = told.odd else { continue };
            one.doubts += 1;
            if off == 0 && one.host != ALONE {
                put_right(world, one.host, &odd);
            }
        }
    }
    world.now -= TimeDelta::days(off);
    sent[0]
}

/// The good versions that are left, oldest first, each with its snapshot.
fn good_ones(found: &Found) -> Vec<(u64, String)> {
    let all = found.snapshots.iter().map(|one| (sequence(&one.name), one.name.clone()));
    all.filter(|(sequence, _)| *sequence <= GOOD).collect()
}

#[test]
fn after_two_years_of_garbage_the_last_good_version_restores_and_rsnapshot_has_lost_it() {
    let test = "after_two_years_of_garbage_the_last_good_version_restores_and_rsnapshot_has_lost_it";
    if !rig::is_root_or_skipped(test)
        || !rig::has_other_times_or_skipped(test)
        || !rig::has_or_skipped(test, &["rsnapshot", "rsync"])
    {
        return;
    }
    let _turn = rig::turn();
    let mut world = World::new(&HOSTS);
    [RULES, HELD].iter().for_each(|host| world.without_tripwires(host));
    // As in its manual; and, in the long form, as many months as Firn keeps.
    let months: &[u32] = if is_long() { &[3, 24] } else { &[3] };
    let others = months.iter().map(|monthly| {
        let retain = Retain { daily: 7, weekly: 4, monthly: *monthly };
        Rsnapshot::new(&world.scratch.folder.join(format!("rsnapshot-{monthly}")), &world.source, retain)
    });
    let mut others: Vec<Rsnapshot> = others.collect();
    good_weeks(&mut world, &others);
    let mut taken = HOSTS.map(|host| Taken::new(&world, host));
    for day in 1..=DAYS {
        if let Some((kind, number)) = bad_day(&mut world, &mut taken, day) {
            world.ruin(kind, number);
        }
        others.iter_mut().for_each(|other| other.bad_day(world.now, day));
        world.sleep(1);
    }
    world.snapshotter(&["verify"], &[0]);
    world.snapshotter(&["verify", "--log"], &[0]);
    let form = if is_long() { "the long form" } else { "the quick form, with a tenth of the pushes" };
    let ends: Vec<String> = taken.iter().map(|one| end_of_firn(&world, one)).collect();
    println!(
        "FIRN: {form}: {DAYS} days, {} jumps of the clock by 400 days; {}",
        JUMPS.len(),
        ends.join("; ")
    );
    let ends: Vec<String> = others.iter().map(end_of_rsnapshot).collect();
    println!("RSNAPSHOT: {form}: {}", ends.join("; "));
}

/// What Firn has of a host.
fn end_of_firn(world: &World, one: &Taken) -> String {
    let found = world.found(one.host);
    let good = good_ones(&found);
    let (newest, name) = good.last().unwrap().clone();
    world.restores(one.host, &name, newest);
    let (accepted, rejected) =
        ((found.count("ingest") + found.count("unchanged")) as u64 - GOOD, found.count("reject") as u64);
    let good: Vec<u64> = good.into_iter().map(|(sequence, _)| sequence).collect();
    let alarms = found.count("alarm");
    let told = format!(
        "{}: {} garbage pushes ({accepted} accepted, {rejected} rejected), {alarms} alarms, {} of the last good version {GOOD}, \
         good ones left {good:?} of {:?}, number {newest} restores, {} snapshots left, {} pruned, {} doubts of a prune",
        one.host,
        one.sent,
        one.lost_day.map_or("no loss".to_owned(), |day| format!("loss after {day} days")),
        one.good,
        found.snapshots.len(),
        one.removed,
        one.doubts,
    );
    println!("{told}");
    assert!(one.sent >= pushes(DAYS.unsigned_abs()) && accepted >= one.sent * 7 / 10, "{told}");
    // The clock was seen to be wrong, each time.
    assert!(one.doubts >= JUMPS.len() as u64, "{told}");
    assert_eq!(one.lost_day.is_none(), good.contains(&GOOD), "{told}");
    match one.host {
        ALONE => {
            assert!(good == one.good && good.contains(&GOOD) && one.removed == 0, "{told}");
            held_at_once(world, &found, &name);
        }
        RULES => {
            // The control: without a hold the last good version goes, and what the rules keep of a month stays.
            assert!(good.contains(&FIRST_OF_MONTH) && alarms == 0 && one.removed > 0, "{told}");
            assert!(one.lost_day.is_some(), "{told}");
        }
        _ => {
            assert!(good.contains(&FIRST_OF_MONTH) && good.contains(&GOOD), "{told}");
            assert!(alarms == 0 && one.removed > 0, "{told}");
        }
    }
    told
}

/// The first garbage put the host on hold, nobody released it, and `explain` names the last good snapshot.
fn held_at_once(world: &World, found: &Found, good: &str) {
    let place = found.events.iter().position(|event| event["kind"] == "hold").unwrap();
    let before = found.events[..place].iter().filter(|event| event["kind"] == "ingest").count();
    assert!(before as u64 <= GOOD + 1 && found.count("release") == 0, "{before}");
    let explained = world.snapshotter(&["explain", ALONE], &[0]).report().unwrap();
    assert_eq!(explained["details"]["last_good"], good);
    assert!(explained["details"]["hold"].is_object(), "{explained}");
}

/// What rsnapshot has.
fn end_of_rsnapshot(other: &Rsnapshot) -> String {
    let (last, left) = (other.lost_day.expect("the last good version is still there"), other.good_ones());
    assert!(!left.contains(&GOOD), "{left:?}");
    // With 24 months an old one may be left, as by Firn's own rules.
    assert!(other.retain.monthly > 3 || left.is_empty(), "{left:?}");
    let Retain { daily, weekly, monthly } = other.retain;
    format!(
        "{daily} daily, {weekly} weekly, {monthly} monthly: loss after {last} days of the last good version {GOOD}, \
         good ones left {left:?}, the last of all lost after {:?} days",
        other.empty_day,
    )
}
