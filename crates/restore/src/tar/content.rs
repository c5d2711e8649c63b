//! A content on its way into an archive: read and hashed as a whole, then sent.

use std::io::Read;

use cli::Task;
use formats::{ContentHash, RelPath};

use crate::file::fill_buffer;
use crate::{Held, Trouble};

/// Contents up to this are kept between the two; longer ones are read twice.
const KEPT_BYTES: u64 = 4 << 20;
const BUFFER_BYTES: usize = 1 << 20;

/// A content that was read to its end, and is what it should be.
#[derive(Debug)]
pub(super) struct Content {
    kept: Option<Vec<u8>>,
}

impl Content {
    pub(super) fn examine(
        size: u64,
        expected: &ContentHash,
        held: &mut dyn Held,
        task: &Task,
    ) -> Result<Self, Trouble> {
        let mut kept = (size <= KEPT_BYTES).then(Vec::new);
        let whole = read(size, expected, held, &mut |bytes| {
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(bytes);
            }
            task.advance(bytes.len() as u64);
            Ok(())
        })?;
        if !whole {
            return Err(Trouble::Differs("its content is another"));
        }
        Ok(Content { kept })
    }

    /// Sends all of it.
    pub(super) fn send(
        &self,
        path: &RelPath,
        (size, expected): (u64, &ContentHash),
        held: &mut dyn Held,
        to: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        match &self.kept {
            Some(kept) => to(kept),
            None => match read(size, expected, held, to) {
                Ok(true) => Ok(()),
                // Its header and a part of it are out already.
                Ok(false) | Err(Trouble::Differs(_)) => {
                    let path = cli::shown(path.as_bytes());
                    let error = std::io::Error::other(format!(
                        "{path}: it was whole, and is not when it is read again"
                    ));
                    Err(Trouble::Fatal(cli::Failed::machine("reading the history", error)))
                }
                Err(trouble) => Err(trouble),
            },
        }
    }
}

/// Reads all of it, piece by piece; true if it is what it should be.
fn read(
    size: u64,
    expected: &ContentHash,
    held: &mut dyn Held,
    see: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>,
) -> Result<bool, Trouble> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0u64;
    if size > 0 {
        let mut content = held.content(expected)?.take(size.saturating_add(1));
        let mut buffer = vec![0; BUFFER_BYTES.min(usize::try_from(size).unwrap_or(BUFFER_BYTES))];
        loop {
            let read = fill_buffer(&mut content, &mut buffer)
                .map_err(|_| Trouble::Differs("its content cannot be read"))?;
            let bytes = buffer.get(..read).unwrap_or_default();
            if bytes.is_empty() || at + read as u64 > size {
                at += read as u64;
                break;
            }
            hasher.update(bytes);
            see(bytes)?;
            at += read as u64;
        }
    }
    Ok(at == size && hasher.finalize().as_bytes() == expected.as_bytes())
}
