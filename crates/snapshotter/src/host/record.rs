//! What the deployment says about a host: `<hosts>/<host id>.toml`, as in docs/formats/host-record.md.

use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use cli::settings::SettingsError;
use durable::{Dir, Name};
use formats::HostId;
use serde::Deserialize;

use super::appliance::TypedAppliance;
use super::network::Network;
use crate::hours::Hours;
use crate::limits::{Place, TypedLimits};
use crate::retain::TypedRetain;
use crate::settings::Settings;
use crate::tripwire::TypedTripwires;
use crate::trouble::Trouble;

/// Longest record.
const RECORD_BYTES_MAX: u64 = 16 * 1024;
/// Most networks of one host.
pub(super) const FROM_MAX: usize = 16;
/// Longest name of a machine: that of DNS.
const KNOWN_AS_BYTES_MAX: usize = 253;
const SUFFIX: &str = ".toml";

/// A host's record. One that was never written says nothing, and that is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostRecord {
    /// From where its key may be used, ascending; from anywhere if empty.
    pub(crate) from: Vec<Network>,
    /// When it is due, if not at the hours of the settings.
    pub(crate) hours: Option<Hours>,
    /// What the deployment calls the machine that has this id.
    pub(crate) known_as: Option<String>,
    /// Since when nobody pushes under this id.
    pub(crate) retired: Option<DateTime<Utc>>,
    /// The group that may read its history besides those who may read all.
    pub(crate) readers: Option<String>,
    /// What it may, if not what the settings say.
    pub(crate) limits: TypedLimits,
    /// What is kept of its history, if not what the settings say.
    pub(crate) retain: TypedRetain,
    /// It drops files, and does not push.
    pub(crate) appliance: Option<TypedAppliance>,
    /// What is an alarm about it, if not what the settings say.
    pub(crate) tripwires: TypedTripwires,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    from: Option<Vec<String>>,
    hours: Option<Vec<u8>>,
    known_as: Option<String>,
    readers: Option<String>,
    retired: Option<String>,
    #[serde(default)]
    limits: TypedLimits,
    #[serde(default)]
    retain: TypedRetain,
    appliance: Option<TypedAppliance>,
    #[serde(default)]
    tripwires: TypedTripwires,
}

impl HostRecord {
    /// Reads the record of one host.
    pub(crate) fn read(settings: &Settings, host: &HostId) -> Result<Self, Trouble> {
        let reading = || Trouble::folder(format!("reading the record of {host}"));
        let path = path(settings, host);
        let name = file_name(host);
        let opened =
            Dir::open_root(&settings.hosts).and_then(|folder| folder.open_read(Name::new(name.as_bytes())?));
        let file = match opened {
            Err(error) if error.is_not_found() => return Ok(Self::default()),
            opened => opened.map_err(reading())?,
        };
        let read = cli::settings::load_open(&path, file, RECORD_BYTES_MAX)
            .and_then(|typed: Typed| typed.meant(&path));
        read.map_err(|source| Trouble::Record { host: host.clone(), source })
    }

    /// The hours at which the host is due.
    pub(crate) fn due<'a>(&'a self, settings: &'a Settings) -> &'a Hours {
        self.hours.as_ref().unwrap_or(&settings.hours)
    }

    /// The bytes of its file: nothing in it needs an escape.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if !self.from.is_empty() {
            let from: Vec<String> = self.from.iter().map(|network| format!("\"{network}\"")).collect();
            text.push_str(&format!("from = [{}]\n", from.join(", ")));
        }
        if let Some(hours) = &self.hours {
            text.push_str(&format!("hours = {:?}\n", hours.as_slice()));
        }
        if let Some(known_as) = &self.known_as {
            text.push_str(&format!("known_as = \"{known_as}\"\n"));
        }
        if let Some(readers) = &self.readers {
            text.push_str(&format!("readers = \"{readers}\"\n"));
        }
        if let Some(retired) = self.retired {
            text.push_str(&format!("retired = \"{}\"\n", stamp(retired)));
        }
        // A table goes on to the next one.
        text.push_str(&self.limits.text());
        text.push_str(&self.retain.text());
        text.push_str(&self.appliance.as_ref().map(TypedAppliance::text).unwrap_or_default());
        text.push_str(&self.tripwires.text());
        text
    }
}

impl Typed {
    fn meant(self, path: &Path) -> Result<HostRecord, SettingsError> {
        let hours = match self.hours {
            Some(hours) => {
                Some(Hours::new(&hours).map_err(|wrong| SettingsError::value(path, "hours", wrong))?)
            }
            None => None,
        };
        if let Some(name) = &self.known_as {
            known_as(name).map_err(|wrong| SettingsError::value(path, "known_as", wrong))?;
        }
        if let Some(group) = &self.readers {
            readers(group).map_err(|wrong| SettingsError::value(path, "readers", wrong))?;
        }
        let retired = self.retired.map(|text| {
            let wrong = || SettingsError::value(path, "retired", "must be like 2026-11-21T10:00:00Z");
            let time = DateTime::parse_from_rfc3339(&text).map_err(|_| wrong())?.with_timezone(&Utc);
            if stamp(time) == text { Ok(time) } else { Err(wrong()) }
        });
        self.limits.check(path, Place::Record)?;
        self.retain.check(path)?;
        self.appliance.as_ref().map_or(Ok(()), |appliance| appliance.check(path))?;
        self.tripwires.check(path)?;
        let from = self.from.map(|from| meant_from(path, &from)).transpose()?.unwrap_or_default();
        Ok(HostRecord {
            from,
            hours,
            known_as: self.known_as,
            readers: self.readers,
            retired: retired.transpose()?,
            limits: self.limits,
            retain: self.retain,
            appliance: self.appliance,
            tripwires: self.tripwires,
        })
    }
}

fn meant_from(path: &Path, texts: &[String]) -> Result<Vec<Network>, SettingsError> {
    let wrong = |what: String| SettingsError::value(path, "from", what);
    let mut from = Vec::new();
    for text in texts {
        let shown = cli::shown(text.as_bytes());
        let network: Network = text.parse().map_err(|error| wrong(format!("holds {shown}: {error}")))?;
        if network.to_string() != *text {
            return Err(wrong(format!("holds {shown}, which is written {network}")));
        }
        from.push(network);
    }
    networks(from).map_err(wrong)
}

/// Ascending; each once, one at least, and not too many.
pub(super) fn networks(mut from: Vec<Network>) -> Result<Vec<Network>, String> {
    let named = from.len();
    from.sort_unstable();
    from.dedup();
    if from.len() == named && (1..=FROM_MAX).contains(&named) {
        return Ok(from);
    }
    Err(format!("must be 1 to {FROM_MAX} addresses or networks, each once"))
}

/// Checks a name of the deployment. What it may hold needs no escape anywhere.
pub(super) fn known_as(name: &str) -> Result<(), String> {
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'`' | b'\\');
    if (1..=KNOWN_AS_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    Err(format!("must be 1 to {KNOWN_AS_BYTES_MAX} visible ASCII characters, without quotes and backslashes"))
}

/// Checks the name of a group. Directory services allow more than `groupadd` does.
pub(super) fn readers(name: &str) -> Result<(), String> {
    if known_as(name).is_ok() && !name.starts_with('-') && !name.contains([':', ',']) {
        return Ok(());
    }
    Err("must be the name of a group".to_owned())
}

/// Where the record of a host is.
pub(super) fn path(settings: &Settings, host: &HostId) -> PathBuf {
    settings.hosts.join(file_name(host))
}

fn file_name(host: &HostId) -> String {
    format!("{host}{SUFFIX}")
}

/// Whose record a file of this name is.
pub(super) fn host_of(name: &[u8]) -> Option<HostId> {
    let id = std::str::from_utf8(name).ok()?.strip_suffix(SUFFIX)?;
    HostId::parse(id).ok()
}

/// A time as records have it.
pub(super) fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
