//! The order of steps that makes a snapshot exist. Killed anywhere, it is absent or complete:
//!
//! 1. everything is built, and its name noted as the intent; one sync brings all of it to the disk;
//! 2. the manifest gets its place, then the tree; then the folders of both are brought to the disk;
//! 3. the line in the log: from here on the snapshot exists;
//! 4. the verdict is published, and only then is the push file removed.
//!
//! What a kill leaves before 3 is removed by the next run ([`super::building::repair`]); what is missing after 3 is made up for from the log.

use chrono::{DateTime, Utc};
use durable::Name;
use formats::push::{Header, Seal};
use formats::records::log::{Alarm, Event, Ingest, Tripped, Unchanged};
use formats::session::Role;
use history::{HostHistory, Log, LogAppender, SnapshotName, layout};

use super::build::{Built, MANIFEST, SNAPSHOT};
use super::building::Building;
use super::fault::Fault;
use super::look::Looked;
use crate::tripwire::words;

/// What a commit came to.
#[derive(Debug)]
pub(crate) struct Committed {
    /// The snapshot's name.
    pub(crate) name: SnapshotName,
    /// What a person should look at.
    pub(crate) alarms: Vec<String>,
}

/// How the push came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    /// As what it was admitted.
    pub(crate) role: Role,
    /// When the state was made, if it comes from another program's history.
    pub(crate) imported: Option<DateTime<Utc>>,
    /// How it differs from what the host had.
    pub(crate) looked: &'a Looked,
}

/// Commits what was built.
pub(crate) fn commit(
    history: &HostHistory,
    building: &Building<'_>,
    log: &mut LogAppender,
    header: &Header,
    built: &Built,
    arrival: &Arrival<'_>,
) -> Result<Committed, Fault> {
    let now = Utc::now();
    let sequence = log.log().next_sequence();
    let name = SnapshotName::new(arrival.imported.unwrap_or(now), sequence)
        .map_err(|error| Fault::stream("naming the snapshot")(std::io::Error::other(error)))?;
    let manifests = history.dir().open_dir(layout::MANIFESTS)?;
    building.intend(&name)?;
    let file = layout::manifest_file(&name);
    building.dir().rename_new_later(MANIFEST, &manifests, Name::new(file.as_bytes())?)?;
    building.dir().rename_new_later(SNAPSHOT, history.dir(), Name::new(name.as_str().as_bytes())?)?;
    // To where they go first: a power cut between two of these leaves both names, and never none. From where they come, too: under that name the
    // next run would remove what is in the log by then.
    manifests.sync()?;
    history.dir().sync()?;
    building.dir().sync()?;
    let imported = arrival.imported.is_some();
    let alarms = if imported { Vec::new() } else { alarm(log, header, arrival.looked, now)? };
    let emergency = arrival.role == Role::Emergency;
    let event = Ingest {
        emergency,
        imported,
        measured: arrival.looked.measured,
        ..event(sequence, &name, header, built)
    };
    log.append(Event::Ingest(event), now)?;
    Ok(Committed { name, alarms })
}

/// Notes that a push is the same as the snapshot with this sequence; tells the alarms. There is nothing to place, and its line is all of it.
pub(crate) fn confirm(
    log: &mut LogAppender,
    header: &Header,
    (sequence, seal): (u64, &Seal),
    role: Role,
) -> Result<Vec<String>, Fault> {
    let now = Utc::now();
    let alarms = alarm(log, header, &Looked::default(), now)?;
    let event = Unchanged {
        sequence,
        root: seal.root,
        left_out: seal.left_out,
        push: header.push,
        installation: header.installation,
        counter: header.counter,
        started: header.started,
        zone: header.zone.clone(),
        emergency: role == Role::Emergency,
    };
    log.append(Event::Unchanged(event), now)?;
    Ok(alarms)
}

fn event(sequence: u64, name: &SnapshotName, header: &Header, built: &Built) -> Ingest {
    Ingest {
        sequence,
        name: name.to_string(),
        root: built.seal.root,
        entries: built.seal.entries,
        left_out: built.seal.left_out,
        base: header.base,
        push: header.push,
        installation: header.installation,
        counter: header.counter,
        started: header.started,
        zone: header.zone.clone(),
        new_bytes: built.cost.new_bytes,
        changes: built.changes,
        long_entry_bytes: built.cost.long_entry_bytes,
        emergency: false,
        imported: false,
        measured: None,
    }
}

/// What is odd about a good push goes into the log before the push itself: it is kept, but expiry stops until a person has looked.
fn alarm(
    log: &mut LogAppender,
    header: &Header,
    looked: &Looked,
    now: DateTime<Utc>,
) -> Result<Vec<String>, Fault> {
    let touched = looked.alarms.iter().map(|(what, tripwire)| (*what, Some(tripwire)));
    let alarms: Vec<(Alarm, Option<&Tripped>)> =
        odd(log.log(), header).into_iter().map(|what| (what, None)).chain(touched).collect();
    let told: Vec<String> = alarms.iter().map(|(what, tripwire)| words(*what, *tripwire)).collect();
    // First: another run may judge by another sample, and see nothing. An alarm is never without its hold.
    if let Some(reason) = told.first()
        && log.log().hold().is_none()
    {
        log.append(Event::Hold { reason: reason.clone(), snapshot: None }, now)?;
    }
    for (what, tripwire) in &alarms {
        // A run that was killed right after this has raised it already.
        if log.log().alarms().iter().any(|raised| raised.what == *what && raised.push == header.push) {
            continue;
        }
        let (push, installation) = (header.push, header.installation);
        let tripwire = tripwire.map(|tripwire| Box::new(tripwire.clone()));
        log.append(Event::Alarm { what: *what, push, installation, tripwire }, now)?;
    }
    Ok(told)
}

fn odd(log: &Log, header: &Header) -> Vec<Alarm> {
    match log.counter(header.installation) {
        Some(highest) if header.counter <= highest => vec![Alarm::CounterReused],
        None if log.installations() > 0 => vec![Alarm::SecondInstallation],
        _ => Vec::new(),
    }
}
