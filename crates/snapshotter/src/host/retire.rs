//! Lets a host push no more. What it has pushed stays.
//!
//! The order makes a run that is killed at any moment either one that did nothing or one that only has to be run again: the record says first that
//! the host is retired, which is what refuses it as a new host; then its key goes, so that nobody gets in; then the account is locked, for a key
//! that is put back by mistake; then whoever is still in is ended; last a grant of the host, which lets the same key in elsewhere.

use std::io::ErrorKind;
use std::path::Path;

use chrono::{SubsecRound, Utc};
use cli::{Exit, Failed, Run};
use durable::{Dir, Name};
use formats::HostId;

use super::account_name::{account_name, comment};
use super::add::take;
use super::alone::alone;
use super::book::Book;
use super::extent::Extent;
use super::record::{self, HostRecord};
use super::sessions;
use super::step::{NO_SHELL, Step, command};
use super::steps::{is_without_accounts, missing_parents, of_record};
use crate::account::{Account, getent, is_root, leave_root};
use crate::grant;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// The day after which the account is of no use, counted from 1970: long ago.
const EXPIRED_DAY: &str = "1";

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, host: &HostId, extent: Extent) -> Result<Exit, Failed> {
    let name = account_name(settings, host)?;
    let account = own_account(&Book::Machine, host, &name)?;
    if account.is_some() && !is_root() && extent == Extent::Do {
        let advice = Some("run it as root".to_owned());
        return Err(Trouble::Usage { what: format!("only root can lock the account {name}"), advice }.into());
    }
    let without_accounts = account.is_none() && is_without_accounts(settings, host);
    if without_accounts {
        leave_root(settings)?;
    }
    if account.is_none() && !is_known(settings, host) {
        return Err(Trouble::NoHost { host: host.to_string() }.into());
    }
    let _held = (extent == Extent::Do).then(|| alone(run, settings)).transpose()?;
    // Looked at again: it may have been made, or changed, while this waited.
    let account = own_account(&Book::Machine, host, &name)?;
    let mut record = HostRecord::read(settings, host)?;
    let since = *record.retired.get_or_insert_with(|| Utc::now().trunc_subsecs(0));
    let owner = is_root().then_some(0);
    let mode = if is_root() { 0o755 } else { 0o750 };
    for path in missing_parents(&settings.hosts) {
        let owner = is_root().then(|| ("root".to_owned(), "root".to_owned()));
        take(run, &Step::Folder { path, owner, mode }, extent)?;
    }
    if let Some(step) = of_record(settings, host, &record, owner) {
        take(run, &step, extent)?;
    }
    // Each of them shuts a door by itself: none waits for another to do well.
    let mut shut = vec![remove_key(run, &settings.keys.join(&name), extent)];
    if let Some(account) = &account {
        shut.push(lock(run, &name, account, extent));
        shut.push(end_sessions(run, &name, account, extent));
    }
    if is_root() {
        shut.push(grant::end_of_retired(run, settings, host, extent));
    }
    shut.into_iter().collect::<Result<(), Failed>>()?;
    if extent == Extent::OnlySay {
        run.line("nothing was changed");
        return Ok(Exit::WHOLE);
    }
    run.line(&format!("host {host} is retired since {}", record::stamp(since)));
    if without_accounts {
        run.line("it had no account of its own: remove its line from ~/.ssh/authorized_keys");
    }
    run.report().detail("retired", record::stamp(since));
    Ok(Exit::WHOLE)
}

/// The host's own account; never one of another use that has its name.
pub(super) fn own_account(book: &Book, host: &HostId, name: &str) -> Result<Option<Account>, Trouble> {
    Ok(book.account(name)?.filter(|account| account.comment == comment(host) && account.user != 0))
}

/// Whether what only everybody can see of an account says that it is locked.
pub(super) fn is_closed(account: &Account) -> bool {
    account.shell == NO_SHELL
}

fn is_known(settings: &Settings, host: &HostId) -> bool {
    [settings.jails.join(host.as_str()), settings.history.join(host.as_str()), record::path(settings, host)]
        .iter()
        .any(|path| path.symlink_metadata().is_ok())
}

fn remove_key(run: &mut Run, path: &Path, extent: Extent) -> Result<(), Failed> {
    let shown = cli::shown(path.as_os_str().as_encoded_bytes());
    let removing = || Trouble::folder(format!("removing {shown}"));
    let line = match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => format!("there is no key file {shown}"),
        Err(error) => return Err(Trouble::stream(format!("looking at {shown}"))(error).into()),
        Ok(_) if extent == Extent::OnlySay => format!("would remove the key file {shown}"),
        Ok(_) => {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(Trouble::Machine { what: format!("{shown} has no name") }.into());
            };
            let folder = Dir::open_root(folder).map_err(removing())?;
            let name = Name::new(name.as_encoded_bytes()).map_err(removing())?;
            folder.unlink(name).and_then(|()| folder.sync()).map_err(removing())?;
            format!("removed the key file {shown}")
        }
    };
    run.line(&line);
    Ok(())
}

/// Neither a shell nor a password nor a day on which it could be used.
fn lock(run: &mut Run, name: &str, account: &Account, extent: Extent) -> Result<(), Failed> {
    let line = if is_closed(account) && is_expired(name)? {
        format!("there is the locked account {name}")
    } else if extent == Extent::OnlySay {
        format!("would lock the account {name}")
    } else {
        command("usermod", &["--lock", "--expiredate", EXPIRED_DAY, "--shell", NO_SHELL, name])?;
        format!("locked the account {name}")
    };
    run.line(&line);
    Ok(())
}

/// Only root can ask; anybody else is told that it is not.
fn is_expired(name: &str) -> Result<bool, Trouble> {
    let text = getent("shadow", &[name])?;
    let fields: Vec<&str> = text.trim_end().split(':').collect();
    let [found, password, _, _, _, _, _, expires, ..] = fields.as_slice() else { return Ok(false) };
    Ok(*found == name && password.starts_with('!') && *expires == EXPIRED_DAY)
}

fn end_sessions(run: &mut Run, name: &str, account: &Account, extent: Extent) -> Result<(), Failed> {
    let line = match extent {
        Extent::OnlySay => {
            format!("would end {} processes of the account {name}", sessions::count(account.user)?)
        }
        Extent::Do => format!("ended {} processes of the account {name}", sessions::end(account.user)?),
    };
    run.line(&line);
    Ok(())
}
