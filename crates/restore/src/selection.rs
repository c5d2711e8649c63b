//! Which part of a snapshot is asked for.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use cli::{Exit, Failure, shown};
use formats::RelPath;

/// A part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Everything.
    All,
    /// One name, and all beneath it.
    Beneath(RelPath),
}

/// A path that no host can have had.
#[derive(Debug, thiserror::Error)]
#[error("{}: not a path on a host", shown(.path))]
pub struct SelectionError {
    path: Vec<u8>,
}

impl Failure for SelectionError {
    fn exit(&self) -> Exit {
        Exit::USAGE
    }
}

impl Selection {
    /// The part under `path`, as people type it: with or without slashes at its ends. None and `/` are everything.
    pub fn parse(path: Option<&OsStr>) -> Result<Selection, SelectionError> {
        let Some(path) = path else { return Ok(Selection::All) };
        let mut bytes = path.as_bytes();
        while let Some(rest) = bytes.strip_prefix(b"/") {
            bytes = rest;
        }
        while let Some(rest) = bytes.strip_suffix(b"/") {
            bytes = rest;
        }
        if bytes.is_empty() && !path.is_empty() {
            return Ok(Selection::All);
        }
        let path = RelPath::new(bytes).map_err(|_| SelectionError { path: path.as_bytes().to_vec() })?;
        Ok(Selection::Beneath(path))
    }

    /// True for what is asked for, and for the folders on the way to it.
    pub fn holds(&self, path: &RelPath) -> bool {
        match self {
            Selection::All => true,
            Selection::Beneath(top) => path.is_within(top) || top.is_within(path),
        }
    }

    /// True for what is asked for alone.
    #[must_use]
    pub fn asks_for(&self, path: &RelPath) -> bool {
        match self {
            Selection::All => true,
            Selection::Beneath(top) => path.is_within(top),
        }
    }

    /// The rest of `path` below what is asked for; empty for that itself.
    #[must_use]
    pub fn below<'a>(&self, path: &'a RelPath) -> &'a [u8] {
        match self {
            Selection::All => path.as_bytes(),
            Selection::Beneath(top) => {
                let rest = path.as_bytes().get(top.as_bytes().len()..).unwrap_or_default();
                rest.strip_prefix(b"/").unwrap_or(rest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Selection, SelectionError> {
        Selection::parse(Some(OsStr::new(text)))
    }

    #[test]
    fn a_path_is_taken_as_people_type_it() {
        let nginx = Selection::Beneath(RelPath::new(b"etc/nginx").unwrap());
        for text in ["etc/nginx", "/etc/nginx", "etc/nginx/", "//etc/nginx//"] {
            assert_eq!(parse(text).unwrap(), nginx, "{text}");
        }
        assert_eq!(parse("/").unwrap(), Selection::All);
        assert_eq!(Selection::parse(None).unwrap(), Selection::All);
        for bad in ["", ".", "..", "etc/../..", "etc//nginx", "./etc"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_part_holds_its_folders_and_nothing_beside_it() {
        let part = parse("etc/nginx").unwrap();
        for (path, holds) in [
            ("etc", true),
            ("etc/nginx", true),
            ("etc/nginx/a/b", true),
            ("etc/nginx2", false),
            ("et", false),
            ("usr", false),
        ] {
            assert_eq!(part.holds(&RelPath::new(path.as_bytes()).unwrap()), holds, "{path}");
        }
    }
}
