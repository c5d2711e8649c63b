//! The ice record: what one ice is, and how its image was cut and sealed. Document: docs/formats/ice.md.

use serde::{Deserialize, Serialize};

use super::ice_id::{Fingerprint, IceId};
use super::record::{Record, RecordVersion};
use crate::id::{ContentHash, HostId, Root};
use crate::version::Version;

/// Bytes of segment 0: the superblock of the image.
pub const FIRST_SEGMENT_BYTES: u64 = 4_096;
/// Most segments of one ice, so that their names sort.
pub const SEGMENTS: usize = 10_000;
/// Longest ice record.
pub const ICE_RECORD_BYTES: usize = 16 * 1024 * 1024;

/// What one ice is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceRecord {
    /// `firn.ice/2.0`.
    pub format: RecordVersion,
    /// Its id, which is also its folder in the vault.
    pub ice: IceId,
    /// Whose files they are.
    pub host: HostId,
    /// When the image was made, UTC, as `2026-01-02T03:04:05Z`.
    pub created: String,
    /// The snapshots in the image, oldest first.
    pub snapshots: Vec<IceSnapshot>,
    /// The image before it was cut.
    pub image: Image,
    /// Length of all segments but the first and the last.
    pub segment_bytes: u64,
    /// The segments in order.
    pub segments: Vec<Segment>,
    /// To whose keys each segment is sealed.
    pub recipients: Vec<Fingerprint>,
    /// Number of names that only the manifest holds.
    pub left_out: u64,
    /// Hash of the last line of the host's snapshot log.
    pub log_head: ContentHash,
    /// The newest `redact` line of that log; 0 if there was none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redact_line: u64,
    /// Contents that snapshots in the image lack because they were redacted: zeros are in their place. Sorted by hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<IceRedacted>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A content that was redacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceRedacted {
    /// Its hash.
    pub content: ContentHash,
    /// Sequence of the newest snapshot that it is gone from; it is gone from all older ones.
    pub through: u64,
}

/// One snapshot in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceSnapshot {
    /// Its name in the history.
    pub name: String,
    /// Its place in the history's order.
    pub sequence: u64,
    /// Root of its manifest.
    pub root: Root,
    /// Entries of its manifest.
    pub entries: u64,
}

/// An image as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its length.
    pub bytes: u64,
    /// Its BLAKE3.
    pub hash: ContentHash,
}

/// One piece of an image, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Name of its object in the vault: in the folder of this ice, or in that of an earlier one of the same host.
    pub object: String,
    /// Version of its object, in vaults that have versions.
    pub version: Option<String>,
    /// Length before sealing.
    pub plain_bytes: u64,
    /// BLAKE3 before sealing.
    pub plain_hash: ContentHash,
    /// Length of the object.
    pub bytes: u64,
    /// BLAKE3 of the object.
    pub hash: ContentHash,
}

/// Why an ice record contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ice record: {0}")]
pub struct IceError(&'static str);

impl Record for IceRecord {
    const NAME: &'static str = "firn.ice";
    const VERSION: Version = Version { major: 2, minor: 0 };
    const LONGEST_BYTES: usize = ICE_RECORD_BYTES;
}

impl IceRecord {
    /// Whether zeros stand for this content in the snapshot with this sequence.
    #[must_use]
    pub fn is_redacted(&self, content: &ContentHash, sequence: u64) -> bool {
        let place = self.redacted.binary_search_by(|one| one.content.cmp(content));
        place.ok().and_then(|at| self.redacted.get(at)).is_some_and(|one| sequence <= one.through)
    }

    /// Refuses a record that contradicts itself. A reader calls this before it believes any length or name in it: afterwards all objects are
    /// segments of this ice or of another one of the same host, and the segments are exactly the image. Which of two ices is the earlier is not
    /// asked: where a clock was ahead, or a history was begun anew, no name tells.
    pub fn check(&self) -> Result<(), IceError> {
        let refuse = |rule| Err(IceError(rule));
        if *self.ice.host() != self.host {
            return refuse("host and id differ");
        }
        if self.snapshots.last().is_none_or(|newest| newest.name != self.ice.snapshot()) {
            return refuse("the newest snapshot does not name the ice");
        }
        if !self.redacted.is_sorted_by(|a, b| a.content < b.content) {
            return refuse("what was redacted is not in order");
        }
        if self.snapshots.is_sorted_by(|a, b| a.sequence < b.sequence) {
            self.check_segments()
        } else {
            refuse("snapshots are not in order")
        }
    }

    fn check_segments(&self) -> Result<(), IceError> {
        if self.segments.is_empty() || self.segments.len() > SEGMENTS {
            return Err(IceError("number of segments"));
        }
        let mut lengths = segment_lengths(self.image.bytes, self.segment_bytes);
        for (number, segment) in self.segments.iter().enumerate() {
            match IceId::of_segment_object(&segment.object) {
                Some((ice, at)) if ice == self.ice && at == number => {}
                Some((ice, _)) if *ice.host() == self.host && ice != self.ice => {}
                _ => {
                    return Err(IceError("a segment is neither of this ice nor of another one of this host"));
                }
            }
            if lengths.next() != Some(segment.plain_bytes) {
                return Err(IceError("a segment has another length than its place gives it"));
            }
        }
        if lengths.next().is_some() { Err(IceError("segments are missing at the end")) } else { Ok(()) }
    }
}

/// The lengths into which an image of `image_bytes` is cut, in order. With `segment_bytes` 0 the list ends after the first.
pub fn segment_lengths(image_bytes: u64, segment_bytes: u64) -> impl Iterator<Item = u64> {
    let mut rest = image_bytes;
    let mut next = FIRST_SEGMENT_BYTES;
    std::iter::from_fn(move || {
        let length = rest.min(std::mem::replace(&mut next, segment_bytes));
        rest -= length;
        (length > 0).then_some(length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "web01/20260102T030405Z-0000000002";

    fn record() -> IceRecord {
        let ice: IceId = ID.parse().unwrap();
        let hash = ContentHash::of(b"x");
        let segment = |(number, plain_bytes)| Segment {
            object: ice.segment_object(number),
            version: None,
            plain_bytes,
            plain_hash: hash,
            bytes: plain_bytes + 700,
            hash,
        };
        let snapshot = |sequence: u64| IceSnapshot {
            name: format!("20260102T030405Z-{sequence:010}"),
            sequence,
            root: Root::from_bytes([7; 32]),
            entries: 3,
        };
        IceRecord {
            format: IceRecord::format(),
            host: ice.host().clone(),
            created: "2026-01-02T03:04:05Z".to_owned(),
            snapshots: vec![snapshot(1), snapshot(2)],
            image: Image { bytes: 4_096 + 3_000, hash },
            segment_bytes: 2_000,
            segments: [4_096, 2_000, 1_000].into_iter().enumerate().map(segment).collect(),
            recipients: vec!["AB".repeat(20).parse().unwrap()],
            left_out: 0,
            log_head: hash,
            redact_line: 0,
            redacted: Vec::new(),
            ice,
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let line = record().to_line().unwrap();
        assert!(
            line.starts_with(b"{\"format\":\"firn.ice/2.0\",\"ice\":\"web01/20260102T030405Z-0000000002\"")
        );
        let back = IceRecord::from_line(&line).unwrap();
        assert_eq!(back, record());
        assert_eq!(back.check(), Ok(()));
    }

    #[test]
    fn a_record_that_contradicts_itself_is_refused() {
        let lies: [fn(&mut IceRecord); 13] = [
            |r| r.host = HostId::parse("web02").unwrap(),
            |r| drop(r.snapshots.pop()),
            |r| r.snapshots.clear(),
            |r| r.snapshots[0].sequence = 2,
            |r| r.segments.clear(),
            |r| drop(r.segments.pop()),
            |r| r.segments.swap(1, 2),
            |r| r.segments[1].object = "ice/web02/20260102T030405Z-0000000002/0001.pgp".to_owned(),
            |r| r.segments[1].object = "ice/web01/20260102T030405Z-0000000001/ice.json".to_owned(),
            |r| r.segments[1].object = "ice/web01/20260102T030405Z-0000000001/../0001.pgp".to_owned(),
            |r| r.segments[1].plain_bytes += 1,
            |r| r.image.bytes = u64::MAX,
            |r| r.segment_bytes = 0,
        ];
        for (number, lie) in lies.iter().enumerate() {
            let mut record = record();
            lie(&mut record);
            assert!(record.check().is_err(), "lie {number}");
        }
    }

    #[test]
    fn a_segment_may_be_one_of_another_ice_of_the_host_whatever_clock_and_count_say() {
        let earlier =
            ["20260101T030405Z-0000000001.2", "20270101T030405Z-0000000001", "20250101T030405Z-0000000077"];
        for other in earlier {
            let mut record = record();
            record.segments[1].object = format!("ice/web01/{other}/0009.pgp");
            assert_eq!(record.check(), Ok(()), "{other}");
        }
    }

    #[test]
    fn segments_are_the_whole_image_and_nothing_else() {
        for bytes in [0, 1, 4_095, 4_096, 4_097, 6_096, 6_097, 20_000] {
            let lengths: Vec<u64> = segment_lengths(bytes, 2_000).collect();
            assert_eq!(lengths.iter().sum::<u64>(), bytes);
            assert!(lengths.iter().skip(1).rev().skip(1).all(|length| *length == 2_000), "{lengths:?}");
            assert!(!lengths.contains(&0));
        }
    }
}
