//! The single steps of making a host. Each looks first, and changes only what is not as it should be.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::{fs, io};

use durable::{Dir, Name};

use super::book::Book;
use super::readers::Readers;
use super::slots::Slots;
use super::steps::Receiver;
use crate::account::{Account, getent};
use crate::child;
use crate::trouble::Trouble;

/// The shell inside the jail: the receiver itself.
pub(super) const SHELL: &str = "/bin/receiver";
pub(super) const NO_SHELL: &str = "/usr/sbin/nologin";

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// At every byte.
    Bytes,
    /// At lengths and dates, where a file is long and there are many like it.
    Dates,
}

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A system group.
    Group {
        /// Its name.
        name: String,
    },
    /// The account that does the server's work.
    Owner {
        /// Its name.
        name: String,
    },
    /// The account of a host.
    HostAccount {
        /// Its name.
        name: String,
        /// Its jail.
        home: PathBuf,
        /// The program in the jail that a login starts.
        shell: &'static str,
        /// Whose it is.
        comment: String,
    },
    /// That an account is in a group beside its own.
    Member {
        /// Which account.
        account: String,
        /// Which group.
        group: String,
    },
    /// A folder with its owner.
    Folder {
        /// Where.
        path: PathBuf,
        /// Account and group by name; none is whoever runs this.
        owner: Option<(String, String)>,
        /// Permissions, exactly.
        mode: u32,
    },
    /// A file with exactly these bytes, mode 0644.
    File {
        /// Where.
        path: PathBuf,
        /// What.
        bytes: Vec<u8>,
        /// Number of the only account that may change it; none is whoever runs this.
        owner: Option<u32>,
    },
    /// The places for sessions that all jails share.
    Slots(Slots),
    /// Who may read the history of a host.
    Readers(Readers),
    /// The program of a jail, which only root may change.
    Receiver {
        /// Where.
        path: PathBuf,
        /// What.
        source: Rc<Receiver>,
    },
}

/// Permissions of files: keys and records are no secrets.
const FILE_MODE: u32 = 0o644;
/// Permissions of programs.
const PROGRAM_MODE: u32 = 0o755;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// It was as it should be.
    Already,
    /// It was not, and is now.
    Now,
}

impl Step {
    /// The step in words that fit after "make".
    pub(crate) fn describe(&self) -> String {
        match self {
            Step::Group { name } => format!("the group {name}"),
            Step::Owner { name } => format!("the account {name}"),
            Step::HostAccount { name, home, shell, .. } => {
                format!("the account {name} with the jail {} as its home and the shell {shell}", shown(home))
            }
            Step::Member { account, group } => format!("the account {account} a member of the group {group}"),
            Step::Folder { path, owner: Some((user, group)), mode } => {
                format!("the folder {} of {user}:{group}, mode {mode:04o}", shown(path))
            }
            Step::Folder { path, owner: None, mode } => {
                format!("the folder {}, mode {mode:04o}", shown(path))
            }
            Step::File { path, bytes, .. } => {
                format!("the file {} of {} bytes, mode {FILE_MODE:04o}", shown(path), bytes.len())
            }
            Step::Slots(slots) => slots.describe(),
            Step::Readers(readers) => readers.describe(),
            Step::Receiver { path, source } => {
                format!("the file {} of {} bytes, mode {PROGRAM_MODE:04o}", shown(path), source.bytes.len())
            }
        }
    }

    /// Whether there is nothing to do. Refuses what belongs to somebody else.
    pub(crate) fn is_done(&self, book: &Book, look: Look) -> Result<bool, Trouble> {
        match self {
            // One that came before may have the name, and its own group: nobody else becomes a member of that.
            Step::Group { name } if book.account(name)?.is_some_and(|one| is_hosts(&one)) => {
                let advice =
                    Some("give that account and its group another name (usermod, groupmod)".to_owned());
                let what = format!("the group {name} is that of a host's account, and not free for others");
                Err(Trouble::Usage { what, advice })
            }
            Step::Group { name } => Ok(book.group(name)?.is_some()),
            Step::Owner { name } => Ok(book.account(name)?.is_some()),
            Step::HostAccount { name, home, shell, comment } => {
                is_account(book, name, (home, shell), comment)
            }
            Step::Member { account, group } => is_member(account, group),
            Step::Folder { path, owner, mode } => is_folder(book, path, owner.as_ref(), *mode),
            Step::File { path, bytes, owner } => {
                let Some(meta) = facts(path)? else { return Ok(false) };
                let owned = owner.is_none_or(|owner| (meta.uid(), meta.gid()) == (owner, owner));
                Ok(owned && is_file(&meta, FILE_MODE, bytes) && holds(path, bytes)?)
            }
            Step::Slots(slots) => slots.are_there(),
            Step::Readers(readers) => readers.are_right(),
            Step::Receiver { path, source } => {
                let Some(meta) = facts(path)? else { return Ok(false) };
                let fits = meta.uid() == 0 && is_file(&meta, PROGRAM_MODE, &source.bytes);
                // A copy that is younger than the last change of what it was copied from.
                let younger = source.changed < (meta.ctime(), meta.ctime_nsec());
                Ok(fits && (look == Look::Dates && younger || holds(path, &source.bytes)?))
            }
        }
    }

    /// Does it, if it is not done.
    pub(crate) fn run(&self) -> Result<Done, Trouble> {
        let book = &Book::Machine;
        if self.is_done(book, Look::Bytes)? {
            return Ok(Done::Already);
        }
        match self {
            Step::Group { name } => command("groupadd", &["--system", name])?,
            Step::Owner { name } => useradd(name, Path::new("/"), NO_SHELL, "firn")?,
            Step::HostAccount { name, home, shell, comment } => match book.account(name)? {
                Some(_) => usermod(name, home, shell)?,
                None => useradd(name, home, shell, comment)?,
            },
            Step::Member { account, group } => command("usermod", &["--append", "--groups", group, account])?,
            Step::Folder { path, owner, mode } => make_folder(book, path, owner.as_ref(), *mode)?,
            Step::File { path, bytes, .. } => make_file(path, bytes, FILE_MODE)?,
            Step::Slots(slots) => slots.make()?,
            Step::Readers(readers) => readers.make()?,
            Step::Receiver { path, source } => make_file(path, &source.bytes, PROGRAM_MODE)?,
        }
        Ok(Done::Now)
    }
}

fn facts(path: &Path) -> Result<Option<fs::Metadata>, Trouble> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Trouble::stream(format!("looking at {}", shown(path)))(error)),
    }
}

fn is_file(meta: &fs::Metadata, mode: u32, bytes: &[u8]) -> bool {
    meta.is_file() && meta.mode() & 0o7777 == mode && meta.len() == bytes.len() as u64
}

fn holds(path: &Path, bytes: &[u8]) -> Result<bool, Trouble> {
    let read = fs::read(path).map_err(Trouble::stream(format!("reading {}", shown(path))))?;
    Ok(read == *bytes)
}

fn is_folder(book: &Book, path: &Path, owner: Option<&(String, String)>, mode: u32) -> Result<bool, Trouble> {
    let Some(meta) = facts(path)? else { return Ok(false) };
    if !meta.is_dir() {
        return Err(Trouble::Machine { what: format!("{} is no folder", shown(path)) });
    }
    let owned = match owner {
        Some(owner) => {
            // Before its account is made, a folder cannot be that account's.
            numbers(book, owner)?.is_some_and(|(user, group)| (meta.uid(), meta.gid()) == (user, group))
        }
        None => true,
    };
    Ok(owned && meta.mode() & 0o7777 == mode)
}

fn numbers(book: &Book, (user, group): &(String, String)) -> Result<Option<(u32, u32)>, Trouble> {
    Ok(book.account(user)?.map(|account| account.user).zip(book.group(group)?))
}

fn make_folder(book: &Book, path: &Path, owner: Option<&(String, String)>, mode: u32) -> Result<(), Trouble> {
    let at = || Trouble::folder(format!("making {}", shown(path)));
    let (parent, name) = split(path)?;
    let name = Name::new(name).map_err(at())?;
    let dir = Dir::open_root(parent).and_then(|parent| parent.make_dir_or_open(name, mode)).map_err(at())?;
    if let Some(owner) = owner {
        let (user, group) = numbers(book, owner)?
            .ok_or_else(|| Trouble::Machine { what: format!("there is no {}:{}", owner.0, owner.1) })?;
        let given = std::os::unix::fs::fchown(&dir, Some(user), Some(group));
        given.map_err(Trouble::stream(format!("giving {} to its owner", shown(path))))?;
    }
    // After the owner: a change of owner may take bits away.
    dir.set_mode(mode).map_err(at())
}

fn make_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Trouble> {
    let (parent, name) = split(path)?;
    let written = Dir::open_root(parent).and_then(|parent| parent.write_whole(Name::new(name)?, bytes, mode));
    written.map_err(Trouble::folder(format!("writing {}", shown(path))))?;
    let set = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set.map_err(Trouble::stream(format!("writing {}", shown(path))))
}

fn split(path: &Path) -> Result<(&Path, &[u8]), Trouble> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name.as_encoded_bytes())),
        _ => Err(Trouble::Machine { what: format!("{} has no name", shown(path)) }),
    }
}

/// Whether the account is there, and is at home in its jail. What no login of a host may be is refused: somebody made it so, and has to look at it.
fn is_account(book: &Book, name: &str, (home, shell): (&Path, &str), comment: &str) -> Result<bool, Trouble> {
    let group = book.group(name)?;
    let Some(found) = book.account(name)? else {
        return if group.is_some() { Err(taken("group", name)) } else { Ok(false) };
    };
    let refused = |what: String, advice: String| Err(Trouble::Usage { what, advice: Some(advice) });
    if found.comment != comment {
        return Err(taken("account", name));
    }
    if found.user == 0 {
        let advice = "whoever has its key is root here: remove its key file, then the account by hand";
        return refused(format!("the account {name} has number 0, which is root's"), advice.to_owned());
    }
    if group != Some(found.group) {
        let advice =
            format!("see `id {name}`, and make it so with groupadd and `usermod --gid {name} {name}`");
        return refused(format!("the account {name} is not in the group {name}, as it should be"), advice);
    }
    if found.shell == NO_SHELL {
        let advice = format!(
            "a retired id is never used again: give the machine another one. If it was not retired: `usermod --unlock --expiredate '' --shell {shell} {name}`"
        );
        return refused(format!("the account {name} is locked, as `host retire` leaves it"), advice);
    }
    Ok(Path::new(&found.home) == home && found.shell == shell)
}

/// The last field of a group are its further members.
fn is_member(account: &str, group: &str) -> Result<bool, Trouble> {
    let line = getent("group", &[group])?;
    let members = line.trim_end().rsplit(':').next().unwrap_or_default();
    Ok(members.split(',').any(|name| name == account))
}

/// Only what a login begins with: nothing of what lies there is moved.
fn usermod(name: &str, home: &Path, shell: &str) -> Result<(), Trouble> {
    command("usermod", &["--home", utf8(home)?, "--shell", shell, name])
}

fn utf8(path: &Path) -> Result<&str, Trouble> {
    path.to_str().ok_or_else(|| Trouble::Machine { what: format!("{} is not UTF-8", shown(path)) })
}

/// A password that nobody has; a locked account (`!`) would have its key refused.
fn useradd(name: &str, home: &Path, shell: &str, comment: &str) -> Result<(), Trouble> {
    let home = utf8(home)?;
    let kind = ["--system", "--user-group", "--no-create-home", "--password", "*"];
    let own = ["--home-dir", home, "--shell", shell, "--comment", comment, name];
    command("useradd", &[&kind[..], &own[..]].concat())
}

/// A program of the system that changes its accounts.
pub(super) fn command(program: &str, words: &[&str]) -> Result<(), Trouble> {
    let complaint = child::complaint(Command::new(program).args(words));
    let complaint = complaint.map_err(Trouble::stream(format!("running {program}")))?;
    if complaint.status.success() {
        return Ok(());
    }
    let said = cli::shown(complaint.text().trim_ascii().as_bytes());
    Err(Trouble::Machine { what: format!("{program} failed: {said}") })
}

fn taken(what: &str, name: &str) -> Trouble {
    Trouble::Usage {
        what: format!("there is a {what} {name} already, and it is not this host's"),
        advice: Some("choose another `account_prefix` in the settings".to_owned()),
    }
}

fn is_hosts(account: &Account) -> bool {
    account.comment.starts_with("firn host ")
}

fn shown(path: &Path) -> String {
    cli::shown(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "firn-web01";
    const HOME: &str = "/srv/firn/jails/web01";

    /// What a machine says that has the account, and a group of its name with number 990.
    fn book(account: Account) -> Book {
        let accounts = [(NAME.to_owned(), account)].into();
        Book::Read { accounts, groups: [(NAME.to_owned(), 990), ("users".to_owned(), 100)].into() }
    }

    fn made() -> Account {
        let [comment, home, shell] = ["firn host web01", HOME, SHELL].map(str::to_owned);
        Account { user: 990, group: 990, comment, home, shell }
    }

    fn is_done(account: Account) -> Result<bool, Trouble> {
        let step = Step::HostAccount {
            name: NAME.to_owned(),
            home: HOME.into(),
            shell: SHELL,
            comment: "firn host web01".to_owned(),
        };
        step.is_done(&book(account), Look::Dates)
    }

    #[test]
    fn an_account_with_another_home_or_shell_is_one_that_is_still_to_be_made() {
        assert!(is_done(made()).unwrap());
        for home in ["/", "/home/web01", "/srv/firn/jails/db1", ""] {
            assert!(!is_done(Account { home: home.to_owned(), ..made() }).unwrap(), "{home}");
        }
        for shell in ["/bin/sh", "/bin/false", ""] {
            assert!(!is_done(Account { shell: shell.to_owned(), ..made() }).unwrap(), "{shell}");
        }
    }

    #[test]
    fn an_account_that_is_roots_or_anothers_or_locked_is_refused_with_the_reason() {
        let bad = [
            (Account { user: 0, ..made() }, "root"),
            (Account { group: 100, ..made() }, "group"),
            (Account { group: 0, ..made() }, "group"),
            (Account { shell: NO_SHELL.to_owned(), ..made() }, "locked"),
            (Account { comment: "firn host db1".to_owned(), ..made() }, "not this host's"),
        ];
        for (account, says) in bad {
            let trouble = is_done(account.clone()).unwrap_err();
            assert!(trouble.to_string().contains(says), "{account:?}: {trouble}");
        }
    }

    #[test]
    fn the_group_of_a_hosts_account_is_not_free_for_others() {
        let group = Step::Group { name: NAME.to_owned() };
        assert!(group.is_done(&book(made()), Look::Dates).is_err());
        assert!(group.is_done(&book(Account { comment: String::new(), ..made() }), Look::Dates).unwrap());
    }
}
