//! Names of things: hosts, installations, pushes, contents, states. Each is its own type, so that none is taken for another.

use std::fmt;
use std::str::FromStr;

use crate::limits::{ACCOUNT_NAME_BYTES, HOST_ID_BYTES};

/// Why a text is not the id it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Breaks the grammar of host ids.
    #[error(
        "a host id is 1 to 63 of a-z, 0-9, '.' and '-', starts and ends with a letter or digit, and has no '..'"
    )]
    Host,
    /// Not the expected number of lower-case hexadecimal digits.
    #[error("expected {digits} lower-case hexadecimal digits")]
    Hex {
        /// How many digits it needs.
        digits: usize,
    },
}

/// What the names of hosts' accounts begin with, unless the server's settings say otherwise.
pub const ACCOUNT_PREFIX: &str = "firn-";

/// The name of a host, safe as a file name and as part of an account name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(String);

impl HostId {
    /// Accepts only the grammar of docs/formats/push-file.md; nothing is folded or repaired.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let bytes = text.as_bytes();
        let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
        let fits = bytes.len() <= HOST_ID_BYTES
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(inner)
            && !text.contains("..");
        if fits { Ok(Self(text.to_owned())) } else { Err(IdError::Host) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the host's account on its server: `prefix` and the id, with `.` written as `_`, which no host id has. Linux takes 32 bytes: a longer name
    /// is cut, and ends in `-` and the first 8 digits of the id's BLAKE3. Two hosts can so get one name only by a freak of that hash; `host add` looks, and
    /// refuses. None if the prefix leaves no room for that; all of it must be ASCII.
    pub fn account(&self, prefix: &str) -> Option<String> {
        const HASH_DIGITS: usize = 8;
        let mut name = format!("{prefix}{}", self.0.replace('.', "_"));
        if name.len() > ACCOUNT_NAME_BYTES {
            let keep = ACCOUNT_NAME_BYTES - HASH_DIGITS - 1;
            if prefix.len() >= keep || !prefix.is_ascii() {
                return None;
            }
            let hash = ContentHash::of(self.0.as_bytes()).to_string();
            name.truncate(keep);
            name.push('-');
            name.extend(hash.chars().take(HASH_DIGITS));
        }
        Some(name)
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let error = IdError::Hex { digits: N * 2 };
    if text.len() != N * 2 {
        return Err(error);
    }
    let mut out = [0u8; N];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let mut nibbles = pair.iter().map(|d| hex_digit(*d));
        match (nibbles.next().flatten(), nibbles.next().flatten()) {
            (Some(high), Some(low)) => *byte = (high << 4) | low,
            _ => return Err(error),
        }
    }
    Ok(out)
}

macro_rules! fixed_id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// Takes the bytes as they are.
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                from_hex(text).map(Self)
            }
        }

        #[cfg(feature = "records")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        #[cfg(feature = "records")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

fixed_id!(
    /// One installation of push-client, made at random on its first run.
    InstallationId, 16
);
fixed_id!(
    /// One push, made at random when it begins.
    PushId, 16
);
fixed_id!(
    /// BLAKE3 of the bytes of one file.
    ContentHash, 32
);
fixed_id!(
    /// BLAKE3 over all entries of a manifest: the name of a state of a host.
    Root, 32
);

impl ContentHash {
    /// Hashes bytes that are all in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

#[cfg(feature = "records")]
impl serde::Serialize for HostId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

#[cfg(feature = "records")]
impl<'de> serde::Deserialize<'de> for HostId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Servers made these accounts: the names never change.
    #[test]
    fn accounts_have_the_names_they_always_had() {
        let long = "z".repeat(63);
        for (host, account) in [
            ("web01", "firn-web01"),
            ("db1.example.org", "firn-db1_example_org"),
            ("abcdefghijklmnopqrstuvwxyz0", "firn-abcdefghijklmnopqrstuvwxyz0"),
            ("abcdefghijklmnopqrstuvwxyz01", "firn-abcdefghijklmnopqr-4d0c6f2f"),
            ("long-nnnnnnnnnnnnnnn.example.org", "firn-long-nnnnnnnnnnnnn-fb830e9c"),
            (&long, "firn-zzzzzzzzzzzzzzzzzz-c2d4292b"),
        ] {
            let host = HostId::parse(host).unwrap();
            assert_eq!(host.account(ACCOUNT_PREFIX).as_deref(), Some(account));
        }
        let host = HostId::parse(&long).unwrap();
        assert_eq!(host.account(&"p".repeat(23)), None);
        assert_eq!(host.account(&"p".repeat(22)).map(|name| name.len()), Some(32));
    }

    #[test]
    fn host_ids_that_could_become_a_path_are_refused() {
        for good in ["web01", "db1.example.org", "a", "0", "x-y.z"] {
            assert!(HostId::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            "/",
            "a/b",
            "A",
            "a_b",
            "-a",
            "a-",
            ".a",
            "a.",
            "ä",
            "a b",
            "a\n",
            "a\0",
            long.as_str(),
        ] {
            assert!(HostId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hex_has_one_spelling() {
        let id = PushId::from_bytes([0xab; 16]);
        assert_eq!(id.to_string().parse::<PushId>(), Ok(id));
        assert!("AB".repeat(16).parse::<PushId>().is_err());
        assert!("ab".repeat(15).parse::<PushId>().is_err());
        assert!("gg".repeat(16).parse::<PushId>().is_err());
    }
}
