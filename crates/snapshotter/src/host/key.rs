//! A host's public key: what an administrator was handed, boiled down to what sshd needs.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use chrono::{DateTime, Utc};
use durable::{Dir, Name};
use sha2::{Digest, Sha256};

use super::network::Network;
use crate::trouble::Trouble;

const FILE_BYTES_MAX: u64 = 16 * 1024;
const KIND: &str = "ssh-ed25519";
/// Every ed25519 key begins so: the length and name of its kind, and the length of what follows.
const START: &str = "AAAAC3NzaC1lZDI1NTE5AAAAI";
/// 51 bytes, as base64.
const DIGITS: usize = 68;

/// A checked public key: kind and digits, without the comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey(String);

impl PublicKey {
    /// Reads a file that holds exactly one key; `-` is standard input.
    pub(crate) fn read(path: &Path) -> Result<Self, Trouble> {
        let shown = cli::shown(path.as_os_str().as_encoded_bytes());
        let text = if path == Path::new("-") {
            read_text(std::io::stdin().lock())
        } else {
            read_text(File::open(path).map_err(Trouble::stream(format!("opening {shown}")))?)
        };
        let text = text.map_err(Trouble::stream(format!("reading {shown}")))?;
        text.as_deref().and_then(Self::parse).ok_or_else(|| Trouble::Usage {
            what: format!("{shown}: not one line `ssh-ed25519 AAAA...`"),
            advice: Some(
                "make a key with `ssh-keygen -t ed25519`, and hand over the file that ends in .pub"
                    .to_owned(),
            ),
        })
    }

    /// The line that sshd has been given, if there is a key file. What follows the options is the key, if it is one.
    pub(crate) fn given(path: &Path) -> Result<Option<(String, Option<Self>)>, Trouble> {
        let reading = &format!("reading {}", cli::shown(path.as_os_str().as_encoded_bytes()));
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
        let opened = Dir::open_root(folder).and_then(|folder| {
            // Neither a fifo, which would never be read, nor what lies elsewhere.
            folder.open_read(Name::new(name.as_encoded_bytes())?)
        });
        let file = match opened {
            Err(error) if error.is_not_found() => return Ok(None),
            file => file.map_err(Trouble::folder(reading))?,
        };
        let text = read_text(file).map_err(Trouble::stream(reading))?.unwrap_or_default();
        let key = text.find(KIND).and_then(|at| Self::parse(text.get(at..)?));
        Ok(Some((text.trim_end().to_owned(), key)))
    }

    fn parse(text: &str) -> Option<Self> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.chars().any(char::is_control) {
            return None;
        }
        let mut words = line.split(' ');
        let (kind, digits) = (words.next()?, words.next()?);
        let is_digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        let fits = kind == KIND
            && digits.len() == DIGITS
            && digits.starts_with(START)
            && digits.bytes().all(is_digit);
        fits.then(|| Self(format!("{KIND} {digits}")))
    }

    /// The line for a key file: the key may do nothing but what sshd forces on it, from nowhere but these networks.
    pub(crate) fn restricted(&self, from: &[Network]) -> String {
        format!("restrict{} {}\n", option(from), self.0)
    }

    /// The line for the key file of an outbox: sshd refuses it from that time on, a chroot and a program are forced on it.
    pub(crate) fn fetching(&self, from: &[Network], until: DateTime<Utc>) -> String {
        let until = until.format("%Y%m%d%H%M%SZ");
        format!("restrict,expiry-time=\"{until}\",command=\"fetch\"{} {}\n", option(from), self.0)
    }

    /// The line for an ordinary user's own key file.
    pub(crate) fn forced(&self, from: &[Network], command: &str) -> String {
        format!("restrict{},command=\"{command}\" {}", option(from), self.0)
    }

    /// What people compare: as `ssh-keygen -l` prints it.
    pub(crate) fn fingerprint(&self) -> String {
        let digits = self.0.split(' ').nth(1).unwrap_or_default();
        // 68 digits are whole bytes, so there is nothing that does not decode.
        let bytes = STANDARD.decode(digits).unwrap_or_default();
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&bytes)))
    }
}

fn option(from: &[Network]) -> String {
    if from.is_empty() {
        return String::new();
    }
    let networks: Vec<String> = from.iter().map(Network::to_string).collect();
    format!(",from=\"{}\"", networks.join(","))
}

/// Nothing if it is longer than any key.
fn read_text(source: impl Read) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    source.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let fits = bytes.len() as u64 <= FILE_BYTES_MAX;
    Ok(fits.then_some(bytes).and_then(|bytes| String::from_utf8(bytes).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgd6V5/EB898lAR5g29aPAWqwY2caFuljddCAcG1F+";

    #[test]
    fn a_key_file_gives_one_restricted_line_without_its_comment() {
        for text in
            [format!("{KEY}\n"), KEY.to_owned(), format!("{KEY} root@web01\n"), format!("{KEY} a b\r\n")]
        {
            assert_eq!(PublicKey::parse(&text).unwrap().restricted(&[]), format!("restrict {KEY}\n"));
        }
    }

    #[test]
    fn networks_stand_before_the_key_and_the_fingerprint_is_that_of_ssh_keygen() {
        let from = ["10.77.0.11", "fd00::/8"].map(|text| text.parse().unwrap());
        let key = PublicKey::parse(KEY).unwrap();
        assert_eq!(key.restricted(&from), format!("restrict,from=\"10.77.0.11,fd00::/8\" {KEY}\n"));
        assert_eq!(
            key.forced(&from, "receive"),
            format!("restrict,from=\"10.77.0.11,fd00::/8\",command=\"receive\" {KEY}")
        );
        assert_eq!(key.fingerprint(), "SHA256:gQffEygjSHwwUm+o7HuLyW93NbypQcOYdoTXFTzrQAw");
    }

    #[test]
    fn the_line_of_an_outbox_ends_with_its_grant() {
        let from = ["10.77.0.11"].map(|text| text.parse().unwrap());
        let until = DateTime::from_timestamp(1_767_322_930, 0).unwrap();
        assert_eq!(
            PublicKey::parse(KEY).unwrap().fetching(&from, until),
            format!("restrict,expiry-time=\"20260102030210Z\",command=\"fetch\",from=\"10.77.0.11\" {KEY}\n")
        );
    }

    #[test]
    fn a_key_file_longer_than_any_key_is_refused_whole_and_not_read_as_its_beginning() {
        let long = format!("{KEY} {}", "a".repeat(16 * 1024));
        assert_eq!(read_text(long.as_bytes()).unwrap(), None);
        assert_eq!(read_text(&b"\xff"[..]).unwrap(), None);
        assert!(read_text(KEY.as_bytes()).unwrap().is_some());
    }

    #[test]
    fn whatever_is_not_exactly_one_ed25519_key_is_refused() {
        let bad = [
            String::new(),
            "\n".to_owned(),
            format!("{KEY}\n{KEY}\n"),
            format!("\n{KEY}\n"),
            format!("# comment\n{KEY}\n"),
            format!("command=\"sh\" {KEY}\n"),
            format!(" {KEY}\n"),
            format!("{KEY} a\nrestrict {KEY}\n"),
            format!("{KEY}\u{1b}\n"),
            format!("{KEY}A\n"),
            KEY.replace("ssh-ed25519", "ssh-rsa"),
            KEY.replace("AAAAI", "AAAAJ"),
            KEY.replace('+', "="),
            KEY.replace(' ', "\t"),
            "-----BEGIN OPENSSH PRIVATE KEY-----\n".to_owned(),
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC".to_owned(),
        ];
        for text in bad {
            assert_eq!(PublicKey::parse(&text), None, "{text:?}");
        }
    }
}
