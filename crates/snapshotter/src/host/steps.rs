//! What `host add` makes, step by step.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use formats::HostId;

use super::account_name::{account_name, comment};
use super::appliance;
use super::key::PublicKey;
use super::readers::Readers;
use super::record::{self, HostRecord};
use super::slots::{POOL, Slots};
use super::step::{SHELL, Step};
use crate::settings::Settings;
use crate::trouble::Trouble;

/// A receiver is a few megabytes at most.
const RECEIVER_BYTES_MAX: u64 = 64 << 20;
const ROOT: u32 = 0;

/// The program that is copied into each jail, read once.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// All of it.
    pub(super) bytes: Vec<u8>,
    /// Seconds and nanoseconds of its last change, by the kernel's own date.
    pub(super) changed: (i64, i64),
}

/// A host with an account and a chroot of its own.
pub(super) fn with_accounts(
    settings: &Settings,
    host: &HostId,
    record: &HostRecord,
    key: &PublicKey,
    receiver: &Rc<Receiver>,
) -> Result<Vec<Step>, Trouble> {
    let account = account_name(settings, host)?;
    let jail = settings.jails.join(host.as_str());
    let Settings { owner, readers, .. } = settings;
    let roots = |path: PathBuf| owned(path, "root", "root", 0o755);
    let mut steps = vec![Step::Group { name: readers.clone() }, Step::Owner { name: owner.clone() }];
    // Before the account and the key: whose id it is, and from where it may come, holds before anything can be used.
    let written = of_record(settings, host, record, Some(ROOT));
    if written.is_some() {
        steps.extend(missing_parents(&settings.hosts).into_iter().map(&roots));
    }
    steps.extend(written);
    steps.extend(missing_parents(&settings.jails).into_iter().map(&roots));
    steps.extend(missing_parents(&settings.keys).into_iter().map(&roots));
    let mut histories = missing_parents(&settings.history);
    let history = histories.pop();
    steps.extend(histories.into_iter().map(&roots));
    steps.extend(history.map(|path| owned(path, owner, readers, 0o2750)));
    if let Some(path) = &settings.views {
        let mut missing = missing_parents(path);
        let views = missing.pop();
        steps.extend(missing.into_iter().map(&roots));
        steps.extend(views.map(|path| owned(path, owner, readers, 0o2750)));
    }
    let mut signing = missing_parents(&settings.signing);
    let folder_of_key = signing.pop();
    steps.extend(signing.into_iter().map(&roots));
    steps.extend(folder_of_key.map(|path| owned(path, owner, readers, 0o755)));
    steps.push(Step::HostAccount {
        name: account.clone(),
        home: jail.clone(),
        shell: SHELL,
        comment: comment(host),
    });
    steps.push(roots(settings.jails.join(POOL)));
    steps.extend(match record.appliance {
        Some(_) => drop_of(settings, &jail, &account),
        None => spool_of(settings, &jail, &account),
    });
    steps.push(owned(jail.join("state"), owner, &account, 0o2750));
    steps.push(owned(settings.history.join(host.as_str()), owner, readers, 0o2750));
    let own = Readers::new(settings, host, record.readers.as_ref());
    // Nobody's is the usual, and only said where it is to be made so.
    if record.readers.is_some() || !own.are_right()? {
        steps.push(Step::Readers(own));
    }
    if record.appliance.is_none() {
        steps.push(Step::Receiver { path: jail.join("bin/receiver"), source: Rc::clone(receiver) });
    }
    let bytes = key.restricted(&record.from).into_bytes();
    steps.push(Step::File { path: settings.keys.join(&account), bytes, owner: Some(ROOT) });
    Ok(steps)
}

fn owned(path: PathBuf, user: &str, group: &str, mode: u32) -> Step {
    Step::Folder { path, owner: Some((user.to_owned(), group.to_owned())), mode }
}

/// What is in the jail of a host that pushes.
fn spool_of(settings: &Settings, jail: &Path, account: &str) -> Vec<Step> {
    let roots = |name| owned(join(jail, name), "root", "root", 0o755);
    let mut steps: Vec<_> = ["", "bin", "slots", "spool"].into_iter().map(roots).collect();
    steps.push(slots(settings, jail));
    let spools = ["spool/incoming", "spool/sealed"];
    steps.extend(spools.map(|name| owned(jail.join(name), account, &settings.owner, 0o2770)));
    steps
}

/// What is in the jail of an appliance, and the group by which sshd knows it.
fn drop_of(settings: &Settings, jail: &Path, account: &str) -> Vec<Step> {
    let (group, owner) = (appliance::group(settings), &settings.owner);
    let mut steps = vec![
        Step::Group { name: group.clone() },
        Step::Member { account: account.to_owned(), group },
        owned(jail.to_owned(), "root", "root", 0o755),
        owned(jail.join("spool"), "root", "root", 0o755),
    ];
    // The account brings no push file: only who takes what it drops does.
    steps.extend(["spool/incoming", "spool/sealed"].map(|name| owned(jail.join(name), owner, owner, 0o2770)));
    steps.push(owned(jail.join(appliance::LEAVING), "root", "root", 0o700));
    steps.push(owned(jail.join(appliance::DROP), "root", account, 0o730));
    steps
}

/// A host of a server without accounts.
pub(super) fn without_accounts(settings: &Settings, host: &HostId, record: &HostRecord) -> Vec<Step> {
    let jail = settings.jails.join(host.as_str());
    let folder = |path, mode| Step::Folder { path, owner: None, mode };
    let written = of_record(settings, host, record, None);
    let hosts = if written.is_none() { Vec::new() } else { missing_parents(&settings.hosts) };
    let tops =
        [Some(&settings.jails), Some(&settings.history), settings.views.as_ref(), Some(&settings.signing)];
    let tops = tops.into_iter().flatten().flat_map(|path| missing_parents(path));
    let mut steps: Vec<_> = hosts.into_iter().chain(tops).map(|path| folder(path, 0o750)).collect();
    steps.extend(written);
    steps.push(folder(settings.jails.join(POOL), 0o750));
    let inside = ["", "slots", "spool", "spool/incoming", "spool/sealed", "state"];
    steps.extend(inside.map(|name| folder(join(&jail, name), 0o750)));
    steps.push(slots(settings, &jail));
    steps.push(folder(settings.history.join(host.as_str()), 0o750));
    steps
}

/// A record that says nothing is the same as none, unless there is one that says something.
pub(super) fn of_record(
    settings: &Settings,
    host: &HostId,
    record: &HostRecord,
    owner: Option<u32>,
) -> Option<Step> {
    let path = record::path(settings, host);
    let written = *record != HostRecord::default() || path.symlink_metadata().is_ok();
    written.then(|| Step::File { path, bytes: record.text().into_bytes(), owner })
}

/// The folder and those above it that are not there, from the top. One that is there stays as its administrator made it.
pub(crate) fn missing_parents(path: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<_> =
        path.ancestors().take_while(|path| !path.exists()).map(Path::to_owned).collect();
    missing.reverse();
    missing
}

fn slots(settings: &Settings, jail: &Path) -> Step {
    Step::Slots(Slots { pool: settings.jails.join(POOL), jail: jail.join("slots"), count: settings.sessions })
}

fn join(jail: &Path, name: &str) -> PathBuf {
    if name.is_empty() { jail.to_owned() } else { jail.join(name) }
}

/// A chroot is root's; the jail of a server without accounts is its user's.
pub(super) fn is_without_accounts(settings: &Settings, host: &HostId) -> bool {
    settings.jails.join(host.as_str()).symlink_metadata().is_ok_and(|meta| meta.uid() != ROOT)
}

/// Reads the program.
pub(super) fn receiver(settings: &Settings) -> Result<Rc<Receiver>, Trouble> {
    program(&settings.receiver)
}

/// Reads a static program that is copied into chroots.
pub(crate) fn program(path: &Path) -> Result<Rc<Receiver>, Trouble> {
    let shown = cli::shown(path.as_os_str().as_encoded_bytes());
    let at = || Trouble::stream(format!("reading the program {shown}"));
    let meta = fs::metadata(path).map_err(at())?;
    if meta.len() > RECEIVER_BYTES_MAX {
        return Err(Trouble::Machine { what: format!("{shown} is too large for such a program") });
    }
    let bytes = fs::read(path).map_err(at())?;
    Ok(Rc::new(Receiver { bytes, changed: (meta.ctime(), meta.ctime_nsec()) }))
}
