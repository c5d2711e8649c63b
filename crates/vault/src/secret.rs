//! Credentials: from a file, a command or systemd, never from an argument or a variable, and never told to anyone but the provider.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{Result, VaultError};

/// Longest answer of a file or a command.
const SECRET_BYTES_MAX: u64 = 16 * 1024;
/// The mode bits of everyone but the owner.
const OTHERS: u32 = 0o077;

/// Where credentials come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    File(&'a Path),
    Command(&'a [String]),
    Systemd(&'a str),
}

/// What a provider asks for. Wiped from memory when dropped.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    pub(crate) access_key_id: Zeroizing<String>,
    pub(crate) secret_access_key: Zeroizing<String>,
    pub(crate) session_token: Option<Zeroizing<String>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// What credentials must look like, and how they are read. What they say is part of no error.
pub(crate) struct Form<T> {
    pub(crate) what: &'static str,
    pub(crate) parse: fn(&[u8]) -> Option<T>,
}

impl Credentials {
    /// Reads them.
    pub(crate) fn load(source: Source<'_>) -> Result<Credentials> {
        let what = "it must be the lines access_key_id = \"...\" and secret_access_key = \"...\"";
        load(source, &Form { what, parse: Credentials::parse })
    }

    /// Two lines of TOML.
    fn parse(bytes: &[u8]) -> Option<Credentials> {
        let credentials: Credentials = toml::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
        let visible = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        (visible(&credentials.access_key_id) && visible(&credentials.secret_access_key))
            .then_some(credentials)
    }
}

/// Reads credentials of any form.
pub(crate) fn load<T>(source: Source<'_>, form: &Form<T>) -> Result<T> {
    match source {
        Source::File(path) => of_file(path, form),
        Source::Command(argv) => of_command(argv, form),
        Source::Systemd(name) => of_file(&systemd(name)?, form),
    }
}

fn failed(from: &dyn fmt::Debug, what: &'static str, source: Option<io::Error>) -> VaultError {
    VaultError::Credentials { from: format!("{from:?}"), what, source }
}

fn systemd(name: &str) -> Result<PathBuf> {
    let what = "systemd passes no such credential: see LoadCredential= of the unit";
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let folder =
        std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).filter(|folder| folder.is_absolute());
    match folder {
        Some(folder) if name.bytes().all(plain) && !name.starts_with('.') && !name.is_empty() => {
            Ok(folder.join(name))
        }
        _ => Err(failed(&name, what, None)),
    }
}

fn of_file<T>(path: &Path, form: &Form<T>) -> Result<T> {
    let wrong = |what| failed(&path, what, None);
    let unread = |source| failed(&path, "the file could not be read", Some(source));
    let nofollow = i32::try_from((rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits())
        .unwrap_or_default();
    let file = File::options().read(true).custom_flags(nofollow).open(path).map_err(unread)?;
    // Asked of the open file, so that what is checked is what is read.
    let meta = file.metadata().map_err(unread)?;
    if !meta.is_file() {
        return Err(wrong("it is not a file"));
    }
    if meta.mode() & OTHERS != 0 {
        return Err(wrong("others than its owner may use the file"));
    }
    if meta.uid() != 0 && meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(wrong("the file belongs to another user"));
    }
    parse(file, &path, form)
}

fn of_command<T>(argv: &[String], form: &Form<T>) -> Result<T> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(failed(&argv, "the command is empty", None));
    };
    let unrun = |source| failed(&program, "the command could not be run", Some(source));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(unrun)?;
    // Closed before the wait, so that a command that prints without end ends.
    let read = child.stdout.take().map(|output| parse(output, &program, form));
    let status = child.wait().map_err(unrun)?;
    match read {
        Some(credentials) if status.success() => credentials,
        _ => Err(failed(&program, "the command failed", None)),
    }
}

fn parse<T>(from: impl Read, name: &dyn fmt::Debug, form: &Form<T>) -> Result<T> {
    // All the room at once: a buffer that grows leaves copies behind.
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(usize::try_from(SECRET_BYTES_MAX + 2).unwrap_or_default()));
    from.take(SECRET_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| failed(name, "it could not be read", Some(source)))?;
    let is_long = bytes.len() as u64 > SECRET_BYTES_MAX;
    let parsed = if is_long { None } else { (form.parse)(&bytes) };
    parsed.ok_or_else(|| failed(name, form.what, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const GOOD: &str = "access_key_id = \"AK\"\nsecret_access_key = \"hush/+\"\n";

    fn written(text: &str, mode: u32) -> (PathBuf, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s3");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (path, folder)
    }

    #[test]
    fn two_lines_of_the_owners_file_are_read_and_never_shown() {
        let (path, _folder) = written(GOOD, 0o600);
        let credentials = Credentials::load(Source::File(&path)).unwrap();
        assert_eq!((&**credentials.access_key_id, &**credentials.secret_access_key), ("AK", "hush/+"));
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o777] {
            let (path, _folder) = written(GOOD, mode);
            let error = Credentials::load(Source::File(&path)).unwrap_err();
            assert!(error.to_string().contains("others than its owner"), "{error}");
            assert_eq!(error.exit_code(), 36);
        }
    }

    #[test]
    fn no_error_says_what_the_file_says() {
        for text in [
            "access_key_id = \"AK\"\nsecret_access_key = hush",
            "access_key_id = \"AK\"\nsecret_access_key = \"hush\"\nhush = 1",
            "access_key_id = \"AK\"",
            "access_key_id = \"AK\"\nsecret_access_key = \"hush hush\"",
            "access_key_id = \"\"\nsecret_access_key = \"hush\"",
            "hush",
        ] {
            let (path, _folder) = written(text, 0o400);
            let error = Credentials::load(Source::File(&path)).unwrap_err();
            assert!(!format!("{error}{error:?}").contains("hush"), "{error:?}");
        }
    }

    #[test]
    fn a_command_is_run_without_a_shell_and_must_succeed() {
        let argv = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
        let good = argv(&format!("printf|%s|{GOOD}"));
        assert_eq!(&**Credentials::load(Source::Command(&good)).unwrap().access_key_id, "AK");
        for bad in ["false", "/nonexistent", "printf|$(id)", "yes"] {
            assert!(Credentials::load(Source::Command(&argv(bad))).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_systemd_credential_leads_nowhere_else() {
        for bad in ["../s3", "a/b", "", ".s3", "s3"] {
            // No unit of systemd runs this test.
            assert!(Credentials::load(Source::Systemd(bad)).is_err(), "{bad}");
        }
    }
}
