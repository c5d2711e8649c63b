//! A large object, sent in parts, several at once. Memory holds the parts under way and the one being read.

use std::collections::VecDeque;
use std::sync::Arc;

use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, ObjectLockMode,
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;

use super::S3Vault;
use super::checksum::Crc;
use super::fault::Fault;
use super::locks::{aws_date, refused};
use super::put::{Order, Sent};
use super::store::{COMPLETE_WAIT, Store, waiting};
use crate::content::Incoming;
use crate::{Result, VaultError};

/// Most parts of one object; S3 takes 10,000.
const PARTS_MAX: u64 = 9_000;
const MIB: u64 = 1024 * 1024;
/// Pages of uploads that are looked through for stale ones.
const PAGES_MAX: usize = 100;

/// How long the parts of an object of `bytes` are.
fn part_bytes(bytes: u64, least: u64) -> u64 {
    least.max(bytes.div_ceil(PARTS_MAX).div_ceil(MIB) * MIB)
}

/// An upload under way.
struct Upload {
    store: Arc<Store>,
    order: Order,
    id: String,
}

/// Step 2 of a [put](super::put), in parts. If it fails before the provider is asked to put them together, nothing of them is left there.
pub(super) fn send(vault: &S3Vault, order: &Order, incoming: Incoming<'_, '_>) -> Result<Sent> {
    let store = &vault.store;
    // Only of this very name: nothing else is known to be ours and dead.
    vault.wait(store.abort_stale(order.name.as_str(), |key, _| key == order.key))?;
    let id = vault.wait(store.begin(order))?;
    let upload = Arc::new(Upload { store: Arc::clone(store), order: order.clone(), id });
    let sent =
        send_parts(vault, &upload, incoming).and_then(|(parts, crc)| vault.wait(upload.complete(parts, crc)));
    if !matches!(sent, Ok(Sent::Done(_))) {
        // Best effort: the next put of this name tries again. After an answer that was lost, there is nothing left to abort.
        let _ = vault.wait(store.abort(&order.key, &upload.id));
    }
    sent
}

fn send_parts(
    vault: &S3Vault,
    upload: &Arc<Upload>,
    mut incoming: Incoming<'_, '_>,
) -> Result<(Vec<CompletedPart>, Crc)> {
    let length = part_bytes(upload.order.bytes, upload.store.part_bytes);
    let mut under_way = UnderWay(VecDeque::new());
    let mut done = Vec::new();
    let mut whole = Crc::of(b"");
    let mut number = 0;
    while incoming.rest() > 0 {
        let piece = incoming.piece(length)?;
        let crc = Crc::of(&piece);
        whole = whole.then(crc, piece.len() as u64);
        number += 1;
        if under_way.0.len() >= upload.store.parallel_parts
            && let Some(part) = under_way.0.pop_front()
        {
            done.push(vault.join(part)?);
        }
        let upload = Arc::clone(upload);
        under_way.0.push_back(vault.runtime.spawn(async move { upload.part(number, piece, crc).await }));
    }
    while let Some(part) = under_way.0.pop_front() {
        done.push(vault.join(part)?);
    }
    incoming.finish()?;
    Ok((done, whole))
}

/// Parts being sent. Those that nobody waits for any more are given up.
struct UnderWay(VecDeque<JoinHandle<Result<CompletedPart>>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Upload {
    async fn part(&self, number: i32, piece: Bytes, crc: Crc) -> Result<CompletedPart> {
        let store = &self.store;
        let bytes = piece.len() as u64;
        let call = store.client.upload_part().bucket(&store.bucket).key(&self.order.key).upload_id(&self.id);
        let call = call.part_number(number).body(store.body(piece).into());
        let call = call.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).checksum_crc64_nvme(crc.text());
        let sent = call.customize().config_override(store.patience(bytes)).send().await;
        let sent = sent.map_err(|error| {
            let on = format!("part {number} of {}", self.order.name);
            Fault::from(error).into_error("send", &on, "s3:PutObject")
        })?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag);
        Ok(part.checksum_crc64_nvme(crc.text()).build())
    }

    async fn complete(&self, parts: Vec<CompletedPart>, crc: Crc) -> Result<Sent> {
        let store = &self.store;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let call = store.client.complete_multipart_upload().bucket(&store.bucket).key(&self.order.key);
        let call = call.upload_id(&self.id).multipart_upload(parts).if_none_match("*");
        let call = call.checksum_crc64_nvme(crc.text()).checksum_type(ChecksumType::FullObject);
        let call = call.set_mpu_object_size(i64::try_from(self.order.bytes).ok());
        match call.customize().config_override(waiting(COMPLETE_WAIT)).send().await {
            Ok(_) => Ok(Sent::Done(crc)),
            Err(error) => self.order.sort(crc, error.into()),
        }
    }
}

impl Store {
    async fn begin(&self, order: &Order) -> Result<String> {
        let call = self.client.create_multipart_upload().bucket(&self.bucket).key(&order.key);
        let call =
            call.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).checksum_type(ChecksumType::FullObject);
        let call = call.object_lock_mode(ObjectLockMode::Compliance).storage_class(self.class(order.bytes));
        let call =
            call.object_lock_retain_until_date(aws_date(order.until)).set_metadata(Some(order.metadata()));
        let begun =
            call.send().await.map_err(Fault::from).map_err(|fault| match fault.is_lock_refused() {
                true => refused(&order.name, order.until),
                false => {
                    fault.into_error("store", order.name.as_str(), "s3:PutObject and s3:PutObjectRetention")
                }
            })?;
        begun.upload_id.ok_or_else(|| {
            let source = std::io::Error::other("the store's answer has no id of the upload");
            VaultError::Unreachable { step: format!("store {}", order.name), source }
        })
    }

    async fn abort(&self, key: &str, id: &str) -> Result<()> {
        let call = self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(id);
        match call.send().await.map_err(Fault::from) {
            Ok(_) => Ok(()),
            Err(fault) if fault.status == Some(404) => Ok(()),
            Err(fault) => Err(fault.into_error("give up an upload of", key, "s3:AbortMultipartUpload")),
        }
    }

    /// Gives up the uploads of keys that begin with `name` which are `stale`, by key and time: what a killed put left behind would be billed for
    /// ever. Gives back how many.
    pub(super) async fn abort_stale(
        &self,
        name: &str,
        stale: impl Fn(&str, Option<DateTime<Utc>>) -> bool,
    ) -> Result<u64> {
        let prefix = format!("{}{name}", self.prefix);
        let mut aborted = 0;
        let mut marker = (None, None);
        for _ in 0..PAGES_MAX {
            let call = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(&prefix);
            let call = call.set_key_marker(marker.0.take()).set_upload_id_marker(marker.1.take());
            let page = match call.send().await.map_err(Fault::from) {
                Ok(page) => page,
                Err(fault) if fault.is_unsupported() => return Ok(aborted),
                Err(fault) => {
                    return Err(fault.into_error(
                        "list the uploads of",
                        &prefix,
                        "s3:ListBucketMultipartUploads",
                    ));
                }
            };
            for upload in page.uploads() {
                let begun = upload.initiated().and_then(|at| DateTime::from_timestamp(at.secs(), 0));
                if let (Some(key), Some(id)) = (upload.key(), upload.upload_id())
                    && key.starts_with(&prefix)
                    && stale(key, begun)
                {
                    self.abort(key, id).await?;
                    aborted += 1;
                }
            }
            if page.is_truncated() != Some(true) {
                break;
            }
            marker = (page.next_key_marker, page.next_upload_id_marker);
        }
        Ok(aborted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_object_has_more_parts_than_a_store_takes() {
        assert_eq!(part_bytes(MIB, 64 * MIB), 64 * MIB);
        for bytes in [1, 64 * MIB, 4 << 30, 48 << 40] {
            let length = part_bytes(bytes, 5 * MIB);
            assert!(bytes.div_ceil(length) <= PARTS_MAX, "{bytes}");
            assert!(length < 6 * (1 << 30), "{bytes}");
        }
    }
}
