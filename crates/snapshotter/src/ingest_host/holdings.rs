//! The contents of the base, sorted, for the receiver to answer offers from (docs/formats/holdings.md). It spares a host that lost its state the
//! sending of what is here already; nothing depends on it, so where it cannot be made it is not there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

use durable::{Dir, Name};
use formats::entry::Entry;
use formats::holdings::{HASH_BYTES, Head};
use formats::{ContentHash, Root};
use history::{HostHistory, Log, Snapshot};

use super::base::content_of;

const HOLDINGS: Name<'static> = Name::literal("holdings");
const MODE: u32 = 0o640;
/// So many hashes are sorted at a time: 32 MiB. Of more, the sorted runs are merged.
const RUN_HASHES: usize = 1 << 20;
const WRITE_BYTES: usize = 256 * 1024;
/// Hashes of a run that are read at a time while runs are merged.
const READ_HASHES: usize = 512;

/// So many contents of a snapshot are kept in memory while it is made: 8 MiB. Of more, its manifest is read again.
const GATHERED_MAX: usize = 1 << 18;

type Hash = [u8; HASH_BYTES];

/// The contents of a snapshot that was made just now.
#[derive(Debug)]
pub(crate) struct Gathered {
    root: Root,
    hashes: Vec<Hash>,
}

/// Gathers them, until they are too many.
#[derive(Debug)]
pub(crate) struct Gathering(Option<Vec<Hash>>);

impl Gathering {
    pub(crate) fn new() -> Self {
        Self(Some(Vec::new()))
    }

    pub(crate) fn take(&mut self, entry: &Entry) {
        let Some(content) = content_of(entry) else { return };
        match &mut self.0 {
            Some(hashes) if hashes.len() < GATHERED_MAX => hashes.push(*content.hash.as_bytes()),
            hashes => *hashes = None,
        }
    }

    pub(crate) fn finish(self, root: Root) -> Option<Gathered> {
        self.0.map(|hashes| Gathered { root, hashes })
    }
}

/// Sees to it that the list is that of the base by this log, and that there is none without one, or where it would take of the `reserve_bytes`.
/// After an error there is none, if that is possible; one of another base is of no use, and not believed. Where its contents are not `gathered`,
/// its manifest is read.
pub(crate) fn publish(
    state: &Dir,
    history: &HostHistory,
    log: &Log,
    gathered: Option<Gathered>,
    reserve_bytes: u64,
) -> io::Result<()> {
    let Some(base) = log.base().and_then(|root| log.by_root(root)) else { return remove(state) };
    if is_there(state, base) {
        return Ok(());
    }
    // The list, and the runs that it may be made of.
    let needed_bytes = base.entries.saturating_mul(2 * HASH_BYTES as u64).saturating_add(reserve_bytes);
    if state.free_bytes()? < needed_bytes {
        return remove(state);
    }
    match write(state, history, (log, base), gathered) {
        Ok(Made::List) => Ok(()),
        Ok(Made::Nothing) => remove(state),
        Err(error) => {
            let removed = remove(state);
            if is_full(&error) { removed } else { Err(error) }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    List,
    /// The manifest cannot be read: whoever builds on it finds out, and says so.
    Nothing,
}

/// Takes the list away.
pub(crate) fn remove(state: &Dir) -> io::Result<()> {
    match state.unlink(HOLDINGS) {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

/// A whole list of this base, as far as head, length and end tell.
fn is_there(state: &Dir, base: &Snapshot) -> bool {
    let head = || -> Option<Head> {
        let file = state.open_read(HOLDINGS).ok()?;
        let bytes = file.metadata().ok()?.len();
        Head::read(bytes, |to, offset| file.read_exact_at(to, offset))
    };
    head().is_some_and(|head| head.root == base.root)
}

fn write(
    state: &Dir,
    history: &HostHistory,
    (log, base): (&Log, &Snapshot),
    gathered: Option<Gathered>,
) -> io::Result<Made> {
    let spill = state.begin_whole(MODE)?;
    let mut runs = Runs { to: spill.file(), hashes: Vec::new(), ends: Vec::new() };
    // What was redacted is not had: a host that has it sends it, as it would something new.
    let is_had = |hash: &ContentHash| log.redacted().of(hash, base.sequence).is_none();
    match gathered.filter(|gathered| gathered.root == base.root) {
        Some(Gathered { hashes, .. }) => {
            runs.hashes = hashes;
            runs.hashes.retain(|hash| is_had(&ContentHash::from_bytes(*hash)));
        }
        None => {
            let Ok(manifest) = history.open_manifest(base) else { return Ok(Made::Nothing) };
            for entry in manifest {
                let Ok(entry) = entry else { return Ok(Made::Nothing) };
                if let Some(content) = content_of(&entry).filter(|content| is_had(&content.hash)) {
                    runs.push(*content.hash.as_bytes())?;
                }
            }
        }
    }
    let list = state.begin_whole(MODE)?;
    let mut to = List { to: BufWriter::with_capacity(WRITE_BYTES, list.file()), last: None, count: 0 };
    to.begin(base).and_then(|()| runs.merge(|hash| to.push(hash)))?;
    to.finish(base)?;
    drop(spill);
    list.place(HOLDINGS)?;
    Ok(Made::List)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Hashes in any order, that come out sorted.
struct Runs<'a> {
    /// Sorted runs, one behind the other.
    to: &'a File,
    hashes: Vec<Hash>,
    /// Where each run in the file ends, in hashes.
    ends: Vec<u64>,
}

impl Runs<'_> {
    fn push(&mut self, hash: Hash) -> io::Result<()> {
        if self.hashes.len() == RUN_HASHES {
            self.spill()?;
        }
        self.hashes.push(hash);
        Ok(())
    }

    fn sort(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
    }

    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        let start = self.ends.last().copied().unwrap_or(0);
        self.to.write_all_at(self.hashes.as_flattened(), start * HASH_BYTES as u64)?;
        self.ends.push(start + self.hashes.len() as u64);
        self.hashes.clear();
        Ok(())
    }

    /// Hands all of them out, ascending; some more than once.
    fn merge(mut self, mut take: impl FnMut(&Hash) -> io::Result<()>) -> io::Result<()> {
        if self.ends.is_empty() {
            self.sort();
            return self.hashes.iter().try_for_each(take);
        }
        self.spill()?;
        self.hashes = Vec::new();
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut runs: Vec<_> = starts.zip(&self.ends).map(|(at, end)| Run::new(self.to, at, *end)).collect();
        let mut next = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            next.extend(run.next()?.map(|hash| Reverse((hash, number))));
        }
        while let Some(Reverse((hash, number))) = next.pop() {
            take(&hash)?;
            let run = runs.get_mut(number).map(Run::next).transpose()?.flatten();
            next.extend(run.map(|hash| Reverse((hash, number))));
        }
        Ok(())
    }
}

/// One sorted run, read piece by piece.
struct Run<'a> {
    from: &'a File,
    at: u64,
    end: u64,
    piece: std::vec::IntoIter<Hash>,
}

impl<'a> Run<'a> {
    fn new(from: &'a File, at: u64, end: u64) -> Self {
        Self { from, at, end, piece: Vec::new().into_iter() }
    }

    fn next(&mut self) -> io::Result<Option<Hash>> {
        if let Some(hash) = self.piece.next() {
            return Ok(Some(hash));
        }
        let count = usize::try_from(self.end - self.at).unwrap_or(READ_HASHES).min(READ_HASHES);
        let mut piece = vec![[0; HASH_BYTES]; count];
        self.from.read_exact_at(piece.as_flattened_mut(), self.at * HASH_BYTES as u64)?;
        self.at += count as u64;
        self.piece = piece.into_iter();
        Ok(self.piece.next())
    }
}

/// The list in the making.
struct List<'a> {
    to: BufWriter<&'a File>,
    last: Option<Hash>,
    count: u64,
}

impl List<'_> {
    /// How many there are is known at the end.
    fn begin(&mut self, base: &Snapshot) -> io::Result<()> {
        self.to.write_all(&Head { root: base.root, count: 0 }.encode())
    }

    fn push(&mut self, hash: &Hash) -> io::Result<()> {
        if self.last.as_ref() == Some(hash) {
            return Ok(());
        }
        self.last = Some(*hash);
        self.count += 1;
        self.to.write_all(hash)
    }

    fn finish(mut self, base: &Snapshot) -> io::Result<()> {
        self.to.write_all(base.root.as_bytes())?;
        let file = self.to.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.write_all_at(&Head { root: base.root, count: self.count }.encode(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> Hash {
        *blake3::hash(&number.to_le_bytes()).as_bytes()
    }

    #[test]
    fn hashes_come_out_sorted_however_many_there_are() {
        for count in [0, 1, 1_000, RUN_HASHES as u64, RUN_HASHES as u64 * 2 + 777] {
            let scratch = tempfile::tempfile().unwrap();
            let mut runs = Runs { to: &scratch, hashes: Vec::new(), ends: Vec::new() };
            // Every third comes again, far from the first time.
            (0..count).chain((0..count).step_by(3)).for_each(|n| runs.push(hash(n)).unwrap());
            let mut found = Vec::new();
            runs.merge(|hash| {
                found.push(*hash);
                Ok(())
            })
            .unwrap();
            assert!(found.is_sorted());
            found.dedup();
            assert_eq!(found.len() as u64, count);
        }
    }
}
