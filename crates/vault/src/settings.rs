//! One vault in a settings file: `[[vaults]]` of iceboxer and of restore-drill.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::secret::Source;
use crate::{Result, VaultError};

const MIB: u64 = 1024 * 1024;
/// Shortest part that S3 takes.
const PART_BYTES_MIN: u64 = 5 * MIB;
/// Longest part: each one sent at the moment is held in memory.
const PART_BYTES_MAX: u64 = 1024 * MIB;
const PARALLEL_PARTS_MAX: usize = 32;
/// Slower than this, a provider takes the connection for dead.
const UPLOAD_BYTES_PER_SECOND_MIN: u64 = 16 * 1024;
/// Shortest object that may be archived: below it, what a provider adds to each archived object costs more than the object.
const ARCHIVE_FROM_BYTES_MIN: u64 = 64 * 1024;
const ARCHIVE_FROM_BYTES: u64 = 16 * MIB;

/// Where a vault is, and how it is reached. `immutable` is for `file:` vaults, the other keys but `name` and `url` for buckets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Its name in reports and records.
    pub name: String,
    /// `file:/path`, `s3:bucket`, `gs:bucket`, a bucket with `/prefix/`, or `glacier:vault`.
    pub url: String,
    /// The folder in which a `glacier:` vault keeps what it knows of its archives, for only the provider's slow inventory tells it otherwise.
    pub index: Option<PathBuf>,
    /// Another provider than AWS, or another address of Google: `https://host`, or `http://` on this machine only.
    pub endpoint: Option<String>,
    /// The bucket's region. AWS needs it; nobody else.
    pub region: Option<String>,
    /// The bucket's name goes into the path instead of the host name, as most providers other than AWS want it.
    #[serde(default)]
    pub path_style: bool,
    /// What objects are stored as. Without it, DEEP_ARCHIVE on AWS, COLDLINE on Google, and STANDARD where `endpoint` names another
    /// provider.
    pub storage_class: Option<StorageClass>,
    /// Objects shorter than this are never archived, but STANDARD: the ice record must be readable without a thaw. Default 16 MiB.
    #[serde(default = "archive_from_bytes")]
    pub archive_from_bytes: u64,
    /// Longer objects go in parts of this length. Default 64 MiB.
    #[serde(default = "part_bytes")]
    pub part_bytes: u64,
    /// How many parts are sent at once; memory holds one more. Default 4. For `s3:` only: a `gs:` vault sends one while it reads the next.
    #[serde(default = "parallel_parts")]
    pub parallel_parts: usize,
    /// Most bytes sent in a second. No limit without it.
    pub upload_bytes_per_second: Option<u64>,
    /// Whether the files of a `file:` vault get the immutable flag. Default where-possible.
    #[serde(default)]
    pub immutable: Immutable,
    /// A file with the credentials, for its owner only: `access_key_id = "..."` and `secret_access_key = "..."`, a line each; for `gs:`, the
    /// JSON key of a service account.
    pub credentials_file: Option<PathBuf>,
    /// A command that prints the same: program and arguments, no shell.
    pub credentials_command: Option<Vec<String>>,
    /// The name of a systemd credential (`LoadCredential=`) with the same.
    pub credentials_systemd: Option<String>,
}

/// Whether the files of a `file:` vault get the flag (`chattr +i`) under which nobody can change or delete them before root takes it off again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Immutable {
    /// A put fails if the flag cannot be set.
    Required,
    /// If this process and the file system can.
    #[default]
    WherePossible,
    /// No.
    Never,
}

/// What an object is stored as: price, speed of a restore, shortest time that is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are the provider's")]
pub enum StorageClass {
    Standard,
    StandardIa,
    GlacierIr,
    Glacier,
    DeepArchive,
    Nearline,
    Coldline,
    Archive,
}

impl StorageClass {
    /// The provider's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            StorageClass::Standard => "STANDARD",
            StorageClass::StandardIa => "STANDARD_IA",
            StorageClass::GlacierIr => "GLACIER_IR",
            StorageClass::Glacier => "GLACIER",
            StorageClass::DeepArchive => "DEEP_ARCHIVE",
            StorageClass::Nearline => "NEARLINE",
            StorageClass::Coldline => "COLDLINE",
            StorageClass::Archive => "ARCHIVE",
        }
    }

    /// True if Google has it; all the others are of S3, and STANDARD of both.
    fn is_of_google(self) -> bool {
        matches!(self, StorageClass::Nearline | StorageClass::Coldline | StorageClass::Archive)
    }

    /// True if what is stored so cannot be read before it is thawed.
    #[must_use]
    pub fn is_archive(self) -> bool {
        matches!(self, StorageClass::Glacier | StorageClass::DeepArchive)
    }
}

fn archive_from_bytes() -> u64 {
    ARCHIVE_FROM_BYTES
}

fn part_bytes() -> u64 {
    64 * MIB
}

fn parallel_parts() -> usize {
    4
}

impl Settings {
    /// A vault of which nothing is set but its name and where it is. Its files get no flag.
    #[must_use]
    pub fn new(name: &str, url: &str) -> Self {
        Settings {
            name: name.to_owned(),
            url: url.to_owned(),
            index: None,
            endpoint: None,
            region: None,
            path_style: false,
            storage_class: None,
            archive_from_bytes: archive_from_bytes(),
            part_bytes: part_bytes(),
            parallel_parts: parallel_parts(),
            upload_bytes_per_second: None,
            immutable: Immutable::Never,
            credentials_file: None,
            credentials_command: None,
            credentials_systemd: None,
        }
    }

    /// What long objects are stored as.
    #[must_use]
    pub fn class(&self) -> StorageClass {
        match (self.storage_class, &self.endpoint) {
            _ if self.url.starts_with("glacier:") => StorageClass::Glacier,
            (Some(class), _) => class,
            (None, Some(_)) => StorageClass::Standard,
            (None, None) if self.url.starts_with("s3:") => StorageClass::DeepArchive,
            (None, None) if self.url.starts_with("gs:") => StorageClass::Coldline,
            (None, None) => StorageClass::Standard,
        }
    }

    /// Where the credentials come from: exactly one place.
    pub(crate) fn source(&self) -> Result<Source<'_>> {
        let sources = [
            self.credentials_file.as_deref().map(Source::File),
            self.credentials_command.as_deref().map(Source::Command),
            self.credentials_systemd.as_deref().map(Source::Systemd),
        ];
        let mut named = sources.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(source), None) => Ok(source),
            _ => Err(wrong(
                "credentials_file",
                "or credentials_command or credentials_systemd must say where the credentials are, one of them",
            )),
        }
    }

    /// What holds for every `s3:` vault, before anything is opened.
    pub(crate) fn check_s3(&self) -> Result<()> {
        self.check_bucket()?;
        if self.endpoint.is_none() && self.region.is_none() {
            return Err(wrong("region", "must be named, as eu-central-1"));
        }
        if self.storage_class.is_some_and(StorageClass::is_of_google) {
            return Err(wrong("storage_class", "is one of Google's, and this is an s3: vault"));
        }
        between("parallel_parts", self.parallel_parts as u64, 1, PARALLEL_PARTS_MAX as u64)?;
        between("archive_from_bytes", self.archive_from_bytes, ARCHIVE_FROM_BYTES_MIN, u64::MAX)?;
        Ok(())
    }

    /// What holds for every `gs:` vault, before anything is opened.
    pub(crate) fn check_gs(&self) -> Result<()> {
        self.check_bucket()?;
        let keys = [
            ("region", self.region.is_some()),
            ("path_style", self.path_style),
            ("parallel_parts", self.parallel_parts != parallel_parts()),
            // Google reads every class at once.
            ("archive_from_bytes", self.archive_from_bytes != archive_from_bytes()),
        ];
        if let Some((key, _)) = keys.into_iter().find(|(_, is_set)| *is_set) {
            return Err(wrong(key, "is for s3: vaults only"));
        }
        match self.storage_class {
            Some(class) if class != StorageClass::Standard && !class.is_of_google() => {
                Err(wrong("storage_class", "must be STANDARD, NEARLINE, COLDLINE or ARCHIVE in a gs: vault"))
            }
            _ => Ok(()),
        }
    }

    /// What holds for every bucket.
    fn check_bucket(&self) -> Result<()> {
        if let Some(endpoint) = &self.endpoint
            && !is_safe(endpoint)
        {
            return Err(wrong(
                "endpoint",
                "must begin with https://, or http:// and this machine's own address",
            ));
        }
        if self.immutable == Immutable::Required {
            return Err(wrong("immutable", "is for file: vaults only"));
        }
        if self.index.is_some() {
            return Err(wrong("index", "is for glacier: vaults only"));
        }
        between("part_bytes", self.part_bytes, PART_BYTES_MIN, PART_BYTES_MAX)?;
        if let Some(rate) = self.upload_bytes_per_second {
            between("upload_bytes_per_second", rate, UPLOAD_BYTES_PER_SECOND_MIN, u64::MAX)?;
        }
        Ok(())
    }

    /// What holds for every `glacier:` vault, before anything is opened. Gives back the folder of its index.
    pub(crate) fn check_glacier(&self) -> Result<&Path> {
        if let Some(endpoint) = &self.endpoint
            && !is_safe(endpoint)
        {
            return Err(wrong(
                "endpoint",
                "must begin with https://, or http:// and this machine's own address",
            ));
        }
        if self.endpoint.is_none() && self.region.is_none() {
            return Err(wrong("region", "must be named, as eu-central-1"));
        }
        if self.immutable == Immutable::Required {
            return Err(wrong("immutable", "is for file: vaults only"));
        }
        let keys = [
            ("path_style", self.path_style),
            ("storage_class", self.storage_class.is_some()),
            // The SDK holds a body whole before it sends it, and then sends it at once.
            ("upload_bytes_per_second", self.upload_bytes_per_second.is_some()),
        ];
        if let Some((key, _)) = keys.into_iter().find(|(_, is_set)| *is_set) {
            return Err(wrong(key, "is for s3: vaults only"));
        }
        between("part_bytes", self.part_bytes, MIB, PART_BYTES_MAX)?;
        if !self.part_bytes.is_power_of_two() {
            return Err(wrong("part_bytes", "must be a power of two in a glacier: vault, as 67108864"));
        }
        between("parallel_parts", self.parallel_parts as u64, 1, PARALLEL_PARTS_MAX as u64)?;
        between("archive_from_bytes", self.archive_from_bytes, ARCHIVE_FROM_BYTES_MIN, u64::MAX)?;
        match self.index.as_deref() {
            Some(folder) if folder.is_absolute() => Ok(folder),
            _ => Err(wrong(
                "index",
                "must name the folder of the vault's index, as /var/lib/firn/ice/glacier-ice",
            )),
        }
    }

    /// A folder has no use for the keys of a bucket, and whoever wrote one meant something else.
    pub(crate) fn check_file(&self) -> Result<()> {
        let keys = [
            ("index", self.index.is_some()),
            ("endpoint", self.endpoint.is_some()),
            ("region", self.region.is_some()),
            ("path_style", self.path_style),
            ("storage_class", self.storage_class.is_some()),
            ("upload_bytes_per_second", self.upload_bytes_per_second.is_some()),
            ("credentials_file", self.credentials_file.is_some()),
            ("credentials_command", self.credentials_command.is_some()),
            ("credentials_systemd", self.credentials_systemd.is_some()),
        ];
        match keys.into_iter().find(|(_, is_set)| *is_set) {
            Some((key, _)) => Err(wrong(key, "is for s3: and gs: vaults only")),
            None => Ok(()),
        }
    }
}

/// In clear only where nobody is between: who can forge answers can claim locks that are not there.
fn is_safe(endpoint: &str) -> bool {
    let own = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let rest = own.iter().find_map(|own| endpoint.strip_prefix(own));
    endpoint.strip_prefix("https://").is_some_and(|host| !host.is_empty())
        || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
}

fn between(key: &'static str, value: u64, least: u64, most: u64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let what = if most == u64::MAX {
        format!("must be at least {least}")
    } else {
        format!("must be {least} to {most}")
    };
    Err(wrong(key, &what))
}

fn wrong(key: &'static str, what: &str) -> VaultError {
    VaultError::Setting { key, what: what.to_owned() }
}

#[cfg(test)]
mod tests;
