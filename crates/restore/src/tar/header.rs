//! One member's header: 512 bytes of ustar, and before it what does not fit in there.

use formats::{Attribute, Meta};

use crate::Trouble;

/// What all of an archive is a multiple of.
pub(super) const BLOCK_BYTES: usize = 512;
/// The largest number of seven octal digits, and of eleven.
const SEVEN_DIGITS: u64 = (1 << 21) - 1;
const ELEVEN_DIGITS: u64 = (1 << 33) - 1;
const NAME_BYTES: usize = 100;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    File = b'0' as isize,
    HardLink = b'1' as isize,
    Symlink = b'2' as isize,
    CharDevice = b'3' as isize,
    BlockDevice = b'4' as isize,
    Folder = b'5' as isize,
    Fifo = b'6' as isize,
    /// What follows belongs to the next member.
    Extended = b'x' as isize,
}

/// A header under construction.
#[derive(Debug)]
pub(super) struct Header {
    block: [u8; BLOCK_BYTES],
    extended: Vec<u8>,
}

/// Where a field stands in the block, and how long it is.
type Field = (usize, usize);
const NAME: Field = (0, NAME_BYTES);
const MODE: Field = (100, 8);
const OWNER: Field = (108, 8);
const GROUP: Field = (116, 8);
const SIZE: Field = (124, 12);
const TIME: Field = (136, 12);
const CHECKSUM: Field = (148, 8);
const TYPE: Field = (156, 1);
const LINK: Field = (157, NAME_BYTES);
const MAGIC: Field = (257, 8);
const MAJOR: Field = (329, 8);
const MINOR: Field = (337, 8);

impl Header {
    pub(super) fn new(kind: Type, path: &[u8]) -> Self {
        let mut header = Header { block: [0; BLOCK_BYTES], extended: Vec::new() };
        header.put(MAGIC, b"ustar\x0000");
        header.put(TYPE, &[kind as u8]);
        for field in [MODE, OWNER, GROUP, SIZE, TIME, MAJOR, MINOR] {
            header.octal(field, 0);
        }
        let mut path = path.to_vec();
        if kind == Type::Folder {
            path.push(b'/');
        }
        header.text(NAME, b"path", &path);
        header
    }

    /// What it links to.
    pub(super) fn link(&mut self, target: &[u8]) {
        self.text(LINK, b"linkpath", target);
    }

    pub(super) fn device(&mut self, major: u32, minor: u32) -> Result<(), Trouble> {
        if u64::from(major.max(minor)) > SEVEN_DIGITS {
            return Err(Trouble::LeftOut("an archive cannot hold its device number".to_owned()));
        }
        self.octal(MAJOR, major.into());
        self.octal(MINOR, minor.into());
        Ok(())
    }

    /// Owner, time, and this mode.
    pub(super) fn meta(&mut self, meta: &Meta, mode: u32) {
        self.octal(MODE, mode.into());
        self.number(OWNER, b"uid", meta.owner.into(), SEVEN_DIGITS);
        self.number(GROUP, b"gid", meta.group.into(), SEVEN_DIGITS);
        let (seconds, nanos) = (meta.mtime.seconds, meta.mtime.nanos);
        match u64::try_from(seconds) {
            Ok(seconds) if nanos == 0 && seconds <= ELEVEN_DIGITS => self.octal(TIME, seconds),
            _ => self.record(b"mtime", decimal(seconds, nanos).as_bytes()),
        }
    }

    pub(super) fn attribute(&mut self, attribute: &Attribute) {
        let mut keyword = b"SCHILY.xattr.".to_vec();
        for byte in &attribute.name {
            match byte {
                // As GNU tar does: the first `=` ends a keyword.
                b'%' => keyword.extend_from_slice(b"%25"),
                b'=' => keyword.extend_from_slice(b"%3D"),
                byte => keyword.push(*byte),
            }
        }
        self.record(&keyword, &attribute.value);
    }

    /// The length of a file.
    pub(super) fn size(&mut self, bytes: u64) {
        self.number(SIZE, b"size", bytes, ELEVEN_DIGITS);
    }

    /// The extended header, if there is something in it, and the header.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if !self.extended.is_empty() {
            let mut before = Header::new(Type::Extended, b"pax");
            before.octal(MODE, 0o600);
            before.octal(SIZE, self.extended.len() as u64);
            bytes.extend_from_slice(&before.closed());
            bytes.extend_from_slice(&self.extended);
            bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        }
        bytes.extend_from_slice(&self.closed());
        bytes
    }

    /// With its checksum, which is taken over blanks in its own place.
    fn closed(&self) -> [u8; BLOCK_BYTES] {
        let mut closed = Header { block: self.block, extended: Vec::new() };
        closed.put(CHECKSUM, b"        ");
        let sum: u32 = closed.block.iter().map(|byte| u32::from(*byte)).sum();
        closed.put(CHECKSUM, format!("{sum:06o}\0 ").as_bytes());
        closed.block
    }

    fn put(&mut self, (at, length): Field, bytes: &[u8]) {
        let field = self.block.get_mut(at..at + length).unwrap_or_default();
        for (to, from) in field.iter_mut().zip(bytes) {
            *to = *from;
        }
    }

    fn octal(&mut self, field: Field, number: u64) {
        let digits = field.1 - 1;
        self.put(field, format!("{number:0digits$o}\0").as_bytes());
    }

    /// A number, in the extended header if it is above `most`.
    fn number(&mut self, field: Field, keyword: &[u8], number: u64, most: u64) {
        if number <= most {
            self.octal(field, number);
        } else {
            self.record(keyword, number.to_string().as_bytes());
        }
    }

    /// A text, in the extended header too if it does not fit.
    fn text(&mut self, field: Field, keyword: &[u8], text: &[u8]) {
        self.put(field, text);
        if text.len() > field.1 {
            self.record(keyword, text);
        }
    }

    /// `length keyword=value\n`, of which the length counts all, itself too.
    fn record(&mut self, keyword: &[u8], value: &[u8]) {
        let rest = keyword.len() + value.len() + 3;
        let mut length = rest + 1;
        while rest + length.to_string().len() != length {
            length = rest + length.to_string().len();
        }
        self.extended.extend_from_slice(length.to_string().as_bytes());
        for part in [b" ", keyword, b"=", value, b"\n"] {
            self.extended.extend_from_slice(part);
        }
    }
}

/// Seconds as pax writes them. Nanoseconds count upwards from the seconds, also before 1970.
fn decimal(seconds: i64, nanos: u32) -> String {
    let whole = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let sign = if whole < 0 { "-" } else { "" };
    let whole = whole.unsigned_abs();
    format!("{sign}{}.{:09}", whole / 1_000_000_000, whole % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_keep_their_nanoseconds() {
        for (seconds, nanos, text) in [
            (1_700_000_000, 1, "1700000000.000000001"),
            (-1, 1, "-0.999999999"),
            (-86_400_000, 999_999_999, "-86399999.000000001"),
            (-5, 0, "-5.000000000"),
        ] {
            assert_eq!(decimal(seconds, nanos), text);
        }
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for value in [0, 1, 85, 86, 87, 88, 89, 90, 985, 986, 987, 988, 9_990] {
            let mut header = Header::new(Type::File, b"a");
            header.record(b"key", &vec![b'v'; value]);
            let text = String::from_utf8(header.extended).unwrap();
            let (length, _) = text.split_once(' ').unwrap();
            assert_eq!(length.parse::<usize>().unwrap(), text.len(), "{value}");
        }
    }
}
