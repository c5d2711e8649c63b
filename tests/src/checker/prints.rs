//! Fingerprints of whole folders: what makes "nothing has changed here" a comparison of two values.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use rustix::fs::FileType;

use super::walk::{Seen, walk};
use super::{Breach, Invariant};

/// Contents of longer files are not compared: their sizes and times are, and no process can set a ctime.
const CONTENT_BYTES_MAX: i64 = 4 << 20;

/// How closely two states are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Bytes, modes, owners, inodes, link counts, mtimes and ctimes: nobody has even touched it.
    Untouched,
    /// The same, but for ctimes and the mtimes of folders: what was added for a moment is gone again.
    Unchanged,
    /// As before for all that was there; new names beside it and new links to it do not matter.
    Kept,
}

/// What one name was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Print {
    mode: u32,
    owner: (u32, u32),
    inode: (u64, u64),
    size: i64,
    links: u64,
    mtime: (i64, u64),
    ctime: (i64, u64),
    bytes: Vec<u8>,
}

/// A folder at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prints(BTreeMap<Vec<u8>, Print>);

impl Prints {
    /// Looks at `root` and all below it, except what `skip` says by relative path. Reading changes nothing that is compared.
    ///
    /// # Errors
    /// If something cannot be read.
    pub fn take(root: &Path, skip: &dyn Fn(&[u8]) -> bool) -> io::Result<Prints> {
        let mut all = BTreeMap::new();
        walk(root, &mut |seen| {
            if !skip(&seen.path) {
                all.insert(seen.path.clone(), Print::of(seen)?);
            }
            Ok(())
        })?;
        Ok(Prints(all))
    }

    /// How many names it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is different in `later`.
    #[must_use]
    pub fn changes(&self, later: &Prints, depth: Depth) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for (path, before) in &self.0 {
            match later.0.get(path) {
                None => breaches.push(Breach::at(Invariant::Immutable, path, "is gone")),
                Some(after) if before.seen_at(depth) != after.seen_at(depth) => {
                    breaches.push(Breach::at(
                        Invariant::Immutable,
                        path,
                        format!("was {before:?}, is {after:?}"),
                    ));
                }
                Some(_) => {}
            }
        }
        if depth != Depth::Kept {
            let new = later.0.keys().filter(|path| !self.0.contains_key(*path));
            breaches.extend(new.map(|path| Breach::at(Invariant::Immutable, path, "is new")));
        }
        breaches
    }
}

impl Print {
    fn of(seen: &Seen) -> io::Result<Print> {
        let stat = &seen.stat;
        let bytes = match seen.kind() {
            FileType::RegularFile if stat.st_size <= CONTENT_BYTES_MAX => seen.content()?.1.to_vec(),
            FileType::Symlink => seen.target()?,
            _ => Vec::new(),
        };
        Ok(Print {
            mode: stat.st_mode,
            owner: (stat.st_uid, stat.st_gid),
            inode: seen.inode(),
            size: stat.st_size,
            links: stat.st_nlink,
            mtime: (stat.st_mtime, stat.st_mtime_nsec),
            ctime: (stat.st_ctime, stat.st_ctime_nsec),
            bytes,
        })
    }

    /// What counts at this depth.
    fn seen_at(&self, depth: Depth) -> Print {
        let mut print = self.clone();
        if depth != Depth::Untouched {
            print.ctime = (0, 0);
            if FileType::from_raw_mode(print.mode) == FileType::Directory {
                // A folder that grew for a moment keeps its larger size.
                (print.mtime, print.size) = ((0, 0), 0);
            }
        }
        if depth == Depth::Kept {
            print.links = 0;
        }
        print
    }
}
