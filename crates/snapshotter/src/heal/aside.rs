//! The folder `.rot`: files that are not what they should be, out of the trees, and one good file of each content that is given back.
//!
//! A good file lies here only while names are made of it. A rotten one stays until its content is healed: of a large file with one wrong bit, the
//! rest may be all that anybody has.

use std::collections::BTreeMap;

use durable::{Dir, Linked, Name, Stat};
use formats::ContentHash;
use history::{HostHistory, Rotten, layout};

use crate::ingest_host::copy::copy;
use crate::ingest_host::fault::Fault;
use crate::ingest_host::room::Room;
use crate::ingest_host::shelves::{Content, FILE_MODE};

const NEW: Name<'static> = Name::literal("new");
const COPY: Name<'static> = Name::literal("copy");
const GOOD: &str = ".good";
const ROTTEN: &str = ".rotten";
/// More than one for each inode of what the log can name.
const NAMES_MAX: usize = 10_000_000;

/// The content that a file should be, and its name.
pub(crate) type Kept = (ContentHash, Box<[u8]>);

/// The folder, open.
#[derive(Debug)]
pub(crate) struct Aside {
    dir: Dir,
}

/// Whether anything lies there: of what is open, or left by a run that was killed.
pub(crate) fn is_any(history: &HostHistory) -> durable::Result<bool> {
    match history.dir().open_dir(layout::ROT) {
        Err(error) if error.is_not_found() => Ok(false),
        dir => Ok(!dir?.names_at_most(NAMES_MAX)?.is_empty()),
    }
}

impl Aside {
    /// Opens it. What a killed run was about to make names of is gone then: who knows whether it is all on the disk.
    pub(crate) fn open(history: &HostHistory) -> Result<Self, Fault> {
        let aside = Self { dir: history.dir().make_dir_or_open(layout::ROT, 0o750)? };
        aside.forget_good()?;
        Ok(aside)
    }

    /// The file `name` of `folder` is good, and stands for this content from now on.
    pub(super) fn lend(
        &self,
        content: Content,
        folder: &Dir,
        name: Name<'_>,
        room: &Room<'_>,
    ) -> Result<(), Fault> {
        let good = good(content);
        match folder.link(name, &self.dir, Name::new(good.as_bytes())?) {
            Ok(Linked::Made) => Ok(()),
            Ok(Linked::Full) => self.copy(content, &folder.open_read(name)?, room),
            Err(error) if error.is_exists() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the content this name; what has it now is replaced in one step.
    pub(super) fn give(
        &self,
        content: Content,
        folder: &Dir,
        name: Name<'_>,
        room: &Room<'_>,
    ) -> Result<(), Fault> {
        let good = good(content);
        let good = Name::new(good.as_bytes())?;
        if self.dir.link(good, &self.dir, NEW)? == Linked::Full {
            // As many names as its inode can bear: a copy serves from now on.
            self.copy(content, &self.dir.open_read(good)?, room)?;
            let _ = self.dir.link(good, &self.dir, NEW)?;
        }
        Ok(self.dir.rename_over_later(NEW, folder, name)?)
    }

    /// Keeps the rotten inode that has this name, so that it can lose it.
    pub(super) fn keep(
        &self,
        content: Content,
        folder: &Dir,
        name: Name<'_>,
        stat: &Stat,
    ) -> Result<(), Fault> {
        let kept = format!("{}-{:x}{ROTTEN}", content.hash, stat.inode);
        let kept = Name::new(kept.as_bytes())?;
        match self.dir.stat(kept) {
            Ok(there) if there.is_same_file(stat) => return Ok(()),
            Ok(_) => self.dir.unlink(kept)?,
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        // Where it is full, it has names enough for one of the next ones to be kept.
        let _ = folder.link(name, &self.dir, kept)?;
        Ok(self.dir.sync()?)
    }

    /// The folder, to read in.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The files that were kept, and of what content each should be.
    pub(crate) fn kept(&self) -> Result<Vec<Kept>, Fault> {
        let names = self.dir.names_at_most(NAMES_MAX)?;
        let kept = names.into_iter().filter_map(|name| Some((rotten(&name)?, name.into_boxed_slice())));
        Ok(kept.collect())
    }

    /// What was lent is given back. Names made of it are on the disk.
    pub(super) fn forget_good(&self) -> Result<(), Fault> {
        for name in self.dir.names_at_most(NAMES_MAX)? {
            if !name.ends_with(ROTTEN.as_bytes()) {
                self.dir.unlink(Name::new(&name)?)?;
            }
        }
        Ok(())
    }

    /// Removes what was kept of contents that are not `open` any more; tells how many bytes of files that were.
    pub(super) fn forget_rotten(&self, open: &BTreeMap<ContentHash, Rotten>) -> Result<u64, Fault> {
        let mut freed_bytes = 0;
        for name in self.dir.names_at_most(NAMES_MAX)? {
            if !name.ends_with(ROTTEN.as_bytes())
                || rotten(&name).is_some_and(|hash| open.contains_key(&hash))
            {
                continue;
            }
            let name = Name::new(&name)?;
            let stat = self.dir.stat(name)?;
            self.dir.unlink(name)?;
            freed_bytes += if stat.links == 1 { stat.size } else { 0 };
        }
        self.dir.sync()?;
        Ok(freed_bytes)
    }

    fn copy(&self, content: Content, source: &std::fs::File, room: &Room<'_>) -> Result<(), Fault> {
        let target = self.dir.create_new(COPY, FILE_MODE)?;
        if copy(source, content.size, &target, room)? != content.hash {
            let error = std::io::Error::other("it does not have its hash");
            return Err(Fault::stream("copying a content that was just read")(error));
        }
        let good = good(content);
        Ok(self.dir.rename_over_later(COPY, &self.dir, Name::new(good.as_bytes())?)?)
    }
}

/// Of what content the file with this name was, if it is one that was kept.
fn rotten(name: &[u8]) -> Option<ContentHash> {
    let name = std::str::from_utf8(name).ok()?.strip_suffix(ROTTEN)?;
    name.split('-').next()?.parse().ok()
}

fn good(content: Content) -> String {
    format!("{}{GOOD}", content.hash)
}
