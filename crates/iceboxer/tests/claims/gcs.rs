//! Runs into a `gs:` bucket whose locks cannot be made longer, as `iceboxer setup gcs` offers it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use chrono::DateTime;
use cli::Exit;
use fake_gcs::{Bucket, FakeGcs, Grant, Skew};
use iceboxer::preflight::{Finding, Severity, bucket};
use iceboxer::settings::{ProveLock, VaultSettings};
use vault::Inspection;

use crate::rig::{Scratch, everything, noise, run};

const LOOK: [&str; 3] = ["storage.objects.get", "storage.objects.list", "storage.buckets.get"];
const LOCK: [&str; 2] = ["storage.objects.setRetention", "storage.objects.update"];

struct Gcs {
    server: FakeGcs,
    settings: vault::Settings,
}

impl Gcs {
    /// A bucket that locks everything for so many days, if any, and a writer who creates, looks, and may do what `more` says.
    fn new(scratch: &Scratch, days: i64, object_retention: bool, more: &[&str]) -> Gcs {
        let server = FakeGcs::start().unwrap();
        // In the middle of a month, which has one canary.
        server.clock().set(DateTime::parse_from_rfc3339("2031-03-10T12:00:00Z").unwrap().to_utc());
        server.clock().set_skew(Skew::Ignored);
        let plan = Bucket {
            object_retention,
            retention_seconds: (days > 0).then_some(days * 86_400),
            locked: days > 0,
            ..Bucket::default()
        };
        server.add_bucket("ice", plan);
        let rights = [&LOOK[..], more].concat();
        let grants = vec![Grant::role("roles/storage.objectCreator"), Grant::permissions(&rights)];
        let key = server.add_account("writer", grants).unwrap();
        let file = scratch.path("gcs.json");
        fs::write(&file, key).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let mut settings = vault::Settings::new("off-site", "gs:ice");
        settings.endpoint = Some(server.endpoint());
        settings.credentials_file = Some(file);
        Gcs { server, settings }
    }

    fn ices(&self) -> usize {
        self.server.keys("ice").iter().filter(|key| key.ends_with("ice.json")).count()
    }

    fn preflight(&self) -> Vec<Finding> {
        let Inspection::Bucket(found) = vault::open(&self.settings).unwrap().inspect() else {
            panic!("a bucket")
        };
        let settings = VaultSettings {
            store: self.settings.clone(),
            retention_days: 92,
            prices: None,
            prove_lock: ProveLock::EachRun,
        };
        let found = bucket::findings(&settings, &found).into_iter();
        let of_locks = ["locks-do-not-move", "short-default-retention", "missing-permission"];
        found.filter(|finding| of_locks.contains(&finding.check.code)).collect()
    }
}

#[test]
fn a_bucket_whose_locks_cannot_be_made_longer_gets_new_ice_run_after_run() {
    for (object_retention, more) in [(false, &LOCK[..]), (true, &[]), (false, &[])] {
        let scratch = Scratch::new();
        let recipients = [scratch.recipient("one")];
        let gcs = Gcs::new(&scratch, 94, object_retention, more);
        for number in 1..=2 {
            let mut tree = everything();
            tree[1].1 = crate::rig::Spec::File(noise(1_000, number));
            scratch.snapshot("web01", &tree);
            let target = scratch.target_of("off-site", vault::open(&gcs.settings).unwrap());
            let mut plan = scratch.plan(&recipients, vec![target]);
            plan.proved = ["off-site".to_owned()].into();
            let ended = run(plan);
            assert!(matches!(ended, Ok(Exit::WHOLE)), "run {number}: {}", ended.unwrap_err().chain());
            assert_eq!(gcs.ices(), usize::try_from(number).unwrap());
            gcs.server.clock().advance(Duration::from_secs(14 * 86_400));
        }
    }
}

#[test]
fn a_bucket_that_locks_for_a_year_is_proved_and_gets_ice() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let gcs = Gcs::new(&scratch, 365, true, &LOCK);
    scratch.snapshot("web01", &everything());
    let target = scratch.target_of("off-site", vault::open(&gcs.settings).unwrap());
    let mut plan = scratch.plan(&recipients, vec![target]);
    plan.proved = ["off-site".to_owned()].into();
    assert_eq!(run(plan).map_err(|failed| failed.chain()).unwrap(), Exit::WHOLE);
    assert_eq!(gcs.ices(), 1);
}

#[test]
fn that_locks_do_not_move_there_is_told_beforehand() {
    let scratch = Scratch::new();
    for (days, object_retention, more, expected) in [
        (94, true, &LOCK[..], &[][..]),
        (94, false, &LOCK[..], &[("locks-do-not-move", Severity::Warning)]),
        (94, true, &[], &[("locks-do-not-move", Severity::Warning)]),
        (
            93,
            true,
            &[],
            &[("locks-do-not-move", Severity::Warning), ("short-default-retention", Severity::Failure)],
        ),
        (92, true, &LOCK, &[]),
        (
            0,
            true,
            &[],
            &[("locks-do-not-move", Severity::Warning), ("missing-permission", Severity::Failure)],
        ),
    ] {
        let gcs = Gcs::new(&scratch, days, object_retention, more);
        let found = gcs.preflight();
        let found: Vec<_> = found.iter().map(|finding| (finding.check.code, finding.severity)).collect();
        assert_eq!(found, expected, "{days} {object_retention} {more:?}");
        fs::remove_file(gcs.settings.credentials_file.unwrap()).unwrap();
    }
}
