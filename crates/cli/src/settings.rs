//! Reading a settings file. What it does not know it refuses, by file, line, column and key.
//!
//! The structs that settings are read into must carry `#[serde(deny_unknown_fields)]`.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::text::shown;

/// Longest settings file, in bytes.
const SETTINGS_BYTES_MAX: u64 = 1024 * 1024;
/// The mode bit that lets everyone write.
const WRITABLE_BY_ALL: u32 = 0o002;

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no such file.
    #[error("{}: there is no such settings file", name(.path))]
    Missing {
        /// The file that was looked for.
        path: PathBuf,
        /// The least such a file must say, shown as advice.
        example: Option<&'static str>,
    },
    /// It is there, but could not be read.
    #[error("{}: failed to read the settings", name(.path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Everyone on this machine may write it.
    #[error("{}: everyone on this machine may change these settings (mode {mode:04o})", name(.path))]
    WritableByAll {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is longer than any settings file.
    #[error("{}: longer than {bytes_max} bytes", name(.path))]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The longest it may be.
        bytes_max: u64,
    },
    /// One place in it is wrong: not TOML, an unknown key, a missing key, a value of another type.
    #[error("{}:{line}:{column}: {what}", name(.path))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// A value is of the right type, but cannot be used.
    #[error("{}: `{key}` {what}", name(.path))]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, dotted: `server.port`.
        key: &'static str,
        /// What is wrong and what was expected, as the end of a sentence that begins with the key.
        what: String,
    },
}

impl SettingsError {
    /// A value that a program checked by itself and cannot use: `"roots" must be absolute paths, and "etc" is not`.
    pub fn value(path: &Path, key: &'static str, what: impl Into<String>) -> SettingsError {
        SettingsError::Value { path: path.to_owned(), key, what: what.into() }
    }

    /// The same error. If the file is missing, its advice now shows the least such a file must say.
    #[must_use]
    pub fn with_example(self, example: &'static str) -> SettingsError {
        match self {
            SettingsError::Missing { path, .. } => SettingsError::Missing { path, example: Some(example) },
            other => other,
        }
    }
}

impl Failure for SettingsError {
    fn exit(&self) -> Exit {
        Exit::USAGE
    }

    fn advice(&self) -> Option<String> {
        match self {
            SettingsError::Missing { path, example } => {
                let mut advice = format!("write {}, or name another file with --config", name(path));
                if let Some(example) = example {
                    advice.push_str("; the least it must say:\n");
                    advice.push_str(example);
                }
                Some(advice)
            }
            SettingsError::WritableByAll { path, .. } => Some(format!("chmod o-w {}", name(path))),
            _ => None,
        }
    }
}

/// Reads `path` into `T`.
///
/// # Errors
/// [`SettingsError`], whose code is 2.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, SettingsError> {
    load_with_metadata(path).map(|(settings, _)| settings)
}

/// As [`load`]; and what the file was that was read, whatever is at `path` by then.
///
/// # Errors
/// [`SettingsError`], whose code is 2.
pub fn load_with_metadata<T: DeserializeOwned>(path: &Path) -> Result<(T, Metadata), SettingsError> {
    let file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => SettingsError::Missing { path: path.to_owned(), example: None },
        _ => SettingsError::Unreadable { path: path.to_owned(), source },
    })?;
    let meta =
        file.metadata().map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
    Ok((load_open(path, file, SETTINGS_BYTES_MAX)?, meta))
}

/// Reads an open file of at most `bytes_max` bytes into `T`, by the same rules; `path` is only how its errors name it.
///
/// # Errors
/// [`SettingsError`], whose code is 2.
pub fn load_open<T: DeserializeOwned>(path: &Path, file: File, bytes_max: u64) -> Result<T, SettingsError> {
    let text = read(path, file, bytes_max)?;
    parse(path, &text)
}

fn read(path: &Path, file: File, bytes_max: u64) -> Result<String, SettingsError> {
    let unreadable = |source| SettingsError::Unreadable { path: path.to_owned(), source };
    // Asked of the open file, so that what is checked is what is read.
    let meta = file.metadata().map_err(unreadable)?;
    if meta.is_file() && meta.mode() & WRITABLE_BY_ALL != 0 {
        return Err(SettingsError::WritableByAll { path: path.to_owned(), mode: meta.mode() & 0o7777 });
    }
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > bytes_max {
        return Err(SettingsError::TooLong { path: path.to_owned(), bytes_max });
    }
    String::from_utf8(bytes).map_err(|error| {
        let (line, column) = place(error.as_bytes(), error.utf8_error().valid_up_to());
        SettingsError::Wrong { path: path.to_owned(), line, column, what: "not UTF-8 text".to_owned() }
    })
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, SettingsError> {
    toml::from_str(text).map_err(|mut error| {
        let at = error.span().map_or(0, |span| span.start);
        let (line, column) = place(text.as_bytes(), at);
        // Without the input the error prints two lines: the message, and the key it was met in.
        error.set_input(None);
        let whole = error.to_string();
        let key = whole.lines().rev().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'));
        let what = sentence(error.message(), key);
        SettingsError::Wrong { path: path.to_owned(), line, column, what }
    })
}

/// The parser's message in the words of this project.
fn sentence(message: &str, key: Option<&str>) -> String {
    let lines: Vec<&str> = message.lines().collect();
    let message =
        lines.join(", ").replace("unknown field", "unknown key").replace("missing field", "missing key");
    match key {
        Some(key) if !message.contains(&format!("`{key}`")) => format!("{message} (in `{key}`)"),
        _ => message,
    }
}

/// Line and column of byte `at`, both from 1.
fn place(text: &[u8], at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}

fn name(path: &Path) -> String {
    shown(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only the reading is tested")]
    struct Push {
        host: Option<String>,
        roots: Vec<String>,
        server: Server,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only the reading is tested")]
    struct Server {
        address: String,
        port: u16,
    }

    const GOOD: &str = "roots = [\"/etc\"]\n\n[server]\naddress = \"127.0.0.1\"\nport = 22\n";

    fn refusal(text: &str) -> String {
        let error = parse::<Push>(Path::new("push.toml"), text).unwrap_err();
        assert_eq!(error.exit(), Exit::USAGE);
        error.to_string()
    }

    fn in_file(bytes: &[u8], mode: u32) -> Result<Push, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("push.toml");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        load(&path)
    }

    #[test]
    fn good_settings_are_read() {
        let push = in_file(GOOD.as_bytes(), 0o644).unwrap();
        assert_eq!(push.roots, ["/etc"]);
        assert_eq!(push.server.port, 22);
    }

    #[test]
    fn an_unknown_key_is_refused_by_file_line_column_and_what_was_expected() {
        assert_eq!(
            refusal(&format!("hots = \"web01\"\n{GOOD}")),
            "push.toml:1:1: unknown key `hots`, expected one of `host`, `roots`, `server`"
        );
        assert_eq!(
            refusal(&format!("{GOOD}prot = 23\n")),
            "push.toml:6:1: unknown key `prot`, expected `address` or `port` (in `server`)"
        );
    }

    #[test]
    fn a_missing_key_names_itself_and_its_table() {
        let text = refusal("roots = []\n\n[server]\nport = 22\n");
        assert_eq!(text, "push.toml:3:1: missing key `address` (in `server`)");
    }

    #[test]
    fn a_value_of_another_type_names_its_key() {
        let text = refusal(&GOOD.replace("22", "\"ssh\""));
        assert_eq!(text, "push.toml:5:8: invalid type: string \"ssh\", expected u16 (in `server.port`)");
    }

    #[test]
    fn what_is_no_toml_is_refused_where_it_stops_making_sense() {
        let text = refusal("roots = [\n");
        assert!(text.starts_with("push.toml:"), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }

    #[test]
    fn a_missing_file_is_named_with_how_to_make_it() {
        let path = Path::new("/nonexistent/push.toml");
        let error = load::<Push>(path).unwrap_err().with_example("roots = [\"/etc\"]");
        assert_eq!(error.to_string(), "/nonexistent/push.toml: there is no such settings file");
        assert!(error.advice().unwrap().ends_with("roots = [\"/etc\"]"));
        assert_eq!(error.exit(), Exit::USAGE);
    }

    #[test]
    fn settings_that_everyone_may_change_are_refused() {
        let error = in_file(GOOD.as_bytes(), 0o646).unwrap_err();
        assert!(matches!(error, SettingsError::WritableByAll { mode: 0o646, .. }), "{error}");
        assert!(in_file(GOOD.as_bytes(), 0o660).is_ok());
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_by_their_place() {
        let error = in_file(b"roots = []\n# \xff\n", 0o600).unwrap_err();
        assert!(error.to_string().ends_with("push.toml:2:3: not UTF-8 text"), "{error}");
    }

    #[test]
    fn a_file_longer_than_any_settings_is_refused_before_it_is_parsed() {
        let error = in_file(&vec![b'#'; 1024 * 1024 + 1], 0o600).unwrap_err();
        assert!(matches!(error, SettingsError::TooLong { .. }));
    }

    #[test]
    fn a_folder_in_place_of_the_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(load::<Push>(folder.path()).unwrap_err(), SettingsError::Unreadable { .. }));
    }
}
