//! How the ice of a host stands, from what iceboxer has published.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use formats::HostId;
use formats::records::standing::{DrillsKnown, StandingIce, StandingRecord};
use history::Log;

use super::verdict::{Content, Ice, VaultIce};
use crate::settings::Settings;
use crate::standing;

/// All that is known about ice.
#[derive(Debug)]
pub(crate) enum Published {
    /// Nothing: there is no such file.
    Nothing,
    /// There is one, and it cannot be used.
    Unreadable(String),
    /// What the file says.
    Standing(Box<Standing>),
}

/// The file, by host.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) written: String,
    vaults: Vec<String>,
    drills: DrillsKnown,
    ices: HashMap<HostId, Vec<StandingIce>>,
}

impl Published {
    /// Reads the file that the settings name.
    pub(crate) fn read(settings: &Settings) -> Self {
        match standing::read(settings) {
            Ok(None) => Published::Nothing,
            Ok(Some(record)) => Published::Standing(Box::new(Standing::of(record))),
            Err(why) => Published::Unreadable(why),
        }
    }

    /// Its ice in each vault of iceboxer's settings; none if nothing is known.
    pub(crate) fn ice(&self, host: &HostId, log: Option<&Log>) -> Option<Vec<VaultIce>> {
        let Published::Standing(standing) = self else { return None };
        let ices = standing.ices.get(host).map(Vec::as_slice).unwrap_or_default();
        let of_vault = |vault: &String| VaultIce {
            vault: vault.clone(),
            newest: ices.iter().find(|ice| ice.vault == *vault).and_then(|ice| facts(ice, log)),
        };
        Some(standing.vaults.iter().map(of_vault).collect())
    }

    /// When its ice was last proved, in whichever vault; none if no drill records are read.
    pub(crate) fn drill(&self, host: &HostId) -> Option<Option<DateTime<Utc>>> {
        let Published::Standing(standing) = self else { return None };
        if standing.drills == DrillsKnown::Unknown {
            return None;
        }
        let ices = standing.ices.get(host).into_iter().flatten();
        Some(ices.filter_map(|ice| time(&ice.proved.as_ref()?.drilled)).max())
    }
}

impl Standing {
    fn of(record: StandingRecord) -> Self {
        let mut ices: HashMap<HostId, Vec<StandingIce>> = HashMap::new();
        for ice in record.ices {
            ices.entry(ice.host.clone()).or_default().push(ice);
        }
        Self { written: record.written, vaults: record.vaults, drills: record.drills, ices }
    }
}

fn facts(ice: &StandingIce, log: Option<&Log>) -> Option<Ice> {
    let iced = log.and_then(|log| log.known(&ice.snapshot.parse().ok()?)).map(|snapshot| snapshot.root);
    let newest = log.and_then(Log::latest).map(|snapshot| snapshot.root);
    let content = if iced.is_some() && iced == newest { Content::Newest } else { Content::Older };
    let (stored, retain_until) = (time(&ice.stored)?, time(&ice.retain_until)?);
    Some(Ice { stored, retain_until, content, damage: ice.damage })
}

/// A time as records have it.
pub(crate) fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}
