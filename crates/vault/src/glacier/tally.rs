//! The output of an inventory job, read an item at a time. Only what a put of ours made is kept: whoever may put can make the list as long as he pays
//! for, and must not make it unreadable.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tokio::sync::mpsc::Receiver;

use super::description::Description;
use super::index::Archive;
use super::store::date;
use super::tree::TreeHash;
use crate::VersionId;

/// Most archives that are kept: the oldest. Nobody can make one that is older than those before him.
const KEPT_MAX: usize = 500_000;
/// Longest item; also what stands before the first and after the last.
const ITEM_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    archive_id: String,
    #[serde(default)]
    archive_description: String,
    creation_date: String,
    size: u64,
    #[serde(rename = "SHA256TreeHash")]
    tree: String,
}

impl Item {
    /// None for an archive that no put of ours made.
    fn archive(&self) -> Option<Archive> {
        let Description { name, bytes, hash, .. } = Description::read(&self.archive_description)?;
        let (id, tree) = (self.archive_id.parse().ok()?, TreeHash::read(&self.tree)?);
        let stored = date(Some(&self.creation_date))?;
        (bytes == self.size).then_some(Archive { name, id, bytes, hash, tree, stored })
    }
}

/// When it was counted, and what of ours there was.
pub(super) fn read(body: impl Read) -> Result<(DateTime<Utc>, Vec<Archive>), serde_json::Error> {
    read_most(body, KEPT_MAX)
}

fn read_most(body: impl Read, most: usize) -> Result<(DateTime<Utc>, Vec<Archive>), serde_json::Error> {
    let left = Cell::new(ITEM_BYTES_MAX);
    let mut reader = serde_json::Deserializer::from_reader(Bounded { body, left: &left });
    let mut kept = Kept { archives: BTreeMap::new(), most, left: &left };
    let counted = reader.deserialize_map(Whole(&mut kept))?;
    reader.end()?;
    Ok((counted, kept.archives.into_values().collect()))
}

/// Reads no further than `left`, which is filled up after each item.
struct Bounded<'a, R> {
    body: R,
    left: &'a Cell<usize>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = self.left.get().min(into.len());
        let Some(into) = into.get_mut(..most).filter(|into| !into.is_empty()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an item of it is too long"));
        };
        let read = self.body.read(into)?;
        self.left.set(self.left.get().saturating_sub(read));
        Ok(read)
    }
}

struct Kept<'a> {
    archives: BTreeMap<(DateTime<Utc>, VersionId), Archive>,
    most: usize,
    left: &'a Cell<usize>,
}

#[derive(Debug, Deserialize)]
enum Key {
    InventoryDate,
    ArchiveList,
    #[serde(other)]
    Other,
}

struct Whole<'k, 'a>(&'k mut Kept<'a>);

impl<'de> Visitor<'de> for Whole<'_, '_> {
    type Value = DateTime<Utc>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an inventory")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DateTime<Utc>, A::Error> {
        let mut counted = None;
        let mut lists = 0;
        while let Some(key) = map.next_key()? {
            match key {
                Key::InventoryDate => counted = date(Some(&map.next_value::<String>()?)),
                Key::ArchiveList => {
                    map.next_value_seed(List(self.0))?;
                    lists += 1;
                }
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        counted.filter(|_| lists == 1).ok_or_else(|| A::Error::custom("it is no inventory"))
    }
}

struct List<'k, 'a>(&'k mut Kept<'a>);

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a list of archives")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Kept { archives, most, left } = self.0;
        while let Some(item) = list.next_element::<Item>()? {
            left.set(ITEM_BYTES_MAX);
            if let Some(archive) = item.archive() {
                archives.insert((archive.stored, archive.id.clone()), archive);
                if archives.len() > *most {
                    archives.pop_last();
                }
            }
        }
        Ok(())
    }
}

/// A body, as it comes from another thread.
pub(super) struct Chunks {
    from: Receiver<io::Result<Bytes>>,
    chunk: Bytes,
}

impl Chunks {
    pub(super) fn new(from: Receiver<io::Result<Bytes>>) -> Self {
        Chunks { from, chunk: Bytes::new() }
    }
}

impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.from.blocking_recv() {
                Some(chunk) => self.chunk = chunk?,
                None => return Ok(0),
            }
        }
        let most = self.chunk.len().min(into.len());
        let (Some(into), Some(from)) = (into.get_mut(..most), self.chunk.get(..most)) else { return Ok(0) };
        into.copy_from_slice(from);
        self.chunk.advance(most);
        Ok(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::ContentHash;

    fn item(id: &str, description: &str, size: u64, second: u32) -> String {
        let tree = TreeHash::of(b"abc");
        format!(
            r#"{{"ArchiveId":"{id}","ArchiveDescription":"{description}","CreationDate":"2026-01-02T03:04:{second:02}.678Z","Size":{size},"SHA256TreeHash":"{tree}"}}"#
        )
    }

    fn ours(name: &str) -> String {
        format!("firn/1 {name} 3 {} 00ff", ContentHash::of(b"abc"))
    }

    fn inventory(items: &[String]) -> String {
        let list = items.join(",");
        format!(r#"{{"VaultARN":"x","InventoryDate":"2026-01-03T00:00:00Z","ArchiveList":[{list}]}}"#)
    }

    #[test]
    fn of_an_inventory_only_our_own_archives_are_taken() {
        let ours = ours("ice/a");
        let items = [item("id", &ours, 3, 5), item("id", &ours, 4, 5), item("id", "holiday pictures", 3, 5)];
        let text = inventory(&items);
        let (at, archives) = read(text.as_bytes()).unwrap();
        assert_eq!(at.to_rfc3339(), "2026-01-03T00:00:00+00:00");
        let [archive] = &archives[..] else { panic!("{archives:?}") };
        assert_eq!(
            (archive.name.as_str(), archive.bytes, archive.hash),
            ("ice/a", 3, ContentHash::of(b"abc"))
        );
        assert_eq!(archive.stored.to_rfc3339(), "2026-01-02T03:04:05+00:00", "whole seconds, rounded down");
        for bad in
            ["", "[]", "{}", r#"{"InventoryDate":"soon","ArchiveList":[]}"#, &format!("{text}x"), &text[..90]]
        {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_thief_put_makes_no_inventory_unreadable() {
        let junk = item("id", &"\\\\".repeat(512), 3, 30);
        let mut items = vec![junk; 5_000];
        items.insert(2_500, item("id", &ours("ice/a"), 3, 5));
        let (_, archives) = read(inventory(&items).as_bytes()).unwrap();
        assert_eq!(archives.len(), 1);
        // What looks like ours, and came later: the oldest are kept.
        let forged = |number: u32| item(&format!("id-{number}"), &ours(&format!("ice/{number}")), 3, number);
        let items: Vec<String> = (0..60).rev().map(forged).collect();
        let (_, archives) = read_most(inventory(&items).as_bytes(), 20).unwrap();
        let names: Vec<_> = archives.iter().map(|archive| archive.name.as_str()).collect();
        assert_eq!(names, (0..20).map(|number| format!("ice/{number}")).collect::<Vec<_>>());
    }

    #[test]
    fn no_item_is_read_into_memory_that_is_longer_than_any_can_be() {
        let endless = inventory(&[item("id", &"x".repeat(ITEM_BYTES_MAX), 3, 5)]);
        assert!(read(endless.as_bytes()).unwrap_err().to_string().contains("too long"));
        let before = format!(
            r#"{{"VaultARN":"{}","InventoryDate":"2026-01-03T00:00:00Z","ArchiveList":[]}}"#,
            "x".repeat(20_000)
        );
        assert!(read(before.as_bytes()).is_err());
    }
}
