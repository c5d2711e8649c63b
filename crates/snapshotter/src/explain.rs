//! Says why a host is on hold, in plain words: what was seen, in which push, what was there before, and what to do.

use cli::{Exit, Failed, Run};
use formats::HostId;
use history::{Log, RaisedAlarm, Snapshot};
use serde_json::{Value, json};

use crate::hold::Target;
use crate::list::open;
use crate::settings::Settings;
use crate::tripwire::words;
use crate::trouble::Trouble;

pub(crate) const EXAMPLES: &str = "Examples:
  snapshotter explain web01
  snapshotter explain web01/20260102T030405Z-0000000017
  snapshotter explain web01 --json

An alarm refuses nothing: the push is a snapshot, and nothing of the history is removed until somebody has looked and says so (`release`).
This tells what the alarms since the last release saw, with some of the paths, which snapshot is the last before them, and how it is brought
back. Of a snapshot it tells what its push raised, and whether it is on hold itself. docs/history.md tells what each tripwire measures.";

/// Alarms that are told to people; the report has all.
const TOLD_MAX: usize = 12;

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, target: &Target) -> Result<Exit, Failed> {
    let host = target.host();
    let at = || Trouble::history(host);
    let place = open(settings)?.host(host).map_err(at())?;
    let log = place.log().map_err(at())?;
    let only = target.snapshot().map(|name| log.find(name)).transpose().map_err(at())?;
    holds(run, host, &log, only);
    let alarms = match only {
        Some(snapshot) => log.alarms().iter().filter(|raised| raised.push == snapshot.push).collect(),
        None => open_alarms(&log),
    };
    for raised in alarms.iter().take(TOLD_MAX) {
        tell(run, &log, raised);
    }
    match alarms.len() {
        0 => run
            .line("no alarm: no push since the last release was like an attack, as far as tripwires can see"),
        count if count > TOLD_MAX => run.line(&format!("and {} alarms more", count - TOLD_MAX)),
        _ => {}
    }
    let good = last_good(&log, &alarms);
    advise(run, host, &log, good);
    run.report().count("alarms", alarms.len() as u64);
    run.report().detail("host", host.as_str());
    run.report().detail("hold", log.holds().iter().find(|held| held.snapshot.is_none()).map(held));
    run.report().detail("holds", log.holds().iter().map(held).collect::<Vec<_>>());
    run.report().detail("alarms", alarms.iter().map(|raised| json_of(&log, raised)).collect::<Vec<_>>());
    run.report().detail("last_good", good.map(|good| good.name.as_str()));
    Ok(Exit::WHOLE)
}

/// Alarms that nobody has answered with a release.
pub(crate) fn open_alarms(log: &Log) -> Vec<&RaisedAlarm> {
    log.alarms().iter().filter(|raised| raised.line > log.released_line()).collect()
}

/// For the report of this verb and of `status`.
pub(crate) fn json_of(log: &Log, raised: &RaisedAlarm) -> Value {
    let tripwire = raised.tripwire.as_deref();
    json!({
        "what": raised.what,
        "text": words(raised.what, tripwire),
        "time": raised.time,
        "push": raised.push.to_string(),
        "snapshot": snapshot_of(log, raised).map(|snapshot| snapshot.name.as_str()),
        "tripwire": tripwire,
    })
}

fn held(held: &history::Held) -> Value {
    json!({ "snapshot": held.snapshot, "reason": held.reason, "since": held.time })
}

fn holds(run: &mut Run, host: &HostId, log: &Log, only: Option<&Snapshot>) {
    match log.holds().iter().find(|held| held.snapshot.is_none()) {
        Some(held) => run.line(&format!("{host} is on hold since {}: {}", held.time, held.reason)),
        None => run.line(&format!("{host} is not on hold")),
    }
    let wanted = |name: &str| only.is_none_or(|only| only.name.as_str() == name);
    for held in log.holds() {
        if let Some(name) = held.snapshot.as_deref().filter(|name| wanted(name)) {
            run.line(&format!("{host}/{name} is on hold since {}: {}", held.time, held.reason));
        }
    }
}

fn tell(run: &mut Run, log: &Log, raised: &RaisedAlarm) {
    let tripwire = raised.tripwire.as_deref();
    let became = match snapshot_of(log, raised) {
        Some(snapshot) => format!("the push is snapshot {}", snapshot.name),
        None if log.unchanged_pushes().iter().any(|push| push.push == raised.push) => {
            "nothing had changed in the push".to_owned()
        }
        None => "the push is no snapshot".to_owned(),
    };
    run.line(&format!("alarm at {}: {}; {became}", raised.time, words(raised.what, tripwire)));
    if let Some(tripwire) = tripwire {
        run.line(&format!("  compared with {}, some of them:", tripwire.compared));
        for path in &tripwire.paths {
            run.line(&format!("  {path}"));
        }
    }
}

fn advise(run: &mut Run, host: &HostId, log: &Log, good: Option<&Snapshot>) {
    if let Some(good) = good {
        let name = &good.name;
        run.line(&format!("the last good version is probably {name}, the newest that was compared with or before the first alarm"));
        run.line(&format!("  look:    snapshotter diff {host} {name} latest"));
        run.line(&format!("  restore: snapshotter restore {host} {name} --to DIR"));
    }
    if log.hold().is_some() {
        run.line("nothing of this history is removed until somebody has looked and says so:");
        run.line(&format!("  snapshotter release {host} --reason '...'"));
    }
}

/// What was there before the push that raised the first of these alarms, or where it was compared with an older one, that.
fn last_good<'a>(log: &'a Log, alarms: &[&RaisedAlarm]) -> Option<&'a Snapshot> {
    let first = alarms.first()?;
    let of_push = alarms.iter().filter(|raised| raised.push == first.push);
    let compared = of_push.filter_map(|raised| log.find(&raised.tripwire.as_ref()?.compared).ok());
    let before = log.snapshots().iter().rev().find(|snapshot| snapshot.line < first.line);
    compared.chain(before).min_by_key(|snapshot| snapshot.sequence)
}

fn snapshot_of<'a>(log: &'a Log, raised: &RaisedAlarm) -> Option<&'a Snapshot> {
    log.snapshots().iter().find(|snapshot| snapshot.push == raised.push)
}
