//! Accounts of this machine, and becoming the one that does the work.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use cli::Failed;

use crate::child;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// An account: its numbers, the words that tell whose it is, where it is at home, and what a login starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its number.
    pub(crate) user: u32,
    /// Number of its own group.
    pub(crate) group: u32,
    /// The comment field.
    pub(crate) comment: String,
    /// Its home folder.
    pub(crate) home: String,
    /// Its login shell.
    pub(crate) shell: String,
}

/// True if this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Looks an account up, wherever the machine keeps its accounts.
pub(crate) fn account(name: &str) -> Result<Option<Account>, Trouble> {
    let text = getent("passwd", &[name])?;
    match account_of(text.trim_end()) {
        _ if text.is_empty() => Ok(None),
        Some((found, account)) if found == name => Ok(Some(account)),
        _ => Err(unreadable("passwd", name)),
    }
}

/// Looks a group's number up.
pub(crate) fn group(name: &str) -> Result<Option<u32>, Trouble> {
    let text = getent("group", &[name])?;
    match group_of(text.trim_end()) {
        _ if text.is_empty() => Ok(None),
        Some((found, group)) if found == name => Ok(Some(group)),
        _ => Err(unreadable("group", name)),
    }
}

/// One line of a table of accounts.
pub(crate) fn account_of(line: &str) -> Option<(&str, Account)> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, user, group, comment, home, shell] = fields.as_slice() else { return None };
    let (user, group) = (user.parse().ok()?, group.parse().ok()?);
    let [comment, home, shell] = [comment, home, shell].map(|text| (*text).to_owned());
    Some((name, Account { user, group, comment, home, shell }))
}

/// One line of a table of groups.
pub(crate) fn group_of(line: &str) -> Option<(&str, u32)> {
    let mut fields = line.split(':');
    Some((fields.next()?, fields.nth(1)?.parse().ok()?))
}

/// The lines of a table that have these names, as far as there are any; without names, all that the machine lists.
pub(crate) fn getent(database: &str, names: &[&str]) -> Result<String, Trouble> {
    let said = child::output(Command::new("getent").args([database, "--"]).args(names).stderr(Stdio::null()));
    let said = said.map_err(Trouble::stream("running getent"))?;
    match said.status.code() {
        // 2: one name or more is not there.
        Some(0 | 2) => Ok(said.text()),
        _ => Err(unreadable(database, &names.join(" "))),
    }
}

fn unreadable(database: &str, name: &str) -> Trouble {
    Trouble::Machine { what: format!("getent {database} {name} gives no answer that can be read") }
}

/// Started as root, becomes the account that owns the histories by starting this program anew, with the same words; returns only as another
/// account, or with an error.
pub(crate) fn leave_root(settings: &Settings) -> Result<(), Failed> {
    leave_root_with(settings, |_| Ok(()))
}

/// As [`leave_root`], with something that only root may open.
pub(crate) fn leave_root_with(
    settings: &Settings,
    give: impl FnOnce(&mut Command) -> Result<(), Failed>,
) -> Result<(), Failed> {
    if !is_root() {
        return Ok(());
    }
    let owner = account(&settings.owner)?.ok_or_else(|| Trouble::Usage {
        what: format!("there is no account {}, which owns the history", settings.owner),
        advice: Some(
            "`snapshotter host add` as root makes it, or name another as `owner` in the settings".to_owned(),
        ),
    })?;
    if owner.user == 0 {
        let advice = Some("name an account without privileges as `owner` in the settings".to_owned());
        return Err(Trouble::Usage { what: "the history would be owned by root".to_owned(), advice }.into());
    }
    // Further groups are given up along with root; the account's own group is enough.
    let mut command = this_program();
    command.args(std::env::args_os().skip(1)).uid(owner.user).gid(owner.group);
    give(&mut command)?;
    let error = command.exec();
    Err(Failed::machine(format!("going on as account {}", settings.owner), error))
}

/// This very program, even if its file was replaced meanwhile.
pub(crate) fn this_program() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(crate::args::PROGRAM);
    command
}
