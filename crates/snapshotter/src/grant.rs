//! A grant: a host may fetch one path of one snapshot of its own, once, until a time. One person asks, another approves; both, and how it
//! ended, are in the log.
//!
//! No process that a network reaches opens a history: `approve` has an archive made by the account of the histories ([`archive`]) and lays it
//! into the host's [`outbox`], an account of its own that can read that file and nothing else. The order makes a run that is killed at any moment
//! one that only has to be run again: first the archive, without a name; then the line of the log; then the record; then the names; last the
//! key. It ends the other way round: key, sessions, archive, line, record.

mod archive;
pub(crate) mod args;
mod ending;
pub(crate) mod note;
pub(crate) mod outbox;

pub(crate) mod settings;

use std::ffi::OsStr;
use std::path::Path;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use cli::{Amount, Exit, Failed, Monitor, Run, shown};
use durable::Lock;
use formats::HostId;
use formats::records::Record;
use formats::records::grant::{GrantEnded, GrantRecord, Granted, OpenedGrant, Person};
use restore::Selection;

use crate::account::is_root;
use crate::hold::Reason;
use crate::host::alone::alone;
use crate::host::key::PublicKey;
use crate::host::record::HostRecord;
use crate::ingest::worse;
use crate::list::open;
use crate::person;
use crate::requests::{Request, Requests};
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::when::When;
use args::GrantVerb;
pub(crate) use ending::end_of_retired;
use ending::{end, settle};
use note::{Note, note};
use outbox::Outbox;

/// After so long, nobody remembers what was asked for.
pub(crate) const REQUEST_DAYS_MAX: i64 = 7;

impl Request for GrantRecord {
    const FOLDER: &'static str = "the folder of grants";

    fn folder(settings: &Settings) -> &Path {
        &settings.grants.records
    }

    fn host(&self) -> &HostId {
        &self.host
    }
}

/// Runs one of the verbs.
pub(crate) fn run(run: &mut Run, settings: &Settings, verb: &GrantVerb) -> Result<Exit, Failed> {
    if !is_root() {
        let advice = Some("run it as root, by sudo from an account of your own".to_owned());
        return Err(Trouble::Usage { what: "grants are root's".to_owned(), advice }.into());
    }
    if matches!(verb, GrantVerb::Request { .. } | GrantVerb::Approve { .. }) && !settings.grants.enabled {
        let advice =
            Some("`enabled = true` in [grants] of the settings, if hosts shall be given them".to_owned());
        return Err(Trouble::Usage { what: "there are no grants on this server".to_owned(), advice }.into());
    }
    match verb {
        GrantVerb::Request { host, when, path, hours, reason } => {
            let asked = Asked { host, when, path, hours: *hours, reason };
            request(run, settings, &asked)
        }
        GrantVerb::Approve { host, asked } => approve(run, settings, host, asked),
        GrantVerb::Withdraw { host } => withdraw(run, settings, host),
        GrantVerb::List => list(run, settings),
        GrantVerb::Expire => expire(run, settings),
    }
}

/// While this is held, nobody begins to pack something of this host for a grant, and nobody is at it.
pub(crate) fn none_under_way(settings: &Settings, host: &HostId) -> Result<Option<Lock>, Trouble> {
    let requests = match Requests::<GrantRecord>::open(settings)? {
        None if settings.grants.enabled => Some(Requests::<GrantRecord>::make(settings)?),
        requests => requests,
    };
    requests.map(|requests| requests.alone(host)).transpose()
}

struct Asked<'a> {
    host: &'a HostId,
    when: &'a When,
    path: &'a OsStr,
    hours: u32,
    reason: &'a Reason,
}

fn request(run: &mut Run, settings: &Settings, asked: &Asked<'_>) -> Result<Exit, Failed> {
    let host = asked.host;
    let by = person::here()?;
    let path = path(asked.path)?;
    outbox::key(settings, host, &HostRecord::read(settings, host)?)?;
    let at = || Trouble::history(host);
    let place = open(settings)?.host(host).map_err(at())?;
    let log = place.log().map_err(at())?;
    let snapshot = asked.when.find(&log)?;
    let requests = Requests::<GrantRecord>::make(settings)?;
    let _alone = requests.alone(host)?;
    settle(run, settings, &requests, host)?;
    if let Some(there) = requests.read(host)? {
        let advice = Some(format!("`snapshotter grant withdraw {host}` takes it back"));
        return Err(
            Trouble::Usage { what: format!("there is one already: {}", words(&there)), advice }.into()
        );
    }
    let record = GrantRecord {
        format: GrantRecord::format(),
        host: host.clone(),
        snapshot: snapshot.name.to_string(),
        root: snapshot.root,
        path,
        hours: asked.hours,
        reason: asked.reason.to_string(),
        requested: stamp(Utc::now()),
        requested_by: by,
        opened: None,
    };
    requests.write(&record)?;
    run.line(&words(&record));
    run.line(&format!("`snapshotter grant approve {host} {}` makes it so", record.requested));
    Ok(Exit::WHOLE)
}

/// One name and all beneath it, as text: it is in records that people read.
fn path(typed: &OsStr) -> Result<String, Failed> {
    let refused = |what: &str| {
        let advice = Some("name the folder above it".to_owned());
        Failed::from(Trouble::Usage { what: format!("{}: {what}", shown(typed.as_encoded_bytes())), advice })
    };
    match Selection::parse(Some(typed))? {
        Selection::All => Err(refused("a grant is for one file or folder, and not for all of a host")),
        Selection::Beneath(path) => match std::str::from_utf8(path.as_bytes()) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(refused("a grant names what is text, and this is not UTF-8")),
        },
    }
}

fn approve(run: &mut Run, settings: &Settings, host: &HostId, asked: &str) -> Result<Exit, Failed> {
    let by = person::here()?;
    let nothing = || Trouble::Usage {
        what: format!("nothing was asked for {host} in the last {REQUEST_DAYS_MAX} days"),
        advice: Some("`snapshotter grant request` asks".to_owned()),
    };
    let requests = Requests::<GrantRecord>::open(settings)?.ok_or_else(nothing)?;
    let _alone = requests.alone(host)?;
    settle(run, settings, &requests, host)?;
    let mut record = requests.read(host)?.ok_or_else(nothing)?;
    if record.opened.is_some() {
        let advice = Some(format!("`snapshotter grant withdraw {host}` takes it back"));
        let what = format!("it is granted already: {}", words(&record));
        return Err(Trouble::Usage { what, advice }.into());
    }
    // Whoever approves has seen it: it was not taken back since, and something else asked for.
    if record.requested != asked {
        let advice = Some("name the time at which that was asked for, if it is what you approve".to_owned());
        let what = format!("what was asked for is: {}", words(&record));
        return Err(Trouble::Usage { what, advice }.into());
    }
    if settings.grants.two_persons {
        person::require_two(&record.requested_by, &by, "grants")?;
    }
    run.line(&words(&record));
    let of_host = HostRecord::read(settings, host)?;
    let key = outbox::key(settings, host, &of_host)?;
    let outbox = Outbox::of(settings, host)?;
    outbox.make(settings)?;
    let out = outbox.out()?;
    let archive = outbox.begin(&out)?;
    let packed = archive::pack(settings, &record, archive.file())?;
    let until = Utc::now().trunc_subsecs(0) + TimeDelta::hours(i64::from(record.hours));
    let granted = Granted {
        snapshot: record.snapshot.clone(),
        path: record.path.clone(),
        until: stamp(until),
        bytes: packed.bytes,
        archive: packed.hash,
        requested_by: record.requested_by.clone(),
        approved_by: by.clone(),
        reason: record.reason.clone(),
    };
    archive.file().sync_all().map_err(Trouble::stream("bringing the archive to the disk"))?;
    note(&run.console(), settings, host, &Note::Opened(granted))?;
    record.opened = Some(OpenedGrant { until: stamp(until), approved_by: by });
    let wanted = (&of_host, &key);
    let opened = let_in(run, settings, &requests, &record, wanted, || {
        outbox.open(archive, &out, (&key, &of_host), until)
    });
    if let Err(failed) = opened {
        // Whatever of it was done: better none than half of one. What cannot be undone now, `grant expire` undoes.
        let _ = end(run, settings, &requests, host, GrantEnded::Withdrawn);
        return Err(failed);
    }
    let bytes = Amount::Bytes(None).describe(packed.bytes);
    run.line(&format!("{host} may fetch {bytes} once, until {}:", stamp(until)));
    run.line(&format!("  ssh -T -i KEY {}@SERVER > files.tar", outbox.account));
    run.report().count("archive_bytes", packed.bytes);
    run.report().detail("account", outbox.account);
    run.report().detail("until", stamp(until));
    run.report().detail("archive", packed.hash.to_string());
    Ok(packed.exit)
}

/// Packing takes long, and who may fetch is looked at again when it is done. From then on nobody adds or retires hosts until the key is in.
fn let_in(
    run: &mut Run,
    settings: &Settings,
    requests: &Requests<GrantRecord>,
    record: &GrantRecord,
    (of_host, key): (&HostRecord, &PublicKey),
    open: impl FnOnce() -> Result<(), Trouble>,
) -> Result<(), Failed> {
    let host = &record.host;
    let _hosts = alone(run, settings)?;
    let now = HostRecord::read(settings, host)?;
    if now != *of_host || outbox::key(settings, host, &now)? != *key {
        let what = format!("host {host} was changed while its archive was made");
        let advice = Some("look at `snapshotter host list`, and ask anew".to_owned());
        return Err(Trouble::Usage { what, advice }.into());
    }
    requests.write(record)?;
    Ok(open()?)
}

/// Whether it was asked for so lately that it is known why. A clock that was put back does not make it so for ever.
fn is_fresh(record: &GrantRecord) -> bool {
    is_lately(&record.requested)
}

/// The same of the time at which something was asked for.
pub(crate) fn is_lately(requested: &str) -> bool {
    DateTime::parse_from_rfc3339(requested).is_ok_and(|asked| {
        let age = Utc::now() - asked.with_timezone(&Utc);
        age.num_days() < REQUEST_DAYS_MAX && age >= TimeDelta::hours(-1)
    })
}

fn withdraw(run: &mut Run, settings: &Settings, host: &HostId) -> Result<Exit, Failed> {
    // Also without a record: whatever lies there goes.
    let requests = Requests::<GrantRecord>::make(settings)?;
    let _alone = requests.alone(host)?;
    let known = requests.read(host).ok().flatten();
    end(run, settings, &requests, host, GrantEnded::Withdrawn)?;
    match known {
        Some(record) => run.line(&format!("withdrawn: {}", words(&record))),
        None => run.line(&format!("{host} has no grant, and nothing in its outbox")),
    }
    Ok(Exit::WHOLE)
}

fn list(run: &mut Run, settings: &Settings) -> Result<Exit, Failed> {
    let mut listed = Vec::new();
    if let Some(requests) = Requests::<GrantRecord>::open(settings)? {
        for host in requests.hosts()? {
            let Some(record) = requests.read(&host)? else { continue };
            run.line(&words(&record));
            listed
                .push(serde_json::to_value(&record).map_err(|error| Failed::bug("telling a grant", error))?);
        }
    }
    run.report().detail("grants", listed);
    Ok(Exit::WHOLE)
}

fn expire(run: &mut Run, settings: &Settings) -> Result<Exit, Failed> {
    let Some(requests) = Requests::<GrantRecord>::open(settings)? else { return Ok(Exit::WHOLE) };
    let mut worst = Exit::WHOLE;
    for host in requests.hosts()? {
        let settled = requests
            .alone(&host)
            .map_err(Failed::from)
            .and_then(|_alone| settle(run, settings, &requests, &host));
        match settled {
            Ok(Some(how)) => run.line(&format!("{host}: the grant is over: {}", word(how))),
            Ok(None) => {}
            Err(failed) => {
                run.console().warn(&format!("{host}: {}", failed.chain()));
                worst = worse(worst, failed.exit());
            }
        }
    }
    Ok(worst)
}

/// A grant as people read it.
pub(crate) fn words(record: &GrantRecord) -> String {
    let GrantRecord { host, snapshot, path, hours, reason, requested, requested_by, opened, .. } = record;
    let asked = format!("asked for by {} at {requested}", who(requested_by));
    let state = match opened {
        Some(OpenedGrant { until, approved_by }) => {
            format!("open until {until}, {asked}, approved by {}", who(approved_by))
        }
        None => format!("not approved yet, for {hours} hours, {asked}"),
    };
    format!("{host}: {} of {snapshot}: {state}: {}", shown(path.as_bytes()), shown(reason.as_bytes()))
}

fn who(person: &Person) -> String {
    format!("{} ({})", shown(person.name.as_bytes()), person.user)
}

fn word(how: GrantEnded) -> &'static str {
    match how {
        GrantEnded::Fetched => "fetched",
        GrantEnded::Expired => "expired",
        GrantEnded::Withdrawn => "withdrawn",
    }
}

fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
