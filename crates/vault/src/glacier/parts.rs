//! A large object, sent in parts, several at once. Memory holds the parts under way and the one being read.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;

use super::GlacierVault;
use super::description::Description;
use super::put::{Made, RIGHT};
use super::store::{Store, date, unanswered};
use super::tree::TreeHash;
use crate::content::Incoming;
use crate::s3::fault::Fault;
use crate::{Result, VaultError};

/// Most parts of one archive.
const PARTS_MAX: u64 = 10_000;
const MIB: u64 = 1 << 20;
/// Pages of uploads that are looked through for stale ones.
const PAGES_MAX: usize = 100;

/// How long the parts of an object of `bytes` are: a power of two MiB.
fn part_bytes(bytes: u64, least: u64) -> u64 {
    least.max(bytes.div_ceil(PARTS_MAX).div_ceil(MIB).next_power_of_two() * MIB)
}

/// An upload under way.
struct Upload {
    store: Arc<Store>,
    id: String,
    on: String,
}

/// Step 2 of a [put](super::put), in parts. If it fails before the provider is asked to put them together, nothing of them is left there.
pub(super) fn send(
    vault: &GlacierVault,
    description: &Description,
    incoming: Incoming<'_, '_>,
) -> Result<Made> {
    let store = &vault.store;
    let length = part_bytes(description.bytes, store.part_bytes);
    // Only of this very name: nothing else is known to be ours and dead.
    vault.wait(store.abort_stale(|found, _| found.name == description.name))?;
    let id = vault.wait(store.begin_upload(description, length))?;
    let upload = Arc::new(Upload { store: Arc::clone(store), id, on: description.name.to_string() });
    let made = send_parts(vault, &upload, incoming, length)
        .and_then(|trees| vault.wait(upload.complete(description.bytes, TreeHash::of_parts(trees))));
    if made.is_err() {
        // Best effort: the next put of this name tries again. After an answer that was lost, there is nothing left to abort.
        let _ = vault.wait(store.abort(&upload.id));
    }
    made
}

fn send_parts(
    vault: &GlacierVault,
    upload: &Arc<Upload>,
    mut incoming: Incoming<'_, '_>,
    length: u64,
) -> Result<Vec<TreeHash>> {
    let mut under_way = UnderWay(VecDeque::new());
    let (mut trees, mut from) = (Vec::new(), 0);
    while incoming.rest() > 0 {
        let piece = incoming.piece(length)?;
        let tree = TreeHash::of(&piece);
        trees.push(tree);
        if under_way.0.len() >= upload.store.parallel_parts
            && let Some(part) = under_way.0.pop_front()
        {
            vault.join(part)?;
        }
        let (upload, bytes) = (Arc::clone(upload), piece.len() as u64);
        under_way.0.push_back(vault.runtime.spawn(async move { upload.part(from, piece, tree).await }));
        from += bytes;
    }
    while let Some(part) = under_way.0.pop_front() {
        vault.join(part)?;
    }
    incoming.finish()?;
    Ok(trees)
}

/// Parts being sent. Those that nobody waits for any more are given up.
struct UnderWay(VecDeque<JoinHandle<Result<()>>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Upload {
    async fn part(&self, from: u64, piece: Bytes, tree: TreeHash) -> Result<()> {
        let (store, bytes) = (&self.store, piece.len() as u64);
        let call = store.client.upload_multipart_part().account_id("-").vault_name(&store.vault);
        let call = call.upload_id(&self.id).checksum(tree.to_string()).body(piece.into());
        let call = call.range(format!("bytes {from}-{}/*", from + bytes.saturating_sub(1)));
        let on = format!("a part of {}", self.on);
        let sent = call.customize().config_override(store.patience(bytes)).send().await;
        let sent = sent.map_err(|error| Fault::from(error).into_error("send", &on, RIGHT))?;
        if sent.checksum() != Some(&tree.to_string()) {
            return Err(unanswered(
                &format!("send {on}"),
                "the store has another tree hash than what was sent",
            ));
        }
        Ok(())
    }

    async fn complete(&self, bytes: u64, tree: TreeHash) -> Result<Made> {
        let store = &self.store;
        let stored = store.stored_now()?;
        let call = store.client.complete_multipart_upload().account_id("-").vault_name(&store.vault);
        let call = call.upload_id(&self.id).archive_size(bytes.to_string()).checksum(tree.to_string());
        let made = call.send().await.map_err(|error| match Fault::from(error) {
            // Tried again after an answer that was lost.
            fault if fault.status == Some(404) => unanswered(
                &format!("store {}", self.on),
                "the store has no such upload any more: it may be stored",
            ),
            fault => fault.into_error("store", &self.on, RIGHT),
        })?;
        Ok(Made { id: made.archive_id, told: made.checksum, tree, stored })
    }
}

impl Store {
    async fn begin_upload(&self, description: &Description, length: u64) -> Result<String> {
        let call = self.client.initiate_multipart_upload().account_id("-").vault_name(&self.vault);
        let call = call.archive_description(description.text()?).part_size(length.to_string());
        let name = description.name.as_str();
        let begun = call.send().await.map_err(|error| Fault::from(error).into_error("store", name, RIGHT))?;
        begun
            .upload_id
            .ok_or_else(|| unanswered(&format!("store {name}"), "the store's answer has no id of the upload"))
    }

    async fn abort(&self, id: &str) -> Result<()> {
        let call = self.client.abort_multipart_upload().account_id("-").vault_name(&self.vault).upload_id(id);
        match call.send().await.map_err(Fault::from) {
            Err(fault) if fault.status != Some(404) => {
                Err(fault.into_error("give up an upload in", &self.vault, "glacier:AbortMultipartUpload"))
            }
            _ => Ok(()),
        }
    }

    /// Gives up those of our uploads that are `stale`, by description and time. Gives back how many.
    pub(super) async fn abort_stale(
        &self,
        stale: impl Fn(&Description, Option<DateTime<Utc>>) -> bool,
    ) -> Result<u64> {
        let (mut aborted, mut marker) = (0, None);
        for _ in 0..PAGES_MAX {
            let call = self.client.list_multipart_uploads().account_id("-").vault_name(&self.vault);
            let page = call.set_marker(marker.take()).send().await.map_err(|error| {
                let right = "glacier:ListMultipartUploads";
                Fault::from(error).into_error("list the uploads of", &self.vault, right)
            })?;
            for upload in page.uploads_list() {
                let description = upload.archive_description().and_then(Description::read);
                if let (Some(description), Some(id)) = (description, upload.multipart_upload_id())
                    && stale(&description, date(upload.creation_date()))
                {
                    self.abort(id).await?;
                    aborted += 1;
                }
            }
            marker = page.marker().map(str::to_owned);
            if marker.is_none() {
                break;
            }
        }
        Ok(aborted)
    }
}

impl GlacierVault {
    fn join(&self, task: JoinHandle<Result<()>>) -> Result<()> {
        let lost = |error| VaultError::failed("wait for", "a part")(std::io::Error::other(error));
        self.wait(task).map_err(lost)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_a_power_of_two_mib_and_no_more_than_the_store_takes() {
        assert_eq!(part_bytes(MIB, 64 * MIB), 64 * MIB);
        for bytes in [1, 64 * MIB, 4 << 30, 39 << 40] {
            let length = part_bytes(bytes, MIB);
            assert!(bytes.div_ceil(length) <= PARTS_MAX, "{bytes}");
            assert!((length / MIB).is_power_of_two() && length <= 4 << 30, "{bytes}");
        }
    }
}
