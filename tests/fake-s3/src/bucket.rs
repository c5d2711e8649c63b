//! Buckets: made, asked for, removed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::access::Context;
use crate::answer::Answer;
use crate::clock::iso;
use crate::refusal::Refusal;
use crate::retention::{DefaultRetention, Mode};
use crate::store::{Shelf, Versioning};
use crate::turn::Turn;
use crate::xml::{self, Xml};

/// What a test's bucket starts with.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    /// Object lock, and so versions.
    pub lock: bool,
    /// The lock that objects get without asking, with its days.
    pub default_retention: Option<(Mode, u32)>,
    /// For a bucket without object lock.
    pub versioning: Versioning,
    /// A bucket policy, as JSON. One that is not valid is not taken.
    pub policy: Option<String>,
    /// A lifecycle configuration, as XML. It is kept and shown; nothing expires here.
    pub lifecycle: Option<String>,
    /// An encryption configuration, as XML. It is kept and shown.
    pub encryption: Option<String>,
    /// A `PublicAccessBlockConfiguration`, as XML. It is kept and shown; nobody without a key is served here anyway.
    pub public_access: Option<String>,
}

impl Shelf {
    pub(crate) fn new(created: DateTime<Utc>, plan: &Bucket) -> Self {
        let default =
            plan.default_retention.map(|(mode, days)| DefaultRetention { mode, days, in_years: false });
        let lock = (plan.lock || default.is_some()).then_some(default);
        let policy = plan.policy.as_ref().and_then(|text| {
            crate::Statement::from_policy(text).ok().map(|statements| (text.clone(), statements))
        });
        let documents = [
            ("lifecycle", &plan.lifecycle),
            ("encryption", &plan.encryption),
            ("public access", &plan.public_access),
        ];
        let documents =
            documents.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))).collect();
        Self {
            created,
            versioning: if lock.is_some() { Versioning::Enabled } else { plan.versioning },
            lock,
            policy,
            documents,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
        }
    }
}

pub(crate) fn create(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.permit("s3:CreateBucket", &Context::new())?;
    let name = &turn.call.bucket;
    let is_letter =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || ".-".contains(letter);
    if !(3..=63).contains(&name.len()) || !name.chars().all(is_letter) {
        return Err(Refusal::new(400, "InvalidBucketName", "The specified bucket is not valid."));
    }
    if turn.store.buckets.contains_key(name) {
        let text = "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(Refusal::new(409, "BucketAlreadyOwnedByYou", text));
    }
    let lock = turn
        .call
        .header("x-amz-bucket-object-lock-enabled")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if lock {
        turn.permit("s3:PutBucketObjectLockConfiguration", &Context::new())?;
        turn.permit("s3:PutBucketVersioning", &Context::new())?;
    }
    let shelf = Shelf::new(turn.now, &Bucket { lock, ..Bucket::default() });
    turn.store.buckets.insert(name.clone(), shelf);
    Ok(Answer::new(200).with("location", format!("/{name}")))
}

pub(crate) fn head(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.shelf()?;
    Ok(Answer::new(200).with("x-amz-bucket-region", turn.region))
}

pub(crate) fn delete(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    if !turn.shelf()?.objects.is_empty() {
        let text = "The bucket you tried to delete is not empty. You must delete all versions in the bucket.";
        return Err(Refusal::new(409, "BucketNotEmpty", text));
    }
    turn.store.buckets.remove(&turn.call.bucket);
    Ok(Answer::new(204))
}

pub(crate) fn list(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.permit("s3:ListAllMyBuckets", &Context::new())?;
    let mut document = Xml::new("ListAllMyBucketsResult");
    document.open("Owner").text("ID", "owner").close("Owner").open("Buckets");
    for (name, shelf) in &turn.store.buckets {
        document.open("Bucket").text("Name", name).text("CreationDate", iso(shelf.created)).close("Bucket");
    }
    document.close("Buckets");
    Ok(Answer::xml(document.end("ListAllMyBucketsResult")))
}

pub(crate) fn location(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let region = if turn.region == "us-east-1" { "" } else { turn.region };
    let mut document = Xml::new("LocationConstraint");
    document.plain(region);
    Ok(Answer::xml(document.end("LocationConstraint")))
}

pub(crate) fn get_versioning(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let mut document = Xml::new("VersioningConfiguration");
    let status = match turn.shelf()?.versioning {
        Versioning::Off => None,
        Versioning::Enabled => Some("Enabled"),
        Versioning::Suspended => Some("Suspended"),
    };
    if let Some(status) = status {
        document.text("Status", status);
    }
    Ok(Answer::xml(document.end("VersioningConfiguration")))
}

pub(crate) fn put_versioning(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.must_be_protected()?;
    let wanted = xml::read(&turn.body.data.to_vec(), |root| match xml::child(root, "Status").as_deref() {
        Some("Enabled") => Ok(Versioning::Enabled),
        Some("Suspended") => Ok(Versioning::Suspended),
        _ => Err(Refusal::malformed_xml()),
    })?;
    if wanted == Versioning::Suspended && turn.shelf()?.lock.is_some() {
        let text = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.";
        turn.unless(crate::Fault::VersioningSuspendable, Refusal::new(409, "InvalidBucketState", text))?;
    }
    turn.shelf()?.versioning = wanted;
    Ok(Answer::new(200))
}
