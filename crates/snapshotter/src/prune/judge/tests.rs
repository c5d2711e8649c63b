use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use durable::Dir;
use formats::records::log::{Event, Ingest};
use formats::{HostId, InstallationId, PushId};
use history::{HostHistory, LogAppender};

use super::*;

mod quiet;

const DAY: i64 = 86_400;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

fn day(day: i64) -> DateTime<Utc> {
    start() + TimeDelta::seconds(day * DAY)
}

/// Keeps the newest, and nothing else.
const NOTHING: Policy = Policy { every_days: 0, daily: 0, weekly: 0, monthly: 0, reach_days: 0 };

/// A log of so many snapshots, one a day, all verified but the last two; and what else is to be in it.
struct World {
    _dir: tempfile::TempDir,
    history: HostHistory,
    settings: PruneSettings,
    last: Option<Last>,
    missing: Vec<SnapshotName>,
    bases: HashSet<Root>,
    iced: Option<u64>,
    unread: Option<&'static str>,
    now: DateTime<Utc>,
}

const SNAPSHOTS: i64 = 8;
const VERIFIED: i64 = 6;

impl World {
    fn new() -> Self {
        let world = Self::unverified();
        world.verify(VERIFIED);
        world
    }

    fn unverified() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = HostId::parse("web01").unwrap();
        let history = HostHistory::new(host, Dir::open_root(dir.path()).unwrap());
        let mut settings = PruneSettings::default();
        settings.keep_min = 2;
        let (missing, bases) = (Vec::new(), HashSet::new());
        let world = Self {
            _dir: dir,
            history,
            settings,
            last: None,
            missing,
            bases,
            iced: None,
            unread: None,
            now: day(SNAPSHOTS),
        };
        (1..=SNAPSHOTS)
            .for_each(|sequence| world.append(ingest(sequence, day(sequence - 1)), day(sequence - 1)));
        world
    }

    fn verify(&self, newest: i64) {
        let newest = SnapshotName::new(day(newest - 1), newest as u64).unwrap().to_string();
        self.append(Event::Verify { newest, snapshots: 1, read_bytes: 1 }, day(SNAPSHOTS - 1));
    }

    fn append(&self, event: Event, time: DateTime<Utc>) {
        let alone = self.history.write_lock().unwrap().unwrap();
        LogAppender::open(&self.history, &alone).unwrap().append(event, time).unwrap();
    }

    fn hold(&self, sequence: Option<i64>) {
        let name = |sequence: i64| SnapshotName::new(day(sequence - 1), sequence as u64).unwrap().to_string();
        let event = Event::Hold { reason: "a reason".to_owned(), snapshot: sequence.map(name) };
        self.append(event, day(SNAPSHOTS - 1));
    }

    fn planned(mut self, written: DateTime<Utc>, snapshots: u64) -> Self {
        let line = self.history.log().unwrap().lines();
        self.last = Some(Last { written, snapshots, line, log: SameLog::Yes });
        self
    }

    fn facts<'a>(&'a self, log: &'a Log, policy: &'a Policy) -> Facts<'a> {
        Facts {
            now: self.now,
            log,
            policy,
            settings: &self.settings,
            wait: TimeDelta::hours(72),
            cap: self.settings.cap,
            last: self.last,
            missing: &self.missing,
            bases: &self.bases,
            iced: self.unread.map(Err).or(self.iced.map(Ok)),
        }
    }

    fn judge(&self, scope: Scope<'_>) -> Result<Vec<Fate>, Refusal> {
        let log = self.history.log().unwrap();
        judge(&self.facts(&log, &NOTHING), scope)
    }

    /// Sequences of what goes, if all of it is planned and has waited.
    fn goes(&self) -> Result<Vec<i64>, Refusal> {
        self.goes_but(&HashSet::new())
    }

    /// The same while some of them are read.
    fn goes_but(&self, read: &HashSet<u64>) -> Result<Vec<i64>, Refusal> {
        let planned = (1..=SNAPSHOTS as u64).collect();
        let fates = self.judge(Scope::Execute { planned: &planned, read })?;
        Ok((1..).zip(fates).filter(|(_, fate)| *fate == Fate::Goes).map(|(sequence, _)| sequence).collect())
    }

    fn refusal(&self) -> Refusal {
        self.goes().expect_err("nothing refuses")
    }
}

fn root(sequence: i64) -> Root {
    // The third and the fourth are the same.
    Root::from_bytes([if sequence == 4 { 3 } else { sequence as u8 }; 32])
}

fn ingest(sequence: i64, time: DateTime<Utc>) -> Event {
    Event::Ingest(Ingest {
        sequence: sequence as u64,
        name: SnapshotName::new(time, sequence as u64).unwrap().to_string(),
        root: root(sequence),
        entries: 1,
        left_out: 0,
        base: None,
        push: PushId::from_bytes([sequence as u8; 16]),
        installation: InstallationId::from_bytes([1; 16]),
        counter: sequence as u64,
        started: 0,
        zone: "UTC".to_owned(),
        new_bytes: 1,
        changes: 1,
        emergency: false,
        imported: false,
        measured: None,
        long_entry_bytes: 0,
    })
}

/// The positive control of all that follows: with no guard in the way, everything goes but the newest and the newest that was verified.
#[test]
fn what_no_rule_keeps_goes_if_nothing_stands_before_it() {
    assert_eq!(World::new().goes(), Ok(vec![1, 2, 3, 4, 5, 7]));
}

#[test]
fn neither_the_newest_nor_the_newest_verified_ever_goes() {
    for verified in 1..=SNAPSHOTS {
        let world = World::unverified();
        world.verify(verified);
        let goes = world.goes().unwrap();
        assert!(!goes.contains(&SNAPSHOTS) && !goes.contains(&verified), "{verified}: {goes:?}");
        assert!(goes.len() >= SNAPSHOTS as usize - 2);
    }
}

#[test]
fn what_is_on_hold_stays_and_goes_again_once_it_is_released() {
    let world = World::new();
    world.hold(Some(2));
    assert_eq!(world.goes(), Ok(vec![1, 3, 4, 5, 7]));
    world.hold(None);
    assert_eq!(world.refusal(), Refusal::Held { reason: "a reason".to_owned() });
    world.append(Event::Release { reason: "x".to_owned(), snapshot: None }, day(SNAPSHOTS - 1));
    assert_eq!(world.goes(), Ok(vec![1, 3, 4, 5, 7]));
}

#[test]
fn of_what_pushes_build_on_the_newest_with_that_root_stays() {
    let mut world = World::new();
    world.bases = [root(1), root(3), Root::from_bytes([99; 32])].into();
    assert_eq!(world.goes(), Ok(vec![2, 3, 5, 7]));
}

#[test]
fn what_is_newer_than_all_that_is_off_site_stays_where_that_is_asked_for() {
    let mut world = World::new();
    for (iced, goes) in [(Some(0), vec![]), (Some(2), vec![1, 2]), (Some(99), vec![1, 2, 3, 4, 5, 7])] {
        world.iced = iced;
        assert_eq!(world.goes(), Ok(goes), "{iced:?}");
    }
}

#[test]
fn a_floor_and_a_cap_hold_from_the_oldest_on() {
    let mut world = World::new();
    world.settings.keep_min = 5;
    assert_eq!(world.goes(), Ok(vec![1, 2, 3]));
    world.settings.cap = 2;
    assert_eq!(world.goes(), Ok(vec![1, 2]));
    world.settings.cap = 0;
    assert_eq!(world.goes(), Ok(vec![]));
    (world.settings.keep_min, world.settings.cap) = (100, 50);
    assert_eq!(world.goes(), Ok(vec![]));
}

#[test]
fn what_is_read_stays_and_takes_the_place_of_nothing_else() {
    let mut world = World::new();
    assert_eq!(world.goes_but(&[1, 2, 3].into()), Ok(vec![4, 5, 7]));
    world.settings.cap = 2;
    assert_eq!(world.goes_but(&[1, 2, 3].into()), Ok(vec![4, 5]));
    world.settings.keep_min = 7;
    assert_eq!(world.goes_but(&[1, 2, 3].into()), Ok(vec![4]));
}

#[test]
fn only_what_is_planned_goes_and_what_waits_is_not_planned_again() {
    let world = World::new();
    let planned = [2, 3].into();
    let fates = world.judge(Scope::Execute { planned: &planned, read: &HashSet::new() }).unwrap();
    assert_eq!(fates.iter().filter(|fate| **fate == Fate::Goes).count(), 2);
    assert_eq!(fates[0], Fate::Spared(Guard::NotPlanned));
    let fates = world.judge(Scope::Plan { open: &planned }).unwrap();
    assert_eq!((&fates[0], &fates[1]), (&Fate::Goes, &Fate::Spared(Guard::Waits)));
    // What waits counts as gone, so that two plans do not go below the floor together.
    let mut world = world;
    world.settings.keep_min = 5;
    let fates = world.judge(Scope::Plan { open: &planned }).unwrap();
    assert_eq!(fates.iter().filter(|fate| **fate == Fate::Goes).count(), 1);
}

#[test]
fn a_clock_that_jumped_keeps_everything() {
    let hour = TimeDelta::hours(1);
    // Controls: a plan of an hour ago, and one of a day ago.
    for ago in [hour, TimeDelta::days(1)] {
        assert!(World::new().planned(day(SNAPSHOTS) - ago, 8).goes().is_ok());
    }
    for ahead in [hour, TimeDelta::days(400), TimeDelta::days(18_000)] {
        let world = World::new().planned(day(SNAPSHOTS) + ahead, 8);
        assert!(matches!(world.refusal(), Refusal::ClockBack { .. }));
        let mut world = World::new();
        world.now = day(SNAPSHOTS - 1) - ahead;
        assert!(matches!(world.refusal(), Refusal::ClockBack { .. }), "by the log alone");
    }
    let mut world = World::new().planned(day(SNAPSHOTS) - hour, 8);
    for days in [6, 400, 18_000] {
        world.now = day(SNAPSHOTS + days);
        assert!(matches!(world.refusal(), Refusal::ClockForward { .. }), "{days}");
    }
    // A snapshot of the future, and log lines of the present after it.
    let world = World::new();
    world.append(ingest(9, day(400)), day(7));
    world.append(ingest(10, day(8)), day(8));
    assert!(matches!(world.refusal(), Refusal::Future { .. }));
    // Somebody has looked at it.
    world.hold(None);
    world.append(Event::Release { reason: "looked".to_owned(), snapshot: None }, day(8));
    assert!(world.goes().is_ok());
}

#[test]
fn a_list_that_is_short_keeps_everything() {
    assert!(World::new().planned(day(SNAPSHOTS), 8).goes().is_ok(), "control");
    let world = World::new().planned(day(SNAPSHOTS), 9);
    assert_eq!(world.refusal(), Refusal::Short { known: 9, found: 8 });
    let mut world = World::new().planned(day(SNAPSHOTS), 8);
    world.last.as_mut().unwrap().log = SameLog::No;
    assert!(matches!(world.refusal(), Refusal::OtherLog { .. }));
    let mut world = World::new();
    world.missing = vec![SnapshotName::new(day(1), 2).unwrap()];
    assert!(matches!(world.refusal(), Refusal::Missing { count: 1, .. }));
    // What was pruned since is not missed.
    let world = World::new().planned(day(SNAPSHOTS), 8);
    let event = Event::Prune {
        sequence: 1,
        name: SnapshotName::new(day(0), 1).unwrap().to_string(),
        root: root(1),
        planned: String::new(),
    };
    world.append(event, day(SNAPSHOTS));
    assert!(world.goes().is_ok());
}

#[test]
fn a_verify_that_is_overdue_or_never_was_keeps_everything() {
    assert_eq!(World::unverified().refusal(), Refusal::NeverVerified);
    let mut world = World::new();
    world.now = day(SNAPSHOTS - 1 + 40);
    assert!(world.goes().is_ok(), "control");
    world.now = day(SNAPSHOTS - 1 + 41);
    assert_eq!(world.refusal(), Refusal::VerifyOverdue { days: 41 });
    // Noted while the clock was a year ahead, and then it was set back, and a push came.
    let world = World::unverified();
    let newest = SnapshotName::new(day(VERIFIED - 1), VERIFIED as u64).unwrap().to_string();
    world.append(Event::Verify { newest, snapshots: 1, read_bytes: 1 }, day(SNAPSHOTS + 365));
    world.append(Event::Freed { bytes: 1 }, day(SNAPSHOTS));
    assert_eq!(world.refusal(), Refusal::NeverVerified);
}

#[test]
fn where_every_rule_keeps_everything_nothing_is_asked_of_verify_and_all_of_clock_and_list() {
    let keeping = Policy { every_days: 99, ..NOTHING };
    let refusal = |world: World| {
        let log = world.history.log().unwrap();
        let facts = world.facts(&log, &keeping);
        judge(&facts, Scope::Plan { open: &HashSet::new() }).err()
    };
    assert_eq!(refusal(World::unverified()), None);
    assert_eq!(refusal(World::unverified().planned(day(SNAPSHOTS), 8)), None);
    let short = refusal(World::unverified().planned(day(SNAPSHOTS), 9));
    assert_eq!(short, Some(Refusal::Short { known: 9, found: 8 }));
    let jumped = refusal(World::unverified().planned(day(SNAPSHOTS - 6), 8));
    assert_eq!(jumped, Some(Refusal::ClockForward { days: 6 }));
}

#[test]
fn what_stays_until_a_person_has_looked_is_hidden_by_nothing() {
    let mut world = World::new().planned(day(SNAPSHOTS - 40), 8);
    world.missing = vec![SnapshotName::new(day(1), 2).unwrap()];
    world.hold(None);
    assert!(world.refusal().stays(), "{:?}", world.refusal());
    let mut world = World::new().planned(day(SNAPSHOTS - 20), 8);
    assert!(!world.refusal().stays(), "an outage explains it");
    world.last.as_mut().unwrap().log = SameLog::No;
    assert!(world.refusal().stays());
}

#[test]
fn a_standing_that_cannot_be_read_keeps_everything() {
    let mut world = World::new();
    world.unread = Some("too long");
    assert_eq!(world.refusal(), Refusal::Standing { why: "too long".to_owned() });
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let check = |change: fn(&mut PruneSettings)| {
        let mut settings = PruneSettings::default();
        change(&mut settings);
        settings.check(Path::new("x"), 12 * 3600)
    };
    assert!(check(|_| ()).is_ok());
    assert!(check(|settings| settings.keep_min = 0).is_err());
    assert!(check(|settings| settings.cap = 10_001).is_err());
    let text = |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        cli::settings::load::<PruneSettings>(file.path()).unwrap()
    };
    let hours = |hours: u32, session_seconds: u32| {
        text(&format!("wait_hours = {hours}")).check(Path::new("x"), session_seconds)
    };
    assert!(hours(48, 47 * 3600).is_ok() && hours(73, 72 * 3600).is_ok(), "control");
    assert!(hours(47, 3600).is_err(), "too short for a person");
    assert!(hours(72, 72 * 3600).is_err(), "no longer than a session");
    // A host of its own kind waits longer than its own sessions.
    assert_eq!(text("wait_hours = 48").wait(12 * 3600), TimeDelta::hours(48));
    assert_eq!(text("wait_hours = 48").wait(100 * 3600), TimeDelta::hours(124));
}
