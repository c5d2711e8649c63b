//! Trying what must be refused, as the account that must be refused: a child gives root up for good, in the host's jail or outside of it, and
//! says what each attempt came to. Nothing is written: whether a folder could be written to is asked of the kernel.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use cli::{Exit, Failed};
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, open};
use rustix::process::{Gid, Uid};
use serde::{Deserialize, Serialize};

use super::command::run_with;
use crate::account::this_program;
use crate::trouble::Trouble;

/// The hidden verb of the child.
pub(crate) const VERB: &str = "audit-attempts";
/// Most attempts of one child.
pub(super) const ATTEMPTS_MAX: usize = 4096;
/// Longest order.
const ORDER_BYTES_MAX: u64 = 4 << 20;
/// Longest time a child may take.
const SECONDS_MAX: u64 = 60;

/// An account as a session of it would be: its numbers and all its groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) groups: Vec<u32>,
}

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum How {
    /// The names in a folder.
    List,
    /// The bytes of a file.
    Read,
    /// Whether it could be written to, or names made and removed in it.
    Write,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) how: How,
    pub(super) path: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Came {
    /// It was done.
    Done,
    /// It is not permitted.
    Refused,
    /// There is no such thing.
    Absent,
    /// Anything else, which proves nothing.
    Unclear,
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    identity: Identity,
    jail: Option<PathBuf>,
    attempts: Vec<Attempt>,
}

impl Attempt {
    pub(super) fn new(how: How, path: impl Into<PathBuf>) -> Self {
        Self { how, path: path.into() }
    }

    /// In words that fit after an account: `lists /srv`.
    pub(super) fn words(&self) -> String {
        let verb = match self.how {
            How::List => "list",
            How::Read => "read",
            How::Write => "write to",
        };
        format!("{verb} {}", super::shown(&self.path))
    }
}

/// Lets a child try, one answer for each attempt in order. Under `jail`, paths are those in there.
pub(super) fn attempts(
    identity: &Identity,
    jail: Option<&Path>,
    attempts: Vec<Attempt>,
) -> Result<Vec<Came>, Trouble> {
    let wrong = |what: String| Trouble::Machine { what };
    let count = attempts.len();
    let order = Order { identity: identity.clone(), jail: jail.map(Path::to_owned), attempts };
    let order = serde_json::to_vec(&order).map_err(|error| wrong(error.to_string()))?;
    let ran = run_with(this_program().arg(VERB), order, SECONDS_MAX);
    let ran = ran.map_err(Trouble::stream("starting a process that tries what must be refused"))?;
    let came: Vec<Came> = match ran.code {
        Some(0) => serde_json::from_slice(&ran.out).map_err(|error| wrong(error.to_string()))?,
        _ => {
            return Err(wrong(format!("the process that tries what must be refused failed: {}", ran.said())));
        }
    };
    if came.len() == count { Ok(came) } else { Err(wrong("not every attempt was made".to_owned())) }
}

/// The child: one order in, answers out.
pub(crate) fn child() -> Result<Exit, Failed> {
    let machine = |doing: &str, error: std::io::Error| Failed::machine(doing.to_owned(), error);
    let mut order = Vec::new();
    let read = std::io::stdin().lock().take(ORDER_BYTES_MAX).read_to_end(&mut order);
    read.map_err(|error| machine("reading what to try", error))?;
    let order: Order =
        serde_json::from_slice(&order).map_err(|error| machine("reading what to try", error.into()))?;
    if let Some(jail) = &order.jail {
        let entered = rustix::process::chroot(jail).and_then(|()| rustix::process::chdir("/"));
        entered.map_err(|errno| machine("entering the jail", errno.into()))?;
    }
    become_it(&order.identity).map_err(|error| machine("becoming the account", error))?;
    let came: Vec<Came> = order.attempts.iter().take(ATTEMPTS_MAX).map(one).collect();
    let answer = serde_json::to_vec(&came).map_err(|error| machine("answering", error.into()))?;
    std::io::stdout().lock().write_all(&answer).map_err(|error| machine("answering", error))?;
    Ok(Exit::WHOLE)
}

/// This process has one thread, so what changes for the thread changes for the process.
fn become_it(identity: &Identity) -> std::io::Result<()> {
    let groups: Vec<Gid> = identity.groups.iter().map(|group| Gid::from_raw(*group)).collect();
    let (user, group) = (Uid::from_raw(identity.user), Gid::from_raw(identity.group));
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)?;
    let left = rustix::thread::capabilities(None)?;
    // An attempt that root makes proves nothing.
    if user.is_root() || rustix::process::geteuid() != user || !left.effective.is_empty() {
        return Err(std::io::Error::other("some of root's power is left"));
    }
    Ok(())
}

fn one(attempt: &Attempt) -> Came {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let answer = match attempt.how {
        How::List => std::fs::read_dir(&attempt.path).map(drop),
        How::Read => open(&attempt.path, flags, Mode::empty()).map(drop).map_err(Into::into),
        How::Write => accessat(CWD, &attempt.path, Access::WRITE_OK, AtFlags::EACCESS).map_err(Into::into),
    };
    match answer {
        Ok(()) => Came::Done,
        Err(error) => match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => Came::Refused,
            std::io::ErrorKind::NotFound => Came::Absent,
            _ => Came::Unclear,
        },
    }
}
