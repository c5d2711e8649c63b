//! Stays, and judges each push soon after it is sealed.
//!
//! The kernel tells when something arrives in the folder of a jail where sealed pushes wait. What it does not tell is found by a sweep of all jails every
//! minute: events that were lost, folders that could not be watched, hosts whose ingest failed. Nothing is judged here: each push has a process of its
//! own, as in `ingest`, one push of each host after another.

mod eyes;
mod jails;
mod stop;
mod turns;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cli::{Console, Exit, Failed, Monitor, Run};
use formats::HostId;

use crate::ingest_host::outcome::{End, Outcome};
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::{ingest, sign};
use eyes::Eyes;
use jails::Jails;
use stop::Stop;
use turns::{Came, Pace, STARTS_MAX, Turn, Turns};

/// How often a jail is looked at that is just being made.
const YOUNG_EVERY: Duration = Duration::from_millis(500);
/// Sweeps that are asked for by lost events are at least so far apart: a host that floods its own folder must not keep this process busy.
const EARLY_SWEEP_AFTER: Duration = Duration::from_secs(2);

/// Runs the verb, until it is asked to end. What concerns one host is said, and never ends it.
pub(crate) fn run(
    run: &mut Run,
    settings: &Settings,
    only: &[HostId],
    sweep_every: Duration,
) -> Result<Exit, Failed> {
    let mut stop = Stop::new().map_err(Trouble::stream("waiting for a signal"))?;
    let jails = Jails::new(settings, only)?;
    let mut watch = Watch {
        console: run.console(),
        eyes: Eyes::new(),
        turns: Turns::default(),
        young: HashMap::new(),
        next_sweep: Instant::now() + sweep_every,
        last_sweep: Instant::now(),
        sweep_every,
        jails,
    };
    watch.begin();
    run.line(&format!("watching {} hosts", watch.jails.known().len()));
    while !stop.is_asked() {
        watch.look();
        match watch.turns.next() {
            Some(turn) => watch.turn(run, settings, turn),
            None => stop.wait(watch.eyes.events(), watch.patience()),
        }
    }
    watch.console.info("asked to end, and nothing is at work");
    Ok(Exit::WHOLE)
}

/// Where something waited and nothing was judged, it was no push, or its account took it away again: were that worth another look at once, a host could
/// have a process started for every name that it makes.
fn came(turn: &Turn, outcome: &Outcome) -> Came {
    match (turn, outcome.end, outcome.waiting) {
        (Turn::First(_), End::Idle, 0) => Came::Nothing,
        (_, End::Idle, _) => Came::Stuck,
        (_, _, 0) => Came::Nothing,
        _ => Came::More,
    }
}

/// All that is known between two events.
struct Watch {
    console: Console,
    jails: Jails,
    eyes: Eyes,
    turns: Turns,
    /// Hosts whose jail is being made, and when that takes too long.
    young: HashMap<HostId, Instant>,
    sweep_every: Duration,
    next_sweep: Instant,
    last_sweep: Instant,
}

impl Watch {
    /// Everything once, also where nothing is sealed: what an earlier run left is repaired, and what the settings say now is published.
    fn begin(&mut self) {
        self.all();
        let made = self.jails.known().iter().filter(|host| !self.jails.is_new(host));
        self.turns.begin(made.cloned());
    }

    /// Takes in what happened, without waiting.
    fn look(&mut self) {
        let now = Instant::now();
        let seen = self.eyes.take();
        for host in &seen.hosts {
            self.turns.sealed(host);
        }
        if now >= self.next_sweep {
            self.turns.sweep();
            self.next_sweep = now + self.sweep_every;
            self.sweep();
        } else if self.eyes.has_lost() && now >= self.last_sweep + EARLY_SWEEP_AFTER {
            self.sweep();
        } else if seen.is_jails {
            self.newcomers();
        }
        self.grow(now);
    }

    fn sweep(&mut self) {
        self.last_sweep = Instant::now();
        if let Err(trouble) = self.jails.read() {
            self.console.warn(&Failed::from(trouble).chain());
        }
        self.all();
    }

    /// Looks at every jail, and watches it from now on. The watch comes first: what is sealed after it is told, what was sealed before is seen.
    fn all(&mut self) {
        self.eyes.begin_round();
        self.eyes.watch_jails(self.jails.folder(), &self.console);
        for host in self.jails.known().to_vec() {
            self.one(&host);
        }
        self.eyes.end_round();
    }

    fn newcomers(&mut self) {
        match self.jails.read() {
            Ok(new) => new.iter().for_each(|host| self.one(host)),
            Err(trouble) => self.console.warn(&Failed::from(trouble).chain()),
        }
    }

    fn one(&mut self, host: &HostId) {
        match self.jails.sealed(host) {
            Ok(folder) => {
                self.young.remove(host);
                self.eyes.watch(host, &folder, &self.console);
                if self.jails.waits(&folder) {
                    self.turns.sealed(host);
                }
                self.jails.reached(host);
            }
            // A jail appears before what is in it.
            Err(_) if self.jails.is_new(host) => {
                self.young.entry(host.clone()).or_insert_with(|| Instant::now() + self.sweep_every);
            }
            Err(error) => self.jails.missed(host, &error, &self.console),
        }
    }

    /// Looks again at jails that are being made. One that is not made by the end of its time is said, and left to the sweep.
    fn grow(&mut self, now: Instant) {
        let young: Vec<_> = self.young.iter().map(|(host, until)| (host.clone(), *until)).collect();
        for (host, until) in young {
            if now >= until {
                self.young.remove(&host);
                self.jails.reached(&host);
            }
            self.one(&host);
        }
    }

    /// How long nothing is to be done, if nothing happens.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        let mut patience = self.next_sweep.saturating_duration_since(now);
        if !self.young.is_empty() {
            patience = patience.min(YOUNG_EVERY);
        }
        if self.eyes.has_lost() {
            let early = self.last_sweep + EARLY_SWEEP_AFTER;
            patience = patience.min(early.saturating_duration_since(now));
        }
        self.eyes.rest().map_or(patience, |rest| patience.min(rest))
    }

    /// At most one push of one host.
    fn turn(&mut self, run: &mut Run, settings: &Settings, turn: Turn) {
        let host = turn.host();
        if let Turn::Sealed(host) = &turn {
            match self.jails.sealed(host) {
                Ok(folder) if !self.jails.waits(&folder) => return self.turns.done(host, Came::Nothing),
                // Whatever is wrong, its process says it.
                _ => {}
            }
        }
        if self.turns.begun(host) == Pace::Last {
            let seconds = self.sweep_every.as_secs();
            self.console.warn(&format!(
                "{host}: {STARTS_MAX} of its pushes were judged within {seconds} s; what it sealed besides waits for the next sweep"
            ));
        }
        let came = match ingest::one(settings, host) {
            Ok((_, Some(outcome))) => {
                ingest::tell(run, host, &outcome);
                if outcome.end != End::Idle {
                    sign::logs(&self.console, settings, std::iter::once(host));
                }
                came(&turn, &outcome)
            }
            Ok((exit, None)) => {
                self.failed(run, host, &ingest::ended(settings, exit));
                Came::Failed
            }
            Err(failed) => {
                self.failed(run, host, &failed.chain());
                Came::Failed
            }
        };
        self.turns.done(host, came);
    }

    fn failed(&self, run: &mut Run, host: &HostId, what: &str) {
        run.report().count("failed", 1);
        let sweeps = self.turns.sweeps_after_failure(host);
        let seconds = self.sweep_every.as_secs().saturating_mul(u64::from(sweeps));
        self.console.warn(&format!(
            "{host}: its ingest {what}; nothing sealed is lost, and it is tried again in about {seconds} s"
        ));
    }
}
