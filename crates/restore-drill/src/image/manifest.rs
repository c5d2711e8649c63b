//! The manifests inside an image: brought out, checked against the ice's record, and kept aside to be walked.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};

use cli::{Exit, Failed, Failure};
use formats::manifest::ManifestError;
use formats::records::ice::IceSnapshot;
use formats::{Entry, ManifestReader};
use restore::{Differences, Entries, Source};

use super::layout::{manifest_path, reach};
use super::reader::{ImageError, ImageReader, Node};
use super::talk::Kind;
use crate::quarantine::Quarantine;

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("the image lacks the manifest of {snapshot}")]
    Missing { snapshot: String },
    #[error("the manifest of {snapshot} is damaged")]
    Damaged { snapshot: String, source: ManifestError },
    #[error("the manifest of {snapshot} is not the one that the record describes")]
    Other { snapshot: String },
    #[error("the manifest of {snapshot} could not be kept in the quarantine")]
    Keep { snapshot: String, source: io::Error },
    #[error("the manifest of {snapshot} was good, and cannot be read in the quarantine any more")]
    Lost { snapshot: String, source: ManifestError },
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl Failure for Unusable {
    fn exit(&self) -> Exit {
        match self {
            Unusable::Keep { .. } | Unusable::Lost { .. } => Exit::MACHINE,
            Unusable::Image(error) => error.exit(),
            _ => Exit::IMAGE_DIFFERS,
        }
    }
}

/// A manifest whose root and number of entries are those of the ice's record.
pub(crate) struct Manifest {
    /// Which snapshot it describes.
    pub(crate) snapshot: IceSnapshot,
    file: File,
}

impl Manifest {
    /// Takes the manifest of `snapshot` from the image, which must stand before it. Each entry is shown to `see` before the whole is known to be
    /// good: what it gathers counts only if this returns without an error.
    pub(crate) fn bring_out(
        image: &mut ImageReader,
        snapshot: &IceSnapshot,
        quarantine: &Quarantine,
        differences: &mut Differences,
        see: &mut dyn FnMut(&Entry),
    ) -> Result<Manifest, Failed> {
        let missing = || Unusable::Missing { snapshot: snapshot.name.clone() };
        if !reach(image, &manifest_path(snapshot), differences)? {
            return Err(missing().into());
        }
        match image.take()? {
            Some(Node { kind: Kind::File { .. }, .. }) => {}
            _ => return Err(missing().into()),
        }
        let file = quarantine.create(&format!("{}.manifest.partial", snapshot.name))?;
        let mut kept = Kept { from: image.content(), to: file, trouble: None };
        let read = check(snapshot, BufReader::new(&mut kept), see);
        let Kept { to: mut file, trouble, from: _ } = kept;
        let keep = |source| Unusable::Keep { snapshot: snapshot.name.clone(), source };
        match (trouble, read) {
            (Some(source), _) => return Err(keep(source).into()),
            (None, Ok(())) => {}
            (None, Err(error)) => {
                // If the reader of the image is gone, that is why, and says nothing about the manifest.
                if matches!(
                    error,
                    Unusable::Damaged { source: ManifestError::Io(_) | ManifestError::Squeezed(_), .. }
                ) {
                    image.peek()?;
                }
                return Err(error.into());
            }
        }
        file.rewind().map_err(keep)?;
        Ok(Manifest { snapshot: snapshot.clone(), file })
    }

    /// Its entries, from the first. Only one walk at a time: they share the place in the file.
    pub(crate) fn entries(&self) -> Result<ManifestReader<BufReader<File>>, Unusable> {
        let keep = |source| Unusable::Keep { snapshot: self.snapshot.name.clone(), source };
        let mut file = self.file.try_clone().map_err(keep)?;
        file.rewind().map_err(keep)?;
        ManifestReader::new(BufReader::with_capacity(1 << 18, file)).map_err(|source| self.lost(source))
    }

    /// What is wrong with it now, though it was good when it was brought out: this machine's disk.
    pub(crate) fn lost(&self, source: ManifestError) -> Unusable {
        Unusable::Lost { snapshot: self.snapshot.name.clone(), source }
    }
}

impl Source for Manifest {
    fn entries(&self) -> Result<Entries<'_>, Failed> {
        Ok(Box::new(Manifest::entries(self)?.map(|entry| Ok(entry.map_err(|source| self.lost(source))?))))
    }
}

fn check(snapshot: &IceSnapshot, from: impl Read, see: &mut dyn FnMut(&Entry)) -> Result<(), Unusable> {
    let damaged = |source| Unusable::Damaged { snapshot: snapshot.name.clone(), source };
    let other = || Unusable::Other { snapshot: snapshot.name.clone() };
    let mut reader = ManifestReader::new(from).map_err(damaged)?;
    for (number, entry) in (&mut reader).enumerate() {
        // Stops a manifest that grows without end before it fills the quarantine.
        if number as u64 >= snapshot.entries {
            return Err(other());
        }
        see(&entry.map_err(damaged)?);
    }
    match reader.summary() {
        Some(summary) if summary.root == snapshot.root && summary.entries == snapshot.entries => Ok(()),
        _ => Err(other()),
    }
}

/// Passes bytes on and keeps a copy of them.
struct Kept<R> {
    from: R,
    to: File,
    trouble: Option<io::Error>,
}

impl<R: Read> Read for Kept<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        if let Err(error) = self.to.write_all(buffer.get(..read).unwrap_or_default()) {
            self.trouble = Some(error);
            return Err(io::ErrorKind::Other.into());
        }
        Ok(read)
    }
}
