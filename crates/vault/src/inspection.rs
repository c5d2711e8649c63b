//! What a vault tells about itself: facts, no judgement. Whoever asked for them decides what is good.

use chrono::{DateTime, TimeDelta, Utc};

/// A vault as it shows itself to these credentials, now.
#[derive(Debug)]
pub enum Inspection {
    /// It cannot be asked anything.
    Unusable(Obstacle),
    /// It lives in this process and is gone with it.
    Memory,
    /// A folder.
    Folder(Box<Folder>),
    /// A bucket.
    Bucket(Box<Bucket>),
    /// A vault of archives without names.
    Archives(Box<Archives>),
}

/// Why a vault cannot be asked anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Of which kind.
    pub kind: ObstacleKind,
    /// What was seen, in a few words that are safe to print.
    pub seen: String,
}

/// What is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObstacleKind {
    /// Nobody answers, or not as a vault does.
    NoAnswer,
    /// There is no such bucket.
    NoBucket,
    /// The bucket lies in another region than the settings say.
    OtherRegion,
    /// The credentials are not known there, or their secret is another.
    BadCredentials,
    /// The clocks are so far apart that every request is refused.
    Clock,
}

/// Something asked of a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<T> {
    /// The answer.
    Seen(T),
    /// The credentials may not ask; they need this permission.
    Hidden {
        /// Its name.
        permission: &'static str,
    },
    /// The vault does not answer this question.
    Unanswered {
        /// What it answered instead.
        why: String,
    },
}

/// A folder on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The numeric owner.
    pub owner: u32,
    /// Mode bits.
    pub mode: u32,
    /// The number of the file system it is on.
    pub device: u64,
    /// Room for this account.
    pub free_bytes: u64,
    /// Whether this account can write there.
    pub writable: Access,
    /// Whether the file system can be told that a file never changes (`chattr +i`).
    pub immutable: Support,
    /// Its number on that file system: two names may lead to one folder.
    pub inode: u64,
}

/// Whether something is permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It is.
    Granted,
    /// It is not.
    Refused,
}

/// Whether something can be done at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It can.
    Possible,
    /// It cannot.
    Absent,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// By how much its clock is ahead of this machine's.
    pub clock_ahead: Option<TimeDelta>,
    /// Whether it keeps old versions.
    pub versioning: Fact<Versioning>,
    /// Whether it locks objects, and how those that come without a lock.
    pub object_lock: Fact<ObjectLock>,
    /// Whether these credentials can move the lock of an object to a later date.
    pub locks_move: Fact<Support>,
    /// What it does by itself with objects of this vault: rules that are in force and can meet one.
    pub lifecycle: Fact<Vec<LifecycleRule>>,
    /// Under whose key it encrypts.
    pub encryption: Fact<Encryption>,
    /// Protections against public access that are not on.
    pub public_access_open: Fact<Vec<&'static str>>,
    /// Whether its policy lets everybody in.
    pub policy_is_public: Fact<bool>,
    /// What the credentials could destroy, by the name of the permission. Only what can be found out without harm.
    pub destructive: Vec<(&'static str, Fact<Access>)>,
    /// What a vault needs, by the name of the permission. Only what can be found out without writing.
    pub needed: Vec<(&'static str, Fact<Access>)>,
}

/// A vault of archives without names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archives {
    /// By how much its clock is ahead of this machine's.
    pub clock_ahead: Option<TimeDelta>,
    /// When its archives were last counted; none if never.
    pub counted: Fact<Option<DateTime<Utc>>>,
    /// For how long it keeps each.
    pub lock: Fact<AgeLock>,
}

/// A lock that goes by the age of what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeLock {
    /// Nobody removes an archive before it is so old, and nobody can change that.
    Keeps {
        /// In days.
        days: u32,
    },
    /// There is none that keeps anything.
    Absent {
        /// In which way.
        why: &'static str,
    },
}

/// Whether a bucket keeps old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// It does.
    Enabled,
    /// It did.
    Suspended,
    /// It never did.
    Off,
    /// It need not: what is locked cannot be replaced there.
    NotNeeded,
}

/// Whether a bucket locks objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectLock {
    /// It cannot.
    Absent,
    /// It can; what comes without a lock gets none.
    NoDefault,
    /// It can; what comes without a lock gets this one.
    Default {
        /// Whether somebody may lift it.
        strength: Strength,
        /// For how many days.
        days: u32,
    },
}

/// How strong a lock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// Nobody can lift it.
    Compliance,
    /// Whoever has the permission can lift it.
    Governance,
}

/// Under whose key a bucket encrypts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// The provider's.
    Provider,
    /// A key that a customer holds and can delete: its name.
    CustomerKey(String),
}

/// When a rule acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So many days after an object came, or was replaced.
    Days(u32),
    /// On a date, whatever the age.
    OnDate,
}

/// One rule of a bucket's lifecycle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LifecycleRule {
    /// Its name.
    pub id: String,
    /// When it removes objects, or hides them.
    pub expires: Option<When>,
    /// When it removes versions that were replaced.
    pub expires_noncurrent: Option<When>,
    /// When it moves objects to another class, and to which.
    pub transitions: Vec<(When, String)>,
    /// After how many days it removes the parts of unfinished uploads. Only told of rules that meet every object of this vault.
    pub aborts_after_days: Option<u32>,
}
