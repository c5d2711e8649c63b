//! Writing a snapshot into a folder.
//!
//! The manifest says what is made; the image only gives contents, and each is hashed while it is written, before its file gets its name. Every
//! name is made in a held folder ([`ground`]), as something new, so nothing that is there is followed or replaced. Owners, modes, attributes and
//! times ([`meta`]) are set through the open file; those of folders after all that is in them, deepest first; inode flags ([`flags`]) last of all.

mod file;
mod flags;
mod folders;
pub(crate) mod ground;
mod leaders;
mod meta;
mod special;

use std::io;

use cli::{Failed, Run, Task};
use durable::{Linked, Name};
use formats::{Body, Entry, Kind, Node, RelPath};

use crate::differences::Differences;
use crate::image::hold::{holds, is_same};
use crate::image::{ImageReader, Kind as SeenKind, Manifest};
use crate::pairs::{Pair, Pairs};
use crate::select::Selection;

pub(crate) use ground::Ground;
pub(crate) use leaders::Leaders;

/// What was restored.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) files: u64,
    pub(crate) folders: u64,
    pub(crate) symlinks: u64,
    pub(crate) links: u64,
    pub(crate) specials: u64,
    pub(crate) bytes: u64,
}

/// Why one name was not restored, or not wholly.
pub(crate) enum Trouble {
    /// This machine, or this account, cannot have it so.
    LeftOut(String),
    /// The image is not what the manifest says.
    Differs(&'static str),
    /// Nothing more can be restored at all.
    Fatal(Failed),
}

/// Restores one snapshot, or a part of it.
pub(crate) struct Place<'a> {
    pub(crate) ground: Ground,
    pub(crate) leaders: Leaders,
    pub(crate) selection: Selection,
    pub(crate) run: &'a mut Run,
    pub(crate) differences: Differences,
    pub(crate) counts: Counts,
    /// Names whose owner could not be set.
    pub(crate) owners: u64,
}

impl Place<'_> {
    /// Makes everything that is asked for. The image must stand before the first name of the snapshot.
    pub(crate) fn all(
        &mut self,
        manifest: &Manifest,
        image: &mut ImageReader,
        task: &Task,
    ) -> Result<(), Failed> {
        let mut pairs = Pairs::begin(manifest, self.selection.clone())?;
        while let Some(pair) = pairs.next(image)? {
            let (path, outcome) = match pair {
                Pair::Both(entry, seen) => {
                    let outcome = self.one(&entry, Some(&seen.kind), image, task);
                    (entry.path, outcome)
                }
                Pair::Missing(entry) => {
                    let outcome = self.one(&entry, None, image, task);
                    (entry.path, outcome)
                }
                Pair::Unknown(path) => {
                    (path, Err(Trouble::Differs("it is in the image, but not in the manifest")))
                }
            };
            if let Err(trouble) = outcome {
                self.note(&path, trouble)?;
            }
        }
        self.settle_folders(manifest)?;
        if self.owners > 0 {
            let why = format!(
                "the owners of {} names were not restored: only root can do that, and not on every file system",
                self.owners
            );
            self.run.leave_out(self.ground.name(), &why);
        }
        self.settle_flags(manifest)?;
        self.ground.sync()
    }

    fn note(&mut self, path: &RelPath, trouble: Trouble) -> Result<(), Failed> {
        match trouble {
            Trouble::LeftOut(why) => self.run.leave_out(path.as_bytes(), &why),
            Trouble::Differs(what) => {
                self.differences.add(path.as_bytes(), what);
                self.run.leave_out(path.as_bytes(), what);
            }
            Trouble::Fatal(failed) => return Err(failed),
        }
        Ok(())
    }

    fn one(
        &mut self,
        entry: &Entry,
        seen: Option<&SeenKind>,
        image: &mut ImageReader,
        task: &Task,
    ) -> Result<(), Trouble> {
        let node = match &entry.body {
            Body::Node(node) => node.clone(),
            Body::Link(first) => {
                if self.link(first, &entry.path)? {
                    self.counts.links += 1;
                    return Ok(());
                }
                // The first member is not there, or can take no more names: this one becomes a file of its own.
                self.leaders.node(first).cloned().ok_or(Trouble::Differs("it links to nothing"))?
            }
        };
        self.node(&entry.path, &node, seen, image, task)?;
        if node.meta.links > 1 {
            self.leaders.placed(entry);
        }
        Ok(())
    }

    /// Gives the first member of a group another name; false if there is no first member to be had.
    fn link(&mut self, first: &RelPath, path: &RelPath) -> Result<bool, Trouble> {
        let Some(at) = self.leaders.at(first).cloned() else { return Ok(false) };
        let from = self.ground.folder_of(&at)?;
        let to = self.ground.folder_of(path)?;
        let why = match from.link(Name::new(at.file_name())?, &to, Name::new(path.file_name())?) {
            Ok(Linked::Made) => return Ok(true),
            Ok(Linked::Full) => "its hard link was split: the file has too many names",
            Err(error) if has_no_links(error.raw_os_error()) => {
                "its hard link was split: this file system gives no file a second name"
            }
            Err(error) => return Err(error.into()),
        };
        self.run.leave_out(path.as_bytes(), why);
        Ok(false)
    }

    fn node(
        &mut self,
        path: &RelPath,
        node: &Node,
        seen: Option<&SeenKind>,
        image: &mut ImageReader,
        task: &Task,
    ) -> Result<(), Trouble> {
        match &node.kind {
            Kind::File { size, content } => self.file(path, node, (*size, content), seen, image, task),
            Kind::Folder => {
                let folder = self.ground.folder_of(path)?;
                folder.make_dir(Name::new(path.file_name())?, 0o700)?;
                self.counts.folders += 1;
                expect(&node.kind, seen)
            }
            Kind::Socket => {
                Err(Trouble::LeftOut("sockets are made by their programs, not restored".to_owned()))
            }
            Kind::Symlink { .. } | Kind::Fifo | Kind::CharDevice { .. } | Kind::BlockDevice { .. } => {
                self.special(path, node, seen)
            }
        }
    }
}

/// What is not in the image as it should be is said, even where the manifest was enough to make it.
fn expect(kind: &Kind, seen: Option<&SeenKind>) -> Result<(), Trouble> {
    match seen {
        Some(seen) if is_same(kind, seen) => Ok(()),
        Some(_) => Err(Trouble::Differs("it is of another kind, size, target or number in the image")),
        None if holds(kind) => Err(Trouble::Differs("it is missing in the image")),
        None => Ok(()),
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

impl Trouble {
    /// An error of the system, met while `doing`.
    pub(crate) fn of(doing: &str, error: impl Into<io::Error>) -> Trouble {
        let error = error.into();
        match is_fatal(error.raw_os_error()) {
            true => Trouble::Fatal(Failed::machine(doing, error)),
            false => Trouble::LeftOut(format!("{doing}: {error}")),
        }
    }
}

/// What file systems without hard links answer.
fn has_no_links(errno: Option<i32>) -> bool {
    use rustix::io::Errno;
    let answers = [Errno::PERM, Errno::NOSYS, Errno::OPNOTSUPP, Errno::INVAL];
    errno.is_some_and(|errno| answers.iter().any(|answer| answer.raw_os_error() == errno))
}

/// Errors that would meet every other name too.
fn is_fatal(errno: Option<i32>) -> bool {
    use rustix::io::Errno;
    let fatal =
        [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::IO, Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    errno.is_some_and(|errno| fatal.iter().any(|bad| bad.raw_os_error() == errno))
}
