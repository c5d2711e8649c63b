//! From a setting to a vault.

use std::path::Path;

use crate::{FileVault, Result, Vault, VaultError};

/// Opens the vault that `url` names: `file:/` and an absolute path.
///
/// # Errors
/// [`VaultError::Url`] for anything else; [`VaultError::Unreachable`] if the folder is not there.
pub fn open(url: &str) -> Result<Box<dyn Vault>> {
    match url.strip_prefix("file:").map(|path| path.strip_prefix("//").unwrap_or(path)) {
        Some(path) if path.starts_with('/') => Ok(Box::new(FileVault::open(Path::new(path))?)),
        _ => Err(VaultError::Url { url: url.chars().take(256).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_url_of_an_existing_folder_opens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert!(open(&format!("file:{path}")).is_ok());
        assert!(open(&format!("file://{path}")).is_ok());
        assert_eq!(open(&format!("file:{path}/absent")).err().unwrap().exit_code(), 30);
        for bad in ["", "file:", "file:srv/vault", "file://srv", path, "s3:bucket", "FILE:/srv"] {
            assert_eq!(open(bad).err().unwrap().exit_code(), 2, "{bad}");
        }
    }
}
