//! Facts that no folder and no server of these tests can be brought to, judged.

use iceboxer::preflight::machine::Needs;
use iceboxer::preflight::{Severity, bucket, folder};
use iceboxer::settings::{ProveLock, VaultSettings};
use vault::inspection::{
    Access, Bucket, Encryption, Fact, Folder, LifecycleRule, ObjectLock, Strength, Support, Versioning,
};

use super::world::codes;

#[test]
fn a_folder_is_judged_by_its_own_facts() {
    let good = Folder {
        owner: 990,
        mode: 0o700,
        device: 7,
        inode: 2,
        free_bytes: 1_000,
        writable: Access::Granted,
        immutable: Support::Possible,
    };
    let needs = Needs { image_bytes: 1_000 };
    let found = |folder: &Folder, history, needs| codes(&folder::findings("vault a", folder, history, needs));
    assert!(found(&good, Some(8), needs).is_empty(), "the control");
    let refused = Folder { writable: Access::Refused, ..good.clone() };
    assert_eq!(found(&refused, Some(8), needs), ["folder-not-writable"]);
    let plain = Folder { immutable: Support::Absent, ..good.clone() };
    assert_eq!(found(&plain, Some(8), needs), ["folder-not-immutable"]);
    assert_eq!(found(&Folder { mode: 0o720, ..good.clone() }, Some(8), needs), ["folder-open"]);
    assert_eq!(found(&good, Some(7), needs), ["same-disk"]);
    assert_eq!(found(&good, None, Needs { image_bytes: 1_001 }), ["no-vault-room"]);
}

fn silent<T>() -> Fact<T> {
    Fact::Unanswered { why: "the store answered 501\u{1b}".to_owned() }
}

#[test]
fn a_provider_that_does_not_answer_is_never_taken_for_good() {
    let store = vault::Settings::new("a", "s3:ice");
    let settings = VaultSettings { store, retention_days: 200, prices: None, prove_lock: ProveLock::EachRun };
    let abort = LifecycleRule { aborts_after_days: Some(7), ..LifecycleRule::default() };
    let good = Bucket {
        clock_ahead: None,
        versioning: Fact::Seen(Versioning::Enabled),
        object_lock: Fact::Seen(ObjectLock::Default { strength: Strength::Compliance, days: 200 }),
        locks_move: Fact::Seen(Support::Possible),
        lifecycle: Fact::Seen(vec![abort]),
        encryption: Fact::Seen(Encryption::Provider),
        public_access_open: Fact::Seen(Vec::new()),
        policy_is_public: Fact::Seen(false),
        destructive: Vec::new(),
        needed: Vec::new(),
    };
    assert_eq!(bucket::findings(&settings, &good), [], "the control");
    let rights = vec![("s3:DeleteObject", silent())];
    for (silent, severity) in [
        (Bucket { versioning: silent(), ..good.clone() }, Severity::Warning),
        (Bucket { object_lock: silent(), ..good.clone() }, Severity::Warning),
        (Bucket { locks_move: silent(), ..good.clone() }, Severity::Warning),
        (Bucket { lifecycle: silent(), ..good.clone() }, Severity::Warning),
        (Bucket { encryption: silent(), ..good.clone() }, Severity::Warning),
        (Bucket { destructive: rights.clone(), ..good.clone() }, Severity::Warning),
        (Bucket { needed: rights, ..good.clone() }, Severity::Warning),
        (Bucket { public_access_open: silent(), ..good.clone() }, Severity::Advice),
        (Bucket { policy_is_public: silent(), ..good.clone() }, Severity::Advice),
    ] {
        let found = bucket::findings(&settings, &silent);
        assert_eq!(codes(&found), ["not-answered"], "{silent:?}");
        assert_eq!(found[0].severity, severity);
        assert!(found[0].seen.contains("501\\x1b"), "what a provider says is made safe: {found:?}");
    }
}
