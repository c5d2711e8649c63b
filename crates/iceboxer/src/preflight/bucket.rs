//! What a bucket tells about itself, judged.

use chrono::TimeDelta;
use cli::shown;
use vault::inspection::{
    Access, Bucket, Encryption, Fact, LifecycleRule, ObjectLock, Obstacle, ObstacleKind, Strength, Support,
    Versioning, When,
};

use super::archives::DAYS_MORE;
use super::checks::{
    BAD_CREDENTIALS, CAN_DELETE, CLOCK_SKEW, CLOCK_WRONG, CUSTOMER_KEY, Check, GOVERNANCE_MODE,
    LIFECYCLE_EXPIRES, LIFECYCLE_EXPIRES_VERSIONS, LIFECYCLE_TRANSITIONS, LOCKS_DO_NOT_MOVE,
    MISSING_PERMISSION, NO_ABORT_RULE, NO_BUCKET, NO_DEFAULT_RETENTION, NO_OBJECT_LOCK, NO_VERSIONING,
    NOT_ANSWERED, NOT_VISIBLE, OTHER_REGION, PUBLIC_ACCESS, PUBLIC_POLICY, SHORT_DEFAULT_RETENTION, Severity,
    UNREACHABLE, VERSIONING_SUSPENDED,
};
use super::finding::Finding;
use super::vaults::on;
use crate::settings::{RETENTION_DAYS_MIN, VaultSettings};

/// So far apart the clocks may be before a person is told.
const SKEW_WARNED: TimeDelta = TimeDelta::minutes(5);
/// So far apart a provider refuses every request.
const SKEW_REFUSED: TimeDelta = TimeDelta::minutes(15);

/// Why nothing could be asked.
#[must_use]
pub fn unusable(on: &str, obstacle: &Obstacle) -> Finding {
    let check = match obstacle.kind {
        ObstacleKind::NoAnswer => UNREACHABLE,
        ObstacleKind::NoBucket => NO_BUCKET,
        ObstacleKind::OtherRegion => OTHER_REGION,
        ObstacleKind::BadCredentials => BAD_CREDENTIALS,
        ObstacleKind::Clock => CLOCK_WRONG,
    };
    Finding::new(check, on, shown(obstacle.seen.as_bytes()))
}

/// What there is to say about a bucket.
#[must_use]
pub fn findings(vault: &VaultSettings, bucket: &Bucket) -> Vec<Finding> {
    let mut judge = Judge { on: on(vault), findings: Vec::new() };
    judge.clock(bucket.clock_ahead);
    if let Some(versioning) = judge.seen(&bucket.versioning, "versions", Severity::Warning) {
        judge.versioning(*versioning);
    }
    let moves = judge.seen(&bucket.locks_move, "whether locks can be made longer", Severity::Warning);
    if let Some(lock) = judge.seen(&bucket.object_lock, "object lock", Severity::Warning) {
        judge.object_lock(*lock, vault.retention_days, moves.copied().unwrap_or(Support::Possible));
    }
    if let Some(rules) = judge.seen(&bucket.lifecycle, "lifecycle", Severity::Warning) {
        judge.lifecycle(rules, vault.retention_days);
    }
    if let Some(Encryption::CustomerKey(key)) =
        judge.seen(&bucket.encryption, "encryption", Severity::Warning)
    {
        judge.found(CUSTOMER_KEY, format!("it encrypts with {}", shown(key.as_bytes())));
    }
    if let Some(open) = judge.seen(&bucket.public_access_open, "public access", Severity::Advice)
        && !open.is_empty()
    {
        judge.found(PUBLIC_ACCESS, format!("not set: {}", open.join(", ")));
    }
    if let Some(true) = judge.seen(&bucket.policy_is_public, "whether the policy is public", Severity::Advice)
    {
        judge.found(PUBLIC_POLICY, "the provider says that the policy is public");
    }
    judge.rights(bucket);
    judge.findings
}

struct Judge {
    on: String,
    findings: Vec<Finding>,
}

impl Judge {
    fn found(&mut self, check: &'static Check, seen: impl Into<String>) {
        self.findings.push(Finding::new(check, &self.on, seen));
    }

    /// A fact, if it could be seen; told as hidden if not. `weight` is that of an answer that a provider does not give.
    fn seen<'f, T>(&mut self, fact: &'f Fact<T>, what: &str, weight: Severity) -> Option<&'f T> {
        match fact {
            Fact::Seen(seen) => return Some(seen),
            Fact::Hidden { permission } => {
                self.found(NOT_VISIBLE, format!("{what}: the credentials lack {permission}"));
            }
            Fact::Unanswered { why } => {
                let seen = format!("{what}: {}", shown(why.as_bytes()));
                self.findings.push(Finding::new(NOT_ANSWERED, &self.on, seen).only(weight));
            }
        }
        None
    }

    fn clock(&mut self, ahead: Option<TimeDelta>) {
        let Some(ahead) = ahead else { return };
        let side = if ahead < TimeDelta::zero() { "behind" } else { "ahead of" };
        let seen =
            format!("the vault's clock is {} seconds {side} this machine's", ahead.abs().num_seconds());
        match ahead.abs() {
            apart if apart >= SKEW_REFUSED => self.found(CLOCK_WRONG, seen),
            apart if apart > SKEW_WARNED => self.found(CLOCK_SKEW, seen),
            _ => {}
        }
    }

    fn versioning(&mut self, versioning: Versioning) {
        match versioning {
            Versioning::Enabled | Versioning::NotNeeded => {}
            Versioning::Suspended => self.found(VERSIONING_SUSPENDED, "versions are suspended"),
            Versioning::Off => self.found(NO_VERSIONING, "the bucket keeps no versions"),
        }
    }

    fn object_lock(&mut self, lock: ObjectLock, retention_days: u32, moves: Support) {
        if moves == Support::Absent && lock != ObjectLock::Absent {
            let seen = "its objects take no locks of their own, or the credentials may not set them";
            self.found(LOCKS_DO_NOT_MOVE, seen);
        }
        let (strength, days) = match lock {
            ObjectLock::Absent => return self.found(NO_OBJECT_LOCK, "the bucket has no object lock"),
            ObjectLock::NoDefault if moves == Support::Absent => {
                let seen = "the bucket locks nothing by itself, and the credentials may not lock objects";
                return self.found(MISSING_PERMISSION, seen);
            }
            ObjectLock::NoDefault => {
                return self.found(NO_DEFAULT_RETENTION, "object lock is on, without a default retention");
            }
            ObjectLock::Default { strength, days } => (strength, days),
        };
        if strength == Strength::Governance {
            self.found(GOVERNANCE_MODE, format!("the default retention is {days} days in governance mode"));
        }
        let wanted = retention_days.max(RETENTION_DAYS_MIN);
        let seen = format!("the default retention is {days} days, and retention_days is {retention_days}");
        if moves == Support::Absent && days < wanted.saturating_add(DAYS_MORE) {
            // Nothing reaches farther there.
            self.found(SHORT_DEFAULT_RETENTION, format!("{seen}; {DAYS_MORE} more are needed"));
        } else if days < wanted {
            let finding = Finding::new(SHORT_DEFAULT_RETENTION, &self.on, seen);
            self.findings.push(match days < RETENTION_DAYS_MIN {
                true => finding,
                false => finding.only(Severity::Warning),
            });
        }
    }

    fn lifecycle(&mut self, rules: &[LifecycleRule], retention_days: u32) {
        for rule in rules {
            let id = shown(rule.id.as_bytes());
            for (check, when) in
                [(LIFECYCLE_EXPIRES, rule.expires), (LIFECYCLE_EXPIRES_VERSIONS, rule.expires_noncurrent)]
            {
                let Some(when) = when else { continue };
                let finding = Finding::new(check, &self.on, format!("rule {id}: {}", at(when)));
                self.findings.push(match when {
                    When::Days(days) if days > retention_days => finding.only(Severity::Warning),
                    _ => finding,
                });
            }
            for (when, class) in &rule.transitions {
                let class = shown(class.as_bytes());
                self.found(LIFECYCLE_TRANSITIONS, format!("rule {id}: {} to {class}", at(*when)));
            }
        }
        if !rules.iter().any(|rule| rule.aborts_after_days.is_some()) {
            self.found(NO_ABORT_RULE, "no rule ends unfinished uploads of all of this vault");
        }
    }

    fn rights(&mut self, bucket: &Bucket) {
        for (permission, fact) in &bucket.destructive {
            if let Some(Access::Granted) = self.seen(fact, permission, Severity::Warning) {
                self.found(CAN_DELETE, format!("the credentials have {permission}"));
            }
        }
        for (permission, fact) in &bucket.needed {
            if let Some(Access::Refused) = self.seen(fact, permission, Severity::Warning) {
                self.found(MISSING_PERMISSION, format!("the credentials lack {permission}"));
            }
        }
    }
}

fn at(when: When) -> String {
    match when {
        When::Days(days) => format!("after {days} days"),
        When::OnDate => "on a date".to_owned(),
    }
}
