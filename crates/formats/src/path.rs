//! Paths as hosts have them: raw bytes, relative, validated once, in one total order.

use std::cmp::Ordering;
use std::fmt;

use crate::limits::{COMPONENT_BYTES, PATH_BYTES, PATH_COMPONENTS};

/// Why bytes are not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No bytes, or a component without bytes (a leading, trailing or double slash).
    #[error("empty path or component")]
    Empty,
    /// A component `.` or `..`.
    #[error("component '.' or '..'")]
    Dots,
    /// A byte 0.
    #[error("byte 0 in a path")]
    Nul,
    /// Over a limit of length or depth.
    #[error("path too long or too deep")]
    TooLong,
}

/// A path below a host's `/`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RelPath(Box<[u8]>);

/// Stands for a path where very many must be remembered: 16 bytes, however long the path is.
///
/// Two paths with the same digest are not to be feared. By chance there are none among any number of paths that a host can have; to find some on
/// purpose takes 2^64 tries, and no manifest has two first members of hard-link groups that have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PathDigest([u8; PathDigest::BYTES]);

impl PathDigest {
    /// Length.
    pub const BYTES: usize = 16;
}

fn check_component(component: &[u8]) -> Result<(), PathError> {
    match component {
        b"" => Err(PathError::Empty),
        b"." | b".." => Err(PathError::Dots),
        c if c.len() > COMPONENT_BYTES => Err(PathError::TooLong),
        c if c.contains(&0) => Err(PathError::Nul),
        _ => Ok(()),
    }
}

impl RelPath {
    /// Accepts what keeps every rule of docs/formats/manifest.md; repairs nothing.
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.len() > PATH_BYTES {
            return Err(PathError::TooLong);
        }
        let mut depth = 0usize;
        for component in bytes.split(|b| *b == b'/') {
            check_component(component)?;
            depth += 1;
        }
        if depth > PATH_COMPONENTS {
            return Err(PathError::TooLong);
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes, components separated by `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What stands for this path: the start of its BLAKE3 hash.
    pub fn digest(&self) -> PathDigest {
        let mut digest = [0; PathDigest::BYTES];
        blake3::Hasher::new().update(&self.0).finalize_xof().fill(&mut digest);
        PathDigest(digest)
    }

    /// The components, from the top.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/')
    }

    /// The bytes of the folder it is in; none at the top.
    pub fn parent(&self) -> Option<&[u8]> {
        let slash = self.0.iter().rposition(|b| *b == b'/')?;
        self.0.get(..slash)
    }

    /// The last component.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or(&self.0)
    }

    /// The path of `component` in this folder.
    pub fn join(&self, component: &[u8]) -> Result<Self, PathError> {
        check_component(component)?;
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + component.len());
        bytes.extend_from_slice(&self.0);
        bytes.push(b'/');
        bytes.extend_from_slice(component);
        Self::new(&bytes)
    }

    /// True for the path itself and all below it.
    pub fn is_within(&self, folder: &RelPath) -> bool {
        match self.0.strip_prefix(&*folder.0) {
            Some(rest) => rest.is_empty() || rest.first() == Some(&b'/'),
            None => false,
        }
    }
}

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // As if '/' sorted below every other byte; 0 never occurs.
        let key = |b: &u8| if *b == b'/' { 0 } else { *b };
        let first_difference = self.0.iter().zip(other.0.iter()).find(|(a, b)| a != b);
        match first_difference {
            Some((a, b)) => key(a).cmp(&key(b)),
            None => self.0.len().cmp(&other.0.len()),
        }
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RelPath {
    /// Printable form: control bytes and what is not ASCII are escaped, so a name can never speak to a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPath({})", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn paths_that_could_leave_the_root_are_refused() {
        let long = "a".repeat(256);
        let deep = vec!["a"; 4097].join("/");
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "a/./b", "a/../b", "../a", "a\0b", &long,
            &deep,
        ] {
            assert!(RelPath::new(bad.as_bytes()).is_err(), "{bad:?}");
        }
        for good in ["a", "a/b", "...", "a/..b", ".a", "a b\n", "é"] {
            assert!(RelPath::new(good.as_bytes()).is_ok(), "{good:?}");
        }
        assert!(RelPath::new(&[0xff; 255]).is_ok());
    }

    #[test]
    fn a_folder_comes_directly_before_what_it_holds() {
        let mut paths =
            [path("a-b"), path("a/b"), path("a"), path("a/b/c"), path("a/a"), path("b"), path("a!")];
        paths.sort();
        let shown: Vec<String> = paths.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a", "a/a", "a/b", "a/b/c", "a!", "a-b", "b"]);
    }

    proptest! {
        #[test]
        fn order_is_the_order_of_component_lists(a in "[ab/!-]{1,8}", b in "[ab/!-]{1,8}") {
            if let (Ok(a), Ok(b)) = (RelPath::new(a.as_bytes()), RelPath::new(b.as_bytes())) {
                let lists = a.components().collect::<Vec<_>>().cmp(&b.components().collect::<Vec<_>>());
                prop_assert_eq!(a.cmp(&b), lists);
            }
        }
    }
}
