//! Seals history as encrypted images in locked vaults.
//!
//! `iceboxer run` takes each host whose newest snapshot is not yet off-site, and
//!
//! 1. [vets](certificate) the certificates it will seal to, before a byte of any history is read;
//! 2. builds one squashfs [image] in the [staging] folder, and reads it back to prove it against the manifests;
//! 3. [stores](store) it in every vault: cut in segments, each [sealed](seal) as an OpenPGP message and put under a retention lock;
//! 4. writes a line into the [ledger], and publishes how everything stands for those who may not read it.
//!
//! Before the first put and after the last, each vault is [proved](prove): what could break its locks is tried, and must be refused. `iceboxer prove-lock`
//! does that alone, and shows it.
//!
//! `iceboxer preflight` names what is [wrong](preflight) before anything is put. `iceboxer cost` counts what that [costs](cost), and a budget stops a run; `iceboxer setup` prints how a vault is [set up](setup) elsewhere.
//!
//! Documents: docs/formats/ice.md for all that is written; docs/exit-codes.md for how it ends.
//!
//! This program runs as an account that reads history and holds public keys only. It contains no decryption: what it sealed it cannot open.
//! It never deletes from a vault and never writes to a history.

pub mod args;
mod build;
pub mod certificate;
pub mod cost;
mod drills;
pub mod image;
pub mod ledger;
pub mod plan;
pub mod preflight;
pub mod prove;
pub mod publish;
pub mod seal;
mod seipd1;
pub mod settings;
pub mod setup;
pub mod staging;
mod standing;
pub mod store;
mod strangers;
pub mod verb;
