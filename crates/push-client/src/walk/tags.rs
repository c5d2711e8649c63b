//! Folders whose content is left out because of a file in them.

use std::io::Read;
use std::os::fd::AsFd;

use rustix::io::Errno;

use super::facts::{Facts, FileKind, Freshness};
use super::open::open_file;

/// The name of the tag, and what its file begins with: <https://bford.info/cachedir/>.
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886e3e1d7a";

/// What of a folder's own files leaves out the rest of it.
#[derive(Debug, Clone, Default)]
pub struct Tags {
    /// Caches that say so.
    pub caches: Caches,
    /// Names whose presence is enough.
    pub markers: Vec<Vec<u8>>,
}

/// What is done with folders that hold a CACHEDIR.TAG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Caches {
    /// They are as all others.
    #[default]
    Take,
    /// Their content is left out.
    Leave,
}

impl Tags {
    /// The name among `names`, sorted, that leaves out all others of this folder.
    pub(super) fn of<'a>(&'a self, folder: impl AsFd, names: &[Vec<u8>]) -> Option<&'a [u8]> {
        let is_there = |name: &[u8]| names.binary_search_by(|own| own.as_slice().cmp(name)).is_ok();
        if let Some(marker) = self.markers.iter().find(|marker| is_there(marker)) {
            return Some(marker);
        }
        let is_cache = self.caches == Caches::Leave && is_there(CACHE_TAG) && is_signed(&folder);
        is_cache.then_some(CACHE_TAG)
    }
}

/// Whether the tag is a file with the signature. One that cannot be read is none: then too much is pushed, not too little.
fn is_signed(folder: &impl AsFd) -> bool {
    let read = || -> Result<[u8; CACHE_SIGNATURE.len()], Errno> {
        let facts = Facts::of_name(folder, CACHE_TAG, Freshness::Cached)?;
        if facts.kind != FileKind::File {
            return Err(Errno::INVAL);
        }
        let mut file = open_file(folder, CACHE_TAG, &facts)?;
        // It may be another one by now, and one that is read byte by byte from somebody who never ends.
        if Facts::of_open(&file)?.kind != FileKind::File {
            return Err(Errno::INVAL);
        }
        let mut start = [0; CACHE_SIGNATURE.len()];
        file.read_exact(&mut start).map_err(|_| Errno::IO)?;
        Ok(start)
    };
    read().is_ok_and(|start| start == *CACHE_SIGNATURE)
}
