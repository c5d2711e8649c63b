//! A `glacier:` vault on a server that enforces what AWS does, with credentials that may do what iceboxer's may and no more.

mod contract;
mod faults;
mod jobs;
mod probes;

use std::cell::Cell;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use chrono::TimeDelta;
use fake_glacier::{FakeGlacier, Key, LockState, deny_delete_below};
use formats::ContentHash;

use super::GlacierVault;
use crate::conformance::{later, listed, name, object, put};
use crate::{Content, Inspection, Lock, ObjectRef, Probe, Settings, Thawed, Tier, Vault, VaultError, Wish};

/// What iceboxer's credentials may do.
const WRITER: [&str; 8] = [
    "glacier:DescribeVault",
    "glacier:GetVaultLock",
    "glacier:UploadArchive",
    "glacier:InitiateMultipartUpload",
    "glacier:UploadMultipartPart",
    "glacier:CompleteMultipartUpload",
    "glacier:ListMultipartUploads",
    "glacier:AbortMultipartUpload",
];
/// And restore-drill's.
const READER: [&str; 5] = [
    "glacier:DescribeVault",
    "glacier:GetVaultLock",
    "glacier:InitiateJob",
    "glacier:ListJobs",
    "glacier:GetJobOutput",
];
const MIB: usize = 1 << 20;
const STANDARD: Wish = Wish { tier: Tier::Standard, days: 1 };

/// A server, and the credentials and indexes of vaults on it.
struct Rig {
    server: FakeGlacier,
    folder: tempfile::TempDir,
    machines: Cell<u32>,
}

impl Rig {
    /// The vault's lock keeps archives for so many days.
    fn keeping(days: u32) -> Rig {
        let rig = Rig::unlocked();
        assert!(rig.server.lock_vault("ice", LockState::Locked, &deny_delete_below(days)));
        rig
    }

    fn unlocked() -> Rig {
        let server = FakeGlacier::start().unwrap();
        server.add_vault("ice");
        Rig { server, folder: tempfile::tempdir().unwrap(), machines: Cell::new(0) }
    }

    fn writer(&self) -> GlacierVault {
        self.vault(&self.server.add_user("writer", &WRITER), |_| {})
    }

    fn reader(&self) -> GlacierVault {
        self.vault(&self.server.add_user("drill", &READER), |_| {})
    }

    fn both(&self) -> GlacierVault {
        self.vault(&self.server.add_user("both", &[&WRITER[..], &READER[..]].concat()), |_| {})
    }

    /// On a machine of its own, which knows nothing yet.
    fn vault(&self, key: &Key, change: impl FnOnce(&mut Settings)) -> GlacierVault {
        self.machines.set(self.machines.get() + 1);
        let file = self.folder.path().join(&key.access);
        let lines = format!("access_key_id = \"{}\"\nsecret_access_key = \"{}\"\n", key.access, key.secret);
        std::fs::write(&file, lines).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut settings = Settings::new("off-site", "glacier:ice");
        settings.endpoint = Some(self.server.endpoint());
        settings.part_bytes = MIB as u64;
        settings.archive_from_bytes = 64 * 1024;
        settings.index = Some(self.folder.path().join(format!("machine-{}", self.machines.get())));
        settings.credentials_file = Some(file);
        change(&mut settings);
        GlacierVault::open(&settings, "ice").unwrap()
    }

    fn hours(&self, hours: i64) {
        self.server.advance(TimeDelta::hours(hours));
    }

    /// All bytes of an object, after its thaw.
    fn thawed(&self, vault: &GlacierVault, object: &ObjectRef) -> Vec<u8> {
        if let Thawed::Underway { .. } = vault.thaw(object, STANDARD).unwrap() {
            self.hours(5);
        }
        let mut bytes = Vec::new();
        vault.fetch(object).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }
}

/// Bytes that do not repeat.
fn large(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn a_lock_is_the_age_that_the_vault_lock_names_and_never_another() {
    let rig = Rig::keeping(100);
    let vault = rig.writer();
    let lock = put(&vault, "ice/a", b"abc", later(92)).unwrap();
    assert_eq!(lock.retain_until, lock.stored + TimeDelta::days(100));
    let [archive] = &rig.server.archives("ice")[..] else { panic!("one archive") };
    assert!(lock.stored <= archive.created, "never counted from later than the provider does");
    assert!(archive.created - lock.stored < TimeDelta::minutes(1));
    assert_eq!(vault.extend_lock(&object("ice/a"), lock.retain_until).unwrap(), lock);
    let longer = vault.extend_lock(&object("ice/a"), later(200)).unwrap_err();
    assert!(
        matches!(longer, VaultError::LockRefused { .. }) && longer.to_string().contains("put it again"),
        "{longer}"
    );
    for earlier in [later(99), later(-1)] {
        assert!(matches!(vault.extend_lock(&object("ice/a"), earlier), Err(VaultError::LockRefused { .. })));
    }
    let asked = put(&vault, "ice/b", b"abc", later(101)).unwrap_err();
    assert!(matches!(asked, VaultError::LockRefused { .. }), "{asked}");
    assert_eq!(rig.server.archives("ice").len(), 1, "what cannot be locked is not sent");
    // It runs out without having been lost.
    rig.hours(24 * 101);
    assert_eq!(vault.lock(&object("ice/a")).unwrap(), lock);
}

#[test]
fn a_vault_whose_lock_promises_nothing_gets_nothing() {
    for (state, policy) in [
        (None, String::new()),
        (Some(LockState::InProgress), deny_delete_below(100)),
        (Some(LockState::Locked), deny_delete_below(100).replace("NumericLessThan", "NumericGreaterThan")),
        (Some(LockState::Locked), deny_delete_below(100).replace("Deny", "Allow")),
        (Some(LockState::Locked), deny_delete_below(100).replace("DeleteArchive", "DeleteVault")),
        (
            Some(LockState::Locked),
            deny_delete_below(100).replace(r#"{"AWS":"*"}"#, r#""arn:aws:iam::1:user/writer""#),
        ),
    ] {
        let rig = Rig::keeping(100);
        let vault = rig.writer();
        put(&vault, "ice/before", b"abc", later(92)).unwrap();
        let locked = match state {
            Some(state) => rig.server.lock_vault("ice", state, &policy),
            None => rig.server.unlock_vault("ice"),
        };
        assert!(locked, "{policy}");
        let error = put(&vault, "ice/a", b"abc", later(92)).unwrap_err();
        assert!(matches!(error, VaultError::LockRefused { .. }), "{policy}: {error}");
        assert_eq!(rig.server.archives("ice").len(), 1);
        let error = vault.lock(&object("ice/before")).unwrap_err();
        assert!(matches!(error, VaultError::LockMissing { .. }), "{policy}: {error}");
        assert_eq!(error.exit_code(), 32);
    }
}

#[test]
fn nothing_empty_is_sent() {
    let rig = Rig::keeping(100);
    let error = put(&rig.writer(), "ice/a", b"", later(92)).unwrap_err();
    assert!(matches!(error, VaultError::Content { .. }), "{error}");
    assert!(rig.server.archives("ice").is_empty());
}

#[test]
fn a_large_object_goes_in_parts_and_is_whole() {
    let rig = Rig::keeping(93);
    let vault = rig.both();
    let bytes = large(5 * MIB + 17);
    let lock = put(&vault, "ice/web01/s/0000.pgp", &bytes, later(92)).unwrap();
    let sent = rig.server.requests().iter().filter(|line| line.0 == "UploadMultipartPart").count();
    assert_eq!((sent, rig.server.uploads("ice").len()), (6, 0));
    let [archive] = &rig.server.archives("ice")[..] else { panic!("one archive") };
    assert_eq!(Some(archive.id.as_str()), lock.version.as_ref().map(crate::VersionId::as_str));
    let hash = ContentHash::of(&bytes);
    assert!(archive.description.starts_with(&format!("firn/1 ice/web01/s/0000.pgp {} {hash} ", bytes.len())));
    assert!(rig.thawed(&vault, &lock.object_ref()) == bytes);
}

#[test]
fn parts_of_content_that_is_not_as_announced_leave_nothing() {
    let rig = Rig::keeping(93);
    let vault = rig.writer();
    let bytes = large(3 * MIB);
    let (hash, other, length) = (ContentHash::of(&bytes), ContentHash::of(b"other"), bytes.len() as u64);
    for (announced, hash) in [(length, other), (length + 1, hash), (length - 1, hash)] {
        let content = Content { bytes: announced, hash, reader: &mut bytes.as_slice() };
        let error = vault.put(&name("ice/a"), content, later(92)).unwrap_err();
        assert!(matches!(error, VaultError::Content { .. }), "{error}");
        assert!(rig.server.uploads("ice").is_empty() && rig.server.archives("ice").is_empty());
    }
}

#[test]
fn old_uploads_of_ours_are_ended_and_nobody_elses() {
    let rig = Rig::keeping(93);
    let vault = rig.writer();
    let begin = |description: &str| {
        let call = vault.store.client.initiate_multipart_upload().account_id("-").vault_name("ice");
        vault.wait(call.archive_description(description).part_size("1048576").send()).unwrap();
    };
    let ours = |name: &str| format!("firn/1 {name} 3 {} 00ff", ContentHash::of(b"abc"));
    begin(&ours("ice/old"));
    begin("holiday pictures");
    let before = || vault.clock().unwrap() - TimeDelta::days(7);
    assert_eq!(vault.end_stale_puts(before()).unwrap(), 0);
    rig.hours(24 * 8);
    begin(&ours("ice/new"));
    assert_eq!(vault.end_stale_puts(before()).unwrap(), 1);
    let mut left = rig.server.uploads("ice");
    left.sort();
    assert_eq!(left, [ours("ice/new"), "holiday pictures".to_owned()]);
    put(&vault, "ice/new", &large(2 * MIB), later(92)).unwrap();
    assert_eq!(rig.server.uploads("ice"), ["holiday pictures"], "one of this very name is dead");
}

#[test]
fn what_is_denied_names_the_right_that_is_missing() {
    let rig = Rig::keeping(93);
    put(&rig.writer(), "ice/a", b"abc", later(92)).unwrap();
    let without = |right: &str| {
        let rights: Vec<&str> = WRITER.iter().copied().filter(|known| *known != right).collect();
        let vault = rig.vault(&rig.server.add_user("less", &rights), |_| {});
        put(&vault, "ice/b", &large(2 * MIB), later(92)).unwrap_err()
    };
    for right in [
        "glacier:DescribeVault",
        "glacier:GetVaultLock",
        "glacier:ListMultipartUploads",
        "glacier:InitiateMultipartUpload",
    ] {
        let error = without(right);
        let VaultError::Denied { permission: Some(named), .. } = &error else { panic!("{right}: {error:?}") };
        assert!(named.contains(right.strip_prefix("glacier:").unwrap()), "{right}: {named}");
        assert_eq!(error.exit_code(), 36);
    }
}

#[test]
fn a_vault_tells_its_lock_and_when_it_was_counted() {
    use crate::inspection::{AgeLock, Fact};
    let rig = Rig::keeping(93);
    let Inspection::Archives(found) = rig.writer().inspect() else { panic!("archives") };
    assert_eq!((found.lock, found.counted), (Fact::Seen(AgeLock::Keeps { days: 93 }), Fact::Seen(None)));
    assert!(found.clock_ahead.unwrap().abs() < TimeDelta::minutes(1));
    let blind = rig.vault(&rig.server.add_user("blind", &[]), |_| {});
    let Inspection::Archives(found) = blind.inspect() else { panic!("archives") };
    assert_eq!(found.lock, Fact::Hidden { permission: "glacier:GetVaultLock" });
    rig.server.lock_vault("ice", LockState::InProgress, &deny_delete_below(93));
    let Inspection::Archives(found) = rig.writer().inspect() else { panic!("archives") };
    assert!(matches!(found.lock, Fact::Seen(AgeLock::Absent { .. })));
    let bad = rig.vault(&Key { access: "AKIANOBODY".into(), secret: "x".into() }, |_| {});
    assert!(matches!(bad.inspect(), Inspection::Unusable(_)));
}
