//! The server's signing key: who made a catalogue, up to where a log is as this server wrote it, when a plan was made.
//!
//! [`Signer`] is the key in its folder, made by the first use and never seen outside. [`Signer::sign`] turns a text into a clear-signed OpenPGP message
//! that a person can read and stock `gpg --verify` checks. [`Certificate`] is the other half, for everybody: [`Certificate::check`] gives back the text that
//! was signed, or why it is not believed.
//!
//! Each program has a key of its own, in a folder of its own account. This crate encrypts nothing, decrypts nothing, and decides nothing.

mod key;
mod statement;

pub use key::{CERTIFICATE, Fault, Signer, SignerError};
pub use statement::{Certificate, CertificateError, Unsigned};
