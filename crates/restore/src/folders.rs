//! The metadata of folders, after all that is in them: deepest first, as a folder may be closed to its owner, and as every name that is made in
//! it changes its time.

use std::os::fd::AsFd;

use cli::Failed;
use durable::{Name, Stat};
use formats::{Body, Entry, Kind, Node, RelPath};

use crate::meta::Handle;
use crate::{Place, Source, Trouble};

/// A folder whose turn comes after all that is in it, and its inode.
struct Open {
    path: RelPath,
    node: Node,
    inode: u64,
}

impl Place<'_> {
    /// Makes a folder that nobody else may enter yet. Returns its inode.
    pub(crate) fn folder(&mut self, path: &RelPath) -> Result<u64, Trouble> {
        let folder = self.ground.folder_of(path)?.make_dir(Name::new(path.file_name())?, 0o700)?;
        Ok(Stat::of(&folder)?.inode)
    }

    /// Walks the manifest once more. Memory grows by 16 bytes a folder and with the depth of the tree.
    pub(crate) fn settle_folders(&mut self, source: &dyn Source) -> Result<(), Failed> {
        let mut made = std::mem::take(&mut self.made).into_iter();
        let mut open: Vec<Open> = Vec::new();
        for entry in source.entries()? {
            let Entry { path, body } = entry?;
            let Body::Node(node) = body else { continue };
            if node.kind != Kind::Folder || !self.selection.holds(&path) {
                continue;
            }
            while let Some(done) = open.pop_if(|top| !path.is_within(&top.path)) {
                self.settle_folder(&done)?;
            }
            // What could not be made is named already.
            if let Some(inode) = made.next().flatten() {
                open.push(Open { path, node, inode });
            }
        }
        while let Some(done) = open.pop() {
            self.settle_folder(&done)?;
        }
        Ok(())
    }

    fn settle_folder(&mut self, done: &Open) -> Result<(), Failed> {
        let outcome = self.ground.folder(&done.path).and_then(|folder| match Stat::of(&folder)?.inode {
            inode if inode == done.inode => {
                self.settle(&done.path, &Handle::Open(folder.as_fd()), &done.node)
            }
            _ => Err(Trouble::meddled()),
        });
        self.note(&done.path, outcome)
    }
}
