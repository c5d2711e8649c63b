//! What turns one manifest into the next: the list a push carries. Both ways are a merge of two sorted streams, so memory stays flat.

use std::cmp::Ordering;
use std::iter::Peekable;

use crate::cursor::{Cursor, Malformed, malformed};
use crate::entry::{Entry, take_path};
use crate::limits::ENTRY_BYTES;
use crate::path::RelPath;

/// One difference between two manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// This entry is new or replaces the one of the same path.
    Put(Entry),
    /// The base's entry of this path is gone.
    Remove(RelPath),
}

impl Change {
    /// The path it is about.
    pub fn path(&self) -> &RelPath {
        match self {
            Change::Put(entry) => &entry.path,
            Change::Remove(path) => path,
        }
    }

    /// Appends the layout of docs/formats/manifest.md.
    pub fn encode(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        match self {
            Change::Put(entry) => {
                to.push(1);
                let place = to.len();
                to.extend_from_slice(&[0; 4]);
                entry.encode(to)?;
                let length = u32::try_from(to.len() - place - 4).or(malformed("entry: too long"))?;
                if let Some(head) = to.get_mut(place..place + 4) {
                    head.copy_from_slice(&length.to_le_bytes());
                }
            }
            Change::Remove(path) => {
                to.push(2);
                let length = u16::try_from(path.as_bytes().len()).or(malformed("path"))?;
                to.extend_from_slice(&length.to_le_bytes());
                to.extend_from_slice(path.as_bytes());
            }
        }
        Ok(())
    }

    /// Reads the next change.
    pub fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        match from.u8("change")? {
            1 => {
                let length = from.u32("entry length")? as usize;
                if length > ENTRY_BYTES {
                    return malformed("entry: too long");
                }
                Ok(Change::Put(Entry::decode(from.bytes(length, "entry")?)?))
            }
            2 => Ok(Change::Remove(take_path(from, "removed path")?)),
            _ => malformed("change"),
        }
    }
}

/// Why changes cannot be found or applied; `E` is what the streams below fail with.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError<E> {
    /// One of the two streams failed.
    #[error(transparent)]
    Stream(E),
    /// The list is not one that [`diff`] would make for this base.
    #[error("change of {path}: {rule}")]
    Rule {
        /// The path it is about.
        path: RelPath,
        /// What is wrong.
        rule: &'static str,
    },
}

/// What one step of applying yields: what is at a path in the new manifest and what was there in the base, where they are not both without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// As in the base.
    Kept(Entry),
    /// From the list of changes, replacing the base's entry, if there is one.
    Put {
        /// The new entry.
        entry: Entry,
        /// What the base had at this path.
        before: Option<Entry>,
    },
    /// The base had it.
    Removed(Entry),
}

impl Applied {
    /// The entry of the new manifest, wherever it comes from; none if it was removed.
    pub fn entry(&self) -> Option<&Entry> {
        match self {
            Applied::Kept(entry) | Applied::Put { entry, .. } => Some(entry),
            Applied::Removed(_) => None,
        }
    }

    /// The base's entry of the same path.
    pub fn before(&self) -> Option<&Entry> {
        match self {
            Applied::Kept(entry) | Applied::Removed(entry) => Some(entry),
            Applied::Put { before, .. } => before.as_ref(),
        }
    }
}

/// The changes that turn `base` into `new`. Both must be in the order of manifests.
pub fn diff<E>(
    base: impl Iterator<Item = Result<Entry, E>>,
    new: impl Iterator<Item = Result<Entry, E>>,
) -> impl Iterator<Item = Result<Change, E>> {
    let (mut base, mut new) = (base.peekable(), new.peekable());
    std::iter::from_fn(move || {
        loop {
            match order(&mut base, &mut new, |b| &b.path, |n| &n.path) {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some(Ordering::Less)) => return base.next().map(|b| b.map(|b| Change::Remove(b.path))),
                Ok(Some(Ordering::Greater)) => return new.next().map(|n| n.map(Change::Put)),
                Ok(Some(Ordering::Equal)) => match (base.next(), new.next()) {
                    (Some(Ok(b)), Some(Ok(n))) if b == n => {}
                    (_, Some(n)) => return Some(n.map(Change::Put)),
                    (_, None) => return None,
                },
            }
        }
    })
}

/// The manifest that results from `changes` on `base`, and what is removed, in one order. Refuses changes out of order, puts that change nothing and
/// removes of nothing.
pub fn apply<E>(
    base: impl Iterator<Item = Result<Entry, E>>,
    changes: impl Iterator<Item = Result<Change, E>>,
) -> impl Iterator<Item = Result<Applied, ChangeError<E>>> {
    let (mut base, mut changes) = (base.peekable(), changes.peekable());
    let mut last: Option<RelPath> = None;
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let step = apply_step(&mut base, &mut changes, &mut last).transpose();
        done = !matches!(step, Some(Ok(_)));
        step
    })
}

fn apply_step<E, B, C>(
    base: &mut Peekable<B>,
    changes: &mut Peekable<C>,
    last: &mut Option<RelPath>,
) -> Result<Option<Applied>, ChangeError<E>>
where
    B: Iterator<Item = Result<Entry, E>>,
    C: Iterator<Item = Result<Change, E>>,
{
    let which = order(base, changes, |b| &b.path, Change::path).map_err(ChangeError::Stream)?;
    let before = match which {
        None => return Ok(None),
        Some(Ordering::Less) => {
            let kept = base.next().transpose().map_err(ChangeError::Stream)?;
            return Ok(kept.map(Applied::Kept));
        }
        Some(Ordering::Equal) => base.next().transpose().map_err(ChangeError::Stream)?,
        Some(Ordering::Greater) => None,
    };
    let Some(change) = changes.next().transpose().map_err(ChangeError::Stream)? else {
        return Ok(None);
    };
    let path = change.path().clone();
    if last.as_ref().is_some_and(|last| *last >= path) {
        return Err(ChangeError::Rule { path, rule: "changes must ascend" });
    }
    *last = Some(path.clone());
    match (change, before) {
        (Change::Put(entry), Some(before)) if before == entry => {
            Err(ChangeError::Rule { path, rule: "puts what is there" })
        }
        (Change::Put(entry), before) => Ok(Some(Applied::Put { entry, before })),
        (Change::Remove(_), Some(before)) => Ok(Some(Applied::Removed(before))),
        (Change::Remove(_), None) => Err(ChangeError::Rule { path, rule: "removes what is not there" }),
    }
}

/// Which stream has the lower path next; an error of either comes out first.
fn order<A, B, E>(
    a: &mut Peekable<impl Iterator<Item = Result<A, E>>>,
    b: &mut Peekable<impl Iterator<Item = Result<B, E>>>,
    path_a: impl Fn(&A) -> &RelPath,
    path_b: impl Fn(&B) -> &RelPath,
) -> Result<Option<Ordering>, E> {
    if let Some(Err(error)) = a.next_if(Result::is_err) {
        return Err(error);
    }
    if let Some(Err(error)) = b.next_if(Result::is_err) {
        return Err(error);
    }
    Ok(match (a.peek(), b.peek()) {
        (Some(Ok(x)), Some(Ok(y))) => Some(path_a(x).cmp(path_b(y))),
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        _ => None,
    })
}
