//! What the snapshotter has published for this jail, read again as often as asked, but not more often than it makes sense.

use std::io::Read;
use std::time::{Duration, Instant};

use durable::{Dir, Name};
use formats::limits::PUBLISHED_BYTES;
use formats::published::Published;
use formats::session::Code;
use rustix::io::Errno;

use crate::fault::{Result, Stop};

const BASE: Name<'static> = Name::literal("base");
const STEP: &str = "read the published state";

/// The shortest time between two looks: a host that asks faster gets what was seen last.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// The folder `state` of the jail, and what was last seen in it.
#[derive(Debug)]
pub(crate) struct State {
    dir: Dir,
    seen: Published,
    looked: Instant,
}

impl State {
    /// Reads the published state. A jail without one is not ready.
    pub(crate) fn open(dir: Dir) -> Result<Self> {
        let seen = read(&dir)?;
        Ok(Self { dir, seen, looked: Instant::now() })
    }

    /// The folder, to confine this process to it.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// What was seen last.
    pub(crate) fn seen(&self) -> &Published {
        &self.seen
    }

    /// Looks again, whenever that was last done.
    pub(crate) fn read_again(&mut self) -> Result<&Published> {
        self.seen = read(&self.dir)?;
        self.looked = Instant::now();
        Ok(&self.seen)
    }

    /// What is published, at most [`LOOK`] old.
    pub(crate) fn fresh(&mut self) -> Result<&Published> {
        if self.looked.elapsed() >= LOOK { self.read_again() } else { Ok(&self.seen) }
    }
}

fn read(dir: &Dir) -> Result<Published> {
    let file = match dir.open_read(BASE) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Err(Stop::refused(Code::NotReady)),
        Err(error) => return Err(Stop::at(STEP)(error)),
    };
    let mut bytes = Vec::new();
    file.take(PUBLISHED_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(Stop::at(STEP))?;
    Published::decode(&bytes).map_err(|_| Stop::at(STEP)(Errno::BADMSG))
}
