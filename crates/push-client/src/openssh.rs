//! The two OpenSSH file formats that settings name: a host's public key, and our private key. Enough of them to say what is
//! wrong before anything is sent; the cryptography is libssh2's.

mod base64;
mod host_key;
mod private_key;

pub use host_key::{HostKey, HostKeyError};
pub use private_key::{KeyError, PrivateKey};

/// The only kind of key that is used, on both sides.
const ED25519: &[u8] = b"ssh-ed25519";

/// Takes a length-prefixed string of RFC 4251 off the front.
fn take_string<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk::<4>()?;
    let (string, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *from = rest;
    Some(string)
}
