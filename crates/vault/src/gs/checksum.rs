//! CRC-32C, the checksum that Google keeps of every object.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm::Crc32Iscsi, Digest};

/// The checksum of some bytes, as they come.
pub(super) struct Crc(Digest);

impl Crc {
    pub(super) fn new() -> Crc {
        Crc(Digest::new(Crc32Iscsi))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// As Google writes it: four bytes, the highest first, in base64.
    pub(super) fn text(&self) -> String {
        let crc = u32::try_from(self.0.finalize()).unwrap_or_default();
        STANDARD.encode(crc.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_one_after_another_are_the_whole() {
        let mut crc = Crc::new();
        assert_eq!(crc.text(), "AAAAAA==");
        crc.update(b"12345");
        crc.update(b"6789");
        // The check value of the catalogue of CRCs: e3069283.
        assert_eq!(crc.text(), "4waSgw==");
    }
}
