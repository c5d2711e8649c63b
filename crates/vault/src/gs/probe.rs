//! Tries, with the vault's own credentials, every call that could break a lock or later make that possible, and tells what came of each.
//!
//! What is tried on the canary is meant as it is sent: if it is permitted, it is done, to an object that is there for it. What is tried on the bucket
//! does no harm even where it is permitted: the value just read is put again, or a bucket is deleted that holds a locked object. What cannot
//! be tried without harm is asked for: Google tells which permissions the asker has.

use std::io::{self, Read};

use chrono::TimeDelta;
use formats::ContentHash;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GsVault;
use super::client::Call;
use super::fault::Fault;
use super::model::generation;
use super::store::Store;
use crate::stamp::utc_text;
use crate::{Lock, Outcome, Probe, Result, Vault, VaultError};

/// Longest canary.
const CANARY_BYTES_MAX: u64 = 64 * 1024;
/// Calls that every store has: one that does not refuse them in so many words is not proved.
const CORE: [&str; 2] = ["objects.delete, the generation", "objects.patch, a day shorter"];
/// What of the bucket is put again.
const SETTINGS: [(&str, &str); 4] = [
    ("retentionPolicy", "buckets.patch, retentionPolicy"),
    ("versioning", "buckets.patch, versioning"),
    ("lifecycle", "buckets.patch, lifecycle"),
    ("softDeletePolicy", "buckets.patch, softDeletePolicy"),
];
/// What a writer must not have.
pub(super) const PERMISSIONS: [&str; 7] = [
    "storage.objects.delete",
    "storage.objects.overrideUnlockedRetention",
    "storage.objects.setIamPolicy",
    "storage.objects.move",
    "storage.buckets.update",
    "storage.buckets.setIamPolicy",
    "storage.buckets.delete",
];
const OVERRIDE: [(&str, &str); 1] = [("overrideUnlockedRetention", "true")];

pub(super) fn prove(vault: &GsVault, canary: &Lock) -> Result<Vec<Probe>> {
    let name = &canary.object;
    let missing = |why| VaultError::LockMissing { object: name.clone(), why };
    let version = canary.version.as_ref().and_then(|version| generation(version.as_str()));
    let version = version.ok_or_else(|| missing("its generation is not known"))?;
    if let Some(why) = broken(vault, canary)? {
        return Err(missing(why));
    }
    let store = &vault.store;
    let mut probes = Vec::new();
    for (call, attempt) in changes(store, canary, version)? {
        let mut probe = vault.wait(store.attempt(call, &attempt))?;
        if let Outcome::Done { what } = &mut probe.outcome {
            match broken(vault, canary)? {
                // A first lock of its own, within the bucket's, takes nothing away.
                None => probe.outcome = Outcome::Held { by: "the bucket's own lock holds it" },
                Some(seen) => *what = format!("{what}, and {seen}"),
            }
        }
        probes.push(probe);
    }
    let (call, attempt) = over(store, canary)?;
    probes.push(vault.wait(store.attempt(call, &attempt))?);
    probes.extend(vault.wait(store.on_bucket())?);
    probes.extend(vault.wait(store.permissions())?);
    for (call, attempt) in removals(store, canary, version)? {
        probes.push(vault.wait(store.attempt(call, &attempt))?);
    }
    // What broke it before leaves nothing to refuse.
    let is_broken = probes.iter().any(|probe| probe.outcome.is_broken());
    let is_held = |probe: &&Probe| matches!(probe.outcome, Outcome::Refused { .. } | Outcome::Held { .. });
    let held: Vec<_> = probes.iter().filter(is_held).map(|probe| probe.call).collect();
    if let Some(call) = CORE.into_iter().find(|call| !is_broken && !held.contains(call)) {
        let source = io::Error::other(format!("the store does not refuse {call} in so many words"));
        return Err(VaultError::Unreachable { step: format!("prove the lock of {name}"), source });
    }
    // Whatever was answered: what counts is what is there.
    let outcome = match broken(vault, canary)? {
        None => Outcome::Refused { by: "its bytes and its lock were read back unchanged".to_owned() },
        Some(what) => Outcome::Done { what: what.to_owned() },
    };
    probes.push(Probe { call: "all of these, whatever was answered", outcome });
    Ok(probes)
}

/// In which way the canary is not what it was; none if it is.
fn broken(vault: &GsVault, canary: &Lock) -> Result<Option<&'static str>> {
    let found = match vault.lock(&canary.object_ref()) {
        Ok(found) => found,
        Err(VaultError::Missing { .. }) => return Ok(Some("the canary is gone")),
        Err(VaultError::LockMissing { .. }) => return Ok(Some("the canary has lost its lock")),
        Err(error) => return Err(error),
    };
    if found.retain_until < canary.retain_until {
        return Ok(Some("the canary's lock is shorter"));
    }
    let first = vault.wait(vault.store.first_generation(&canary.object))?;
    if first.map(|first| first.to_string()).as_deref()
        != canary.version.as_ref().map(crate::VersionId::as_str)
    {
        return Ok(Some("the canary is no longer the first generation of its name"));
    }
    let mut bytes = Vec::new();
    let read = vault.fetch(&canary.object_ref())?.take(CANARY_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(VaultError::failed("read back", canary.object.as_str()))?;
    if found.hash != canary.hash || ContentHash::of(&bytes) != canary.hash {
        return Ok(Some("the canary's bytes are others"));
    }
    Ok(None)
}

type Attempt = (&'static str, Call);

/// What would shorten its lock, or lift it.
fn changes(store: &Store, canary: &Lock, version: i64) -> Result<Vec<Attempt>> {
    let name = &canary.object;
    let shorter = utc_text(&(canary.retain_until - TimeDelta::days(1)));
    let same = utc_text(&canary.retain_until);
    let changes = [
        ("objects.patch, a day shorter", json!({ "mode": "Locked", "retainUntilTime": shorter }), &[][..]),
        (
            "objects.patch, a day shorter, with override",
            json!({ "mode": "Locked", "retainUntilTime": shorter }),
            &OVERRIDE,
        ),
        ("objects.patch, unlocked", json!({ "mode": "Unlocked", "retainUntilTime": same }), &[]),
        (
            "objects.patch, unlocked, with override",
            json!({ "mode": "Unlocked", "retainUntilTime": same }),
            &OVERRIDE,
        ),
        ("objects.patch, no retention", Value::Null, &[]),
        ("objects.patch, no retention, with override", Value::Null, &OVERRIDE),
    ];
    let mut all = Vec::new();
    for (call, retention, query) in changes {
        let url = store.object_url(name, version, query)?;
        all.push((call, Call::new(Method::PATCH, url).json(&json!({ "retention": retention }))));
    }
    Ok(all)
}

/// What would put others in its place.
fn over(store: &Store, canary: &Lock) -> Result<Attempt> {
    let key = store.key(&canary.object)?;
    let over = store.upload_url(&[("uploadType", "media"), ("name", &key)]);
    Ok(("objects.insert, over it", Call::new(Method::POST, over).json(&json!("firn"))))
}

/// What would remove it; last.
fn removals(store: &Store, canary: &Lock, version: i64) -> Result<Vec<Attempt>> {
    let name = &canary.object;
    Ok(vec![
        ("buckets.delete", Call::new(Method::DELETE, store.bucket_url(&[]))),
        ("objects.delete", Call::new(Method::DELETE, store.name_url(name, &[])?)),
        ("objects.delete, the generation", Call::new(Method::DELETE, store.object_url(name, version, &[])?)),
    ])
}

/// Which of the permissions asked about the asker has.
#[derive(Debug, Deserialize)]
struct Has {
    #[serde(default)]
    permissions: Vec<String>,
}

impl Store {
    async fn attempt(&self, call: &'static str, attempt: &Call) -> Result<Probe> {
        let outcome = match self.client.ask(attempt).await {
            Ok(answer) => Outcome::Done { what: format!("the store answered {}", answer.status) },
            Err(fault) => judged(call, fault)?,
        };
        Ok(Probe { call, outcome })
    }

    /// The settings of the bucket, as they are.
    async fn on_bucket(&self) -> Result<Vec<Probe>> {
        let read = Call::new(
            Method::GET,
            self.bucket_url(&[("fields", "retentionPolicy,versioning,lifecycle,softDeletePolicy")]),
        );
        let bucket: Value = match self.client.ask(&read).await.and_then(|answer| answer.document()) {
            Ok(bucket) => bucket,
            Err(fault) if fault.status == Some(403) => {
                let why = "the bucket's settings cannot be read, to be put again".to_owned();
                let probe = |(_, call)| Probe { call, outcome: Outcome::NotApplicable { why: why.clone() } };
                return Ok(SETTINGS.into_iter().map(probe).collect());
            }
            Err(fault) => {
                return Err(fault.into_error("look at the bucket", &self.bucket, "storage.buckets.get"));
            }
        };
        let mut probes = Vec::new();
        for (field, call) in SETTINGS {
            let mut value = bucket.get(field).cloned().unwrap_or(Value::Null);
            // The rest of it is for the store to say.
            if let ("retentionPolicy", Some(period)) = (field, value.get("retentionPeriod").cloned()) {
                value = json!({ "retentionPeriod": period });
            }
            let again = Call::new(Method::PATCH, self.bucket_url(&[])).json(&json!({ field: value }));
            probes.push(self.attempt(call, &again).await?);
        }
        Ok(probes)
    }

    /// What Google says that the asker may.
    async fn permissions(&self) -> Result<Vec<Probe>> {
        let query = PERMISSIONS.map(|permission| ("permissions", permission));
        let url = self.url(&["storage", "v1", "b", &self.bucket, "iam", "testPermissions"], &query);
        let asked =
            self.client.ask(&Call::new(Method::GET, url)).await.and_then(|answer| answer.document::<Has>());
        let outcome = |permission: &str| {
            Ok(match &asked {
                Ok(has) if has.permissions.iter().any(|one| one == permission) => {
                    Outcome::Permitted { by: "Google says that the account has it".to_owned() }
                }
                Ok(_) => Outcome::Refused { by: "Google says that the account does not have it".to_owned() },
                Err(fault) if fault.is_passing() => return Err(unanswered(permission, &fault.text())),
                Err(fault) => Outcome::Unclear { why: fault.text() },
            })
        };
        let all = PERMISSIONS.into_iter();
        all.map(|permission| Ok(Probe { call: permission, outcome: outcome(permission)? })).collect()
    }
}

/// What a refusal shows.
fn judged(call: &'static str, fault: Fault) -> Result<Outcome> {
    let said = fault.text();
    Ok(match fault.status {
        Some(403) => Outcome::Refused { by: said },
        Some(400) if fault.is_lock_refused() => Outcome::Refused { by: said },
        // It was asked for the right, and then for what lies in the bucket.
        Some(409) if call == "buckets.delete" => Outcome::Permitted { by: said },
        Some(404) if fault.is_missing() => {
            Outcome::NotApplicable { why: format!("there is nothing to do it to: {said}") }
        }
        Some(405 | 501) => Outcome::NotApplicable { why: format!("the store has no such call: {said}") },
        Some(400 | 409 | 412) => Outcome::Unclear { why: said },
        _ => return Err(unanswered(call, &said)),
    })
}

fn unanswered(call: &str, said: &str) -> VaultError {
    VaultError::Unreachable { step: format!("try {call}"), source: io::Error::other(said.to_owned()) }
}
