//! Jobs: what is asked for today and there in some hours.

use aws_sdk_glacier::types::{
    ActionCode, GlacierJobDescription, InventoryRetrievalJobDescription, JobParameters, StatusCode,
};
use chrono::{DateTime, TimeDelta, Utc};

use super::index::Archive;
use super::store::{Store, date, unanswered};
use crate::s3::fault::Fault;
use crate::{ObjectRef, Result, Thawed, Tier, VaultError, VersionId, Wish};

/// Pages of jobs that are looked through, of fifty each.
const PAGES_MAX: usize = 1_000;
/// How long the output of a job is there at least.
const OUTPUT_HOURS: i64 = 24;
/// Longest archive of the expedited tier: 250 MB.
const EXPEDITED_BYTES_MAX: u64 = 250_000_000;

/// What our inventories are called: those of others may be in another form, or of a part of the vault.
const INVENTORY: &str = "firn inventory";

/// A job of ours, or one that does the same, that did not fail.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    /// None for an inventory.
    pub(super) archive: Option<VersionId>,
    pub(super) progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    Underway,
    Ready { since: DateTime<Utc> },
}

impl Store {
    /// All jobs for something whole that are under way, or whose output is there.
    pub(super) async fn jobs(&self) -> Result<Vec<Job>> {
        let mut jobs = Vec::new();
        let mut marker = None;
        for _ in 0..PAGES_MAX {
            let call =
                self.client.list_jobs().account_id("-").vault_name(&self.vault).set_marker(marker.take());
            let page = call.send().await.map_err(|error| {
                Fault::from(error).into_error("list the jobs of", &self.vault, "glacier:ListJobs")
            })?;
            let now = self.clock_now()?;
            jobs.extend(page.job_list().iter().filter_map(|job| read(job, now)));
            marker = page.marker().map(str::to_owned);
            if marker.is_none() {
                return Ok(jobs);
            }
        }
        Err(unanswered("list the jobs", "the list has no end"))
    }

    /// The job of an archive that is furthest.
    pub(super) async fn job_of(&self, archive: &Archive) -> Result<Option<Job>> {
        let jobs = self.jobs().await?.into_iter();
        Ok(jobs.filter(|job| job.archive.as_ref() == Some(&archive.id)).max_by_key(|job| job.progress))
    }

    async fn begin(&self, job: JobParameters) -> std::result::Result<(), Fault> {
        let call = self.client.initiate_job().account_id("-").vault_name(&self.vault).job_parameters(job);
        call.send().await.map(drop).map_err(Fault::from)
    }

    pub(super) async fn begin_inventory(&self) -> Result<()> {
        let job = JobParameters::builder()
            .r#type("inventory-retrieval")
            .format("JSON")
            .description(INVENTORY)
            .build();
        let begun = self.begin(job).await;
        begun
            .map_err(|fault| fault.into_error("ask for the inventory of", &self.vault, "glacier:InitiateJob"))
    }

    pub(super) async fn begin_retrieval(&self, archive: &Archive, tier: Tier) -> Result<()> {
        let tier = match tier {
            Tier::Bulk => "Bulk",
            Tier::Standard => "Standard",
            Tier::Expedited => "Expedited",
        };
        let job =
            JobParameters::builder().r#type("archive-retrieval").archive_id(archive.id.as_str()).tier(tier);
        let name = &archive.name;
        let begun = self.begin(job.build()).await;
        begun.map_err(|fault| fault.on("thaw", name, "glacier:InitiateJob"))
    }

    pub(super) async fn thaw(&self, object: &ObjectRef, wish: Wish) -> Result<Thawed> {
        self.known().await?;
        let archive = self.index.archive(object)?;
        if wish.tier == Tier::Expedited && archive.bytes > EXPEDITED_BYTES_MAX {
            let why = "the expedited tier takes archives of up to 250 MB only";
            return Err(VaultError::Tier { object: object.name.clone(), why });
        }
        match self.job_of(&archive).await?.map(|job| job.progress) {
            Some(Progress::Ready { since }) => {
                Ok(Thawed::Ready { until: Some(since + TimeDelta::hours(OUTPUT_HOURS)) })
            }
            Some(Progress::Underway) => Ok(Thawed::Underway { within: None }),
            None => {
                self.begin_retrieval(&archive, wish.tier).await?;
                Ok(Thawed::Underway { within: Some(within(wish.tier)) })
            }
        }
    }
}

/// None for a job that failed, whose output is gone, or that is for a part only.
fn read(job: &GlacierJobDescription, now: DateTime<Utc>) -> Option<Job> {
    let progress = match job.status_code()? {
        StatusCode::InProgress => Progress::Underway,
        StatusCode::Succeeded => Progress::Ready { since: date(job.completion_date())? },
        _ => return None,
    };
    if matches!(progress, Progress::Ready { since } if since + TimeDelta::hours(OUTPUT_HOURS) <= now) {
        return None;
    }
    let archive = match job.action()? {
        ActionCode::InventoryRetrieval => {
            let of_part = |part: &InventoryRetrievalJobDescription| {
                part.format().is_some_and(|format| format != "JSON")
                    || part.start_date().or(part.end_date()).or(part.limit()).or(part.marker()).is_some()
            };
            let is_ours = job.job_description() == Some(INVENTORY);
            if !is_ours || job.inventory_retrieval_parameters().is_some_and(of_part) {
                return None;
            }
            None
        }
        ActionCode::ArchiveRetrieval => {
            let whole = job.archive_size_in_bytes().map(|bytes| format!("0-{}", bytes.saturating_sub(1)));
            if job.retrieval_byte_range().is_some_and(|range| whole.as_deref() != Some(range)) {
                return None;
            }
            Some(job.archive_id()?.parse().ok()?)
        }
        _ => return None,
    };
    Some(Job { id: job.job_id()?.to_owned(), archive, progress })
}

/// How long it takes at most: <https://docs.aws.amazon.com/amazonglacier/latest/dev/downloading-an-archive-two-steps.html>.
fn within(tier: Tier) -> TimeDelta {
    match tier {
        Tier::Bulk => TimeDelta::hours(12),
        Tier::Standard => TimeDelta::hours(5),
        Tier::Expedited => TimeDelta::minutes(5),
    }
}
