//! A squeezed manifest looked through for paths, block by block: as [`Glance`](crate::glance::Glance) does, but where the block lies. No entry is in two
//! blocks.

use crate::cursor::{Cursor, Malformed};
use crate::entry::Entry;
use crate::glance::{FILE_HEAD_BYTES, check_head};
use crate::limits::ENTRY_BYTES;
use crate::manifest::ManifestError;

/// What follows the end of entries: their number, and the root.
const END_BYTES: usize = 40;

/// How far one manifest has been looked through.
#[derive(Debug, Default)]
pub struct Pages {
    entries: u64,
    place: Place,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Head,
    Entries,
    End,
}

impl Pages {
    /// Looks through the next block; hands out the entries whose paths are wanted. After an error nothing may be taken any more.
    pub fn take(
        &mut self,
        page: &[u8],
        wanted: &mut impl FnMut(&[u8]) -> bool,
        found: &mut impl FnMut(Entry),
    ) -> Result<(), ManifestError> {
        let mut rest = page;
        if self.place == Place::Head {
            let head = rest.split_at_checked(FILE_HEAD_BYTES);
            let (head, after) = head.ok_or(ManifestError::End("head is cut short"))?;
            check_head(head)?;
            (rest, self.place) = (after, Place::Entries);
        }
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            if self.place == Place::End {
                break;
            }
            if length == 0 {
                rest = self.end(after)?;
                continue;
            }
            let number = self.entries + 1;
            let wrong = |what| ManifestError::Malformed { number, source: Malformed { what } };
            if length > ENTRY_BYTES {
                return Err(wrong("entry: too long"));
            }
            let (entry, after) = after.split_at_checked(length).ok_or(ManifestError::End("cut short"))?;
            let path = path_of(entry).ok_or_else(|| wrong("path"))?;
            if wanted(path) {
                found(Entry::decode(entry).map_err(|source| ManifestError::Malformed { number, source })?);
            }
            (rest, self.entries) = (after, number);
        }
        match (rest.is_empty(), self.place) {
            (true, _) => Ok(()),
            (false, Place::End) => Err(ManifestError::End("bytes after the end")),
            (false, _) => Err(ManifestError::End("cut short")),
        }
    }

    /// Entries that were passed so far, wanted or not.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// No more blocks come: fails if the end was not among them.
    pub fn finish(&self) -> Result<(), ManifestError> {
        if self.place == Place::End { Ok(()) } else { Err(ManifestError::End("cut short")) }
    }

    fn end<'a>(&mut self, after: &'a [u8]) -> Result<&'a [u8], ManifestError> {
        let (end, after) = after.split_at_checked(END_BYTES).ok_or(ManifestError::End("cut short"))?;
        if Cursor::new(end).u64("number").ok() != Some(self.entries) {
            return Err(ManifestError::End("number of entries differs"));
        }
        self.place = Place::End;
        Ok(after)
    }
}

/// Kind, length of the path, the path.
fn path_of(entry: &[u8]) -> Option<&[u8]> {
    match entry {
        [_, a, b, rest @ ..] => rest.get(..usize::from(u16::from_le_bytes([*a, *b]))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Kind, ManifestWriter, Meta, Mtime, Node, RelPath};

    fn entry(path: &str) -> Entry {
        let mtime = Mtime { seconds: 0, nanos: 0 };
        let meta = Meta { mode: 0o644, owner: 0, group: 0, mtime, links: 1, attributes: Vec::new() };
        let path = RelPath::new(path.as_bytes()).unwrap();
        Entry { path, body: Body::Node(Node { meta, kind: Kind::Fifo }) }
    }

    /// One call, one part.
    #[derive(Default)]
    struct Parts(Vec<Vec<u8>>);

    impl std::io::Write for Parts {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn parts() -> Vec<Vec<u8>> {
        let mut writer = ManifestWriter::new(Parts::default()).unwrap();
        ["a", "b", "c", "d"].iter().for_each(|path| writer.push(&entry(path)).unwrap());
        writer.finish().unwrap().1.0
    }

    fn look(pages: &[Vec<u8>]) -> Result<(Vec<Entry>, u64), ManifestError> {
        let mut found = Vec::new();
        let mut looked = Pages::default();
        for page in pages {
            looked.take(page, &mut |path| path != b"b", &mut |entry| found.push(entry))?;
        }
        looked.finish()?;
        Ok((found, looked.entries()))
    }

    #[test]
    fn however_a_manifest_is_cut_into_pages_the_wanted_entries_are_found() {
        let parts = parts();
        assert_eq!(parts.len(), 6, "head, entries and end are one call each");
        let wanted = ["a", "c", "d"].map(entry);
        for cuts in 0..1_u32 << (parts.len() - 1) {
            let mut pages = vec![Vec::new()];
            for (at, part) in parts.iter().enumerate() {
                pages.last_mut().unwrap().extend_from_slice(part);
                if cuts & (1 << at) != 0 {
                    pages.push(Vec::new());
                }
            }
            pages.retain(|page| !page.is_empty());
            assert_eq!(look(&pages).unwrap(), (wanted.to_vec(), 4));
        }
    }

    #[test]
    fn a_page_that_is_cut_or_changed_is_refused() {
        let whole = parts().concat();
        look(std::slice::from_ref(&whole)).unwrap();
        for cut in 0..whole.len() {
            assert!(look(&[whole[..cut].to_vec()]).is_err(), "{cut}");
        }
        assert!(look(&[whole.clone(), vec![0]]).is_err());
        assert!(look(&[whole.clone(), whole.clone()]).is_err());
        let mut other = whole.clone();
        let number = whole.len() - END_BYTES;
        other[number] = 3;
        assert!(look(&[other]).is_err());
    }
}
