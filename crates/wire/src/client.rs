//! The client's side. What it sends is made by [`Outgoing`], what the server sends is read by [`Incoming`]: two halves, so that
//! one thread can send while another listens.

mod incoming;
mod outgoing;

pub use incoming::{Incoming, MESSAGE_BYTES, WireError};
pub use outgoing::{Outgoing, SealFacts, await_verdict, bye, offer};
