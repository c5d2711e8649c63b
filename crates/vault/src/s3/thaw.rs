//! Archived objects: asking for them, and how far that is.

use aws_sdk_s3::types::{GlacierJobParameters, RestoreRequest, StorageClass, Tier as AwsTier};
use chrono::{DateTime, TimeDelta, Utc};

use super::fault::Fault;
use super::store::Store;
use crate::{ObjectName, ObjectRef, Result, Thawed, Tier, VaultError, Wish};

/// A provider's header about a thaw.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    AtWork,
    Until(DateTime<Utc>),
}

impl Store {
    pub(super) async fn thaw(&self, object: &ObjectRef, wish: Wish) -> Result<Thawed> {
        let name = &object.name;
        let version = self.version_of(object).await?;
        let head = self.head(name, &version).await?;
        let within = match head.storage_class() {
            Some(StorageClass::Glacier) => within(StorageClass::Glacier, wish.tier, name)?,
            Some(StorageClass::DeepArchive) => within(StorageClass::DeepArchive, wish.tier, name)?,
            _ => return Ok(Thawed::Ready { until: None }),
        };
        match told(head.restore()) {
            Told::Until(date) => return Ok(Thawed::Ready { until: Some(date) }),
            Told::AtWork => return Ok(Thawed::Underway { within: None }),
            Told::Nothing => {}
        }
        let tier = match wish.tier {
            Tier::Bulk => AwsTier::Bulk,
            Tier::Standard => AwsTier::Standard,
            Tier::Expedited => AwsTier::Expedited,
        };
        let unusable = |_| VaultError::Tier { object: name.clone(), why: "the provider has no such tier" };
        let job = GlacierJobParameters::builder().tier(tier).build().map_err(unusable)?;
        let days = i32::try_from(wish.days.max(1)).unwrap_or(i32::MAX);
        let wanted = RestoreRequest::builder().days(days).glacier_job_parameters(job).build();
        let call = self.client.restore_object().bucket(&self.bucket).key(self.key(name)?);
        match call.version_id(version.as_str()).restore_request(wanted).send().await.map_err(Fault::from) {
            Ok(_) => Ok(Thawed::Underway { within: Some(within) }),
            Err(fault) if fault.code == "RestoreAlreadyInProgress" => Ok(Thawed::Underway { within: None }),
            Err(fault) => Err(fault.on("thaw", name, "s3:RestoreObject")),
        }
    }
}

/// How long it takes at most: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html>.
fn within(class: StorageClass, tier: Tier, name: &ObjectName) -> Result<TimeDelta> {
    let is_deep = class == StorageClass::DeepArchive;
    match tier {
        Tier::Bulk => Ok(TimeDelta::hours(if is_deep { 48 } else { 12 })),
        Tier::Standard => Ok(TimeDelta::hours(if is_deep { 12 } else { 5 })),
        Tier::Expedited if is_deep => {
            let why = "DEEP_ARCHIVE has no expedited tier, only standard and bulk";
            Err(VaultError::Tier { object: name.clone(), why })
        }
        Tier::Expedited => Ok(TimeDelta::minutes(5)),
    }
}

/// `ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`
fn told(header: Option<&str>) -> Told {
    let Some(header) = header else { return Told::Nothing };
    if header.contains("ongoing-request=\"true\"") {
        return Told::AtWork;
    }
    let date = header.split_once("expiry-date=\"").and_then(|(_, rest)| rest.split_once('"'));
    match date.and_then(|(date, _)| DateTime::parse_from_rfc2822(date).ok()) {
        Some(date) => Told::Until(date.to_utc()),
        None => Told::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_header_says_is_understood() {
        let ready = told(Some("ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\""));
        assert_eq!(ready, Told::Until(DateTime::from_timestamp(1_356_048_000, 0).unwrap()));
        assert_eq!(told(Some("ongoing-request=\"true\"")), Told::AtWork);
        assert_eq!(told(Some("nonsense")), Told::Nothing);
        assert_eq!(told(None), Told::Nothing);
    }
}
