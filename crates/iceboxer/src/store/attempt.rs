//! Under which id an image is stored: the one of an earlier run that was cut short, or a new one whose folder in the vault is empty.

use std::collections::BTreeMap;

use formats::records::Record;
use formats::records::ice::IceRecord;
use formats::records::ice_id::{Fingerprint, IceId, IceIdError};
use vault::VaultError;

use super::{Job, StoreError};
use crate::staging::Progress;

impl Job<'_> {
    /// Step 1: what an earlier run noted, if it is still of use; else a new beginning.
    pub(super) fn progress(&self, is_in_ledger: &impl Fn(&IceId) -> bool) -> Result<Progress, StoreError> {
        let recipients: Vec<Fingerprint> = self.recipients.iter().map(|r| r.fingerprint().clone()).collect();
        if let Some(progress) = self.staging.progress(&self.target.name)? {
            let fits = progress.recipients == recipients
                && progress.ice.host() == &self.staged.host
                && progress.ice.snapshot() == self.newest()
                && progress.record.as_ref().is_none_or(|record| self.is_of_image(record))
                && !is_in_ledger(&progress.ice);
            if fits {
                return Ok(progress);
            }
        }
        let ice = self.free_id()?;
        let sealed = BTreeMap::new();
        let format = Progress::format();
        let progress = Progress { format, ice, recipients, sealed, record: None, catalogue: None };
        self.staging.save_progress(&self.target.name, &progress)?;
        Ok(progress)
    }

    fn is_of_image(&self, record: &IceRecord) -> bool {
        record.check().is_ok() && record.image == self.staged.image && record.created == self.staged.created
    }

    fn newest(&self) -> &str {
        self.staged.snapshots.last().map_or("", |snapshot| &snapshot.name)
    }

    /// The first id whose folder in the vault is empty.
    fn free_id(&self) -> Result<IceId, StoreError> {
        let mut id = IceId::new(self.staged.host.clone(), self.newest()).map_err(StoreError::Id)?;
        loop {
            let folder = id.folder().parse().map_err(|_| StoreError::Id(IceIdError::Ice))?;
            let mut names = match self.target.vault.list(&folder) {
                // What is not known yet is for the put to find out.
                Err(VaultError::Inventory { .. }) => return Ok(id),
                names => names.map_err(self.vault_error())?,
            };
            match names.next() {
                None => return Ok(id),
                Some(found) => found.map_err(self.vault_error())?,
            };
            id = id.next_attempt().ok_or(StoreError::Id(IceIdError::Ice))?;
        }
    }
}
