//! The single steps of making a host. Each looks first, and changes only what is not as it should be.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use durable::{Dir, Name};

use crate::account::{account, group};
use crate::trouble::Trouble;

/// The shell inside the jail: the receiver itself.
const SHELL: &str = "/bin/receiver";
const NO_SHELL: &str = "/usr/sbin/nologin";

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
        /// Whose it is.
        comment: String,
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
    /// A file with exactly these bytes, which only root may change.
    File {
        /// Where.
        path: PathBuf,
        /// What.
        bytes: Vec<u8>,
        /// Permissions, exactly.
        mode: u32,
    },
}

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
            Step::HostAccount { name, home, .. } => {
                format!("the account {name} with the jail {}", shown(home))
            }
            Step::Folder { path, owner: Some((user, group)), mode } => {
                format!("the folder {} of {user}:{group}, mode {mode:04o}", shown(path))
            }
            Step::Folder { path, owner: None, mode } => {
                format!("the folder {}, mode {mode:04o}", shown(path))
            }
            Step::File { path, bytes, mode } => {
                format!("the file {} of {} bytes, mode {mode:04o}", shown(path), bytes.len())
            }
        }
    }

    /// Whether there is anything to do. Refuses what belongs to somebody else.
    pub(crate) fn is_done(&self) -> Result<bool, Trouble> {
        match self {
            Step::Group { name } => Ok(group(name)?.is_some()),
            Step::Owner { name } => Ok(account(name)?.is_some()),
            Step::HostAccount { name, comment, .. } => match account(name)? {
                Some(found) if found.comment == *comment => Ok(true),
                Some(_) => Err(taken("account", name)),
                None if group(name)?.is_some() => Err(taken("group", name)),
                None => Ok(false),
            },
            Step::Folder { path, owner, mode } => is_folder(path, owner.as_ref(), *mode),
            Step::File { path, bytes, mode } => match fs::symlink_metadata(path) {
                Ok(meta) => {
                    let fits =
                        meta.is_file() && meta.mode() & 0o7777 == *mode && meta.len() == bytes.len() as u64;
                    Ok(fits
                        && fs::read(path).map_err(Trouble::stream(format!("reading {}", shown(path))))?
                            == *bytes)
                }
                Err(error) => missing(error, path),
            },
        }
    }

    /// Does it, if it is not done.
    pub(crate) fn run(&self) -> Result<Done, Trouble> {
        if self.is_done()? {
            return Ok(Done::Already);
        }
        match self {
            Step::Group { name } => command("groupadd", &["--system", name])?,
            Step::Owner { name } => useradd(name, Path::new("/"), NO_SHELL, "firn")?,
            Step::HostAccount { name, home, comment } => useradd(name, home, SHELL, comment)?,
            Step::Folder { path, owner, mode } => make_folder(path, owner.as_ref(), *mode)?,
            Step::File { path, bytes, mode } => make_file(path, bytes, *mode)?,
        }
        Ok(Done::Now)
    }
}

fn is_folder(path: &Path, owner: Option<&(String, String)>, mode: u32) -> Result<bool, Trouble> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) => return missing(error, path),
    };
    if !meta.is_dir() {
        return Err(Trouble::Machine { what: format!("{} is no folder", shown(path)) });
    }
    let owned = match owner {
        Some(owner) => {
            // Before its account is made, a folder cannot be that account's.
            numbers(owner)?.is_some_and(|(user, group)| (meta.uid(), meta.gid()) == (user, group))
        }
        None => true,
    };
    Ok(owned && meta.mode() & 0o7777 == mode)
}

fn numbers((user, of_group): &(String, String)) -> Result<Option<(u32, u32)>, Trouble> {
    Ok(account(user)?.map(|account| account.user).zip(group(of_group)?))
}

fn make_folder(path: &Path, owner: Option<&(String, String)>, mode: u32) -> Result<(), Trouble> {
    let at = || Trouble::folder(format!("making {}", shown(path)));
    let (parent, name) = split(path)?;
    let name = Name::new(name).map_err(at())?;
    let dir = Dir::open_root(parent).and_then(|parent| parent.make_dir_or_open(name, mode)).map_err(at())?;
    if let Some(owner) = owner {
        let (user, group) = numbers(owner)?
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

/// A password that nobody has; a locked account (`!`) would have its key refused.
fn useradd(name: &str, home: &Path, shell: &str, comment: &str) -> Result<(), Trouble> {
    let home =
        home.to_str().ok_or_else(|| Trouble::Machine { what: format!("{} is not UTF-8", shown(home)) })?;
    let kind = ["--system", "--user-group", "--no-create-home", "--password", "*"];
    let own = ["--home-dir", home, "--shell", shell, "--comment", comment, name];
    command("useradd", &[&kind[..], &own[..]].concat())
}

fn command(program: &str, words: &[&str]) -> Result<(), Trouble> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.map_err(Trouble::stream(format!("running {program}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = cli::shown(output.stderr.trim_ascii());
    Err(Trouble::Machine { what: format!("{program} failed: {said}") })
}

fn missing(error: io::Error, path: &Path) -> Result<bool, Trouble> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(false),
        _ => Err(Trouble::stream(format!("looking at {}", shown(path)))(error)),
    }
}

fn taken(what: &str, name: &str) -> Trouble {
    Trouble::Usage {
        what: format!("there is a {what} {name} already, and it is not this host's"),
        advice: Some("choose another `account_prefix` in the settings".to_owned()),
    }
}

fn shown(path: &Path) -> String {
    cli::shown(path.as_os_str().as_encoded_bytes())
}
