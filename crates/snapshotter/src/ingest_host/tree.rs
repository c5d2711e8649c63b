//! The files of the new snapshot, entry by entry, in the manifest's order.
//!
//! Every entry was checked by the manifest's writer before it comes here: paths ascend, folders come before what they hold, a hard link names an
//! earlier first member. Metadata stays in the manifest: at rest there is no owner, no mode and no device of the host's.

use std::collections::HashSet;
use std::fs::File;

use durable::{Dir, Linked, Name};
use formats::RelPath;
use formats::change::Applied;
use formats::entry::{Body, Entry, Kind, Node};
use formats::session::Code;

use super::base::{Base, content_of};
use super::changes::Changes;
use super::contents::{Content, Contents};
use super::copy::copy;
use super::fault::Fault;
use super::room::Room;
use crate::stack::Stack;

const FOLDER_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;
/// What Linux answers for a link target that the file system cannot hold (XFS: above 1,023 bytes).
const NAME_TOO_LONG: i32 = rustix::io::Errno::NAMETOOLONG.raw_os_error();

/// A tree that grows.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    new: Stack,
    base: Option<Base<'a>>,
    contents: &'a Contents,
    changes: &'a Changes,
    /// First members of hard-link groups that only the manifest holds.
    unmade: HashSet<RelPath>,
}

impl<'a> Tree<'a> {
    /// Grows in the empty folder `top`.
    pub(crate) fn new(
        top: Dir,
        base: Option<Base<'a>>,
        contents: &'a Contents,
        changes: &'a Changes,
    ) -> Self {
        Self { new: Stack::new(top), base, contents, changes, unmade: HashSet::new() }
    }

    /// Makes the next entry.
    pub(crate) fn place(&mut self, applied: &Applied, room: &mut Room) -> Result<(), Fault> {
        let entry = applied.entry();
        match &entry.body {
            Body::Link(first) => self.another_name(entry, first),
            Body::Node(Node { kind, meta }) => match kind {
                Kind::File { size, content } => {
                    let content = Content { hash: *content, size: *size };
                    match applied {
                        Applied::Kept(_) => self.take_from_base(&entry.path, &entry.path, content),
                        Applied::Put { before, .. } => self.put(&entry.path, before.as_ref(), content),
                    }
                }
                Kind::Folder => self.folder(&entry.path, room),
                Kind::Symlink { target } => self.symlink(&entry.path, target, meta.links),
                Kind::Fifo | Kind::Socket | Kind::CharDevice { .. } | Kind::BlockDevice { .. } => {
                    self.leave_unmade(&entry.path, meta.links);
                    Ok(())
                }
            },
        }
    }

    fn folder(&mut self, path: &RelPath, room: &mut Room) -> Result<(), Fault> {
        let dir = self.new.folder(path.parent())?.make_dir(Name::new(path.file_name())?, FOLDER_MODE)?;
        self.new.enter(path.as_bytes(), dir);
        room.node(0)
    }

    fn symlink(&mut self, path: &RelPath, target: &[u8], links: u32) -> Result<(), Fault> {
        match self.new.folder(path.parent())?.symlink(target, Name::new(path.file_name())?) {
            Err(error) if error.raw_os_error() == Some(NAME_TOO_LONG) => {
                self.leave_unmade(path, links);
                Ok(())
            }
            answer => Ok(answer?),
        }
    }

    fn leave_unmade(&mut self, path: &RelPath, links: u32) {
        if links > 1 {
            self.unmade.insert(path.clone());
        }
    }

    /// From this push; or else from the same path of the base, or any other.
    fn put(&mut self, path: &RelPath, before: Option<&Entry>, content: Content) -> Result<(), Fault> {
        let name = Name::new(path.file_name())?;
        let to = self.new.folder(path.parent())?;
        match self.contents.link(content, to, name)? {
            Some(Linked::Made) => return Ok(()),
            Some(Linked::Full) => {
                return renew(self.contents, content, &self.contents.open(content)?, to, name);
            }
            None => {}
        }
        let Some(base) = &mut self.base else { return Err(Fault::Push(Code::MissingContent)) };
        if before.and_then(content_of) == Some(content) {
            return self.take_from_base(path, path, content);
        }
        let source = base.find(content, self.changes)?.ok_or(Fault::Push(Code::MissingContent))?;
        self.take_from_base(&source, path, content)
    }

    fn take_from_base(&mut self, source: &RelPath, path: &RelPath, content: Content) -> Result<(), Fault> {
        let Some(base) = &mut self.base else { return Err(Fault::Push(Code::MissingContent)) };
        let from = base.files.folder(source.parent()).map_err(of_base)?;
        let to = self.new.folder(path.parent())?;
        let (old, name) = (Name::new(source.file_name())?, Name::new(path.file_name())?);
        if from.link(old, to, name).map_err(of_base)? == Linked::Made {
            return Ok(());
        }
        // As many names as its inode can bear: another inode of the same content serves from now on.
        match self.contents.link(content, to, name)? {
            Some(Linked::Made) => Ok(()),
            _ => renew(self.contents, content, &from.open_read(old)?, to, name),
        }
    }

    /// One more name of an inode that this tree has already.
    fn another_name(&mut self, entry: &Entry, first: &RelPath) -> Result<(), Fault> {
        if self.unmade.contains(first) {
            return Ok(());
        }
        let (old, name) = (Name::new(first.file_name())?, Name::new(entry.path.file_name())?);
        let from = match first.parent() {
            Some(parent) => self.new.top().open_beneath(parent)?,
            None => self.new.top().try_clone()?,
        };
        let to = self.new.folder(entry.path.parent())?;
        match from.link(old, to, name)? {
            Linked::Made => Ok(()),
            // The names are too many for one inode; that they are one is in the manifest.
            Linked::Full => {
                let target = to.create_new(name, FILE_MODE)?;
                copy(&from.open_read(old)?, &target).map(drop).map_err(Fault::stream("copying a file"))
            }
        }
    }
}

/// A copy that from now on stands for its content.
fn renew(
    contents: &Contents,
    content: Content,
    source: &File,
    to: &Dir,
    name: Name<'_>,
) -> Result<(), Fault> {
    let target = to.create_new(name, FILE_MODE)?;
    if copy(source, &target).map_err(Fault::stream("copying a file"))? != content.hash {
        return Err(Fault::Base("a file of the base does not have its hash".to_owned()));
    }
    contents.replace(content, to, name)
}

/// What the base's manifest names and its tree does not have.
fn of_base(error: durable::Error) -> Fault {
    if error.is_not_found() {
        return Fault::Base("a file of the base is missing".to_owned());
    }
    error.into()
}
