//! Where ice is kept.
//!
//! A [`Vault`] holds objects under names. An object is put once, whole, with a date until which it is locked; it can be listed, fetched, and its
//! lock can be read and moved to a later date. That is all: this crate never deletes an object, never writes one again, and never shortens a
//! lock. The comments of the trait are its contract; one suite of tests holds every implementation to it.
//!
//! - [`object`]: names, the same grammar in all vaults.
//! - [`contract`]: the trait.
//! - [`mod@file`]: a folder, on a disk that can be carried away. Layout in docs/formats/ice.md.
//! - [`mod@gs`]: a bucket of Google Cloud Storage with locked retention. Layout in docs/formats/ice.md.
//! - [`mod@glacier`]: a Glacier vault, for those who have one. Layout in docs/formats/ice.md.
//! - [`memory`]: for tests.
//! - [`mod@s3`]: a bucket with object lock, at any provider. Layout in docs/formats/ice.md.
//! - [`probe`]: what came of attempts to break a lock.
//! - [`settings`], [`open()`]: from a setting to a vault.
//! - [`inspection`]: what a vault tells about itself before anything is put there.

mod clock;
mod content;
pub mod contract;
pub mod error;
pub mod file;
pub mod glacier;
pub mod gs;
pub mod inspection;
mod label;
pub mod memory;
pub mod object;
pub mod open;
mod pace;
pub mod probe;
pub mod s3;
mod secret;
pub mod settings;
pub mod stamp;

#[cfg(test)]
mod conformance;

pub use contract::{Content, Lock, Names, Thawed, Tier, Vault, Wish};
pub use error::{Result, VaultError};
pub use file::FileVault;
pub use glacier::GlacierVault;
pub use gs::GsVault;
pub use inspection::Inspection;
pub use label::mark;
pub use memory::MemoryVault;
pub use object::{ObjectFolder, ObjectName, ObjectRef, VersionId};
pub use open::open;
pub use probe::{Outcome, Probe};
pub use s3::S3Vault;
pub use settings::{Immutable, Settings, StorageClass};
