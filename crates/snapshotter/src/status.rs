//! Tells how each host stands.

use cli::{Exit, Failed, Run};
use durable::{Dir, Name};
use formats::HostId;
use history::{HostHistory, Log};

use crate::ingest::hosts;
use crate::ingest_host::queue::Queue;
use crate::list::open;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// Runs the verb. Ends with 28 if a log is damaged; the other hosts are told all the same.
pub(crate) fn run(run: &mut Run, settings: &Settings) -> Result<Exit, Failed> {
    let history = open(settings)?;
    let jails = Dir::open_root(&settings.jails).map_err(Trouble::folder("opening the jails"))?;
    let mut told = Vec::new();
    let mut first_trouble: Option<Failed> = None;
    for host in hosts(settings)? {
        let at = || Trouble::history(&host);
        let log = match history.host(&host).and_then(|place| read(&place)) {
            Ok(log) => Some(log),
            Err(history::Error::NoHost { .. }) => None,
            Err(error) => {
                run.line(&format!("{host}: the history cannot be read"));
                let _ = first_trouble.get_or_insert(at()(error).into());
                continue;
            }
        };
        let queued = queued(&jails, &host)?;
        let value = facts(&host, log.as_ref(), queued);
        run.line(&line(&host, log.as_ref(), queued));
        told.push(value);
    }
    run.report().detail("hosts", told);
    first_trouble.map_or(Ok(Exit::WHOLE), Err)
}

fn read(place: &HostHistory) -> history::Result<Log> {
    let _reading = place.read_lock()?;
    place.log()
}

fn queued(jails: &Dir, host: &HostId) -> Result<usize, Trouble> {
    let at = || Trouble::folder(format!("looking at the jail of {host}"));
    let jail = jails.open_dir(Name::new(host.as_str().as_bytes()).map_err(at())?).map_err(at())?;
    let sealed = jail.open_beneath(b"spool/sealed").map_err(at())?;
    Ok(Queue::read(&sealed, host)?.files.len())
}

fn line(host: &HostId, log: Option<&Log>, queued: usize) -> String {
    let newest =
        log.and_then(Log::latest).map_or("no snapshot yet".to_owned(), |newest| newest.name.to_string());
    let mut line = format!(
        "{host}: {newest}, {} snapshots, {queued} queued",
        log.map_or(0, |log| log.snapshots().len())
    );
    let alarms = log.map_or(0, |log| log.alarms().len());
    if alarms > 0 {
        line.push_str(&format!(", {alarms} alarms"));
    }
    if let Some(reason) = log.and_then(Log::hold) {
        line.push_str(&format!(", on hold: {reason}"));
    }
    line
}

fn facts(host: &HostId, log: Option<&Log>, queued: usize) -> serde_json::Value {
    let newest = log.and_then(Log::latest);
    let alarms: Vec<_> = log.into_iter().flat_map(Log::alarms).collect();
    let alarms = alarms.iter().map(|raised| {
        serde_json::json!({ "what": raised.what, "push": raised.push.to_string(), "time": raised.time })
    });
    serde_json::json!({
        "host": host.as_str(),
        "newest": newest.map(|newest| crate::list::facts(host, newest)),
        "snapshots": log.map_or(0, |log| log.snapshots().len()),
        "queued": queued,
        "hold": log.and_then(Log::hold),
        "alarms": alarms.collect::<Vec<_>>(),
        "base": log.and_then(Log::base).map(|root| root.to_string()),
        "log_head": log.map(|log| log.log_head().to_string()),
    })
}
