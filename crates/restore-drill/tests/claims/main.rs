//! What restore-drill promises, claim by claim. Keys are made by GnuPG, segments sealed by GnuPG, and what comes back is compared by rsync.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod catalogues;
mod disk;
mod every_kind;
mod flags;
mod going_on;
mod hostile_images;
mod hostile_messages;
mod hostile_records;
mod ices;
mod images;
mod keys;
mod listing;
mod odd_file_systems;
mod program;
mod quarantine;
mod restoring;
mod secrets;
mod servers;
mod several_vaults;
mod stock_tools;
mod tree;
mod verifying;
mod weak_machines;
