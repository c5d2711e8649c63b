//! Buckets: what they say, and what may be changed about them.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::document::{add, text};
use crate::fields::select;
use crate::refusal::Refusal;
use crate::route::Turn;
use crate::store::{Shelf, Versioning};

fn document(name: &str, shelf: &Shelf) -> Value {
    let plan = &shelf.plan;
    let mut document = json!({
        "kind": "storage#bucket",
        "name": name,
        "metageneration": shelf.metageneration.to_string(),
        "storageClass": "STANDARD",
        "versioning": { "enabled": plan.versioning == Versioning::Enabled },
        "softDeletePolicy": { "retentionDurationSeconds": "0" },
    });
    if let Some(seconds) = plan.retention_seconds {
        let mut policy = json!({ "retentionPeriod": seconds.to_string() });
        if plan.locked {
            add(&mut policy, "isLocked", true);
        }
        add(&mut document, "retentionPolicy", policy);
    }
    if plan.object_retention {
        add(&mut document, "objectRetention", json!({ "mode": "Enabled" }));
    }
    for (key, value) in &shelf.documents {
        add(&mut document, key, value.clone());
    }
    document
}

/// `GET /storage/v1/b/BUCKET`
pub(crate) fn get(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.call.only(&["fields", "prettyPrint", "projection"])?;
    turn.asker.must("storage.buckets.get")?;
    let name = turn.bucket.clone();
    let fields = turn.call.parameter("fields").map(str::to_owned);
    let shelf = turn.shelf(&name)?;
    Ok(Answer::json(&select(document(&name, shelf), fields.as_deref())?))
}

/// `PATCH /storage/v1/b/BUCKET`: retention policy, versioning, lifecycle.
pub(crate) fn patch(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.asker.must("storage.buckets.update")?;
    let name = turn.bucket.clone();
    let body: Value = serde_json::from_slice(&turn.body).map_err(|_| Refusal::invalid("Parse Error"))?;
    let fields = body.as_object().cloned().ok_or_else(|| Refusal::invalid("Parse Error"))?;
    let shelf = turn.shelf(&name)?;
    for (key, value) in fields {
        match key.as_str() {
            "retentionPolicy" => {
                let next = text(&value, "retentionPeriod").and_then(|text| text.parse::<i64>().ok());
                if shelf.plan.locked && next < shelf.plan.retention_seconds {
                    let text = "Cannot reduce retention duration of a locked Retention Policy for bucket.";
                    return Err(Refusal::new(403, "forbidden", text));
                }
                shelf.plan.retention_seconds = next;
            }
            "versioning" => {
                let is_on = value.get("enabled") == Some(&true.into());
                shelf.plan.versioning = if is_on { Versioning::Enabled } else { Versioning::Off };
            }
            "lifecycle" | "softDeletePolicy" if value.is_null() => drop(shelf.documents.remove(&key)),
            "lifecycle" | "softDeletePolicy" => drop(shelf.documents.insert(key, value)),
            _ => return Err(Refusal::not_built(&format!("a change of {key}"))),
        }
    }
    shelf.metageneration += 1;
    Ok(Answer::json(&document(&name, shelf)))
}

/// `GET /storage/v1/b/BUCKET/iam/testPermissions`: which of these the asker has.
pub(crate) fn test_permissions(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.call.only(&["permissions"])?;
    let name = turn.bucket.clone();
    turn.shelf(&name)?;
    let asked = turn.call.query.iter().map(|(_, permission)| permission);
    let has: Vec<&String> = asked.filter(|permission| turn.asker.may(permission)).collect();
    Ok(Answer::json(&json!({ "kind": "storage#testIamPermissionsResponse", "permissions": has })))
}

/// `POST /storage/v1/b/BUCKET/lockRetentionPolicy`
pub(crate) fn lock(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.asker.must("storage.buckets.update")?;
    let (name, wanted) = (turn.bucket.clone(), turn.call.number("ifMetagenerationMatch")?);
    let shelf = turn.shelf(&name)?;
    if wanted != Some(shelf.metageneration) {
        return Err(Refusal::condition());
    }
    if shelf.plan.retention_seconds.is_none() {
        return Err(Refusal::invalid("The bucket has no retention policy."));
    }
    shelf.plan.locked = true;
    shelf.metageneration += 1;
    Ok(Answer::json(&document(&name, shelf)))
}

/// `DELETE /storage/v1/b/BUCKET`
pub(crate) fn delete(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.asker.must("storage.buckets.delete")?;
    let name = turn.bucket.clone();
    if !turn.shelf(&name)?.objects.is_empty() {
        return Err(Refusal::new(409, "conflict", "The bucket you tried to delete is not empty."));
    }
    turn.store.buckets.remove(&name);
    Ok(Answer::new(204))
}
