//! Credentials that run out: what is there is not told as missing, and what can be read anew is.

use fake_s3::{Fault, Statement, Times};

use super::{Rig, WRITER};
use crate::VaultError;
use crate::conformance::{later, object, put};
use crate::inspection::{Access, Fact};
use crate::{ObjectRef, Vault};

#[test]
fn a_token_that_has_run_out_is_no_missing_object() {
    let rig = Rig::locked();
    let (key, token) = rig.server.add_session("writer", vec![Statement::allow(&WRITER)]);
    let file = rig.folder.path().join("session");
    rig.write_key(&file, &key, Some(&token));
    let vault = rig.vault(&key, |settings| settings.credentials_file = Some(file));
    let lock = put(&vault, "ice/a", b"abc", later(92)).unwrap();
    rig.server.expire_session(&key);
    let refused = |what: &str, result: crate::Result<()>| {
        let error = result.unwrap_err();
        assert!(matches!(error, VaultError::Denied { permission: None, .. }), "{what}: {error:?}");
        assert_eq!(error.exit_code(), 36);
    };
    let objects: [ObjectRef; 2] = [lock.object_ref(), object("ice/a")];
    for object in &objects {
        refused("lock", vault.lock(object).map(drop));
        refused("extend", vault.extend_lock(object, later(100)).map(drop));
        refused("fetch", vault.fetch(object).map(drop));
        refused("thaw", vault.thaw(object, crate::Wish { tier: crate::Tier::Bulk, days: 1 }).map(drop));
    }
    refused("put", put(&vault, "ice/b", b"abc", later(92)).map(drop));
    refused("prove", vault.prove_lock(&lock).map(drop));
    let heads =
        rig.server.requests().iter().filter(|line| (line.1.as_str(), line.3) == ("HeadObject", 400)).count();
    assert!(heads > 0, "a HEAD was answered without a word");
}

#[test]
fn a_version_that_is_gone_is_missing() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let lock = put(&vault, "ice/a", b"abc", later(92)).unwrap();
    let version = lock.version.as_ref().unwrap().to_string();
    let mut bad = lock.object_ref();
    bad.version = "no-version-of-theirs".parse().ok();
    assert!(bad.version.is_some());
    assert!(matches!(vault.lock(&bad).unwrap_err(), VaultError::Missing { .. }));
    assert!(rig.server.remove_by_force("ice", "firn/ice/a", &version));
    assert!(matches!(vault.lock(&lock.object_ref()).unwrap_err(), VaultError::Missing { .. }));
}

#[test]
fn a_busy_store_and_a_token_that_has_run_out_tell_nothing_about_rights() {
    let rig = Rig::locked();
    let (key, token) = rig.server.add_session("writer", vec![Statement::allow(&WRITER)]);
    let file = rig.folder.path().join("session");
    rig.write_key(&file, &key, Some(&token));
    let vault = rig.vault(&key, |settings| settings.credentials_file = Some(file));
    let asked = || vault.wait(vault.store.destructive_rights());
    assert!(asked().iter().all(|(_, fact)| *fact == Fact::Seen(Access::Refused)), "the control");
    rig.server.arm(Fault::SlowDown429, Times::Always);
    assert!(asked().iter().all(|(_, fact)| matches!(fact, Fact::Unanswered { .. })), "{:?}", asked());
    rig.server.disarm(Fault::SlowDown429);
    rig.server.expire_session(&key);
    assert!(asked().iter().all(|(_, fact)| matches!(fact, Fact::Unanswered { .. })), "{:?}", asked());
}

#[test]
fn credentials_with_a_token_are_read_again_when_they_may_have_run_out() {
    use aws_sdk_s3::config::SharedCredentialsProvider;

    use crate::secret::SourceBuf;
    use crate::secret::renewed::Renewed;

    let rig = Rig::locked();
    let session = || rig.server.add_session("writer", vec![Statement::allow(&WRITER)]);
    let file = rig.folder.path().join("session");
    let (key, token) = session();
    rig.write_key(&file, &key, Some(&token));
    let vault = rig.vault(&key, |_| {});
    let source = SourceBuf::File(file.clone());
    let provider =
        SharedCredentialsProvider::new(Renewed { source, life: std::time::Duration::from_secs(1) });
    let mut settings = crate::Settings::new("off-site", "s3:ice");
    settings.endpoint = Some(rig.server.endpoint());
    settings.path_style = true;
    let client = aws_sdk_s3::Client::from_conf(crate::s3::store::config(&settings, provider).build());
    let list =
        || vault.wait(client.list_objects_v2().bucket("ice").send()).map_err(crate::s3::fault::Fault::from);
    list().unwrap();
    rig.server.expire_session(&key);
    assert_eq!(list().unwrap_err().code, "ExpiredToken");
    let (key, token) = session();
    rig.write_key(&file, &key, Some(&token));
    list().unwrap();
    // As long as nobody writes what cannot be read.
    std::fs::write(&file, "no credentials").unwrap();
    assert!(list().unwrap_err().seen().contains("credentials"));
}
