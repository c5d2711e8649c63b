//! Two manifests side by side: what of the old one is not as it was.

use std::collections::HashSet;

use formats::entry::{Body, Entry, Kind, Node};
use formats::records::log::{Measured, Tripped};
use formats::{ContentHash, RelPath};

use super::endings::{Endings, Often};
use super::loose::Loose;
use super::noise;
use super::sample::{Random, Sample};
use crate::find::Pattern;

/// What has less than this part of its size left has shrunk.
const SHRUNKEN_PART: u64 = 4;
/// A file below that cannot shrink much.
const SHRUNKEN_BYTES: u64 = 64;

/// A regular file: its size and content.
type File = (u64, ContentHash);

/// What a file had that it does not have any more.
#[derive(Debug, Clone)]
struct Lost {
    path: RelPath,
    content: ContentHash,
}

/// A file that has other bytes: its path, its old content, its old and its new size.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) path: RelPath,
    pub(crate) was: ContentHash,
    pub(crate) sizes: (u64, u64),
}

/// Some of the files of one kind of loss, as they are found out.
type Losses = Sample<Lost>;

/// What is measured, entry by entry.
#[derive(Debug)]
pub(crate) struct Meter<'a> {
    canaries: &'a [Pattern],
    random: Random,
    files: u64,
    measurable: u64,
    changed: Losses,
    deleted: Losses,
    shrunken: Losses,
    pairs: Sample<Pair>,
    noisy: Vec<RelPath>,
    loose: Loose,
    endings: Endings,
    canary: (u64, Vec<RelPath>),
    /// Contents of samples that the host still has, somewhere.
    survived: HashSet<ContentHash>,
}

/// How many of how many, and some of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figure {
    pub(crate) found: u64,
    pub(crate) of: u64,
    pub(crate) paths: Vec<RelPath>,
}

/// Walks both, which are in the order of manifests.
pub(crate) fn compare<E>(
    meter: &mut Meter<'_>,
    mut old: impl Iterator<Item = Result<Entry, E>>,
    mut new: impl Iterator<Item = Result<Entry, E>>,
) -> Result<(), E> {
    let (mut before, mut after) = (old.next().transpose()?, new.next().transpose()?);
    loop {
        let order = match (&before, &after) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(before), Some(after)) => before.path.cmp(&after.path),
        };
        meter.take(before.as_ref().filter(|_| order.is_le()), after.as_ref().filter(|_| order.is_ge()));
        if order.is_le() {
            before = old.next().transpose()?;
        }
        if order.is_ge() {
            after = new.next().transpose()?;
        }
    }
    Ok(())
}

impl<'a> Meter<'a> {
    /// Nothing is measured yet. Samples are chosen by the seed, which no host may know.
    pub(crate) fn new(canaries: &'a [Pattern], seed: u64) -> Self {
        Self {
            canaries,
            random: Random::new(seed),
            files: 0,
            measurable: 0,
            changed: Sample::new(),
            deleted: Sample::new(),
            shrunken: Sample::new(),
            pairs: Sample::new(),
            noisy: Vec::new(),
            loose: Loose::default(),
            endings: Endings::default(),
            canary: (0, Vec::new()),
            survived: HashSet::new(),
        }
    }

    /// What was at one path, and what is: of all paths, in the order of manifests.
    pub(crate) fn take(&mut self, before: Option<&Entry>, after: Option<&Entry>) {
        if let Some(before) = before {
            self.canary(before, after);
        }
        match (before.and_then(file), after.and_then(file)) {
            (Some((path, was)), Some((_, is))) => {
                self.had(path, was);
                if was.1 != is.1 {
                    self.changed(path, was, is);
                }
            }
            (Some((path, was)), None) => {
                self.had(path, was);
                if !self.loose.gone(path.as_bytes()) {
                    self.deleted.offer(&mut self.random, || lost(path, was));
                }
            }
            (None, Some((path, _))) => {
                self.loose.came(path.as_bytes());
                self.endings.came(path);
            }
            (None, None) => {}
        }
    }

    fn had(&mut self, path: &RelPath, (size, _): File) {
        self.files = self.files.saturating_add(1);
        self.measurable = self.measurable.saturating_add(u64::from(size >= noise::LEAST_BYTES));
        self.endings.had(path);
    }

    fn changed(&mut self, path: &RelPath, was: File, is: File) {
        let random = &mut self.random;
        self.changed.offer(random, || lost(path, was));
        if was.0 >= SHRUNKEN_BYTES && is.0 < was.0 / SHRUNKEN_PART {
            self.shrunken.offer(random, || lost(path, was));
        }
        if was.0.min(is.0) >= noise::LEAST_BYTES {
            self.pairs.offer(random, || Pair { path: path.clone(), was: was.1, sizes: (was.0, is.0) });
        }
    }

    /// A canary may be touched in no way that changes what it is.
    fn canary(&mut self, before: &Entry, after: Option<&Entry>) {
        let is_same = after.is_some_and(|after| essence(before) == essence(after));
        if is_same || !self.canaries.iter().any(|pattern| pattern.wants(before.path.as_bytes())) {
            return;
        }
        let (count, paths) = &mut self.canary;
        *count = count.saturating_add(1);
        if paths.len() < Tripped::PATHS_MAX {
            paths.push(before.path.clone());
        }
    }

    /// Files that have other bytes, to be looked at for noise.
    pub(crate) fn pairs(&self) -> &[Pair] {
        self.pairs.kept()
    }

    /// Such a file has become noise.
    pub(crate) fn noisy(&mut self, path: RelPath) {
        self.noisy.push(path);
    }

    /// What the samples of lost files had: whoever finds it somewhere in the new manifest says so.
    pub(crate) fn wanted(&self) -> HashSet<ContentHash> {
        let all = [&self.changed, &self.deleted, &self.shrunken];
        all.into_iter().flat_map(|losses| losses.kept()).map(|lost| lost.content).collect()
    }

    /// These are still there: moved, rotated or renamed, but not lost.
    pub(crate) fn survived(&mut self, contents: HashSet<ContentHash>) {
        self.survived = contents;
    }

    /// What goes into the log.
    pub(crate) fn measured(&self) -> Measured {
        Measured {
            files: self.files,
            changed: self.changed.seen(),
            deleted: self.deleted.seen().saturating_add(self.loose.lost()),
            shrunken: self.shrunken.seen(),
            noise: self.noise().found,
        }
    }

    /// Files with other bytes, whose old ones are gone.
    pub(super) fn changed_files(&self) -> Figure {
        self.loss(&self.changed, 0)
    }

    /// Files that are gone, and their bytes with them.
    pub(super) fn deleted_files(&self) -> Figure {
        self.loss(&self.deleted, self.loose.lost())
    }

    /// Files that are much smaller, and their old bytes gone.
    pub(super) fn shrunken_files(&self) -> Figure {
        self.loss(&self.shrunken, 0)
    }

    /// Files that became noise, of those where that could be told.
    pub(super) fn noise(&self) -> Figure {
        let paths = self.noisy.iter().take(Tripped::PATHS_MAX).cloned().collect();
        Figure { found: self.pairs.of_all(self.noisy.len()), of: self.measurable, paths }
    }

    /// The ending that came most often and was never there.
    pub(super) fn ending(&self) -> Option<Often<'_>> {
        self.endings.most()
    }

    /// Canaries that were touched.
    pub(super) fn canary_files(&self) -> Figure {
        let (found, paths) = self.canary.clone();
        Figure { found, of: found, paths }
    }

    /// Of these, and of so many that went for good besides: nothing brings them back.
    fn loss(&self, losses: &Losses, besides: u64) -> Figure {
        let gone: Vec<&Lost> =
            losses.kept().iter().filter(|lost| !self.survived.contains(&lost.content)).collect();
        let found = losses.of_all(gone.len()).saturating_add(besides);
        let mut paths: Vec<RelPath> =
            gone.iter().take(Tripped::PATHS_MAX).map(|lost| lost.path.clone()).collect();
        paths.sort_unstable();
        Figure { found, of: self.files, paths }
    }
}

fn lost(path: &RelPath, (_, content): File) -> Lost {
    Lost { path: path.clone(), content }
}

/// The content of a regular file.
pub(crate) fn file(entry: &Entry) -> Option<(&RelPath, File)> {
    match &entry.body {
        Body::Node(Node { kind: Kind::File { size, content }, .. }) => Some((&entry.path, (*size, *content))),
        _ => None,
    }
}

/// What an entry is, without its owner, its mode and its time.
fn essence(entry: &Entry) -> Result<&Kind, &RelPath> {
    match &entry.body {
        Body::Node(node) => Ok(&node.kind),
        Body::Link(first) => Err(first),
    }
}
