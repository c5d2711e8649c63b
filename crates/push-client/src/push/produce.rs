//! Taking in what a command gives: sent while it comes, so far as the last output of its kind does not have it.

use std::time::Duration;

use super::contents::{Contents, LONG_BYTES};
use super::dumps::Made;
use super::elsewhere::Lent;
use super::error::PushError;
use super::packer::SenderGone;
use super::scan::{Last, Old, READ_BYTES, Scan, Scanned};
use crate::commands::{Came, CommandError, Output, Runner};
use crate::plan::Dump;
use crate::state::{Pieces, PiecesFolder};

/// A command that gives nothing for so long: what it gave before is sent on, as a sign of life.
const SILENCE: Duration = Duration::from_secs(30);

impl Contents<'_> {
    /// Has the dump with this number made, and puts what it gives in the push. `old` is what the base has of it.
    pub(super) fn produce(
        &mut self,
        runner: &mut Runner,
        (number, dump): (u8, &Dump),
        old: Option<Lent>,
    ) -> Result<Made, PushError> {
        let mut output = runner.dump(number, &dump.task)?;
        let Scanned { bytes, hash, pieces } = self.take_in(&mut output, old)?;
        let least = dump.least_bytes;
        output.end()?;
        if bytes < least {
            return Err(CommandError::TooShort { number, name: dump.task.name(), bytes, least }.into());
        }
        if self.remembered.has(&hash) || self.elsewhere.has(&hash) {
            self.packer.drop_open().map_err(gone)?;
        } else {
            self.packer.end(bytes, hash, None).map_err(gone)?;
            self.remembered.insert(&hash);
        }
        if bytes > LONG_BYTES {
            // Without it the next one is sent whole.
            let _ = self.pieces.save(&hash, &pieces);
        }
        Ok((bytes, hash))
    }

    fn take_in(&mut self, output: &mut Output<'_>, old: Option<Lent>) -> Result<Scanned, PushError> {
        // How long it gets is not known: as long as the last one, most likely.
        let new = Pieces::for_length(old.as_ref().map_or(0, |lent| lent.expected.size));
        let old = old.and_then(|lent| lists_of(&self.pieces, lent));
        let mut scan = Scan::begin(new, old, &mut self.packer).map_err(gone)?;
        let mut left = 0;
        loop {
            let length = self.fill_from(output, left)?;
            let held = self.buffer.get(..left + length).unwrap_or_default();
            let last = if length < READ_BYTES { Last::Yes } else { Last::No };
            let done = scan.take(held, left, last, &mut self.packer).map_err(gone)?;
            if last == Last::Yes {
                return scan.finish(&mut self.packer).map_err(gone);
            }
            self.buffer.copy_within(done..left + length, 0);
            left = left + length - done;
        }
    }

    /// Reads behind what is left in the buffer; less than a whole reading only at the end.
    fn fill_from(&mut self, output: &mut Output<'_>, left: usize) -> Result<usize, PushError> {
        let mut filled = 0;
        while filled < READ_BYTES {
            let space = self.buffer.get_mut(left + filled..left + READ_BYTES).unwrap_or_default();
            match output.read(space, SILENCE)? {
                Came::Bytes(length) => {
                    filled += length;
                    self.read_bytes += length as u64;
                    self.reading.advance(length as u64);
                }
                Came::Nothing => self.packer.flush().map_err(gone)?,
                Came::End => break,
            }
        }
        Ok(filled)
    }
}

fn lists_of(folder: &PiecesFolder, Lent { path, expected }: Lent) -> Option<Old> {
    folder.load(&expected.hash).map(|pieces| Old { path, pieces })
}

fn gone(SenderGone: SenderGone) -> PushError {
    PushError::SenderGone
}
