//! A snapshot of the history as what is restored from.

use std::io::Read;

use cli::Failed;
use durable::Name;
use formats::{ContentHash, Entry, Kind, RelPath};
use history::{HostHistory, Log, Manifest, Redactions, Snapshot};
use restore::{Entries, Held, Source};
use rustix::io::Errno;

use crate::stack::Stack;
use crate::trouble::Trouble;

/// The manifest of a snapshot. Each walk proves it anew: by its own root, and that this is the root in the log.
pub(super) struct Listed<'a> {
    pub(super) place: &'a HostHistory,
    pub(super) snapshot: &'a Snapshot,
}

impl Source for Listed<'_> {
    fn entries(&self) -> Result<Entries<'_>, Failed> {
        let manifest =
            self.place.open_manifest(self.snapshot).map_err(Trouble::history(self.place.host()))?;
        Ok(Box::new(Walk { listed: self, manifest }))
    }
}

struct Walk<'a> {
    listed: &'a Listed<'a>,
    manifest: Manifest,
}

impl Iterator for Walk<'_> {
    type Item = Result<Entry, Failed>;

    fn next(&mut self) -> Option<Self::Item> {
        let Listed { place, snapshot } = *self.listed;
        match self.manifest.next() {
            Some(Ok(entry)) => Some(Ok(entry)),
            Some(Err(source)) => {
                let error = history::Error::Manifest { name: snapshot.name.to_string(), source };
                Some(Err(Trouble::history(place.host())(error).into()))
            }
            None => match self.manifest.summary() {
                Some(sum) if sum.root == snapshot.root && sum.entries == snapshot.entries => None,
                _ => Some(Err(Trouble::OtherManifest { snapshot: snapshot.name.to_string() }.into())),
            },
        }
    }
}

/// One name in the tree of the snapshot.
pub(super) struct InTree<'a> {
    pub(super) files: &'a mut Stack,
    pub(super) path: &'a RelPath,
    pub(super) gone: &'a Gone,
}

/// What was redacted from the snapshot. Whatever lies there, it is not handed out.
pub(super) struct Gone {
    redactions: Redactions,
    sequence: u64,
}

impl Gone {
    pub(super) fn from(log: &Log, snapshot: &Snapshot) -> Self {
        Self { redactions: log.redacted().clone(), sequence: snapshot.sequence }
    }
}

impl Held for InTree<'_> {
    /// The manifest alone tells what a name is; of the tree only contents are used.
    fn differs(&self, _kind: &Kind) -> Option<&'static str> {
        None
    }

    fn content(&mut self, expected: &ContentHash) -> Result<Box<dyn Read + '_>, restore::Trouble> {
        if let Some(redacted) = self.gone.redactions.of(expected, self.gone.sequence) {
            let what = format!("it was redacted at {}", redacted.time);
            return Err(restore::Trouble::LeftOut(what));
        }
        let name = Name::new(self.path.file_name())?;
        let opened = self.files.folder(self.path.parent()).and_then(|folder| folder.open_read(name));
        match opened {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NOENT) => restore::Trouble::Differs("it is missing in the history"),
                None | Some(Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NXIO) => {
                    restore::Trouble::Differs("it is of another kind in the history")
                }
                Some(Errno::IO) => restore::Trouble::Differs("its content cannot be read"),
                Some(_) => error.into(),
            }),
        }
    }
}
