//! What every vault promises.

use std::io::Read;

use chrono::{DateTime, TimeDelta, Utc};
use formats::ContentHash;

use crate::{Inspection, ObjectFolder, ObjectName, ObjectRef, Probe, Result, VersionId};

/// The names of a listing, one at a time.
pub type Names<'a> = Box<dyn Iterator<Item = Result<ObjectName>> + 'a>;

/// A place for objects that nobody can take back.
///
/// A vault may be slow and may fail at any step; it may not lie about success. Every call may fail with [`VaultError::Unreachable`]
/// (exit 30): the answer is then unknown, and the caller may ask again; and with [`VaultError::Denied`] (exit 36) where a provider refuses the
/// credentials.
///
/// There is no call that deletes, overwrites or shortens, but for [`prove_lock`](Vault::prove_lock), which tries to and wants to be refused.
///
/// An [`ObjectRef`] without a version means **the first version ever stored** under its name, in vaults that have versions. Whoever has stolen
/// the right to put can add versions and delete markers on top of it, but never an older one.
///
/// [`VaultError::Unreachable`]: crate::VaultError::Unreachable
/// [`VaultError::Denied`]: crate::VaultError::Denied
pub trait Vault: Send + Sync {
    /// The vault's own clock, by which its locks run out: that of the provider, or this machine's for a vault that is on it. Dates of locks are
    /// counted from it, so that a wrong clock on this machine shortens none.
    fn clock(&self) -> Result<DateTime<Utc>>;

    /// Stores one whole object under a new name, locked until `retain_until` (rounded up to a whole second), and gives back its lock as read from
    /// the vault after it was stored. When this returns without an error, object and lock survive a power cut.
    ///
    /// If anything fails, there is no object under the name, unless the error is `Unreachable`, after which the caller reads the lock to learn
    /// whether it is there, or `LockMissing` or `Altered`: then it is there, and not as asked. A put that was cut short by death or failure can be
    /// tried again, and leaves nothing that a listing shows.
    ///
    /// Fails with
    /// - [`Exists`](crate::VaultError::Exists) (32) if the name is taken, whatever its content and its lock; the reader is not touched;
    /// - [`Content`](crate::VaultError::Content) (28) if the reader fails, or does not give exactly the bytes that `content` announces;
    /// - [`LockRefused`](crate::VaultError::LockRefused) (32) if `retain_until` has passed, or the vault will not lock until then;
    /// - [`LockMissing`](crate::VaultError::LockMissing) (32) if the object was stored, and read back it is locked for less than asked, also
    ///   after it was locked again;
    /// - [`Altered`](crate::VaultError::Altered) (37) if the vault holds other bytes than were sent.
    fn put(&self, name: &ObjectName, content: Content<'_>, retain_until: DateTime<Utc>) -> Result<Lock>;

    /// The names of all objects in a folder and below, each once, in no promised order: all that have a version, whatever delete marker lies on
    /// top. Memory does not grow with the number of objects. An error may come at any step, and ends the listing.
    fn list(&self, folder: &ObjectFolder) -> Result<Names<'_>>;

    /// The bytes of an object. They are what the store holds, unchecked: the caller compares length and hash with what it knows.
    ///
    /// Reading fails if the vault gives fewer bytes than it announced, and takes no more memory for a large object than for a small one.
    ///
    /// Fails with
    /// - [`Missing`](crate::VaultError::Missing) (31) if there is no such object or version;
    /// - [`Frozen`](crate::VaultError::Frozen) (35) if it is archived, and must be [thawed](Vault::thaw) first.
    fn fetch(&self, object: &ObjectRef) -> Result<Box<dyn Read + Send>>;

    /// Asks for an archived object to be made readable for `wish.days` days, and tells how far that is. Asking again changes nothing. Vaults
    /// that archive nothing answer [`Thawed::Ready`].
    ///
    /// Fails with
    /// - [`Missing`](crate::VaultError::Missing) (31) if there is no such object or version;
    /// - [`Tier`](crate::VaultError::Tier) (2) if the object's storage class has no such tier.
    fn thaw(&self, object: &ObjectRef, wish: Wish) -> Result<Thawed>;

    /// The lock of an object, read from the vault now. When this returns without an error, object and lock survive a power cut, also if the
    /// put that stored them was cut short.
    ///
    /// Fails with
    /// - [`Missing`](crate::VaultError::Missing) (31) if there is no such object or version;
    /// - [`LockMissing`](crate::VaultError::LockMissing) (32) if it has no lock, or one that does not fit it.
    ///
    /// A lock that has run out is no error here: the caller compares its date.
    fn lock(&self, object: &ObjectRef) -> Result<Lock>;

    /// Moves the lock of an object to a later date, and gives it back as read from the vault afterwards. The same date changes nothing.
    ///
    /// Fails as [`Vault::lock`] does (but a provider that has lost the lock of a new object is asked for it again), and with [`LockRefused`](crate::VaultError::LockRefused) (32) if `retain_until` is earlier than the lock's own.
    fn extend_lock(&self, object: &ObjectRef, retain_until: DateTime<Utc>) -> Result<Lock>;

    /// Whether [`extend_lock`](Vault::extend_lock) can move a lock at all. Not where locks go by age alone, of archives or by a bucket's own
    /// policy: there what must be kept for longer is put again.
    fn can_extend(&self) -> bool {
        true
    }

    /// Ends the puts that began before `before` and were cut short, whatever their names, and gives back how many: what they left takes room,
    /// and money. For one who knows that no put that old is under way.
    fn end_stale_puts(&self, before: DateTime<Utc>) -> Result<u64>;

    /// Tries to break the lock of `canary`, an object of at most 64 KiB that was put for this and that nobody will miss: with the vault's own
    /// credentials, every call that could destroy, replace or shorten it, or make that possible later. Each is named with what came of it; where
    /// one [is broken](crate::Outcome::is_broken), whoever steals the credentials can do it too. At the end the canary is read back, whatever was
    /// answered. What is tried on anything else than the canary does no harm even where it is permitted.
    ///
    /// Fails with
    /// - [`Unreachable`](crate::VaultError::Unreachable) (30) if one attempt has no answer that counts: then nothing is proved;
    /// - [`Missing`](crate::VaultError::Missing) (31) or [`LockMissing`](crate::VaultError::LockMissing) (32) if the canary is not there and locked
    ///   to begin with.
    fn prove_lock(&self, canary: &Lock) -> Result<Vec<Probe>>;

    /// What the vault tells about itself: whether it keeps versions and locks, what it does by itself with what lies there, what these credentials
    /// could destroy. Facts, for people who set a vault up; nothing here relies on them, because every put reads its own lock back.
    ///
    /// No object and no setting of the vault is changed, and nothing that lies there is touched. Rights to destroy are asked for with a name that
    /// was never used. What the credentials may not ask, and what the vault does not answer, is told as that, never as good.
    fn inspect(&self) -> Inspection;
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
    pub version: Option<VersionId>,
    /// Its length.
    pub bytes: u64,
    /// Its BLAKE3, as announced and checked when it was stored.
    pub hash: ContentHash,
    /// When it was stored.
    pub stored: DateTime<Utc>,
    /// Until when nobody can remove it.
    pub retain_until: DateTime<Utc>,
}

impl Lock {
    /// The object by name and version: this one, whatever is put on top of it.
    #[must_use]
    pub fn object_ref(&self) -> ObjectRef {
        ObjectRef { name: self.object.clone(), version: self.version.clone() }
    }
}

/// How fast an archived object is wanted. What each costs and takes is the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Cheapest: within half a day or two days.
    Bulk,
    /// Within hours.
    Standard,
    /// Within minutes, dearest, and not for every storage class.
    Expedited,
}

/// What is wished of a thaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// How fast.
    pub tier: Tier,
    /// For how many days the object stays readable.
    pub days: u32,
}

/// How far a thaw is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thawed {
    /// It can be fetched now.
    Ready {
        /// Until then; none if it always can.
        until: Option<DateTime<Utc>>,
    },
    /// The provider is at work.
    Underway {
        /// How long its class and tier take at most, as the provider publishes it; none if another tier was asked for before.
        within: Option<TimeDelta>,
    },
}
