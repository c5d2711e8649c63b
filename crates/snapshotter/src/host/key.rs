//! A host's public key: what an administrator was handed, boiled down to what sshd needs.

use std::fs::File;
use std::io::Read;
use std::path::Path;

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
    /// Reads a file that holds exactly one key.
    pub(crate) fn read(path: &Path) -> Result<Self, Trouble> {
        let shown = cli::shown(path.as_os_str().as_encoded_bytes());
        let mut text = String::new();
        let file = File::open(path).map_err(Trouble::stream(format!("opening {shown}")))?;
        let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
        read.map_err(Trouble::stream(format!("reading {shown}")))?;
        Self::parse(&text).ok_or_else(|| Trouble::Usage {
            what: format!("{shown}: not one line `ssh-ed25519 AAAA...`"),
            advice: Some(
                "make a key with `ssh-keygen -t ed25519`, and hand over the file that ends in .pub"
                    .to_owned(),
            ),
        })
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

    /// The line for a key file: the key may do nothing but what sshd forces on it.
    pub(crate) fn restricted(&self) -> String {
        format!("restrict {}\n", self.0)
    }

    /// The line for an ordinary user's own key file.
    pub(crate) fn forced(&self, command: &str) -> String {
        format!("restrict,command=\"{command}\" {}", self.0)
    }
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
            assert_eq!(PublicKey::parse(&text).unwrap().restricted(), format!("restrict {KEY}\n"));
        }
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
