//! What a run keeps in order before it makes new ice: locks that must last, and leftovers that cost.

use std::collections::BTreeSet;

use chrono::{TimeDelta, Utc};
use cli::{Console, Exit, Failed, Monitor, Run};
use formats::HostId;
use formats::records::standing::DrillsKnown;
use vault::stamp::utc_text;

use crate::drills::Drills;
use crate::ledger::{Ledger, LedgerEntry};
use crate::plan::Plan;
use crate::publish::Publisher;
use crate::standing::{Lost, Standing, is_locked, of_host};
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

/// Keeps locks and the ledger, and what failed meanwhile.
pub(super) struct Keeper<'r> {
    pub(super) ledger: Ledger,
    pub(super) drills: Drills,
    pub(super) drills_known: DrillsKnown,
    pub(super) publisher: Publisher,
    pub(super) lost: Lost,
    pub(super) failures: Vec<Failed>,
    pub(super) run: &'r mut Run,
}

impl Keeper<'_> {
    /// Locks anew what must not lapse, in vaults whose locks can be extended: what the drills have proved, of every host that the ledger knows; and
    /// the newest ice of each of `hosts` (of all that the ledger knows, if it is not known which there are) once its lock comes to its end. Before
    /// anything that may end a run: no history, no staging folder, no budget and no other vault may let it lapse.
    pub(super) fn keep_locked(&mut self, plan: &Plan, hosts: Option<&[HostId]>) {
        for target in plan.targets.iter().filter(|target| target.vault.can_extend()) {
            let now = target.vault.clock();
            let ends = |entry: &LedgerEntry| now.as_ref().is_ok_and(|now| !is_locked(entry, *now));
            let is_wanted = |host: &HostId| plan.hosts.is_empty() || plan.hosts.contains(host);
            let is_there = |host: &HostId| hosts.is_none_or(|hosts| hosts.contains(host));
            let state = self.ledger.state();
            let of_vault = state.entries().iter().filter(|entry| entry.vault == target.name);
            let known: BTreeSet<&HostId> = of_vault.map(|entry| entry.ice.host()).collect();
            let mut kept: Vec<LedgerEntry> = Vec::new();
            for host in known.into_iter().filter(|host| is_wanted(host)) {
                let mut of_this = self.drills.kept(state, &target.name, host);
                let newest = of_host(state, &target.name, host).next();
                let newest = newest.filter(|entry| is_there(host) && ends(entry));
                of_this.extend(newest.filter(|newest| of_this.iter().all(|kept| kept.ice != newest.ice)));
                kept.extend(of_this.into_iter().cloned());
            }
            kept.iter().for_each(|entry| self.extend(target, entry));
            if let Err(source) = now {
                self.fail_all(StoreError::Vault { vault: target.name.clone(), source }.into());
            }
        }
    }

    /// Extends the locks of an ice. If that fails, the rest is done all the same; ice that is not what it was is noted as lost.
    pub(super) fn extend(&mut self, target: &Target, entry: &LedgerEntry) {
        let Err(failed) = extend_in(target, entry, &mut self.ledger, self.run) else { return };
        if matches!(failed.exit(), Exit::OBJECT_MISSING | Exit::LOCK_MISSING | Exit::ALTERED) {
            self.lost.insert((entry.vault.clone(), entry.ice.clone()));
        }
        self.fail(entry.ice.host(), failed);
    }

    /// Names what failed for a host. The run goes on, and fails at its end.
    pub(super) fn fail(&mut self, host: &HostId, failed: Failed) {
        self.run.console().warn(&format!("{host}: {}", failed.chain()));
        self.failures.push(failed);
    }

    /// The same, of what is no host's.
    pub(super) fn fail_all(&mut self, failed: Failed) {
        self.run.console().warn(&failed.chain());
        self.failures.push(failed);
    }

    /// What is known of the ice that is off-site.
    pub(super) fn standing<'s>(&'s self, plan: &'s Plan) -> Standing<'s> {
        Standing { plan, ledger: self.ledger.state(), drills: &self.drills, lost: &self.lost }
    }

    /// Ends the run, as it cannot go on.
    pub(super) fn end_with(mut self, failed: Failed) -> Result<Exit, Failed> {
        self.fail_all(failed);
        self.end()
    }

    /// Whatever the run came to.
    fn publish(&self) {
        let drills = (self.drills_known == DrillsKnown::Read).then_some(&self.drills);
        if let Err(error) = self.publisher.publish(self.ledger.state(), drills) {
            self.run.console().warn(&error.told());
        }
    }

    /// What the run ends with: the first failure, where there is any.
    pub(super) fn end(self) -> Result<Exit, Failed> {
        self.publish();
        self.run.report().count("failures", self.failures.len() as u64);
        self.failures.into_iter().next().map_or(Ok(Exit::WHOLE), Err)
    }
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
