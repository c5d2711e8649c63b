//! One manifest that is looked through, in whichever form it is kept.

use std::collections::VecDeque;
use std::fs::File;

use formats::glance::Glance;
use formats::manifest::ManifestError;
use formats::pages::Pages;
use formats::{Body, Entry};
use history::{Blocks, Expander, Stored};

use super::Pattern;

/// One manifest to look through.
pub(super) struct Sheet {
    /// Its number: what is found names it.
    pub(super) number: usize,
    pub(super) file: File,
    /// How many entries the log says it has.
    pub(super) entries: u64,
}

/// How far a sheet is looked through.
pub(super) enum Reading {
    Plain(Glance<File>),
    Squeezed(Turning),
}

impl Reading {
    /// Of a plain one, `buffer_bytes` are read at a time.
    pub(super) fn open(file: File, buffer_bytes: usize) -> Result<Self, ManifestError> {
        Ok(match Stored::of(file)? {
            Stored::Plain(file) => Reading::Plain(Glance::new(file, buffer_bytes)?),
            Stored::Squeezed(blocks) => Reading::Squeezed(Turning::new(blocks)),
        })
    }

    /// The next entry that is wanted, without its attributes; none at the end.
    pub(super) fn next(
        &mut self,
        expander: &mut Expander,
        pattern: &Pattern,
    ) -> Result<Option<Entry>, ManifestError> {
        match self {
            Reading::Plain(glance) => Ok(glance.next(&mut |path| pattern.wants(path))?.map(bare)),
            Reading::Squeezed(turning) => turning.next(expander, pattern),
        }
    }

    /// Entries that were passed so far, wanted or not.
    pub(super) fn entries(&self) -> u64 {
        match self {
            Reading::Plain(glance) => glance.entries(),
            Reading::Squeezed(turning) => turning.pages.entries(),
        }
    }
}

/// Attributes make no version, and may be a mebibyte each.
fn bare(mut entry: Entry) -> Entry {
    if let Body::Node(node) = &mut entry.body {
        node.meta.attributes = Vec::new();
    }
    entry
}

/// A squeezed one. What is found in a block waits here; the block does not: all sheets of a thread are expanded into one place.
pub(super) struct Turning {
    blocks: Blocks,
    pages: Pages,
    found: VecDeque<Entry>,
    /// What is wrong behind what was found.
    torn: Option<ManifestError>,
}

impl Turning {
    fn new(blocks: Blocks) -> Self {
        Turning { blocks, pages: Pages::default(), found: VecDeque::new(), torn: None }
    }

    fn next(&mut self, expander: &mut Expander, pattern: &Pattern) -> Result<Option<Entry>, ManifestError> {
        loop {
            if let Some(entry) = self.found.pop_front() {
                return Ok(Some(entry));
            }
            if let Some(torn) = self.torn.take() {
                return Err(torn);
            }
            let Some(block) = self.blocks.next(expander)? else {
                self.pages.finish()?;
                return Ok(None);
            };
            let mut found = |entry| self.found.push_back(bare(entry));
            self.torn = self.pages.take(block, &mut |path| pattern.wants(path), &mut found).err();
            if !self.found.is_empty() {
                // Other sheets come first now.
                self.blocks.rest();
            }
        }
    }
}
