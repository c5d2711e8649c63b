//! A manifest looked through for paths: entries that are not wanted are passed over by their lengths, so that hundreds of manifests can be searched in the
//! time that reading them takes.
//!
//! Nothing is proved but that entries follow each other to the end, and that there are as many as the end says: whoever acts on what is found reads the
//! manifest by [`ManifestReader`](crate::ManifestReader).

use std::io::{self, Read};

use crate::cursor::{Cursor, Malformed};
use crate::entry::Entry;
use crate::limits::ENTRY_BYTES;
use crate::manifest::{MAGIC, ManifestError, VERSION};
use crate::version::Version;

/// Kind and length of the path, before the path.
const HEAD_BYTES: usize = 3;
const LENGTH_BYTES: usize = 4;

pub(crate) const FILE_HEAD_BYTES: usize = 12;

/// Refuses what is no manifest, or of another version. Versions 1 and 2 lay entries out alike.
pub(crate) fn check_head(head: &[u8]) -> Result<(), ManifestError> {
    let mut cursor = Cursor::new(head);
    if cursor.bytes(MAGIC.len(), "magic").ok() != Some(MAGIC.as_slice()) {
        return Err(ManifestError::End("not a manifest"));
    }
    let version =
        Version::decode(&mut cursor).map_err(|source| ManifestError::Malformed { number: 0, source })?;
    if version.major != Version::ONE.major {
        VERSION.check("manifest", version)?;
    }
    Ok(())
}

/// Looks through one manifest.
#[derive(Debug)]
pub struct Glance<R> {
    from: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    entries: u64,
    is_done: bool,
}

impl<R: Read> Glance<R> {
    /// Reads the head. `buffer_bytes` are read at a time, or more if an entry that is wanted is longer.
    pub fn new(from: R, buffer_bytes: usize) -> Result<Self, ManifestError> {
        let buffer = vec![0; buffer_bytes.max(64)];
        let mut glance = Glance { from, buffer, start: 0, end: 0, entries: 0, is_done: false };
        check_head(glance.ahead(FILE_HEAD_BYTES)?)?;
        glance.pass(FILE_HEAD_BYTES)?;
        Ok(glance)
    }

    /// The next entry whose path is wanted; none at the end. After an error nothing more comes.
    pub fn next(&mut self, wanted: &mut impl FnMut(&[u8]) -> bool) -> Result<Option<Entry>, ManifestError> {
        if self.is_done {
            return Ok(None);
        }
        let step = self.step(wanted);
        self.is_done = !matches!(step, Ok(Some(_)));
        step
    }

    /// Entries that were passed so far, wanted or not.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    fn step(&mut self, wanted: &mut impl FnMut(&[u8]) -> bool) -> Result<Option<Entry>, ManifestError> {
        loop {
            let length = match self.ahead(LENGTH_BYTES)? {
                [a, b, c, d, ..] => u32::from_le_bytes([*a, *b, *c, *d]) as usize,
                _ => return Err(ManifestError::End("cut short")),
            };
            if length == 0 {
                return self.finish().map(|()| None);
            }
            let number = self.entries + 1;
            let wrong = |what| ManifestError::Malformed { number, source: Malformed { what } };
            if length > ENTRY_BYTES {
                return Err(wrong("entry: too long"));
            }
            let path_length = match self.ahead(LENGTH_BYTES + HEAD_BYTES)?.get(LENGTH_BYTES + 1..) {
                Some([a, b, ..]) => usize::from(u16::from_le_bytes([*a, *b])),
                _ => return Err(ManifestError::End("cut short")),
            };
            if HEAD_BYTES + path_length > length {
                return Err(wrong("path"));
            }
            let first = LENGTH_BYTES + HEAD_BYTES;
            let path = self.ahead(first + path_length)?.get(first..first + path_length).unwrap_or_default();
            let is_wanted = wanted(path);
            self.entries = number;
            if is_wanted {
                let whole = self.ahead(LENGTH_BYTES + length)?;
                let bytes = whole.get(LENGTH_BYTES..LENGTH_BYTES + length).unwrap_or_default();
                let entry =
                    Entry::decode(bytes).map_err(|source| ManifestError::Malformed { number, source })?;
                self.pass(LENGTH_BYTES + length)?;
                return Ok(Some(entry));
            }
            self.pass(LENGTH_BYTES + length)?;
        }
    }

    fn finish(&mut self) -> Result<(), ManifestError> {
        let mut cursor = Cursor::new(self.ahead(LENGTH_BYTES + 40)?);
        let number = cursor.bytes(LENGTH_BYTES, "end").and_then(|_| cursor.u64("number"));
        if number.ok() == Some(self.entries) {
            Ok(())
        } else {
            Err(ManifestError::End("number of entries differs"))
        }
    }

    /// At least so many bytes from here on.
    fn ahead(&mut self, count: usize) -> Result<&[u8], ManifestError> {
        if self.end - self.start < count {
            self.fill(count)?;
        }
        Ok(self.buffer.get(self.start..self.end).unwrap_or_default())
    }

    fn fill(&mut self, count: usize) -> Result<(), ManifestError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < count {
            self.buffer.resize(count, 0);
        }
        while self.end < count {
            match self.from.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => return Err(ManifestError::End("cut short")),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn pass(&mut self, count: usize) -> Result<(), ManifestError> {
        let held = self.end - self.start;
        if count <= held {
            self.start += count;
            return Ok(());
        }
        let mut left = count - held;
        while left > 0 {
            // All that was held is passed.
            (self.start, self.end) = (0, 0);
            self.fill(1)?;
            self.start = left.min(self.end);
            left -= self.start;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attribute, Body, ContentHash, Kind, ManifestWriter, Meta, Mtime, Node, RelPath, Tag};

    fn entry(name: &str, value: usize) -> Entry {
        let attributes =
            vec![Attribute { tag: Tag::Extended, name: b"user.x".to_vec(), value: vec![7; value] }];
        let mtime = Mtime { seconds: 1, nanos: 2 };
        let meta = Meta { mode: 0o644, owner: 0, group: 0, mtime, links: 1, attributes };
        let kind = Kind::File { size: 3, content: ContentHash::of(b"abc") };
        Entry { path: RelPath::new(name.as_bytes()).unwrap(), body: Body::Node(Node { meta, kind }) }
    }

    fn manifest(entries: &[Entry]) -> Vec<u8> {
        let mut writer = ManifestWriter::new(Vec::new()).unwrap();
        entries.iter().for_each(|entry| writer.push(entry).unwrap());
        writer.finish().unwrap().1
    }

    /// Gives as much as is asked for, up to so many bytes.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let count = to.len().min(self.1);
            self.0.read(&mut to[..count])
        }
    }

    #[test]
    fn whatever_the_buffer_the_wanted_entries_are_found() {
        let names: Vec<String> = (0..200).map(|n| format!("file-{n:04}")).collect();
        let entries: Vec<Entry> =
            names.iter().enumerate().map(|(n, name)| entry(name, [0, 5, 300, 60_000][n % 4])).collect();
        let bytes = manifest(&entries);
        for buffer in [64, 100, 1_000, 70_000, 1 << 20] {
            for step in [1, 7, 64, 4_096, 1 << 20] {
                if step < 64 && buffer > 1_000 {
                    continue;
                }
                let mut glance = Glance::new(Slow(&bytes, step), buffer).unwrap();
                let mut wanted = |path: &[u8]| path.ends_with(b"3");
                let mut found = Vec::new();
                while let Some(entry) = glance.next(&mut wanted).unwrap() {
                    found.push(entry);
                }
                let expected: Vec<_> = entries.iter().filter(|e| e.path.as_bytes().ends_with(b"3")).collect();
                assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{buffer} {step}");
                assert_eq!(glance.entries(), 200);
            }
        }
    }

    #[test]
    fn a_manifest_that_is_cut_or_has_another_number_is_refused() {
        let bytes = manifest(&[entry("a", 3), entry("b", 3)]);
        let all = |bytes: &[u8]| {
            let mut glance = Glance::new(bytes, 64)?;
            while glance.next(&mut |_| false)?.is_some() {}
            Ok::<_, ManifestError>(())
        };
        all(&bytes).unwrap();
        for cut in 0..bytes.len() {
            // The root is not looked at, but must be there.
            assert!(all(&bytes[..cut]).is_err(), "{cut}");
        }
        let mut other = bytes.clone();
        let at = bytes.len() - 40;
        other[at] = 9;
        assert!(all(&other).is_err());
    }
}
