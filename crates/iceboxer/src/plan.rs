//! What a run is going to do: settings and command line, checked and opened.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use cli::{Failed, Monitor};
use formats::HostId;

use crate::certificate::Recipient;
use crate::cost::budget::{Budget, OverBudget};
use crate::publish::Publisher;
use crate::settings::{ProveLock, Scope, Settings, Unchanged, VaultSettings};
use crate::store::{StoreError, Target};

/// What to do with snapshots that are off-site already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Pass them over.
    Skip,
    /// Seal them once more.
    Seal,
}

/// A run, nothing left to be decided.
pub struct Plan {
    /// Folder of all histories.
    pub history: PathBuf,
    /// Where images are made.
    pub staging: PathBuf,
    /// Folder of the ledger.
    pub ledger: PathBuf,
    /// Which snapshots go into an image.
    pub scope: Scope,
    /// Length of a segment.
    pub segment_bytes: u64,
    /// To whom ice is sealed. Empty if a certificate cannot be used: then nothing is sealed, and what is proved stays locked all the same.
    pub recipients: Vec<Recipient>,
    /// How many segments are sealed at once.
    pub workers: usize,
    /// Where the records of drills are brought.
    pub drill_records: Option<PathBuf>,
    /// What becomes of a host that has not changed.
    pub unchanged: Unchanged,
    /// Where ice is kept.
    pub targets: Vec<Target>,
    /// Names of all vaults of the settings, also of those that are not among the targets.
    pub vaults: BTreeSet<String>,
    /// Names of those whose locks are proved before the first put and after the last.
    pub proved: BTreeSet<String>,
    /// Certificates that cannot be used and vaults that could not be opened, for whatever reason. The rest is done, and the run fails at its end.
    pub unopened: Vec<Failed>,
    /// Which hosts; all if empty.
    pub hosts: Vec<HostId>,
    /// What to do with snapshots that are off-site already.
    pub again: Again,
    /// What it may cost.
    pub budget: Budget,
    /// Who is told how everything stands.
    pub publisher: Publisher,
}

impl Plan {
    /// Vets all certificates, tells of those that end soon, and opens the vaults. What cannot be used is noted: it must not keep the run from the
    /// locks of the rest.
    #[must_use]
    pub fn new(
        settings: &Settings,
        hosts: Vec<HostId>,
        again: Again,
        over: OverBudget,
        monitor: &dyn Monitor,
    ) -> Plan {
        let mut targets = Vec::new();
        let mut unopened = Vec::new();
        let recipients = recipients(settings, monitor).unwrap_or_else(|failed| {
            unopened.push(failed);
            Vec::new()
        });
        for settings in &settings.vaults {
            match open(settings) {
                Ok(target) => targets.push(target),
                Err(error) => unopened.push(error.into()),
            }
        }
        let each_run = settings.vaults.iter().filter(|vault| vault.prove_lock == ProveLock::EachRun);
        Plan {
            vaults: settings.vaults.iter().map(|vault| vault.store.name.clone()).collect(),
            proved: each_run.map(|vault| vault.store.name.clone()).collect(),
            history: settings.history.clone(),
            staging: settings.staging.clone(),
            ledger: settings.ledger.clone(),
            scope: settings.scope,
            segment_bytes: settings.segment_bytes,
            recipients,
            workers: settings.workers(),
            drill_records: settings.drill_records.clone(),
            unchanged: settings.unchanged,
            targets,
            unopened,
            hosts,
            again,
            budget: Budget::of(settings, over),
            publisher: Publisher::of(settings),
        }
    }
}

fn recipients(settings: &Settings, monitor: &dyn Monitor) -> Result<Vec<Recipient>, Failed> {
    let now = SystemTime::now();
    let mut recipients = Vec::new();
    for recipient in &settings.recipients {
        let hosts = &recipient.hosts;
        let pinned =
            recipient.pinned().ok_or_else(|| Failed::bug("reading a fingerprint", "unchecked settings"))?;
        let recipient = Recipient::load(&recipient.certificate, &pinned, now)?;
        if let Some(warning) = recipient.warning(DateTime::<Utc>::from(now)) {
            monitor.warn(&warning);
        }
        recipients.push(recipient.only_for(hosts.clone()));
    }
    if recipients.len() < 2 {
        monitor.warn("ice is sealed to one certificate only: if its key is lost, all ice is lost; name a second one, kept elsewhere");
    }
    Ok(recipients)
}

pub(crate) fn open(settings: &VaultSettings) -> Result<Target, StoreError> {
    let name = settings.store.name.clone();
    let vault =
        vault::open(&settings.store).map_err(|source| StoreError::Vault { vault: name.clone(), source })?;
    Ok(Target { name, vault, retention_days: settings.retention_days })
}
