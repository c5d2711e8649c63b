//! What the child says and the parent answers. Integers are little-endian.
//!
//! The child sends messages: one for each name, ascending; then `END`, or `BROKEN` if it cannot go on. After the message of a file that is not
//! empty the parent answers `SEND` or `SKIP`; after `SEND` come pieces of content, each a `u32` length and as many bytes, closed by length 0, or
//! by `TORN` if the content cannot be read.

use std::io::{self, Read, Write};

/// Longest name in an image, from its root.
const NAME_BYTES_MAX: usize = 40_000;
/// Longest symlink target.
const TARGET_BYTES_MAX: usize = 65_535;
/// Longest text of a `BROKEN`.
const TEXT_BYTES_MAX: usize = 1_024;
/// Longest piece of content.
pub(crate) const PIECE_BYTES_MAX: usize = 1 << 20;

const END: u8 = 0;
const BROKEN: u8 = 255;

/// The length that says that a content cannot be read.
pub(crate) const TORN: u32 = u32::MAX;
/// The parent wants the content.
pub(crate) const SEND: u8 = 1;
/// The parent does not.
pub(crate) const SKIP: u8 = 2;

/// One thing the child says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Name(Told),
    End,
    Broken(String),
}

/// A name in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// From the root of the image, without a leading slash.
    pub(crate) path: Vec<u8>,
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    /// Seconds since 1970.
    pub(crate) mtime: u32,
    pub(crate) kind: Kind,
}

/// What is under a name in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    File {
        size: u64,
    },
    Folder,
    Symlink {
        target: Vec<u8>,
    },
    Fifo,
    Socket,
    /// With the number as squashfs packs it.
    CharDevice(u32),
    /// With the number as squashfs packs it.
    BlockDevice(u32),
}

impl Kind {
    /// In words.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Kind::File { .. } => "a file",
            Kind::Folder => "a folder",
            Kind::Symlink { .. } => "a symlink",
            Kind::Fifo => "a fifo",
            Kind::Socket => "a socket",
            Kind::CharDevice(_) => "a character device",
            Kind::BlockDevice(_) => "a block device",
        }
    }
}

impl Message {
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Message::Name(told) => told.write(to),
            Message::End => to.write_all(&[END]),
            Message::Broken(text) => {
                to.write_all(&[BROKEN])?;
                let cut = text.floor_char_boundary(TEXT_BYTES_MAX);
                put(to, text.as_bytes().get(..cut).unwrap_or_default())
            }
        }
    }

    pub(crate) fn read(from: &mut impl Read) -> io::Result<Message> {
        match take::<1>(from)? {
            [END] => Ok(Message::End),
            [BROKEN] => {
                let text = take_bytes(from, TEXT_BYTES_MAX)?;
                Ok(Message::Broken(String::from_utf8_lossy(&text).into_owned()))
            }
            [kind] => Told::read(kind, from).map(Message::Name),
        }
    }
}

impl Told {
    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (code, number) = match &self.kind {
            Kind::File { size } => (1, *size),
            Kind::Folder => (2, 0),
            Kind::Symlink { .. } => (3, 0),
            Kind::Fifo => (5, 0),
            Kind::Socket => (6, 0),
            Kind::CharDevice(number) => (7, u64::from(*number)),
            Kind::BlockDevice(number) => (8, u64::from(*number)),
        };
        to.write_all(&[code])?;
        for field in [self.mode, self.owner, self.group, self.mtime] {
            to.write_all(&field.to_le_bytes())?;
        }
        to.write_all(&number.to_le_bytes())?;
        put(to, &self.path)?;
        match &self.kind {
            Kind::Symlink { target } => put(to, target),
            _ => Ok(()),
        }
    }

    fn read(code: u8, from: &mut impl Read) -> io::Result<Told> {
        let mut fields = [0u32; 4];
        for field in &mut fields {
            *field = u32::from_le_bytes(take(from)?);
        }
        let [mode, owner, group, mtime] = fields;
        let number = u64::from_le_bytes(take(from)?);
        let path = take_bytes(from, NAME_BYTES_MAX)?;
        let device = || u32::try_from(number).or(Err(wrong("device number")));
        let kind = match code {
            1 => Kind::File { size: number },
            2 => Kind::Folder,
            3 => Kind::Symlink { target: take_bytes(from, TARGET_BYTES_MAX)? },
            5 => Kind::Fifo,
            6 => Kind::Socket,
            7 => Kind::CharDevice(device()?),
            8 => Kind::BlockDevice(device()?),
            _ => return Err(wrong("kind")),
        };
        Ok(Told { path, mode, owner, group, mtime, kind })
    }
}

/// The length of the next piece of content; 0 at its end, [`TORN`] if there is no more.
pub(crate) fn read_piece_length(from: &mut impl Read) -> io::Result<u32> {
    match u32::from_le_bytes(take(from)?) {
        TORN => Ok(TORN),
        length if length as usize > PIECE_BYTES_MAX => Err(wrong("length")),
        length => Ok(length),
    }
}

fn put(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).or(Err(wrong("length")))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(bytes)
}

fn take<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn take_bytes(from: &mut impl Read, most: usize) -> io::Result<Vec<u8>> {
    let length = u32::from_le_bytes(take(from)?) as usize;
    if length > most {
        return Err(wrong("length"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the child that reads the image sent a wrong {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: Kind) -> Message {
        Message::Name(Told { path: b"a/\xff".to_vec(), mode: 0o4755, owner: 1, group: 2, mtime: 3, kind })
    }

    #[test]
    fn what_is_said_is_heard() {
        for message in [
            told(Kind::File { size: 1 << 40 }),
            told(Kind::Folder),
            told(Kind::Symlink { target: b"/x".to_vec() }),
            told(Kind::Fifo),
            told(Kind::Socket),
            told(Kind::CharDevice(7)),
            told(Kind::BlockDevice(8)),
            Message::End,
            Message::Broken("why".to_owned()),
        ] {
            let mut bytes = Vec::new();
            message.write(&mut bytes).unwrap();
            assert_eq!(Message::read(&mut bytes.as_slice()).unwrap(), message);
            for cut in 0..bytes.len() {
                assert!(Message::read(&mut bytes.get(..cut).unwrap()).is_err(), "{message:?} {cut}");
            }
        }
    }

    #[test]
    fn a_length_beyond_its_limit_takes_no_memory() {
        let mut name = vec![2];
        name.extend([0; 24]);
        name.extend(u32::MAX.to_le_bytes());
        assert_eq!(Message::read(&mut name.as_slice()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut device = vec![7];
        device.extend([0xff; 24]);
        device.extend([0; 4]);
        assert_eq!(Message::read(&mut device.as_slice()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(read_piece_length(&mut (TORN - 1).to_le_bytes().as_slice()).is_err());
    }
}
