//! Regular files of the new snapshot, each a name of an inode that is there already. All workers of a crew do this at once, each with hands of its
//! own: which file comes first makes no difference.

use durable::{Dir, Linked, Name};
use formats::RelPath;
use formats::session::Code;

use super::base::Base;
use super::changes::Changes;
use super::fault::Fault;
use super::room::Room;
use super::shelves::{Content, Shelves};
use crate::heal::lost::is_corrupt;
use crate::stack::Stack;

/// What a tree is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    /// The tree that grows.
    pub(crate) top: &'a Dir,
    /// Where contents are found that the push does not bring.
    pub(crate) base: Option<&'a Base<'a>>,
    /// What the push brought.
    pub(crate) shelves: &'a Shelves,
    /// What it changes.
    pub(crate) changes: &'a Changes,
    /// What it may use up.
    pub(crate) room: &'a Room<'a>,
}

/// A file to be placed.
#[derive(Debug)]
pub(crate) struct ToPlace {
    pub(crate) path: RelPath,
    pub(crate) content: Content,
    pub(crate) origin: Origin,
}

/// Where a file's content is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// At the same path of the base, unless that has lost it.
    Kept,
    /// In the push, and then at the same path of the base, which has the same content there.
    Touched,
    /// In the push, and then anywhere in the base.
    New,
}

/// A walk through the new tree and its base, side by side.
#[derive(Debug)]
pub(crate) struct Hand<'a> {
    site: Site<'a>,
    new: Stack,
    old: Option<Stack>,
}

impl<'a> Hand<'a> {
    /// At the top of both.
    pub(crate) fn new(site: Site<'a>) -> Result<Self, Fault> {
        let old = site.base.map(|base| base.top().try_clone().map(Stack::new)).transpose()?;
        Ok(Self { site, new: Stack::new(site.top.try_clone()?), old })
    }

    /// The walk through the new tree.
    pub(crate) fn new_tree(&mut self) -> &mut Stack {
        &mut self.new
    }

    /// Places one file; its folder is there.
    pub(crate) fn place(&mut self, file: &ToPlace) -> Result<(), Fault> {
        let ToPlace { path, content, origin } = file;
        let Some(base) = self.site.base else {
            let is_there = self.take_from_push(path, *content)?;
            return if is_there { Ok(()) } else { Err(Fault::Push(Code::MissingContent)) };
        };
        let is_lost = base.has_lost(*content);
        if (*origin != Origin::Kept || is_lost) && self.take_from_push(path, *content)? {
            return Ok(());
        }
        if is_lost {
            return Err(Fault::Push(Code::MissingContent));
        }
        if *origin == Origin::New {
            let Site { shelves, changes, room, .. } = self.site;
            let source = base.find(*content, changes, shelves.dir(), room)?;
            let source = source.ok_or(Fault::Push(Code::MissingContent))?;
            return self.take_from_base(&source, path, *content);
        }
        self.take_from_base(path, path, *content)
    }

    /// Tells if the push brought it.
    fn take_from_push(&mut self, path: &RelPath, content: Content) -> Result<bool, Fault> {
        let shelves = self.site.shelves;
        let name = Name::new(path.file_name())?;
        let to = self.new.folder(path.parent())?;
        match shelves.link(content, to, name)? {
            Some(Linked::Made) => Ok(true),
            Some(Linked::Full) => {
                let lent = || shelves.open(content);
                shelves.link_another(content, lent, to, name, self.site.room).map(|()| true)
            }
            None => Ok(false),
        }
    }

    fn take_from_base(&mut self, source: &RelPath, path: &RelPath, content: Content) -> Result<(), Fault> {
        let shelves = self.site.shelves;
        let Some(old) = &mut self.old else { return Err(Fault::Push(Code::MissingContent)) };
        let from = old.folder(source.parent()).map_err(of_base)?;
        let to = self.new.folder(path.parent())?;
        let (old_name, name) = (Name::new(source.file_name())?, Name::new(path.file_name())?);
        if from.link(old_name, to, name).map_err(of_base)? == Linked::Made {
            return Ok(());
        }
        // As many names as its inode can bear: another inode of the same content serves from now on.
        let lent = || from.open_read(old_name).map_err(of_base);
        shelves.link_another(content, lent, to, name, self.site.room)
    }

    /// One more name for the file `first` of this tree, whose inode has as many as it can bear.
    pub(crate) fn place_another(
        &mut self,
        path: &RelPath,
        content: Content,
        (folder, first): (&Dir, Name<'_>),
    ) -> Result<(), Fault> {
        let to = self.new.folder(path.parent())?;
        let lent = || Ok(folder.open_read(first)?);
        self.site.shelves.link_another(content, lent, to, Name::new(path.file_name())?, self.site.room)
    }
}

/// What the base's manifest names and its tree does not have, or the file system has lost: no wait would bring it back.
fn of_base(error: durable::Error) -> Fault {
    if error.is_not_found() {
        return Fault::Base("a file of the base is missing".to_owned());
    }
    if is_corrupt(&error) {
        return Fault::Base("a file of the base is lost".to_owned());
    }
    error.into()
}
