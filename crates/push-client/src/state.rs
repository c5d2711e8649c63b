//! What a host remembers between pushes: docs/formats/client-state.md. All of it can be lost; that costs one whole push.

mod base;
mod error;
mod folder;
mod installation;
mod journal;
mod memory;
mod pieces;
mod runs;
mod stamps;

pub(crate) use base::is_settled;
pub use base::{Base, BaseError, Known};
pub use error::StateError;
pub use folder::{Keeping, NewState, Remembered, StateFolder, Written};
pub use installation::Installation;
pub use journal::{Content, Journal, JournalHead, Recalled};
pub use memory::{Memory, Pending};
pub use pieces::{BLOCK_BYTES_MAX, Pieces, PiecesFolder, Short, short_of, shortened};
pub use runs::{RunRecord, Runs};
pub use stamps::{StampsReader, StampsWriter};
