//! What a jail remembers of the last sessions: a ring of records in `spool/incoming/attempts`. Layout in docs/formats/attempts.md.
//!
//! Whoever has the host's account can write what it likes there, about this host alone. Readers take it for hints.

use crate::cursor::{Cursor, Malformed, malformed};
use crate::session::{Code, Role};

/// Most records.
pub const RECORDS: usize = 32;
/// Length of one.
pub const RECORD_BYTES: usize = 40;
/// Longest file.
pub const FILE_BYTES: usize = RECORDS * RECORD_BYTES;
const VERSION: u8 = 1;
const CHECKED_BYTES: usize = RECORD_BYTES - 4;

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In good order, without a push.
    Talked,
    /// With a sealed push.
    Sealed,
    /// The host was gone before the end.
    Gone,
    /// It was refused.
    Refused(Code),
}

/// Sessions in a row that ended alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Counts the records, from 1.
    pub sequence: u64,
    /// How they ended.
    pub end: End,
    /// What their push was admitted as.
    pub role: Role,
    /// End of the first, seconds since 1970.
    pub first: i64,
    /// End of the last.
    pub last: i64,
    /// How many they were.
    pub count: u32,
}

impl Attempt {
    /// The bytes of the record.
    pub fn encode(&self) -> Vec<u8> {
        let (end, code) = match self.end {
            End::Talked => (0, 0),
            End::Sealed => (1, 0),
            End::Gone => (2, 0),
            End::Refused(code) => (3, code.number()),
        };
        let mut to = vec![VERSION, end];
        to.extend_from_slice(&code.to_le_bytes());
        to.extend_from_slice(&[u8::from(self.role == Role::Emergency), 0, 0, 0]);
        to.extend_from_slice(&self.sequence.to_le_bytes());
        to.extend_from_slice(&self.first.to_le_bytes());
        to.extend_from_slice(&self.last.to_le_bytes());
        to.extend_from_slice(&self.count.to_le_bytes());
        to.extend_from_slice(&crc32fast::hash(&to).to_le_bytes());
        to
    }

    /// Reads the bytes of a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let Some((checked, check)) = bytes.split_at_checked(CHECKED_BYTES) else {
            return malformed("attempt: length");
        };
        if check != crc32fast::hash(checked).to_le_bytes() {
            return malformed("attempt: check");
        }
        let mut from = Cursor::new(checked);
        if from.u8("attempt")? != VERSION {
            return malformed("attempt: version");
        }
        let end = match (from.u8("attempt")?, from.u16("attempt")?) {
            (0, 0) => End::Talked,
            (1, 0) => End::Sealed,
            (2, 0) => End::Gone,
            (3, code) => End::Refused(Code::from_number(code)?),
            _ => return malformed("attempt: end"),
        };
        let role = match from.u32("attempt")? {
            0 => Role::Usual,
            1 => Role::Emergency,
            _ => return malformed("attempt: role"),
        };
        let sequence = from.u64("attempt")?;
        if sequence == u64::MAX {
            return malformed("attempt: sequence");
        }
        Ok(Self {
            sequence,
            end,
            role,
            first: from.i64("attempt")?,
            last: from.i64("attempt")?,
            count: from.u32("attempt")?,
        })
    }
}

/// The records of a file, oldest first. Of a longer file only so much is looked at as one may have; what is no record is passed over.
pub fn read(bytes: &[u8]) -> Vec<Attempt> {
    let records = bytes.chunks_exact(RECORD_BYTES).take(RECORDS);
    let mut attempts: Vec<_> = records.filter_map(|bytes| Attempt::decode(bytes).ok()).collect();
    attempts.sort_unstable_by_key(|attempt| attempt.sequence);
    attempts
}

/// What is written for one more session, and at which place of the file.
pub fn add(bytes: &[u8], end: End, role: Role, now: i64) -> (Attempt, u64) {
    let newest = read(bytes).pop();
    let attempt = match newest {
        Some(newest) if (newest.end, newest.role) == (end, role) => {
            Attempt { last: now, count: newest.count.saturating_add(1), ..newest }
        }
        newest => {
            let sequence = newest.map_or(0, |newest| newest.sequence) + 1;
            Attempt { sequence, end, role, first: now, last: now, count: 1 }
        }
    };
    let place = attempt.sequence % RECORDS as u64;
    (attempt, place * RECORD_BYTES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: End = End::Refused(Code::Busy);

    fn put(file: &mut Vec<u8>, end: End, role: Role, now: i64) {
        let (attempt, place) = add(file, end, role, now);
        let place = usize::try_from(place).unwrap();
        file.resize(file.len().max(place + RECORD_BYTES), 0);
        file[place..place + RECORD_BYTES].copy_from_slice(&attempt.encode());
    }

    #[test]
    fn sessions_that_end_alike_take_one_record_however_many_they_are() {
        let mut file = Vec::new();
        for now in 1..=10_000 {
            put(&mut file, BUSY, Role::Usual, now);
        }
        put(&mut file, End::Sealed, Role::Usual, 10_001);
        put(&mut file, BUSY, Role::Emergency, 10_002);
        let found: Vec<_> =
            read(&file).iter().map(|one| (one.end, one.role, one.first, one.last, one.count)).collect();
        let expected = [
            (BUSY, Role::Usual, 1, 10_000, 10_000),
            (End::Sealed, Role::Usual, 10_001, 10_001, 1),
            (BUSY, Role::Emergency, 10_002, 10_002, 1),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_file_never_grows_beyond_its_bound_and_keeps_the_newest() {
        let mut file = Vec::new();
        for now in 0..1_000 {
            put(&mut file, if now % 2 == 0 { End::Sealed } else { BUSY }, Role::Usual, now);
            assert!(file.len() <= FILE_BYTES);
        }
        let times: Vec<i64> = read(&file).iter().map(|one| one.last).collect();
        assert_eq!(times, (1_000 - RECORDS as i64..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn every_end_is_read_as_it_was_written_and_no_damaged_byte_is_taken() {
        let ends =
            Code::ALL.iter().map(|code| End::Refused(*code)).chain([End::Talked, End::Sealed, End::Gone]);
        for end in ends {
            let attempt =
                Attempt { sequence: 9, end, role: Role::Emergency, first: -5, last: i64::MAX, count: 7 };
            let bytes = attempt.encode();
            assert_eq!(bytes.len(), RECORD_BYTES);
            assert_eq!(Attempt::decode(&bytes).unwrap(), attempt);
            for at in 0..RECORD_BYTES {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x10;
                assert!(Attempt::decode(&damaged).is_err(), "{at}");
                assert!(Attempt::decode(&bytes[..at]).is_err());
            }
        }
    }

    #[test]
    fn what_somebody_forged_is_bounded_and_goes_when_it_is_written_over() {
        let forged =
            Attempt { sequence: u64::MAX, end: BUSY, role: Role::Usual, first: 0, last: 0, count: u32::MAX };
        let mut file = forged.encode();
        let (attempt, place) = add(&file, BUSY, Role::Usual, 5);
        assert_eq!((attempt.sequence, attempt.count, place), (1, 1, RECORD_BYTES as u64));
        let forged = Attempt { sequence: 3, ..forged };
        file = forged.encode();
        assert_eq!(add(&file, BUSY, Role::Usual, 5).0.count, u32::MAX);
        let long = forged.encode().repeat(10 * RECORDS);
        assert_eq!(read(&long).len(), RECORDS);
        for noise in [vec![0; 5_000], vec![0xff; 5_000], b"x".repeat(39)] {
            assert_eq!(read(&noise), []);
            assert_eq!(add(&noise, BUSY, Role::Usual, 5).0.sequence, 1);
        }
    }
}
