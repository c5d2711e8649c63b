//! Expanding blocks: never more than a block says, never more than all blocks may.

use formats::push::{Block, Codec};
use formats::session::Code;
use zstd::zstd_safe::{DCtx, find_frame_compressed_size};

/// Expands block after block into one buffer, within a budget for their sum.
pub(super) struct Expander {
    context: DCtx<'static>,
    buffer: Vec<u8>,
    left_bytes: u64,
}

impl Expander {
    pub(super) fn new(budget_bytes: u64) -> Self {
        Self { context: DCtx::create(), buffer: Vec::new(), left_bytes: budget_bytes }
    }

    /// The bytes of one block: exactly as many as it says, or a refusal.
    pub(super) fn expand(&mut self, payload: &[u8]) -> Result<&[u8], Code> {
        let block = Block::decode(payload).map_err(|_| Code::MalformedPush)?;
        let expanded = block.expanded_bytes as u64;
        self.left_bytes = self.left_bytes.checked_sub(expanded).ok_or(Code::OverBudget)?;
        self.buffer.clear();
        match block.codec {
            Codec::Stored => self.buffer.extend_from_slice(block.packed),
            Codec::Zstd => self.unpack(&block)?,
        }
        Ok(&self.buffer)
    }

    fn unpack(&mut self, block: &Block<'_>) -> Result<(), Code> {
        // One frame: no second one, none that is skipped, nothing after it.
        if find_frame_compressed_size(block.packed) != Ok(block.packed.len()) {
            return Err(Code::MalformedPush);
        }
        self.buffer.resize(block.expanded_bytes, 0);
        match self.context.decompress(self.buffer.as_mut_slice(), block.packed) {
            Ok(length) if length == block.expanded_bytes => Ok(()),
            _ => Err(Code::MalformedPush),
        }
    }
}
