//! CRC-64/NVME, the one checksum that S3 can put together from those of parts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm::Crc64Nvme;

/// The checksum of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crc(u64);

impl Crc {
    pub(super) fn of(bytes: &[u8]) -> Crc {
        Crc(crc_fast::checksum(Crc64Nvme, bytes))
    }

    /// The checksum of these bytes and `length` more, whose checksum is `next`.
    pub(super) fn then(self, next: Crc, length: u64) -> Crc {
        Crc(crc_fast::checksum_combine(Crc64Nvme, self.0, next.0, length))
    }

    /// As headers carry it.
    pub(super) fn text(self) -> String {
        STANDARD.encode(self.0.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_put_together_are_the_whole() {
        // The check value of the catalogue of CRCs.
        assert_eq!(Crc::of(b"123456789"), Crc(0xae8b_1486_0a79_9888));
        assert_eq!(Crc::of(b"12345").then(Crc::of(b"6789"), 4), Crc::of(b"123456789"));
        assert_eq!(Crc::of(b"").then(Crc::of(b"ab"), 2), Crc::of(b"ab"));
        assert_eq!(Crc::of(b"123456789").text(), "rosUhgp5mIg=");
    }
}
