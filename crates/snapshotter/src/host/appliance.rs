//! A host that cannot run push-client and drops files by SFTP instead: what its record says, and what sshd lets its account do.

use std::path::Path;

use cli::settings::SettingsError;
use serde::Deserialize;

use crate::find::Pattern;
use crate::settings::Settings;

/// The only folder of its jail that the account can write to; it can neither list it nor read what is in it.
pub(crate) const DROP: &str = "drop";
/// Where files lie that were moved out of `drop` and are not copied yet: root's alone.
pub(crate) const LEAVING: &str = "leaving";
/// What sshd runs in place of a shell. Only these requests are answered, whatever others there may be some day: no reading, listing, removing, linking,
/// no folders and no modes.
pub(crate) const COMMAND: &str = "internal-sftp -d /drop -u 0077 -p open,close,write,lstat,fstat,stat,realpath,rename,posix-rename,fsync,limits";

const QUIET_SECONDS: u32 = 120;
const QUIET_SECONDS_MAX: u32 = 86_400;
const KEEP_DAYS: u32 = 31;
const KEEP_DAYS_MAX: u32 = 3_650;
/// Under which programs upload what they rename when it is whole.
const IGNORE: [&str; 3] = ["*.part", "*.filepart", "*.tmp"];
const IGNORE_MAX: usize = 32;

/// The table `[appliance]` of a record. What is absent is as this program has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedAppliance {
    quiet_seconds: Option<u32>,
    keep_days: Option<u32>,
    ignore: Option<Vec<String>>,
}

/// What it means.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    /// A file that nothing happened to for so long may be taken.
    pub(crate) quiet_seconds: u32,
    /// So long a file stays in the newest state without being dropped anew.
    pub(crate) keep_days: u32,
    /// Names of files that are not whole.
    pub(crate) ignore: Vec<Pattern>,
}

impl TypedAppliance {
    /// Each value by itself.
    pub(crate) fn check(&self, path: &Path) -> Result<(), SettingsError> {
        let wrong = |key: &'static str, what: String| Err(SettingsError::value(path, key, what));
        let fits = |value: Option<u32>, most: u32| value.is_none_or(|value| (1..=most).contains(&value));
        if !fits(self.quiet_seconds, QUIET_SECONDS_MAX) {
            return wrong("appliance.quiet_seconds", format!("must be from 1 to {QUIET_SECONDS_MAX}"));
        }
        if !fits(self.keep_days, KEEP_DAYS_MAX) {
            return wrong("appliance.keep_days", format!("must be from 1 to {KEEP_DAYS_MAX}"));
        }
        let Some(ignore) = &self.ignore else { return Ok(()) };
        if ignore.len() > IGNORE_MAX {
            return wrong("appliance.ignore", format!("must be {IGNORE_MAX} patterns at most"));
        }
        for text in ignore {
            if let Err(why) = pattern(text) {
                return wrong("appliance.ignore", format!("holds {}: {why}", cli::shown(text.as_bytes())));
            }
        }
        Ok(())
    }

    /// What they mean; they were checked.
    pub(crate) fn meant(&self) -> Manner {
        let usual = || IGNORE.map(str::to_owned).to_vec();
        let ignore = self.ignore.clone().unwrap_or_else(usual);
        Manner {
            quiet_seconds: self.quiet_seconds.unwrap_or(QUIET_SECONDS),
            keep_days: self.keep_days.unwrap_or(KEEP_DAYS),
            ignore: ignore.iter().filter_map(|text| pattern(text).ok()).collect(),
        }
    }

    /// The lines of a record: that it is there says that the host is an appliance.
    pub(super) fn text(&self) -> String {
        let mut text = "\n[appliance]\n".to_owned();
        let numbers = [("quiet_seconds", self.quiet_seconds), ("keep_days", self.keep_days)];
        for (key, value) in numbers.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            text.push_str(&format!("{key} = {value}\n"));
        }
        if let Some(ignore) = &self.ignore {
            let quoted: Vec<String> = ignore.iter().map(|text| format!("\"{text}\"")).collect();
            text.push_str(&format!("ignore = [{}]\n", quoted.join(", ")));
        }
        text
    }
}

/// One name with `*` and `?`; nothing in it needs an escape in a record.
fn pattern(text: &str) -> Result<Pattern, &'static str> {
    if text.contains(['"', '\\', '/']) || !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
        return Err("must be visible ASCII characters, without quotes, backslashes and slashes");
    }
    text.parse()
}

/// By which sshd tells the accounts of appliances from those that push.
pub(crate) fn group(settings: &Settings) -> String {
    format!("{}drop", settings.account_prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_says_of_an_appliance_is_written_as_it_was_read() {
        #[derive(Deserialize)]
        struct Record {
            appliance: TypedAppliance,
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fw1.toml");
        for text in [
            "\n[appliance]\n",
            "\n[appliance]\nquiet_seconds = 5\nkeep_days = 400\nignore = [\"*.new\", \"a b?\"]\n",
            "\n[appliance]\nignore = []\n",
        ] {
            std::fs::write(&path, text).unwrap();
            let read: Record = cli::settings::load(&path).unwrap();
            read.appliance.check(&path).unwrap();
            assert_eq!(read.appliance.text(), text);
        }
    }

    #[test]
    fn half_files_are_known_by_their_names_and_wrong_values_are_refused() {
        let manner = TypedAppliance::default().meant();
        let is_ignored = |name: &[u8]| manner.ignore.iter().any(|pattern| pattern.wants(name));
        assert!(is_ignored(b"a.part") && is_ignored(b"a.cfg.filepart") && !is_ignored(b"part.cfg"));
        let bad = [
            TypedAppliance { quiet_seconds: Some(0), ..TypedAppliance::default() },
            TypedAppliance { keep_days: Some(4_000), ..TypedAppliance::default() },
            TypedAppliance { ignore: Some(vec!["a\"b".to_owned()]), ..TypedAppliance::default() },
            TypedAppliance { ignore: Some(vec!["a/b".to_owned()]), ..TypedAppliance::default() },
            TypedAppliance { ignore: Some(vec!["*".to_owned(); 33]), ..TypedAppliance::default() },
        ];
        for typed in bad {
            typed.check(Path::new("x")).unwrap_err();
        }
    }
}
