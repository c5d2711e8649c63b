//! The policy as typed, in the settings and in a host's record.

use std::path::Path;

use cli::settings::SettingsError;
use serde::Deserialize;

use super::Policy;

/// More than any history has.
const MOST: u32 = 100_000;

/// The table `[retain]`. What is absent is as it is for all hosts, or as this program has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedRetain {
    every_days: Option<u32>,
    daily: Option<u32>,
    weekly: Option<u32>,
    monthly: Option<u32>,
}

impl TypedRetain {
    /// Each value by itself.
    pub(crate) fn check(&self, path: &Path) -> Result<(), SettingsError> {
        match self.keys().into_iter().find(|(_, value)| value.is_some_and(|value| value > MOST)) {
            Some((key, _)) => Err(SettingsError::value(path, key, format!("must be at most {MOST}"))),
            None => Ok(()),
        }
    }

    /// What they mean, where the others say what these do not.
    pub(crate) fn meant(&self, others: &Self, reach_days: u32) -> Policy {
        Policy {
            every_days: self.every_days.or(others.every_days).unwrap_or(3),
            daily: self.daily.or(others.daily).unwrap_or(31),
            weekly: self.weekly.or(others.weekly).unwrap_or(13),
            monthly: self.monthly.or(others.monthly).unwrap_or(24),
            reach_days,
        }
    }

    /// The lines of a record; none if nothing is said.
    pub(crate) fn text(&self) -> String {
        let line = |(key, value): (&str, Option<u32>)| {
            Some(format!("{} = {}\n", key.strip_prefix("retain.").unwrap_or(key), value?))
        };
        let text: String = self.keys().into_iter().filter_map(line).collect();
        if text.is_empty() { text } else { format!("\n[retain]\n{text}") }
    }

    fn keys(&self) -> [(&'static str, Option<u32>); 4] {
        [
            ("retain.every_days", self.every_days),
            ("retain.daily", self.daily),
            ("retain.weekly", self.weekly),
            ("retain.monthly", self.monthly),
        ]
    }
}
