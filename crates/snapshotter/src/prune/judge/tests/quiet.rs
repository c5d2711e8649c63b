//! A state that stood for months, in a history in which each of its days is a line and no snapshot.

use formats::limits::FLAT_ENTRY_BYTES;
use formats::records::log::Unchanged;

use super::*;
use crate::ingest_host::charge::of_log;
use crate::retain::retain;

const DEFAULT: Policy = Policy { every_days: 3, daily: 31, weekly: 13, monthly: 24, reach_days: 731 };
/// Three pushes a day.
const PUSHES: i64 = 3 * 99;
/// Snapshots after it.
const AFTER: i64 = 11;

fn slot(number: i64) -> DateTime<Utc> {
    start() + TimeDelta::minutes(160) + TimeDelta::hours(8 * number)
}

fn unchanged(number: i64) -> Event {
    Event::Unchanged(Unchanged {
        sequence: 2,
        root: root(2),
        left_out: 0,
        push: PushId::from_bytes((i128::from(number) << 64).to_be_bytes()),
        installation: InstallationId::from_bytes([1; 16]),
        counter: 100 + number as u64,
        started: 0,
        zone: "UTC".to_owned(),
        emergency: false,
    })
}

/// The second snapshot of the first day, so many pushes without a change, and then something new with each push.
fn world(quiet: i64) -> World {
    let dir = tempfile::tempdir().unwrap();
    let history = HostHistory::new(HostId::parse("web01").unwrap(), Dir::open_root(dir.path()).unwrap());
    {
        let alone = history.write_lock().unwrap().unwrap();
        let mut log = LogAppender::open(&history, &alone).unwrap();
        for sequence in 1..=2 {
            log.append(ingest(sequence, slot(sequence - 1)), slot(sequence - 1)).unwrap();
        }
        for number in 2..2 + quiet {
            log.append(unchanged(number), slot(number)).unwrap();
        }
        for sequence in 3..3 + AFTER {
            let time = slot(PUSHES + sequence);
            log.append(ingest(sequence, time), time).unwrap();
        }
        let newest = SnapshotName::new(slot(PUSHES + 2 + AFTER), (2 + AFTER) as u64).unwrap().to_string();
        let verify = Event::Verify { newest, snapshots: 1, read_bytes: 1 };
        log.append(verify, slot(PUSHES + 3 + AFTER)).unwrap();
    }
    World {
        _dir: dir,
        history,
        settings: PruneSettings::default(),
        last: None,
        missing: Vec::new(),
        bases: HashSet::new(),
        iced: None,
        unread: None,
        now: slot(PUSHES + 4 + AFTER),
    }
}

/// What becomes of the second snapshot.
fn fate(world: &World) -> Fate {
    let log = world.history.log().unwrap();
    let planned = (1..=SNAPSHOTS as u64).collect();
    let scope = Scope::Execute { planned: &planned, read: &HashSet::new() };
    judge(&world.facts(&log, &DEFAULT), scope).unwrap().swap_remove(1)
}

#[test]
fn what_was_second_on_its_first_day_and_stood_for_months_is_kept_by_its_later_days() {
    let world = self::world(PUSHES);
    let log = world.history.log().unwrap();
    assert_eq!((log.snapshots().len() as i64, log.unchanged_pushes().len() as i64), (2 + AFTER, PUSHES));
    assert_eq!(fate(&world), Fate::Kept(Rule::Daily));
    // The controls: by its own time alone no rule keeps it, and in a history without these pushes it goes.
    let times: Vec<i64> = log.snapshots().iter().map(|one| one.name.time().timestamp()).collect();
    assert_eq!(retain(&times, &DEFAULT)[1], None);
    // Of several rules that keep it at different times, the first is told, as for a snapshot.
    let rules = retain_log(&log, &Policy { every_days: 0, daily: 0, monthly: 0, reach_days: 4, ..DEFAULT });
    assert_eq!(rules[1], Some(Rule::Weekly));
    assert_eq!(fate(&self::world(0)), Fate::Goes);
}

/// Its time is the measure of all rules, as that of a snapshot is.
#[test]
fn a_push_without_a_change_from_a_time_to_come_keeps_everything() {
    let refusal = |time: DateTime<Utc>, after: &[Event]| {
        let world = World::new();
        let Event::Unchanged(push) = unchanged(2) else { unreachable!() };
        let (sequence, root) = (SNAPSHOTS as u64, root(SNAPSHOTS));
        world.append(Event::Unchanged(Unchanged { sequence, root, ..push }), time);
        world.append(Event::Freed { bytes: 1 }, day(SNAPSHOTS));
        after.iter().for_each(|event| world.append(event.clone(), day(SNAPSHOTS)));
        world.goes().err()
    };
    assert_eq!(refusal(day(SNAPSHOTS), &[]), None, "the control");
    assert!(matches!(refusal(day(400), &[]), Some(Refusal::Future { .. })));
    let released = Event::Release { reason: "the clock was wrong".to_owned(), snapshot: None };
    assert_eq!(refusal(day(400), &[released]), None, "a person has looked at it");
}

/// What is charged for a snapshot ends with it; a line of the log stays.
#[test]
fn a_push_without_a_change_is_charged_when_its_snapshot_is_gone_too() {
    let world = self::world(PUSHES);
    let log = || world.history.log().unwrap();
    let (before, second) = (of_log(&log()), log().snapshots()[1].clone());
    let (name, planned) = (second.name.to_string(), "2026-01-01T00:00:00Z".to_owned());
    world.append(Event::Prune { sequence: 2, name, root: second.root, planned }, world.now);
    assert_eq!(before - of_log(&log()), FLAT_ENTRY_BYTES * second.entries + second.long_entry_bytes);
}
