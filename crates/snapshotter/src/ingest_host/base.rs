//! The snapshot that a push builds on: its manifest, its files, and where its contents lie.

use std::sync::{Arc, Mutex, PoisonError};

use durable::Dir;

use formats::RelPath;
use formats::entry::{Body, Entry, Kind, Node};
use formats::session::Code;
use history::{HostHistory, Log, Manifest, Snapshot};

use super::changes::Changes;
use super::fault::Fault;
use super::moved::Moved;
use super::room::Room;
use super::shelves::Content;

/// The base of a push.
#[derive(Debug)]
pub(crate) struct Base<'a> {
    history: &'a HostHistory,
    snapshot: &'a Snapshot,
    top: Dir,
    moved: Mutex<Option<Arc<Moved>>>,
    log: Option<&'a Log>,
}

impl<'a> Base<'a> {
    /// Opens it. What is missing is the base's fault.
    pub(crate) fn open(history: &'a HostHistory, snapshot: &'a Snapshot) -> Result<Self, Fault> {
        let missing = |error: history::Error| match error {
            history::Error::Folder(error) if error.is_not_found() => {
                Fault::Base(format!("files of snapshot {} are missing", snapshot.name))
            }
            error => Fault::from(error),
        };
        let tree = history.tree(snapshot).map_err(missing)?;
        Ok(Self { history, snapshot, top: tree.dir().try_clone()?, moved: Mutex::new(None), log: None })
    }

    /// The same, without the contents that it has lost by this log, or that were redacted, whatever it has for them.
    pub(crate) fn without_lost(self, log: &'a Log) -> Self {
        Self { log: Some(log), ..self }
    }

    /// It has lost this content, or must not have it: who needs it has to bring it.
    pub(crate) fn has_lost(&self, content: Content) -> bool {
        self.log.is_some_and(|log| log.lacks(&content.hash, self.snapshot.sequence))
    }

    /// The top folder of its files.
    pub(crate) fn top(&self) -> &Dir {
        &self.top
    }

    /// Its entries. Ends in an error if they are not, all in all, what the log says.
    pub(crate) fn entries(&self) -> Result<BaseEntries, Fault> {
        let manifest = self.history.open_manifest(self.snapshot).map_err(|error| match error {
            history::Error::Manifest { source, .. } => Fault::base_manifest(source),
            history::Error::Folder(error) if error.is_not_found() => {
                Fault::Base(format!("the manifest of snapshot {} is missing", self.snapshot.name))
            }
            error => Fault::from(error),
        })?;
        Ok(BaseEntries { manifest, expected: self.snapshot.clone(), done: false })
    }

    /// Where the base has a file of this content, if it does. Reads the base's manifest once, at the first call, and keeps only what `changes` can
    /// ask for, in the folder `dir`.
    pub(crate) fn find(
        &self,
        content: Content,
        changes: &Changes,
        dir: &Dir,
        room: &Room<'_>,
    ) -> Result<Option<RelPath>, Fault> {
        self.moved(changes, dir, room)?.find(content)
    }

    fn moved(&self, changes: &Changes, dir: &Dir, room: &Room<'_>) -> Result<Arc<Moved>, Fault> {
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(moved) = &*moved {
            return Ok(Arc::clone(moved));
        }
        let located = Moved::locate(changes.reader()?, self.entries()?, dir, room)?;
        Ok(Arc::clone(moved.insert(Arc::new(located))))
    }

    /// Before a push is blamed for what it took from this file: is it the file that the base should have there?
    pub(crate) fn prove_file(&self, path: &RelPath) -> Result<(), Fault> {
        for entry in self.entries()? {
            let entry = entry?;
            let Some(content) = content_of(&entry).filter(|_| entry.path == *path) else { continue };
            if self.has_lost(content) {
                return Err(Fault::Push(Code::MissingContent));
            }
            let damaged =
                || Fault::Base(format!("the file {} of the base is damaged", cli::shown(path.as_bytes())));
            let file = self.top.open_read_beneath(path.as_bytes()).map_err(|_| damaged())?;
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(&file).map_err(Fault::stream("reading a file of the base"))?;
            if hasher.count() != content.size || hasher.finalize().as_bytes() != content.hash.as_bytes() {
                return Err(damaged());
            }
        }
        Ok(())
    }
}

/// The content of a regular file.
pub(crate) fn content_of(entry: &Entry) -> Option<Content> {
    match &entry.body {
        Body::Node(Node { kind: Kind::File { size, content }, .. }) => {
            Some(Content { hash: *content, size: *size })
        }
        _ => None,
    }
}

/// The entries of a base, in order.
#[derive(Debug)]
pub(crate) struct BaseEntries {
    manifest: Manifest,
    expected: Snapshot,
    done: bool,
}

impl Iterator for BaseEntries {
    type Item = Result<Entry, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        match self.manifest.next() {
            Some(entry) => Some(entry.map_err(Fault::base_manifest)),
            None => {
                self.done = true;
                let sum = self.manifest.summary();
                let whole = sum.is_some_and(|sum| {
                    sum.root == self.expected.root && sum.entries == self.expected.entries
                });
                (!whole).then(|| {
                    Err(Fault::Base(format!("the manifest of {} is another one", self.expected.name)))
                })
            }
        }
    }
}
