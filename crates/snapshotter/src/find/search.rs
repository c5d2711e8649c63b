//! All manifests of a host looked through at once, and what is found put in order: path by path, and within one snapshot by snapshot.
//!
//! Manifests are in the order of their paths, so merging them takes one entry of each at a time, whatever a host has. Each thread merges its share; the
//! last step merges the threads. Snapshots with the same root have the same entries, and one manifest is read for all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;
use std::sync::mpsc::{IntoIter, SyncSender, sync_channel};
use std::thread::Scope;

use formats::{Body, Entry, Kind, Node, RelPath};
use history::Expander;

use super::Pattern;
use super::sheet::{Reading, Sheet};

/// Memory for what is read ahead of plain manifests, over all of them; a single one has no more and no less than this.
const BUFFERS_BYTES: usize = 64 << 20;
const BUFFER_BYTES_MAX: usize = 1 << 20;
const BUFFER_BYTES_MIN: usize = 32 << 10;
/// Finds that a thread is ahead, and how many are handed over at a time.
const AHEAD: usize = 8;
const BATCH: usize = 256;
/// Paths and targets in one batch.
const BATCH_BYTES: usize = 64 << 10;
const THREADS_MAX: usize = 8;

/// An entry that is wanted, and the sheet it stands on.
#[derive(Debug)]
pub(super) struct Find {
    pub(super) entry: Entry,
    pub(super) sheet: usize,
}

/// What is wrong with which sheet.
#[derive(Debug)]
pub(super) struct Torn {
    pub(super) sheet: usize,
    pub(super) source: formats::manifest::ManifestError,
}

type Message = Vec<Result<Find, Torn>>;

/// All that is found, in order. What is wrong with a sheet comes in between; nothing more comes from that one.
pub(super) struct Search {
    threads: Vec<Peekable<std::iter::Flatten<IntoIter<Message>>>>,
}

/// Starts the threads.
pub(super) fn search<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    sheets: Vec<Sheet>,
    pattern: &'env Pattern,
) -> Search {
    let count = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let buffer = (BUFFERS_BYTES / sheets.len().max(1)).clamp(BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
    let mut shares: Vec<Vec<Sheet>> = (0..count).map(|_| Vec::new()).collect();
    for (turn, sheet) in sheets.into_iter().enumerate() {
        if let Some(share) = shares.get_mut(turn % count) {
            share.push(sheet);
        }
    }
    let start = |share: Vec<Sheet>| {
        let (to, from) = sync_channel(AHEAD);
        scope.spawn(move || {
            let expander = Expander::default();
            Share { to, expander, batch: Vec::new(), batch_bytes: 0 }.merge(share, pattern, buffer);
        });
        from.into_iter().flatten().peekable()
    };
    Search { threads: shares.into_iter().filter(|share| !share.is_empty()).map(start).collect() }
}

impl Iterator for Search {
    type Item = Result<Find, Torn>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut first: Option<(usize, Option<(&RelPath, usize)>)> = None;
        for (index, thread) in self.threads.iter_mut().enumerate() {
            let place = match thread.peek() {
                None => continue,
                Some(Ok(find)) => Some((&find.entry.path, find.sheet)),
                Some(Err(_)) => None,
            };
            if first.as_ref().is_none_or(|(_, least)| place < *least) {
                first = Some((index, place));
            }
        }
        let index = first?.0;
        self.threads.get_mut(index)?.next()
    }
}

/// One thread's share.
struct Share {
    to: SyncSender<Message>,
    expander: Expander,
    batch: Message,
    batch_bytes: usize,
}

/// The receiver is gone: nobody wants to know more.
struct Gone;

/// An entry in the heap, least path first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    path: RelPath,
    sheet: usize,
    place: usize,
}

impl Share {
    fn merge(mut self, sheets: Vec<Sheet>, pattern: &Pattern, buffer: usize) {
        // Only who asked can be gone, and then nobody is left to be told.
        let _ = self.try_merge(sheets, pattern, buffer);
    }

    fn try_merge(&mut self, sheets: Vec<Sheet>, pattern: &Pattern, buffer: usize) -> Result<(), Gone> {
        let mut open: Vec<Option<Open>> = Vec::new();
        let mut heap = BinaryHeap::new();
        for (place, sheet) in sheets.into_iter().enumerate() {
            let number = sheet.number;
            match Reading::open(sheet.file, buffer) {
                Ok(reading) => open.push(Some(Open { reading, number, entries: sheet.entries, next: None })),
                Err(source) => {
                    open.push(None);
                    self.send(Err(Torn { sheet: number, source }))?;
                }
            }
            self.advance(&mut open, place, pattern, &mut heap)?;
        }
        while let Some(Reverse(Waiting { place, sheet, .. })) = heap.pop() {
            if let Some(entry) =
                open.get_mut(place).and_then(Option::as_mut).and_then(|open| open.next.take())
            {
                self.send(Ok(Find { entry, sheet }))?;
            }
            self.advance(&mut open, place, pattern, &mut heap)?;
        }
        self.flush()
    }

    /// Looks for the next entry of one sheet. A sheet that is through is closed, so that its buffer is free.
    fn advance(
        &mut self,
        open: &mut [Option<Open>],
        place: usize,
        pattern: &Pattern,
        heap: &mut BinaryHeap<Reverse<Waiting>>,
    ) -> Result<(), Gone> {
        let Some(slot) = open.get_mut(place) else { return Ok(()) };
        let Some(sheet) = slot else { return Ok(()) };
        let next = loop {
            match sheet.reading.next(&mut self.expander, pattern) {
                Ok(Some(entry)) if !pattern.takes(&entry) => {}
                next => break next,
            }
        };
        let torn = match next {
            Ok(Some(entry)) => {
                heap.push(Reverse(Waiting { path: entry.path.clone(), sheet: sheet.number, place }));
                sheet.next = Some(entry);
                return Ok(());
            }
            Ok(None) if sheet.reading.entries() == sheet.entries => None,
            Ok(None) => {
                Some(formats::manifest::ManifestError::End("number of entries is not that of the log"))
            }
            Err(source) => Some(source),
        };
        let number = sheet.number;
        *slot = None;
        torn.map_or(Ok(()), |source| self.send(Err(Torn { sheet: number, source })))
    }

    fn send(&mut self, one: Result<Find, Torn>) -> Result<(), Gone> {
        self.batch_bytes += one.as_ref().map_or(0, |find| text_bytes(&find.entry));
        self.batch.push(one);
        if self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Gone> {
        self.batch_bytes = 0;
        self.to.send(std::mem::take(&mut self.batch)).map_err(|_| Gone)
    }
}

/// How long its path and what it links to are.
fn text_bytes(entry: &Entry) -> usize {
    let target = match &entry.body {
        Body::Link(first) => first.as_bytes().len(),
        Body::Node(Node { kind: Kind::Symlink { target }, .. }) => target.len(),
        Body::Node(_) => 0,
    };
    entry.path.as_bytes().len() + target
}

struct Open {
    reading: Reading,
    number: usize,
    entries: u64,
    next: Option<Entry>,
}
