//! What a walk saw, and what of it can only be from the secret place.

use std::fmt;
use std::fs::File;
use std::io::Read;

use push_client::walk::{Facts, FileKind, read_attributes, read_flags};
use std::os::fd::AsFd;

use super::traps::{SECRET, SECRET_NAME, SECRET_TARGET, Traps};

/// Longest reading: what is longer is a device.
const BYTES_MAX: u64 = 4096;

/// Calls that may lead out.
const CALLS: [&str; 6] = ["listing", "look", "content", "target", "attribute", "flags"];

pub(super) struct Eyes<'t> {
    traps: &'t Traps,
    marks: Vec<u64>,
    now: Vec<u64>,
    escapes: [u64; CALLS.len()],
    visits: u64,
    pub(super) tries: u64,
    /// What was not as it had just been.
    pub(super) disturbed: u64,
    pub(super) contents: u64,
    pub(super) targets: u64,
}

impl<'t> Eyes<'t> {
    pub(super) fn on(traps: &'t Traps) -> Self {
        let mut marks = Vec::new();
        traps.marks(&mut marks);
        let escapes = [0; CALLS.len()];
        Self {
            traps,
            marks,
            now: Vec::new(),
            escapes,
            visits: 0,
            tries: 0,
            disturbed: 0,
            contents: 0,
            targets: 0,
        }
    }

    /// A name that was listed.
    pub(super) fn name(&mut self, path: &[u8]) {
        self.note("listing", path.ends_with(SECRET_NAME));
    }

    /// What a look at a name told.
    pub(super) fn inode(&mut self, inode: u64) {
        let is_secret = self.traps.secret_inodes.contains(&inode);
        self.note("look", is_secret);
    }

    /// A file that was opened.
    pub(super) fn file(&mut self, file: &mut File) {
        let facts = Facts::of_open(&*file).unwrap();
        self.inode(facts.stamp.inode);
        // As a push does: what turned out to be no file is not read.
        if facts.kind != FileKind::File {
            self.disturbed += 1;
            return;
        }
        let mut bytes = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut bytes).unwrap();
        self.content(&bytes);
        self.flags(read_flags(&*file).ok().flatten().map(|flags| flags.bits()));
        let attributes = read_attributes(Some(file.as_fd()), file.as_fd(), b"");
        attributes.read.iter().for_each(|attribute| self.attribute(&attribute.value));
    }

    pub(super) fn content(&mut self, bytes: &[u8]) {
        self.contents += 1;
        assert!(bytes == b"mine" || bytes == SECRET, "a content from nowhere: {} bytes", bytes.len());
        self.note("content", bytes == SECRET);
    }

    pub(super) fn target(&mut self, target: &[u8]) {
        self.targets += 1;
        self.note("target", target == SECRET_TARGET);
    }

    pub(super) fn attribute(&mut self, value: &[u8]) {
        self.note("attribute", value == SECRET);
    }

    pub(super) fn flags(&mut self, bits: Option<u32>) {
        self.note("flags", self.traps.has_flags && bits.is_some());
    }

    /// All that is asked of a name was asked.
    pub(super) fn visited(&mut self, path: &[u8]) {
        self.visits += 1;
        self.traps.marks(&mut self.now);
        if let Some(trap) = self.traps.of(path) {
            self.traps.aim_at(trap);
            self.tries += u64::from(self.marks[trap] != self.now[trap]);
        }
        std::mem::swap(&mut self.marks, &mut self.now);
    }

    /// The calls that led out, and how often.
    pub(super) fn escapes(&self) -> Vec<(&'static str, u64)> {
        CALLS.into_iter().zip(self.escapes).filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn has_escaped_everywhere(&self) -> bool {
        let can = |call| match call {
            "flags" => self.traps.has_flags,
            "attribute" => self.traps.has_attributes,
            _ => true,
        };
        CALLS.into_iter().zip(self.escapes).all(|(call, count)| count > 0 || !can(call))
    }

    fn note(&mut self, call: &str, escaped: bool) {
        if escaped {
            self.escapes[CALLS.into_iter().position(|own| own == call).unwrap()] += 1;
        }
    }
}

impl fmt::Display for Eyes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { visits, disturbed, contents, targets, .. } = self;
        write!(f, "{visits} visits, {disturbed} disturbed, {contents} contents, {targets} targets, ")?;
        write!(f, "escapes {:?}", self.escapes())
    }
}
