//! Jobs: they take their hours by the server's clock, and their output is there for a day.

use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::archives::iso;
use crate::fault::Fault;
use crate::route::Turn;
use crate::store::{Job, VaultShelf};
use crate::tree::{self, hex};

const INVENTORY_HOURS: i64 = 4;
const OUTPUT_HOURS: i64 = 24;
const PAGE: usize = 50;

fn took(tier: &str) -> Option<TimeDelta> {
    match tier {
        "Expedited" => Some(TimeDelta::minutes(4)),
        "Standard" => Some(TimeDelta::hours(4)),
        "Bulk" => Some(TimeDelta::hours(8)),
        _ => None,
    }
}

pub(crate) fn begin(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let wanted: Value =
        serde_json::from_slice(&turn.call.body).map_err(|_| Refusal::invalid("the job is no JSON"))?;
    let now = turn.now;
    let text = |name: &str| wanted.get(name).and_then(Value::as_str).map(str::to_owned);
    let (tier, archive) = (text("Tier").unwrap_or_else(|| "Standard".to_owned()), text("ArchiveId"));
    let (description, format) = (text("Description"), text("Format").unwrap_or_else(|| "JSON".to_owned()));
    if let Some(unknown) = wanted.get("InventoryRetrievalParameters").or(wanted.get("SelectParameters")) {
        return Err(Refusal::new(501, "NotImplemented", unknown.to_string()));
    }
    let asked = text("RetrievalByteRange");
    let shelf = turn.shelf()?;
    let job = match text("Type").as_deref() {
        Some("inventory-retrieval") => {
            let counted =
                shelf.inventory.clone().ok_or_else(|| Refusal::missing("The vault's inventory was"))?;
            let done = now + TimeDelta::hours(INVENTORY_HOURS);
            Job {
                archive: None,
                tier,
                description,
                format,
                range: (0, 0),
                created: now,
                done,
                inventory: Some(counted),
            }
        }
        Some("archive-retrieval") => {
            let id = archive.filter(|id| shelf.archives.contains_key(id));
            let id = id.ok_or_else(|| Refusal::missing("The archive ID was"))?;
            let done = now + took(&tier).ok_or_else(|| Refusal::invalid("Invalid tier"))?;
            let last = shelf.archives.get(&id).map_or(0, |archive| archive.data.len().saturating_sub(1));
            let range = asked.map_or(Some((0, last)), |text| {
                let (from, to) = text.split_once('-')?;
                Some((from.parse().ok()?, to.parse().ok()?))
            });
            let fits =
                |(from, to): &(usize, usize)| from <= to && *to <= last && from.is_multiple_of(1 << 20);
            let range = range.filter(fits).ok_or_else(|| Refusal::invalid("Invalid retrieval byte range"))?;
            Job { archive: Some(id), tier, description, format, range, created: now, done, inventory: None }
        }
        _ => return Err(Refusal::invalid("Invalid job type")),
    };
    let id = turn.store.next_id("job");
    turn.shelf()?.jobs.insert(id.clone(), job);
    let place = format!("/000000000000/vaults/{}/jobs/{id}", turn.vault);
    Ok(Answer::new(202).with("location", place).with("x-amz-job-id", id))
}

fn shown(id: &str, job: &Job, shelf: &VaultShelf, now: chrono::DateTime<chrono::Utc>) -> Value {
    let is_done = now >= job.done;
    let archive = job.archive.as_ref().and_then(|id| shelf.archives.get(id));
    json!({
        "Action": if job.archive.is_some() { "ArchiveRetrieval" } else { "InventoryRetrieval" },
        "ArchiveId": job.archive,
        "ArchiveSizeInBytes": archive.map(|archive| archive.data.len()),
        "ArchiveSHA256TreeHash": archive.map(|archive| hex(&archive.tree)),
        "Completed": is_done,
        "CompletionDate": is_done.then(|| iso(job.done)),
        "CreationDate": iso(job.created),
        "InventoryRetrievalParameters": job.archive.is_none().then(|| json!({"Format": job.format})),
        "JobDescription": job.description,
        "JobId": id,
        "RetrievalByteRange": job.archive.is_some().then(|| format!("{}-{}", job.range.0, job.range.1)),
        "StatusCode": if is_done { "Succeeded" } else { "InProgress" },
        "Tier": job.tier,
    })
}

pub(crate) fn list(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let now = turn.now;
    let marker = turn.call.parameter("marker").unwrap_or_default().to_owned();
    let shelf = turn.shelf()?;
    let is_kept = |job: &Job| now < job.done + TimeDelta::hours(OUTPUT_HOURS);
    let mut after: Vec<_> = shelf.jobs.iter().filter(|(id, job)| **id > marker && is_kept(job)).collect();
    let more = after.len() > PAGE;
    after.truncate(PAGE);
    let next = after.last().filter(|_| more).map(|(id, _)| (*id).clone());
    let jobs: Vec<_> = after.into_iter().map(|(id, job)| shown(id, job, shelf, now)).collect();
    Ok(Answer::json(&json!({"JobList": jobs, "Marker": next})))
}

pub(crate) fn output(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let (id, now) = (turn.id.clone(), turn.now);
    let faults = turn.faults;
    let range = turn.call.header("range").map(str::to_owned);
    let shelf = turn.shelf()?;
    let job = shelf.jobs.get(&id).filter(|job| now < job.done + TimeDelta::hours(OUTPUT_HOURS));
    let job = job.ok_or_else(|| Refusal::missing("The job ID was"))?;
    if now < job.done {
        return Err(Refusal::invalid("The job is not currently available for download"));
    }
    let Some(id) = &job.archive else { return Ok(inventory(shelf, job)) };
    let archive = shelf.archives.get(id).ok_or_else(|| Refusal::missing("The archive ID was"))?;
    let asked = archive.data.get(job.range.0..=job.range.1).unwrap_or_default();
    let whole = asked.len();
    let from = range.as_deref().and_then(|text| text.strip_prefix("bytes=")?.split_once('-')?.0.parse().ok());
    let from: usize = from.unwrap_or(0);
    let mut data = asked.get(from..).ok_or_else(|| Refusal::invalid("Invalid range"))?.to_vec();
    let answer = if from > 0 {
        Answer::new(206).with("content-range", format!("bytes {from}-{}/{whole}", whole.saturating_sub(1)))
    } else {
        Answer::new(200).with("x-amz-sha256-tree-hash", hex(&tree::of(&data)))
    };
    if faults.strike(Fault::FlippedBit)
        && let Some(first) = data.first_mut()
    {
        *first ^= 1;
    }
    let answer = answer.with("x-amz-archive-description", archive.description.clone());
    Ok(answer.with("content-type", "application/octet-stream").body(Bytes::from(data)))
}

fn inventory(shelf: &VaultShelf, job: &Job) -> Answer {
    if job.format != "JSON" {
        let head = "ArchiveId,ArchiveDescription,CreationDate,Size,SHA256TreeHash\n";
        return Answer::new(200).with("content-type", "text/csv").body(Bytes::from(head));
    }
    let (at, ids) = job.inventory.clone().unwrap_or_default();
    let archives = ids.iter().filter_map(|id| Some((id, shelf.archives.get(id)?)));
    let list: Vec<_> = archives
        .map(|(id, archive)| {
            json!({"ArchiveId": id, "ArchiveDescription": archive.description, "CreationDate": iso(archive.created),
                "Size": archive.data.len(), "SHA256TreeHash": hex(&archive.tree)})
        })
        .collect();
    Answer::json(
        &json!({"VaultARN": "arn:aws:glacier:us-east-1:000000000000:vaults/x", "InventoryDate": iso(at), "ArchiveList": list}),
    )
}
