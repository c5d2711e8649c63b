//! The walk itself: a stack of held folders, each with the sorted names that are left.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use formats::RelPath;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::facts::{Facts, Freshness, Shift};
use super::level::Level;
use super::open::open_elsewhere;
use super::rules::Place;
use super::selection::{Branch, Choice, Selection};

/// A path that belongs to the push.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Where, below the host's `/`.
    pub path: &'a RelPath,
    /// The folder it is in.
    pub folder: &'a Arc<OwnedFd>,
    /// Its name there.
    pub name: &'a [u8],
    /// What was seen of it; of a folder that is open, what was seen of the open folder.
    pub facts: Facts,
    /// The folder itself, if it is one and could be opened.
    pub open: Option<&'a Arc<OwnedFd>>,
    /// What its device is told as.
    pub shift: Shift,
}

impl<'a> Found<'a> {
    /// The folder itself, if it is one and could be opened.
    pub fn opened(&self) -> Option<BorrowedFd<'a>> {
        self.open.map(|folder| folder.as_fd())
    }

    /// What is seen now of the file that was found, and is open.
    pub fn look(&self, file: impl AsFd) -> Result<Facts, Errno> {
        Facts::of_open(file).map(|facts| facts.shifted(self.shift))
    }

    /// What the name leads to now, which may be something else than what was found.
    pub fn look_again(&self) -> Result<Facts, Errno> {
        let facts = Facts::of_name(self.folder, self.name, Freshness::Cached);
        facts.map(|facts| facts.shifted(self.shift))
    }
}

/// Why a path, or what is below it, is not in the push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// It was listed, and gone when it was looked at: not an error.
    Vanished,
    /// Another file system is mounted there: not an error, as only its root, if named in the settings, would be pushed.
    OtherFileSystem,
    /// The settings leave it out, with all below it: not an error.
    Excluded(Excluded),
    /// A root that is not there.
    NoRoot,
    /// A root that is a symbolic link, or lies behind one: what it points to is not pushed.
    LinkedRoot,
    /// It cannot be named in a manifest: too long or too deep.
    Name,
    /// It changed its kind each time it was looked at.
    Unsteady,
    /// It could not be looked at or opened.
    Closed(Errno),
    /// It is a folder in the push, and its names could not be read.
    Unlisted(Errno),
}

/// What of the settings leaves a path out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excluded {
    /// It is named: `exclude`, or the client's own state.
    Named,
    /// The rule with this index.
    Rule(usize),
    /// The folder has a signed CACHEDIR.TAG; it and the tag are kept.
    Cache,
    /// The folder holds a name of `exclude_if_present`; it and that name are kept.
    Marked,
}

impl fmt::Display for Excluded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Excluded::Named => "excluded by name",
            Excluded::Rule(_) => "excluded by a rule",
            Excluded::Cache => "content excluded as a tagged cache",
            Excluded::Marked => "content excluded by a marker",
        })
    }
}

/// Who is told what the walk meets, in the order of manifests.
pub trait Visit {
    /// What ends the walk early.
    type Stop;

    /// A path that belongs to the push. A folder comes directly before all that it holds.
    fn found(&mut self, found: &Found<'_>) -> Result<(), Self::Stop>;

    /// Nothing has been met for a while.
    fn waiting(&mut self) -> Result<(), Self::Stop> {
        Ok(())
    }

    /// A path that belongs to the push, or all below it, that is not taken.
    fn missed(&mut self, path: &[u8], why: Missed) -> Result<(), Self::Stop>;
}

/// A folder to go into, as the settings see it.
pub(super) struct At<'s> {
    /// None for the host's `/`.
    pub(super) path: Option<RelPath>,
    pub(super) branch: Option<&'s Branch>,
    pub(super) choice: Choice,
    pub(super) place: Place,
    pub(super) ground: Ground,
}

/// Where paths of the push are read.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    /// The host's `/`.
    pub(super) top: Rc<OwnedFd>,
    pub(super) shift: Shift,
}

/// Walks what a [`Selection`] chooses.
#[derive(Debug)]
pub struct Walker<'s> {
    selection: &'s Selection,
    top: OwnedFd,
}

impl<'s> Walker<'s> {
    /// Over the host's own `/`.
    pub fn new(selection: &'s Selection) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(c"/", flags, Mode::empty()).map(|top| Self::beneath(selection, top))
    }

    /// Over `top` in place of the host's `/`.
    pub fn beneath(selection: &'s Selection, top: OwnedFd) -> Self {
        Self { selection, top }
    }

    /// Walks to the end, or until `visit` stops it.
    pub fn walk<V: Visit>(self, visit: &mut V) -> Result<(), V::Stop> {
        let mut stack: Vec<_> = self.enter(visit)?.into_iter().collect();
        while let Some(level) = stack.last_mut() {
            let Some(name) = level.next_name() else {
                stack.pop();
                continue;
            };
            if let Some(deeper) = level.step(&name, visit)? {
                stack.push(deeper);
            }
        }
        Ok(())
    }

    /// Into the host's `/`.
    pub(super) fn enter<V: Visit>(self, visit: &mut V) -> Result<Option<Level<'s>>, V::Stop> {
        let Self { selection, top } = self;
        let branch = selection.top();
        let choice = branch.choice(Choice::Leave);
        let mut ground = Ground { top: Rc::new(top), shift: Shift::default() };
        let opened = match branch.read_elsewhere() {
            Some(path) => open_elsewhere(&ground.top, path).and_then(|folder| {
                ground.shift = Shift::of(b"", &Facts::of_open(&folder)?);
                Ok(folder)
            }),
            None => ground.top.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        };
        let folder = match opened {
            Ok(folder) => Arc::new(folder),
            Err(errno) => return visit.missed(b"", Missed::Unlisted(errno)).map(|()| None),
        };
        let at = At { path: None, branch: Some(branch), choice, place: selection.rules.start(), ground };
        Level::enter(selection, folder, at, visit)
    }
}
