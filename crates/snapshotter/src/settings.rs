//! The server's settings, as typed and as meant.

use std::path::{Path, PathBuf};

use cli::settings::SettingsError;
use formats::published::{Limits, Sandbox};
use serde::Deserialize;

use crate::audit::settings::AuditSettings;
use crate::grant::settings::GrantSettings;
use crate::hours::Hours;
use crate::limits::{Allowed, Place, TypedLimits};
use crate::prune::settings::PruneSettings;
use crate::redact::settings::RedactSettings;
use crate::retain::{Policy, TypedRetain};
use crate::tripwire::{TypedTripwires, Wires};
use crate::verify::settings::VerifySettings;

/// Where the settings are, unless `--config` says otherwise.
pub(crate) const SETTINGS_FILE: &str = "/etc/firn/server.toml";

/// The least a settings file must say, shown when there is none.
const EXAMPLE: &str = r#"jails = "/srv/firn/jails"
history = "/srv/firn/history"
keys = "/etc/firn/keys"
receiver = "/usr/lib/firn/receiver""#;

/// Two years, with a leap day.
const KEEP_DAYS: u32 = 731;
/// Most sessions at once: of a few megabytes each.
const SESSIONS: u32 = 64;
/// More than any server bears.
const SESSIONS_MAX: u32 = 1_024;
/// Memory of the process that judges one push: about 100 bytes for each group of hard links, and as much for each content that moved.
const INGEST_MEMORY_BYTES: u64 = 1 << 30;
/// Memory of the process that expands what a host sent.
const DECODER_MEMORY_BYTES: u64 = 256 << 20;
/// Processor time of that process, for one push.
const DECODER_CPU_SECONDS: u64 = 4 * 3600;

/// `server.toml`, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The file they came from.
    pub(crate) file: PathBuf,
    /// Folder of the jails, one for each host.
    pub(crate) jails: PathBuf,
    /// Folder of the histories, one for each host.
    pub(crate) history: PathBuf,
    /// Folder of the views, one for each host; none if there are none.
    pub(crate) views: Option<PathBuf>,
    /// Folder of the server's signing key, and of what it has signed.
    pub(crate) signing: PathBuf,
    /// Folder of the authorized keys, one file an account.
    pub(crate) keys: PathBuf,
    /// Folder of the host records, one file a host.
    pub(crate) hosts: PathBuf,
    /// When a host is due whose record does not say.
    pub(crate) hours: Hours,
    /// What iceboxer publishes after each run.
    pub(crate) ice_standing: PathBuf,
    /// So many days every history reaches back, or to its beginning.
    pub(crate) keep_days: u32,
    /// What is kept of a history whose record does not say.
    typed_retain: TypedRetain,
    /// What is an alarm for a host whose record does not say.
    typed_tripwires: TypedTripwires,
    /// What stands before the end of a snapshot.
    pub(crate) prune: PruneSettings,
    /// How fast histories are read again.
    pub(crate) verify: VerifySettings,
    /// Whether a host can be granted a copy of its own history, and how.
    pub(crate) grants: GrantSettings,
    /// Whether contents can be erased, and by whom.
    pub(crate) redact: RedactSettings,
    /// Where what the audit looks at lies.
    pub(crate) audit: AuditSettings,
    /// The static binary that is copied into each jail.
    pub(crate) receiver: PathBuf,
    /// What the account of each host begins with.
    pub(crate) account_prefix: String,
    /// The account that owns the histories and does the work.
    pub(crate) owner: String,
    /// The group that may read the histories.
    pub(crate) readers: String,
    /// What a host may send whose record does not say otherwise.
    pub(crate) limits: Limits,
    /// The same as typed, for those that do.
    typed_limits: TypedLimits,
    /// Most sessions at once, over all hosts.
    pub(crate) sessions: u32,
    /// Memory of the process that judges a push, besides its decoder's.
    pub(crate) ingest_memory_bytes: u64,
    /// Memory of a decoder.
    pub(crate) decoder_memory_bytes: u64,
    /// Processor time of a decoder.
    pub(crate) decoder_cpu_seconds: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    jails: PathBuf,
    history: PathBuf,
    views: Option<PathBuf>,
    signing: Option<PathBuf>,
    keys: PathBuf,
    #[serde(default = "Typed::hosts")]
    hosts: PathBuf,
    #[serde(default = "Typed::hours")]
    hours: Vec<u8>,
    #[serde(default = "Typed::ice_standing")]
    ice_standing: PathBuf,
    receiver: PathBuf,
    #[serde(default = "Typed::keep_days")]
    keep_days: u32,
    #[serde(default)]
    retain: TypedRetain,
    #[serde(default)]
    tripwires: TypedTripwires,
    #[serde(default)]
    prune: PruneSettings,
    #[serde(default)]
    verify: VerifySettings,
    #[serde(default)]
    grants: GrantSettings,
    #[serde(default)]
    redact: RedactSettings,
    #[serde(default)]
    audit: AuditSettings,
    #[serde(default = "Typed::account_prefix")]
    account_prefix: String,
    #[serde(default = "Typed::owner")]
    owner: String,
    #[serde(default = "Typed::readers")]
    readers: String,
    #[serde(default = "Typed::sessions")]
    sessions: u32,
    #[serde(default)]
    sandbox: TypedSandbox,
    #[serde(default)]
    limits: TypedLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TypedSandbox {
    #[default]
    Required,
    ChrootAccepted,
}

impl Typed {
    /// Views inside of the history would be taken for hosts, or hidden by how it is mounted; the other way round a host could be called like a view.
    fn check_views(&self, path: &Path) -> Result<(), SettingsError> {
        let Some(views) = &self.views else { return Ok(()) };
        let wrong = |what: String| Err(SettingsError::value(path, "views", what));
        if !views.is_absolute() {
            return wrong("must be an absolute path".to_owned());
        }
        for (key, other) in [("jails", &self.jails), ("history", &self.history), ("keys", &self.keys)] {
            if views.starts_with(other) || other.starts_with(views) {
                return wrong(format!("must lie outside of `{key}`, and not around it"));
            }
        }
        Ok(())
    }

    /// Beside the histories, unless named. Inside of them or of a jail it would be taken for a host's, or be in a host's reach.
    fn signing(&self, path: &Path) -> Result<PathBuf, SettingsError> {
        let beside = || self.history.parent().unwrap_or(&self.history).join("signing");
        let signing = self.signing.clone().unwrap_or_else(beside);
        let wrong = |what: String| Err(SettingsError::value(path, "signing", what));
        if !signing.is_absolute() {
            return wrong("must be an absolute path".to_owned());
        }
        for (key, other) in [("jails", &self.jails), ("history", &self.history), ("keys", &self.keys)] {
            if signing.starts_with(other) {
                return wrong(format!("must lie outside of `{key}`"));
            }
        }
        Ok(signing)
    }

    fn hosts() -> PathBuf {
        PathBuf::from("/etc/firn/hosts")
    }

    fn hours() -> Vec<u8> {
        vec![2, 10, 18]
    }

    fn ice_standing() -> PathBuf {
        PathBuf::from("/var/lib/firn/ice-standing/standing.json")
    }

    fn keep_days() -> u32 {
        KEEP_DAYS
    }

    fn account_prefix() -> String {
        formats::ACCOUNT_PREFIX.to_owned()
    }

    fn sessions() -> u32 {
        SESSIONS
    }

    fn owner() -> String {
        "firn".to_owned()
    }

    fn readers() -> String {
        "firn-read".to_owned()
    }
}

impl Settings {
    /// Reads and checks the file.
    pub(crate) fn load(path: &Path) -> Result<Self, SettingsError> {
        let typed: Typed =
            cli::settings::load(path).map_err(|error: SettingsError| error.with_example(EXAMPLE))?;
        for (key, folder) in [
            ("jails", &typed.jails),
            ("history", &typed.history),
            ("keys", &typed.keys),
            ("hosts", &typed.hosts),
            ("ice_standing", &typed.ice_standing),
            ("receiver", &typed.receiver),
        ] {
            if !folder.is_absolute() {
                return Err(SettingsError::value(path, key, "must be an absolute path"));
            }
        }
        typed.check_views(path)?;
        let signing = typed.signing(path)?;
        let names =
            [("account_prefix", &typed.account_prefix), ("owner", &typed.owner), ("readers", &typed.readers)];
        for (key, name) in names {
            if !is_account_name(name) {
                let what = "must begin with a letter and hold only a-z, 0-9, '-' and '_', at most 31 of them";
                return Err(SettingsError::value(path, key, what));
            }
        }
        let hours = Hours::new(&typed.hours).map_err(|wrong| SettingsError::value(path, "hours", wrong))?;
        typed.audit.check(path)?;
        let apart = [&typed.jails, &typed.history, &typed.keys];
        typed.grants.check(path, &typed.account_prefix, &apart)?;
        typed.redact.check(path, &apart)?;
        typed.retain.check(path)?;
        typed.verify.check(path)?;
        typed.tripwires.check(path)?;
        typed.limits.check(path, Place::Settings)?;
        let Allowed { limits, .. } = typed.limits.meant(typed.sandbox.meant());
        typed.prune.check(path, limits.session_seconds)?;
        if !(1..=SESSIONS_MAX).contains(&typed.sessions) {
            let what = format!("must be from 1 to {SESSIONS_MAX}");
            return Err(SettingsError::value(path, "sessions", what));
        }
        Ok(Self {
            file: path.to_owned(),
            ingest_memory_bytes: typed.limits.ingest_memory_bytes().unwrap_or(INGEST_MEMORY_BYTES),
            decoder_memory_bytes: typed.limits.decoder_memory_bytes().unwrap_or(DECODER_MEMORY_BYTES),
            decoder_cpu_seconds: typed.limits.decoder_cpu_seconds().unwrap_or(DECODER_CPU_SECONDS),
            jails: typed.jails,
            history: typed.history,
            views: typed.views,
            signing,
            keys: typed.keys,
            hosts: typed.hosts,
            hours,
            ice_standing: typed.ice_standing,
            receiver: typed.receiver,
            keep_days: typed.keep_days,
            typed_retain: typed.retain,
            typed_tripwires: typed.tripwires,
            prune: typed.prune,
            verify: typed.verify,
            grants: typed.grants,
            redact: typed.redact,
            audit: typed.audit,
            account_prefix: typed.account_prefix,
            owner: typed.owner,
            readers: typed.readers,
            limits,
            typed_limits: typed.limits,
            sessions: typed.sessions,
        })
    }

    /// What a host may whose record says this about it.
    pub(crate) fn allowed(&self, of_host: &TypedLimits) -> Allowed {
        of_host.or(&self.typed_limits).meant(self.limits.sandbox)
    }

    /// What is kept of the history of a host whose record says this about it.
    pub(crate) fn policy(&self, of_host: &TypedRetain) -> Policy {
        of_host.meant(&self.typed_retain, self.keep_days)
    }

    /// What is an alarm for a host whose record says this about it.
    pub(crate) fn wires(&self, of_host: &TypedTripwires) -> Wires {
        of_host.meant(&self.typed_tripwires)
    }

    /// Whether a process may work where the kernel has no Landlock.
    pub(crate) fn landlock(&self) -> sandbox::Landlock {
        match self.limits.sandbox {
            Sandbox::Required => sandbox::Landlock::Required,
            Sandbox::ChrootAccepted => sandbox::Landlock::IfAvailable,
        }
    }
}

impl TypedSandbox {
    fn meant(&self) -> Sandbox {
        match self {
            TypedSandbox::Required => Sandbox::Required,
            TypedSandbox::ChrootAccepted => Sandbox::ChrootAccepted,
        }
    }
}

pub(crate) fn is_account_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    name.len() <= 31
        && name.bytes().all(fits)
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
}
