//! The same contract on moto's server, which we did not write. It asks for no rights, and enforces half of what AWS does.

use std::cell::Cell;

use aws_sdk_s3::types::ObjectLockMode;
use pipeline_tests::moto::Moto;

use super::{MIB, Rig, large};
use crate::conformance::{conforms_but, later, object, put};
use crate::s3::S3Vault;
use crate::s3::locks::aws_date;
use crate::{Inspection, Settings, StorageClass, Thawed, Tier, Vault, VaultError, Wish};

/// A vault on a new bucket of that server. Its credentials lie with a server of ours, which is not asked.
fn vault(moto: &Moto, rig: &Rig, bucket: &str, change: impl Fn(&mut Settings)) -> S3Vault {
    let key = rig.server.add_admin();
    let at = |path: String| {
        rig.vault_at(&key, &path, |settings| {
            settings.endpoint = Some(moto.endpoint());
            change(settings);
        })
    };
    let vault = at(format!("{bucket}/firn/"));
    vault
        .wait(vault.store.client.create_bucket().bucket(bucket).object_lock_enabled_for_bucket(true).send())
        .unwrap();
    vault
}

#[test]
#[ignore = "long: makes a Python environment"]
fn on_moto_a_vault_keeps_the_contract() {
    let moto = Moto::start().unwrap();
    let made = Cell::new(0);
    // It answers some questions about a bucket with something else: an inspection says that this is no S3, see below.
    let exception = ("being inspected changes nothing", "it answers some questions with something else");
    conforms_but(&[exception], || {
        made.set(made.get() + 1);
        let rig = Rig::locked();
        (vault(&moto, &rig, &format!("ice-{}", made.get()), |_| {}), rig)
    });
    assert!(made.get() >= 12);
    let rig = Rig::locked();
    let inspection = vault(&moto, &rig, "inspected", |_| {}).inspect();
    assert!(matches!(inspection, Inspection::Unusable(_)), "{inspection:?}");
}

#[test]
#[ignore = "long: makes a Python environment"]
fn on_moto_what_it_spoils_in_parts_is_not_taken_for_stored_and_a_taken_name_is_refused() {
    let (moto, rig) = (Moto::start().unwrap(), Rig::locked());
    let vault = vault(&moto, &rig, "ice", |_| {});
    let (until, bytes) = (later(92), large(11 * MIB));
    // The control: what this server makes of a lock that is asked for at the beginning.
    let client = &vault.store.client;
    let call = client.create_multipart_upload().bucket("ice").key("firn/control");
    let call =
        call.object_lock_mode(ObjectLockMode::Compliance).object_lock_retain_until_date(aws_date(until));
    let upload = vault.wait(call.send()).unwrap();
    let id = upload.upload_id().unwrap();
    let part = client.upload_part().bucket("ice").key("firn/control").upload_id(id).part_number(1);
    let part = vault.wait(part.body(b"abc".to_vec().into()).send()).unwrap();
    let part = aws_sdk_s3::types::CompletedPart::builder().part_number(1).set_e_tag(part.e_tag).build();
    let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(part).build();
    let whole = client.complete_multipart_upload().bucket("ice").key("firn/control").upload_id(id);
    vault.wait(whole.multipart_upload(parts).send()).unwrap();
    let head = vault.wait(client.head_object().bucket("ice").key("firn/control").send()).unwrap();
    assert!(head.object_lock_retain_until_date().is_none(), "this server has learned to keep it");

    // It shows four bytes as a CRC-64 of what came in parts: that is no proof that it has what was sent, and the put fails.
    let spoiled = put(&vault, "ice/parts", &bytes, until).unwrap_err();
    assert!(matches!(spoiled, VaultError::Altered { .. }), "{spoiled:?}");
    // In one call it keeps both.
    put(&vault, "ice/a", b"a", until).unwrap();
    let head = vault.wait(client.head_object().bucket("ice").key("firn/ice/a").send()).unwrap();
    assert!(head.object_lock_retain_until_date().unwrap().secs() >= until.timestamp());

    // Whoever does not look first, as the vault does, is refused by the server itself.
    let over =
        client.put_object().bucket("ice").key("firn/ice/a").if_none_match("*").body(b"b".to_vec().into());
    let refused = vault.wait(over.send()).unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 412);
    let taken = put(&vault, "ice/a", b"b", until).unwrap_err();
    assert!(matches!(taken, VaultError::Exists { .. }), "{taken:?}");
}

#[test]
#[ignore = "long: makes a Python environment"]
fn on_moto_what_is_archived_is_frozen_until_it_is_thawed() {
    let (moto, rig) = (Moto::start().unwrap(), Rig::locked());
    for (number, class) in [StorageClass::Glacier, StorageClass::DeepArchive].into_iter().enumerate() {
        let vault = vault(&moto, &rig, &format!("ice-{number}"), |settings| {
            settings.storage_class = Some(class);
            settings.archive_from_bytes = 65_536;
        });
        put(&vault, "ice/short", b"abc", later(92)).unwrap();
        assert!(vault.fetch(&object("ice/short")).is_ok());
        put(&vault, "ice/long", &large(70_000), later(92)).unwrap();
        let frozen = vault.fetch(&object("ice/long")).err().unwrap();
        assert!(matches!(frozen, VaultError::Frozen { .. }), "{frozen:?}");
        let wish = Wish { tier: Tier::Bulk, days: 3 };
        vault.thaw(&object("ice/long"), wish).unwrap();
        // This server thaws at once.
        let thawed = vault.thaw(&object("ice/long"), wish).unwrap();
        assert!(matches!(thawed, Thawed::Ready { .. }), "{thawed:?}");
        assert_eq!(crate::conformance::fetched(&vault, "ice/long"), large(70_000));
    }
}
