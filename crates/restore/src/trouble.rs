//! Why one name was not restored, or not wholly.

use std::io;

use cli::Failed;
use rustix::io::Errno;

/// Why one name was not restored, or not wholly.
#[derive(Debug)]
pub enum Trouble {
    /// This machine, or this account, cannot have it so; or it was not asked for.
    LeftOut(String),
    /// What is held is not what the manifest says.
    Differs(&'static str),
    /// Nothing more can be restored at all.
    Fatal(Failed),
}

/// Said of the name at which everything ended.
pub(crate) const STOPPED: &str = "everything stopped here";

/// Errors that would meet every other name too.
const FATAL: [Errno; 7] =
    [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::IO, Errno::MFILE, Errno::NFILE, Errno::NOMEM];

impl Trouble {
    /// An error of the system, met while `doing`.
    pub fn of(doing: &str, error: impl Into<io::Error>) -> Trouble {
        let error = error.into();
        match is_fatal(error.raw_os_error()) {
            true => Trouble::Fatal(Failed::machine(doing, error)),
            false => Trouble::LeftOut(format!("{doing}: {error}")),
        }
    }

    /// What is there now is not what was made here.
    pub(crate) fn meddled() -> Trouble {
        Trouble::LeftOut("somebody else changed it while it was restored".to_owned())
    }
}

impl From<durable::Error> for Trouble {
    fn from(error: durable::Error) -> Trouble {
        let fatal = error.is_no_space() || is_fatal(error.raw_os_error());
        let text = io::Error::from(error);
        if fatal {
            Trouble::Fatal(Failed::machine("restoring", text))
        } else {
            Trouble::LeftOut(text.to_string())
        }
    }
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Trouble {
        Trouble::of("setting its metadata", io::Error::from(errno))
    }
}

fn is_fatal(errno: Option<i32>) -> bool {
    errno.is_some_and(|errno| FATAL.iter().any(|bad| bad.raw_os_error() == errno))
}
