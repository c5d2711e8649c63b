//! From a setting to a vault.

use std::path::Path;

use crate::{FileVault, GlacierVault, GsVault, Result, S3Vault, Settings, Vault, VaultError};

/// Opens the vault that the settings name. A bucket is not spoken to before its first call.
///
/// # Errors
/// [`VaultError::Url`] and [`VaultError::Setting`] for settings that cannot be used; [`VaultError::Credentials`] if there are none;
/// [`VaultError::Unreachable`] if the folder is not there.
pub fn open(settings: &Settings) -> Result<Box<dyn Vault>> {
    let url = &settings.url;
    if let Some(place) = url.strip_prefix("s3:") {
        let place = place.strip_prefix("//").unwrap_or(place);
        return Ok(Box::new(S3Vault::open(settings, place)?));
    }
    if let Some(place) = url.strip_prefix("gs:") {
        let place = place.strip_prefix("//").unwrap_or(place);
        return Ok(Box::new(GsVault::open(settings, place)?));
    }
    if let Some(name) = url.strip_prefix("glacier:") {
        return Ok(Box::new(GlacierVault::open(settings, name)?));
    }
    match url.strip_prefix("file:").map(|path| path.strip_prefix("//").unwrap_or(path)) {
        Some(path) if path.starts_with('/') => {
            settings.check_file()?;
            Ok(Box::new(FileVault::open(Path::new(path), settings.immutable)?))
        }
        _ => Err(not_a_vault(url)),
    }
}

pub(crate) fn not_a_vault(url: &str) -> VaultError {
    VaultError::Url { url: url.chars().take(256).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_url_of_an_existing_folder_or_a_bucket_opens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let opened = |url: &str| open(&Settings::new("a", url));
        assert!(opened(&format!("file:{path}")).is_ok());
        assert!(opened(&format!("file://{path}")).is_ok());
        assert_eq!(opened(&format!("file:{path}/absent")).err().unwrap().exit_code(), 30);
        for bad in [
            "",
            "file:",
            "file:srv/vault",
            "file://srv",
            path,
            "FILE:/srv",
            "s3:",
            "s3:A",
            "s3:ice/no-slash",
            "s3:ice//",
            "s3:ice/../",
            "gs:",
            "gs:A",
            "gs:-ice",
            "gs:ice/no-slash",
            "gs:ice/../",
            "glacier:",
            "glacier:a/b",
            "glacier://ice",
        ] {
            assert_eq!(opened(bad).err().unwrap().exit_code(), 2, "{bad}");
        }
        let file = folder.path().join("credentials");
        std::fs::write(&file, "access_key_id = \"AK\"\nsecret_access_key = \"SK\"\n").unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        for good in ["s3:ice", "s3://ice", "s3:my.ice-2/prefix/", "s3:ice/a/b/"] {
            let mut settings = Settings::new("a", good);
            settings.region = Some("eu-central-1".to_owned());
            settings.credentials_file = Some(file.clone());
            assert!(open(&settings).is_ok(), "{good}");
        }
        for (key, code) in [
            (
                r#"{"type":"service_account","client_email":"a","private_key_id":"b","private_key":"c","project_id":"d"}"#,
                None,
            ),
            (
                r#"{"type":"authorized_user","client_email":"a","private_key_id":"b","private_key":"hush","project_id":"d"}"#,
                Some(36),
            ),
            (r#"{"type":"service_account","private_key":"hush"}"#, Some(36)),
            ("access_key_id = \"AK\"\nsecret_access_key = \"hush\"\n", Some(36)),
        ] {
            std::fs::write(&file, key).unwrap();
            let settings =
                Settings { credentials_file: Some(file.clone()), ..Settings::new("a", "gs:my_ice/a/") };
            let opened = open(&settings).err();
            assert_eq!(opened.as_ref().map(VaultError::exit_code), code, "{key}");
            assert!(!format!("{opened:?}").contains("hush"));
        }
    }
}
