//! Tries, with the vault's own credentials, every call that could break the lock or later make that possible, and tells what came of each.
//!
//! The canary's deletion is meant as it is sent. What is tried on the vault does no harm even where it is permitted: a value that was just read is put
//! again, what is removed is not there, a vault that holds an archive cannot be deleted, no tag is added. A setting that cannot be read is put as
//! one that is none; where that is refused as malformed, nothing was shown.
//!
//! An archive cannot be read back within a run. What is read back is the vault's lock, under which nobody deletes what is young.

use aws_sdk_glacier::Client;
use aws_sdk_glacier::config::http::HttpResponse;
use aws_sdk_glacier::config::retry::RetryConfig;
use aws_sdk_glacier::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_glacier::operation::RequestId;
use aws_sdk_glacier::types::{
    DataRetrievalPolicy, DataRetrievalRule, VaultAccessPolicy, VaultLockPolicy, VaultNotificationConfig,
};

use super::GlacierVault;
use super::store::Store;
use crate::s3::fault::Fault;
use crate::{Lock, Outcome, Probe, Result, Vault, VaultError};

/// Tries of one attempt.
const ATTEMPTS: u32 = 3;
/// No policy.
const MALFORMED: &str = "{\"firn-probe\":";
/// 403 for another reason than what the credentials may do: then nothing was shown.
const DENIED: [&str; 2] = ["AccessDeniedException", "AccessDenied"];

pub(super) fn prove(vault: &GlacierVault, canary: &Lock) -> Result<Vec<Probe>> {
    let missing = |why| VaultError::LockMissing { object: canary.object.clone(), why };
    let id = canary.version.as_ref().ok_or_else(|| missing("the id of its archive is not known"))?;
    if let Some(why) = broken(vault, canary)? {
        return Err(missing(why));
    }
    let mut probes = Vec::new();
    let ended = vault.wait(vault.store.attempt_all(id.as_str(), &mut probes)).and_then(|()| {
        // Whatever was answered: what counts is what is there.
        let outcome = match broken(vault, canary)? {
            None => Outcome::Refused { by: "the vault's lock was read back unchanged".to_owned() },
            Some(what) => Outcome::Done { what: what.to_owned() },
        };
        probes.push(Probe { call: "all of these, whatever was answered", outcome });
        Ok(())
    });
    match ended {
        // A store that failed proves nothing; but what was found before that is found.
        Err(error) if probes.iter().any(|probe| probe.outcome.is_broken()) => {
            let outcome = Outcome::Unclear { why: error.to_string() };
            probes.push(Probe { call: "all others: the store failed", outcome });
            Ok(probes)
        }
        ended => ended.map(|()| probes),
    }
}

/// In which way the canary's lock is not what it was; none if it is.
fn broken(vault: &GlacierVault, canary: &Lock) -> Result<Option<&'static str>> {
    match vault.lock(&canary.object_ref()) {
        Ok(found) if found.retain_until < canary.retain_until => Ok(Some("the vault's lock is shorter")),
        Ok(_) => Ok(None),
        Err(VaultError::LockMissing { .. }) => Ok(Some("the vault has lost its lock")),
        Err(error) => Err(error),
    }
}

/// How a call ended.
struct Answer(std::result::Result<(), Fault>);

impl<T, E> From<std::result::Result<T, SdkError<E, HttpResponse>>> for Answer
where
    T: RequestId,
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(answer: std::result::Result<T, SdkError<E, HttpResponse>>) -> Self {
        Answer(answer.map(drop).map_err(Fault::from))
    }
}

/// What a refusal with 400 shows.
#[derive(Debug, Clone, Copy)]
enum Otherwise {
    /// The lock itself stands against it.
    Lock,
    /// It is permitted, and only the archives in the vault stand against it.
    Full,
    /// Nothing.
    Nothing,
}

impl Answer {
    fn outcome(self, call: &'static str, otherwise: Otherwise) -> Result<Outcome> {
        let Err(fault) = self.0 else { return Ok(Outcome::Done { what: "the store agreed".to_owned() }) };
        let said = format!("{} {}", fault.status.unwrap_or_default(), fault.code);
        Ok(match (fault.status, otherwise) {
            (Some(401 | 403), _) if DENIED.contains(&fault.code.as_str()) => Outcome::Refused { by: said },
            (Some(404), _) => Outcome::NotApplicable { why: format!("there is nothing to do it to: {said}") },
            (Some(405 | 501), _) => {
                Outcome::NotApplicable { why: format!("the store has no such call: {said}") }
            }
            (Some(400), Otherwise::Lock) => Outcome::Refused { by: said },
            (Some(400), Otherwise::Full) => Outcome::Permitted { by: said },
            (Some(400), Otherwise::Nothing) => Outcome::Unclear { why: said },
            _ => return Err(fault.into_error("try", call, "glacier:ListVaults")),
        })
    }
}

impl Store {
    /// A client that asks three times at most. Where the clocks are apart, the SDK takes each refusal for one that a better signature may help, and
    /// would wait minutes for what is refused all the same.
    fn attempting(&self) -> Client {
        let retry = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        Client::from_conf(self.client.config().to_builder().retry_config(retry).build())
    }

    async fn attempt_all(&self, canary: &str, probes: &mut Vec<Probe>) -> Result<()> {
        let (client, vault) = (&self.attempting(), &self.vault);
        self.attempt_lock(client, probes).await?;
        self.attempt_settings(client, probes).await?;
        let call = "DeleteVault";
        let answer = Answer::from(client.delete_vault().account_id("-").vault_name(vault).send().await);
        probes.push(Probe { call, outcome: answer.outcome(call, Otherwise::Full)? });
        let call = "DeleteArchive";
        let answer =
            client.delete_archive().account_id("-").vault_name(vault).archive_id(canary).send().await;
        let outcome = Answer::from(answer).outcome(call, Otherwise::Nothing)?;
        if !matches!(outcome, Outcome::Refused { .. }) && !outcome.is_broken() {
            let source = std::io::Error::other(outcome.to_string());
            return Err(VaultError::Unreachable { step: format!("try {call}"), source });
        }
        probes.push(Probe { call, outcome });
        Ok(())
    }

    async fn attempt_lock(&self, client: &Client, probes: &mut Vec<Probe>) -> Result<()> {
        let vault = &self.vault;
        let read = client.get_vault_lock().account_id("-").vault_name(vault).send().await;
        let read = read.map_err(|error| {
            Fault::from(error).into_error("read the lock of", vault, "glacier:GetVaultLock")
        })?;
        let call = "AbortVaultLock";
        let answer = client.abort_vault_lock().account_id("-").vault_name(vault).send().await;
        probes.push(Probe { call, outcome: Answer::from(answer).outcome(call, Otherwise::Lock)? });
        let call = "InitiateVaultLock, the same policy";
        let policy = VaultLockPolicy::builder().set_policy(read.policy().map(str::to_owned)).build();
        let answer =
            client.initiate_vault_lock().account_id("-").vault_name(vault).policy(policy).send().await;
        probes.push(Probe { call, outcome: Answer::from(answer).outcome(call, Otherwise::Lock)? });
        Ok(())
    }

    async fn attempt_settings(&self, client: &Client, probes: &mut Vec<Probe>) -> Result<()> {
        let vault = &self.vault;
        let mut note = |call, answer: Answer| {
            answer.outcome(call, Otherwise::Nothing).map(|outcome| probes.push(Probe { call, outcome }))
        };
        let read = client.get_vault_access_policy().account_id("-").vault_name(vault).send().await;
        let read = read.map_err(Fault::from);
        let is_absent = matches!(&read, Err(fault) if fault.status == Some(404));
        let text = read.ok().and_then(|read| read.policy?.policy).unwrap_or_else(|| MALFORMED.to_owned());
        let policy = VaultAccessPolicy::builder().policy(text).build();
        let put = client.set_vault_access_policy().account_id("-").vault_name(vault).policy(policy);
        note("SetVaultAccessPolicy", put.send().await.into())?;
        if is_absent {
            let delete = client.delete_vault_access_policy().account_id("-").vault_name(vault);
            note("DeleteVaultAccessPolicy", delete.send().await.into())?;
        }
        let read = client.get_vault_notifications().account_id("-").vault_name(vault).send().await;
        let malformed = || VaultNotificationConfig::builder().sns_topic("firn-probe").build();
        let value = read.ok().and_then(|read| read.vault_notification_config).unwrap_or_else(malformed);
        let put = client.set_vault_notifications().account_id("-").vault_name(vault);
        note("SetVaultNotifications", put.vault_notification_config(value).send().await.into())?;
        let read = client.get_data_retrieval_policy().account_id("-").send().await;
        let rule = || DataRetrievalRule::builder().strategy("firn-probe").build();
        let malformed = || DataRetrievalPolicy::builder().rules(rule()).build();
        let value = read.ok().and_then(|read| read.policy).unwrap_or_else(malformed);
        let put = client.set_data_retrieval_policy().account_id("-").policy(value);
        note("SetDataRetrievalPolicy", put.send().await.into())?;
        let add = client.add_tags_to_vault().account_id("-").vault_name(vault);
        note(
            "AddTagsToVault, none",
            add.set_tags(Some(std::collections::HashMap::new())).send().await.into(),
        )?;
        if !is_absent {
            let why = "there may be one, and trying could remove it".to_owned();
            probes.push(Probe { call: "DeleteVaultAccessPolicy", outcome: Outcome::NotApplicable { why } });
        }
        Ok(())
    }
}
