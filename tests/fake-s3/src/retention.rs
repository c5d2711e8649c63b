//! Locks: how long a version stays, who may change that, and legal holds.

use chrono::{DateTime, TimeDelta, Utc};

use crate::access::Context;
use crate::answer::Answer;
use crate::clock::iso;
use crate::fault::Fault;
use crate::read;
use crate::refusal::Refusal;
use crate::store::{Shelf, Version};
use crate::turn::Turn;
use crate::xml::{self, Xml};

/// How strong a lock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Who has the permission can shorten or remove it.
    Governance,
    /// Nobody can.
    Compliance,
}

impl Mode {
    /// As S3 writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        [Self::Governance, Self::Compliance].into_iter().find(|mode| mode.name() == name)
    }
}

/// A lock of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) mode: Mode,
    pub(crate) until: DateTime<Utc>,
}

/// The lock a bucket gives to what is put without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DefaultRetention {
    pub(crate) mode: Mode,
    pub(crate) days: u32,
    /// Whether it was given, and is shown, in years of 365 days.
    pub(crate) in_years: bool,
}

impl DefaultRetention {
    pub(crate) fn from(&self, start: DateTime<Utc>) -> Retention {
        Retention { mode: self.mode, until: start + TimeDelta::days(i64::from(self.days)) }
    }
}

pub(crate) fn parse_date(text: &str) -> Result<DateTime<Utc>, Refusal> {
    let date = DateTime::parse_from_rfc3339(text);
    date.map(|date| date.to_utc())
        .map_err(|_| Refusal::argument("The retain until date must be provided in ISO 8601 format"))
}

/// What conditions of policies can test about a lock that is asked for. Days are fractions: AWS does not say how it rounds, and so
/// `NumericLessThan` and `NumericGreaterThan` are both as strict as can be.
pub(crate) fn context(retention: Option<&Retention>, now: DateTime<Utc>) -> Context {
    let Some(retention) = retention else { return Context::new() };
    let days = (retention.until - now).as_seconds_f64() / 86_400.0;
    vec![
        ("object-lock-mode", retention.mode.name().to_owned()),
        ("object-lock-retain-until-date", iso(retention.until)),
        ("object-lock-remaining-retention-days", days.to_string()),
    ]
}

/// Refuses the end of a version that is locked.
pub(crate) fn release(turn: &mut Turn<'_>, key: &str, version: &Version) -> Result<(), Refusal> {
    if version.attributes.hold {
        turn.unless(Fault::DeleteVersionAllowed, Refusal::locked())?;
    }
    let Some(retention) = version.attributes.retention.filter(|retention| retention.until > turn.now) else {
        return Ok(());
    };
    if may_bypass(turn, key, retention.mode) {
        Ok(())
    } else {
        turn.unless(Fault::DeleteVersionAllowed, Refusal::locked())
    }
}

/// Whether the bypass header is there, and of use against this mode.
fn may_bypass(turn: &mut Turn<'_>, key: &str, mode: Mode) -> bool {
    let asked = turn
        .call
        .header("x-amz-bypass-governance-retention")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    asked
        && match mode {
            Mode::Governance => turn
                .permit_on("s3:BypassGovernanceRetention", &turn.call.bucket, key, &Context::new())
                .is_ok(),
            Mode::Compliance => turn.strikes(Fault::BypassAllowed).is_some(),
        }
}

/// The version a lock request is about.
fn version<'a>(turn: &'a mut Turn<'_>) -> Result<&'a mut Version, Refusal> {
    let id = read::version_of(turn)?.id.clone();
    let key = turn.call.key.clone();
    let shelf = turn.shelf()?;
    if shelf.lock.is_none() {
        return Err(Refusal::lock_missing());
    }
    let versions = shelf.objects.get_mut(&key).into_iter().flatten();
    versions.into_iter().find(|version| version.id == id).ok_or_else(Refusal::no_such_key)
}

pub(crate) fn get(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let Some(retention) = version(turn)?.attributes.retention else {
        let text = "The specified object does not have a ObjectLock configuration";
        return Err(Refusal::new(404, "NoSuchObjectLockConfiguration", text));
    };
    if turn.strikes(Fault::RetentionReadBackFails).is_some() {
        return Err(Refusal::new(
            500,
            "InternalError",
            "We encountered an internal error. Please try again.",
        ));
    }
    let mut document = Xml::new("Retention");
    document.text("Mode", retention.mode.name()).text("RetainUntilDate", iso(retention.until));
    Ok(Answer::xml(document.end("Retention")))
}

pub(crate) fn put(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.must_be_protected()?;
    let wanted = xml::read(&turn.body.data.to_vec(), |root| {
        let Some(mode) = xml::child(root, "Mode") else { return Ok(None) };
        let mode = Mode::of_name(&mode).ok_or_else(Refusal::malformed_xml)?;
        let until = xml::child(root, "RetainUntilDate").ok_or_else(Refusal::malformed_xml)?;
        Ok(Some(Retention { mode, until: parse_date(&until)? }))
    })?;
    let context = context(wanted.as_ref(), turn.now);
    let permitted = turn.is_allowed("s3:PutObjectRetention", &turn.call.bucket, &turn.call.key, &context);
    let now = turn.now;
    let version_found =
        version(turn).map_err(|refusal| if permitted { refusal } else { Refusal::denied() })?;
    let held = version_found.attributes.retention.filter(|held| held.until > now);
    let weakens = held.is_some_and(|held| weakens(held, wanted));
    if !permitted {
        if !weakens {
            return Err(Refusal::denied());
        }
        turn.unless(Fault::ShortenAllowed, Refusal::denied())?;
    }
    if wanted.is_some_and(|wanted| wanted.until <= turn.now) && turn.struck.is_empty() {
        return Err(Refusal::argument("The retain until date must be in the future!"));
    }
    if let Some(held) = held
        && weakens
        && !may_bypass(turn, &turn.call.key, held.mode)
    {
        turn.unless(Fault::ShortenAllowed, Refusal::locked())?;
    }
    version(turn)?.attributes.retention = wanted;
    Ok(Answer::new(200))
}

fn weakens(held: Retention, wanted: Option<Retention>) -> bool {
    wanted.is_none_or(|wanted| {
        wanted.until < held.until || (held.mode == Mode::Compliance && wanted.mode == Mode::Governance)
    })
}

pub(crate) fn get_hold(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let hold = version(turn)?.attributes.hold;
    let mut document = Xml::new("LegalHold");
    document.text("Status", if hold { "ON" } else { "OFF" });
    Ok(Answer::xml(document.end("LegalHold")))
}

pub(crate) fn put_hold(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.must_be_protected()?;
    let hold = xml::read(&turn.body.data.to_vec(), |root| match xml::child(root, "Status").as_deref() {
        Some("ON") => Ok(true),
        Some("OFF") => Ok(false),
        _ => Err(Refusal::malformed_xml()),
    })?;
    version(turn)?.attributes.hold = hold;
    Ok(Answer::new(200))
}

/// Reads a bucket's `ObjectLockConfiguration`.
pub(crate) fn configuration(bytes: &[u8]) -> Result<Option<DefaultRetention>, Refusal> {
    xml::read(bytes, |root| {
        if xml::child(root, "ObjectLockEnabled").as_deref() != Some("Enabled") {
            return Err(Refusal::malformed_xml());
        }
        let Some(rule) = xml::children(root, "Rule").next() else { return Ok(None) };
        let rule = xml::children(rule, "DefaultRetention").next().ok_or_else(Refusal::malformed_xml)?;
        let mode = xml::child(rule, "Mode").and_then(|mode| Mode::of_name(&mode));
        let number = |name| xml::child(rule, name).map(|text| text.parse::<u32>());
        let (count, in_years) = match (number("Days"), number("Years")) {
            (Some(Ok(days)), None) => (days, false),
            (None, Some(Ok(years))) => (years.saturating_mul(365), true),
            _ => return Err(Refusal::malformed_xml()),
        };
        if !(1..=36_500).contains(&count) {
            return Err(Refusal::argument("Default retention period must be a positive integer value."));
        }
        Ok(Some(DefaultRetention { mode: mode.ok_or_else(Refusal::malformed_xml)?, days: count, in_years }))
    })
}

/// The lock that a new version gets: its own, or the bucket's.
pub(crate) fn of_new(shelf: &Shelf, own: Option<Retention>, start: DateTime<Utc>) -> Option<Retention> {
    own.or_else(|| Some(shelf.lock??.from(start)))
}
