//! A host that is not push-client: builds push files and sessions byte by byte, honest or not, and talks to a receiver.
//!
//! It shares no code with Firn and checks nothing: every field can be given a value that push-client would never write. Written from
//! `docs/formats/push-file.md`, `manifest.md` and `session.md`.
//!
//! - [`entry`]: entries and changes. [`draft`]: push files, frame by frame. [`talk`]: a session with a receiver that was started as a process.

pub mod draft;
pub mod entry;
pub mod talk;

pub use draft::{Draft, Header, Records, Seal, frame, frame_of};
pub use entry::{Entry, put, remove, root_of};
pub use talk::{Answer, Talk};
