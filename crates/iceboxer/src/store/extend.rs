//! Extending the locks of an ice that is stored.

use chrono::{DateTime, Utc};
use formats::records::ledger::LedgerReceipt;

use super::locks::{receipt, until_of};
use super::{StoreError, Target, object_ref};
use crate::ledger::LedgerEntry;

/// The locks of an ice, moved to a later date.
pub(crate) struct Extended {
    pub(crate) retain_until: DateTime<Utc>,
    pub(crate) receipts: Vec<LedgerReceipt>,
}

/// Locks every object of an ice, by version, at least until the date that new ice would get; reads the locks back. None if they reach that far
/// already.
pub(crate) fn extend(target: &Target, entry: &LedgerEntry) -> Result<Option<Extended>, StoreError> {
    let failed = |source| StoreError::Vault { vault: target.name.clone(), source };
    let until = until_of(target)?;
    let mut moved = false;
    let mut receipts = Vec::with_capacity(entry.objects.len());
    for object in &entry.objects {
        let named = object_ref(&object.object, object.version.as_deref())?;
        let mut lock = target.vault.lock(&named).map_err(failed)?;
        if lock.bytes != object.bytes {
            return Err(target.lock_error(&object.object, super::error::OTHER_OBJECT));
        }
        if lock.retain_until < until {
            lock = target.vault.extend_lock(&named, until).map_err(failed)?;
            moved = true;
        }
        if lock.retain_until < until {
            return Err(target.lock_error(&object.object, "it is locked for less than was asked"));
        }
        receipts.push(receipt(&lock));
    }
    Ok(moved.then_some(Extended { retain_until: until, receipts }))
}
