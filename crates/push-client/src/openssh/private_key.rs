//! Our private key: read once, checked for everything that would make a login fail without a reason.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cli::{Exit, Failure};

use super::{ED25519, base64, take_string};

/// Longest key file, in bytes. An ed25519 key takes about 400.
const KEY_BYTES_MAX: u64 = 16 * 1024;
const FIRST_LINE: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const LAST_LINE: &str = "-----END OPENSSH PRIVATE KEY-----";

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("key {}: {what}", cli::shown(path.as_os_str().as_encoded_bytes()))]
pub struct KeyError {
    path: PathBuf,
    what: Wrong,
    source: Option<io::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Missing,
    Unreadable,
    Mode(u32),
    Owner(u32),
    NotOpenSsh,
    Passphrase,
    Kind,
    Layout,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Missing => f.write_str("there is no such file"),
            Wrong::Unreadable => f.write_str("failed to read it"),
            Wrong::Mode(mode) => write!(f, "others may read or change it (mode {mode:04o})"),
            Wrong::Owner(owner) => write!(f, "it belongs to another user (number {owner})"),
            Wrong::NotOpenSsh => f.write_str("not a private key in OpenSSH's format"),
            Wrong::Passphrase => {
                f.write_str("it is locked with a passphrase, and nobody is there to type it")
            }
            Wrong::Kind => f.write_str("not an ed25519 key"),
            Wrong::Layout => f.write_str(
                "ssh does not take it: lines that end with CR LF, a blank before a line, or no newline at the end",
            ),
        }
    }
}

impl Failure for KeyError {
    fn exit(&self) -> Exit {
        Exit::USAGE
    }

    fn advice(&self) -> Option<String> {
        let path = cli::shown(self.path.as_os_str().as_encoded_bytes());
        Some(match self.what {
            Wrong::Mode(_) => format!("chmod 600 {path}"),
            Wrong::Owner(_) => format!("make it the file of the user that runs push-client: chown {path}"),
            Wrong::Passphrase => format!("take the passphrase off with: ssh-keygen -p -N '' -f {path}"),
            Wrong::Layout => format!(
                "write it as ssh-keygen does: sed -i -e 's/^[ \\t]*//; s/[ \\t\\r]*$//' -e '/./,$!d' -e '$a\\' {path}"
            ),
            Wrong::Unreadable => format!("look at {path}: it must be a file that this user may read"),
            Wrong::Missing | Wrong::NotOpenSsh | Wrong::Kind => {
                format!(
                    "make a key with: ssh-keygen -t ed25519 -N '' -f {path}; then give its .pub to the server"
                )
            }
        })
    }
}

/// The text of an unlocked ed25519 key. Its `Debug` form does not show it.
pub struct PrivateKey {
    text: String,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl PrivateKey {
    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let wrong = |what| KeyError { path: path.to_owned(), what, source: None };
        let text = read(path).map_err(|(what, source)| KeyError { path: path.to_owned(), what, source })?;
        check(&text).map_err(wrong)?;
        Ok(Self { text })
    }

    /// Looks at a key that ssh is to use: it may be of any kind, locked with a passphrase that an agent knows, or only the public half of
    /// one that an agent holds (`.pub`).
    pub fn look(path: &Path) -> Result<(), KeyError> {
        let wrong = |(what, source)| KeyError { path: path.to_owned(), what, source };
        let public = path.extension().is_some_and(|extension| extension == "pub");
        match read(path) {
            Err((Wrong::Mode(_) | Wrong::Owner(_), _)) if public => Ok(()),
            Ok(text) if text.contains(FIRST_LINE) && !is_laid_out(&text) => Err(wrong((Wrong::Layout, None))),
            answer => answer.map(drop).map_err(wrong),
        }
    }

    /// Whether OpenSSH would read it, too: it is more particular than the library, and than we are.
    pub fn is_for_openssh(&self) -> bool {
        is_laid_out(&self.text)
    }

    /// The text, for the library that signs with it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn read(path: &Path) -> Result<String, (Wrong, Option<io::Error>)> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => (Wrong::Missing, None),
        _ => (Wrong::Unreadable, Some(error)),
    };
    // Not blocking: a fifo in its place must not hang us.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(nonblocking).open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err((Wrong::NotOpenSsh, None));
    }
    if meta.mode() & 0o077 != 0 {
        return Err((Wrong::Mode(meta.mode() & 0o7777), None));
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err((Wrong::Owner(meta.uid()), None));
    }
    let mut text = String::new();
    file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(|_| (Wrong::NotOpenSsh, None))?;
    Ok(text)
}

/// OpenSSH looks for its two lines with nothing before them and a newline after; else it calls the key an "error in libcrypto".
fn is_laid_out(text: &str) -> bool {
    let first = text.strip_prefix(FIRST_LINE).is_some_and(|rest| rest.starts_with('\n'));
    first && text.contains(&format!("\n{LAST_LINE}\n"))
}

/// Layout: PROTOCOL.key of OpenSSH. The public half, which is never locked, tells the kind.
fn check(text: &str) -> Result<(), Wrong> {
    let body = text.trim().strip_prefix(FIRST_LINE).and_then(|rest| rest.strip_suffix(LAST_LINE));
    let body: Vec<u8> = body.ok_or(Wrong::NotOpenSsh)?.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let bytes = base64::decode(&body).ok_or(Wrong::NotOpenSsh)?;
    let mut rest = bytes.strip_prefix(b"openssh-key-v1\0").ok_or(Wrong::NotOpenSsh)?;
    let cipher = take_string(&mut rest).ok_or(Wrong::NotOpenSsh)?;
    if cipher != b"none" {
        return Err(Wrong::Passphrase);
    }
    take_string(&mut rest).ok_or(Wrong::NotOpenSsh)?; // name of the key derivation
    take_string(&mut rest).ok_or(Wrong::NotOpenSsh)?; // its options
    let (_count, mut rest) = rest.split_first_chunk::<4>().ok_or(Wrong::NotOpenSsh)?;
    let mut public = take_string(&mut rest).ok_or(Wrong::NotOpenSsh)?;
    if take_string(&mut public) == Some(ED25519) { Ok(()) } else { Err(Wrong::Kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    fn made(folder: &Path, arguments: &[&str]) -> PathBuf {
        let path = folder.join("key");
        let made = Command::new("ssh-keygen").args(["-q", "-f"]).arg(&path).args(arguments).status().unwrap();
        assert!(made.success());
        path
    }

    fn advice(path: &Path) -> String {
        PrivateKey::load(path).unwrap_err().advice().unwrap()
    }

    #[test]
    fn a_key_of_ssh_keygen_is_read_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = made(folder.path(), &["-t", "ed25519", "-N", ""]);
        let key = PrivateKey::load(&path).unwrap();
        assert!(key.text().contains("PRIVATE KEY"));
        assert!(!format!("{key:?}").contains("PRIVATE KEY"));
    }

    #[test]
    fn every_key_that_could_not_log_in_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        assert!(advice(&folder.path().join("none")).contains("ssh-keygen -t ed25519"));
        let path = made(folder.path(), &["-t", "ed25519", "-N", "secret"]);
        assert!(advice(&path).contains("ssh-keygen -p"));
        fs::remove_file(&path).unwrap();
        let path = made(folder.path(), &["-t", "ecdsa", "-N", ""]);
        assert!(PrivateKey::load(&path).unwrap_err().to_string().ends_with("not an ed25519 key"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(advice(&path).contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "-----BEGIN RSA PRIVATE KEY-----\n").unwrap();
        assert!(PrivateKey::load(&path).unwrap_err().to_string().contains("OpenSSH's format"));
        fs::write(&path, [0xff; 100]).unwrap();
        assert!(PrivateKey::load(&path).is_err());
    }

    #[test]
    fn what_openssh_reads_is_told_from_what_only_the_library_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = made(folder.path(), &["-t", "ed25519", "-N", ""]);
        let good = fs::read_to_string(&path).unwrap();
        let reads = |text: &str| {
            fs::write(&path, text).unwrap();
            let openssh =
                Command::new("ssh-keygen").args(["-y", "-P", "", "-f"]).arg(&path).output().unwrap();
            assert_eq!(PrivateKey::look(&path).is_ok(), openssh.status.success(), "{text:?}");
            assert_eq!(
                PrivateKey::load(&path).unwrap().is_for_openssh(),
                openssh.status.success(),
                "{text:?}"
            );
            openssh.status.success()
        };
        assert!(reads(&good) && reads(&format!("{good}\n")) && reads(&good.replacen("\nb", "\n b", 1)));
        for only_ours in [
            good.replace('\n', "\r\n"),
            good.trim_end().to_owned(),
            format!("\n{good}"),
            good.replace(LAST_LINE, &format!(" {LAST_LINE}")),
        ] {
            assert!(!reads(&only_ours), "{only_ours:?}");
            // And what is advised makes it one that it reads.
            let advice = PrivateKey::look(&path).unwrap_err().advice().unwrap();
            let (_, sed) = advice.split_once(": ").unwrap();
            assert!(Command::new("sh").args(["-c", sed]).status().unwrap().success());
            assert_eq!(fs::read_to_string(&path).unwrap(), good);
        }
    }

    #[test]
    fn a_fifo_in_place_of_the_key_does_not_hang() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        assert!(PrivateKey::load(&path).is_err());
    }
}
