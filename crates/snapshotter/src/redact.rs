//! Erases contents that the law demands to be gone, from all snapshots of a host. One person asks, another approves; both, and what it
//! came to, are in the log.
//!
//! Root keeps what was asked for ([`crate::requests`]) and knows who asks; a confined process as the account of the histories ([`host`]) finds
//! ([`find`]) and erases ([`mod@erase`]). What is off-site already stays there until its lock ends: [`ice`] names it.

pub(crate) mod args;
mod erase;
mod find;
pub(crate) mod host;
mod ice;
mod order;
pub(crate) mod settings;

use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use cli::{Amount, Exit, Failed, Monitor, Run, shown};
use formats::records::Record;
use formats::records::grant::Person;
use formats::records::redaction::RedactionRecord;
use formats::{ContentHash, HostId};
use history::Redacted;
use restore::Selection;
use serde::de::DeserializeOwned;

use crate::account::{is_root, this_program};
use crate::grant::{self, REQUEST_DAYS_MAX, is_lately};
use crate::host::record::HostRecord;
use crate::ingest::exit_of;
use crate::list::{hosts, open};
use crate::person;
use crate::requests::{Request, Requests};
use crate::settings::Settings;
use crate::sign;
use crate::trouble::Trouble;
use args::RedactVerb;
use ice::Known;
use order::{Erased, Erasure, Extent, Found, Hit, Order, Wanted};

impl Request for RedactionRecord {
    const FOLDER: &'static str = "the folder of redactions";

    fn folder(settings: &Settings) -> &Path {
        &settings.redact.records
    }

    fn host(&self) -> &HostId {
        &self.host
    }
}

/// Runs one of the verbs.
pub(crate) fn run(run: &mut Run, settings: &Settings, verb: &RedactVerb) -> Result<Exit, Failed> {
    if !is_root() {
        let advice = Some("run it as root, by sudo from an account of your own".to_owned());
        return Err(Trouble::Usage { what: "redactions are root's".to_owned(), advice }.into());
    }
    let is_change = matches!(verb, RedactVerb::Request { .. } | RedactVerb::Approve { .. });
    if is_change && !settings.redact.enabled {
        let advice = Some("`enabled = true` in [redact] of the settings, once the law demands it".to_owned());
        return Err(Trouble::Usage { what: "nothing is redacted on this server".to_owned(), advice }.into());
    }
    match verb {
        RedactVerb::Request { .. } => request(run, settings, verb),
        RedactVerb::Approve { host, asked, dry_run } => {
            let extent = if *dry_run { Extent::OnlyLook } else { Extent::Erase };
            approve(run, settings, host, (asked, extent))
        }
        RedactVerb::Withdraw { host } => withdraw(run, settings, host),
        RedactVerb::List => list(run, settings),
    }
}

fn request(run: &mut Run, settings: &Settings, verb: &RedactVerb) -> Result<Exit, Failed> {
    let RedactVerb::Request { host, path, content, when, reason, dry_run } = verb else {
        return Err(Failed::bug("asking for a redaction", "it was chosen before"));
    };
    let by = person::here()?;
    let when = when.iter().map(ToString::to_string).collect();
    let (asked_path, wanted) = match Selection::parse(path.as_deref())? {
        Selection::Beneath(path) => {
            let path = path.as_bytes().to_vec();
            (Some(find::short(&path)), Wanted::Path { path, when })
        }
        Selection::All if content.is_empty() => {
            let advice = Some("name a file or folder; `host retire` and time end a whole history".to_owned());
            let what = "a redaction is for what the law names, and not for all of a host".to_owned();
            return Err(Trouble::Usage { what, advice }.into());
        }
        Selection::All => (None, Wanted::Contents(content.clone())),
    };
    let found: Found = child(settings, host, &Order::Find(wanted))?;
    let mut contents: Vec<_> = found.hits.iter().map(|hit| hit.content).collect();
    contents.sort_unstable();
    let record = RedactionRecord {
        format: RedactionRecord::format(),
        host: host.clone(),
        path: asked_path,
        contents,
        reason: reason.to_string(),
        requested: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        requested_by: by,
    };
    tell(run, host, &found, &ice::known(settings, host, &found))?;
    warn_of_appliance(run, settings, host)?;
    if *dry_run {
        run.line("nothing was asked for");
        return Ok(Exit::WHOLE);
    }
    let requests = Requests::<RedactionRecord>::make(settings)?;
    let _alone = requests.alone(host)?;
    let there = requests.read(host)?;
    if let Some(there) = there.filter(|there| is_lately(&there.requested)) {
        let advice = Some(format!("`snapshotter redact withdraw {host}` takes it back"));
        let what = format!("something was asked for already: {}", words(&there));
        return Err(Trouble::Usage { what, advice }.into());
    }
    requests.write(&record)?;
    run.line(&words(&record));
    run.line(&format!(
        "another person makes it so: `snapshotter redact approve {host} {}`",
        record.requested
    ));
    run.report().detail("requested", record.requested);
    Ok(Exit::WHOLE)
}

fn approve(
    run: &mut Run,
    settings: &Settings,
    host: &HostId,
    (asked, extent): (&str, Extent),
) -> Result<Exit, Failed> {
    let by = person::here()?;
    let nothing = || Trouble::Usage {
        what: format!("nothing was asked for of {host} in the last {REQUEST_DAYS_MAX} days"),
        advice: Some("`snapshotter redact request` asks".to_owned()),
    };
    let requests = Requests::<RedactionRecord>::open(settings)?.ok_or_else(nothing)?;
    let _alone = requests.alone(host)?;
    // What is packed for a grant now would have it, and no line of the log says so yet.
    let _ungranted = grant::none_under_way(settings, host)?;
    let record = requests.read(host)?.ok_or_else(nothing)?;
    // Whoever approves has seen it: it was not taken back since, and something else asked for.
    if record.requested != asked {
        let advice = Some("name the time at which that was asked for, if it is what you approve".to_owned());
        let what = format!("what was asked for is: {}", words(&record));
        return Err(Trouble::Usage { what, advice }.into());
    }
    // What is in the log is half done, and ends however long that was ago.
    if !is_lately(&record.requested) && noted(settings, &record)?.is_none() {
        return Err(nothing().into());
    }
    if settings.redact.two_persons {
        person::require_two(&record.requested_by, &by, "redact")?;
    }
    run.line(&words(&record));
    let contents = record.contents.iter().map(|one| one.content).collect();
    let wanted = Wanted::Asked { path: record.path.clone(), contents };
    let found: Found = child(settings, host, &Order::Find(wanted))?;
    let known = ice::known(settings, host, &found);
    tell(run, host, &found, &known)?;
    warn_of_appliance(run, settings, host)?;
    let Known { count: ices, ice, .. } = known;
    let erasure = Erasure { asked: record, approved_by: by, ices, ice, extent };
    let erased: Result<Erased, Failed> = child(settings, host, &Order::Erase(Box::new(erasure)));
    if extent == Extent::Erase {
        // Whatever went wrong then: the line may be there.
        sign::logs(&run.console(), settings, std::iter::once(host));
    }
    let erased = erased?;
    if extent == Extent::OnlyLook {
        run.line(&format!("nothing stands before it: {} names would lose their content", erased.names));
        tell_zeros(run, &erased);
        return Ok(Exit::WHOLE);
    }
    requests.remove(host)?;
    told(run, host, &erased);
    Ok(Exit::WHOLE)
}

/// Its files are here, outside of any history.
fn warn_of_appliance(run: &Run, settings: &Settings, host: &HostId) -> Result<(), Failed> {
    if HostRecord::read(settings, host)?.appliance.is_some() {
        let text = format!(
            "{host} is an appliance: `take` keeps what it dropped (by default in /var/lib/firn/take), and brings it again; remove it there first"
        );
        run.console().warn(&text);
    }
    Ok(())
}

fn told(run: &mut Run, host: &HostId, erased: &Erased) {
    let Erased { line, names, snapshots, files, bytes, blank, is_pushing, .. } = erased;
    let size = Amount::Bytes(None).describe(*bytes);
    run.line(&format!(
        "{host}: redacted {names} names in {snapshots} snapshots: {files} files of {size} are zeros now"
    ));
    match line {
        Some(line) => run.line(&format!("{host}: line {line} of its log says so")),
        None => run.line(&format!("{host}: its log said so already; {blank} files were zeros before")),
    }
    tell_zeros(run, erased);
    if *is_pushing {
        let text = format!(
            "{host}: a push is under way: what it brings is new, and if it builds on what was redacted it is rejected, and the next is whole"
        );
        run.console().warn(&text);
    }
    let report = run.report();
    report.count("redacted_names", *names);
    report.count("redacted_files", *files);
    report.count("redacted_bytes", *bytes);
    report.detail("log_line", *line);
}

fn tell_zeros(run: &mut Run, erased: &Erased) {
    if erased.zeros > 0 {
        let zeros = erased.zeros;
        run.line(&format!(
            "{zeros} contents stay: they never were anything but zeros, and there is nothing to erase"
        ));
    }
}

/// The line of the log that has it already: it was approved, and that run did not come to its end.
fn noted(settings: &Settings, record: &RedactionRecord) -> Result<Option<u64>, Failed> {
    let at = || Trouble::history(&record.host);
    let log = open(settings)?.host(&record.host).map_err(at())?.log().map_err(at())?;
    let time = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    let is_asked = |hash: &ContentHash| record.contents.iter().any(|one| one.content == *hash);
    let is_since = |one: &Redacted| time(&one.time) >= time(&record.requested);
    let mut lines = log.redacted().iter().filter(|(hash, one)| is_asked(hash) && is_since(one));
    Ok(lines.next().map(|(_, one)| one.line))
}

fn withdraw(run: &mut Run, settings: &Settings, host: &HostId) -> Result<Exit, Failed> {
    let Some(requests) = Requests::<RedactionRecord>::open(settings)? else {
        run.line(&format!("nothing was asked for of {host}"));
        return Ok(Exit::WHOLE);
    };
    let _alone = requests.alone(host)?;
    let known = requests.read(host).ok().flatten();
    requests.remove(host)?;
    match known {
        Some(record) => run.line(&format!("withdrawn: {}", words(&record))),
        None => run.line(&format!("nothing was asked for of {host}")),
    }
    Ok(Exit::WHOLE)
}

fn list(run: &mut Run, settings: &Settings) -> Result<Exit, Failed> {
    let (mut asked, mut done) = (Vec::new(), Vec::new());
    if let Some(requests) = Requests::<RedactionRecord>::open(settings)? {
        for host in requests.hosts()? {
            let Some(record) = requests.read(&host)? else { continue };
            let state = match noted(settings, &record).ok().flatten() {
                Some(line) => format!(" (line {line} of its log says so already: `approve` again ends it)"),
                None if !is_lately(&record.requested) => {
                    format!(" (expired: that is more than {REQUEST_DAYS_MAX} days ago)")
                }
                None => String::new(),
            };
            run.line(&format!("{}{state}", words(&record)));
            asked.push(
                serde_json::to_value(&record).map_err(|error| Failed::bug("telling a redaction", error))?,
            );
        }
    }
    let history = open(settings)?;
    for host in hosts(&history, None)? {
        let at = || Trouble::history(&host);
        let log = history.host(&host).map_err(at())?.log().map_err(at())?;
        for (content, redacted) in log.redacted().iter() {
            let (time, line) = (&redacted.time, redacted.line);
            run.line(&format!("{host}: redacted {content} ({} bytes) at {time}, line {line}", redacted.size));
            done.push(serde_json::json!({
                "host": host.as_str(), "content": content.to_string(), "size": redacted.size, "time": time, "line": line,
            }));
        }
    }
    run.report().detail("asked", asked);
    run.report().detail("redacted", done);
    Ok(Exit::WHOLE)
}

/// Has something done by a process that is the account of the histories.
fn child<T: DeserializeOwned>(settings: &Settings, host: &HostId, order: &Order) -> Result<T, Failed> {
    let bytes = serde_json::to_vec(order).map_err(|error| Failed::bug("telling what to redact", error))?;
    let mut command = this_program();
    command.arg("--config").arg(&settings.file).args(["redact-host", host.as_str()]);
    let said = crate::child::answer(&mut command, &bytes);
    let said = said.map_err(Trouble::stream("asking the process that works on the history"))?;
    match exit_of(said.status) {
        Exit::WHOLE => {}
        exit => {
            return Err(Trouble::Child { what: format!("the redaction of {host} is not done"), exit }.into());
        }
    }
    let text = said.text();
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| Failed::bug("reading the outcome", error))
}

/// All that it is about, before anything is done.
fn tell(run: &mut Run, host: &HostId, found: &Found, known: &Known) -> Result<(), Failed> {
    for hit in &found.hits {
        let Hit { content, names, snapshots, first, last, redacted, .. } = hit;
        let (hash, size) = (content.content, Amount::Bytes(None).describe(content.size));
        run.line(&format!(
            "{host}: {hash}  {size}, {names} names in {snapshots} snapshots, {first} .. {last}"
        ));
        tell_paths(run, "    ", &hit.paths, hit.more);
        if hit.elsewhere > 0 {
            run.line(&format!(
                "    the same content has {} names elsewhere, and they lose it, too:",
                hit.elsewhere
            ));
            tell_paths(run, "        ", &hit.other_paths, hit.other_more);
        }
        if let Some(time) = redacted {
            run.line(&format!("    redacted before, at {time}"));
        }
        run.report().count("contents", 1);
        run.report().count("names", *names);
    }
    if found.absent > 0 {
        run.line(&format!("{} contents are in no snapshot any more, and are passed over", found.absent));
    }
    match known.count {
        Some(0) => run.line("no ice has it, by the ledger"),
        Some(count) => run.line(&format!("{count} ices have it, and cannot lose it before their locks end:")),
        None => run.line(
            "which ice has it is not known: what was made of these snapshots has it until its lock ends",
        ),
    }
    for one in &known.ice {
        run.line(&format!("    {} in vault {}, locked until {}", one.ice, one.vault, one.retain_until));
    }
    if let Some(caveat) = &known.caveat {
        run.console().warn(caveat);
    }
    let value = |what: Result<serde_json::Value, serde_json::Error>| {
        what.map_err(|error| Failed::bug("telling what it is about", error))
    };
    let (hits, ice) = (value(serde_json::to_value(&found.hits))?, value(serde_json::to_value(&known.ice))?);
    run.report().detail("contents", hits);
    run.report().detail("ices", known.count);
    run.report().detail("ice", ice);
    Ok(())
}

fn tell_paths(run: &mut Run, indent: &str, paths: &[String], more: u64) {
    paths.iter().for_each(|path| run.line(&format!("{indent}{path}")));
    if more > 0 {
        run.line(&format!("{indent}and {more} more names, under other paths"));
    }
}

/// What was asked for, as people read it.
fn words(record: &RedactionRecord) -> String {
    let RedactionRecord { host, path, contents, reason, requested, requested_by, .. } = record;
    let what = match path {
        Some(path) => format!("{path}, {} contents", contents.len()),
        None => format!("{} contents", contents.len()),
    };
    let by = who(requested_by);
    format!(
        "{host}: {what}: not approved yet, asked for by {by} at {requested}: {}",
        shown(reason.as_bytes())
    )
}

fn who(person: &Person) -> String {
    format!("{} ({})", shown(person.name.as_bytes()), person.user)
}
