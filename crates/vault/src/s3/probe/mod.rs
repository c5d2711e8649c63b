//! Tries, with the vault's own credentials, every call that could break a lock or later make that possible, and tells what came of each.
//!
//! Between reading a setting and putting it again, somebody with rights may have changed it: then that change is undone, which needs a right that
//! these credentials should not have, and is named.
//!
//! A store may look at a document before it asks who sends it; its "malformed" then shows nothing. So the same request goes there once more
//! without a sender: who is nobody may do nothing, and if nobody is refused, "malformed" was said to somebody who may. And a store that does not know
//! a setting may take the request for another one; so it is also asked about a setting that nobody has.

mod ask;
mod attempts;
mod judge;

use std::io::Read;

use chrono::Utc;
use formats::ContentHash;

use self::ask::{Answer, On, Request, Sender};
use self::attempts::{Attempt, CORE, Canary, Kind};
use self::judge::{Weight, is_lock_speaking, weigh};
use super::S3Vault;
use super::store::Store;
use crate::{Lock, Outcome, Probe, Result, Vault, VaultError};

/// Longest setting that is put again.
const SETTING_BYTES_MAX: usize = 1 << 20;
/// A setting that no store has. Some take what they do not know for CreateBucket, and refuse that in their own way.
const UNKNOWN_SETTING: &str = "firn-probe";
/// Longest canary.
const CANARY_BYTES_MAX: u64 = 64 * 1024;

pub(super) fn prove(vault: &S3Vault, canary: &Lock) -> Result<Vec<Probe>> {
    let store = &vault.store;
    let name = &canary.object;
    let missing = |why| VaultError::LockMissing { object: name.clone(), why };
    let version = canary.version.as_ref().ok_or_else(|| missing("its version is not known"))?;
    if let Some(why) = broken(vault, canary)? {
        return Err(missing(why));
    }
    let key = store.key(name)?;
    let now = store.clock_now().unwrap_or_else(|_| Utc::now());
    let (bucket, retain_until) = (store.bucket.as_str(), canary.retain_until);
    let on = Canary { bucket, key: &key, version: version.as_str(), retain_until, now };
    let mut probes = Vec::new();
    let ended = attempt_all(vault, canary, &on, &mut probes);
    concluded(probes, ended)
}

fn attempt_all(vault: &S3Vault, canary: &Lock, on: &Canary<'_>, probes: &mut Vec<Probe>) -> Result<()> {
    for attempt in attempts::all(on) {
        let outcome = match vault.wait(vault.store.attempt(&attempt, on.key))? {
            Outcome::Shadowed => match broken(vault, canary)? {
                None => Outcome::Shadowed,
                Some(what) => Outcome::Done { what: what.to_owned() },
            },
            outcome => outcome,
        };
        if CORE.contains(&attempt.call) && !matches!(outcome, Outcome::Refused { .. }) && !outcome.is_broken()
        {
            return Err(failed(&attempt, &outcome.to_string()));
        }
        probes.push(Probe { call: attempt.call, outcome });
    }
    // Whatever was answered: what counts is what is there.
    let outcome = match broken(vault, canary)? {
        None => Outcome::Refused { by: "its bytes and its lock were read back unchanged".to_owned() },
        Some(what) => Outcome::Done { what: what.to_owned() },
    };
    probes.push(Probe { call: "all of these, whatever was answered", outcome });
    Ok(())
}

/// A store that failed proves nothing; but what was found before that is found.
fn concluded(mut probes: Vec<Probe>, ended: Result<()>) -> Result<Vec<Probe>> {
    match ended {
        Err(error) if probes.iter().any(|probe| probe.outcome.is_broken()) => {
            let outcome = Outcome::Unclear { why: error.to_string() };
            probes.push(Probe { call: "all others: the store failed", outcome });
            Ok(probes)
        }
        ended => ended.map(|()| probes),
    }
}

/// In which way the canary is not what it was; none if it is.
fn broken(vault: &S3Vault, canary: &Lock) -> Result<Option<&'static str>> {
    let found = match vault.lock(&canary.object_ref()) {
        Ok(found) => found,
        Err(VaultError::Missing { .. }) => return Ok(Some("the canary is gone")),
        Err(VaultError::LockMissing { .. }) => return Ok(Some("the canary has lost its lock")),
        Err(error) => return Err(error),
    };
    if found.retain_until < canary.retain_until {
        return Ok(Some("the canary's lock is shorter"));
    }
    if vault.wait(vault.store.first_version(&canary.object))? != canary.version {
        return Ok(Some("the canary is no longer the first version of its name"));
    }
    let mut bytes = Vec::new();
    let read = vault.fetch(&canary.object_ref())?.take(CANARY_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(VaultError::failed("read back", canary.object.as_str()))?;
    if found.hash != canary.hash || ContentHash::of(&bytes) != canary.hash {
        return Ok(Some("the canary's bytes are others"));
    }
    Ok(None)
}

impl Store {
    async fn attempt(&self, attempt: &Attempt, key: &str) -> Result<Outcome> {
        let Attempt { kind, request, .. } = attempt;
        let mut request = request.clone();
        match kind {
            Kind::Again(root) => {
                let read = Request::new("GET", request.on, request.query.clone());
                let value = self.ask(&read, Sender::Own, key).await?;
                if weigh(&value) == Weight::Failed {
                    return Err(failed(attempt, &format!("the store answered {value}")));
                }
                // A store that does not know the setting may give a list of the bucket instead.
                if value.is_done() && value.body.len() <= SETTING_BYTES_MAX && begins(&value.body, root) {
                    request = Request::new("PUT", On::Bucket, request.query.clone()).body(value.body);
                }
            }
            Kind::Absent => {
                let read = Request::new("GET", request.on, request.query.clone());
                let value = self.ask(&read, Sender::Own, key).await?;
                match weigh(&value) {
                    Weight::Nothing => {}
                    Weight::Failed => return Err(failed(attempt, &format!("the store answered {value}"))),
                    _ => {
                        let why = "there may be one, and trying could remove it".to_owned();
                        return Ok(Outcome::NotApplicable { why });
                    }
                }
            }
            _ => {}
        }
        let answer = self.ask(&request, Sender::Own, key).await?;
        let weight = weigh(&answer);
        let said = answer.to_string();
        Ok(match (weight, kind) {
            (Weight::Failed, _) => return Err(failed(attempt, &format!("the store answered {said}"))),
            (Weight::Denied, _) => Outcome::Refused { by: said },
            (Weight::NotBuilt, _) => {
                Outcome::NotApplicable { why: format!("the store has no such call: {said}") }
            }
            (Weight::Done, Kind::OnTop) => Outcome::Shadowed,
            (Weight::Done, _) => Outcome::Done { what: format!("the store answered {said}") },
            (Weight::Other, Kind::Full) if answer.code == "BucketNotEmpty" => Outcome::Permitted { by: said },
            (Weight::Other, _) if matches!(answer.status, 401 | 403) => Outcome::Unclear { why: said },
            // A delete marker on top of the canary, for instance.
            (Weight::Nothing, _) if request.on == On::Object => {
                Outcome::NotApplicable { why: format!("there is nothing to do it to: {said}") }
            }
            (Weight::Other, Kind::Real | Kind::OnTop | Kind::Full) if is_lock_speaking(&answer) => {
                Outcome::Refused { by: said }
            }
            (Weight::Other | Weight::Nothing, Kind::Malformed | Kind::Again(_) | Kind::Absent) => {
                self.compare(&request, key, &answer).await?
            }
            (Weight::Other | Weight::Nothing, _) => Outcome::Unclear { why: said },
        })
    }

    /// The same from nobody: if nobody is refused where the vault's credentials heard of something else, they may.
    async fn compare(&self, request: &Request, key: &str, answer: &Answer) -> Result<Outcome> {
        let nobody = self.ask(request, Sender::Nobody, key).await?;
        if request.on == On::Bucket && request.method == "PUT" && !answer.code.starts_with("Malformed") {
            let unknown = Request { query: UNKNOWN_SETTING.to_owned(), ..request.clone() };
            let unknown = self.ask(&unknown, Sender::Own, key).await?;
            if (unknown.status, &unknown.code) == (answer.status, &answer.code) {
                let why = format!("the store has no such setting: {answer}, as for one that nobody has");
                return Ok(Outcome::NotApplicable { why });
            }
        }
        Ok(match weigh(&nobody) {
            Weight::Denied => Outcome::Permitted { by: format!("{answer}, where a stranger hears {nobody}") },
            _ => Outcome::Unclear { why: format!("{answer}, and {nobody} to a stranger") },
        })
    }
}

fn begins(body: &[u8], root: &str) -> bool {
    // After the declaration, if there is one.
    String::from_utf8_lossy(body.get(..500).unwrap_or(body)).contains(root)
}

fn failed(attempt: &Attempt, said: &str) -> VaultError {
    let source = std::io::Error::other(said.to_owned());
    VaultError::Unreachable { step: format!("try {}", attempt.call), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_before_a_store_failed_is_told() {
        let down =
            || Err(VaultError::failed("try", "it")(std::io::Error::from(std::io::ErrorKind::TimedOut)));
        let probe = |outcome| vec![Probe { call: "a", outcome }];
        let refused = || probe(Outcome::Refused { by: "403".to_owned() });
        let done = || probe(Outcome::Done { what: "gone".to_owned() });
        assert!(concluded(refused(), down()).is_err());
        assert_eq!(concluded(refused(), Ok(())).unwrap(), refused());
        let found = concluded(done(), down()).unwrap();
        assert!(found[0].outcome.is_broken() && matches!(found[1].outcome, Outcome::Unclear { .. }));
    }
}
