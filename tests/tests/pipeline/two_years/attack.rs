//! What somebody pushes who has a host: each kind in turn, as push files made by hand.

use pipeline_tests::data::Numbers;
use pipeline_tests::rawpush::{Draft, Entry, Header, remove, root_of};

/// Files of a push that has any.
const FILES: u64 = 50;
/// Some time in 2031.
const NOW: i64 = 1_930_000_000;
/// In 5138.
const FAR_FUTURE: i64 = 100_000_000_000;
/// In 1906.
const LONG_AGO: i64 = -2_000_000_000;
/// By so much a counter leaps.
const LEAP: u64 = 1 << 40;

/// A kind of push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Other contents under the same names.
    Garbage,
    /// Nothing at all.
    Empty,
    /// Changed last in thousands of years.
    FarFuture,
    /// Changed last before 1970.
    LongAgo,
    /// The base with every entry removed.
    AllDeleted,
    /// All under other names, with contents that do not shrink.
    AllEncrypted,
    /// A counter that leaps, and a push that began in thousands of years.
    Leap,
    /// A push that began before 1970.
    BegunLongAgo,
    /// Times as far away as can be written.
    Extreme,
    /// Bytes that are no push.
    Junk,
}

/// In this order, again and again.
pub(super) const KINDS: [Kind; 10] = [
    Kind::Garbage,
    Kind::Empty,
    Kind::FarFuture,
    Kind::LongAgo,
    Kind::AllDeleted,
    Kind::AllEncrypted,
    Kind::Leap,
    Kind::BegunLongAgo,
    Kind::Extreme,
    Kind::Junk,
];

/// What there is to be pushed: entries in their order, and their contents.
struct State {
    entries: Vec<Entry>,
    contents: Vec<Vec<u8>>,
}

/// Somebody who has a host: its installation, its counter, all that its disk holds.
pub(super) struct Attacker {
    host: String,
    installation: [u8; 16],
    counter: u64,
    /// What the host backs up, from `/`.
    top: Vec<u8>,
    pushes: u64,
    numbers: Numbers,
}

impl Attacker {
    /// Has a host whose last push had this counter.
    pub(super) fn new(host: &str, installation: [u8; 16], counter: u64, top: &[u8]) -> Attacker {
        let seed = u64::from(crc32fast::hash(host.as_bytes()));
        let (host, top) = (host.to_owned(), top.to_vec());
        Attacker { host, installation, counter, top, pushes: 0, numbers: Numbers::new(seed) }
    }

    /// The push files of the next attack: mostly one. What is deleted was pushed right before.
    pub(super) fn next(&mut self, kind: Kind) -> Vec<Vec<u8>> {
        match kind {
            Kind::Garbage => vec![self.whole(NOW, b"", (NOW, 0))],
            Kind::Empty => vec![Draft::whole(&self.header(), &[], &[]).bytes()],
            Kind::FarFuture => vec![self.whole(NOW, b"", (FAR_FUTURE, 999_999_999))],
            Kind::LongAgo => vec![self.whole(NOW, b"", (LONG_AGO, 1))],
            Kind::AllDeleted => self.deleted(),
            Kind::AllEncrypted => vec![self.whole(NOW, b".locked", (NOW, 0))],
            Kind::Leap => {
                self.counter += LEAP;
                vec![self.whole(FAR_FUTURE, b"", (NOW, 0))]
            }
            Kind::BegunLongAgo => vec![self.whole(LONG_AGO, b"", (NOW, 0))],
            Kind::Extreme => {
                let far = if self.numbers.draw().is_multiple_of(2) { i64::MAX } else { i64::MIN };
                vec![self.whole(far, b"", (far, 0))]
            }
            Kind::Junk => vec![self.noise(4_000)],
        }
    }

    fn header(&mut self) -> Header {
        self.counter += 1;
        self.pushes += 1;
        let push = *blake3::hash(format!("{} {}", self.host, self.pushes).as_bytes()).as_bytes();
        let push = push.first_chunk().copied().unwrap_or_default();
        Header { installation: self.installation, ..Header::new(&self.host, push, self.counter) }
    }

    /// All files anew, in a push that says that it began then.
    fn whole(&mut self, started: i64, suffix: &[u8], mtime: (i64, u32)) -> Vec<u8> {
        let header = Header { started, ..self.header() };
        let State { entries, contents } = self.state(suffix, mtime);
        let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        Draft::whole(&header, &contents, &entries).bytes()
    }

    /// A push, and one that has it as its base and removes all of it.
    fn deleted(&mut self) -> Vec<Vec<u8>> {
        let State { entries, contents } = self.state(b"", (NOW, 0));
        let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        let before = Draft::whole(&self.header(), &contents, &entries).bytes();
        let changes: Vec<Vec<u8>> = entries.iter().map(|entry| remove(&entry.path)).collect();
        let header = self.header().on(root_of(&entries));
        vec![before, Draft::new(&header).changes(&changes).sealed(&[]).bytes()]
    }

    /// Files that no push before had, where the host has its own.
    fn state(&mut self, suffix: &[u8], mtime: (i64, u32)) -> State {
        let mut entries = Vec::new();
        for (place, _) in self.top.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            entries.push(Entry::folder(&self.top[..place]));
        }
        entries.push(Entry::folder(self.top.clone()));
        let mut contents = Vec::new();
        for number in 0..FILES {
            let content = self.noise(200);
            let path = [self.top.as_slice(), format!("/f{number:02}").as_bytes(), suffix].concat();
            entries.push(Entry { mtime, ..Entry::file(path, &content) });
            contents.push(content);
        }
        State { entries, contents }
    }

    fn noise(&mut self, bytes: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.numbers.draw().to_le_bytes()).flatten().take(bytes).collect()
    }
}
