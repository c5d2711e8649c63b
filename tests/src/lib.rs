//! The rig: a whole Firn on one machine, made of real parts, for the demo, the benchmark and the tests.
//!
//! [`needs`] brings the packages, [`Programs`] are built, and a [`Scratch`] is a backup server in one folder: its own sshd on a loopback
//! port, accounts of its own name, chroots, an OpenPGP key made by GnuPG, a locked vault. [`verbs`] drive it, [`stock`] restores and
//! compares with tools that know nothing of Firn. As an ordinary user the same works with one account and without chroots.
//!
//! A [`Fleet`] is several machines, each with an init of its own, where a folder is not enough.
//!
//! A scratch server ends when it is dropped. If its maker was killed, the next one in the same place removes what is left of it.
//!
//! This crate uses none of Firn's other crates: it believes programs, files and tools, not our own code.

pub mod accounts;
pub mod checker;
pub mod clock;
pub mod data;
pub mod error;
pub mod fleet;
pub mod host;
pub mod keys;
pub mod leftovers;
pub mod machine;
pub mod moto;
pub mod needs;
pub mod outcome;
pub mod plans;
pub mod process;
pub mod programs;
pub mod rawpush;
pub mod scratch;
pub mod settings;
pub mod sshd;
pub mod stock;
pub mod verbs;

pub use error::{Result, RigError};
pub use fleet::{Fleet, FleetOptions};
pub use host::Host;
pub use machine::Power;
pub use outcome::Outcome;
pub use programs::{Profile, Programs};
pub use scratch::{Leave, Options, Scratch};
