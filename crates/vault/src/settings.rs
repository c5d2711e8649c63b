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

/// Where a vault is, and how it is reached. `immutable` is for `file:` vaults, all other keys but `name` and `url` for `s3:` vaults.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Its name in reports and records.
    pub name: String,
    /// `file:/path`, `s3:bucket`, `s3:bucket/prefix/` or `glacier:vault`.
    pub url: String,
    /// The folder in which a `glacier:` vault keeps what it knows of its archives, for only the provider's slow inventory tells it otherwise.
    pub index: Option<PathBuf>,
    /// Another provider than AWS: `https://host`, or `http://` on this machine only.
    pub endpoint: Option<String>,
    /// The bucket's region. AWS needs it.
    pub region: Option<String>,
    /// The bucket's name goes into the path instead of the host name, as most providers other than AWS want it.
    #[serde(default)]
    pub path_style: bool,
    /// What objects are stored as. Without it, DEEP_ARCHIVE on AWS, and STANDARD where `endpoint` names another provider.
    pub storage_class: Option<StorageClass>,
    /// Objects shorter than this are never archived, but STANDARD: the ice record must be readable without a thaw. Default 16 MiB.
    #[serde(default = "archive_from_bytes")]
    pub archive_from_bytes: u64,
    /// Longer objects go in parts of this length. Default 64 MiB.
    #[serde(default = "part_bytes")]
    pub part_bytes: u64,
    /// How many parts are sent at once; memory holds one more. Default 4.
    #[serde(default = "parallel_parts")]
    pub parallel_parts: usize,
    /// Most bytes sent in a second. No limit without it.
    pub upload_bytes_per_second: Option<u64>,
    /// Whether the files of a `file:` vault get the immutable flag. Default where-possible.
    #[serde(default)]
    pub immutable: Immutable,
    /// A file with the credentials, for its owner only: `access_key_id = "..."` and `secret_access_key = "..."`, a line each.
    pub credentials_file: Option<PathBuf>,
    /// A command that prints the same two lines: program and arguments, no shell.
    pub credentials_command: Option<Vec<String>>,
    /// The name of a systemd credential (`LoadCredential=`) with the same two lines.
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
        }
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
        if self.index.is_some() {
            return Err(wrong("index", "is for glacier: vaults only"));
        }
        between("part_bytes", self.part_bytes, PART_BYTES_MIN, PART_BYTES_MAX)?;
        between("parallel_parts", self.parallel_parts as u64, 1, PARALLEL_PARTS_MAX as u64)?;
        between("archive_from_bytes", self.archive_from_bytes, ARCHIVE_FROM_BYTES_MIN, u64::MAX)?;
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

    /// A folder has no use for the keys of an `s3:` vault, and whoever wrote one meant something else.
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
            Some((key, _)) => Err(wrong(key, "is for s3: vaults only")),
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
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_spoken_with_this_machine_only() {
        for good in ["https://s3.example.net", "http://127.0.0.1:9000", "http://localhost", "http://[::1]:1/"]
        {
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
        assert!(
            toml::from_str::<Settings>("name = \"a\"\nurl = \"s3:b\"\nsecret_access_key = \"c\"").is_err()
        );
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
        assert!(
            with(|s| s.upload_bytes_per_second = Some(1 << 20)).starts_with("`upload_bytes_per_second` is")
        );
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
        let other =
            Settings { endpoint: Some("https://s3.example.net".into()), ..Settings::new("a", "s3:ice") };
        assert_eq!(other.class(), StorageClass::Standard);
        assert_eq!(Settings::new("a", "file:/srv").class(), StorageClass::Standard);
    }
}
