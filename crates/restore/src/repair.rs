//! Setting the metadata of what somebody has copied by hand: `cp` brings contents out of a history and nothing else.
//!
//! Nothing is made and no content changed. A file gets its metadata only if its content is the one that the manifest describes, through the very
//! descriptor that was read, and only if it has one name, or all its names are names of one group in this copy: else the metadata of something outside
//! would change, such as of the history itself after `cp -l`. How many names the host says there are counts for nothing.
//!
//! What lends power is never set: whoever could write to the copy before may still hold it open, and would have a set-id program to write to.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cli::{Failed, Run, Task};
use durable::{Dir, FileKind, Name, Stat};
use formats::{Body, Entry, Kind, Node, RelPath, Tag};
use rustix::io::Errno;

use crate::ground::GroundError;
use crate::leaders::first;
use crate::meta::{Handle, Owned};
use crate::trouble::STOPPED;
use crate::{Leaders, Powers, Selection, Survey, Trouble, flags, special};

const BUFFER_BYTES: usize = 1 << 20;

/// What a repair came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Repaired {
    /// Names whose metadata was set.
    pub repaired: u64,
    /// Names that are not there; what a missing folder held is not counted.
    pub missing: u64,
    /// Names with another content, or of another kind.
    pub differing: u64,
}

/// A folder whose turn comes after all that is in it.
struct Open {
    path: RelPath,
    node: Node,
    inode: u64,
}

/// What has several names.
struct Shared {
    /// The first member of its group in the manifest.
    first: RelPath,
    /// Those of its names that belong to that group.
    names: Vec<RelPath>,
}

/// Repairs one copy: every entry in the order of the manifest, then [`Repair::finish`].
pub struct Repair<'a> {
    copy: Dir,
    name: Vec<u8>,
    leaders: Leaders,
    selection: Selection,
    run: &'a mut Run,
    open: Vec<Open>,
    /// What has several names, by device and inode: its turn comes when all have been seen.
    shared: HashMap<(u64, u64), Shared>,
    /// A folder that is not there.
    missing: Option<RelPath>,
    owners: u64,
    /// What it came to so far.
    pub counts: Repaired,
}

/// Why a name was left as it is.
enum Left {
    Missing,
    Differs(&'static str),
    Trouble(Trouble),
}

impl From<Trouble> for Left {
    fn from(trouble: Trouble) -> Left {
        Left::Trouble(trouble)
    }
}

impl From<durable::Error> for Left {
    fn from(error: durable::Error) -> Left {
        Left::Trouble(error.into())
    }
}

impl<'a> Repair<'a> {
    /// Holds the folder at `path`: the copy of the folder that is asked for, or the folder that has the copy of the file that is asked for.
    pub fn hold(path: &Path) -> Result<Dir, GroundError> {
        let absolute = std::path::absolute(path)
            .map_err(|source| GroundError::Make { path: path.to_owned(), source })?;
        Ok(Dir::open_root(&absolute)?)
    }

    /// Nothing is set yet in `copy`, which people call `path`.
    pub fn new(run: &'a mut Run, copy: Dir, path: &Path, survey: Survey) -> Self {
        let Survey { selection, leaders, .. } = survey;
        let (name, counts) = (path.as_os_str().as_encoded_bytes().to_vec(), Repaired::default());
        let (open, shared, missing, owners) = (Vec::new(), HashMap::new(), None, 0);
        Repair { copy, name, leaders, selection, run, open, shared, missing, owners, counts }
    }

    /// Sets the metadata of one name, if it is asked for. An error is the end of all.
    pub fn entry(&mut self, entry: &Entry, task: &Task) -> Result<(), Failed> {
        if !self.selection.asks_for(&entry.path) {
            return Ok(());
        }
        while let Some(done) = self.open.pop_if(|top| !entry.path.is_within(&top.path)) {
            self.settle_folder(&done)?;
        }
        if self.missing.as_ref().is_some_and(|missing| entry.path.is_within(missing)) {
            return Ok(());
        }
        let outcome = self.one(entry, task);
        if outcome.is_err() && entry.is_folder() {
            self.missing = Some(entry.path.clone());
        }
        self.note(&entry.path, outcome)
    }

    /// Sets the metadata of what has several names, and of the folders that are still open.
    pub fn finish(&mut self, task: &Task) -> Result<(), Failed> {
        for (_, shared) in std::mem::take(&mut self.shared) {
            self.settle_shared(&shared, task)?;
        }
        while let Some(done) = self.open.pop() {
            self.settle_folder(&done)?;
        }
        if self.owners > 0 {
            let why = format!("the owners of {} names were not set: only root can do that", self.owners);
            self.run.leave_out(&self.name, &why);
        }
        Ok(self.copy.sync_file_system().map_err(GroundError::Folder)?)
    }

    fn note(&mut self, path: &RelPath, outcome: Result<(), Left>) -> Result<(), Failed> {
        let why = match outcome {
            Ok(()) => return Ok(()),
            Err(Left::Missing) => {
                self.counts.missing += 1;
                "it is not there".to_owned()
            }
            Err(Left::Differs(what)) => {
                self.counts.differing += 1;
                what.to_owned()
            }
            Err(Left::Trouble(Trouble::LeftOut(why))) => why,
            Err(Left::Trouble(Trouble::Differs(what))) => what.to_owned(),
            Err(Left::Trouble(Trouble::Fatal(failed))) => {
                self.run.leave_out(path.as_bytes(), STOPPED);
                return Err(failed);
            }
        };
        self.run.leave_out(path.as_bytes(), &why);
        Ok(())
    }

    fn one(&mut self, entry: &Entry, task: &Task) -> Result<(), Left> {
        let node = match &entry.body {
            Body::Node(node) => node.clone(),
            Body::Link(first) => {
                self.leaders.node(first).cloned().ok_or(Left::Differs("it links to nothing"))?
            }
        };
        if node.kind == Kind::Folder {
            let dir = self.folder(&entry.path)?;
            self.open.push(Open { path: entry.path.clone(), node, inode: Stat::of(&dir)?.inode });
            return Ok(());
        }
        let found = self.find(&entry.path, &node)?;
        let stat = found.stat()?;
        if stat.links == 1 {
            return self.settle_found(&entry.path, &node, &found, task);
        }
        let first = first(entry);
        let shared = Shared { first: first.clone(), names: Vec::new() };
        let shared = self.shared.entry((stat.device, stat.inode)).or_insert(shared);
        if shared.first != *first {
            return Err(Left::Differs("it is one file with a name of another group"));
        }
        shared.names.push(entry.path.clone());
        Ok(())
    }

    /// The folder of the copy that is for `path`.
    fn folder(&self, path: &RelPath) -> Result<Dir, Left> {
        match self.selection.below(path) {
            b"" => Ok(self.copy.try_clone()?),
            place => self.copy.open_beneath(place).map_err(absent),
        }
    }

    /// Opens or holds what lies in the copy for `path`.
    fn find(&self, path: &RelPath, node: &Node) -> Result<Found, Left> {
        let path = match self.selection.below(path) {
            // The file that is asked for lies in the folder.
            b"" => RelPath::new(path.file_name()),
            place => RelPath::new(place),
        };
        let path = path.map_err(|_| Left::Differs("it has no name"))?;
        let folder = match path.parent() {
            Some(parent) => self.copy.open_beneath(parent).map_err(absent)?,
            None => self.copy.try_clone()?,
        };
        let name = Name::new(path.file_name())?;
        Ok(match &node.kind {
            Kind::File { .. } => Found::File(open_file(&folder, name)?),
            Kind::Socket => return Err(Trouble::LeftOut("sockets are not restored".to_owned()).into()),
            _ => {
                let held = special::hold(&folder, name).map_err(gone)?;
                Found::Other { name: name.as_bytes().to_vec(), folder, held }
            }
        })
    }

    /// Sets the metadata of what was found, if it is what the manifest says.
    fn settle_found(&mut self, path: &RelPath, node: &Node, found: &Found, task: &Task) -> Result<(), Left> {
        match found {
            Found::File(file) => {
                if let Kind::File { size, content } = &node.kind {
                    let hash = hash(file, *size, task)?;
                    if hash.as_ref().map(blake3::Hash::as_bytes) != Some(content.as_bytes()) {
                        return Err(Left::Differs("its content is another, so it is left as it is"));
                    }
                }
                self.settle(path, node, &Handle::Open(file.as_fd()))?;
            }
            Found::Other { folder, name, held } => {
                if !special::is_it(held, &node.kind)? {
                    return Err(Left::Differs("it is of another kind, target or number"));
                }
                self.settle(
                    path,
                    node,
                    &Handle::Named { folder, name: Name::new(name)?, held: held.as_fd() },
                )?;
            }
        }
        self.counts.repaired += 1;
        Ok(())
    }

    /// All names of one inode in this copy: each is looked at once more, and there must be no others.
    fn settle_shared(&mut self, shared: &Shared, task: &Task) -> Result<(), Failed> {
        let outcome = self.try_shared(shared, task);
        let others = shared.names.len() as u64 - 1;
        match &outcome {
            Ok(()) => self.counts.repaired += others,
            Err(Left::Missing) => self.counts.missing += others,
            Err(Left::Differs(_)) => self.counts.differing += others,
            Err(Left::Trouble(_)) => {}
        }
        shared.names.first().map_or(Ok(()), |path| self.note(path, outcome))
    }

    fn try_shared(&mut self, shared: &Shared, task: &Task) -> Result<(), Left> {
        let node = self.leaders.node(&shared.first).cloned().ok_or(Left::Differs("it links to nothing"))?;
        let Some((path, others)) = shared.names.split_first() else { return Ok(()) };
        let found = self.find(path, &node)?;
        for other in others {
            if !self.find(other, &node)?.stat()?.is_same_file(&found.stat()?) {
                return Err(Left::Differs("somebody else changed it meanwhile"));
            }
        }
        if found.stat()?.links != shared.names.len() as u64 {
            return Err(Left::Differs("it has names elsewhere, whose metadata would change too"));
        }
        self.settle_found(path, &node, &found, task)
    }

    fn settle_folder(&mut self, done: &Open) -> Result<(), Failed> {
        let outcome = self.folder(&done.path).and_then(|dir| {
            if Stat::of(&dir)?.inode != done.inode {
                return Err(Left::Differs("somebody else changed it meanwhile"));
            }
            Ok(self.settle(&done.path, &done.node, &Handle::Open(dir.as_fd()))?)
        });
        if outcome.is_ok() {
            self.counts.repaired += 1;
        }
        self.note(&done.path, outcome)
    }

    fn settle(&mut self, path: &RelPath, node: &Node, handle: &Handle<'_>) -> Result<(), Trouble> {
        let mut left = Vec::new();
        handle.remove_strange(node, &mut left)?;
        if handle.settle(node, Powers::Withheld, &mut left)? == Owned::No {
            self.owners += 1;
        }
        if let (Some(flags), Handle::Open(file)) = (node.meta.flags(), handle)
            && let Some(refused) = flags::set(*file, flags)
        {
            left.push(flags::refused(refused));
        }
        for why in left {
            self.run.leave_out(path.as_bytes(), &why);
        }
        Ok(())
    }
}

impl Handle<'_> {
    /// Removes attributes that the copy got where it lies and the original did not have, such as an inherited ACL.
    fn remove_strange(&self, node: &Node, left: &mut Vec<String>) -> Result<(), Trouble> {
        let Handle::Open(file) = self else { return Ok(()) };
        let mut names = vec![0; 1 << 16];
        let length = match rustix::fs::flistxattr(file, names.as_mut_slice()) {
            Ok(length) => length,
            Err(Errno::OPNOTSUPP) => 0,
            Err(errno) => return Err(Trouble::of("listing its attributes", errno)),
        };
        for name in names.get(..length).unwrap_or_default().split(|byte| *byte == 0) {
            let is_ours = name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_");
            let is_known =
                |attribute: &formats::Attribute| attribute.tag == Tag::Extended && attribute.name == name;
            if !is_ours || node.meta.attributes.iter().any(is_known) {
                continue;
            }
            match rustix::fs::fremovexattr(file, name) {
                Ok(()) => {}
                Err(errno) => left.push(format!("{} could not be removed: {errno}", cli::shown(name))),
            }
        }
        Ok(())
    }
}

/// What lies in the copy.
enum Found {
    File(File),
    Other { folder: Dir, name: Vec<u8>, held: OwnedFd },
}

impl Found {
    fn stat(&self) -> Result<Stat, Trouble> {
        Ok(match self {
            Found::File(file) => Stat::of(file)?,
            Found::Other { held, .. } => Stat::of(held)?,
        })
    }
}

fn open_file(folder: &Dir, name: Name<'_>) -> Result<File, Left> {
    match folder.stat(name) {
        Ok(stat) if stat.kind == FileKind::File => folder.open_read(name).map_err(absent),
        Ok(_) => Err(Left::Differs("it is of another kind")),
        Err(error) => Err(absent(error)),
    }
}

fn absent(error: durable::Error) -> Left {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) => Left::Missing,
        Some(Errno::NOTDIR | Errno::LOOP) => Left::Differs("it is of another kind"),
        _ => Trouble::from(error).into(),
    }
}

fn gone(errno: Errno) -> Left {
    match errno {
        Errno::NOENT => Left::Missing,
        errno => Trouble::of("holding it", errno).into(),
    }
}

/// None if it is not `size` bytes long.
fn hash(mut file: &File, size: u64, task: &Task) -> Result<Option<blake3::Hash>, Trouble> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = size;
    loop {
        let read =
            file.read(&mut buffer).map_err(|error| Trouble::LeftOut(format!("reading it: {error}")))?;
        if read == 0 {
            return Ok((left == 0).then(|| hasher.finalize()));
        }
        let Some(rest) = left.checked_sub(read as u64) else { return Ok(None) };
        left = rest;
        hasher.update(buffer.get(..read).unwrap_or_default());
        task.advance(read as u64);
    }
}
