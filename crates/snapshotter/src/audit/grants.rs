//! Of R4, what is wanted otherwise: each grant that is open is named, and nothing of an outbox is there that no open grant explains.

use std::fs;

use chrono::{DateTime, Utc};
use formats::HostId;
use formats::records::audit::{Finding, Verdict};
use formats::records::grant::{GrantRecord, OpenedGrant};

use super::attempt::{Attempt, Came, How, attempts};
use super::facts::{Hosts, identity};
use super::past::Past;
use super::shown;
use crate::grant::outbox::Outbox;
use crate::grant::words;
use crate::host::account_name::account_name;
use crate::host::key::PublicKey;
use crate::requests::Requests;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// After so long, what is over should have been removed.
const LATE_SECONDS: i64 = 3600;
/// More keys and outboxes than a server has.
const NAMES_MAX: usize = 100_000;

/// Looks, and returns a line for each grant that is open.
pub(super) fn probe(
    finding: &mut Finding,
    settings: &Settings,
    hosts: &Hosts,
    pasts: &Result<Vec<Past>, String>,
) -> Vec<String> {
    let (records, unread) = records(settings);
    for trouble in unread {
        finding.add(Verdict::Unknown, cli::chain(&trouble));
    }
    let open: Vec<(&GrantRecord, &OpenedGrant)> =
        records.iter().filter_map(|record| Some((record, record.opened.as_ref()?))).collect();
    for (record, opened) in &open {
        if let Err(trouble) = one(finding, settings, hosts, (record, opened)) {
            finding.add(Verdict::Unknown, cli::chain(&trouble));
        }
    }
    let hosts_with_one: Vec<&HostId> = open.iter().map(|(record, _)| &record.host).collect();
    in_logs(finding, &hosts_with_one, pasts);
    strays(finding, settings, &records);
    open.iter().map(|(record, _)| words(record)).collect()
}

/// Those that can be read, and why others cannot: one of them hides no other.
fn records(settings: &Settings) -> (Vec<GrantRecord>, Vec<Trouble>) {
    let requests = match Requests::<GrantRecord>::open(settings) {
        Ok(Some(requests)) => requests,
        Ok(None) => return (Vec::new(), Vec::new()),
        Err(trouble) => return (Vec::new(), vec![trouble]),
    };
    let hosts = match requests.hosts() {
        Ok(hosts) => hosts,
        Err(trouble) => return (Vec::new(), vec![trouble]),
    };
    let (mut records, mut unread) = (Vec::new(), Vec::new());
    for host in hosts {
        match requests.read(&host) {
            Ok(record) => records.extend(record),
            Err(trouble) => unread.push(trouble),
        }
    }
    (records, unread)
}

/// Whether it is as it should be: not over, its key line that of the host, and its account without a way to any history.
fn one(
    finding: &mut Finding,
    settings: &Settings,
    hosts: &Hosts,
    (record, opened): (&GrantRecord, &OpenedGrant),
) -> Result<(), Trouble> {
    let host = &record.host;
    let outbox = Outbox::of(settings, host)?;
    finding.add(Verdict::Pass, format!("a grant is open: {}", words(record)));
    let until = DateTime::parse_from_rfc3339(&opened.until).map(|until| until.with_timezone(&Utc)).ok();
    if until.is_none_or(|until| (Utc::now() - until).num_seconds() > LATE_SECONDS) {
        let text = format!("the grant of {host} is over since {}, and is still there", opened.until);
        finding.add(Verdict::Fail, text);
    }
    let given = PublicKey::given(&outbox.key_file)?.map(|(line, _)| line);
    let pushes =
        PublicKey::given(&settings.keys.join(account_name(settings, host)?))?.and_then(|(_, key)| key);
    let from = hosts.get(host).map(|host| host.record.from.clone()).unwrap_or_default();
    let wanted = until.zip(pushes).map(|(until, key)| key.fetching(&from, until).trim_end().to_owned());
    if given.is_some() && given != wanted {
        let text = format!("{} lets in what the grant of {host} does not", shown(&outbox.key_file));
        finding.add(Verdict::Fail, text);
    }
    let Some(identity) = identity(&outbox.account)? else { return Ok(()) };
    let history = settings.history.join(host.as_str());
    let mut tries = vec![
        Attempt::new(How::List, &settings.history),
        Attempt::new(How::List, &history),
        Attempt::new(How::Read, history.join("log")),
        Attempt::new(How::List, history.join("manifests")),
        Attempt::new(How::Write, &settings.keys),
        Attempt::new(How::Write, outbox.folder.join("out")),
    ];
    tries.retain(|attempt| attempt.path.symlink_metadata().is_ok());
    let came = attempts(&identity, None, tries.clone())?;
    for (attempt, _) in tries.iter().zip(&came).filter(|(_, came)| **came != Came::Refused) {
        finding.add(Verdict::Fail, format!("{} can {}", outbox.account, attempt.words()));
    }
    Ok(())
}

/// What the logs call open is what the records call open.
fn in_logs(finding: &mut Finding, open: &[&HostId], pasts: &Result<Vec<Past>, String>) {
    let Ok(pasts) = pasts else { return };
    for past in pasts.iter().filter(|past| past.error.is_none()) {
        let is_open = open.iter().any(|host| host.as_str() == past.host);
        match &past.grant {
            Some(grant) if !is_open => {
                let text = format!(
                    "the log of {} says that a grant is open, and no record does: {grant}",
                    past.host
                );
                finding.add(Verdict::Fail, text);
            }
            None if is_open => {
                finding.add(Verdict::Fail, format!("the grant of {} is not in its log", past.host));
            }
            _ => {}
        }
    }
}

/// Keys that let in where nothing is open, and what lies in outboxes that no record explains.
fn strays(finding: &mut Finding, settings: &Settings, records: &[GrantRecord]) {
    let open = records.iter().filter(|record| record.opened.is_some());
    let accounts: Vec<String> =
        open.filter_map(|record| Some(Outbox::of(settings, &record.host).ok()?.account)).collect();
    let prefix = settings.grants.account_prefix.as_str();
    for entry in fs::read_dir(&settings.keys).into_iter().flatten().take(NAMES_MAX).flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) && !accounts.contains(&name) {
            finding.add(Verdict::Fail, format!("{} lets in, and no grant is open", shown(&entry.path())));
        }
    }
    for entry in fs::read_dir(&settings.grants.outboxes).into_iter().flatten().take(NAMES_MAX).flatten() {
        let name = entry.file_name();
        let record = records.iter().find(|record| name == record.host.as_str());
        let out = fs::read_dir(entry.path().join("out"));
        for there in out.into_iter().flatten().take(NAMES_MAX).flatten() {
            if !is_explained(there.file_name().as_encoded_bytes(), record) {
                let text = format!("{} lies there, and no grant explains it", shown(&there.path()));
                finding.add(Verdict::Fail, text);
            }
        }
    }
}

/// What was asked for may be just being packed, under no name yet; what is open has two.
fn is_explained(name: &[u8], record: Option<&GrantRecord>) -> bool {
    match record.map(|record| record.opened.is_some()) {
        Some(true) => [b"files.tar".as_slice(), b"until"].contains(&name),
        Some(false) => durable::is_unfinished(name),
        None => false,
    }
}
