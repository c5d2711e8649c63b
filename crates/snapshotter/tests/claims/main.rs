//! What the snapshotter promises, each promise a test against the real program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod by_file;
mod ceiling;
mod clones;
mod copies;
mod crew;
mod damage;
mod edges;
mod holdings;
mod hostile;
mod hosts;
mod kill;
mod losses;
mod manners;
mod memory;
mod push;
mod records;
mod state;
mod status;
mod stories;
mod verify;
mod views;
mod watch;
mod world;
