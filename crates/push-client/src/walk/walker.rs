//! The walk itself: a stack of held folders, each with the sorted names that are left.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use formats::RelPath;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use walkdir::WalkDir;

use super::facts::{Facts, FileKind, Freshness};
use super::open::{Mounts, open_folder};
use super::selection::{Branch, Choice, Selection};

/// A name that is replaced by another kind each time it is looked at is given up after this many looks.
const LOOKS_MAX: u32 = 4;

/// A path that belongs to the push.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Where, below the host's `/`.
    pub path: &'a RelPath,
    /// The folder it is in.
    pub folder: BorrowedFd<'a>,
    /// Its name there.
    pub name: &'a [u8],
    /// What was seen of it; of a folder that is open, what was seen of the open folder.
    pub facts: Facts,
    /// The folder itself, if it is one and could be opened.
    pub open: Option<BorrowedFd<'a>>,
}

/// Why a path, or what is below it, is not in the push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// It was listed, and gone when it was looked at: not an error.
    Vanished,
    /// Another file system is mounted there: not an error, as only its root, if named in the settings, would be pushed.
    OtherFileSystem,
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

/// Who is told what the walk meets, in the order of manifests.
pub trait Visit {
    /// What ends the walk early.
    type Stop;

    /// A path that belongs to the push. A folder comes directly before all that it holds.
    fn found(&mut self, found: &Found<'_>) -> Result<(), Self::Stop>;

    /// A path that belongs to the push, or all below it, that is not taken.
    fn missed(&mut self, path: &[u8], why: Missed) -> Result<(), Self::Stop>;
}

/// Walks what a [`Selection`] chooses.
#[derive(Debug)]
pub struct Walker<'s> {
    selection: &'s Selection,
    top: OwnedFd,
}

struct Level<'s> {
    folder: OwnedFd,
    /// None for the host's `/`.
    path: Option<RelPath>,
    names: std::vec::IntoIter<Vec<u8>>,
    branch: Option<&'s Branch>,
    choice: Choice,
    device: u64,
    is_local: bool,
}

/// One name of a level.
struct Step<'a, 's> {
    path: &'a RelPath,
    name: &'a [u8],
    branch: Option<&'s Branch>,
    choice: Choice,
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
        let Self { selection, top } = self;
        let branch = selection.top();
        let choice = branch.choice(Choice::Leave);
        let mut stack: Vec<_> = Level::enter(top, None, Some(branch), choice, visit)?.into_iter().collect();
        while let Some(level) = stack.last_mut() {
            let Some(name) = level.names.next() else {
                stack.pop();
                continue;
            };
            if let Some(deeper) = level.step(&name, visit)? {
                stack.push(deeper);
            }
        }
        Ok(())
    }
}

impl<'s> Level<'s> {
    /// Lists a folder, and goes into it.
    fn enter<V: Visit>(
        folder: OwnedFd,
        path: Option<RelPath>,
        branch: Option<&'s Branch>,
        choice: Choice,
        visit: &mut V,
    ) -> Result<Option<Self>, V::Stop> {
        match names(&folder, branch, choice) {
            Ok((names, device, is_local)) => {
                let names = names.into_iter();
                Ok(Some(Level { folder, path, names, branch, choice, device, is_local }))
            }
            Err(errno) => {
                let path = path.as_ref().map_or(b"".as_slice(), RelPath::as_bytes);
                visit.missed(path, Missed::Unlisted(errno)).map(|()| None)
            }
        }
    }

    /// Takes one name; a folder to go into comes back.
    fn step<V: Visit>(&self, name: &[u8], visit: &mut V) -> Result<Option<Level<'s>>, V::Stop> {
        let branch = self.branch.and_then(|branch| branch.child(name));
        let choice = branch.map_or(self.choice, |branch| branch.choice(self.choice));
        // Without a name of its own in the settings, a path below what is only passed through is left.
        if choice == Choice::Leave || (choice == Choice::Pass && branch.is_none()) {
            return Ok(None);
        }
        let path = match &self.path {
            Some(path) => path.join(name),
            None => RelPath::new(name),
        };
        let Ok(path) = path else {
            let above = self.path.as_ref().map_or(b"".as_slice(), RelPath::as_bytes);
            let shown = [above, b"/", name].concat();
            return visit.missed(&shown, Missed::Name).map(|()| None);
        };
        let step = Step { path: &path, name, branch, choice };
        for _ in 0..LOOKS_MAX {
            match self.look(&step, visit)? {
                Look::Done => return Ok(None),
                Look::Enter(level) => return Ok(Some(*level)),
                Look::Again => {}
            }
        }
        visit.missed(path.as_bytes(), Missed::Unsteady).map(|()| None)
    }

    fn look<V: Visit>(&self, step: &Step<'_, 's>, visit: &mut V) -> Result<Look<'s>, V::Stop> {
        let path = step.path.as_bytes();
        let facts = match self.facts(step) {
            Ok(facts) => facts,
            Err(errno) => return visit.missed(path, step.absent(errno)).map(|()| Look::Done),
        };
        if facts.kind == FileKind::Folder {
            return self.look_into(step, facts, visit);
        }
        if self.is_elsewhere(step, &facts) {
            return visit.missed(path, Missed::OtherFileSystem).map(|()| Look::Done);
        }
        let linked = facts.kind == FileKind::Symlink;
        if step.choice == Choice::Pass {
            let why = if linked { Missed::LinkedRoot } else { Missed::NoRoot };
            return visit.missed(path, why).map(|()| Look::Done);
        }
        visit.found(&self.found(step, facts))?;
        if linked && (step.is_root() || step.leads_on()) {
            visit.missed(path, Missed::LinkedRoot)?;
        }
        Ok(Look::Done)
    }

    /// The first look asks no server, so that a mount whose server is gone is passed by instead of waited for.
    fn facts(&self, step: &Step<'_, 's>) -> Result<Facts, Errno> {
        let facts = Facts::of_name(&self.folder, step.name, Freshness::Cached)?;
        if self.is_local || self.is_elsewhere(step, &facts) {
            return Ok(facts);
        }
        Facts::of_name(&self.folder, step.name, Freshness::Asked)
    }

    fn found<'a>(&'a self, step: &Step<'a, '_>, facts: Facts) -> Found<'a> {
        Found { path: step.path, folder: self.folder.as_fd(), name: step.name, facts, open: None }
    }

    fn look_into<V: Visit>(
        &self,
        step: &Step<'_, 's>,
        facts: Facts,
        visit: &mut V,
    ) -> Result<Look<'s>, V::Stop> {
        let elsewhere = self.is_elsewhere(step, &facts);
        if elsewhere && !step.leads_on() {
            return self.keep_closed(step, facts, Missed::OtherFileSystem, visit);
        }
        let mounts = if step.may_cross() { Mounts::Cross } else { Mounts::Stay };
        let folder = match open_folder(&self.folder, step.name, &facts, mounts) {
            Ok(folder) => folder,
            Err(Errno::XDEV) => return self.keep_closed(step, facts, Missed::OtherFileSystem, visit),
            Err(Errno::NOENT) => {
                return visit.missed(step.path.as_bytes(), step.absent(Errno::NOENT)).map(|()| Look::Done);
            }
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Look::Again),
            Err(errno) => return self.keep_closed(step, facts, Missed::Unlisted(errno), visit),
        };
        // What was opened counts, whatever was seen before.
        let facts = match Facts::of_open(&folder) {
            Ok(facts) => facts,
            Err(errno) => {
                return visit.missed(step.path.as_bytes(), Missed::Closed(errno)).map(|()| Look::Done);
            }
        };
        visit.found(&Found { open: Some(folder.as_fd()), ..self.found(step, facts) })?;
        // A mount point on the way to a root: of the other file system only that root is taken.
        let choice = if elsewhere { Choice::Pass } else { step.choice };
        let level = Level::enter(folder, Some(step.path.clone()), step.branch, choice, visit)?;
        Ok(level.map_or(Look::Done, |level| Look::Enter(Box::new(level))))
    }

    /// The folder itself is kept, and nothing of what it holds.
    fn keep_closed<V: Visit>(
        &self,
        step: &Step<'_, 's>,
        facts: Facts,
        why: Missed,
        visit: &mut V,
    ) -> Result<Look<'s>, V::Stop> {
        visit.found(&self.found(step, facts))?;
        visit.missed(step.path.as_bytes(), why).map(|()| Look::Done)
    }

    /// The name leads to another file system, which is not pushed unless it is a root.
    fn is_elsewhere(&self, step: &Step<'_, '_>, facts: &Facts) -> bool {
        self.choice == Choice::Take
            && !step.is_root()
            && (facts.is_mount || facts.stamp.device != self.device)
    }
}

enum Look<'s> {
    Done,
    Enter(Box<Level<'s>>),
    Again,
}

impl Step<'_, '_> {
    fn is_root(&self) -> bool {
        self.branch.is_some_and(Branch::is_root)
    }

    /// A root lies further down.
    fn leads_on(&self) -> bool {
        self.branch.is_some_and(|branch| branch.names().any(|(_, below)| below.leads_to_root()))
    }

    fn may_cross(&self) -> bool {
        self.is_root() || self.leads_on() || self.choice == Choice::Pass
    }

    fn absent(&self, errno: Errno) -> Missed {
        match errno {
            Errno::NOENT if self.is_root() || self.leads_on() => Missed::NoRoot,
            Errno::NOENT => Missed::Vanished,
            errno => Missed::Closed(errno),
        }
    }
}

/// What is to be looked at in a folder, its device, and whether that is a disk of this machine.
fn names(
    folder: &OwnedFd,
    branch: Option<&Branch>,
    choice: Choice,
) -> Result<(Vec<Vec<u8>>, u64, bool), Errno> {
    let named = branch.into_iter().flat_map(Branch::names);
    let roots = named.filter(|(_, below)| below.leads_to_root()).map(|(name, _)| name.clone());
    let device = Facts::of_open(folder)?.stamp.device;
    let is_local = is_local(folder)?;
    if choice != Choice::Take {
        return Ok((roots.collect(), device, is_local));
    }
    let mut names = list(folder)?;
    // A root that is not there is looked for all the same, and named.
    let missing: Vec<_> = roots.filter(|name| names.binary_search(name).is_err()).collect();
    if !missing.is_empty() {
        names.extend(missing);
        names.sort_unstable();
    }
    Ok((names, device, is_local))
}

/// File systems whose facts are always in this machine, so that asking twice would tell nothing new.
fn is_local(folder: &OwnedFd) -> Result<bool, Errno> {
    const EXT: u32 = 0xef53;
    const XFS: u32 = 0x5846_5342;
    const BTRFS: u32 = 0x9123_683e;
    const F2FS: u32 = 0xf2f5_2010;
    const TMPFS: u32 = 0x0102_1994;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a magic number of 32 bits")]
    let kind = rustix::fs::fstatfs(folder)?.f_type as u32;
    Ok([EXT, XFS, BTRFS, F2FS, TMPFS].contains(&kind))
}

/// The names in a held folder, sorted by bytes.
fn list(folder: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    let held = format!("/proc/self/fd/{}", folder.as_raw_fd());
    let mut names = Vec::new();
    for entry in WalkDir::new(held).min_depth(1).max_depth(1).sort_by_file_name() {
        match entry {
            Ok(entry) => names.push(file_name(entry.path().as_os_str())),
            Err(error) => {
                let code = error.io_error().and_then(std::io::Error::raw_os_error);
                return Err(code.map_or(Errno::IO, Errno::from_raw_os_error));
            }
        }
    }
    Ok(names)
}

fn file_name(path: &OsStr) -> Vec<u8> {
    let bytes = path.as_bytes();
    let start = bytes.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    OsStr::from_bytes(bytes.get(start..).unwrap_or_default()).to_owned().into_vec()
}
