//! One step of one history's prune, in a process of its own: it opens the host's folders and confines itself to them. The outcome is the last line
//! of standard output.

use std::collections::HashSet;
use std::thread::sleep;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use cli::{Exit, Failed, Run};
use formats::HostId;
use formats::records::Record;
use formats::records::log::Event;
use formats::records::plan::{PlannedSnapshot, PrunePlan};
use formats::records::standing::StandingRecord;
use history::{HostHistory, Log, LogAppender, Snapshot, SnapshotName};
use sandbox::{Confinement, Profile, Threads};

use super::bases::{self, Jail};
use super::judge::{Facts, Fate, Guard, Last, Refusal, SameLog, Scope, judge};
use super::outcome::{Outcome, Spared};
use super::plans::{Numbered, Plans};
use super::settings::PruneSettings;
use super::trash::{self, Present};
use super::{Step, iced};
use crate::host::record::HostRecord;
use crate::ingest_host::publish;
use crate::limits::Allowed;
use crate::retain::Policy;
use crate::settings::Settings;
use crate::sign::Signing;
use crate::trouble::Trouble;
use crate::views::{self, Views};
use crate::{sign, standing, turn};

/// How long it is waited for whoever writes.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many snapshots go while the lock is held; and then whoever waits for it gets so much time.
const TURN: usize = 16;
const BREATH: Duration = Duration::from_millis(200);
const OPEN_FILES: u64 = 1024;

/// All that one prune works with.
struct Desk<'a> {
    settings: &'a PruneSettings,
    policy: Policy,
    allowed: Allowed,
    wait: TimeDelta,
    history: HostHistory,
    jail: Jail,
    /// None if there are to be none; or why they cannot be reached.
    views: durable::Result<Option<Views>>,
    /// What iceboxer published, or why it cannot be read.
    standing: Result<Option<StandingRecord>, String>,
    now: DateTime<Utc>,
}

/// What is there.
struct Survey {
    log: Log,
    present: Present,
}

/// Whether there is more to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    Yes,
    No,
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, host: &HostId, step: Step) -> Result<Exit, Failed> {
    let mut desk = open(settings, host)?;
    let (signing, certificate) = sign::for_plans(settings)?;
    confine(settings, &desk, &signing)?;
    let mut plans = Plans::open(&desk.history, signing, &certificate)?;
    let mut outcome = Outcome::default();
    let ended = desk.steps(&mut plans, &mut outcome, step);
    // Whatever went wrong then: what is known to be gone is told.
    let line = serde_json::to_string(&outcome);
    run.line(&line.map_err(|error| Failed::bug("telling the outcome", error))?);
    ended?;
    Ok(Exit::WHOLE)
}

fn open<'a>(settings: &'a Settings, host: &HostId) -> Result<Desk<'a>, Trouble> {
    let record = HostRecord::read(settings, host)?;
    let history = crate::list::open(settings)?.host(host).map_err(Trouble::history(host))?;
    let jail = Jail::open(settings, host)?;
    let allowed = settings.allowed(&record.limits);
    Ok(Desk {
        settings: &settings.prune,
        policy: settings.policy(&record.retain),
        wait: settings.prune.wait(allowed.limits.session_seconds),
        allowed,
        history,
        jail,
        views: Views::open(settings, host),
        standing: standing::read(settings),
        now: Utc::now(),
    })
}

fn confine(settings: &Settings, desk: &Desk<'_>, signing: &Signing) -> Result<(), Trouble> {
    sandbox::limits::limit_core_zero()?;
    sandbox::limits::limit_open_files(OPEN_FILES)?;
    let mut confinement =
        Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::More);
    confinement = confinement.write_tree_beneath(desk.history.dir());
    for folder in [&desk.jail.sealed, &desk.jail.incoming].into_iter().flatten() {
        confinement = confinement.read_beneath(folder);
    }
    if let Some(state) = &desk.jail.state {
        confinement = confinement.write_files_beneath(state);
    }
    if let Ok(Some(views)) = &desk.views {
        confinement = confinement.write_links_beneath(views.dir());
    }
    let _in_force = confinement.child(signing.id()).apply()?;
    Ok(())
}

impl Desk<'_> {
    fn steps(&mut self, plans: &mut Plans, outcome: &mut Outcome, step: Step) -> Result<(), Trouble> {
        let executed = match step {
            Step::Plan => Ok(()),
            Step::Execute | Step::Both => self.execute(plans, outcome),
        };
        let may_plan = matches!(executed, Ok(()) | Err(Trouble::Busy { .. }));
        let planned = if step != Step::Execute && may_plan {
            // Emptying the trash may have taken hours, and pushes came meanwhile.
            self.now = Utc::now();
            self.plan(plans, outcome)
        } else {
            Ok(())
        };
        let ended = executed.and(planned);
        if matches!(ended, Err(Trouble::Stranger { .. })) {
            plans.finish(|_| true)?;
        }
        ended
    }

    /// Carries out the plans that have waited; each is done then, whatever came of it.
    fn execute(&self, plans: &mut Plans, outcome: &mut Outcome) -> Result<(), Trouble> {
        let Survey { log, present } = self.survey()?;
        plans.finish(is_seen(&log))?;
        let has_waited = |one: &Numbered| self.now - one.written >= self.wait;
        let due: Vec<Numbered> = plans.open_ones().filter(|one| has_waited(one)).cloned().collect();
        if due.is_empty() && present.left(&log).is_empty() {
            // What is odd is told also by a run that has nothing to do.
            let none = HashSet::new();
            let scope = Scope::Execute { planned: &none, read: &none };
            outcome.judged(self.judge(&log, plans, &present, scope, 0)?);
        } else if let Err(trouble) = self.remove_all(plans, &due, outcome) {
            // What is moved goes nevertheless: on a full disk it is the room that the next line of the log needs. Not where that has lost lines.
            let is_lost = matches!(trouble, Trouble::Stranger { .. });
            return if is_lost { Ok(()) } else { self.empty_trash(outcome) }.and(Err(trouble));
        }
        // Before the trash is emptied, which may take hours. Also when nothing went, for what a killed run removed and a failed one could not make.
        outcome.views = views::renew_alone(&self.views, &self.history).err();
        // After a doubt all waits anew. What a plan of the future says of time is not believed: it neither waits nor is remembered.
        let is_doubted = outcome.refused.is_some();
        plans.finish(|one| is_doubted || has_waited(one) || one.written > self.now)?;
        self.empty_trash(outcome)
    }

    fn remove_all(&self, plans: &Plans, due: &[Numbered], outcome: &mut Outcome) -> Result<(), Trouble> {
        let mut read = HashSet::new();
        while self.remove(plans, due, &mut read, outcome)? == More::Yes {
            sleep(BREATH);
        }
        Ok(())
    }

    /// Removes a few under the lock of whoever writes, for as long as their renames take, each under its own lock. All is asked anew each time. What
    /// somebody reads is added to `read`, and asked for no more: it must not count among those that go.
    fn remove(
        &self,
        plans: &Plans,
        due: &[Numbered],
        read: &mut HashSet<u64>,
        outcome: &mut Outcome,
    ) -> Result<More, Trouble> {
        let host = self.history.host();
        let alone = turn::write_within(&self.history, PATIENCE)?;
        let mut log = LogAppender::open(&self.history, &alone).map_err(Trouble::history(host))?;
        let present = Present::look(&self.history).map_err(self.at("looking at"))?;
        self.require_no_stranger(&present, log.log())?;
        let left = if log.log().hold().is_none() { self.tidy(&present, log.log())? } else { Vec::new() };
        let planned = due.iter().flat_map(|one| one.plan.remove.iter().map(move |planned| (planned, one)));
        let planned: Vec<(&PlannedSnapshot, &Numbered)> = planned.collect();
        let sequences: HashSet<u64> = planned.iter().map(|(planned, _)| planned.sequence).collect();
        let snapshots = log.log().snapshots().to_vec();
        let removed = u32::try_from(outcome.removed.len()).unwrap_or(u32::MAX);
        let scope = Scope::Execute { planned: &sequences, read };
        let fates = self.judge(log.log(), plans, &present, scope, removed)?;
        outcome.spared = left;
        let Some(fates) = outcome.judged(fates) else { return Ok(More::No) };
        let (mut going, mut events, mut more) = (Vec::new(), Vec::new(), More::No);
        for (snapshot, fate) in snapshots.iter().zip(fates) {
            let plan = planned.iter().find(|(planned, _)| is_the_same(planned, snapshot));
            match (fate, plan) {
                (Fate::Goes, Some(_)) if going.len() >= TURN => more = More::Yes,
                (Fate::Goes, Some((_, plan))) => {
                    let unread = self.history.removal_lock(&snapshot.name).map_err(Trouble::history(host))?;
                    let Some(unread) = unread else {
                        read.insert(snapshot.sequence);
                        more = More::Yes;
                        continue;
                    };
                    going.push((snapshot.name.clone(), unread));
                    events.push(event(snapshot, &plan.plan));
                }
                (Fate::Spared(guard), Some(_)) => {
                    outcome.spared.push(Spared::by(&guard, &snapshot.name));
                }
                _ => {}
            }
        }
        if !going.is_empty() {
            log.append_all(events, Utc::now()).map_err(Trouble::history(host))?;
            outcome.removed.extend(going.iter().map(|(name, _)| name.to_string()));
            trash::throw_away(&self.history, &going).map_err(self.at("tidying"))?;
            self.publish(log.log())?;
        }
        drop(alone);
        Ok(more)
    }

    /// Moves what the log calls pruned and is still in its place, for the run that did so was killed. Tells what somebody reads meanwhile.
    fn tidy(&self, present: &Present, log: &Log) -> Result<Vec<Spared>, Trouble> {
        let mut left = Vec::new();
        for names in present.left(log).chunks(TURN) {
            let mut going = Vec::new();
            for name in names {
                match self.history.removal_lock(name).map_err(Trouble::history(self.history.host()))? {
                    Some(unread) => going.push((name.clone(), unread)),
                    None => left.push(Spared::by(&Guard::Read, name)),
                }
            }
            trash::throw_away(&self.history, &going).map_err(self.at("tidying"))?;
        }
        Ok(left)
    }

    /// Holds no lock but that of the plans.
    fn empty_trash(&self, outcome: &mut Outcome) -> Result<(), Trouble> {
        let emptied = trash::empty(&self.history, self.settings.names_per_second, &mut outcome.freed_bytes);
        if outcome.freed_bytes > 0 {
            // However long an ingest takes: nobody else knows how many they were.
            let host = self.history.host();
            let alone = turn::write_within(&self.history, Duration::MAX)?;
            let mut log = LogAppender::open(&self.history, &alone).map_err(Trouble::history(host))?;
            let event = Event::Freed { bytes: outcome.freed_bytes };
            log.append(event, Utc::now()).map_err(Trouble::history(host))?;
            self.publish(log.log())?;
        }
        emptied
    }

    /// The host is told what room it has now, and not only after its next push. Under the lock of whoever writes.
    fn publish(&self, log: &Log) -> Result<(), Trouble> {
        let Some(state) = &self.jail.state else { return Ok(()) };
        let host = self.history.host();
        let before = publish::load(state, host)?;
        let published = publish::of_log(log, host, &self.allowed, before.as_ref());
        publish::store(state, &published, before.as_ref())
    }

    /// Writes down what may go later. Also when that is nothing: the next one wants to know what was there.
    fn plan(&self, plans: &mut Plans, outcome: &mut Outcome) -> Result<(), Trouble> {
        let Survey { log, present } = self.survey()?;
        plans.finish(is_seen(&log))?;
        let open = plans.named();
        let fates = self.judge(&log, plans, &present, Scope::Plan { open: &open }, 0)?;
        let stays = fates.as_ref().is_err_and(Refusal::stays);
        let refused = fates.as_ref().err().map(ToString::to_string);
        if refused.is_some() {
            plans.finish(|_| true)?;
        }
        let fates = outcome.judged(fates).unwrap_or_default();
        let goes = |(snapshot, fate): (&Snapshot, Fate)| match fate {
            Fate::Goes => Some(PlannedSnapshot {
                name: snapshot.name.to_string(),
                sequence: snapshot.sequence,
                root: snapshot.root,
            }),
            _ => None,
        };
        let remove: Vec<_> = log.snapshots().iter().zip(fates).filter_map(goes).collect();
        outcome.planned = remove.iter().map(|planned| planned.name.clone()).collect();
        outcome.snapshots = log.snapshots().len() as u64;
        let plan = PrunePlan {
            format: PrunePlan::format(),
            host: self.history.host().clone(),
            written: self.now.to_rfc3339_opts(SecondsFormat::Secs, true),
            line: log.lines(),
            log_head: log.log_head(),
            snapshots: log.snapshots().len() as u64,
            doubted_line: None,
            refused,
            remove,
        };
        plans.add(match plans.newest() {
            Some(newest) if stays => newest.carried(plan),
            _ => plan,
        })
    }

    /// The log, and what lies there; refused if that is more than the log knows.
    fn survey(&self) -> Result<Survey, Trouble> {
        let at = || Trouble::history(self.history.host());
        // An ingest may commit at any moment: what is strange is looked for before the log is read, what is missing after that.
        let before = Present::look(&self.history).map_err(self.at("looking at"))?;
        let log = self.history.log().map_err(at())?;
        self.require_no_stranger(&before, &log)?;
        let present = Present::look(&self.history).map_err(self.at("looking at"))?;
        Ok(Survey { log, present })
    }

    fn require_no_stranger(&self, present: &Present, log: &Log) -> Result<(), Trouble> {
        let host = || self.history.host().clone();
        let stranger = |name: &SnapshotName| Trouble::Stranger { host: host(), what: name.to_string() };
        present.stranger(log).map_or(Ok(()), |name| Err(stranger(name)))
    }

    fn judge(
        &self,
        log: &Log,
        plans: &Plans,
        present: &Present,
        scope: Scope<'_>,
        removed: u32,
    ) -> Result<Result<Vec<Fate>, Refusal>, Trouble> {
        let host = self.history.host();
        let iced = || match &self.standing {
            Ok(standing) => Ok(iced::up_to(standing.as_ref(), host, log, self.now)),
            Err(why) => Err(why.as_str()),
        };
        let facts = Facts {
            now: self.now,
            log,
            policy: &self.policy,
            settings: self.settings,
            wait: self.wait,
            cap: self.settings.cap.saturating_sub(removed),
            last: plans.remembered(log).map(|newest| self.last(newest, log)).transpose()?,
            missing: &present.missing(log),
            bases: &bases::named(&self.jail, host)?,
            iced: self.settings.require_ice.then(iced),
        };
        Ok(judge(&facts, scope))
    }

    fn last(&self, newest: &Numbered, log: &Log) -> Result<Last, Trouble> {
        let PrunePlan { line, log_head, snapshots, .. } = newest.plan;
        let same = line == 0 || log.lines() >= line && self.hash_of(line)? == Some(log_head);
        let log = if same { SameLog::Yes } else { SameLog::No };
        Ok(Last { written: newest.written, snapshots, line, log })
    }

    /// The hash of one line of the log.
    fn hash_of(&self, line: u64) -> Result<Option<formats::ContentHash>, Trouble> {
        let at = || Trouble::history(self.history.host());
        for raw in self.history.log_reader().map_err(at())?.into_iter().flatten() {
            let raw = raw.map_err(at())?;
            if raw.line.line == line {
                return Ok(Some(raw.hash));
            }
        }
        Ok(None)
    }

    fn at(&self, doing: &'static str) -> impl FnOnce(durable::Error) -> Trouble + use<> {
        Trouble::folder(format!("{doing} the history of {}", self.history.host()))
    }
}

/// Plans of before a release: whoever released looked at what was there, and not at what somebody had planned.
fn is_seen(log: &Log) -> impl Fn(&Numbered) -> bool + use<> {
    let released_line = log.released_line();
    move |one| one.plan.line < released_line
}

fn is_the_same(planned: &PlannedSnapshot, snapshot: &Snapshot) -> bool {
    planned.sequence == snapshot.sequence
        && planned.name == snapshot.name.as_str()
        && planned.root == snapshot.root
}

fn event(snapshot: &Snapshot, plan: &PrunePlan) -> Event {
    Event::Prune {
        sequence: snapshot.sequence,
        name: snapshot.name.to_string(),
        root: snapshot.root,
        planned: plan.written.clone(),
    }
}
