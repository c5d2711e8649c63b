//! Settings that cannot be meant are named by their keys.

use super::*;

#[test]
fn plain_text_is_spoken_with_this_machine_only() {
    for good in ["https://s3.example.net", "http://127.0.0.1:9000", "http://localhost", "http://[::1]:1/"] {
        assert!(is_safe(good), "{good}");
    }
    for bad in [
        "http://s3.example.net",
        "http://127.0.0.1.example.net",
        "https://",
        "ftp://a",
        "",
        "http://localhosts",
    ] {
        assert!(!is_safe(bad), "{bad}");
    }
}

#[test]
fn what_cannot_be_used_is_named_by_its_key() {
    let good: Settings = toml::from_str(
        "name = \"off-site\"\nurl = \"s3:ice\"\nregion = \"eu-central-1\"\ncredentials_file = \"/etc/firn/s3\"\nstorage_class = \"GLACIER_IR\"",
    )
    .unwrap();
    assert!(good.check_s3().is_ok() && good.source().is_ok());
    assert_eq!(good.class(), StorageClass::GlacierIr);
    let with = |change: fn(&mut Settings)| {
        let mut settings = good.clone();
        change(&mut settings);
        let error = settings.check_s3().and_then(|()| settings.source().map(drop)).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert!(with(|s| s.region = None).starts_with("`region` must"));
    assert!(with(|s| s.endpoint = Some("http://s3.example.net".into())).starts_with("`endpoint` must"));
    assert!(with(|s| s.part_bytes = 1).starts_with("`part_bytes` must"));
    assert!(with(|s| s.parallel_parts = 0).starts_with("`parallel_parts` must"));
    assert!(with(|s| s.archive_from_bytes = 0).starts_with("`archive_from_bytes` must"));
    assert!(with(|s| s.upload_bytes_per_second = Some(1)).starts_with("`upload_bytes_per_second` must"));
    assert!(with(|s| s.credentials_file = None).starts_with("`credentials_file` or"));
    assert!(with(|s| s.credentials_systemd = Some("s3".into())).starts_with("`credentials_file` or"));
    assert!(good.check_file().unwrap_err().to_string().starts_with("`region` is for s3:"));
    assert!(toml::from_str::<Settings>("name = \"a\"\nurl = \"s3:b\"\nsecret_access_key = \"c\"").is_err());
}

#[test]
fn what_a_gs_vault_has_no_use_for_is_named_by_its_key() {
    let good = Settings { storage_class: Some(StorageClass::Archive), ..Settings::new("a", "gs:ice") };
    assert!(good.check_gs().is_ok());
    let with = |change: fn(&mut Settings)| {
        let mut settings = good.clone();
        change(&mut settings);
        settings.check_gs().unwrap_err().to_string()
    };
    assert!(with(|s| s.region = Some("eu".into())).starts_with("`region` is for s3:"));
    assert!(with(|s| s.path_style = true).starts_with("`path_style` is for s3:"));
    assert!(with(|s| s.parallel_parts = 8).starts_with("`parallel_parts` is for s3:"));
    assert!(with(|s| s.archive_from_bytes = 1 << 20).starts_with("`archive_from_bytes` is for s3:"));
    assert!(with(|s| s.storage_class = Some(StorageClass::DeepArchive)).starts_with("`storage_class` must"));
    assert!(with(|s| s.endpoint = Some("http://example.net".into())).starts_with("`endpoint` must"));
    assert!(with(|s| s.part_bytes = 1).starts_with("`part_bytes` must"));
    assert!(with(|s| s.immutable = Immutable::Required).starts_with("`immutable` is for file:"));
    let other = Settings { region: Some("eu-central-1".into()), ..good };
    assert!(other.check_s3().unwrap_err().to_string().starts_with("`storage_class` is one of Google's"));
    assert_eq!(Settings::new("a", "gs:ice").class(), StorageClass::Coldline);
}

#[test]
fn what_a_glacier_vault_cannot_use_is_named_by_its_key() {
    let mut good = Settings::new("a", "glacier:ice");
    good.region = Some("eu-central-1".into());
    good.index = Some("/var/lib/firn/ice/glacier-ice".into());
    assert_eq!(good.class(), StorageClass::Glacier, "as it is billed");
    assert_eq!(good.check_glacier().unwrap(), Path::new("/var/lib/firn/ice/glacier-ice"));
    let with = |change: fn(&mut Settings)| {
        let mut settings = good.clone();
        change(&mut settings);
        settings.check_glacier().unwrap_err().to_string()
    };
    assert!(with(|s| s.region = None).starts_with("`region` must"));
    assert!(with(|s| s.endpoint = Some("http://a.example".into())).starts_with("`endpoint` must"));
    assert!(with(|s| s.immutable = Immutable::Required).starts_with("`immutable` is for file:"));
    assert!(with(|s| s.path_style = true).starts_with("`path_style` is for s3:"));
    assert!(
        with(|s| s.storage_class = Some(StorageClass::Glacier)).starts_with("`storage_class` is for s3:")
    );
    assert!(with(|s| s.upload_bytes_per_second = Some(1 << 20)).starts_with("`upload_bytes_per_second` is"));
    assert!(with(|s| s.part_bytes = 3 * MIB).starts_with("`part_bytes` must be a power"));
    assert!(with(|s| s.part_bytes = 1024).starts_with("`part_bytes` must be"));
    assert!(with(|s| s.parallel_parts = 0).starts_with("`parallel_parts` must"));
    assert!(with(|s| s.archive_from_bytes = 0).starts_with("`archive_from_bytes` must"));
    assert!(with(|s| s.index = None).starts_with("`index` must"));
    assert!(with(|s| s.index = Some("ice".into())).starts_with("`index` must"));
    let s3 = Settings { url: "s3:ice".into(), ..good.clone() };
    assert!(s3.check_s3().unwrap_err().to_string().starts_with("`index` is for glacier:"));
    assert!(good.check_file().unwrap_err().to_string().starts_with("`index` is for"));
}

#[test]
fn aws_archives_unless_told_otherwise_and_other_providers_do_not() {
    assert_eq!(Settings::new("a", "s3:ice").class(), StorageClass::DeepArchive);
    let other = Settings { endpoint: Some("https://s3.example.net".into()), ..Settings::new("a", "s3:ice") };
    assert_eq!(other.class(), StorageClass::Standard);
    assert_eq!(Settings::new("a", "file:/srv").class(), StorageClass::Standard);
}
