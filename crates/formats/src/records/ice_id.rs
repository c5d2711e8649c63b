//! How ice, its objects and the keys it is sealed to are named. Document: docs/formats/ice.md.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::HostId;

/// Most times that one snapshot is sealed.
const ATTEMPTS: u32 = 9_999;

/// The id of an ice: its host, its newest snapshot, and which sealing of that it is. Text: `<host>/<snapshot name>`, and from the second sealing
/// `<host>/<snapshot name>.N`. Ids of one host sort by the sequence of that snapshot, never by its time: a clock that was ahead once must not make
/// one the newest for years. So the order of the fields is that of the ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IceId {
    host: HostId,
    sequence: u64,
    snapshot: String,
    attempt: u32,
}

/// Why a text is not the name it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IceIdError {
    /// Not an id of an ice.
    #[error("the id of an ice is <host>/<snapshot name>, as web01/20260102T030405Z-0000000001")]
    Ice,
    /// Not a fingerprint.
    #[error("a fingerprint is 40 hexadecimal digits")]
    Fingerprint,
}

impl IceId {
    /// The id of the first sealing of `snapshot`, which must be a snapshot's name.
    pub fn new(host: HostId, snapshot: &str) -> Result<Self, IceIdError> {
        let sequence = sequence_of(snapshot).ok_or(IceIdError::Ice)?;
        Ok(Self { host, sequence, snapshot: snapshot.to_owned(), attempt: 1 })
    }

    /// The id of the next sealing of the same snapshot; none after the 9,999th.
    pub fn next_attempt(&self) -> Option<Self> {
        (self.attempt < ATTEMPTS).then(|| Self { attempt: self.attempt + 1, ..self.clone() })
    }

    /// Whose files they are.
    pub fn host(&self) -> &HostId {
        &self.host
    }

    /// The newest snapshot in it.
    pub fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// The folder of its objects: `ice/<host>/<snapshot name>/`.
    pub fn folder(&self) -> String {
        format!("ice/{self}/")
    }

    /// The object of segment `number`.
    pub fn segment_object(&self, number: usize) -> String {
        format!("ice/{self}/{number:04}.pgp")
    }

    /// The ice and number of a segment's object; none for any other object.
    pub fn of_segment_object(object: &str) -> Option<(Self, usize)> {
        let (ice, number) = object.strip_prefix("ice/")?.strip_suffix(".pgp")?.rsplit_once('/')?;
        let plain = number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit());
        Some((ice.parse().ok()?, number.parse().ok().filter(|_| plain)?))
    }

    /// The object of its catalogue: the record, signed and sealed.
    pub fn catalogue_object(&self) -> String {
        format!("ice/{self}/catalogue.pgp")
    }

    /// The object of its record, written last.
    pub fn record_object(&self) -> String {
        format!("ice/{self}/ice.json")
    }

    /// The ice whose record `object` is; none for any other object.
    pub fn of_record_object(object: &str) -> Option<Self> {
        object.strip_prefix("ice/")?.strip_suffix("/ice.json")?.parse().ok()
    }
}

impl fmt::Display for IceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempt {
            1 => write!(f, "{}/{}", self.host, self.snapshot),
            n => write!(f, "{}/{}.{n}", self.host, self.snapshot),
        }
    }
}

impl FromStr for IceId {
    type Err = IceIdError;
    fn from_str(text: &str) -> Result<Self, IceIdError> {
        let (host, name) = text.split_once('/').ok_or(IceIdError::Ice)?;
        let (snapshot, attempt) = match name.split_once('.') {
            None => (name, 1),
            Some((snapshot, attempt)) => (snapshot, parse_attempt(attempt).ok_or(IceIdError::Ice)?),
        };
        let host = HostId::parse(host).or(Err(IceIdError::Ice))?;
        Ok(Self { attempt, ..Self::new(host, snapshot)? })
    }
}

fn parse_attempt(text: &str) -> Option<u32> {
    let plain = text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    let attempt = text.parse().ok()?;
    (plain && attempt >= 2).then_some(attempt)
}

/// The last ten digits of `YYYYMMDDThhmmssZ-NNNNNNNNNN`; none for a text of any other shape.
fn sequence_of(text: &str) -> Option<u64> {
    const SHAPE: &[u8] = b"00000000T000000Z-0000000000";
    let fits = |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    let is_name = text.len() == SHAPE.len() && text.as_bytes().iter().zip(SHAPE).all(fits);
    let (_, sequence) = text.split_once('-').filter(|_| is_name)?;
    sequence.parse().ok()
}

/// The fingerprint of an OpenPGP certificate (version 4): 40 hexadecimal digits, written in upper case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The digits, upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = IceIdError;
    /// Takes both cases, as people copy them from both kinds of program.
    fn from_str(text: &str) -> Result<Self, IceIdError> {
        let fits = text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if fits { Ok(Self(text.to_ascii_uppercase())) } else { Err(IceIdError::Fingerprint) }
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(IceId);
as_text!(Fingerprint);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "web01/20260102T030405Z-0000000001";

    #[test]
    fn an_id_has_one_spelling_and_is_the_folder_of_its_objects() {
        let id: IceId = ID.parse().unwrap();
        assert_eq!(id.to_string(), ID);
        assert_eq!(id.segment_object(7), format!("ice/{ID}/0007.pgp"));
        assert_eq!(IceId::of_record_object(&id.record_object()), Some(id.clone()));
        assert_eq!(IceId::of_segment_object(&id.segment_object(7)), Some((id.clone(), 7)));
        for other in ["007", "00007", "+007", "catalogue"] {
            assert_eq!(IceId::of_segment_object(&format!("ice/{ID}/{other}.pgp")), None);
        }
        let next = id.next_attempt().unwrap();
        assert_eq!(next.to_string(), format!("{ID}.2"));
        assert_eq!(next.to_string().parse(), Ok(next.clone()));
        assert!(next > id);
    }

    #[test]
    fn nothing_but_an_id_is_taken_for_one() {
        let tails = ["", ".", ".1", ".0", ".02", ".2 ", ".12345", ".-2", ".2.2", "/x", "\n", "0"];
        let longer = tails.iter().skip(1).map(|tail| format!("{ID}{tail}"));
        let others = [
            "",
            "web01",
            "web01/",
            "../20260102T030405Z-0000000001",
            "web01/latest",
            "web01//20260102T030405Z-0000000001",
        ];
        for bad in longer.chain(others.map(str::to_owned)) {
            assert!(bad.parse::<IceId>().is_err(), "{bad:?}");
        }
        assert!(IceId::of_record_object(&format!("ice/{ID}/0001.pgp")).is_none());
    }

    proptest! {
        #[test]
        fn ids_of_a_host_sort_by_sequence_then_attempt_whatever_their_times_say(
            times in ("[0-9]{8}T[0-9]{6}Z", "[0-9]{8}T[0-9]{6}Z"), sequence in 0u64..9_999_999_999, more in 1u64..1_000,
        ) {
            let id = |time: &str, sequence: u64| -> IceId {
                format!("web01/{time}-{sequence:010}").parse().unwrap()
            };
            let later = (sequence + more).min(9_999_999_999);
            let (first, second) = (id(&times.0, sequence), id(&times.1, later));
            prop_assert!(first < second);
            prop_assert!(first.next_attempt().unwrap() < second);
            prop_assert!(first < first.next_attempt().unwrap());
            // Two histories can give one number to two snapshots: then the time decides, and what is not equal is not the same.
            prop_assert_eq!(first.cmp(&id(&times.1, sequence)), times.0.cmp(&times.1));
        }
    }

    #[test]
    fn a_clock_that_was_ahead_once_makes_no_ice_the_newest() {
        let ahead: IceId = "web01/20270101T000000Z-0000000007".parse().unwrap();
        let right: IceId = "web01/20260102T000000Z-0000000008".parse().unwrap();
        assert_eq!([&right, &ahead].into_iter().max(), Some(&right));
    }

    #[test]
    fn the_last_attempt_has_no_next() {
        let last: IceId = format!("{ID}.9999").parse().unwrap();
        assert_eq!(last.next_attempt(), None);
    }

    #[test]
    fn fingerprints_are_written_in_upper_case() {
        let print: Fingerprint = "ab".repeat(20).parse().unwrap();
        assert_eq!(print.as_str(), "AB".repeat(20));
        for bad in ["", "AB", &"AB".repeat(32), &"XY".repeat(20), &format!("{} ", "A".repeat(39))] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad:?}");
        }
    }
}
