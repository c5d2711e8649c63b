//! What lies in the vault, as the provider counts it about once a day. A vault that this machine knows nothing of is asked for its inventory, and that
//! takes hours.

use std::io;

use chrono::{DateTime, Utc};

use super::index::Archive;
use super::jobs::Progress;
use super::store::{Store, date};
use super::tally::{self, Chunks};
use crate::s3::fault::Fault;
use crate::{Result, VaultError};

/// Chunks of an inventory that have come and were not read yet.
const CHUNKS_AHEAD: usize = 4;

impl Store {
    /// Returns when this machine knows what the vault holds: by its own puts, by an inventory, or because it was counted and found empty.
    pub(super) async fn known(&self) -> Result<()> {
        if self.index.is_begun()? {
            return Ok(());
        }
        let found = self.describe().await?;
        match (found.number_of_archives(), date(found.last_inventory_date())) {
            (0, Some(_)) => Ok(()),
            // There may be ice in it, put a moment ago from elsewhere.
            (0, None) => {
                Err(VaultError::Inventory { why: "it was never counted, which is done about once a day" })
            }
            _ => self.take_inventory().await,
        }
    }

    /// The same for who wants to put: names that are not known are free, where nothing was ever counted.
    pub(super) async fn known_or_uncounted(&self) -> Result<()> {
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
            let (date, archives) = self.inventory_output(&job).await?;
            return self.index.add_inventory(&archives, date, &job);
        }
        if underway {
            return Err(VaultError::Inventory { why: "it was asked for, and is not ready" });
        }
        self.begin_inventory().await?;
        Err(VaultError::Inventory { why: "it is asked for now" })
    }

    /// Read as it comes, on a thread of its own: it is as long as whoever may put has made it.
    async fn inventory_output(&self, job: &str) -> Result<(DateTime<Utc>, Vec<Archive>)> {
        let call = self.client.get_job_output().account_id("-").vault_name(&self.vault).job_id(job);
        let failed =
            |fault: Fault| fault.into_error("read the inventory of", &self.vault, "glacier:GetJobOutput");
        let mut body = call.send().await.map_err(|error| failed(error.into()))?.body;
        let (sender, chunks) = tokio::sync::mpsc::channel(CHUNKS_AHEAD);
        let reading = tokio::task::spawn_blocking(move || tally::read(Chunks::new(chunks)));
        while let Some(chunk) = body.next().await {
            if sender.send(chunk.map_err(io::Error::other)).await.is_err() {
                break;
            }
        }
        drop(sender);
        let read = reading.await.map_err(io::Error::other).and_then(|read| read.map_err(io::Error::from));
        read.map_err(VaultError::failed("read the inventory of", &self.vault))
    }
}
