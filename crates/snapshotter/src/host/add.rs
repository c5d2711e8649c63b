//! Makes the account, the jail, the key file, the record and the history of a host.

use std::path::Path;

use cli::{Exit, Failed, Run};
use formats::HostId;

use super::account_name::account_name;
use super::alone::alone;
use super::appliance::TypedAppliance;
use super::args::Add;
use super::book::Book;
use super::extent::Extent;
use super::key::PublicKey;
use super::network::Network;
use super::readers;
use super::record::{self, HostRecord, networks};
use super::step::{Done, Look, Step};
use super::steps::{receiver, with_accounts, without_accounts};
use crate::account::{is_root, leave_root};
use crate::hours::Hours;
use crate::ingest;
use crate::limits::{LimitChange, Place};
use crate::settings::Settings;
use crate::trouble::Trouble;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    host: &'a HostId,
    key: &'a Path,
    /// What is not asked for stays as the record has it.
    from: Option<Vec<Network>>,
    hours: Option<&'a Hours>,
    known_as: Option<&'a str>,
    /// Empty: nobody's any more.
    readers: Option<&'a str>,
    limits: &'a [LimitChange],
    accounts: Accounts,
    kind: Kind,
    extent: Extent,
}

/// What a host that is added anew is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One that pushes, or what it is already.
    Usual,
    /// One that drops files.
    Appliance,
}

/// Who keeps the hosts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accounts {
    /// An account and a chroot for each host.
    Own,
    /// One ordinary user, and Landlock.
    None,
}

impl<'a> Asked<'a> {
    /// From the command line.
    pub(crate) fn new(typed: &'a Add) -> Result<Self, Trouble> {
        let wrong = |what| Trouble::Usage { what: format!("--from {what}"), advice: None };
        Ok(Self {
            host: &typed.host,
            key: &typed.key,
            from: typed.from.clone().map(networks).transpose().map_err(wrong)?,
            hours: typed.hours.as_ref(),
            known_as: typed.known_as.as_deref(),
            readers: typed.readers.as_deref(),
            limits: &typed.limits,
            accounts: if typed.user_mode { Accounts::None } else { Accounts::Own },
            kind: if typed.appliance { Kind::Appliance } else { Kind::Usual },
            extent: Extent::new(typed.dry_run),
        })
    }

    /// The record as it is to be, from what it is.
    fn record(&self, settings: &Settings, key: &PublicKey) -> Result<HostRecord, Trouble> {
        let host = self.host;
        let mut record = HostRecord::read(settings, host)?;
        if let Some(since) = record.retired {
            return Err(Trouble::Usage {
                what: format!("host {host} was retired on {}", record::stamp(since)),
                advice: Some("a retired id is never used again: give the machine another one".to_owned()),
            });
        }
        if let (Some(was), Some(asked)) = (&record.known_as, self.known_as)
            && was != asked
        {
            return Err(Trouble::Usage {
                what: format!("host {host} is known as {was}, and not as {asked}"),
                advice: Some(format!(
                    "two machines cannot share an id: give one another; if this one was renamed, change `known_as` in {}",
                    cli::shown(record::path(settings, host).as_os_str().as_encoded_bytes()),
                )),
            });
        }
        if record.known_as.is_none() && self.known_as.is_some() && self.accounts == Accounts::Own {
            self.adopts(settings, key)?;
        }
        self.becomes(settings, &mut record)?;
        if let Some(from) = &self.from {
            record.from.clone_from(from);
        }
        record.hours = self.hours.cloned().or(record.hours);
        record.known_as = self.known_as.map(str::to_owned).or(record.known_as);
        if let Some(group) = self.readers {
            record.readers = self.readers(settings, group)?;
        }
        self.limits.iter().for_each(|change| record.limits.change(change));
        // What each says by itself was checked; not what they say together.
        let source = record.limits.check(&record::path(settings, host), Place::Record);
        source.map_err(|source| Trouble::Record { host: host.clone(), source })?;
        Ok(record)
    }

    /// A jail is made for the one or for the other, and never turned into it.
    fn becomes(&self, settings: &Settings, record: &mut HostRecord) -> Result<(), Trouble> {
        let host = self.host;
        let refused =
            |what: String, advice: &str| Err(Trouble::Usage { what, advice: Some(advice.to_owned()) });
        let is_there = settings.jails.join(host.as_str()).symlink_metadata().is_ok();
        match (self.kind, &record.appliance) {
            (Kind::Appliance, None) if is_there => {
                let what = format!("host {host} is one that pushes, and not an appliance");
                refused(what, "add the appliance under an id of its own")
            }
            (Kind::Appliance, None) => {
                record.appliance = Some(TypedAppliance::default());
                Ok(())
            }
            (_, Some(_)) if self.accounts == Accounts::None => refused(
                format!("host {host} is an appliance, which needs an account"),
                "run it without --user-mode",
            ),
            _ => Ok(()),
        }
    }

    /// Only those whom the kernel can tell apart can be let in one by one.
    fn readers(&self, settings: &Settings, group: &str) -> Result<Option<String>, Trouble> {
        if group.is_empty() {
            return Ok(None);
        }
        if self.accounts == Accounts::None {
            let what = "--readers needs a server with accounts of its own for each host".to_owned();
            return Err(Trouble::Usage { what, advice: None });
        }
        readers::check(settings, group)?;
        Ok(Some(group.to_owned()))
    }

    /// A host that is there and known as nobody's was added by a person: a deployment takes it over only with the key that it has.
    fn adopts(&self, settings: &Settings, key: &PublicKey) -> Result<(), Trouble> {
        let host = self.host;
        let account = account_name(settings, host)?;
        let has = match PublicKey::given(&settings.keys.join(&account))? {
            Some((_, Some(given))) if given == *key => return Ok(()),
            Some((_, given)) => given.map_or("a file that is no key".to_owned(), |given| given.fingerprint()),
            None if settings.jails.join(host.as_str()).symlink_metadata().is_err() => return Ok(()),
            None => "no key any more".to_owned(),
        };
        let name = self.known_as.unwrap_or_default();
        Err(Trouble::Usage {
            what: format!(
                "host {host} was added by hand and has another key ({has}); {name} brings {}",
                key.fingerprint()
            ),
            advice: Some(format!(
                "if {name} is another machine, give it another id; if this host is {name}, hand it over by hand: `snapshotter host add {host} --key FILE` with the key of {name}, without --known-as, then again with it"
            )),
        })
    }
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, asked: &Asked<'_>) -> Result<Exit, Failed> {
    match asked.accounts {
        Accounts::Own if !is_root() && asked.extent == Extent::Do => {
            let advice = Some("run it as root, or with --user-mode for a server without accounts".to_owned());
            return Err(Trouble::Usage { what: "only root can make accounts".to_owned(), advice }.into());
        }
        Accounts::Own => {}
        // Before the key, which may come from standard input, where it can be read only once.
        Accounts::None => leave_root(settings)?,
    }
    let key = PublicKey::read(asked.key)?;
    // From before the record is read until all that follows from it is written. The first state is not waited for: it may take long.
    let held = (asked.extent == Extent::Do).then(|| alone(run, settings)).transpose()?;
    let record = asked.record(settings, &key)?;
    let steps = match asked.accounts {
        Accounts::Own => with_accounts(settings, asked.host, &record, &key, &receiver(settings)?)?,
        Accounts::None => without_accounts(settings, asked.host, &record),
    };
    for step in &steps {
        take(run, step, asked.extent)?;
    }
    if asked.extent == Extent::OnlySay {
        run.line("nothing was changed");
        return Ok(Exit::WHOLE);
    }
    drop(held);
    // The account that owns the history makes it, and publishes the first state of the jail.
    let (exit, _) = ingest::one(settings, asked.host)?;
    // Busy: another process is at work on this host right now, and publishes the state when it ends.
    if exit != Exit::WHOLE && exit != Exit::BUSY {
        return Ok(exit);
    }
    match asked.accounts {
        Accounts::Own => {
            let account = account_name(settings, asked.host)?;
            run.line(&format!("host {} is ready; its account is {account}", asked.host));
            run.report().detail("account", account);
        }
        Accounts::None => {
            let line = key.forced(&record.from, &forced_command(settings, asked.host)?);
            run.line("host is ready; add this line to ~/.ssh/authorized_keys:");
            run.line(&line);
            run.report().detail("authorized_keys", line);
        }
    }
    Ok(Exit::WHOLE)
}

/// Takes one step, or says that it would.
pub(super) fn take(run: &mut Run, step: &Step, extent: Extent) -> Result<(), Failed> {
    let words = step.describe();
    let line = match extent {
        Extent::OnlySay if step.is_done(&Book::Machine, Look::Bytes)? => format!("there is   {words}"),
        Extent::OnlySay => format!("would make {words}"),
        Extent::Do => match step.run()? {
            Done::Already => format!("there is {words}"),
            Done::Now => format!("made     {words}"),
        },
    };
    run.line(&line);
    Ok(())
}

/// It passes through the user's shell, so nothing in it may mean anything there.
fn forced_command(settings: &Settings, host: &HostId) -> Result<String, Trouble> {
    let jail = settings.jails.join(host.as_str());
    let command = format!("{} --jail {}", settings.receiver.display(), jail.display());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ' ');
    if command.chars().all(plain) && command.matches(' ').count() == 2 {
        return Ok(command);
    }
    Err(Trouble::Usage {
        what: "the paths of receiver and jails cannot stand in a forced command".to_owned(),
        advice: Some("use paths of letters, digits and / . _ - + only".to_owned()),
    })
}
