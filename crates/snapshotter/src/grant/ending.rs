//! How a grant ends: fetched, past its time, taken back, of a host that is retired, or cut short by a run that was killed. The outbox is shut
//! first, also where the history cannot be read and the log not be told.

use chrono::{DateTime, Utc};
use cli::{Failed, Monitor, Run};
use formats::HostId;
use formats::records::grant::{GrantEnded, GrantRecord};

use super::note::{Note, note};
use super::outbox::Outbox;
use super::{is_fresh, words};
use crate::host::extent::Extent;
use crate::host::record::HostRecord;
use crate::list::open;
use crate::requests::Requests;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// Ends what is over, and removes what a killed approval left, and what was asked for too long ago. For whoever is alone with the grant.
pub(super) fn settle(
    run: &Run,
    settings: &Settings,
    requests: &Requests<GrantRecord>,
    host: &HostId,
) -> Result<Option<GrantEnded>, Failed> {
    let outbox = Outbox::of(settings, host)?;
    let record = match requests.read(host) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(None),
        Err(trouble) => {
            // Nobody can tell until when. What is written stays for a person to look at, until it is withdrawn.
            outbox.close()?;
            return Err(trouble.into());
        }
    };
    if record.opened.is_none() {
        outbox.tidy()?;
    }
    let over = match without_the_log(settings, &outbox, &record)? {
        Some(how) => Some(how),
        None => by_the_log(settings, &record)?,
    };
    match over {
        Some(how) => end(run, settings, requests, host, how)?,
        None if record.opened.is_none() && !is_fresh(&record) => requests.remove(host)?,
        None => {}
    }
    Ok(over)
}

fn without_the_log(
    settings: &Settings,
    outbox: &Outbox,
    record: &GrantRecord,
) -> Result<Option<GrantEnded>, Trouble> {
    let Some(opened) = &record.opened else { return Ok(None) };
    // A time that cannot be read is over.
    let lasts = DateTime::parse_from_rfc3339(&opened.until).is_ok_and(|until| until > Utc::now());
    let how = if outbox.is_fetched() {
        GrantEnded::Fetched
    } else if !lasts {
        GrantEnded::Expired
    } else if HostRecord::read(settings, &record.host)?.retired.is_some() {
        GrantEnded::Withdrawn
    } else {
        return Ok(None);
    };
    Ok(Some(how))
}

/// One that only the record or only the log calls open was never whole.
fn by_the_log(settings: &Settings, record: &GrantRecord) -> Result<Option<GrantEnded>, Failed> {
    let at = || Trouble::history(&record.host);
    let log = open(settings)?.host(&record.host).map_err(at())?.log().map_err(at())?;
    let is_one = record.opened.is_some() == log.grant().is_some();
    Ok((!is_one).then_some(GrantEnded::Withdrawn))
}

/// Shuts the outbox, then says so in the log, then forgets it. Killed anywhere, it is done again.
pub(super) fn end(
    run: &Run,
    settings: &Settings,
    requests: &Requests<GrantRecord>,
    host: &HostId,
    how: GrantEnded,
) -> Result<(), Failed> {
    let outbox = Outbox::of(settings, host)?;
    outbox.close()?;
    note(&run.console(), settings, host, &Note::Ended(how))?;
    outbox.forget()?;
    requests.remove(host)?;
    Ok(())
}

/// A host that pushes no more is not left with a way to fetch. For whoever is alone with the hosts, once the record says that it is retired: an
/// approval that is under way reads that before it lets the key in.
pub(crate) fn end_of_retired(
    run: &mut Run,
    settings: &Settings,
    host: &HostId,
    extent: Extent,
) -> Result<(), Failed> {
    let Some(requests) = Requests::<GrantRecord>::open(settings)? else { return Ok(()) };
    let what = match requests.read(host) {
        Ok(None) => return Ok(()),
        Ok(Some(record)) => words(&record),
        Err(trouble) => cli::chain(&trouble),
    };
    if extent == Extent::OnlySay {
        run.line(&format!("would withdraw its grant: {what}"));
        return Ok(());
    }
    let outbox = Outbox::of(settings, host)?;
    outbox.shut()?;
    let later = |why: &str| {
        format!("{host}: {why}; nobody is let in, and `snapshotter grant expire` does the rest: {what}")
    };
    let _alone = match requests.alone(host) {
        Err(Trouble::Busy { .. }) => {
            run.console().warn(&later("another process works on its grant"));
            return Ok(());
        }
        alone => alone?,
    };
    outbox.close()?;
    match end(run, settings, &requests, host, GrantEnded::Withdrawn) {
        Ok(()) => run.line(&format!("withdrawn: {what}")),
        Err(failed) => run.console().warn(&later(&failed.chain())),
    }
    Ok(())
}
