//! A content on its way into an archive: read and hashed as a whole, with a look at where its zeros are, then sent.

use std::io::Read;
use std::ops::Range;

use cli::Task;
use formats::ContentHash;

use super::header::BLOCK_BYTES;
use crate::file::fill_buffer;
use crate::{Held, Trouble};

/// Contents up to this are kept between the two; longer ones are read twice.
const KEPT_BYTES: u64 = 4 << 20;
const BUFFER_BYTES: usize = 1 << 20;
/// Runs of zeros are looked for in units of this.
const UNIT_BYTES: usize = 4_096;
/// Shorter runs of zeros are sent.
const HOLE_BYTES: u64 = 1 << 16;
/// With more pieces than this a file is sent with its zeros.
const RUNS_MAX: usize = 8_192;

/// How a content is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// All of it.
    Dense,
    /// These ranges; the rest is zeros.
    Sparse(Vec<Range<u64>>),
}

/// A content that was read to its end, and is what it should be.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) layout: Layout,
    kept: Option<Vec<u8>>,
}

impl Content {
    pub(super) fn examine(
        size: u64,
        expected: &ContentHash,
        held: &mut dyn Held,
        task: &Task,
    ) -> Result<Self, Trouble> {
        let mut kept = (size <= KEPT_BYTES).then(Vec::new);
        let mut runs = Runs::default();
        let whole = read(size, expected, held, &mut |bytes, at| {
            runs.look(bytes, at);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(bytes);
            }
            task.advance(bytes.len() as u64);
            Ok(())
        })?;
        if !whole {
            return Err(Trouble::Differs("its content is another"));
        }
        Ok(Content { layout: runs.layout(size), kept })
    }

    /// Sends what is to be sent; returns how much that was.
    pub(super) fn send(
        &self,
        size: u64,
        expected: &ContentHash,
        held: &mut dyn Held,
        to: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>,
    ) -> Result<u64, Trouble> {
        let all = [0..size];
        let runs = match &self.layout {
            Layout::Dense => &all[..],
            Layout::Sparse(runs) => runs.as_slice(),
        };
        let mut sent = 0;
        let mut pick = |bytes: &[u8], at: u64| {
            let here = at..at + bytes.len() as u64;
            let first = runs.partition_point(|run| run.end <= here.start);
            for run in runs.get(first..).unwrap_or_default().iter().take_while(|run| run.start < here.end) {
                let (start, end) = (run.start.max(here.start) - at, run.end.min(here.end) - at);
                let piece = bytes.get(start as usize..end as usize).unwrap_or_default();
                sent += piece.len() as u64;
                to(piece)?;
            }
            Ok(())
        };
        match &self.kept {
            Some(kept) => pick(kept, 0)?,
            None => match read(size, expected, held, &mut pick) {
                Ok(true) => {}
                // Its header and a part of it are out already.
                Ok(false) | Err(Trouble::Differs(_)) => {
                    let error = std::io::Error::other("a file was whole, and is not when it is read again");
                    return Err(Trouble::Fatal(cli::Failed::machine("reading the history", error)));
                }
                Err(trouble) => return Err(trouble),
            },
        }
        Ok(sent)
    }
}

/// Reads all of it, piece by piece; true if it is what it should be.
fn read(
    size: u64,
    expected: &ContentHash,
    held: &mut dyn Held,
    see: &mut dyn FnMut(&[u8], u64) -> Result<(), Trouble>,
) -> Result<bool, Trouble> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0u64;
    if size > 0 {
        let mut content = held.content()?.take(size.saturating_add(1));
        let mut buffer = vec![0; BUFFER_BYTES.min(usize::try_from(size).unwrap_or(BUFFER_BYTES))];
        loop {
            let read = fill_buffer(&mut content, &mut buffer)
                .map_err(|_| Trouble::Differs("its content cannot be read"))?;
            let bytes = buffer.get(..read).unwrap_or_default();
            if bytes.is_empty() || at + read as u64 > size {
                at += read as u64;
                break;
            }
            hasher.update(bytes);
            see(bytes, at)?;
            at += read as u64;
        }
    }
    Ok(at == size && hasher.finalize().as_bytes() == expected.as_bytes())
}

/// Where there is more than zeros.
#[derive(Debug, Default)]
struct Runs {
    runs: Vec<Range<u64>>,
    is_too_many: bool,
}

impl Runs {
    fn look(&mut self, bytes: &[u8], at: u64) {
        for (number, unit) in bytes.chunks(UNIT_BYTES).enumerate() {
            if unit.iter().all(|byte| *byte == 0) {
                continue;
            }
            let start = at + (number * UNIT_BYTES) as u64;
            let end = start + unit.len() as u64;
            let is_room = self.runs.len() < RUNS_MAX;
            match self.runs.last_mut() {
                Some(last) if start - last.end < HOLE_BYTES => last.end = end,
                None if start < HOLE_BYTES => self.runs.push(0..end),
                _ if is_room => self.runs.push(start..end),
                _ => self.is_too_many = true,
            }
        }
    }

    fn layout(self, size: u64) -> Layout {
        let data: u64 = self.runs.iter().map(|run| run.end - run.start).sum();
        if self.is_too_many || size - data < HOLE_BYTES { Layout::Dense } else { Layout::Sparse(self.runs) }
    }
}

/// The map of a file with holes: numbers in lines, in whole blocks.
pub(super) fn map(runs: &[Range<u64>], size: u64) -> Vec<u8> {
    // An empty piece at the end says how long the file is.
    let end = size..size;
    let pieces = || runs.iter().chain((runs.last().map(|run| run.end) != Some(size)).then_some(&end));
    let mut text = format!("{}\n", pieces().count());
    for piece in pieces() {
        text.push_str(&format!("{}\n{}\n", piece.start, piece.end - piece.start));
    }
    let mut map = text.into_bytes();
    map.resize(map.len().next_multiple_of(BLOCK_BYTES), 0);
    map
}
