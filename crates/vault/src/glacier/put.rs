//! Storing one object:
//!
//! 1. the name must be free, by the index, and the vault's lock must keep what is stored now for as long as asked;
//! 2. the bytes are sent, in one call or in [parts](super::parts), with their tree hash, which the provider compares; before the call that makes them
//!    an archive, their number and BLAKE3 are those announced;
//! 3. the tree hash in the answer is compared with ours;
//! 4. the archive is noted in the index.
//!
//! An answer that was lost leaves an archive whose id nobody knows before the next inventory. The object is then put once more; both hold what was
//! announced, and the first one is paid for until its age.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::GlacierVault;
use super::description::Description;
use super::index::Archive;
use super::locks::lock_of;
use super::store::Store;
use super::tree::TreeHash;
use crate::content::Incoming;
use crate::s3::fault::Fault;
use crate::stamp::rounded_up;
use crate::{Content, Lock, ObjectName, Result, VaultError, label};

/// The right without which nothing can be stored.
pub(super) const RIGHT: &str =
    "glacier:UploadArchive, InitiateMultipartUpload, UploadMultipartPart and CompleteMultipartUpload";

/// What the provider said when it made an archive.
pub(super) struct Made {
    pub(super) id: Option<String>,
    pub(super) told: Option<String>,
    pub(super) tree: TreeHash,
    /// The provider's time just before.
    pub(super) stored: DateTime<Utc>,
}

pub(super) fn put(
    vault: &GlacierVault,
    name: &ObjectName,
    content: Content<'_>,
    until: DateTime<Utc>,
) -> Result<Lock> {
    let store = &vault.store;
    let until = rounded_up(until);
    vault.wait(store.known_or_uncounted())?;
    if store.index.has(name)? {
        return Err(VaultError::Exists { object: name.clone() });
    }
    let refused = |why| VaultError::LockRefused { object: name.clone(), asked: until, why };
    let kept = vault.wait(store.kept(name)).map_err(|error| match error {
        VaultError::LockMissing { why, .. } => refused(why),
        error => error,
    })?;
    let now = store.stored_now()?;
    if until <= now {
        return Err(refused("that date has passed"));
    }
    if now.checked_add_signed(kept).is_none_or(|kept_until| kept_until < until) {
        return Err(refused("the vault's Vault Lock keeps archives for fewer days"));
    }
    if content.bytes == 0 {
        let what = "a Glacier vault stores nothing that is empty";
        return Err(VaultError::Content { object: name.clone(), what, source: None });
    }
    let (bytes, hash) = (content.bytes, content.hash);
    let description = Description { name: name.clone(), bytes, hash, mark: label::mark()? };
    let mut incoming = Incoming::new(name, content);
    let made = if bytes <= store.part_bytes {
        let whole = incoming.piece(bytes)?;
        incoming.finish()?;
        vault.wait(store.send_whole(&description, whole))?
    } else {
        super::parts::send(vault, &description, incoming)?
    };
    let archive = made.archive(description)?;
    store.index.add(&archive)?;
    // Read again, so that the lock that is told is one that was there after the archive was.
    let kept = vault.wait(store.kept(name))?;
    let lock = lock_of(&archive, kept);
    if lock.retain_until < until {
        let why = "the vault's Vault Lock keeps it for less than was asked";
        return Err(VaultError::LockMissing { object: name.clone(), why });
    }
    Ok(lock)
}

impl Made {
    fn archive(self, description: Description) -> Result<Archive> {
        let Description { name, bytes, hash, .. } = description;
        if self.told.as_deref() != Some(&self.tree.to_string()) {
            let why = "its tree hash is not that of what was sent";
            return Err(VaultError::Altered { object: name, why });
        }
        let Some(Ok(id)) = self.id.as_deref().map(str::parse) else {
            return Err(super::store::unanswered(
                &format!("store {name}"),
                "the store's answer has no id of the archive",
            ));
        };
        Ok(Archive { name, id, bytes, hash, tree: self.tree, stored: self.stored })
    }
}

impl Store {
    /// Step 2 in one call.
    async fn send_whole(&self, description: &Description, whole: Bytes) -> Result<Made> {
        let (tree, stored) = (TreeHash::of(&whole), self.stored_now()?);
        let call = self.client.upload_archive().account_id("-").vault_name(&self.vault);
        let call =
            call.archive_description(description.text()?).checksum(tree.to_string()).body(whole.into());
        let sent = call.customize().config_override(self.patience(description.bytes)).send().await;
        let sent =
            sent.map_err(|error| Fault::from(error).into_error("store", description.name.as_str(), RIGHT))?;
        Ok(Made { id: sent.archive_id, told: sent.checksum, tree, stored })
    }
}
