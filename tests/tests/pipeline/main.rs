//! The tests of the whole pipeline, on real parts: real programs, a real sshd, real accounts where there is root. This list is
//! their table of contents.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

/// Appliances, which drop files and cannot push.
mod appliances;
/// Each of the twelve requirements, broken on a real server: exactly that line fails.
mod audit;
/// The checker finds what it is there to find.
mod checks;
/// The whole chain on everything a file system can hold, judged by rsync.
mod comparator;
/// What was damaged says so, and nothing wrong is believed.
mod damage;
/// The demo, which is the first thing anybody runs.
mod demo;
/// Each line of docs/fidelity.md, by its name.
mod fidelity;
/// Machines of their own: units, timers, cut cables, stolen keys, the current gone.
mod fleet;
/// Out of the history itself: into a folder, through tar, onto a copy made by hand.
mod from_history;
/// The document for a new admin, run on machines of its own.
mod getting_started;
/// A host fetches what it was granted, once, and nothing else.
mod grants;
/// A host that breaks every rule harms nobody, not even its own past.
mod hostile;
/// The history of another program, taken over.
mod import;
/// Killed at every system call, nothing half counts, and the next run finishes.
mod kills;
/// Off-site on another server that we did not write, which permits too much.
mod moto;
/// Off-site, through cuts, damage and wrong clocks.
mod offsite;
/// The Debian packages: built, looked into, installed, upgraded, purged.
mod packages;
/// A connection that a test can cut and slow down.
mod proxy;
/// A group that reads one host's history.
mod readers;
/// Off-site on a server that we did not write.
mod rgw;
/// What the tests share: built programs, a scratch server, one look at what a server holds.
mod rig;

/// The Salt formula: what it believes, and a fleet that it deployed.
mod salt;
/// What happens to people: losses, cuts, clones, full disks.
mod stories;
/// What the README tells people to type does what it says.
mod tour;
/// Two years with a host that somebody else has, told to Firn and to rsnapshot.
mod two_years;
/// The units, read by systemd.
mod units;
/// Off-site, archived, and brought back.
mod vaults;
/// The same in a vault without names, where all takes hours.
mod vaults_glacier;
mod vaults_gs;
