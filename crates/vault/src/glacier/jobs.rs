//! Jobs: what is asked for today and there in some hours.

use aws_sdk_glacier::types::{ActionCode, JobParameters, StatusCode};
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

/// A job that did not fail.
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
    /// All jobs that are under way, or whose output is there.
    pub(super) async fn jobs(&self) -> Result<Vec<Job>> {
        let mut jobs = Vec::new();
        let mut marker = None;
        for _ in 0..PAGES_MAX {
            let call =
                self.client.list_jobs().account_id("-").vault_name(&self.vault).set_marker(marker.take());
            let page = call.send().await.map_err(|error| {
                Fault::from(error).into_error("list the jobs of", &self.vault, "glacier:ListJobs")
            })?;
            for job in page.job_list() {
                let progress = match (job.status_code(), date(job.completion_date())) {
                    (Some(StatusCode::InProgress), _) => Progress::Underway,
                    (Some(StatusCode::Succeeded), Some(since)) => Progress::Ready { since },
                    _ => continue,
                };
                let archive = match job.action() {
                    Some(ActionCode::InventoryRetrieval) => None,
                    Some(ActionCode::ArchiveRetrieval) => match job.archive_id().map(str::parse) {
                        Some(Ok(id)) => Some(id),
                        _ => continue,
                    },
                    _ => continue,
                };
                let Some(id) = job.job_id().map(str::to_owned) else { continue };
                jobs.push(Job { id, archive, progress });
            }
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
        let job = JobParameters::builder().r#type("inventory-retrieval").format("JSON").build();
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

/// How long it takes at most: <https://docs.aws.amazon.com/amazonglacier/latest/dev/downloading-an-archive-two-steps.html>.
fn within(tier: Tier) -> TimeDelta {
    match tier {
        Tier::Bulk => TimeDelta::hours(12),
        Tier::Standard => TimeDelta::hours(5),
        Tier::Expedited => TimeDelta::minutes(5),
    }
}
