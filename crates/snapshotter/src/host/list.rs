//! Lists the hosts: all that have a jail or a record.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use cli::{Exit, Failed, Run};
use durable::{Dir, is_unfinished};
use formats::HostId;
use history::History;
use serde_json::{Value, json};

use super::account_name::account_name;
use super::book::Book;
use super::key::PublicKey;
use super::record::{self, HostRecord};
use super::retire::{is_closed, own_account};
use super::step::{Look, Step};
use super::steps::{Receiver, is_without_accounts, receiver, with_accounts, without_accounts};
use crate::account::{Account, account, is_root, leave_root};
use crate::ingest::{HOSTS_MAX, hosts};
use crate::settings::Settings;
use crate::trouble::Trouble;

/// What is looked at once for all hosts.
struct Server<'a> {
    settings: &'a Settings,
    book: Book,
    receiver: Option<Rc<Receiver>>,
    history: Option<History>,
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings) -> Result<Exit, Failed> {
    // Before the first host there is no such account, and nothing to be read by it.
    if is_root() && account(&settings.owner)?.is_some() {
        leave_root(settings)?;
    }
    let hosts = known(settings)?;
    let mut names = vec![settings.owner.clone(), settings.readers.clone(), "root".to_owned()];
    names.extend(hosts.iter().filter_map(|host| account_name(settings, host).ok()));
    let server = Server {
        settings,
        book: Book::read(&names)?,
        receiver: receiver(settings).ok(),
        history: settings.history.exists().then(|| crate::list::open(settings)).transpose()?,
    };
    let mut listed = Vec::new();
    for host in hosts {
        listed.push(server.one(run, &host));
    }
    run.report().count("hosts", listed.len() as u64);
    run.report().detail("hosts", listed);
    Ok(Exit::WHOLE)
}

/// Those that have a jail, and those of which only a record is left.
pub(crate) fn known(settings: &Settings) -> Result<BTreeSet<HostId>, Trouble> {
    let mut known = BTreeSet::new();
    if settings.jails.exists() {
        known.extend(hosts(settings)?);
    }
    let listing = || Trouble::folder("listing the records of hosts");
    let folder = match Dir::open_root(&settings.hosts) {
        Err(error) if error.is_not_found() => return Ok(known),
        folder => folder.map_err(listing())?,
    };
    let names = folder.names_at_most(HOSTS_MAX).map_err(listing())?;
    known.extend(names.iter().filter(|name| !is_unfinished(name)).filter_map(|name| record::host_of(name)));
    Ok(known)
}

impl Server<'_> {
    /// What cannot be read of one host is named, and keeps no other from being told.
    fn one(&self, run: &mut Run, host: &HostId) -> Value {
        let settings = self.settings;
        let mut bad = Vec::new();
        let mut left_out = |path: &Path, trouble: &Trouble| {
            let why = told(trouble);
            run.leave_out(path.as_os_str().as_encoded_bytes(), &why);
            bad.push(why);
        };
        let record_file = record::path(settings, host);
        let record = HostRecord::read(settings, host).map_err(|trouble| left_out(&record_file, &trouble));
        let account = self.account(host).map_err(|trouble| left_out(&record_file, &trouble));
        let (name, account) = account.ok().unzip();
        let key_file = name.as_ref().map(|name| settings.keys.join(name));
        let given = key_file.and_then(|file| {
            PublicKey::given(&file).unwrap_or_else(|trouble| {
                left_out(&file, &trouble);
                None
            })
        });
        let account = account.flatten();
        let has_history = self.history.as_ref().is_some_and(|history| history.host(host).is_ok());
        let missing = match &record {
            _ if !bad.is_empty() => bad,
            Ok(record) if record.retired.is_some() => open_doors(given.as_ref(), account.as_ref()),
            Ok(record) => self.missing(host, record, given.as_ref().and_then(|(_, key)| key.as_ref())),
            Err(()) => Vec::new(),
        };
        let record = record.unwrap_or_default();
        let account = account.and(name);
        run.line(&line(host, account.as_deref(), has_history, &record, missing.len()));
        let (key_line, key) = given.unzip();
        let fingerprint = key.flatten().map(|key| key.fingerprint());
        json!({
            "host": host.as_str(),
            "account": account,
            "key": key_line.map(|line| json!({ "fingerprint": fingerprint, "line": cli::shown(line.as_bytes()) })),
            "from": (!record.from.is_empty()).then(|| texts(&record)),
            "hours": record.hours.as_ref().map(|hours| hours.as_slice().to_vec()),
            "known_as": record.known_as,
            "readers": record.readers,
            "limits": record.limits.json(),
            "retired": record.retired.map(record::stamp),
            "appliance": record.appliance.is_some(),
            "history": has_history,
            "complete": missing.is_empty(),
            "missing": missing,
        })
    }

    /// The name that the host's account has or would have, and the account.
    fn account(&self, host: &HostId) -> Result<(String, Option<Account>), Trouble> {
        let name = account_name(self.settings, host)?;
        let account = own_account(&self.book, host, &name)?;
        Ok((name, account))
    }

    /// What `host add` would still have to do.
    fn missing(&self, host: &HostId, record: &HostRecord, key: Option<&PublicKey>) -> Vec<String> {
        let steps = match (is_without_accounts(self.settings, host), key, &self.receiver) {
            (true, _, _) => without_accounts(self.settings, host, record),
            (false, Some(key), Some(receiver)) => {
                match with_accounts(self.settings, host, record, key, receiver) {
                    Ok(steps) => steps,
                    Err(trouble) => return vec![told(&trouble)],
                }
            }
            (false, None, _) => return vec!["the key file, with one ssh-ed25519 key".to_owned()],
            (false, _, None) => return vec!["the receiver that the settings name".to_owned()],
        };
        steps.iter().filter_map(|step| self.lack(step)).collect()
    }

    fn lack(&self, step: &Step) -> Option<String> {
        match step.is_done(&self.book, Look::Dates) {
            Ok(true) => None,
            Ok(false) => Some(step.describe()),
            Err(trouble) => Some(told(&trouble)),
        }
    }
}

/// What `host retire` would still have to do.
fn open_doors(key_file: Option<&(String, Option<PublicKey>)>, account: Option<&Account>) -> Vec<String> {
    let key = key_file.map(|_| "the key file is still there");
    let login = account.filter(|account| !is_closed(account)).map(|_| "the account is not locked");
    key.into_iter().chain(login).map(str::to_owned).collect()
}

fn line(
    host: &HostId,
    account: Option<&str>,
    has_history: bool,
    record: &HostRecord,
    missing: usize,
) -> String {
    let mut line = format!(
        "{host}: account {}, {}",
        account.unwrap_or("none"),
        if has_history { "history" } else { "no history yet" },
    );
    if !record.from.is_empty() {
        line.push_str(&format!(", from {}", texts(record).join(",")));
    }
    if let Some(hours) = &record.hours {
        line.push_str(&format!(", at {hours}"));
    }
    if let Some(name) = &record.known_as {
        line.push_str(&format!(", known as {name}"));
    }
    if let Some(group) = &record.readers {
        line.push_str(&format!(", readable by group {group}"));
    }
    if record.appliance.is_some() {
        line.push_str(", an appliance");
    }
    if let Some(since) = record.retired {
        line.push_str(&format!(", retired since {}", record::stamp(since)));
    }
    if missing > 0 {
        line.push_str(&format!(", not complete: {missing} missing"));
    }
    line
}

fn texts(record: &HostRecord) -> Vec<String> {
    record.from.iter().map(ToString::to_string).collect()
}

/// An error with its causes, on one line.
fn told(trouble: &Trouble) -> String {
    let mut text = trouble.to_string();
    let mut cause = std::error::Error::source(trouble);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
