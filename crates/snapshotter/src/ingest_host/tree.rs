//! The files of the new snapshot, entry by entry, in the manifest's order.
//!
//! Every entry was checked by the manifest's writer before it comes here: paths ascend, folders come before what they hold, a hard link names an
//! earlier first member. What others may depend on is made at once: folders, first members, links. All other files are left to a crew.
//! Metadata stays in the manifest: at rest there is no owner, no mode and no device of the host's.

use std::collections::HashSet;
use std::thread::Scope;

use durable::{Linked, Name};
use formats::RelPath;
use formats::change::Applied;
use formats::entry::{Body, Entry, Kind, Node};

use super::base::content_of;
use super::copy::copy;
use super::crew::Crew;
use super::fault::Fault;
use super::hand::{File, Ground, Hand, Origin};
use super::room::Room;
use super::shelves::{Content, FILE_MODE};

const FOLDER_MODE: u32 = 0o750;
/// What Linux answers for a link target that the file system cannot hold (XFS: above 1,023 bytes).
const NAME_TOO_LONG: i32 = rustix::io::Errno::NAMETOOLONG.raw_os_error();
/// Files that are handed out at a time: some folders' worth, so that workers seldom meet in one folder, which only one can change at a time.
const BATCH_FILES: usize = 128;
/// And at most so many bytes of paths, by about one path.
const BATCH_BYTES: usize = 64 * 1024;

/// A tree that grows.
#[derive(Debug)]
pub(crate) struct Tree<'scope> {
    ground: Ground<'scope>,
    hand: Hand<'scope>,
    crew: Crew<'scope, Vec<File>>,
    batch: Vec<File>,
    batch_bytes: usize,
    /// First members of hard-link groups that only the manifest holds.
    unmade: HashSet<RelPath>,
}

impl<'scope> Tree<'scope> {
    /// Grows on this ground, whose top is empty.
    pub(crate) fn new(scope: &'scope Scope<'scope, '_>, ground: Ground<'scope>) -> Result<Self, Fault> {
        let crew = Crew::start(scope, || {
            let mut hand = Hand::new(ground)?;
            Ok(move |batch: Vec<File>| batch.iter().try_for_each(|file| hand.place(file)))
        })?;
        let (hand, unmade) = (Hand::new(ground)?, HashSet::new());
        Ok(Self { ground, hand, crew, batch: Vec::with_capacity(BATCH_FILES), batch_bytes: 0, unmade })
    }

    /// Makes the next entry, or hands it out.
    pub(crate) fn place(&mut self, applied: Applied, room: &mut Room<'_>) -> Result<(), Fault> {
        let (Entry { path, body }, origin) = with_origin(applied);
        match body {
            Body::Link(first) => self.another_name(&path, &first),
            Body::Node(Node { kind, meta }) => match kind {
                Kind::File { size, content } => {
                    let file = File { path, content: Content { hash: content, size }, origin };
                    if meta.links > 1 { self.hand.place(&file) } else { self.hand_out(file) }
                }
                Kind::Folder => self.folder(&path, room),
                Kind::Symlink { target } => self.symlink(&path, &target, meta.links),
                Kind::Fifo | Kind::Socket | Kind::CharDevice { .. } | Kind::BlockDevice { .. } => {
                    self.leave_unmade(&path, meta.links);
                    Ok(())
                }
            },
        }
    }

    /// Waits until all is there that was to be placed; also after a fault, which one of an earlier entry goes before.
    pub(crate) fn finish(mut self) -> Result<(), Fault> {
        let given = self.give();
        self.crew.finish().and(given)
    }

    fn hand_out(&mut self, file: File) -> Result<(), Fault> {
        self.batch_bytes += file.path.as_bytes().len();
        self.batch.push(file);
        if self.batch.len() < BATCH_FILES && self.batch_bytes < BATCH_BYTES { Ok(()) } else { self.give() }
    }

    fn give(&mut self) -> Result<(), Fault> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.batch_bytes = 0;
        self.crew.give(std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_FILES)))
    }

    fn folder(&mut self, path: &RelPath, room: &mut Room<'_>) -> Result<(), Fault> {
        let new = self.hand.new_tree();
        let dir = new.folder(path.parent())?.make_dir(Name::new(path.file_name())?, FOLDER_MODE)?;
        new.enter(path.as_bytes(), dir);
        room.node(0)
    }

    fn symlink(&mut self, path: &RelPath, target: &[u8], links: u32) -> Result<(), Fault> {
        let to = self.hand.new_tree().folder(path.parent())?;
        match to.symlink(target, Name::new(path.file_name())?) {
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

    /// One more name of an inode that this tree has already.
    fn another_name(&mut self, path: &RelPath, first: &RelPath) -> Result<(), Fault> {
        if self.unmade.contains(first) {
            return Ok(());
        }
        let (old, name) = (Name::new(first.file_name())?, Name::new(path.file_name())?);
        let from = match first.parent() {
            Some(parent) => self.ground.top.open_beneath(parent)?,
            None => self.ground.top.try_clone()?,
        };
        let to = self.hand.new_tree().folder(path.parent())?;
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

fn with_origin(applied: Applied) -> (Entry, Origin) {
    match applied {
        Applied::Kept(entry) => (entry, Origin::Kept),
        Applied::Put { entry, before } => {
            let content = content_of(&entry);
            let same = content.is_some() && before.as_ref().and_then(content_of) == content;
            (entry, if same { Origin::Touched } else { Origin::New })
        }
    }
}
