//! Writing a snapshot into a folder.

use cli::{Failed, Run, Task};
use durable::{Dir, Linked, Name};
use formats::{Body, Entry, Kind, Node, RelPath};

use crate::trouble::STOPPED;
use crate::{Differences, Ground, Held, Leaders, Powers, Selection, Source, Survey, Trouble};

/// What was restored.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub struct Counts {
    pub files: u64,
    pub folders: u64,
    pub symlinks: u64,
    pub links: u64,
    /// Fifos and devices.
    pub specials: u64,
    /// Content of the files.
    pub bytes: u64,
}

/// Restores one snapshot, or a part of it: every entry by [`Place::entry`] in the order of the manifest, then [`Place::finish`].
pub struct Place<'a> {
    pub(crate) ground: Ground,
    pub(crate) leaders: Leaders,
    pub(crate) selection: Selection,
    pub(crate) powers: Powers,
    pub(crate) run: &'a mut Run,
    /// What was found not to be as the manifest says.
    pub differences: Differences,
    /// What was made.
    pub counts: Counts,
    /// Names whose owner could not be set.
    pub(crate) owners: u64,
    /// Inodes of the folders that were asked for, in their order; none where one could not be made.
    pub(crate) made: Vec<Option<u64>>,
    /// The same of the names that have inode flags.
    pub(crate) flagged: Vec<Option<u64>>,
}

impl<'a> Place<'a> {
    /// Nothing is made yet.
    pub fn new(run: &'a mut Run, ground: Ground, survey: Survey, powers: Powers) -> Self {
        let Survey { selection, leaders, .. } = survey;
        let (differences, counts) = (Differences::default(), Counts::default());
        Place {
            ground,
            leaders,
            selection,
            powers,
            run,
            differences,
            counts,
            owners: 0,
            made: Vec::new(),
            flagged: Vec::new(),
        }
    }

    /// Makes one name, if it is asked for; what is wrong with it alone is named. An error is the end of all.
    pub fn entry(&mut self, entry: &Entry, held: &mut dyn Held, task: &Task) -> Result<(), Failed> {
        if !self.selection.holds(&entry.path) {
            return Ok(());
        }
        let outcome = self.one(entry, held, task);
        if self.flags_of(entry).is_some() {
            self.flagged.push(outcome.as_ref().ok().copied());
        }
        self.note(&entry.path, outcome.map(drop))
    }

    /// What is asked for.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// What is held and not in the manifest, or in it and not held.
    pub fn differs(&mut self, path: &RelPath, what: &'static str) -> Result<(), Failed> {
        self.note(path, Err(Trouble::Differs(what)))
    }

    /// Sets what can only be set after all is there, and brings everything to the disk.
    pub fn finish(&mut self, source: &dyn Source) -> Result<(), Failed> {
        self.settle_folders(source)?;
        if self.owners > 0 {
            let why = format!(
                "the owners of {} names were not restored: only root can do that, and not on every file system",
                self.owners
            );
            self.run.leave_out(self.ground.name(), &why);
        }
        self.settle_flags(source)?;
        self.ground.sync()
    }

    pub(crate) fn note(&mut self, path: &RelPath, outcome: Result<(), Trouble>) -> Result<(), Failed> {
        match outcome {
            Ok(()) => {}
            Err(Trouble::LeftOut(why)) => self.run.leave_out(path.as_bytes(), &why),
            Err(Trouble::Differs(what)) => {
                self.differences.add(path.as_bytes(), what);
                self.run.leave_out(path.as_bytes(), what);
            }
            Err(Trouble::Fatal(failed)) => {
                self.run.leave_out(path.as_bytes(), STOPPED);
                return Err(failed);
            }
        }
        Ok(())
    }

    /// Returns the inode.
    fn one(&mut self, entry: &Entry, held: &mut dyn Held, task: &Task) -> Result<u64, Trouble> {
        let node = match &entry.body {
            Body::Node(node) => node.clone(),
            Body::Link(first) => {
                if let Some(inode) = self.link(first, &entry.path)? {
                    self.counts.links += 1;
                    return Ok(inode);
                }
                // The first member is not there, or can take no more names: this one becomes a file of its own.
                self.leaders.node(first).cloned().ok_or(Trouble::Differs("it links to nothing"))?
            }
        };
        let inode = self.node(&entry.path, &node, held, task)?;
        if node.meta.links > 1 {
            self.leaders.placed(entry, inode);
        }
        Ok(inode)
    }

    /// Gives the first member of a group another name, and returns its inode; none if there is no first member to be had.
    fn link(&mut self, first: &RelPath, path: &RelPath) -> Result<Option<u64>, Trouble> {
        let Some((at, inode)) = self.leaders.at(first).cloned() else { return Ok(None) };
        let from = self.ground.folder_of(&at)?;
        let to = self.ground.folder_of(path)?;
        let why = match from.link(Name::new(at.file_name())?, &to, Name::new(path.file_name())?) {
            Ok(Linked::Made) => return is_linked(&to, Name::new(path.file_name())?, inode).map(Some),
            Ok(Linked::Full) => "its hard link was split: the file has too many names",
            Err(error) if has_no_links(error.raw_os_error()) => {
                "its hard link was split: this file system gives no file a second name"
            }
            Err(error) => return Err(error.into()),
        };
        self.run.leave_out(path.as_bytes(), why);
        Ok(None)
    }

    fn node(
        &mut self,
        path: &RelPath,
        node: &Node,
        held: &mut dyn Held,
        task: &Task,
    ) -> Result<u64, Trouble> {
        match &node.kind {
            Kind::File { size, content } => self.file(path, node, (*size, content), held, task),
            Kind::Folder => {
                let made = self.folder(path);
                self.made.push(made.as_ref().ok().copied());
                let made = made?;
                self.counts.folders += 1;
                expect(&node.kind, held)?;
                Ok(made)
            }
            Kind::Socket => {
                Err(Trouble::LeftOut("sockets are made by their programs, not restored".to_owned()))
            }
            kind if !self.powers.make(kind) => {
                Err(Trouble::LeftOut("devices are not made, as powers were not asked for".to_owned()))
            }
            Kind::Symlink { .. } | Kind::Fifo | Kind::CharDevice { .. } | Kind::BlockDevice { .. } => {
                self.special(path, node, held)
            }
        }
    }
}

/// What is not held as it should be is said, even where the manifest was enough to make it.
pub(crate) fn expect(kind: &Kind, held: &dyn Held) -> Result<(), Trouble> {
    held.differs(kind).map_or(Ok(()), |what| Err(Trouble::Differs(what)))
}

/// Whoever else writes to the folder could have exchanged the first name before it got its second: then this one is taken away again.
fn is_linked(folder: &Dir, name: Name<'_>, inode: u64) -> Result<u64, Trouble> {
    if folder.stat(name)?.inode == inode {
        return Ok(inode);
    }
    // What matters is that it is named.
    let _ = folder.unlink(name);
    Err(Trouble::meddled())
}

/// What file systems without hard links answer.
fn has_no_links(errno: Option<i32>) -> bool {
    use rustix::io::Errno;
    let answers = [Errno::PERM, Errno::NOSYS, Errno::OPNOTSUPP, Errno::INVAL];
    errno.is_some_and(|errno| answers.iter().any(|answer| answer.raw_os_error() == errno))
}
