//! What lies in the vault, as the provider counts it about once a day. A vault that this machine knows nothing of is asked for its inventory, and that
//! takes hours.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::description::Description;
use super::index::Archive;
use super::jobs::Progress;
use super::store::{Store, date, unanswered};
use super::tree::TreeHash;
use crate::s3::fault::Fault;
use crate::{Result, VaultError};

/// Longest inventory: some hundred thousand archives.
const BYTES_MAX: usize = 256 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inventory {
    inventory_date: String,
    archive_list: Vec<Item>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    archive_id: String,
    #[serde(default)]
    archive_description: String,
    creation_date: String,
    size: u64,
    #[serde(rename = "SHA256TreeHash")]
    tree: String,
}

impl Item {
    /// None for an archive that no put of ours made.
    fn archive(&self) -> Option<Archive> {
        let Description { name, bytes, hash, .. } = Description::read(&self.archive_description)?;
        let (id, tree) = (self.archive_id.parse().ok()?, TreeHash::read(&self.tree)?);
        let stored = date(Some(&self.creation_date))?;
        (bytes == self.size).then_some(Archive { name, id, bytes, hash, tree, stored })
    }
}

fn parse(bytes: &[u8]) -> Option<(DateTime<Utc>, Vec<Archive>)> {
    let inventory: Inventory = serde_json::from_slice(bytes).ok()?;
    let archives = inventory.archive_list.iter().filter_map(Item::archive).collect();
    Some((date(Some(&inventory.inventory_date))?, archives))
}

impl Store {
    /// Returns when this machine knows what the vault holds: by its own puts, by an inventory, or because nothing was ever counted there.
    pub(super) async fn known(&self) -> Result<()> {
        if self.index.is_begun()? || self.describe().await?.number_of_archives() == 0 {
            return Ok(());
        }
        self.take_inventory().await
    }

    /// Reads a newer inventory if there is one, and asks for one if there could be. What the credentials may not ask is left.
    pub(super) async fn refresh(&self) -> Result<()> {
        if !self.index.is_begun()? {
            return self.known().await;
        }
        let asked = async {
            let counted = date(self.describe().await?.last_inventory_date());
            if counted > self.index.inventory()? { self.take_inventory().await } else { Ok(()) }
        };
        match asked.await {
            Err(VaultError::Inventory { .. } | VaultError::Denied { .. }) => Ok(()),
            asked => asked,
        }
    }

    /// Reads the newest inventory that is ready and was not read before; if there is none, sees to it that one is made.
    async fn take_inventory(&self) -> Result<()> {
        let mut underway = false;
        let mut newest: Option<(DateTime<Utc>, String)> = None;
        for job in self.jobs().await? {
            match job.progress {
                Progress::Ready { since } if job.archive.is_none() && !self.index.has_read(&job.id)? => {
                    newest = newest.max(Some((since, job.id)));
                }
                Progress::Underway if job.archive.is_none() => underway = true,
                _ => {}
            }
        }
        if let Some((_, job)) = newest {
            let bytes = self.inventory_output(&job).await?;
            let wrong = || unanswered("read the inventory", "it is none, or longer than 256 MiB");
            let (date, archives) = parse(&bytes).ok_or_else(wrong)?;
            return self.index.add_inventory(&archives, date, &job);
        }
        if underway {
            return Err(VaultError::Inventory { why: "it was asked for, and is not ready" });
        }
        self.begin_inventory().await?;
        Err(VaultError::Inventory { why: "it is asked for now" })
    }

    /// The output whole, cut off where it is longer than can be.
    async fn inventory_output(&self, job: &str) -> Result<Vec<u8>> {
        let call = self.client.get_job_output().account_id("-").vault_name(&self.vault).job_id(job);
        let failed =
            |fault: Fault| fault.into_error("read the inventory of", &self.vault, "glacier:GetJobOutput");
        let mut body = call.send().await.map_err(|error| failed(error.into()))?.body;
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| {
                VaultError::failed("read the inventory of", &self.vault)(std::io::Error::other(error))
            })?;
            if bytes.len() + chunk.len() > BYTES_MAX {
                break;
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_inventory_only_our_own_archives_are_taken() {
        let hash = formats::ContentHash::of(b"abc");
        let tree = TreeHash::of(b"abc");
        let item = |description: &str, size: u64| {
            format!(
                r#"{{"ArchiveId":"id","ArchiveDescription":"{description}","CreationDate":"2026-01-02T03:04:05.678Z","Size":{size},"SHA256TreeHash":"{tree}"}}"#
            )
        };
        let ours = format!("firn/1 ice/a 3 {hash} 00ff");
        let list = [item(&ours, 3), item(&ours, 4), item("holiday pictures", 3)].join(",");
        let text =
            format!(r#"{{"VaultARN":"x","InventoryDate":"2026-01-03T00:00:00Z","ArchiveList":[{list}]}}"#);
        let (at, archives) = parse(text.as_bytes()).unwrap();
        assert_eq!(crate::stamp::utc_text(&at), "2026-01-03T00:00:00Z");
        let [archive] = &archives[..] else { panic!("{archives:?}") };
        assert_eq!(
            crate::stamp::utc_text(&archive.stored),
            "2026-01-02T03:04:05Z",
            "never later than it was"
        );
        for bad in ["", "[]", "{}", r#"{"InventoryDate":"yesterday","ArchiveList":[]}"#] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
