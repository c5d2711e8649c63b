//! Changing and deleting objects.

use serde_json::Value;

use crate::answer::Answer;
use crate::fault::Fault;
use crate::fields::select;
use crate::refusal::Refusal;
use crate::retention::Retention;
use crate::route::Turn;
use crate::store::{Versioning, iso};

/// `PATCH .../o/KEY`: metadata and retention.
pub(crate) fn patch(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.call.only(&[
        "generation",
        "fields",
        "overrideUnlockedRetention",
        "ifMetagenerationMatch",
        "prettyPrint",
    ])?;
    turn.asker.must("storage.objects.update")?;
    let body: Value = serde_json::from_slice(&turn.body).map_err(|_| Refusal::invalid("Parse Error"))?;
    let fields = body.as_object().ok_or_else(|| Refusal::invalid("Parse Error"))?;
    if let Some(unknown) = fields.keys().find(|name| !["retention", "metadata"].contains(&name.as_str())) {
        return Err(Refusal::not_built(&format!("a change of {unknown}")));
    }
    let overrides = turn.call.parameter("overrideUnlockedRetention") == Some("true");
    if fields.contains_key("retention") {
        turn.asker.must("storage.objects.setRetention")?;
    }
    if overrides {
        turn.asker.must("storage.objects.overrideUnlockedRetention")?;
    }
    let next = match fields.get("retention") {
        None => None,
        Some(Value::Null) => Some(None),
        Some(asked) => Some(Some(Retention::asked(asked, turn.now)?)),
    };
    let (bucket, key, now, faults) = (turn.bucket.clone(), turn.key.clone(), turn.now, turn.faults);
    let selected = turn.call.parameter("fields").map(str::to_owned);
    let (asked, metageneration) =
        (turn.call.number("generation")?, turn.call.number("ifMetagenerationMatch")?);
    let missing = turn.missing();
    let shelf = turn.shelf(&bucket)?;
    let generation = shelf.version(&key, asked).map(|version| version.generation);
    let takes_locks = shelf.plan.object_retention;
    let version = generation.and_then(|generation| shelf.version_mut(&key, generation)).ok_or(missing)?;
    if metageneration.is_some_and(|wanted| wanted != version.metageneration) {
        return Err(Refusal::condition());
    }
    if let Some(next) = next {
        if !takes_locks {
            return Err(Refusal::invalid("Object retention is not enabled for the bucket."));
        }
        let refused = version.retention.map(|own| own.may_become(next, now, overrides));
        if let Some(Err(refusal)) = refused
            && !faults.strikes(Fault::ShortenAllowed)
        {
            return Err(refusal);
        }
        if !faults.strikes(Fault::ChangeIgnored) {
            version.retention = next;
        }
    }
    if let Some(changes) = body.get("metadata").and_then(Value::as_object) {
        for (name, value) in changes {
            match value {
                Value::Null => drop(version.metadata.remove(name)),
                value => drop(version.metadata.insert(name.clone(), value.clone())),
            }
        }
    }
    version.metageneration += 1;
    let version = version.clone();
    Ok(Answer::json(&select(shelf.document(&bucket, &key, &version), selected.as_deref())?))
}

/// `DELETE .../o/KEY`
pub(crate) fn delete(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.call.only(&["generation", "ifGenerationMatch"])?;
    let is_forced = turn.faults.strikes(Fault::DeleteAllowed);
    if !is_forced {
        turn.asker.must("storage.objects.delete")?;
    }
    let (bucket, key, now) = (turn.bucket.clone(), turn.key.clone(), turn.now);
    let (asked, wanted) = (turn.call.number("generation")?, turn.call.number("ifGenerationMatch")?);
    let missing = turn.missing();
    let shelf = turn.shelf(&bucket)?;
    let version = shelf.version(&key, asked).ok_or(missing)?;
    let (generation, held) = (version.generation, shelf.held(version, now));
    if wanted.is_some_and(|wanted| wanted != generation) {
        return Err(Refusal::condition());
    }
    if asked.is_none() && shelf.plan.versioning == Versioning::Enabled {
        if let Some(version) = shelf.version_mut(&key, generation) {
            version.noncurrent = Some(now);
        }
        return Ok(Answer::new(204));
    }
    if let (Some(until), false) = (held, is_forced) {
        return Err(Refusal::held(&bucket, &key, &iso(until)));
    }
    shelf.remove(&key, generation);
    Ok(Answer::new(204))
}
