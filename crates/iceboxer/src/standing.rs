//! How a host stands in a vault: which ice it has there, whether that can stay, and for how long it is locked.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use formats::HostId;
use formats::records::ice_id::IceId;
use history::Snapshot;
use vault::stamp::parse_utc;

use crate::certificate::Recipient;
use crate::drills::Drills;
use crate::ledger::{LedgerEntry, LedgerState};
use crate::plan::{Again, Plan};
use crate::settings::Unchanged;
use crate::store::Target;

/// The newest ice of a host is locked anew once its lock ends within so many days, and `iceboxer status` warns of it: then the timer has missed
/// more than one of its days, or the host sends nothing new.
pub(crate) const LOCK_DAYS_MIN: i64 = 45;

/// Ice that this run found lost, altered or not to be locked, by vault.
pub(crate) type Lost = HashSet<(String, IceId)>;

/// What is known of the ice that is off-site.
#[derive(Clone, Copy)]
pub(crate) struct Standing<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) ledger: &'a LedgerState,
    pub(crate) drills: &'a Drills,
    pub(crate) lost: &'a Lost,
}

impl<'a> Standing<'a> {
    /// Ice of the newest snapshot that can stay: none is made beside it. None if the host is to be sealed to this vault.
    pub(crate) fn of_newest(
        self,
        target: &Target,
        host: &HostId,
        newest: &Snapshot,
    ) -> Option<&'a LedgerEntry> {
        if self.plan.again == Again::Seal {
            return None;
        }
        let may_stay = self.plan.unchanged == Unchanged::Extend && target.vault.can_extend();
        let unchanged = || may_stay.then(|| self.of_content(target, host, newest)).flatten();
        self.of_snapshot(target, host, newest.name.as_str()).or_else(unchanged)
    }

    /// Ice of this very snapshot that can stay.
    pub(crate) fn of_snapshot(
        self,
        target: &Target,
        host: &HostId,
        snapshot: &str,
    ) -> Option<&'a LedgerEntry> {
        let mut of_host = of_host(self.ledger, &target.name, host);
        of_host.find(|entry| entry.ice.snapshot() == snapshot).filter(|entry| self.can_stay(target, entry))
    }

    /// Segments of the host in the vault, by name, that no new ice may use again: they are suspect, or their locks are too short and cannot be
    /// extended.
    pub(crate) fn unfit(self, target: &Target, host: &HostId) -> HashSet<String> {
        let mut unfit = self.drills.suspects(self.ledger, &target.name, host);
        if !target.vault.can_extend() {
            let until = target.lock_date(now(target));
            let short = of_host(self.ledger, &target.name, host)
                .flat_map(|entry| &entry.objects)
                .filter(|object| parse_utc(&object.retain_until).is_none_or(|locked| locked < until));
            unfit.extend(short.map(|object| object.object.clone()));
        }
        unfit
    }

    /// The host's newest ice in the vault, if it is of the same content, sealed to the same certificates, and nothing speaks against it.
    pub(crate) fn of_content(
        self,
        target: &Target,
        host: &HostId,
        newest: &Snapshot,
    ) -> Option<&'a LedgerEntry> {
        let recipients = Recipient::of_host(&self.plan.recipients, host);
        let is_same = |entry: &&LedgerEntry| {
            entry.record.snapshots.last().is_some_and(|last| last.root == newest.root)
                && recipients.iter().map(Recipient::fingerprint).eq(&entry.record.recipients)
        };
        let last = of_host(self.ledger, &target.name, host).next();
        last.filter(is_same).filter(|entry| self.is_sound(entry))
    }

    fn can_stay(self, target: &Target, entry: &LedgerEntry) -> bool {
        self.is_sound(entry) && (target.vault.can_extend() || is_locked(entry, now(target)))
    }

    fn is_sound(self, entry: &LedgerEntry) -> bool {
        !self.lost.contains(&(entry.vault.clone(), entry.ice.clone()))
            && !self.drills.is_suspect(self.ledger, entry)
    }
}

/// The ices of `host` in `vault`, the newest first.
pub(crate) fn of_host<'l>(
    ledger: &'l LedgerState,
    vault: &str,
    host: &HostId,
) -> impl Iterator<Item = &'l LedgerEntry> {
    ledger.entries().iter().rev().filter(move |entry| entry.vault == vault && entry.ice.host() == host)
}

/// For how many days the ledger says that an ice is still locked; none if it says nothing that can be read.
pub(crate) fn days_locked(entry: &LedgerEntry, now: DateTime<Utc>) -> Option<i64> {
    parse_utc(&entry.retain_until).map(|until| (until - now).num_days())
}

/// True if that is long enough for now.
pub(crate) fn is_locked(entry: &LedgerEntry, now: DateTime<Utc>) -> bool {
    days_locked(entry, now).is_some_and(|days| days >= LOCK_DAYS_MIN)
}

/// By the vault's clock. Where it does not tell, nothing will be put either.
fn now(target: &Target) -> DateTime<Utc> {
    target.vault.clock().unwrap_or_else(|_| Utc::now())
}
