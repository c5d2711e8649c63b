//! Makes the account, the jail, the key file and the history of a host.

use std::fs;
use std::path::{Path, PathBuf};

use cli::{Exit, Failed, Run};
use formats::HostId;

use super::account_name::{account_name, comment};
use super::key::PublicKey;
use super::step::{Done, Step};
use crate::account::{is_root, leave_root};
use crate::ingest;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// A receiver is a few megabytes at most.
const RECEIVER_BYTES_MAX: u64 = 64 << 20;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    host: &'a HostId,
    key: &'a Path,
    accounts: Accounts,
    extent: Extent,
}

/// Who keeps the hosts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accounts {
    /// An account and a chroot for each host.
    Own,
    /// One ordinary user, and Landlock.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Do,
    OnlySay,
}

impl<'a> Asked<'a> {
    /// From the command line.
    pub(crate) fn new(host: &'a HostId, key: &'a Path, user_mode: bool, dry_run: bool) -> Self {
        let accounts = if user_mode { Accounts::None } else { Accounts::Own };
        let extent = if dry_run { Extent::OnlySay } else { Extent::Do };
        Self { host, key, accounts, extent }
    }
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, asked: &Asked<'_>) -> Result<Exit, Failed> {
    let key = PublicKey::read(asked.key)?;
    let steps = match asked.accounts {
        Accounts::Own => {
            if !is_root() && asked.extent == Extent::Do {
                let advice =
                    Some("run it as root, or with --user-mode for a server without accounts".to_owned());
                return Err(Trouble::Usage { what: "only root can make accounts".to_owned(), advice }.into());
            }
            with_accounts(settings, asked.host, &key)?
        }
        Accounts::None => {
            leave_root(settings)?;
            without_accounts(settings, asked.host)
        }
    };
    for step in &steps {
        take(run, step, asked.extent)?;
    }
    if asked.extent == Extent::OnlySay {
        run.line("nothing was changed");
        return Ok(Exit::WHOLE);
    }
    // The account that owns the history makes it, and publishes the first state of the jail.
    let (exit, _) = ingest::one(settings, asked.host)?;
    if exit != Exit::WHOLE {
        return Ok(exit);
    }
    match asked.accounts {
        Accounts::Own => {
            let account = account_name(settings, asked.host)?;
            run.line(&format!("host {} is ready; its account is {account}", asked.host));
            run.report().detail("account", account);
        }
        Accounts::None => {
            let line = key.forced(&forced_command(settings, asked.host)?);
            run.line("host is ready; add this line to ~/.ssh/authorized_keys:");
            run.line(&line);
            run.report().detail("authorized_keys", line);
        }
    }
    Ok(Exit::WHOLE)
}

fn take(run: &mut Run, step: &Step, extent: Extent) -> Result<(), Failed> {
    let words = step.describe();
    let line = match extent {
        Extent::OnlySay if step.is_done()? => format!("there is   {words}"),
        Extent::OnlySay => format!("would make {words}"),
        Extent::Do => match step.run()? {
            Done::Already => format!("there is {words}"),
            Done::Now => format!("made     {words}"),
        },
    };
    run.line(&line);
    Ok(())
}

fn with_accounts(settings: &Settings, host: &HostId, key: &PublicKey) -> Result<Vec<Step>, Trouble> {
    let account = account_name(settings, host)?;
    let jail = settings.jails.join(host.as_str());
    let Settings { owner, readers, .. } = settings;
    let folder = |path: PathBuf, user: &str, group: &str, mode| Step::Folder {
        path,
        owner: Some((user.to_owned(), group.to_owned())),
        mode,
    };
    let roots = |path: PathBuf| folder(path, "root", "root", 0o755);
    let mut steps = vec![Step::Group { name: readers.clone() }, Step::Owner { name: owner.clone() }];
    steps.extend(missing_parents(&settings.jails).into_iter().map(&roots));
    steps.extend(missing_parents(&settings.keys).into_iter().map(&roots));
    let mut histories = missing_parents(&settings.history);
    let history = histories.pop();
    steps.extend(histories.into_iter().map(&roots));
    steps.extend(history.map(|path| folder(path, owner, readers, 0o2750)));
    steps.push(Step::HostAccount { name: account.clone(), home: jail.clone(), comment: comment(host) });
    steps.extend(["", "bin", "spool"].map(|name| roots(join(&jail, name))));
    steps.extend(
        ["spool/incoming", "spool/sealed"].map(|name| folder(jail.join(name), &account, owner, 0o2770)),
    );
    steps.push(folder(jail.join("state"), owner, &account, 0o2750));
    steps.push(folder(settings.history.join(host.as_str()), owner, readers, 0o2750));
    steps.push(Step::File { path: jail.join("bin/receiver"), bytes: receiver(settings)?, mode: 0o755 });
    let line = key.restricted().into_bytes();
    steps.push(Step::File { path: settings.keys.join(&account), bytes: line, mode: 0o644 });
    Ok(steps)
}

fn without_accounts(settings: &Settings, host: &HostId) -> Vec<Step> {
    let jail = settings.jails.join(host.as_str());
    let folder = |path, mode| Step::Folder { path, owner: None, mode };
    let tops = missing_parents(&settings.jails).into_iter().chain(missing_parents(&settings.history));
    let mut steps: Vec<_> = tops.map(|path| folder(path, 0o750)).collect();
    let inside = ["", "spool", "spool/incoming", "spool/sealed", "state"];
    steps.extend(inside.map(|name| folder(join(&jail, name), 0o750)));
    steps.push(folder(settings.history.join(host.as_str()), 0o750));
    steps
}

/// The folder and those above it that are not there, from the top. One that is there stays as its administrator made it.
fn missing_parents(path: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<_> =
        path.ancestors().take_while(|path| !path.exists()).map(Path::to_owned).collect();
    missing.reverse();
    missing
}

fn join(jail: &Path, name: &str) -> PathBuf {
    if name.is_empty() { jail.to_owned() } else { jail.join(name) }
}

fn receiver(settings: &Settings) -> Result<Vec<u8>, Trouble> {
    let shown = cli::shown(settings.receiver.as_os_str().as_encoded_bytes());
    let at = || Trouble::stream(format!("reading the receiver {shown}"));
    if fs::metadata(&settings.receiver).map_err(at())?.len() > RECEIVER_BYTES_MAX {
        return Err(Trouble::Machine { what: format!("{shown} is too large for a receiver") });
    }
    fs::read(&settings.receiver).map_err(at())
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
