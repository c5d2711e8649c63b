//! One step of one history's prune, in a process of its own: it opens the host's folders and confines itself to them. The outcome is the last line
//! of standard output.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use cli::{Exit, Failed, Run};
use durable::{Dir, Name};
use formats::HostId;
use formats::records::Record;
use formats::records::log::Event;
use formats::records::plan::{PlannedSnapshot, PrunePlan};
use formats::records::standing::StandingRecord;
use history::{History, HostHistory, Log, LogAppender, Snapshot};
use sandbox::{Confinement, Profile, Threads};

use super::bases::{self, Jail};
use super::judge::{Facts, Fate, Last, Refusal, SameLog, Scope, judge};
use super::outcome::{Outcome, Spared};
use super::plans::{Numbered, Plans};
use super::settings::PruneSettings;
use super::trash::{self, Present};
use super::{Step, iced};
use crate::host::record::HostRecord;
use crate::retain::Policy;
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::views::{self, Views};
use crate::{standing, turn};

/// How long it is waited for whoever writes or reads.
const PATIENCE: Duration = Duration::from_secs(60);
const OPEN_FILES: u64 = 1024;

/// All that one prune works with.
struct Desk<'a> {
    settings: &'a PruneSettings,
    policy: Policy,
    history: HostHistory,
    jail: Jail,
    /// None if there are to be none; or why they cannot be reached.
    views: durable::Result<Option<Views>>,
    standing: Option<StandingRecord>,
    now: DateTime<Utc>,
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, host: &HostId, step: Step) -> Result<Exit, Failed> {
    let mut desk = open(settings, host)?;
    confine(settings, &desk)?;
    let mut plans = Plans::open(&desk.history)?;
    let mut outcome = Outcome::default();
    if step != Step::Plan {
        desk.execute(&mut plans, &mut outcome)?;
    }
    if step != Step::Execute {
        // Emptying the trash may have taken hours, and pushes came meanwhile.
        desk.now = Utc::now();
        desk.plan(&mut plans, &mut outcome)?;
    }
    let line = serde_json::to_string(&outcome).map_err(|error| Failed::bug("telling the outcome", error))?;
    run.line(&line);
    Ok(Exit::WHOLE)
}

fn open<'a>(settings: &'a Settings, host: &HostId) -> Result<Desk<'a>, Trouble> {
    let record = HostRecord::read(settings, host)?;
    let history = History::open(&settings.history).and_then(|history| history.host(host));
    let history = history.map_err(Trouble::history(host))?;
    let at = || Trouble::folder(format!("opening the jail of {host}"));
    let jails = Dir::open_root(&settings.jails).map_err(at())?;
    let jail = match jails.open_dir(Name::new(host.as_str().as_bytes()).map_err(at())?) {
        Err(error) if error.is_not_found() => Jail::default(),
        jail => {
            let jail = jail.map_err(at())?;
            let folder = |path| jail.open_beneath(path).map(Some).map_err(at());
            Jail {
                sealed: folder(b"spool/sealed")?,
                incoming: folder(b"spool/incoming")?,
                state: folder(b"state")?,
            }
        }
    };
    // What cannot be read says of nothing that it is off-site.
    let standing = standing::read(settings).unwrap_or_default();
    let policy = settings.policy(&record.retain);
    Ok(Desk {
        settings: &settings.prune,
        policy,
        history,
        jail,
        views: Views::open(settings, host),
        standing,
        now: Utc::now(),
    })
}

fn confine(settings: &Settings, desk: &Desk<'_>) -> Result<(), Trouble> {
    sandbox::limits::limit_core_zero()?;
    sandbox::limits::limit_open_files(OPEN_FILES)?;
    let mut confinement =
        Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::One);
    confinement = confinement.write_tree_beneath(desk.history.dir());
    for folder in [&desk.jail.sealed, &desk.jail.incoming, &desk.jail.state].into_iter().flatten() {
        confinement = confinement.read_beneath(folder);
    }
    if let Ok(Some(views)) = &desk.views {
        confinement = confinement.write_tree_beneath(views.dir());
    }
    let _in_force = confinement.apply()?;
    Ok(())
}

impl Desk<'_> {
    /// Carries out the plans that have waited; each is done then, whatever came of it.
    fn execute(&self, plans: &mut Plans, outcome: &mut Outcome) -> Result<(), Trouble> {
        let has_waited = |one: &Numbered| self.now - one.written >= self.settings.wait();
        let due: Vec<Numbered> = plans.open_ones().filter(|one| has_waited(one)).cloned().collect();
        let log = self.history.log().map_err(Trouble::history(self.history.host()))?;
        let left = Present::look(&self.history).map_err(self.at("looking at"))?.left(&log);
        if !due.is_empty() || !left.is_empty() {
            self.remove(plans, &due, outcome)?;
            outcome.views = self.renew_views().err();
        }
        // What a plan of the future says of time is not believed: it neither waits nor is remembered.
        plans.finish(|one| has_waited(one) || one.written > self.now)?;
        self.empty_trash(outcome)
    }

    /// Under both locks, for as long as a few renames take.
    fn remove(&self, plans: &Plans, due: &[Numbered], outcome: &mut Outcome) -> Result<(), Trouble> {
        let host = self.history.host();
        let (alone, unread) = turn::remove_within(&self.history, PATIENCE)?;
        let mut log = LogAppender::open(&self.history, &alone).map_err(Trouble::history(host))?;
        let present = Present::look(&self.history).map_err(self.at("looking at"))?;
        for name in present.left(log.log()) {
            trash::throw_away(&self.history, &name).map_err(self.at("tidying"))?;
        }
        let planned = due.iter().flat_map(|one| one.plan.remove.iter().map(move |planned| (planned, one)));
        let planned: Vec<(&PlannedSnapshot, &Numbered)> = planned.collect();
        let sequences: HashSet<u64> = planned.iter().map(|(planned, _)| planned.sequence).collect();
        let snapshots = log.log().snapshots().to_vec();
        let fates = self.judge(log.log(), plans, &present, Scope::Execute { planned: &sequences })?;
        let Some(fates) = outcome.judged(fates) else { return Ok(()) };
        for (snapshot, fate) in snapshots.iter().zip(fates) {
            let plan = planned.iter().find(|(planned, _)| is_the_same(planned, snapshot));
            match (fate, plan) {
                (Fate::Goes, Some((_, plan))) => {
                    log.append(event(snapshot, &plan.plan), Utc::now()).map_err(Trouble::history(host))?;
                    trash::throw_away(&self.history, &snapshot.name).map_err(self.at("tidying"))?;
                    outcome.removed.push(snapshot.name.to_string());
                }
                (Fate::Spared(guard), Some(_)) => {
                    outcome.spared.push(Spared { name: snapshot.name.to_string(), why: guard.to_string() });
                }
                _ => {}
            }
        }
        drop((unread, alone));
        Ok(())
    }

    /// Before the trash is emptied, which may take hours: no view names what is gone. Also when nothing went, for what a killed run removed.
    fn renew_views(&self) -> Result<(), String> {
        let alone = turn::write_within(&self.history, PATIENCE).map_err(|trouble| cli::chain(&trouble))?;
        let log = self.history.log().map_err(|error| cli::chain(&error))?;
        views::renew(&self.views, &self.history, &log, &alone)
    }

    /// Holds no lock but that of the plans.
    fn empty_trash(&self, outcome: &mut Outcome) -> Result<(), Trouble> {
        if trash::is_empty(&self.history).map_err(self.at("looking at"))? {
            return Ok(());
        }
        let freed = trash::empty(&self.history, self.settings.names_per_second);
        outcome.freed_bytes = freed.map_err(self.at("emptying the trash of"))?;
        if outcome.freed_bytes > 0 {
            let host = self.history.host();
            let alone = turn::write_within(&self.history, PATIENCE)?;
            let mut log = LogAppender::open(&self.history, &alone).map_err(Trouble::history(host))?;
            let event = Event::Freed { bytes: outcome.freed_bytes };
            log.append(event, Utc::now()).map_err(Trouble::history(host))?;
        }
        Ok(())
    }

    /// Writes down what may go later. Also when that is nothing: the next one wants to know what was there.
    fn plan(&self, plans: &mut Plans, outcome: &mut Outcome) -> Result<(), Trouble> {
        let host = self.history.host();
        let reading = self.history.read_lock().map_err(Trouble::history(host))?;
        let log = self.history.log().map_err(Trouble::history(host))?;
        let present = Present::look(&self.history).map_err(self.at("looking at"))?;
        drop(reading);
        let open = plans.named();
        let fates = self.judge(&log, plans, &present, Scope::Plan { open: &open })?;
        let fates = outcome.judged(fates);
        let goes = |(snapshot, fate): (&Snapshot, Fate)| match fate {
            Fate::Goes => Some(PlannedSnapshot {
                name: snapshot.name.to_string(),
                sequence: snapshot.sequence,
                root: snapshot.root,
            }),
            _ => None,
        };
        let remove: Vec<_> = log.snapshots().iter().zip(fates.unwrap_or_default()).filter_map(goes).collect();
        outcome.planned = remove.iter().map(|planned| planned.name.clone()).collect();
        outcome.snapshots = log.snapshots().len() as u64;
        plans.add(PrunePlan {
            format: PrunePlan::format(),
            host: host.clone(),
            written: self.now.to_rfc3339_opts(SecondsFormat::Secs, true),
            line: log.lines(),
            log_head: log.log_head(),
            snapshots: log.snapshots().len() as u64,
            refused: outcome.refused.clone(),
            remove,
        })
    }

    fn judge(
        &self,
        log: &Log,
        plans: &Plans,
        present: &Present,
        scope: Scope<'_>,
    ) -> Result<Result<Vec<Fate>, Refusal>, Trouble> {
        let host = self.history.host();
        let facts = Facts {
            now: self.now,
            log,
            policy: &self.policy,
            settings: self.settings,
            last: plans.newest().map(|newest| self.last(newest, log)).transpose()?,
            missing: &present.missing(log),
            bases: &bases::named(&self.jail, host)?,
            iced: self.settings.require_ice.then(|| iced::up_to(self.standing.as_ref(), host, log, self.now)),
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
