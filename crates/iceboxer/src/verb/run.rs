//! `iceboxer run`: every host's newest snapshot into every vault.

mod keep;

use std::collections::HashSet;
use std::fs::File;

use chrono::Utc;
use cli::{Amount, Console, Exit, Failed, Failure, Monitor, Run};
use formats::HostId;
use formats::records::ice::segment_lengths;
use history::{History, HostHistory};
use serde_json::{Value, json};
use vault::stamp::utc_text;

use crate::build::{build, wanted};
use crate::certificate::Recipient;
use crate::cost::ahead::ahead;
use crate::cost::budget::Addition;
use crate::cost::stock::lengths_of_segments;
use crate::drills::Drills;
use crate::image::ImageError;
use crate::ledger::Ledger;
use crate::plan::{Again, Plan};
use crate::prove;
use crate::settings::{Scope, Unchanged};
use crate::signer::Signer;
use crate::staging::{HostStaging, StagedImage, Staging};
use crate::store::{Job, KnownSegments, Stored, Target};
use crate::strangers;

/// Does what the plan says. One host's or one vault's failure does not stop the others.
///
/// # Errors
/// The first failure, after all that could be done is done.
pub fn run(mut plan: Plan, run: &mut Run) -> Result<Exit, Failed> {
    let mut failures = std::mem::take(&mut plan.unopened);
    // Then nothing can be sealed, as on a machine whose clock is years off. Locks are kept all the same, where there are any.
    if plan.recipients.is_empty() && !failures.is_empty() && !plan.ledger.is_dir() {
        return Err(failures.swap_remove(0));
    }
    let staging = Staging::open(&plan.staging)?;
    let mut ledger = Ledger::open(&plan.ledger)?;
    let history = History::open(&plan.history).map_err(ImageError::from)?;
    let hosts = match plan.hosts.is_empty() {
        _ if plan.recipients.is_empty() => Vec::new(),
        true => history.hosts().map_err(ImageError::from)?,
        false => plan.hosts.clone(),
    };
    let signer = Signer::open(&plan.ledger)?;
    let console = run.console();
    let drills = Drills::read(plan.drill_records.as_deref(), &console)?;
    keep::end_stale_puts(&plan, &console);
    failures.extend(keep::keep_proved(&plan, &mut ledger, &drills, run));
    if !plan.budget.is_unlimited() {
        let coming = ahead(&plan, &history, &hosts, ledger.state());
        plan.budget.admit("this run", ledger.state(), &coming, &console)?;
    }
    prove::before(&mut plan, &mut failures, &console);
    if plan.targets.is_empty() && !failures.is_empty() {
        return Err(failures.swap_remove(0));
    }
    let mut icing = Icing {
        plan: &plan,
        staging,
        ledger,
        signer,
        drills,
        console,
        failures,
        made: HashSet::new(),
        ices: Vec::new(),
        run,
    };
    for host in &hosts {
        icing.run.report().count("hosts", 1);
        let outcome = history
            .host(host)
            .map_err(|error| ImageError::from(error).into())
            .and_then(|history| icing.host(&history));
        if let Err(failed) = outcome {
            icing.fail(&host.to_string(), failed);
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
struct Icing<'a> {
    plan: &'a Plan,
    staging: Staging,
    ledger: Ledger,
    signer: Signer,
    drills: Drills,
    console: Console,
    failures: Vec<Failed>,
    /// Vaults and snapshots that were served by this run.
    made: HashSet<(String, HostId, String)>,
    ices: Vec<Value>,
    run: &'a mut Run,
}

impl<'a> Icing<'a> {
    fn host(&mut self, history: &HostHistory) -> Result<(), Failed> {
        let host = history.host();
        let place = self.staging.host(host)?;
        if let Some((staged, image)) = place.load()? {
            self.console.info(&format!("{host}: going on with the image that waits in the staging folder"));
            let targets = self.unfinished(&staged, &place)?;
            if !self.store(&staged, &image, &place, &targets)? {
                return Ok(());
            }
        }
        let present = strangers::present(history).map_err(ImageError::from)?;
        let log = history.log().map_err(ImageError::from)?;
        strangers::require_none(&present, &log)?;
        let Some(newest) = log.latest() else {
            self.console.info(&format!("{host}: no snapshot yet"));
            return Ok(());
        };
        let mut targets = self.open_targets(host, newest.name.as_str());
        if self.plan.unchanged == Unchanged::Extend && self.plan.scope == Scope::Latest {
            targets = self.changed_targets(targets, host, newest)?;
        }
        if targets.is_empty() {
            self.run.report().count("unchanged_hosts", 1);
            self.console.info(&format!("{host}: its newest snapshot is off-site already"));
            return Ok(place.clear()?);
        }
        let snapshots = wanted(&log, self.plan.scope);
        let sizes = (self.plan.segment_bytes, self.plan.workers);
        let (staged, image) = build(history, &log, snapshots, sizes, (&self.staging, &place), &self.console)?;
        self.run.report().count("image_bytes", staged.image.bytes);
        self.run.report().count("manifest_only", staged.left_out);
        self.store(&staged, &image, &place, &targets)?;
        Ok(())
    }

    /// Vaults that do not have this snapshot yet, or should get it again.
    fn open_targets(&self, host: &HostId, snapshot: &str) -> Vec<&'a Target> {
        let open = |target: &&Target| {
            let made = self.made.contains(&(target.name.clone(), host.clone(), snapshot.to_owned()));
            let held = self.ledger.state().holds(&target.name, host, snapshot);
            !made && (!held || self.plan.again == Again::Seal)
        };
        self.plan.targets.iter().filter(open).collect()
    }

    /// Vaults that an image from an earlier run was meant for and has not reached.
    fn unfinished(&self, staged: &StagedImage, place: &HostStaging) -> Result<Vec<&'a Target>, Failed> {
        let snapshot = staged.snapshots.last().map_or("", |newest| newest.name.as_str());
        let mut open = Vec::new();
        for target in &self.plan.targets {
            let begun = place
                .progress(&target.name)?
                .is_some_and(|p| !self.ledger.state().names(&target.name, &p.ice));
            if begun || !self.ledger.state().holds(&target.name, &staged.host, snapshot) {
                open.push(target);
            }
        }
        Ok(open)
    }

    /// Stores an image in all these vaults. True if all have it: then the staging folder is empty again.
    fn store(
        &mut self,
        staged: &StagedImage,
        image: &File,
        place: &HostStaging,
        targets: &[&'a Target],
    ) -> Result<bool, Failed> {
        if !self.is_affordable(staged, targets) {
            // Unless something of it was put, it must not stand in the way of a newer and smaller one.
            let begun = |target: &&Target| place.progress(&target.name).map(|begun| begun.is_some());
            let begun: Result<Vec<bool>, _> =
                self.plan.targets.iter().collect::<Vec<_>>().iter().map(begun).collect();
            if !begun?.contains(&true) {
                place.clear()?;
            }
            return Ok(false);
        }
        let mut whole = true;
        let recipients = self.recipients(&staged.host)?;
        for &target in targets {
            let console = self.console.clone();
            let known = self.known(target, &staged.host);
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
            let state = self.ledger.state();
            match job.store(|ice| state.names(&target.name, ice)) {
                Ok(stored) => self.enter(target, stored)?,
                Err(error) => {
                    whole = false;
                    self.fail(&staged.host.to_string(), error.into());
                }
            }
        }
        if whole {
            place.clear()?;
        }
        Ok(whole)
    }

    fn recipients(&self, host: &HostId) -> Result<Vec<Recipient>, Failed> {
        let recipients = Recipient::of_host(&self.plan.recipients, host);
        match recipients.is_empty() {
            true => Err(NoRecipient { host: host.clone() }.into()),
            false => Ok(recipients),
        }
    }

    fn known(&self, target: &Target, host: &HostId) -> KnownSegments {
        let (ledger, recipients) = (self.ledger.state(), Recipient::of_host(&self.plan.recipients, host));
        let suspects = self.drills.suspects(ledger, &target.name);
        match self.plan.again {
            // A second, independent one: it must not lean on the first.
            Again::Seal => KnownSegments::default(),
            Again::Skip => KnownSegments::of(ledger, &target.name, host, &recipients, &suspects),
        }
    }

    /// What the image costs is asked before any of it is put, in all vaults at once.
    fn is_affordable(&mut self, staged: &StagedImage, targets: &[&'a Target]) -> bool {
        let addition = |target: &&'a Target| {
            let known = self.known(target, &staged.host);
            let lengths = segment_lengths(staged.image.bytes, staged.segment_bytes);
            let new = lengths.zip(&staged.plain).filter(|(bytes, hash)| !known.has(*bytes, **hash));
            Addition {
                vault: &target.name,
                lengths: lengths_of_segments(new.map(|(bytes, _)| bytes)).collect(),
            }
        };
        let additions: Vec<Addition<'_>> = targets.iter().map(addition).collect();
        let host = staged.host.to_string();
        let image = format!("the image of {host}");
        match self.plan.budget.admit(&image, self.ledger.state(), &additions, &self.console) {
            Ok(()) => true,
            Err(failed) => {
                self.fail(&host, failed);
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
        self.ledger.append(utc_text(&Utc::now()), &target.name, until.clone(), record, receipts)?;
        self.made.insert((target.name.clone(), ice.host().clone(), ice.snapshot().to_owned()));
        self.run.report().count("ices", 1);
        self.run.report().count("put_bytes", put_bytes);
        self.run.line(&format!("{ice} is in vault {}: {size}, locked until {until}", target.name));
        Ok(())
    }

    fn fail(&mut self, host: &str, failed: Failed) {
        self.console.warn(&format!("{host}: {}", failed.chain()));
        self.failures.push(failed);
    }

    fn end(self) -> Result<Exit, Failed> {
        let Icing { mut failures, ices, run, plan, console, .. } = self;
        prove::after(plan, &mut failures, &console);
        run.report().detail("ices", ices);
        run.report().count("failures", failures.len() as u64);
        match failures.into_iter().next() {
            Some(first) => Err(first),
            None => Ok(Exit::WHOLE),
        }
    }
}
