//! What one host may send, when, and how much of it is kept: as typed in the settings and in a host's record, and as meant.

use std::path::Path;

use cli::settings::SettingsError;
use formats::limits::EMERGENCIES;
use formats::published::{Limits, Sandbox};
use formats::{Admission, OpenHours};
use serde::Deserialize;

/// All that can be typed. What is absent is as it is for all hosts, or as this program has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedLimits {
    push_bytes: Option<u64>,
    expanded_bytes: Option<u64>,
    soft_bytes: Option<u64>,
    entries: Option<u64>,
    soft_entries: Option<u64>,
    history_bytes: Option<u64>,
    history_soft_bytes: Option<u64>,
    queued_pushes: Option<u64>,
    push_hours: Option<Vec<u8>>,
    interval_seconds: Option<u64>,
    emergency_pushes: Option<u64>,
    session_seconds: Option<u64>,
    idle_seconds: Option<u64>,
    grace_seconds: Option<u64>,
    least_bytes_second: Option<u64>,
    free_bytes: Option<u64>,
    free_inodes: Option<u64>,
    ingest_memory_bytes: Option<u64>,
    decoder_memory_bytes: Option<u64>,
    decoder_cpu_seconds: Option<u64>,
}

/// Where limits are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the settings, for all hosts.
    Settings,
    /// In the record of one.
    Record,
}

/// What one host may: meant, with nothing left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// What one push may be.
    pub(crate) limits: Limits,
    /// When it may come, and what it may come to. Without what is counted.
    pub(crate) admission: Admission,
    /// Inodes of the server's file system that no push may use.
    pub(crate) free_inodes: u64,
}

/// A key whose value is a number.
struct Number {
    /// As errors name it.
    path: &'static str,
    least: u64,
    most: u64,
    /// False for what is the server's own.
    is_of_host: bool,
    of: fn(&mut TypedLimits) -> &mut Option<u64>,
}

const U32: u64 = u32::MAX as u64;
/// TOML has no larger integer.
const I64: u64 = i64::MAX as u64;
/// Enough for logs, states and repairs; about what the default of `free_bytes` is where a file system has an inode for each 100 KiB.
const FREE_INODES: u64 = 10_000;
/// With less, not even a small push is judged.
const INGEST_MEMORY_LEAST: u64 = 64 << 20;
const HOURS_KEY: &str = "push_hours";

const fn number(
    path: &'static str,
    least: u64,
    most: u64,
    of: fn(&mut TypedLimits) -> &mut Option<u64>,
) -> Number {
    Number { path, least, most, is_of_host: true, of }
}

const fn of_server(path: &'static str, of: fn(&mut TypedLimits) -> &mut Option<u64>) -> Number {
    Number { path, least: 0, most: I64, is_of_host: false, of }
}

/// All keys but the hours, in the order in which a record has them.
const NUMBERS: [Number; 19] = [
    number("limits.push_bytes", 0, I64, |typed| &mut typed.push_bytes),
    number("limits.expanded_bytes", 0, I64, |typed| &mut typed.expanded_bytes),
    number("limits.soft_bytes", 0, I64, |typed| &mut typed.soft_bytes),
    number("limits.entries", 0, I64, |typed| &mut typed.entries),
    number("limits.soft_entries", 0, I64, |typed| &mut typed.soft_entries),
    number("limits.history_bytes", 0, I64, |typed| &mut typed.history_bytes),
    number("limits.history_soft_bytes", 0, I64, |typed| &mut typed.history_soft_bytes),
    number("limits.queued_pushes", 1, U32, |typed| &mut typed.queued_pushes),
    number("limits.interval_seconds", 0, U32, |typed| &mut typed.interval_seconds),
    number("limits.emergency_pushes", 0, EMERGENCIES as u64, |typed| &mut typed.emergency_pushes),
    number("limits.session_seconds", 0, U32, |typed| &mut typed.session_seconds),
    number("limits.idle_seconds", 0, U32, |typed| &mut typed.idle_seconds),
    number("limits.grace_seconds", 0, U32, |typed| &mut typed.grace_seconds),
    number("limits.least_bytes_second", 0, U32, |typed| &mut typed.least_bytes_second),
    of_server("limits.free_bytes", |typed| &mut typed.free_bytes),
    of_server("limits.free_inodes", |typed| &mut typed.free_inodes),
    Number {
        least: INGEST_MEMORY_LEAST,
        ..of_server("limits.ingest_memory_bytes", |typed| &mut typed.ingest_memory_bytes)
    },
    of_server("limits.decoder_memory_bytes", |typed| &mut typed.decoder_memory_bytes),
    of_server("limits.decoder_cpu_seconds", |typed| &mut typed.decoder_cpu_seconds),
];

/// One limit of a host, to be set or taken out of its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitChange {
    key: &'static str,
    value: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Number(u64),
    Hours(Vec<u8>),
}

impl TypedLimits {
    /// Each value by itself, and those that belong together.
    pub(crate) fn check(&self, path: &Path, place: Place) -> Result<(), SettingsError> {
        let wrong = |key, what: String| Err(SettingsError::value(path, key, what));
        for number in &NUMBERS {
            match self.number(number) {
                Some(_) if place == Place::Record && !number.is_of_host => {
                    return wrong(number.path, "is the server's, not a host's".to_owned());
                }
                Some(value) if !(number.least..=number.most).contains(&value) => {
                    return wrong(number.path, number.bounds());
                }
                _ => {}
            }
        }
        if self.push_hours.as_ref().is_some_and(|hours| open_hours(hours).is_none()) {
            return wrong("limits.push_hours", HOURS_WRONG.to_owned());
        }
        for (soft, hard, key) in [
            (self.soft_bytes, self.expanded_bytes, "limits.soft_bytes"),
            (self.soft_entries, self.entries, "limits.soft_entries"),
            (self.history_soft_bytes, self.history_bytes, "limits.history_soft_bytes"),
        ] {
            if let (Some(soft), Some(hard)) = (soft, hard)
                && soft > hard
            {
                return wrong(key, "must not be above its hard limit".to_owned());
            }
        }
        Ok(())
    }

    fn number(&self, number: &Number) -> Option<u64> {
        *(number.of)(&mut self.clone())
    }

    /// These, and where they say nothing, the others.
    pub(crate) fn or(&self, others: &Self) -> Self {
        let mut both = self.clone();
        for number in &NUMBERS {
            let other = others.number(number);
            let place = (number.of)(&mut both);
            *place = place.or(other);
        }
        both.push_hours = both.push_hours.or_else(|| others.push_hours.clone());
        both
    }

    /// What they mean. Call [`TypedLimits::check`] first: a number that is too large counts as the largest.
    pub(crate) fn meant(&self, sandbox: Sandbox) -> Allowed {
        let (own, free) = (Limits::default(), Admission::default());
        let small = |typed: Option<u64>, own: u32| {
            typed.map_or(own, |typed| u32::try_from(typed).unwrap_or(u32::MAX))
        };
        let limits = Limits {
            push_bytes: self.push_bytes.unwrap_or(own.push_bytes),
            expanded_bytes: self.expanded_bytes.unwrap_or(own.expanded_bytes),
            entries: self.entries.unwrap_or(own.entries),
            free_bytes: self.free_bytes.unwrap_or(own.free_bytes),
            queued_pushes: small(self.queued_pushes, own.queued_pushes),
            session_seconds: small(self.session_seconds, own.session_seconds),
            idle_seconds: small(self.idle_seconds, own.idle_seconds),
            sandbox,
        };
        // A budget that nobody is warned of in time would stop a host from one push to the next.
        let four_fifths = self.history_bytes.map_or(free.history_soft_bytes, |bytes| bytes - bytes / 5);
        let hours = self.push_hours.as_deref().and_then(open_hours);
        let admission = Admission {
            hours: hours.unwrap_or(free.hours),
            interval_seconds: small(self.interval_seconds, free.interval_seconds),
            emergency_pushes: self
                .emergency_pushes
                .map_or(free.emergency_pushes, |most| u8::try_from(most).unwrap_or(u8::MAX)),
            grace_seconds: small(self.grace_seconds, free.grace_seconds),
            least_bytes_second: small(self.least_bytes_second, free.least_bytes_second),
            soft_bytes: self.soft_bytes.unwrap_or(free.soft_bytes),
            soft_entries: self.soft_entries.unwrap_or(free.soft_entries),
            history_bytes: self.history_bytes.unwrap_or(free.history_bytes),
            history_soft_bytes: self.history_soft_bytes.unwrap_or(four_fifths),
            ..free
        };
        Allowed { limits, admission, free_inodes: self.free_inodes.unwrap_or(FREE_INODES) }
    }

    /// Memory of the process that judges a push.
    pub(crate) fn ingest_memory_bytes(&self) -> Option<u64> {
        self.ingest_memory_bytes
    }

    /// Memory of a decoder.
    pub(crate) fn decoder_memory_bytes(&self) -> Option<u64> {
        self.decoder_memory_bytes
    }

    /// Processor time of a decoder.
    pub(crate) fn decoder_cpu_seconds(&self) -> Option<u64> {
        self.decoder_cpu_seconds
    }

    /// Sets one, or takes it out.
    pub(crate) fn change(&mut self, change: &LimitChange) {
        match (&change.value, NUMBERS.iter().find(|number| number.key() == change.key)) {
            (Some(Value::Number(value)), Some(number)) => *(number.of)(self) = Some(*value),
            (None, Some(number)) => *(number.of)(self) = None,
            (Some(Value::Hours(hours)), None) => self.push_hours = Some(hours.clone()),
            _ => self.push_hours = None,
        }
    }

    /// The lines of a record; none if nothing is said.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for number in &NUMBERS {
            if let Some(value) = self.number(number) {
                text.push_str(&format!("{} = {value}\n", number.key()));
            }
        }
        if let Some(hours) = &self.push_hours {
            text.push_str(&format!("{HOURS_KEY} = {hours:?}\n"));
        }
        if text.is_empty() { text } else { format!("\n[limits]\n{text}") }
    }

    /// For machines: what is said, by key.
    pub(crate) fn json(&self) -> serde_json::Value {
        let numbers =
            NUMBERS.iter().filter_map(|number| Some((number.key().to_owned(), self.number(number)?.into())));
        let hours = self.push_hours.iter().map(|hours| (HOURS_KEY.to_owned(), hours.clone().into()));
        serde_json::Value::Object(numbers.chain(hours).collect())
    }
}

const HOURS_WRONG: &str = "must be hours from 0 to 23, UTC, at least one, each once, ascending";

/// None unless they are ascending hours of a day: each state has one text.
fn open_hours(hours: &[u8]) -> Option<OpenHours> {
    let ascending = hours.iter().zip(hours.iter().skip(1)).all(|(hour, next)| hour < next);
    OpenHours::of(hours.iter().copied()).filter(|_| ascending)
}

impl Number {
    /// As it is typed.
    fn key(&self) -> &'static str {
        self.path.strip_prefix("limits.").unwrap_or(self.path)
    }

    fn bounds(&self) -> String {
        format!("must be from {} to {}", self.least, self.most)
    }
}

/// `KEY=VALUE`; `KEY=` takes the limit out.
impl std::str::FromStr for LimitChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE, or KEY= to take it out")?;
        if key == HOURS_KEY {
            let hours: Option<Vec<u8>> =
                value.split(',').take(25).map(|hour| digits(hour)?.try_into().ok()).collect();
            let hours = hours.filter(|hours| open_hours(hours).is_some());
            return match (value, hours) {
                ("", _) => Ok(Self { key: HOURS_KEY, value: None }),
                (_, Some(hours)) => Ok(Self { key: HOURS_KEY, value: Some(Value::Hours(hours)) }),
                _ => Err(HOURS_WRONG.to_owned()),
            };
        }
        let known = NUMBERS.iter().find(|number| number.is_of_host && number.key() == key);
        let number = known.ok_or_else(|| {
            let keys: Vec<_> =
                NUMBERS.iter().filter(|number| number.is_of_host).map(|number| number.key()).collect();
            format!("the keys are {}, {HOURS_KEY}", keys.join(", "))
        })?;
        if value.is_empty() {
            return Ok(Self { key: number.key(), value: None });
        }
        let fits = digits(value).filter(|value| (number.least..=number.most).contains(value));
        let value = fits.ok_or_else(|| number.bounds())?;
        Ok(Self { key: number.key(), value: Some(Value::Number(value)) })
    }
}

/// Digits only, so that one number has one text.
fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
