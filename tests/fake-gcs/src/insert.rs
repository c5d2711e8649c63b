//! Making an object: what is asked for, whether it may be, and what is stored.

use bytes::{Bytes, BytesMut};
use chrono::TimeDelta;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::document::text;
use crate::fault::Fault;
use crate::refusal::Refusal;
use crate::retention::Retention;
use crate::route::Turn;
use crate::store::{Version, Versioning, crc32c, iso};

/// Longest name.
const KEY_BYTES_MAX: usize = 1_024;
const CLASSES: [&str; 4] = ["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"];
/// What an object may be made with.
const FIELDS: [&str; 6] = ["name", "contentType", "storageClass", "metadata", "retention", "crc32c"];

/// What is asked for beside the bytes.
#[derive(Debug)]
pub(crate) struct Wish {
    if_generation: Option<i64>,
    class: String,
    content_type: String,
    metadata: Map<String, Value>,
    retention: Option<Retention>,
    pub(crate) crc32c: Option<String>,
}

impl Wish {
    pub(crate) fn read(turn: &Turn<'_>, key: &str, document: &Value) -> Result<Wish, Refusal> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(Refusal::invalid("Required object name is missing or too long."));
        }
        let fields = document.as_object().ok_or_else(|| Refusal::invalid("Parse Error"))?;
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(Refusal::not_built(&format!("an object's {unknown}")));
        }
        let told = |name: &str, default: &str| text(document, name).unwrap_or(default).to_owned();
        let class = told("storageClass", "STANDARD");
        if !CLASSES.contains(&class.as_str()) {
            return Err(Refusal::invalid(format!("Invalid storage class {class}")));
        }
        let retention = fields.get("retention").map(|asked| Retention::asked(asked, turn.now));
        Ok(Wish {
            if_generation: turn.call.number("ifGenerationMatch")?,
            class,
            content_type: told("contentType", "application/octet-stream"),
            metadata: document.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default(),
            retention: retention.transpose()?,
            crc32c: text(document, "crc32c").map(str::to_owned),
        })
    }

    /// Whether it may be now: when it begins, and again when it ends.
    pub(crate) fn check(&self, turn: &mut Turn<'_>, bucket: &str, key: &str) -> Result<(), Refusal> {
        let (asker, now) = (turn.asker.clone(), turn.now);
        asker.must("storage.objects.create")?;
        if self.retention.is_some() {
            asker.must("storage.objects.setRetention")?;
        }
        let shelf = turn.shelf(bucket)?;
        if self.retention.is_some() && !shelf.plan.object_retention {
            return Err(Refusal::invalid("Object retention is not enabled for the bucket."));
        }
        let live = shelf.live(key).map(|version| (version.generation, shelf.held(version, now)));
        let versioning = shelf.plan.versioning;
        let is_met = match (self.if_generation, live) {
            (None, _) | (Some(0), None) => true,
            (Some(wanted), live) => live.is_some_and(|(is, _)| is == wanted),
        };
        if !is_met && !turn.faults.strikes(Fault::IgnorePrecondition) {
            return Err(Refusal::condition());
        }
        let Some((_, held)) = live else { return Ok(()) };
        if turn.faults.strikes(Fault::DeleteAllowed) {
            return Ok(());
        }
        asker.must("storage.objects.delete")?;
        match held {
            Some(until) if versioning == Versioning::Off => Err(Refusal::held(bucket, key, &iso(until))),
            _ => Ok(()),
        }
    }
}

/// Stores what was checked. What lay there becomes noncurrent, or is gone.
pub(crate) fn insert(
    turn: &mut Turn<'_>,
    bucket: &str,
    key: &str,
    wish: &Wish,
    data: Bytes,
) -> Result<Value, Refusal> {
    let mut crc = crc32c(&data);
    if wish.crc32c.as_ref().is_some_and(|told| *told != crc) {
        let told = wish.crc32c.clone().unwrap_or_default();
        return Err(Refusal::invalid(format!(
            "Provided CRC32C \"{told}\" doesn't match calculated CRC32C \"{crc}\"."
        )));
    }
    let (now, faults) = (turn.now, turn.faults);
    let mut data = data;
    let is_wrong = faults.strikes(Fault::WrongChecksum);
    if is_wrong || faults.strikes(Fault::DamagedBytes) {
        let mut damaged = BytesMut::from(&data[..]);
        let middle = damaged.len() / 2;
        if let Some(byte) = damaged.get_mut(middle) {
            *byte ^= 1;
        }
        data = damaged.freeze();
    }
    if is_wrong {
        crc = crc32c(&data);
    }
    let mut retention = wish.retention;
    if retention.is_some() && faults.strikes(Fault::LockLost) {
        retention = None;
    }
    if let (Some(own), Some(Fault::LockShortened(days))) =
        (retention.as_mut(), faults.strike(Fault::LockShortened(0)))
    {
        own.until -= TimeDelta::days(i64::from(days));
    }
    let generation = turn.store.next_generation(now);
    let version = Version {
        generation,
        metageneration: 1,
        data,
        crc32c: crc,
        class: wish.class.clone(),
        content_type: wish.content_type.clone(),
        created: now,
        noncurrent: None,
        metadata: wish.metadata.clone(),
        retention,
    };
    let shelf = turn.shelf(bucket)?;
    let versioning = shelf.plan.versioning;
    let versions = shelf.objects.entry(key.to_owned()).or_default();
    if versioning == Versioning::Off {
        versions.clear();
    }
    if let Some(before) = versions.last_mut() {
        before.noncurrent = before.noncurrent.or(Some(now));
    }
    versions.push(version.clone());
    Ok(shelf.document(bucket, key, &version))
}

/// `POST ...?uploadType=media`: all in one request, with nothing beside the bytes.
pub(crate) fn media(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let key = turn.call.parameter("name").unwrap_or_default().to_owned();
    let wish = Wish::read(turn, &key, &Value::Object(Map::new()))?;
    let (bucket, data) = (turn.bucket.clone(), turn.body.clone());
    wish.check(turn, &bucket, &key)?;
    insert(turn, &bucket, &key, &wish, data).map(|document| Answer::json(&document))
}
