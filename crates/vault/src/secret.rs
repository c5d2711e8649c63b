//! Credentials: from a file, a command or systemd, never from an argument or a variable, and never told to anyone but the provider.
//!
//! What is read here lies in memory that is wiped when it is dropped: the bytes read, and each value. Copies that the SDK makes while it signs are
//! not ours to wipe; docs/threat-model.md names them.

mod command;
mod lines;
pub(crate) mod renewed;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use self::command::Trouble;
use crate::{Result, VaultError};

/// The mode bits of everyone but the owner.
const OTHERS: u32 = 0o077;

/// Where credentials come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    File(&'a Path),
    Command(&'a [String]),
    Systemd(&'a str),
}

/// The same, to be kept.
#[derive(Debug, Clone)]
pub(crate) enum SourceBuf {
    File(PathBuf),
    Command(Vec<String>),
    Systemd(String),
}

impl Source<'_> {
    pub(crate) fn to_owned(self) -> SourceBuf {
        match self {
            Source::File(path) => SourceBuf::File(path.to_owned()),
            Source::Command(argv) => SourceBuf::Command(argv.to_owned()),
            Source::Systemd(name) => SourceBuf::Systemd(name.to_owned()),
        }
    }
}

impl SourceBuf {
    pub(crate) fn borrowed(&self) -> Source<'_> {
        match self {
            SourceBuf::File(path) => Source::File(path),
            SourceBuf::Command(argv) => Source::Command(argv),
            SourceBuf::Systemd(name) => Source::Systemd(name),
        }
    }
}

/// What a provider asks for. Wiped from memory when dropped.
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
        load(source, &Form { what, parse: lines::parse })
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
    let bytes = lines::read(file, || Ok(())).map_err(unread)?;
    parsed(&bytes, &path, form)
}

fn of_command<T>(argv: &[String], form: &Form<T>) -> Result<T> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(failed(&argv, "the command is empty", None));
    };
    let bytes = command::output(program, arguments, command::WAIT).map_err(|trouble| match trouble {
        Trouble::Run(source) => failed(&program, "the command could not be run", Some(source)),
        Trouble::TooLong => failed(&program, "the command took longer than 30 seconds, and was ended", None),
        Trouble::Failed => failed(&program, "the command failed", None),
    })?;
    parsed(&bytes, &program, form)
}

/// What the text says is part of no error.
fn parsed<T>(bytes: &[u8], name: &dyn fmt::Debug, form: &Form<T>) -> Result<T> {
    (form.parse)(bytes).ok_or_else(|| failed(name, form.what, None))
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
