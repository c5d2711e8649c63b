//! What the snapshotter promises, each promise a test against the real program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bring_back;
mod by_file;
mod ceiling;
mod charges;
mod clones;
mod copies;
mod crew;
mod damage;
mod disk;
mod edges;
mod finding;
mod finding_many;
mod grants;
mod heal;
mod heal_kill;
mod heal_wary;
mod holdings;
mod hostile;
mod hosts;
mod kill;
mod losses;
mod manners;
mod memory;
mod prune;
mod prune_doubts;
mod prune_kill;
mod prune_readers;
mod prune_steps;
mod pruned;
mod push;
mod records;
mod redact;
mod redact_kill;
mod redact_wary;
mod room;
mod signed;
mod state;
mod status;
mod stories;
mod tripwires;
mod verify;
mod views;
mod watch;
mod world;
