//! Archives whole, and the vault they are in.

use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::fault::Fault;
use crate::route::Turn;
use crate::store::Archive;
use crate::tree::{self, hex};

const DESCRIPTION_BYTES_MAX: usize = 1_024;

pub(crate) fn iso(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// `x-amz-archive-description`: printable ASCII.
pub(crate) fn description(turn: &Turn<'_>) -> Result<String, Refusal> {
    let text = turn.call.header("x-amz-archive-description").unwrap_or_default();
    let is_plain = text.len() <= DESCRIPTION_BYTES_MAX && text.bytes().all(|b| (0x20..0x7f).contains(&b));
    if is_plain { Ok(text.to_owned()) } else { Err(Refusal::invalid("Invalid archive description")) }
}

pub(crate) fn upload(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let description = description(turn)?;
    let data = turn.call.body.clone();
    if data.is_empty() {
        return Err(Refusal::invalid("Invalid Content-Length: 0"));
    }
    let tree = tree::of(&data);
    if turn.call.header("x-amz-sha256-tree-hash") != Some(&hex(&tree)) {
        return Err(Refusal::invalid("Checksum mismatch: expected another tree hash"));
    }
    turn.keep(Archive { description, data, tree, created: turn.now })
}

impl Turn<'_> {
    /// Makes an archive, and the answer that names it.
    pub(crate) fn keep(&mut self, archive: Archive) -> Result<Answer, Refusal> {
        let (id, tree, now) = (self.store.next_id("archive"), archive.tree, self.now);
        let shelf = self.shelf()?;
        shelf.changed.get_or_insert(now);
        shelf.archives.insert(id.clone(), archive);
        let told = if self.faults.strike(Fault::WrongTreeHash) { tree::of(b"another") } else { tree };
        let place = format!("/000000000000/vaults/{}/archives/{id}", self.vault);
        let answer = Answer::new(201).with("location", place).with("x-amz-archive-id", id);
        Ok(answer.with("x-amz-sha256-tree-hash", hex(&told)))
    }
}

pub(crate) fn delete(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let id = turn.id.clone();
    turn.shelf()?.archives.remove(&id).ok_or_else(|| Refusal::missing("The archive ID was"))?;
    let now = turn.now;
    turn.shelf()?.changed.get_or_insert(now);
    Ok(Answer::new(204))
}

pub(crate) fn describe(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let name = turn.vault.clone();
    let shelf = turn.shelf()?;
    let bytes: usize = shelf.counted().map(|archive| archive.data.len()).sum();
    Ok(Answer::json(&json!({
        "CreationDate": iso(shelf.created),
        "LastInventoryDate": shelf.inventory.as_ref().map(|(at, _)| iso(*at)),
        "NumberOfArchives": shelf.counted().count(),
        "SizeInBytes": bytes,
        "VaultARN": format!("arn:aws:glacier:us-east-1:000000000000:vaults/{name}"),
        "VaultName": name,
    })))
}

/// Only an empty vault goes, by its last count.
pub(crate) fn delete_vault(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let shelf = turn.shelf()?;
    if !shelf.archives.is_empty() || shelf.changed.is_some() {
        return Err(Refusal::invalid("Vault not empty or recently written to"));
    }
    let name = turn.vault.clone();
    turn.store.vaults.remove(&name);
    Ok(Answer::new(204))
}
