//! RestoreObject: how long a thaw takes, and how long it lasts.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};

use crate::access::Context;
use crate::answer::Answer;
use crate::clock::http_date;
use crate::read;
use crate::refusal::Refusal;
use crate::store::Version;
use crate::turn::Turn;
use crate::xml;

/// A restored copy, under way or there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thaw {
    pub(crate) ready: DateTime<Utc>,
    pub(crate) expires: DateTime<Utc>,
}

impl Thaw {
    /// The header `x-amz-restore`; none once the copy is gone.
    pub(crate) fn shown(&self, now: DateTime<Utc>) -> Option<String> {
        if now < self.ready {
            return Some("ongoing-request=\"true\"".to_owned());
        }
        let expiry = http_date(self.expires);
        (now < self.expires).then(|| format!("ongoing-request=\"false\", expiry-date=\"{expiry}\""))
    }
}

impl Version {
    fn is_frozen(&self) -> bool {
        ["GLACIER", "DEEP_ARCHIVE"].contains(&self.attributes.class.as_str())
    }

    /// Whether a GET is answered now.
    pub(crate) fn is_readable(&self, now: DateTime<Utc>) -> bool {
        !self.is_frozen() || self.thaw.is_some_and(|thaw| thaw.ready <= now && now < thaw.expires)
    }
}

/// The longest time AWS states for a class and tier; none if there is no such tier.
fn delay(class: &str, tier: &str) -> Option<TimeDelta> {
    match (class, tier) {
        ("GLACIER", "Expedited") => Some(TimeDelta::minutes(5)),
        ("GLACIER", "Standard") => Some(TimeDelta::hours(5)),
        ("GLACIER", "Bulk") | ("DEEP_ARCHIVE", "Standard") => Some(TimeDelta::hours(12)),
        ("DEEP_ARCHIVE", "Bulk") => Some(TimeDelta::hours(48)),
        _ => None,
    }
}

/// The end of the day that many days on, as AWS counts.
fn expiry(from: DateTime<Utc>, days: u64) -> DateTime<Utc> {
    let end = from.checked_add_days(Days::new(days.saturating_add(1))).unwrap_or(from);
    end.with_time(NaiveTime::MIN).single().unwrap_or(end)
}

pub(crate) fn post(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.permit("s3:RestoreObject", &Context::new())?;
    let (days, tier) = xml::read(&turn.body.data.to_vec(), |root| {
        let days =
            xml::child(root, "Days").and_then(|days| days.parse::<u64>().ok()).filter(|days| *days > 0);
        let inner =
            xml::children(root, "GlacierJobParameters").next().and_then(|node| xml::child(node, "Tier"));
        let tier = inner.or_else(|| xml::child(root, "Tier")).unwrap_or_else(|| "Standard".to_owned());
        Ok((days.ok_or_else(Refusal::malformed_xml)?, tier))
    })?;
    let now = turn.now;
    let version = read::object_of(turn)?;
    if !version.is_frozen() {
        let text = "Restore is not allowed for the object's current storage class";
        return Err(Refusal::new(403, "InvalidObjectState", text));
    }
    let delay = delay(&version.attributes.class, &tier).ok_or_else(|| {
        Refusal::argument(format!("{tier} is not supported for {}", version.attributes.class))
    })?;
    let (thaw, status) = match version.thaw {
        Some(thaw) if now < thaw.ready => {
            let text = "Object restore is already in progress";
            return Err(Refusal::new(409, "RestoreAlreadyInProgress", text));
        }
        Some(thaw) if now < thaw.expires => (Thaw { expires: expiry(now, days), ..thaw }, 200),
        _ => (Thaw { ready: now + delay, expires: expiry(now + delay, days) }, 202),
    };
    let key = turn.call.key.clone();
    let versions = turn.shelf()?.objects.get_mut(&key).into_iter().flatten();
    for held in versions.into_iter().filter(|held| held.id == version.id) {
        held.thaw = Some(thaw);
    }
    Ok(Answer::new(status))
}
