//! What every vault promises.

use std::io::Read;

use chrono::{DateTime, Utc};
use formats::ContentHash;

use crate::{ObjectFolder, ObjectName, Result};

/// The names of a listing, one at a time.
pub type Names<'a> = Box<dyn Iterator<Item = Result<ObjectName>> + 'a>;

/// A place for objects that nobody can take back.
///
/// A vault may be slow and may fail at any step; it may not lie about success. Every call may fail with [`VaultError::Unreachable`]
/// (exit 30): the answer is then unknown, and the caller may ask again.
///
/// There is no call that deletes, overwrites or shortens.
///
/// [`VaultError::Unreachable`]: crate::VaultError::Unreachable
pub trait Vault: Send + Sync {
    /// Stores one whole object under a new name, locked until `retain_until` (rounded up to a whole second), and gives back its lock as read from
    /// the vault after it was stored. When this returns without an error, object and lock survive a power cut.
    ///
    /// If anything fails, there is no object under the name, unless the error is `Unreachable`, after which the caller reads the lock to learn
    /// whether it is there. A put that was cut short by death or failure can be tried again, and leaves nothing that a listing shows.
    ///
    /// Fails with
    /// - [`Exists`](crate::VaultError::Exists) (32) if the name is taken, whatever its content and its lock; the reader is not touched;
    /// - [`Content`](crate::VaultError::Content) (28) if the reader fails, or does not give exactly the bytes that `content` announces;
    /// - [`LockRefused`](crate::VaultError::LockRefused) (32) if `retain_until` has passed, or the vault will not lock until then.
    fn put(&self, name: &ObjectName, content: Content<'_>, retain_until: DateTime<Utc>) -> Result<Lock>;

    /// The names of all objects in a folder and below, each once, in no promised order. Memory does not grow with the number of folders. An
    /// error may come at any step, and ends the listing.
    fn list(&self, folder: &ObjectFolder) -> Result<Names<'_>>;

    /// The bytes of an object. They are what the store holds, unchecked: the caller compares length and hash with what it knows.
    ///
    /// Fails with [`Missing`](crate::VaultError::Missing) (31) if there is no such object.
    fn fetch(&self, name: &ObjectName) -> Result<Box<dyn Read + Send>>;

    /// The lock of an object, read from the vault now. When this returns without an error, object and lock survive a power cut, also if the
    /// put that stored them was cut short.
    ///
    /// Fails with
    /// - [`Missing`](crate::VaultError::Missing) (31) if there is no such object;
    /// - [`LockMissing`](crate::VaultError::LockMissing) (32) if it has no lock, or one that does not fit it.
    ///
    /// A lock that has run out is no error here: the caller compares its date.
    fn lock(&self, name: &ObjectName) -> Result<Lock>;

    /// Moves the lock of an object to a later date, and gives it back as read from the vault afterwards. The same date changes nothing.
    ///
    /// Fails as [`Vault::lock`] does, and with [`LockRefused`](crate::VaultError::LockRefused) (32) if `retain_until` is earlier than the lock's own.
    fn extend_lock(&self, name: &ObjectName, retain_until: DateTime<Utc>) -> Result<Lock>;
}

/// The bytes to be stored, and what they must come to.
pub struct Content<'a> {
    /// Their number.
    pub bytes: u64,
    /// Their BLAKE3.
    pub hash: ContentHash,
    /// Where they come from; read once, to its end.
    pub reader: &'a mut dyn Read,
}

/// What a vault says about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Its name.
    pub object: ObjectName,
    /// Its version, in vaults that have versions: a name alone could be made to show something else.
    pub version: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// Its BLAKE3, as announced and checked when it was stored.
    pub hash: ContentHash,
    /// When it was stored.
    pub stored: DateTime<Utc>,
    /// Until when nobody can remove it.
    pub retain_until: DateTime<Utc>,
}
