//! The files of the new snapshot, entry by entry, in the manifest's order.
//!
//! Every entry was checked by the manifest's writer before it comes here: paths ascend, folders come before what they hold, a hard link names an
//! earlier first member. What others may depend on is made at once: folders, first members, links. All other files are left to a crew.
//! Metadata stays in the manifest: at rest there is no owner, no mode and no device of the host's.

use std::thread::Scope;

use durable::{Linked, Name};
use formats::RelPath;
use formats::change::Applied;
use formats::entry::{Body, Entry, Kind, Node};

use super::base::content_of;
use super::crew::Crew;
use super::fault::Fault;
use super::groups::Groups;
use super::hand::{Hand, Origin, Site, ToPlace};
use super::shelves::Content;

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
    site: Site<'scope>,
    hand: Hand<'scope>,
    crew: Crew<'scope, Vec<ToPlace>>,
    batch: Vec<ToPlace>,
    batch_bytes: usize,
    groups: Groups,
}

impl<'scope> Tree<'scope> {
    /// Grows on this site, whose top is empty.
    pub(crate) fn new(scope: &'scope Scope<'scope, '_>, site: Site<'scope>) -> Result<Self, Fault> {
        let crew = Crew::start(scope, || {
            let mut hand = Hand::new(site)?;
            Ok(move |batch: Vec<ToPlace>| batch.iter().try_for_each(|file| hand.place(file)))
        })?;
        let (hand, groups) = (Hand::new(site)?, Groups::new(site.shelves.dir())?);
        Ok(Self { site, hand, crew, batch: Vec::with_capacity(BATCH_FILES), batch_bytes: 0, groups })
    }

    /// Makes the next entry, or hands it out. Of what is removed there is nothing to make.
    pub(crate) fn place(&mut self, applied: Applied) -> Result<(), Fault> {
        self.crew.check()?;
        let Some((Entry { path, body }, origin)) = with_origin(applied) else { return Ok(()) };
        match body {
            Body::Link(first) => self.another_name(&path, &first),
            Body::Node(Node { kind, meta }) => match kind {
                Kind::File { size, content } => {
                    let file = ToPlace { path, content: Content { hash: content, size }, origin };
                    if meta.links > 1 { self.first_of_group(&file) } else { self.hand_out(file) }
                }
                Kind::Folder => self.folder(&path),
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

    fn first_of_group(&mut self, file: &ToPlace) -> Result<(), Fault> {
        self.groups.file(&file.path, file.content)?;
        self.hand.place(file)
    }

    fn hand_out(&mut self, file: ToPlace) -> Result<(), Fault> {
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

    fn folder(&mut self, path: &RelPath) -> Result<(), Fault> {
        let new = self.hand.new_tree();
        let dir = new.folder(path.parent())?.make_dir(Name::new(path.file_name())?, FOLDER_MODE)?;
        new.enter(path.as_bytes(), dir);
        self.site.room.node(0)
    }

    fn symlink(&mut self, path: &RelPath, target: &[u8], links: u32) -> Result<(), Fault> {
        let to = self.hand.new_tree().folder(path.parent())?;
        match to.symlink(target, Name::new(path.file_name())?) {
            Err(error) if error.raw_os_error() == Some(NAME_TOO_LONG) => {
                self.leave_unmade(path, links);
                Ok(())
            }
            answer => answer.map_err(Fault::from).and_then(|()| self.site.room.node(0)),
        }
    }

    fn leave_unmade(&mut self, path: &RelPath, links: u32) {
        if links > 1 {
            self.groups.unmade(path);
        }
    }

    /// One more name of an inode that this tree has already.
    fn another_name(&mut self, path: &RelPath, first: &RelPath) -> Result<(), Fault> {
        if self.groups.is_unmade(first) {
            return Ok(());
        }
        let (old, name) = (Name::new(first.file_name())?, Name::new(path.file_name())?);
        let from = match first.parent() {
            Some(parent) => self.site.top.open_beneath(parent)?,
            None => self.site.top.try_clone()?,
        };
        let to = self.hand.new_tree().folder(path.parent())?;
        if from.link(old, to, name)? == Linked::Made {
            return Ok(());
        }
        // That all of them are one is in the manifest.
        match self.groups.content(first)? {
            Some(content) => self.hand.place_another(path, content, (&from, old)),
            None => {
                to.symlink(&from.read_link(old)?, name)?;
                self.site.room.node(0)
            }
        }
    }
}

fn with_origin(applied: Applied) -> Option<(Entry, Origin)> {
    match applied {
        Applied::Removed(_) => None,
        Applied::Kept(entry) => Some((entry, Origin::Kept)),
        Applied::Put { entry, before } => {
            let content = content_of(&entry);
            let same = content.is_some() && before.as_ref().and_then(content_of) == content;
            Some((entry, if same { Origin::Touched } else { Origin::New }))
        }
    }
}
