//! All names of some contents in one snapshot, in the order of its manifest.

use std::collections::HashMap;

use durable::{Dir, FileKind, Name, Stat};
use formats::entry::{Body, Entry, Kind};
use formats::manifest::ManifestError;
use formats::{ContentHash, PathDigest, RelPath};
use history::{HostHistory, Manifest, Snapshot};

use super::lost::is_lost;
use crate::ingest_host::fault::Fault;
use crate::ingest_host::shelves::Content;
use crate::stack::Stack;

/// A name that should have one of the contents.
pub(crate) struct Place<'a> {
    pub(crate) content: Content,
    path: &'a RelPath,
    tree: &'a mut Stack,
}

/// What is at such a name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum There {
    File(Stat),
    Nothing,
    /// Something else than a file, or no folder: that is nothing that a content can mend.
    Other,
    /// Something that the file system cannot tell any more.
    Lost,
}

/// Whether a snapshot's manifest is the one that the log says, so that what it names can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    Proved,
    /// It, or its tree, is not what it should be. Verify names it.
    Missing,
}

impl Place<'_> {
    /// Where it is.
    pub(crate) fn path(&self) -> &RelPath {
        self.path
    }

    /// What is there.
    pub(crate) fn look(&mut self) -> Result<There, Fault> {
        let name = Name::new(self.path.file_name())?;
        let Ok(folder) = self.tree.folder(self.path.parent()) else { return Ok(There::Other) };
        match folder.stat(name) {
            Ok(stat) if stat.kind == FileKind::File => Ok(There::File(stat)),
            Ok(_) => Ok(There::Other),
            Err(error) if error.is_not_found() => Ok(There::Nothing),
            Err(error) if is_lost(&error) => Ok(There::Lost),
            Err(error) => Err(error.into()),
        }
    }

    /// Its folder, and its name in it.
    pub(crate) fn at(&mut self) -> Result<(&Dir, Name<'_>), Fault> {
        Ok((self.tree.folder(self.path.parent())?, Name::new(self.path.file_name())?))
    }
}

/// Shows each name of the contents that `is_one` to `each`.
pub(crate) fn of(
    history: &HostHistory,
    snapshot: &Snapshot,
    is_one: impl Fn(&ContentHash) -> bool,
    each: &mut dyn FnMut(Place<'_>) -> Result<(), Fault>,
) -> Result<Proof, Fault> {
    let (Some(mut manifest), Some(top)) = (manifest(history, snapshot)?, top(history, snapshot)?) else {
        return Ok(Proof::Missing);
    };
    let mut tree = Stack::new(top);
    let mut firsts: HashMap<PathDigest, Content> = HashMap::new();
    for entry in manifest.by_ref() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(ManifestError::Io(source)) => return Err(Fault::stream("reading a manifest")(source)),
            Err(_) => return Ok(Proof::Missing),
        };
        let Some(content) = content(&entry, &firsts).filter(|content| is_one(&content.hash)) else {
            continue;
        };
        if entry.node().is_some_and(|node| node.meta.links > 1) {
            firsts.insert(entry.path.digest(), content);
        }
        each(Place { content, path: &entry.path, tree: &mut tree })?;
    }
    let right = |sum: &formats::Summary| sum.root == snapshot.root && sum.entries == snapshot.entries;
    Ok(if manifest.summary().as_ref().is_some_and(right) { Proof::Proved } else { Proof::Missing })
}

fn content(entry: &Entry, firsts: &HashMap<PathDigest, Content>) -> Option<Content> {
    match &entry.body {
        Body::Link(first) => firsts.get(&first.digest()).copied(),
        Body::Node(node) => match &node.kind {
            Kind::File { size, content } => Some(Content { hash: *content, size: *size }),
            _ => None,
        },
    }
}

fn manifest(history: &HostHistory, snapshot: &Snapshot) -> Result<Option<Manifest>, Fault> {
    match history.open_manifest(snapshot) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) if error.is_damage() || is_missing(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn top(history: &HostHistory, snapshot: &Snapshot) -> Result<Option<Dir>, Fault> {
    match history.tree(snapshot) {
        Ok(tree) => Ok(Some(tree.dir().try_clone()?)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_missing(error: &history::Error) -> bool {
    matches!(error, history::Error::Folder(error) if error.is_not_found())
}
