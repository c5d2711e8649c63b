//! `iceboxer run`: every host's newest snapshot into every vault.

mod hosts;
mod keep;
mod waiting;

use std::collections::{BTreeSet, HashSet};
use std::fs::File;

use chrono::Utc;
use cli::{Amount, Console, Exit, Failed, Failure, Monitor, Run};
use formats::HostId;
use formats::records::ice::segment_lengths;
use formats::records::standing::DrillsKnown;
use history::{HostHistory, Snapshot};
use serde_json::{Value, json};
use signing::Signer;
use vault::stamp::utc_text;

use crate::build::{build, log_to_read, wanted};
use crate::certificate::Recipient;
use crate::cost::ahead::ahead;
use crate::cost::budget::Addition;
use crate::cost::stock::lengths_of_segments;
use crate::drills::Drills;
use crate::image::ImageError;
use crate::ledger::{Ledger, LedgerEntry};
use crate::plan::{Again, Plan};
use crate::prove;
use crate::settings::Unchanged;
use crate::staging::{HostStaging, StagedImage, Staging};
use crate::standing::{Lost, Standing};
use crate::store::{Job, KnownSegments, StoreError, Stored, Target};
use crate::strangers;

use self::keep::Keeper;
use self::waiting::Waiting;

/// Does what the plan says. One host's or one vault's failure does not stop the others.
///
/// # Errors
/// The first failure, after all that could be done is done.
pub fn run(mut plan: Plan, run: &mut Run) -> Result<Exit, Failed> {
    let console = run.console();
    let mut unopened = std::mem::take(&mut plan.unopened);
    // Then nothing can be sealed, as on a machine whose clock is years off. Locks are kept all the same, where there are any.
    if plan.recipients.is_empty() && !unopened.is_empty() && !plan.ledger.is_dir() {
        unopened.iter().for_each(|failed| console.warn(&failed.chain()));
        return Err(unopened.swap_remove(0));
    }
    let ledger = Ledger::open(&plan.ledger)?;
    let mut keeper = Keeper {
        ledger,
        drills: Drills::default(),
        drills_known: DrillsKnown::Unknown,
        publisher: plan.publisher.clone(),
        lost: Lost::new(),
        failures: Vec::new(),
        run,
    };
    unopened.into_iter().for_each(|failed| keeper.fail_all(failed));
    match Drills::read(plan.drill_records.as_deref(), &console) {
        Ok(drills) => {
            keeper.drills = drills;
            if plan.drill_records.is_some() {
                keeper.drills_known = DrillsKnown::Read;
            }
        }
        Err(error) => keeper.fail_all(error.into()),
    }
    for (what, why) in keeper.drills.unused(keeper.ledger.state(), |vault| plan.vaults.contains(vault)) {
        keeper.run.leave_out(what.as_bytes(), why);
    }
    let found = hosts::hosts(&plan, keeper.ledger.state());
    keeper.keep_locked(&plan, found.as_ref().ok().map(|(_, hosts)| hosts.as_slice()));
    keep::end_stale_puts(&plan, &console);
    let rest =
        found.and_then(|found| Ok((found, Staging::open(&plan.staging)?, Signer::open(&plan.ledger)?)));
    let ((history, mut hosts), staging, signer) = match rest {
        Ok(rest) => rest,
        Err(failed) => return keeper.end_with(failed),
    };
    if plan.recipients.is_empty() {
        hosts.clear();
    }
    if !plan.budget.is_unlimited() {
        let coming = ahead(keeper.standing(&plan), &history, &hosts);
        if let Err(failed) = plan.budget.admit("this run", keeper.ledger.state(), &coming, &console) {
            return keeper.end_with(failed);
        }
    }
    prove::before(&mut plan, &mut keeper.failures, &console);
    if plan.targets.is_empty() && !keeper.failures.is_empty() {
        return keeper.end();
    }
    let (made, ices) = (HashSet::new(), Vec::new());
    let mut icing = Icing { plan: &plan, staging, signer, console, keeper, made, ices };
    for host in &hosts {
        icing.keeper.run.report().count("hosts", 1);
        let outcome = history
            .host(host)
            .map_err(|error| ImageError::from(error).into())
            .and_then(|history| icing.host(&history));
        if let Err(failed) = outcome {
            icing.keeper.fail(host, failed);
        }
    }
    icing.end()
}

/// Every certificate is for other hosts only.
#[derive(Debug, thiserror::Error)]
#[error("no certificate in the settings is for the ice of {host}")]
struct NoRecipient {
    host: HostId,
}

impl Failure for NoRecipient {
    fn exit(&self) -> Exit {
        Exit::USAGE
    }

    fn advice(&self) -> Option<String> {
        Some("let [[recipients]] name one without hosts, which is for all others".to_owned())
    }
}

/// A run under way.
struct Icing<'a, 'r> {
    plan: &'a Plan,
    staging: Staging,
    signer: Signer,
    console: Console,
    keeper: Keeper<'r>,
    /// Vaults and snapshots that were served by this run.
    made: HashSet<(String, HostId, String)>,
    ices: Vec<Value>,
}

impl<'a> Icing<'a, '_> {
    fn host(&mut self, history: &HostHistory) -> Result<(), Failed> {
        let host = history.host();
        let place = self.staging.host(host)?;
        self.give_up_redacted(history, &place)?;
        let waiting = self.go_on(&place)?;
        let present = strangers::present(history).map_err(ImageError::from)?;
        // What goes into the image must be there until it is made. What a prune wants of it waits.
        let (log, reading) = log_to_read(history, self.plan.scope).map_err(ImageError::from)?;
        strangers::require_none(&present, &log)?;
        let Some(newest) = log.latest() else {
            self.console.info(&format!("{host}: no snapshot yet"));
            return Ok(());
        };
        let targets = self.lacking(host, newest, log.redacted().line());
        if targets.is_empty() {
            self.keeper.run.report().count("unchanged_hosts", 1);
            self.console.info(&format!("{host}: its newest snapshot is off-site already"));
            return if waiting.is_some() { Ok(()) } else { Ok(place.clear()?) };
        }
        if waiting.is_some_and(|waiting| !waiting.gives_way_to(newest, &targets)) {
            self.console.info(&format!("{host}: the image that waits is kept, and no newer one is made"));
            return Ok(());
        }
        let snapshots = wanted(&log, self.plan.scope);
        let sizes = (self.plan.segment_bytes, self.plan.workers);
        let folders = (&self.staging, &place);
        let (staged, image) =
            build(history, &log, snapshots, sizes, folders, self.plan.again, &self.console)?;
        drop(reading);
        self.keeper.run.report().count("image_bytes", staged.image.bytes);
        self.keeper.run.report().count("manifest_only", staged.left_out);
        self.store(&staged, &image, &place, &targets)?;
        Ok(())
    }

    /// Vaults that have no ice of this snapshot that can stay, made since the newest line that redacts. Where the settings say so, the locks of what
    /// stays are
    /// extended.
    fn lacking(&mut self, host: &HostId, newest: &Snapshot, redact_line: u64) -> Vec<&'a Target> {
        let mut lacking = Vec::new();
        let is_clean = |entry: &&LedgerEntry| entry.record.redact_line >= redact_line;
        for target in &self.plan.targets {
            if self.made.contains(&(target.name.clone(), host.clone(), newest.name.to_string())) {
                continue;
            }
            let held = self.standing().of_newest(target, host, newest).filter(is_clean).cloned();
            if let (Some(entry), Unchanged::Extend, true) =
                (held, self.plan.unchanged, target.vault.can_extend())
            {
                self.keeper.extend(target, &entry);
            }
            // Asked again: what turned out to be lost meanwhile is made anew.
            if self.standing().of_newest(target, host, newest).filter(is_clean).is_none() {
                lacking.push(target);
            }
        }
        lacking
    }

    fn standing(&self) -> Standing<'_> {
        self.keeper.standing(self.plan)
    }

    /// Stores an image in all these vaults. None if nothing is left of it: every vault has it, or none ever can.
    fn store(
        &mut self,
        staged: &StagedImage,
        image: &File,
        place: &HostStaging,
        targets: &[&'a Target],
    ) -> Result<Option<Waiting>, Failed> {
        // Of a second ice that was asked for: it must not lean on the first.
        let again = if place.is_alone()? { Again::Seal } else { self.plan.again };
        if !self.is_affordable(staged, targets, again) {
            let waiting = self.waiting(staged, place, BTreeSet::new())?;
            if !waiting.is_begun {
                // Nothing of it was put: it takes no room from a newer and smaller one.
                place.clear()?;
            }
            return Ok(Some(waiting));
        }
        let mut failed = BTreeSet::new();
        let recipients = self.recipients(&staged.host)?;
        for &target in targets {
            let console = self.console.clone();
            let known = self.known(target, &staged.host, again);
            let job = Job {
                staged,
                image,
                staging: place,
                recipients: &recipients,
                signer: &self.signer,
                target,
                known: &known,
                workers: self.plan.workers,
                monitor: &console,
            };
            let state = self.keeper.ledger.state();
            match job.store(|ice| state.names(&target.name, ice)) {
                Ok(stored) => self.enter(target, stored)?,
                Err(error) => {
                    let is_spoiled = matches!(error, StoreError::ImageChanged);
                    self.keeper.fail(&staged.host, error.into());
                    if is_spoiled {
                        // No run could ever finish it.
                        place.clear()?;
                        return Ok(None);
                    }
                    failed.insert(target.name.clone());
                }
            }
        }
        let waiting = self.waiting(staged, place, failed)?;
        if waiting.is_over() {
            place.clear()?;
            return Ok(None);
        }
        Ok(Some(waiting))
    }

    fn recipients(&self, host: &HostId) -> Result<Vec<Recipient>, Failed> {
        let recipients = Recipient::of_host(&self.plan.recipients, host);
        match recipients.is_empty() {
            true => Err(NoRecipient { host: host.clone() }.into()),
            false => Ok(recipients),
        }
    }

    fn known(&self, target: &Target, host: &HostId, again: Again) -> KnownSegments {
        let recipients = Recipient::of_host(&self.plan.recipients, host);
        match again {
            Again::Seal => KnownSegments::default(),
            Again::Skip => {
                let (ledger, unfit) = (self.keeper.ledger.state(), self.standing().unfit(target, host));
                KnownSegments::of(ledger, &target.name, host, &recipients, &unfit)
            }
        }
    }

    /// What the image costs is asked before any of it is put, in all vaults at once.
    fn is_affordable(&mut self, staged: &StagedImage, targets: &[&'a Target], again: Again) -> bool {
        let addition = |target: &&'a Target| {
            let known = self.known(target, &staged.host, again);
            let lengths = segment_lengths(staged.image.bytes, staged.segment_bytes);
            let new = lengths.zip(&staged.plain).filter(|(bytes, hash)| !known.has(*bytes, **hash));
            Addition {
                vault: &target.name,
                lengths: lengths_of_segments(new.map(|(bytes, _)| bytes)).collect(),
            }
        };
        let additions: Vec<Addition<'_>> = targets.iter().map(addition).collect();
        let image = format!("the image of {}", staged.host);
        match self.plan.budget.admit(&image, self.keeper.ledger.state(), &additions, &self.console) {
            Ok(()) => true,
            Err(failed) => {
                self.keeper.fail(&staged.host, failed);
                false
            }
        }
    }

    /// The ledger line, and what people and machines are told.
    fn enter(&mut self, target: &Target, stored: Stored) -> Result<(), Failed> {
        let Stored { record, retain_until, receipts, put_bytes, timing } = stored;
        let (ice, until) = (record.ice.clone(), utc_text(&retain_until));
        let sealed = record.segments.iter().fold(0, |sum: u64, segment| sum.saturating_add(segment.bytes));
        let size = Amount::Bytes(None).describe(sealed);
        self.ices.push(json!({
            "ice": ice.to_string(),
            "vault": target.name,
            "segments": record.segments.len(),
            "sealed_bytes": sealed,
            "retain_until": until,
            "manifest_only": record.left_out,
            "put_bytes": put_bytes,
            "seconds": timing.whole.as_secs_f64(),
            "sealing_seconds": timing.sealing.as_secs_f64(),
            "putting_seconds": timing.putting.as_secs_f64(),
        }));
        self.keeper.ledger.append(utc_text(&Utc::now()), &target.name, until.clone(), record, receipts)?;
        self.made.insert((target.name.clone(), ice.host().clone(), ice.snapshot().to_owned()));
        let run = &mut *self.keeper.run;
        run.report().count("ices", 1);
        run.report().count("put_bytes", put_bytes);
        run.line(&format!("{ice} is in vault {}: {size}, locked until {until}", target.name));
        Ok(())
    }

    fn end(self) -> Result<Exit, Failed> {
        let Icing { mut keeper, ices, plan, console, .. } = self;
        prove::after(plan, &mut keeper.failures, &console);
        keeper.run.report().detail("ices", ices);
        keeper.end()
    }
}
