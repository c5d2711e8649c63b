//! Ice back to files, and the proof that it can be done.
//!
//! A verb ([`verbs`]) finds an ice in a vault ([`search`], [`shelf`], [`ice`]), brings its segments into a [`quarantine`] and opens them with the secret key
//! ([`thaw`], [`outline`], [`unseal`], [`key`]). Nothing is used before its hash is checked. A child without files or privileges reads the image ([`image`]);
//! what it says is walked side by side with the manifest ([`pairs`]), which is the authority: `verify` compares ([`judge`]) and keeps a record
//! ([`record`]), `restore` writes (crate [`restore`]).
//!
//! This program contains no encryption, never asks the vault to change anything, and shows nothing as good that it has not read and hashed.

mod args;
mod catalogue;
mod differences;
mod ice;
mod image;
mod in_image;
mod judge;
mod kept;
mod key;
mod noting;
mod outline;
mod pairs;
mod passphrase;
mod quarantine;
mod record;
mod search;
mod settings;
mod shelf;
mod thaw;
mod unseal;
mod verbs;

fn main() -> std::process::ExitCode {
    match cli::parse::<args::Args>(args::PROGRAM) {
        Ok(args) => verbs::run(args),
        Err(code) => code,
    }
}
