//! What every vault must do, whatever it is made of. Each implementation runs the whole list.

use std::io::{self, Read};

use chrono::{DateTime, TimeDelta, Utc};
use formats::ContentHash;

use crate::{
    Content, Inspection, Lock, ObjectFolder, ObjectName, ObjectRef, Result, Thawed, Tier, Vault, VaultError,
    VersionId, Wish,
};

type Rule = (&'static str, fn(&dyn Vault));

/// Runs every rule against a fresh vault each.
pub(crate) fn conforms<V: Vault, G>(fresh: impl Fn() -> (V, G)) {
    conforms_but("", fresh);
}

/// Runs every rule but the one of this name.
pub(crate) fn conforms_but<V: Vault, G>(left_out: &str, fresh: impl Fn() -> (V, G)) {
    let rules: [Rule; 13] = [
        ("what was put is fetched and locked", what_was_put_is_fetched_and_locked),
        ("a name is taken once", a_name_is_taken_once),
        ("a lock only grows", a_lock_only_grows),
        ("a date that has passed is refused", a_date_that_has_passed_is_refused),
        ("content that is not as announced is not stored", content_that_is_not_as_announced_is_not_stored),
        ("a failed put can be tried again", a_failed_put_can_be_tried_again),
        ("what is absent is missing", what_is_absent_is_missing),
        ("a listing shows a folder's objects once", a_listing_shows_a_folders_objects_once),
        ("large and empty objects are whole", large_and_empty_objects_are_whole),
        ("the clock is near", the_clock_is_near),
        ("a lock names its own version", a_lock_names_its_own_version),
        ("what is not archived is thawed", what_is_not_archived_is_thawed),
        ("being inspected changes nothing", being_inspected_changes_nothing),
    ];
    for (name, rule) in rules.into_iter().filter(|(name, _)| *name != left_out) {
        let (vault, _guard) = fresh();
        println!("rule: {name}");
        rule(&vault);
    }
}

pub(crate) fn name(text: &str) -> ObjectName {
    text.parse().unwrap()
}

pub(crate) fn object(text: &str) -> ObjectRef {
    name(text).into()
}

pub(crate) fn later(days: i64) -> DateTime<Utc> {
    Utc::now() + TimeDelta::days(days)
}

pub(crate) fn put(
    vault: &dyn Vault,
    object: &str,
    bytes: &[u8],
    retain_until: DateTime<Utc>,
) -> Result<Lock> {
    let mut reader = bytes;
    let content = Content { bytes: bytes.len() as u64, hash: ContentHash::of(bytes), reader: &mut reader };
    vault.put(&name(object), content, retain_until)
}

pub(crate) fn fetched(vault: &dyn Vault, object: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    vault.fetch(&name(object).into()).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

pub(crate) fn listed(vault: &dyn Vault, folder: &str) -> Vec<String> {
    let folder: ObjectFolder = folder.parse().unwrap();
    let mut names: Vec<String> = vault.list(&folder).unwrap().map(|name| name.unwrap().to_string()).collect();
    names.sort();
    names
}

fn what_was_put_is_fetched_and_locked(vault: &dyn Vault) {
    let until = later(92);
    let receipt = put(vault, "ice/web01/a", b"abc", until).unwrap();
    assert!(receipt.retain_until >= until, "{receipt:?}");
    assert!(receipt.retain_until <= until + TimeDelta::seconds(1), "{receipt:?}");
    assert_eq!((receipt.bytes, receipt.hash), (3, ContentHash::of(b"abc")));
    let lock = vault.lock(&object("ice/web01/a")).unwrap();
    assert_eq!(lock.retain_until, receipt.retain_until);
    assert_eq!(lock.hash, receipt.hash);
    assert_eq!(fetched(vault, "ice/web01/a"), b"abc");
}

fn a_name_is_taken_once(vault: &dyn Vault) {
    put(vault, "a", b"first", later(92)).unwrap();
    for bytes in [&b"first"[..], b"second"] {
        let error = put(vault, "a", bytes, later(93)).unwrap_err();
        assert!(matches!(error, VaultError::Exists { .. }), "{error}");
        assert_eq!(error.exit_code(), 32);
    }
    assert_eq!(fetched(vault, "a"), b"first");
    assert!(vault.lock(&object("a")).unwrap().retain_until < later(93) - TimeDelta::hours(1));
}

fn a_lock_only_grows(vault: &dyn Vault) {
    let first = put(vault, "a", b"abc", later(92)).unwrap();
    let longer = vault.extend_lock(&object("a"), later(100)).unwrap();
    assert!(longer.retain_until > first.retain_until);
    assert_eq!(
        vault.extend_lock(&object("a"), longer.retain_until).unwrap().retain_until,
        longer.retain_until
    );
    for earlier in [later(99), later(92), later(-1), DateTime::UNIX_EPOCH] {
        let error = vault.extend_lock(&object("a"), earlier).unwrap_err();
        assert!(matches!(error, VaultError::LockRefused { .. }), "{error}");
        assert_eq!(error.exit_code(), 32);
    }
    assert_eq!(vault.lock(&object("a")).unwrap().retain_until, longer.retain_until);
    assert_eq!(fetched(vault, "a"), b"abc");
}

fn a_date_that_has_passed_is_refused(vault: &dyn Vault) {
    let error = put(vault, "a", b"abc", later(-1)).unwrap_err();
    assert!(matches!(error, VaultError::LockRefused { .. }), "{error}");
    assert!(listed(vault, "").is_empty());
}

const WISH: Wish = Wish { tier: Tier::Standard, days: 1 };

/// Gives its bytes, then fails.
struct Torn<'a>(&'a [u8]);

impl Read for Torn<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("torn")),
            read => Ok(read),
        }
    }
}

fn content_that_is_not_as_announced_is_not_stored(vault: &dyn Vault) {
    let object = name("ice/a");
    let hash = ContentHash::of(b"abc");
    let mut readers: [(u64, ContentHash, Box<dyn Read>); 4] = [
        (4, hash, Box::new(&b"abc"[..])),
        (2, hash, Box::new(&b"abc"[..])),
        (3, ContentHash::of(b"abd"), Box::new(&b"abc"[..])),
        (3, hash, Box::new(Torn(b"abc"))),
    ];
    for (bytes, hash, reader) in &mut readers {
        let content = Content { bytes: *bytes, hash: *hash, reader };
        let error = vault.put(&object, content, later(92)).unwrap_err();
        assert!(matches!(error, VaultError::Content { .. }), "{error}");
        assert_eq!(error.exit_code(), 28);
        assert!(listed(vault, "").is_empty());
        assert!(matches!(vault.lock(&(&object).into()).unwrap_err(), VaultError::Missing { .. }));
    }
}

fn a_failed_put_can_be_tried_again(vault: &dyn Vault) {
    let hash = ContentHash::of(b"abc");
    let content = Content { bytes: 3, hash, reader: &mut Torn(b"ab") };
    assert!(vault.put(&name("ice/a"), content, later(200)).is_err());
    let receipt = put(vault, "ice/a", b"abc", later(92)).unwrap();
    assert!(receipt.retain_until < later(93), "the lock of the failed put is gone");
    assert_eq!(fetched(vault, "ice/a"), b"abc");
}

fn what_is_absent_is_missing(vault: &dyn Vault) {
    put(vault, "ice/a", b"abc", later(92)).unwrap();
    for absent in ["b", "ice", "ice/b", "ice/a/b", "other/ice/a"] {
        let object = object(absent);
        let errors = [
            vault.fetch(&object).err().unwrap(),
            vault.thaw(&object, WISH).unwrap_err(),
            vault.lock(&object).unwrap_err(),
            vault.extend_lock(&object, later(92)).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, VaultError::Missing { .. }), "{absent}: {error:?}");
            assert_eq!(error.exit_code(), 31);
        }
    }
}

fn a_listing_shows_a_folders_objects_once(vault: &dyn Vault) {
    assert!(listed(vault, "").is_empty());
    let all = [
        "ice/web01/s/0000.pgp",
        "ice/web01/s/ice.json",
        "ice/web01.x/s/0000.pgp",
        "ice/web02/s/ice.json",
        "top",
    ];
    for object in all {
        put(vault, object, object.as_bytes(), later(92)).unwrap();
    }
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    assert_eq!(listed(vault, ""), sorted);
    assert_eq!(listed(vault, "ice/web01/"), ["ice/web01/s/0000.pgp", "ice/web01/s/ice.json"]);
    assert!(listed(vault, "ice/web/").is_empty());
    assert!(listed(vault, "absent/").is_empty());
}

fn large_and_empty_objects_are_whole(vault: &dyn Vault) {
    let large: Vec<u8> = (0..3_000_001u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    put(vault, "large", &large, later(92)).unwrap();
    put(vault, "empty", b"", later(92)).unwrap();
    assert!(fetched(vault, "large") == large);
    assert!(fetched(vault, "empty").is_empty());
    assert_eq!(vault.lock(&object("empty")).unwrap().bytes, 0);
}

fn the_clock_is_near(vault: &dyn Vault) {
    // Every vault of these tests is given this machine's time.
    assert!((vault.clock().unwrap() - Utc::now()).abs() < TimeDelta::minutes(1));
}

fn a_lock_names_its_own_version(vault: &dyn Vault) {
    let receipt = put(vault, "ice/a", b"abc", later(92)).unwrap();
    let own = receipt.object_ref();
    assert_eq!(vault.lock(&own).unwrap(), receipt);
    assert_eq!(vault.lock(&object("ice/a")).unwrap(), receipt, "the first version is this one");
    let mut bytes = Vec::new();
    vault.fetch(&own).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"abc");
    assert_eq!(vault.extend_lock(&own, later(95)).unwrap().version, receipt.version);
    let version: VersionId = "0000000000000000never-given".parse().unwrap();
    let other = ObjectRef { name: own.name, version: Some(version) };
    for error in [
        vault.lock(&other).unwrap_err(),
        vault.fetch(&other).err().unwrap(),
        vault.extend_lock(&other, later(99)).unwrap_err(),
    ] {
        assert!(matches!(error, VaultError::Missing { .. }), "{error:?}");
    }
}

fn what_is_not_archived_is_thawed(vault: &dyn Vault) {
    put(vault, "ice/a", b"abc", later(92)).unwrap();
    assert_eq!(vault.thaw(&object("ice/a"), WISH).unwrap(), Thawed::Ready { until: None });
}

fn being_inspected_changes_nothing(vault: &dyn Vault) {
    let before = put(vault, "ice/a", b"abc", later(92)).unwrap();
    let inspection = vault.inspect();
    assert!(!matches!(inspection, Inspection::Unusable(_)), "{inspection:?}");
    assert_eq!(listed(vault, ""), ["ice/a"]);
    assert_eq!(vault.lock(&object("ice/a")).unwrap(), before);
}
