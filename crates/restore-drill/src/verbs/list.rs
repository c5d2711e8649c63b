//! `list`: what lies in the vaults.

use chrono::{DateTime, TimeDelta, Utc};
use cli::{Exit, Failed, Run, shown};
use formats::HostId;
use formats::records::ice::IceRecord;
use formats::records::ice_id::IceId;
use vault::stamp::{parse_utc, utc_text};

use crate::settings::Settings;
use crate::shelf::{Shelf, ShelfError, Shelves};

/// Prints one line for each ice, newest last. What cannot be read is named, and makes the run end with 3.
pub(super) fn list(
    run: &mut Run,
    settings: &Settings,
    host: Option<&HostId>,
    vault: Option<&str>,
) -> Result<Exit, Failed> {
    let Shelves { open, mut closed } = Shelves::open(settings, vault)?;
    let mut answered = Vec::new();
    for shelf in &open {
        match shelf.ids(host) {
            Ok(ids) => answered.push((shelf, ids)),
            Err(error) => closed.push(error),
        }
    }
    for error in closed {
        if answered.is_empty() {
            return Err(error.into());
        }
        let vault = vault_of(&error);
        run.leave_out(&vault, &Failed::from(error).chain());
    }
    let mut ices = Vec::new();
    for (shelf, ids) in answered {
        for id in ids {
            match shelf.record(&id) {
                Ok(stored) => ices.push(one(run, shelf, &stored.record)),
                Err(error) => run.leave_out(id.to_string().as_bytes(), &Failed::from(error).chain()),
            }
        }
    }
    run.report().count("ices", ices.len() as u64);
    run.report().detail("ices", ices);
    Ok(Exit::WHOLE)
}

fn vault_of(error: &ShelfError) -> Vec<u8> {
    match error {
        ShelfError::Vault { vault, .. } | ShelfError::Unnamed { vault } => vault.clone().into_bytes(),
        _ => Vec::new(),
    }
}

fn one(run: &mut Run, shelf: &Shelf, record: &IceRecord) -> serde_json::Value {
    let now = Utc::now();
    let until = lock_of(run, shelf, &record.ice);
    let locked = match until {
        Some(until) if until > now => format!("locked until {}", utc_text(&until)),
        Some(until) => format!("LOCK RAN OUT {}", utc_text(&until)),
        None => "NO LOCK".to_owned(),
    };
    let created = parse_utc(&record.created);
    let age = created.map(|created| (now - created).max(TimeDelta::zero()));
    let sealed = record.segments.iter().fold(0u64, |sum, segment| sum.saturating_add(segment.bytes));
    run.line(&format!(
        "{}  {} snapshots  {} MiB  {}  {locked}  in {}",
        record.ice,
        record.snapshots.len(),
        sealed.div_ceil(1 << 20),
        age.map_or("of unknown age".to_owned(), age_text),
        shown(shelf.name.as_bytes()),
    ));
    let snapshots: Vec<_> = record
        .snapshots
        .iter()
        .map(|one| serde_json::json!({"name": one.name, "sequence": one.sequence, "entries": one.entries}))
        .collect();
    serde_json::json!({
        "ice": record.ice,
        "host": record.host,
        "vault": shown(shelf.name.as_bytes()),
        "created": created.map(|at| utc_text(&at)),
        "age_seconds": age.map(|age| age.num_seconds()),
        "image_bytes": record.image.bytes,
        "sealed_bytes": sealed,
        "segments": record.segments.len(),
        "retain_until": until.map(|at| utc_text(&at)),
        "recipients": record.recipients,
        "left_out": record.left_out,
        "snapshots": snapshots,
    })
}

/// Until when the ice is locked. No lock is no success.
fn lock_of(run: &mut Run, shelf: &Shelf, id: &IceId) -> Option<DateTime<Utc>> {
    match shelf.record_lock(id) {
        Ok(lock) => Some(lock.retain_until),
        Err(error) => {
            run.leave_out(id.to_string().as_bytes(), &Failed::from(error).chain());
            None
        }
    }
}

/// How old something is, for people.
pub(super) fn age_text(age: TimeDelta) -> String {
    match (age.num_days(), age.num_hours(), age.num_minutes()) {
        (0, 0, minutes) => format!("{minutes} min old"),
        (0, hours, _) => format!("{hours} h old"),
        (days, ..) => format!("{days} d old"),
    }
}
