//! What the settings say of the vaults, and whether they open.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use cli::Failed;
use vault::{Inspection, StorageClass, Vault, VaultError};

use super::checks::{
    CREDENTIALS_OPEN, CREDENTIALS_UNREADABLE, FOLDER_MISSING, ONE_PLACE, RETENTION_BELOW_MINIMUM, SAME_PLACE,
    UNREACHABLE, VAULT_SETTING,
};
use super::finding::Finding;
use super::machine::Needs;
use super::{archives, bucket, folder};
use crate::cost::settings::Tariff;
use crate::settings::{Settings, VaultSettings};
use crate::store::StoreError;

/// The mode bits of everyone but the owner.
const OTHERS: u32 = 0o077;

/// What there is to say about the vaults together, and about each that is asked.
#[must_use]
pub fn findings(settings: &Settings, asked: &[&VaultSettings], needs: Needs) -> Vec<Finding> {
    let mut findings: Vec<Finding> = together(&settings.vaults);
    for vault in asked {
        findings.extend(cost(settings, vault));
        match vault::open(&vault.store) {
            Ok(open) => findings.extend(judged(settings, vault, open.as_ref(), needs)),
            Err(error) => findings.push(unopened(vault, error)),
        }
    }
    findings
}

/// How a vault is called in findings.
pub(super) fn on(vault: &VaultSettings) -> String {
    format!("vault {}", vault.store.name)
}

fn judged(settings: &Settings, vault: &VaultSettings, open: &dyn Vault, needs: Needs) -> Vec<Finding> {
    match open.inspect() {
        Inspection::Unusable(obstacle) => vec![bucket::unusable(&on(vault), &obstacle)],
        Inspection::Memory => Vec::new(),
        Inspection::Folder(found) => {
            let history = fs::metadata(&settings.history).ok().map(|meta| meta.dev());
            folder::findings(&on(vault), &found, history, needs)
        }
        Inspection::Bucket(found) => bucket::findings(vault, &found),
        Inspection::Archives(found) => archives::findings(vault, &found),
    }
}

fn unopened(vault: &VaultSettings, error: VaultError) -> Finding {
    let is_folder = vault.store.url.starts_with("file:");
    let check = match &error {
        error if error.is_setting() => VAULT_SETTING,
        VaultError::Credentials { .. } if has_open_credentials(vault) => CREDENTIALS_OPEN,
        VaultError::Credentials { .. } => CREDENTIALS_UNREADABLE,
        _ if is_folder => FOLDER_MISSING,
        _ => UNREACHABLE,
    };
    let error = StoreError::Vault { vault: vault.store.name.clone(), source: error };
    Finding::new(check, &on(vault), Failed::from(error).chain())
}

fn has_open_credentials(vault: &VaultSettings) -> bool {
    let file = vault.store.credentials_file.as_ref();
    file.and_then(|file| fs::metadata(file).ok()).is_some_and(|meta| meta.mode() & OTHERS != 0)
}

/// A place as the settings spell it.
fn place(vault: &VaultSettings) -> (Option<&str>, String) {
    let store = &vault.store;
    let (kind, rest) = store.url.split_once(':').unwrap_or(("", &store.url));
    let rest = rest.strip_prefix("//").unwrap_or(rest).trim_end_matches('/');
    let rest = match kind {
        // Two names may lead to one folder.
        "file" => fs::canonicalize(rest).map_or_else(|_| rest.to_owned(), |path| path.display().to_string()),
        // Each region has names of its own; those of buckets are the whole world's.
        "glacier" => format!("{}/{rest}", store.region.as_deref().unwrap_or_default()),
        _ => rest.to_owned(),
    };
    (store.endpoint.as_deref().map(|endpoint| endpoint.trim_end_matches('/')), format!("{kind}:{rest}"))
}

/// Who keeps it.
fn keeper(vault: &VaultSettings) -> String {
    let kind = vault.store.url.split_once(':').map_or("", |(kind, _)| kind);
    match (&vault.store.endpoint, kind) {
        (Some(endpoint), _) => endpoint.trim_end_matches('/').to_owned(),
        (None, "s3" | "glacier") => "Amazon".to_owned(),
        (None, "gs") => "Google".to_owned(),
        (None, _) => "this machine".to_owned(),
    }
}

fn together(vaults: &[VaultSettings]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: Vec<((Option<&str>, String), &str)> = Vec::new();
    for vault in vaults {
        let here = place(vault);
        if let Some((_, other)) = seen.iter().find(|(there, _)| *there == here) {
            findings.push(Finding::new(SAME_PLACE, &on(vault), format!("it is where vault {other} is")));
        }
        seen.push((here, &vault.store.name));
    }
    let keepers: BTreeSet<String> = vaults.iter().map(keeper).collect();
    if let (Some(only), 1) = (keepers.first(), keepers.len()) {
        findings.push(Finding::new(ONE_PLACE, "vaults", format!("all ice is with {only}")));
    }
    findings
}

fn cost(settings: &Settings, vault: &VaultSettings) -> Option<Finding> {
    let priced = Tariff::of(vault, &settings.prices).ok().flatten();
    let minimum = priced.map_or_else(|| minimum_days(vault), |tariff| tariff.class.minimum_days);
    let days = vault.retention_days;
    (days < minimum).then(|| {
        let class = vault.price_class();
        let seen = format!("retention_days is {days}, and class {class} is billed for {minimum} days");
        Finding::new(RETENTION_BELOW_MINIMUM, &on(vault), seen)
    })
}

/// As AWS and Google bill their classes.
fn minimum_days(vault: &VaultSettings) -> u32 {
    match vault.store.class() {
        StorageClass::Standard => 0,
        StorageClass::StandardIa | StorageClass::Nearline => 30,
        StorageClass::GlacierIr | StorageClass::Glacier | StorageClass::Coldline => 90,
        StorageClass::DeepArchive => 180,
        StorageClass::Archive => 365,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ProveLock;

    /// What is said of these vaults together. Nothing is asked: without `endpoint`, they lie with those who made the protocol.
    fn said(vaults: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let settings = |(number, (url, region)): (usize, &(&str, &str))| {
            let mut store = vault::Settings::new(&number.to_string(), url);
            store.region = (!region.is_empty()).then(|| (*region).to_owned());
            VaultSettings { store, retention_days: 92, prices: None, prove_lock: ProveLock::EachRun }
        };
        let all: Vec<VaultSettings> = vaults.iter().enumerate().map(settings).collect();
        together(&all).into_iter().map(|finding| (finding.check.code, finding.seen)).collect()
    }

    #[test]
    fn who_keeps_what_is_told_by_the_kind_of_vault() {
        let alone = |who: &str| vec![("one-place", format!("all ice is with {who}"))];
        assert_eq!(said(&[("gs:ice", "")]), alone("Google"));
        assert_eq!(said(&[("s3:ice", "eu-central-1"), ("glacier:ice", "eu-central-1")]), alone("Amazon"));
        assert_eq!(said(&[("file:/nowhere/a", "")]), alone("this machine"));
        assert_eq!(said(&[("gs:ice", ""), ("file:/nowhere/a", "")]), []);
        assert_eq!(said(&[("gs:ice", ""), ("s3:ice", "eu-central-1")]), []);
    }

    #[test]
    fn a_glacier_vault_of_the_same_name_in_another_region_is_another_place() {
        let same = |vaults: &[(&str, &str)]| said(vaults).iter().any(|(code, _)| *code == "same-place");
        assert!(same(&[("glacier:ice", "eu-central-1"), ("glacier:ice", "eu-central-1")]));
        assert!(!same(&[("glacier:ice", "eu-central-1"), ("glacier:ice", "us-east-1")]));
        assert!(
            same(&[("s3:ice", "eu-central-1"), ("s3:ice", "us-east-1")]),
            "buckets have one name in the world"
        );
    }
}
