//! Lists snapshots.

use cli::{Exit, Failed, Run};
use formats::HostId;
use history::{History, Snapshot};

use crate::settings::Settings;
use crate::trouble::Trouble;

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, only: Option<&HostId>) -> Result<Exit, Failed> {
    let history = open(settings)?;
    let mut listed = Vec::new();
    for host in hosts(&history, only)? {
        let at = || Trouble::history(&host);
        let place = history.host(&host).map_err(at())?;
        let _reading = place.read_lock().map_err(at())?;
        for snapshot in place.log().map_err(at())?.snapshots() {
            let Snapshot { name, entries, new_bytes, left_out, .. } = snapshot;
            run.line(&format!(
                "{host}/{name}  {entries} entries, {new_bytes} new bytes, {left_out} left out"
            ));
            listed.push(facts(&host, snapshot));
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

/// A snapshot as the report shows it.
pub(crate) fn facts(host: &HostId, snapshot: &Snapshot) -> serde_json::Value {
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
    })
}
