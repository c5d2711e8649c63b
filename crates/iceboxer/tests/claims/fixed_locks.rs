//! Vaults whose locks nobody can make longer: Glacier, where they go by age alone, and a bucket of Google's that only its own policy locks.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use cli::Exit;
use fake_gcs::{Bucket, FakeGcs, Grant, Skew};
use fake_glacier::{FakeGlacier, LockState, deny_delete_below};
use iceboxer::ledger::LedgerState;
use iceboxer::store::Target;
use vault::stamp::utc_text;

use crate::restart::{Moment, dies};
use crate::reuse::stage;
use crate::rig::{Scratch, Spec, everything, meta, noise, output, run};

/// How long the vaults keep what is put there.
const KEPT_DAYS: u32 = 100;

/// With the rights to ask for an inventory: a refusal beside a clock that is apart is tried again for a minute.
const WRITER: [&str; 10] = [
    "glacier:InitiateJob",
    "glacier:ListJobs",
    "glacier:DescribeVault",
    "glacier:GetVaultLock",
    "glacier:UploadArchive",
    "glacier:InitiateMultipartUpload",
    "glacier:UploadMultipartPart",
    "glacier:CompleteMultipartUpload",
    "glacier:ListMultipartUploads",
    "glacier:AbortMultipartUpload",
];

struct Glacier {
    server: FakeGlacier,
    scratch: Scratch,
}

impl Glacier {
    fn new() -> Self {
        let server = FakeGlacier::start().unwrap();
        server.add_vault("ice");
        assert!(server.lock_vault("ice", LockState::Locked, &deny_delete_below(KEPT_DAYS)));
        let scratch = Scratch::new();
        let key = server.add_user("iceboxer", &WRITER);
        let file = scratch.path("credentials.toml");
        let lines = format!("access_key_id = {:?}\nsecret_access_key = {:?}\n", key.access, key.secret);
        fs::write(&file, lines).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        Glacier { server, scratch }
    }

    /// The vault as a run opens it, with the index that the last one left.
    fn target(&self, retention_days: u32) -> Target {
        let mut settings = vault::Settings::new("off-site", "glacier:ice");
        settings.endpoint = Some(self.server.endpoint());
        settings.index = Some(self.scratch.path("index"));
        settings.credentials_file = Some(self.scratch.path("credentials.toml"));
        let vault = vault::open(&settings).unwrap();
        Target { retention_days, ..self.scratch.target_of("off-site", vault) }
    }

    /// The names of all archives, each as often as it was sent.
    fn names(&self) -> Vec<String> {
        let name = |text: &str| text.split(' ').nth(1).unwrap().to_owned();
        self.server.archives("ice").iter().map(|archive| name(&archive.description)).collect()
    }
}

#[test]
fn cut_short_and_gone_on_with_two_weeks_later_nothing_is_sent_twice() {
    let mut points = 0;
    for dies_at in (1..).step_by(2) {
        let glacier = Glacier::new();
        let scratch = &glacier.scratch;
        let recipients = [scratch.recipient("one")];
        let name = scratch.snapshot("web01", &everything());
        let (target, calls) = dies(glacier.target(92), dies_at, Moment::After);
        let first = run(scratch.plan(&recipients, vec![target]));
        if calls.load(Ordering::SeqCst) < dies_at {
            assert!(first.is_ok());
            break;
        }
        points += 1;
        assert_eq!(first.unwrap_err().exit(), Exit::VAULT_UNREACHABLE);
        let sent = glacier.names().len();
        glacier.server.advance(TimeDelta::days(14));
        assert_eq!(run(scratch.plan(&recipients, vec![glacier.target(92)])).unwrap(), Exit::WHOLE);
        let names = glacier.names();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        assert!(names.contains(&format!("ice/web01/{name}/ice.json")), "{dies_at}: {names:?}");
        // The ledger promises what the first of the locks does, and no more.
        let ledger = LedgerState::read(&scratch.path("ledger")).unwrap();
        let [entry] = ledger.entries() else { panic!("one ice") };
        let kept = TimeDelta::days(i64::from(KEPT_DAYS));
        let ends = |archive: fake_glacier::ArchiveInfo| utc_text(&(archive.created + kept));
        let first = glacier.server.archives("ice").into_iter().map(ends).min().unwrap();
        assert!(entry.retain_until <= first, "{} {first}", entry.retain_until);
        assert_eq!(entry.objects.iter().map(|object| &object.retain_until).min(), Some(&entry.retain_until));
        let rest = glacier.server.now() + TimeDelta::days(if sent > 0 { 85 } else { 99 });
        assert!(entry.retain_until >= utc_text(&rest), "{} {sent}", entry.retain_until);
    }
    assert!(points > 4, "{points}");
}

#[test]
fn what_is_locked_for_too_short_is_left_and_sealed_under_another_id() {
    for (days, retention_days) in [(KEPT_DAYS + 1, 92), (14, 120)] {
        let glacier = Glacier::new();
        let scratch = &glacier.scratch;
        let recipients = [scratch.recipient("one")];
        let name = scratch.snapshot("web01", &everything());
        let (target, _) = dies(glacier.target(92), 9, Moment::After);
        run(scratch.plan(&recipients, vec![target])).unwrap_err();
        assert!(!glacier.names().is_empty());
        glacier.server.advance(TimeDelta::days(i64::from(days)));
        let ended = run(scratch.plan(&recipients, vec![glacier.target(retention_days)]));
        if retention_days == 92 {
            assert_eq!(ended.unwrap(), Exit::WHOLE, "the locks have run out, new ones are to be had");
            assert!(glacier.names().contains(&format!("ice/web01/{name}.2/ice.json")));
        } else {
            let failed = ended.unwrap_err();
            assert_eq!(failed.exit(), Exit::LOCK_MISSING, "nothing can be locked there for so long");
            assert!(failed.chain().contains("cannot be locked until"), "{}", failed.chain());
        }
    }
}

/// A bucket that is locked by its own policy, and a writer who can lock nothing.
struct PolicyOnly {
    server: FakeGcs,
    scratch: Scratch,
}

impl PolicyOnly {
    fn new() -> Self {
        let server = FakeGcs::start().unwrap();
        let retention_seconds = Some(i64::from(KEPT_DAYS) * 86_400);
        server.add_bucket("ice", Bucket { retention_seconds, locked: true, ..Bucket::default() });
        let reads = ["storage.objects.get", "storage.objects.list", "storage.buckets.get"];
        let grants = vec![Grant::role("roles/storage.objectCreator"), Grant::permissions(&reads)];
        let key = server.add_account("writer", grants).unwrap();
        server.clock().set_skew(Skew::Ignored);
        let scratch = Scratch::new();
        let file = scratch.path("key.json");
        fs::write(&file, key).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        PolicyOnly { server, scratch }
    }

    fn target(&self) -> Target {
        let mut settings = vault::Settings::new("off-site", "gs:ice");
        settings.endpoint = Some(self.server.endpoint());
        settings.credentials_file = Some(self.scratch.path("key.json"));
        self.scratch.target_of("off-site", vault::open(&settings).unwrap())
    }

    /// Runs the program, and gives back what it tells.
    fn run(&self, fingerprint: &str) -> (Option<i32>, String) {
        let path = |name| self.scratch.path(name);
        let text = format!(
            "history = {:?}\nstaging = {:?}\nledger = {:?}\n[[recipients]]\ncertificate = {:?}\nfingerprint = {fingerprint:?}\n[[vaults]]\nname = \"off-site\"\nurl = \"gs:ice\"\nendpoint = {:?}\ncredentials_file = {:?}\nretention_days = 92\nprove_lock = \"never\"\n",
            path("history"),
            path("staging"),
            path("ledger"),
            path("one.asc"),
            self.server.endpoint(),
            path("key.json"),
        );
        fs::write(path("ice.toml"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_iceboxer"));
        let ran = output(command.arg("run").arg("--config").arg(path("ice.toml")));
        (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
    }
}

#[test]
fn where_only_the_bucket_locks_an_ice_that_was_cut_short_is_completed_too() {
    let bucket = PolicyOnly::new();
    let scratch = &bucket.scratch;
    let recipients = [scratch.recipient("one")];
    let name = scratch.snapshot("web01", &everything());
    let (target, _) = dies(bucket.target(), 5, Moment::After);
    run(scratch.plan(&recipients, vec![target])).unwrap_err();
    let begun = bucket.server.keys("ice");
    assert!(!begun.is_empty());
    bucket.server.advance_days(14);
    assert_eq!(run(scratch.plan(&recipients, vec![bucket.target()])).unwrap(), Exit::WHOLE);
    let keys = bucket.server.keys("ice");
    assert!(begun.iter().all(|key| keys.contains(key)));
    assert!(keys.iter().all(|key| key.starts_with(&format!("ice/web01/{name}/"))), "{keys:?}");
}

#[test]
fn a_segment_whose_lock_cannot_be_made_longer_is_sealed_anew_without_a_word() {
    let bucket = PolicyOnly::new();
    let scratch = &bucket.scratch;
    let fingerprint = scratch.recipient("one").fingerprint().to_string();
    let image = noise(4_096 + 6 * 65_536, 1);
    for advance in [0, 14] {
        bucket.server.advance_days(advance);
        let tree = vec![(&b"a"[..], Spec::Folder, meta(0o755, 0, 1))];
        let name = scratch.snapshot("web01", &tree);
        stage(scratch, &name, &image, 65_536);
        let (code, told) = bucket.run(&fingerprint);
        assert_eq!(code, Some(0), "{told}");
        // So it is with every segment in such a vault, which preflight says once.
        assert!(!told.contains("sealed anew"), "{told}");
        let own = |key: &String| key.starts_with(&format!("ice/web01/{name}/"));
        assert_eq!(bucket.server.keys("ice").into_iter().filter(own).count(), 7 + 2);
    }
}
