//! The server's pinned key.

use super::{ED25519, base64, take_string};

/// Why a text is not a host key that can be pinned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyError {
    /// Of a kind that is not used.
    #[error(
        "is of type {0:?}, and only ssh-ed25519 is used; ask the server for it with: ssh-keyscan -t ed25519 ADDRESS"
    )]
    Kind(String),
    /// Not `type base64`.
    #[error("must be as in the server's ssh_host_ed25519_key.pub: ssh-ed25519 AAAA...")]
    Malformed,
}

/// An ed25519 public key as it travels in SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    blob: Vec<u8>,
}

impl HostKey {
    /// Reads `ssh-ed25519 AAAA... [comment]`.
    pub fn parse(text: &str) -> Result<Self, HostKeyError> {
        let mut words = text.split_ascii_whitespace();
        let (Some(kind), Some(encoded)) = (words.next(), words.next()) else {
            return Err(HostKeyError::Malformed);
        };
        if kind.as_bytes() != ED25519 {
            return Err(HostKeyError::Kind(kind.chars().take(40).collect()));
        }
        let blob = base64::decode(encoded.as_bytes()).ok_or(HostKeyError::Malformed)?;
        Self::from_blob(blob).ok_or(HostKeyError::Malformed)
    }

    /// Takes the bytes of a key as it travels, if they are of an ed25519 key.
    pub fn from_blob(blob: Vec<u8>) -> Option<Self> {
        let mut rest = blob.as_slice();
        let fits =
            take_string(&mut rest)? == ED25519 && take_string(&mut rest)?.len() == 32 && rest.is_empty();
        fits.then_some(Self { blob })
    }

    /// As a line of a file of public keys has it.
    pub fn text(&self) -> String {
        format!("ssh-ed25519 {}", base64::encode(&self.blob))
    }

    /// The bytes as they travel.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgd6V5/EB898lAR5g29aPAWqwY2caFuljddCAcG1F+";

    #[test]
    fn a_line_of_a_public_key_file_is_read() {
        let key = HostKey::parse(&format!("{KEY} root@server")).unwrap();
        assert_eq!(key.blob().len(), 51);
        assert_eq!(key.text(), KEY);
        assert_eq!(HostKey::from_blob(key.blob().to_vec()), Some(key));
    }

    #[test]
    fn another_kind_or_a_cut_key_is_refused_by_name() {
        assert!(matches!(HostKey::parse("ssh-rsa AAAA"), Err(HostKeyError::Kind(kind)) if kind == "ssh-rsa"));
        for bad in ["", "ssh-ed25519", "ssh-ed25519 !!", &KEY[..60], &KEY.replace("NTE5", "NTE6")] {
            assert_eq!(HostKey::parse(bad), Err(HostKeyError::Malformed), "{bad}");
        }
    }
}
