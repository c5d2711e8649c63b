//! What a run keeps in order beside the new ice: locks that must last, and leftovers that cost.

use std::collections::BTreeSet;

use chrono::{TimeDelta, Utc};
use cli::{Console, Failed, Monitor, Run};
use formats::HostId;
use history::Snapshot;
use vault::stamp::utc_text;

use super::Icing;
use crate::certificate::Recipient;
use crate::drills::Drills;
use crate::ledger::{Ledger, LedgerEntry};
use crate::plan::{Again, Plan};
use crate::store::{Extended, Extension, StoreError, Target, extend};

/// No put is under way for longer.
const STALE: TimeDelta = TimeDelta::days(7);

/// What killed runs left half sent is billed for ever; where it cannot be ended, the bucket's own rule must.
pub(super) fn end_stale_puts(plan: &Plan, console: &Console) {
    for target in &plan.targets {
        let ended = target.vault.clock().and_then(|now| target.vault.end_stale_puts(now - STALE));
        match ended {
            Ok(0) => {}
            Ok(ended) => console.info(&format!("vault {}: {ended} old uploads ended", target.name)),
            Err(error) => {
                let failed = Failed::from(StoreError::Vault { vault: target.name.clone(), source: error });
                console.warn(&format!("old uploads were not ended: {}", failed.chain()));
            }
        }
    }
}

/// The newest ice that a drill has proved stays locked, for every host that the ledger knows, until a newer one is proved. Not in vaults whose
/// locks nobody can extend. Before anything else that may end a run: no budget and no fault of a vault may let it lapse. Gives back what failed.
pub(super) fn keep_proved(plan: &Plan, ledger: &mut Ledger, drills: &Drills, run: &mut Run) -> Vec<Failed> {
    let mut failures = Vec::new();
    for target in plan.targets.iter().filter(|target| target.vault.can_extend()) {
        let mut hosts = BTreeSet::new();
        let wanted = |entry: &&LedgerEntry| {
            entry.vault == target.name && (plan.hosts.is_empty() || plan.hosts.contains(entry.ice.host()))
        };
        hosts.extend(ledger.state().entries().iter().filter(wanted).map(|e| e.ice.host().clone()));
        for host in hosts {
            let proved = drills.newest_proved(ledger.state(), &target.name, &host).cloned();
            let kept = proved.map_or(Ok(()), |entry| extend_in(target, &entry, ledger, run));
            if let Err(failed) = kept {
                run.console().warn(&format!("{host}: {}", failed.chain()));
                failures.push(failed);
            }
        }
    }
    failures
}

/// Extends the locks of an ice; the ledger's next line says so.
fn extend_in(target: &Target, entry: &LedgerEntry, ledger: &mut Ledger, run: &mut Run) -> Result<(), Failed> {
    let Extension { changed, failed } = extend(target, entry)?;
    if let Some(Extended { retain_until, receipts }) = changed {
        let (now, until) = (utc_text(&Utc::now()), utc_text(&retain_until));
        ledger.append(now, &target.name, until.clone(), entry.record.clone(), receipts)?;
        run.report().count("extended", 1);
        run.line(&format!("{} in vault {} stays locked until {until}", entry.ice, target.name));
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

impl<'a> Icing<'a> {
    /// Of these vaults, the ones whose newest ice of the host holds another snapshot; of the others, the locks are extended.
    pub(super) fn changed_targets(
        &mut self,
        targets: Vec<&'a Target>,
        host: &HostId,
        newest: &Snapshot,
    ) -> Result<Vec<&'a Target>, Failed> {
        let recipients = Recipient::of_host(&self.plan.recipients, host);
        let mut changed = Vec::new();
        for target in targets {
            let entries = self.ledger.state().entries().iter();
            let last = entries.rev().find(|e| e.vault == target.name && e.ice.host() == host).cloned();
            let is_same = |entry: &LedgerEntry| {
                let ends = entry.record.snapshots.last().is_some_and(|last| last.root == newest.root);
                let sealed_to = recipients.iter().map(Recipient::fingerprint);
                ends && self.plan.again == Again::Skip && sealed_to.eq(&entry.record.recipients)
            };
            match last.filter(is_same).filter(|_| target.vault.can_extend()) {
                Some(entry) => extend_in(target, &entry, &mut self.ledger, self.run)?,
                None => changed.push(target),
            }
        }
        Ok(changed)
    }
}
