//! Accounts of this machine, and becoming the one that does the work.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use cli::Failed;

use crate::settings::Settings;
use crate::trouble::Trouble;

/// An account: its numbers, its home, and the words that tell whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its number.
    pub(crate) user: u32,
    /// Number of its own group.
    pub(crate) group: u32,
    /// The comment field.
    pub(crate) comment: String,
}

/// True if this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Looks an account up, wherever the machine keeps its accounts.
pub(crate) fn account(name: &str) -> Result<Option<Account>, Trouble> {
    let Some(line) = getent("passwd", name)? else { return Ok(None) };
    let fields: Vec<&str> = line.trim_end().split(':').collect();
    match fields.as_slice() {
        [found, _, user, group, comment, ..] if *found == name => match (user.parse(), group.parse()) {
            (Ok(user), Ok(group)) => Ok(Some(Account { user, group, comment: (*comment).to_owned() })),
            _ => Err(unreadable("passwd", name)),
        },
        _ => Err(unreadable("passwd", name)),
    }
}

/// Looks a group's number up.
pub(crate) fn group(name: &str) -> Result<Option<u32>, Trouble> {
    let Some(line) = getent("group", name)? else { return Ok(None) };
    let mut fields = line.trim_end().split(':');
    match (fields.next(), fields.nth(1).map(str::parse)) {
        (Some(found), Some(Ok(group))) if found == name => Ok(Some(group)),
        _ => Err(unreadable("group", name)),
    }
}

fn getent(database: &str, name: &str) -> Result<Option<String>, Trouble> {
    let output = Command::new("getent").args([database, "--", name]).stdin(Stdio::null()).output();
    let output = output.map_err(Trouble::stream("running getent"))?;
    match output.status.code() {
        Some(0) => Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned())),
        Some(2) => Ok(None),
        _ => Err(unreadable(database, name)),
    }
}

fn unreadable(database: &str, name: &str) -> Trouble {
    Trouble::Machine { what: format!("getent {database} {name} gives no answer that can be read") }
}

/// Started as root, becomes the account that owns the histories by starting this program anew, with the same words; returns only as another
/// account, or with an error.
pub(crate) fn leave_root(settings: &Settings) -> Result<(), Failed> {
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
    let error = this_program().args(std::env::args_os().skip(1)).uid(owner.user).gid(owner.group).exec();
    Err(Failed::machine(format!("going on as account {}", settings.owner), error))
}

/// This very program, even if its file was replaced meanwhile.
pub(crate) fn this_program() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(crate::args::PROGRAM);
    command
}
