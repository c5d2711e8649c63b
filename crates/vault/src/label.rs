//! What is written beside each object in a bucket, so that it can be told from everything else there.

use std::collections::HashMap;

use formats::ContentHash;

use crate::{Result, VaultError};

/// Metadata of every object: its length, its BLAKE3, and the mark of the put that stored it.
pub(crate) const META_BYTES: &str = "firn-bytes";
pub(crate) const META_BLAKE3: &str = "firn-blake3";
pub(crate) const META_PUT: &str = "firn-put";

/// The metadata of an object.
pub(crate) fn of(bytes: u64, hash: ContentHash, mark: &str) -> HashMap<String, String> {
    HashMap::from([
        (META_BYTES.to_owned(), bytes.to_string()),
        (META_BLAKE3.to_owned(), hash.to_string()),
        (META_PUT.to_owned(), mark.to_owned()),
    ])
}

/// What the metadata says was put.
pub(crate) fn announced(meta: Option<&HashMap<String, String>>) -> Option<(u64, ContentHash)> {
    let meta = meta?;
    Some((meta.get(META_BYTES)?.parse().ok()?, meta.get(META_BLAKE3)?.parse().ok()?))
}

/// 128 bits of chance: no other put has the same.
///
/// # Errors
/// [`VaultError::Unreachable`] if the system gives no random bytes.
pub fn mark() -> Result<String> {
    let mut bytes = [0; 16];
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(&mut bytes, flags).map_err(VaultError::failed("draw", "the mark of a put"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
