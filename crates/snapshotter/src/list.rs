//! Lists snapshots.

use cli::{Exit, Failed, Run};
use formats::HostId;
use history::{History, Log, Snapshot};

use crate::host::record::HostRecord;
use crate::retain::{Rule, retain_log};
use crate::settings::Settings;
use crate::trouble::Trouble;

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, only: Option<&HostId>) -> Result<Exit, Failed> {
    let history = open(settings)?;
    let mut listed = Vec::new();
    for host in hosts(&history, only)? {
        let at = || Trouble::history(&host);
        let place = history.host(&host).map_err(at())?;
        let log = place.log().map_err(at())?;
        let policy = match HostRecord::read(settings, &host) {
            Ok(record) => Some(settings.policy(&record.retain)),
            // Its snapshots are there all the same.
            Err(trouble) => {
                let why = format!("which rules keep it is not known: {}", Failed::from(trouble).chain());
                run.leave_out(host.as_str().as_bytes(), &why);
                None
            }
        };
        if let Some(reason) = log.hold() {
            run.line(&format!("{host}  on hold: {reason}"));
        }
        let rules = policy.map(|policy| retain_log(&log, &policy));
        for (place, snapshot) in log.snapshots().iter().enumerate() {
            let Snapshot { name, entries, new_bytes, left_out, .. } = snapshot;
            let rule = rules.as_ref().and_then(|rules| *rules.get(place)?);
            let word = match rules {
                Some(_) => rule.map_or("no rule", Rule::word),
                None => "unknown rules",
            };
            let held = log.hold_on(name);
            let hold = held.map(|reason| format!(", on hold: {reason}")).unwrap_or_default();
            let until = unchanged(&log, snapshot);
            run.line(&format!(
                "{host}/{name}  {entries} entries, {new_bytes} new bytes, {left_out} left out, kept by {word}{until}{hold}"
            ));
            let mut facts = facts(&host, &log, snapshot);
            if let Some(facts) = facts.as_object_mut() {
                facts.insert("kept_by".to_owned(), rule.map(Rule::word).into());
                facts.insert("hold".to_owned(), held.into());
            }
            listed.push(facts);
        }
    }
    run.report().count("snapshots", listed.len() as u64);
    run.report().detail("snapshots", listed);
    Ok(Exit::WHOLE)
}

/// The folder of histories.
pub(crate) fn open(settings: &Settings) -> Result<History, Trouble> {
    History::open(&settings.history).map_err(Trouble::Histories)
}

/// One host, or all.
pub(crate) fn hosts(history: &History, only: Option<&HostId>) -> Result<Vec<HostId>, Trouble> {
    match only {
        Some(host) => Ok(vec![host.clone()]),
        None => history.hosts().map_err(Trouble::Histories),
    }
}

/// Until when it is known that nothing had changed since, in words for people.
pub(crate) fn unchanged(log: &Log, snapshot: &Snapshot) -> String {
    log.unchanged_at(snapshot).map(|push| format!(", unchanged at {}", push.accepted)).unwrap_or_default()
}

/// A snapshot as the report shows it.
pub(crate) fn facts(host: &HostId, log: &Log, snapshot: &Snapshot) -> serde_json::Value {
    serde_json::json!({
        "host": host.as_str(),
        "name": snapshot.name.as_str(),
        "sequence": snapshot.sequence,
        "accepted": snapshot.accepted,
        "root": snapshot.root.to_string(),
        "base": snapshot.base.map(|root| root.to_string()),
        "entries": snapshot.entries,
        "changes": snapshot.changes,
        "new_bytes": snapshot.new_bytes,
        "left_out": snapshot.left_out,
        "push": snapshot.push.to_string(),
        "installation": snapshot.installation.to_string(),
        "counter": snapshot.counter,
        "started": snapshot.started,
        "zone": snapshot.zone,
        "unchanged_at": log.unchanged_at(snapshot).map(|push| &push.accepted),
    })
}
