//! The outermost packets of a sealed segment, by their lengths alone (RFC 9580, section 4.2): some for recipients, then one container that ends
//! where the segment ends. The library that decrypts stops at the end of the container, and would pass over what comes after it.

use std::io::{self, BufReader, Read, Seek};

/// Most recipients of one segment.
const RECIPIENTS_MAX: u32 = 64;
const BUFFER_BYTES: usize = 1 << 16;

/// Packet tags.
const RECIPIENT: u8 = 1;
const CONTAINER: u8 = 18;

/// Why a segment is not what it should be.
#[derive(Debug)]
pub(crate) enum OutlineError {
    /// It is of another shape.
    Shape(&'static str),
    /// It ends before its packets do, or cannot be read.
    Read(io::Error),
}

impl From<io::Error> for OutlineError {
    fn from(error: io::Error) -> Self {
        OutlineError::Read(error)
    }
}

/// Walks the outermost packets of `sealed`, which is `bytes` long.
pub(crate) fn walk(sealed: impl Read + Seek, bytes: u64) -> Result<(), OutlineError> {
    let mut packets = Packets { from: BufReader::with_capacity(BUFFER_BYTES, sealed), place: 0, bytes };
    for number in 0..=RECIPIENTS_MAX {
        match packets.head()? {
            (RECIPIENT, length) => packets.pass(length)?,
            (CONTAINER, _) if number == 0 => return Err(OutlineError::Shape("it names no recipient")),
            (CONTAINER, length) => {
                packets.pass(length)?;
                return match packets.place == bytes {
                    true => Ok(()),
                    false => Err(OutlineError::Shape("something comes after its end")),
                };
            }
            _ => return Err(OutlineError::Shape("it holds a packet that has no place in it")),
        }
    }
    Err(OutlineError::Shape("it has too many recipients"))
}

/// The length of a packet, or of its first part.
#[derive(Debug, Clone, Copy)]
enum Length {
    Whole(u64),
    /// Another length follows after so many bytes.
    Part(u64),
}

struct Packets<R> {
    from: BufReader<R>,
    place: u64,
    bytes: u64,
}

impl<R: Read + Seek> Packets<R> {
    /// A big-endian number of `N` octets.
    fn number<const N: usize>(&mut self) -> Result<u64, OutlineError> {
        let mut octets = [0; N];
        self.from.read_exact(&mut octets)?;
        self.place += N as u64;
        Ok(octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }

    fn byte(&mut self) -> Result<u8, OutlineError> {
        Ok(self.number::<1>()? as u8)
    }

    fn head(&mut self) -> Result<(u8, Length), OutlineError> {
        let head = self.byte()?;
        if head & 0x80 == 0 {
            return Err(OutlineError::Shape("it is not binary"));
        }
        if head & 0x40 != 0 {
            return Ok((head & 0x3f, self.length()?));
        }
        let length = match head & 3 {
            0 => self.number::<1>()?,
            1 => self.number::<2>()?,
            2 => self.number::<4>()?,
            _ => return Err(OutlineError::Shape("a packet does not say where it ends")),
        };
        Ok((head >> 2 & 0xf, Length::Whole(length)))
    }

    fn length(&mut self) -> Result<Length, OutlineError> {
        Ok(match self.byte()? {
            first @ 0..192 => Length::Whole(first.into()),
            first @ 192..224 => Length::Whole(((u64::from(first) - 192) << 8) + self.number::<1>()? + 192),
            first @ 224..255 => Length::Part(1 << (first & 0x1f)),
            255 => Length::Whole(self.number::<4>()?),
        })
    }

    /// Passes over the content of a packet, part by part.
    fn pass(&mut self, mut length: Length) -> Result<(), OutlineError> {
        loop {
            let (Length::Whole(content) | Length::Part(content)) = length;
            self.place = self.place.saturating_add(content);
            if self.place > self.bytes {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.from.seek_relative(i64::try_from(content).unwrap_or(i64::MAX))?;
            match length {
                Length::Whole(_) => return Ok(()),
                Length::Part(_) => length = self.length()?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn shape(bytes: &[u8]) -> Result<(), String> {
        walk(Cursor::new(bytes), bytes.len() as u64).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn recipients_then_one_container_is_the_only_outline() {
        let recipient = [0x84, 2, 9, 9];
        let container = [0xd2, 3, 1, 2, 3];
        let parts = [&[0xd2, 225, 1, 2, 224, 3, 2][..], &[4, 5]].concat();
        let long = [&[0xd2, 255, 0, 0, 1, 0][..], &[7; 256]].concat();
        let middle = [&[0xd2, 192, 8][..], &[7; 200]].concat();
        for good in [&container[..], &parts, &long, &middle] {
            assert_eq!(shape(&[&recipient, good].concat()), Ok(()), "{good:?}");
            assert_eq!(shape(&[&recipient, &recipient, good].concat()), Ok(()));
            assert!(shape(&[&recipient, good, &[0]].concat()).unwrap_err().contains("after its end"));
            assert!(shape(&[&recipient, good, good].concat()).unwrap_err().contains("after its end"));
            assert!(shape(good).unwrap_err().contains("no recipient"));
            let whole = [&recipient, good].concat();
            for cut in 0..whole.len() {
                assert!(shape(&whole[..cut]).is_err(), "{cut}");
            }
        }
        assert!(shape(&[0x87, 1, 2]).unwrap_err().contains("where it ends"));
        assert!(shape(&[0x04, 1, 2]).unwrap_err().contains("not binary"));
        assert!(shape(&[0xca, 0]).unwrap_err().contains("no place"));
        assert!(shape(&recipient.repeat(100)).unwrap_err().contains("too many"));
        assert!(shape(&[&recipient[..], &[0xd2, 254, 0]].concat()).unwrap_err().contains("UnexpectedEof"));
    }
}
