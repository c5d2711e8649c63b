//! Extending the locks of an ice that is stored.

use chrono::{DateTime, Utc};
use formats::ContentHash;
use formats::records::ledger::LedgerReceipt;
use vault::stamp::parse_utc;
use vault::{Lock, VaultError};

use super::error::{OTHER_OBJECT, SHORT};
use super::locks::{receipt, until_of};
use super::{StoreError, Target, object_ref};
use crate::ledger::LedgerEntry;

/// A vault that gave no answer so many times in a row is asked no more.
const SILENCES_MAX: usize = 3;
/// Most objects that an error names.
const NAMED_MAX: usize = 10;

/// The locks of an ice as they are now: what the ledger's next line says.
pub(crate) struct Extended {
    pub(crate) retain_until: DateTime<Utc>,
    pub(crate) receipts: Vec<LedgerReceipt>,
}

/// What came of extending the locks of an ice.
pub(crate) struct Extension {
    /// None if they are as the ledger has them.
    pub(crate) changed: Option<Extended>,
    /// Names the objects whose locks are not as long as asked.
    pub(crate) failed: Option<StoreError>,
}

/// Locks every object of an ice, by version, at least until the date that new ice would get; reads the locks back. One that is lost or cannot be
/// locked lets no other lapse: all are gone through. What cannot be extended keeps its receipt, the last word that the vault said of it.
pub(crate) fn extend(target: &Target, entry: &LedgerEntry) -> Result<Extension, StoreError> {
    let until = until_of(target)?;
    let mut receipts = Vec::with_capacity(entry.objects.len());
    let mut failed = Vec::new();
    let mut silences = 0;
    let hashes =
        entry.record.segments.iter().map(|segment| Some(segment.hash)).chain(std::iter::repeat(None));
    for (object, hash) in entry.objects.iter().zip(hashes) {
        let answer = (silences < SILENCES_MAX).then(|| extend_one(target, object, hash, until));
        match answer {
            Some(Ok(lock)) => {
                silences = 0;
                receipts.push(receipt(&lock));
            }
            Some(Err(error)) => {
                silences = if is_silence(&error) { silences + 1 } else { 0 };
                receipts.push(object.clone());
                failed.push((object, Some(error)));
            }
            None => {
                receipts.push(object.clone());
                failed.push((object, None));
            }
        }
    }
    let first_end = receipts.iter().filter_map(|receipt| parse_utc(&receipt.retain_until)).min();
    let extended = Extended { retain_until: first_end.unwrap_or(until), receipts };
    Ok(Extension {
        changed: (extended.receipts != entry.objects).then_some(extended),
        failed: unextended(target, entry, failed),
    })
}

/// The lock of one object, long enough. The hash is known of segments.
fn extend_one(
    target: &Target,
    object: &LedgerReceipt,
    hash: Option<ContentHash>,
    until: DateTime<Utc>,
) -> Result<Lock, StoreError> {
    let failed = |source| StoreError::Vault { vault: target.name.clone(), source };
    let named = object_ref(&object.object, object.version.as_deref())?;
    let mut lock = target.vault.lock(&named).map_err(failed)?;
    if lock.bytes != object.bytes || hash.is_some_and(|hash| hash != lock.hash) {
        return Err(target.lock_error(&object.object, OTHER_OBJECT));
    }
    if lock.retain_until < until {
        lock = target.vault.extend_lock(&lock.object_ref(), until).map_err(failed)?;
    }
    if lock.retain_until < until {
        return Err(target.lock_error(&object.object, SHORT));
    }
    Ok(lock)
}

fn is_silence(error: &StoreError) -> bool {
    matches!(error, StoreError::Vault { source: VaultError::Unreachable { .. }, .. })
}

/// One error for all of them, with the cause of the first.
fn unextended(
    target: &Target,
    entry: &LedgerEntry,
    failed: Vec<(&LedgerReceipt, Option<StoreError>)>,
) -> Option<StoreError> {
    let number = failed.len();
    let mut objects: Vec<&str> =
        failed.iter().take(NAMED_MAX).map(|(object, _)| object.object.as_str()).collect();
    if number > NAMED_MAX {
        objects.push("...");
    }
    let objects = objects.join(", ");
    let source = Box::new(failed.into_iter().next()?.1?);
    let (vault, ice) = (target.name.clone(), entry.ice.to_string());
    Some(StoreError::Unextended { vault, ice, number, objects, source })
}
