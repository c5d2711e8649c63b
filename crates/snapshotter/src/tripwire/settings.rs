//! `[tripwires]` as typed, in the settings and in a host's record, and as meant.

use std::path::Path;

use cli::settings::SettingsError;
use serde::Deserialize;

use crate::find::Pattern;

const CANARIES_MAX: usize = 32;
const CANARY_BYTES_MAX: usize = 200;
const LEAST_FILES_MAX: u32 = 1_000_000;

/// The table. What is absent is as it is for all hosts, or as this program has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedTripwires {
    changed: Option<u32>,
    deleted: Option<u32>,
    shrunken: Option<u32>,
    noise: Option<u32>,
    extension: Option<u32>,
    least_files: Option<u32>,
    canaries: Option<Vec<String>>,
}

/// What is an alarm for one host. Shares are per cent of its files; 0 is never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wires {
    pub(crate) changed: u32,
    pub(crate) deleted: u32,
    pub(crate) shrunken: u32,
    pub(crate) noise: u32,
    pub(crate) extension: u32,
    /// Fewer files than that are no alarm, whatever share they are.
    pub(crate) least_files: u64,
    /// What nobody has to touch.
    pub(crate) canaries: Vec<Pattern>,
}

impl TypedTripwires {
    /// Each value by itself.
    pub(crate) fn check(&self, path: &Path) -> Result<(), SettingsError> {
        let wrong = |key, what: String| Err(SettingsError::value(path, key, what));
        let shares = self.numbers().into_iter().filter(|(key, _)| *key != LEAST_FILES);
        for (key, value) in shares {
            if value.is_some_and(|percent| percent > 100) {
                return wrong(key, "must be per cent, from 0 (never) to 100".to_owned());
            }
        }
        if self.least_files.is_some_and(|files| !(1..=LEAST_FILES_MAX).contains(&files)) {
            return wrong(LEAST_FILES, format!("must be from 1 to {LEAST_FILES_MAX}"));
        }
        let canaries = self.canaries.as_deref().unwrap_or_default();
        if canaries.len() > CANARIES_MAX {
            return wrong(CANARIES, format!("must be at most {CANARIES_MAX}"));
        }
        for text in canaries {
            let fits = text.len() <= CANARY_BYTES_MAX && !text.chars().any(|c| c.is_control() || c == '\'');
            let why = match (fits, text.parse::<Pattern>()) {
                (true, Ok(_)) => continue,
                (true, Err(why)) => why.to_owned(),
                (false, _) => format!("must be one line of at most {CANARY_BYTES_MAX} bytes, without `'`"),
            };
            return wrong(CANARIES, format!("holds {}: {why}", cli::shown(text.as_bytes())));
        }
        Ok(())
    }

    /// What they mean, where the others say what these do not.
    pub(crate) fn meant(&self, others: &Self) -> Wires {
        let canaries = self.canaries.as_ref().or(others.canaries.as_ref());
        Wires {
            changed: self.changed.or(others.changed).unwrap_or(50),
            deleted: self.deleted.or(others.deleted).unwrap_or(40),
            shrunken: self.shrunken.or(others.shrunken).unwrap_or(20),
            noise: self.noise.or(others.noise).unwrap_or(5),
            extension: self.extension.or(others.extension).unwrap_or(10),
            least_files: self.least_files.or(others.least_files).unwrap_or(50).into(),
            canaries: canaries.into_iter().flatten().filter_map(|text| text.parse().ok()).collect(),
        }
    }

    /// The lines of a record; none if nothing is said.
    pub(crate) fn text(&self) -> String {
        let name = |key: &'static str| key.strip_prefix(TABLE).unwrap_or(key);
        let line = |(key, value): (&'static str, Option<u32>)| Some(format!("{} = {}\n", name(key), value?));
        let mut text: String = self.numbers().into_iter().filter_map(line).collect();
        if let Some(canaries) = &self.canaries {
            let quoted: Vec<String> = canaries.iter().map(|text| format!("'{text}'")).collect();
            text.push_str(&format!("{} = [{}]\n", name(CANARIES), quoted.join(", ")));
        }
        if text.is_empty() { text } else { format!("\n[tripwires]\n{text}") }
    }

    fn numbers(&self) -> [(&'static str, Option<u32>); 6] {
        [
            ("tripwires.changed", self.changed),
            ("tripwires.deleted", self.deleted),
            ("tripwires.shrunken", self.shrunken),
            ("tripwires.noise", self.noise),
            ("tripwires.extension", self.extension),
            (LEAST_FILES, self.least_files),
        ]
    }
}

const TABLE: &str = "tripwires.";
const LEAST_FILES: &str = "tripwires.least_files";
const CANARIES: &str = "tripwires.canaries";

#[cfg(test)]
impl TypedTripwires {
    pub(crate) fn of_canaries(canaries: &[&str]) -> Self {
        let canaries = Some(canaries.iter().map(|text| (*text).to_owned()).collect());
        Self { canaries, ..Self::default() }
    }
}
