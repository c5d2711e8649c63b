//! `aws-chunked` bodies: chunks with lengths, perhaps signatures, and trailers after the last one.

use sha2::{Digest as _, Sha256};

use crate::checksum::hex;
use crate::refusal::Refusal;
use crate::signature::Chain;

/// Longest line between chunks.
const LINE_BYTES_MAX: usize = 4096;

enum Place {
    /// In the line that gives a chunk's length.
    Length,
    /// So many bytes of the chunk are still to come.
    Data(u64),
    /// In the line end after a chunk.
    End,
    Trailers,
}

/// Takes a body apart as it arrives.
pub(crate) struct Chunked {
    place: Place,
    line: Vec<u8>,
    chain: Option<Chain>,
    hash: Sha256,
    signature: String,
    trailers: Vec<(String, String)>,
}

impl Chunked {
    pub(crate) fn new(chain: Option<Chain>) -> Self {
        let (line, trailers) = (Vec::new(), Vec::new());
        Self { place: Place::Length, line, chain, hash: Sha256::new(), signature: String::new(), trailers }
    }

    /// Hands the bytes of chunks to `sink`.
    pub(crate) fn feed(&mut self, mut data: &[u8], mut sink: impl FnMut(&[u8])) -> Result<(), Refusal> {
        while !data.is_empty() {
            if let Place::Data(left) = self.place {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                let (now, later) = data.split_at(count);
                if self.chain.is_some() {
                    self.hash.update(now);
                }
                sink(now);
                data = later;
                let left = left - count as u64;
                self.place = if left == 0 { Place::End } else { Place::Data(left) };
                continue;
            }
            let end = data.iter().position(|byte| *byte == b'\n');
            let (now, later) = data.split_at(end.map_or(data.len(), |end| end + 1));
            self.line.extend_from_slice(now);
            if self.line.len() > LINE_BYTES_MAX {
                return Err(Refusal::invalid("a line between chunks is too long"));
            }
            data = later;
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                let text = String::from_utf8(line)
                    .map_err(|_| Refusal::invalid("a line between chunks is no text"))?;
                self.end_line(text.trim_end())?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self, line: &str) -> Result<(), Refusal> {
        match self.place {
            Place::Length => {
                let (length, extension) = line.split_once(';').unwrap_or((line, ""));
                let length =
                    u64::from_str_radix(length, 16).map_err(|_| Refusal::invalid("a chunk has no length"))?;
                self.signature = extension.strip_prefix("chunk-signature=").unwrap_or_default().to_owned();
                if length == 0 {
                    self.check_chunk()?;
                    self.place = Place::Trailers;
                } else {
                    self.place = Place::Data(length);
                }
            }
            Place::End => {
                if !line.is_empty() {
                    return Err(Refusal::invalid("a chunk is longer than its length"));
                }
                self.check_chunk()?;
                self.place = Place::Length;
            }
            Place::Trailers => {
                if let Some((name, value)) = line.split_once(':') {
                    self.trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
            Place::Data(_) => {}
        }
        Ok(())
    }

    fn check_chunk(&mut self) -> Result<(), Refusal> {
        let Some(chain) = &mut self.chain else { return Ok(()) };
        let hash = hex(&self.hash.finalize_reset());
        chain.chunk(&hash, &self.signature)
    }

    /// The trailers, once the last chunk was seen and all signatures were right.
    pub(crate) fn finish(mut self) -> Result<Vec<(String, String)>, Refusal> {
        if !matches!(self.place, Place::Trailers) {
            return Err(Refusal::incomplete());
        }
        let place = self.trailers.iter().position(|(name, _)| name == "x-amz-trailer-signature");
        let signature = place.map(|place| self.trailers.remove(place).1);
        if let Some(chain) = &mut self.chain
            && !self.trailers.is_empty()
        {
            let lines: String =
                self.trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
            chain.trailer(&lines, &signature.unwrap_or_default())?;
        }
        Ok(self.trailers)
    }
}
