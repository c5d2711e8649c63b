//! Segments that a vault has already: an image that keeps most of its bytes costs only the new ones.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use cli::Level;
use formats::records::ice::Segment;
use formats::records::ice_id::Fingerprint;
use formats::{ContentHash, HostId};
use vault::stamp::parse_utc;
use vault::{Lock, VaultError};

use super::error::OTHER_KEY;
use super::locks::is_refusal;
use super::{Job, StoreError, object_ref};
use crate::certificate::Recipient;
use crate::ledger::{LedgerEntry, LedgerState};

/// Segments of one host in one vault, by length and BLAKE3 of their content.
#[derive(Debug, Default)]
pub struct KnownSegments {
    by_content: HashMap<(u64, ContentHash), Segment>,
    /// The vault has refused to make a lock longer, and a person was told.
    refused: AtomicBool,
}

impl KnownSegments {
    /// What the ledger says of `vault` and `host`, as far as it is sealed to just these recipients, with the keys they have now, and is not `unfit`.
    #[must_use]
    pub fn of(
        ledger: &LedgerState,
        vault: &str,
        host: &HostId,
        recipients: &[Recipient],
        unfit: &HashSet<String>,
    ) -> Self {
        let wanted: BTreeSet<&Fingerprint> = recipients.iter().map(Recipient::fingerprint).collect();
        let since = recipients.iter().map(Recipient::key_since).max();
        let fits = |entry: &&LedgerEntry| {
            entry.vault == vault
                && entry.ice.host() == host
                && parse_utc(&entry.record.created) >= since
                && entry.record.recipients.iter().collect::<BTreeSet<_>>() == wanted
        };
        let mut by_content = HashMap::new();
        let segments = ledger.entries().iter().filter(fits).flat_map(|entry| &entry.record.segments);
        for segment in segments.filter(|segment| !unfit.contains(&segment.object)) {
            // The newest of several is locked longest.
            by_content.insert((segment.plain_bytes, segment.plain_hash), segment.clone());
        }
        KnownSegments { by_content, refused: AtomicBool::new(false) }
    }

    /// True if a segment of this content is known.
    #[must_use]
    pub fn has(&self, bytes: u64, hash: ContentHash) -> bool {
        self.by_content.contains_key(&(bytes, hash))
    }
}

impl Job<'_> {
    /// A segment of this content that the vault has: its lock extended, and read back. One that is missing, another, or locked for less than is
    /// asked is as good as none: it is sealed anew.
    pub(super) fn known_before(&self, bytes: u64, hash: ContentHash) -> Result<Option<Lock>, StoreError> {
        let Some(segment) = self.known.by_content.get(&(bytes, hash)) else { return Ok(None) };
        let object = object_ref(&segment.object, segment.version.as_deref())?;
        let until = self.retain_until()?;
        let mut lock = match self.target.vault.lock(&object) {
            Err(error) if is_no_more(&error) => return Ok(self.anew(segment, &error.to_string())),
            answer => answer.map_err(self.vault_error())?,
        };
        if lock.bytes != segment.bytes || lock.hash != segment.hash {
            return Ok(self.anew(segment, "it is another object now"));
        }
        if !self.is_to_keys_of_now(&lock) {
            return Ok(self.anew(segment, OTHER_KEY));
        }
        if lock.retain_until < until {
            lock = match self.target.vault.extend_lock(&object, until) {
                Err(error) if is_refusal(&error) => return Ok(self.refused(&error)),
                Err(error) if is_no_more(&error) => return Ok(self.anew(segment, &error.to_string())),
                answer => answer.map_err(self.vault_error())?,
            };
        }
        if lock.retain_until < until {
            return Ok(self.anew(segment, "its lock stays too short"));
        }
        self.monitor.detail(&format!("vault {}: {} is used again", self.target.name, segment.object));
        Ok(Some(lock))
    }

    /// False if it was stored before one of the certificates had its key of now: then that key may not open it. The vault's own date says so, as the
    /// clock here may have been ahead.
    pub(super) fn is_to_keys_of_now(&self, lock: &Lock) -> bool {
        self.recipients.iter().all(|recipient| recipient.key_since() <= lock.stored)
    }

    fn anew(&self, segment: &Segment, why: &str) -> Option<Lock> {
        let (vault, object) = (&self.target.name, &segment.object);
        self.monitor
            .warn(&format!("vault {vault}: {object} cannot be used again, and is sealed anew: {why}"));
        None
    }

    /// What refuses for one segment mostly does for all: it is said once, not a thousand times.
    fn refused(&self, error: &VaultError) -> Option<Lock> {
        let vault = &self.target.name;
        let level = match self.known.refused.swap(true, Ordering::Relaxed) {
            false => Level::Warning,
            true => Level::Detail,
        };
        self.monitor.say(
            level,
            &format!("vault {vault}: what it has is sealed anew where its lock is too short: {error}"),
        );
        None
    }
}

/// The object is lost or not locked; anything else may pass, and ends the run.
fn is_no_more(error: &VaultError) -> bool {
    matches!(error, VaultError::Missing { .. } | VaultError::LockMissing { .. } | VaultError::Altered { .. })
}
