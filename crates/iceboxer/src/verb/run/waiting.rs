//! Images that wait in the staging folder because not every vault has them yet.

use std::collections::BTreeSet;

use chrono::Utc;
use cli::{Failed, Monitor};
use history::{HostHistory, Snapshot};
use vault::stamp::parse_utc;

use super::Icing;
use crate::image::ImageError;
use crate::staging::{HostStaging, StagedImage, StagingError};
use crate::standing::of_host;
use crate::store::Target;

/// While some of an image is in a vault that lacks the rest, nothing newer takes its place for so many days: that vault has the next run of the
/// timer to get it whole. After that it must not keep the other vaults from newer ice.
const WAIT_DAYS: i64 = 20;

/// An image that not every vault has.
pub(super) struct Waiting {
    snapshot: String,
    age_days: Option<i64>,
    /// Some of it is in a vault of the settings that lacks the rest.
    pub(super) is_begun: bool,
    /// The vaults that this run could not bring it to.
    failed: BTreeSet<String>,
}

impl Waiting {
    /// True if every vault has it.
    pub(super) fn is_over(&self) -> bool {
        self.failed.is_empty() && !self.is_begun
    }

    /// True if an image of `newest` for `targets` is made in its place. Not if only vaults want that which cannot even be brought this one.
    pub(super) fn gives_way_to(&self, newest: &Snapshot, targets: &[&Target]) -> bool {
        let is_kept = self.is_begun && self.age_days.is_some_and(|days| (0..WAIT_DAYS).contains(&days));
        let is_wanted = targets.iter().any(|target| !self.failed.contains(&target.name));
        self.snapshot != newest.name.as_str() && is_wanted && !is_kept
    }
}

impl<'a> Icing<'a, '_> {
    /// An image of before the newest redaction has what is gone from the history since: it goes, and another one is made.
    pub(super) fn give_up_redacted(&self, history: &HostHistory, place: &HostStaging) -> Result<(), Failed> {
        let Some((staged, _)) = place.load()? else { return Ok(()) };
        let line = history.log().map_err(ImageError::from)?.redacted().line();
        if staged.redact_line < line {
            let host = &staged.host;
            self.console.info(&format!(
                "{host}: what waits in the staging folder is of before a redaction, and goes"
            ));
            place.clear()?;
        }
        Ok(())
    }

    /// Brings the image that waits to the vaults that lack it. None if none waits any more.
    pub(super) fn go_on(
        &mut self,
        history: &HostHistory,
        place: &HostStaging,
    ) -> Result<Option<Waiting>, Failed> {
        let Some((staged, image)) = place.load()? else { return Ok(None) };
        self.console
            .info(&format!("{}: going on with the image that waits in the staging folder", staged.host));
        let targets = self.unfinished(&staged, place)?;
        self.store(history, (&staged, &image), place, &targets)
    }

    /// What is left to wait for, once the image was brought to all vaults but `failed`.
    pub(super) fn waiting(
        &self,
        staged: &StagedImage,
        place: &HostStaging,
        failed: BTreeSet<String>,
    ) -> Result<Waiting, Failed> {
        let mut is_begun = false;
        for vault in &self.plan.vaults {
            is_begun |= self.is_begun(vault, place)?;
        }
        let age_days = parse_utc(&staged.created).map(|created| (Utc::now() - created).num_days());
        Ok(Waiting { snapshot: newest_of(staged).to_owned(), age_days, is_begun, failed })
    }

    /// Vaults that an image from an earlier run was meant for and has not reached.
    fn unfinished(&self, staged: &StagedImage, place: &HostStaging) -> Result<Vec<&'a Target>, Failed> {
        let mut open = Vec::new();
        let is_alone = place.is_alone()?;
        for target in &self.plan.targets {
            let has = match is_alone {
                true => of_host(self.keeper.ledger.state(), &target.name, &staged.host)
                    .any(|entry| entry.record.image.hash == staged.image.hash),
                // Ice of before a redaction is not this one.
                false => self
                    .standing()
                    .of_snapshot(target, &staged.host, newest_of(staged))
                    .is_some_and(|entry| entry.record.redact_line >= staged.redact_line),
            };
            if !has || self.is_begun(&target.name, place)? {
                open.push(target);
            }
        }
        Ok(open)
    }

    fn is_begun(&self, vault: &str, place: &HostStaging) -> Result<bool, StagingError> {
        let progress = place.progress(vault)?;
        Ok(progress.is_some_and(|progress| !self.keeper.ledger.state().names(vault, &progress.ice)))
    }
}

fn newest_of(staged: &StagedImage) -> &str {
    staged.snapshots.last().map_or("", |newest| newest.name.as_str())
}
