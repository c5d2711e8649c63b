//! Names of objects: one grammar that every kind of store can hold, and that no file system can take for anything else.

use std::fmt;
use std::str::FromStr;

/// Longest component: leaves room for `.json` within 255 bytes.
const COMPONENT_BYTES: usize = 240;
/// Deepest name.
const COMPONENTS: usize = 8;
/// Longest name: object stores take 1,024 bytes.
const NAME_BYTES: usize = 1_000;

/// The name of an object: 1 to 8 components joined by `/`, each of `A-Z a-z 0-9 . _ -`, starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

/// A text that is no name of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of an object is 1 to 8 parts of A-Z a-z 0-9 . _ - joined by /, each beginning with a letter or digit"
)]
pub struct NameError;

fn is_component(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    text.len() <= COMPONENT_BYTES
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(plain)
}

impl ObjectName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for an object in `folder` or below it.
    #[must_use]
    pub fn is_in(&self, folder: &ObjectFolder) -> bool {
        self.0.starts_with(&folder.0)
    }

    /// Folder and last component. The folder is empty for a name of one component.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ObjectName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = text.len() <= NAME_BYTES
            && text.split('/').count() <= COMPONENTS
            && text.split('/').all(is_component);
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError) }
    }
}

/// A folder of objects: the empty text for all, or a name with `/` at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFolder(String);

impl ObjectFolder {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self(String::new())
    }

    /// The text, with its `/` at the end.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder's name without its last `/`; empty for everything.
    pub(crate) fn name(&self) -> &str {
        self.0.strip_suffix('/').unwrap_or(&self.0)
    }
}

impl FromStr for ObjectFolder {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Ok(Self::all());
        }
        text.strip_suffix('/').ok_or(NameError)?.parse::<ObjectName>()?;
        Ok(Self(text.to_owned()))
    }
}

/// Longest version id that a provider gives.
const VERSION_BYTES: usize = 1_024;

/// The id that a vault gave to one version of an object: 1 to 1,024 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(String);

/// A text that is no version id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version id is 1 to 1,024 visible ASCII characters")]
pub struct VersionError;

impl VersionId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for VersionId {
    type Err = VersionError;
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let fits = (1..=VERSION_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(VersionError) }
    }
}

/// One object: by name and version, or the first version ever stored under the name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    /// Its name.
    pub name: ObjectName,
    /// Its version; none for the first.
    pub version: Option<VersionId>,
}

impl From<ObjectName> for ObjectRef {
    fn from(name: ObjectName) -> Self {
        ObjectRef { name, version: None }
    }
}

impl From<&ObjectName> for ObjectRef {
    fn from(name: &ObjectName) -> Self {
        name.clone().into()
    }
}

/// The name of an object in a vault that has no versions: any version is one it never gave.
pub(crate) fn unversioned(object: &ObjectRef) -> crate::Result<&ObjectName> {
    match object.version {
        None => Ok(&object.name),
        Some(_) => Err(crate::VaultError::Missing { object: object.name.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_store_could_take_for_something_else_are_refused() {
        for good in ["a", "ice/web01/20260102T030405Z-0000000001.2/0000.pgp", "a/b/c/d/e/f/g/h", "A_b-c.d"] {
            assert!(good.parse::<ObjectName>().is_ok(), "{good}");
        }
        let long = "a".repeat(241);
        let deep = ["a"; 9].join("/");
        let wide = [&*"a".repeat(240); 5].join("/");
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", ".a", "a/.b", "-a", "_a", "a b", "a\0",
            "a\n", "ä", &long, &deep, &wide,
        ] {
            assert!(bad.parse::<ObjectName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_version_id_is_visible_ascii() {
        for good in
            ["null", "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo", "1700000000.1"]
        {
            assert_eq!(good.parse::<VersionId>().unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "a\n", "\u{e4}", &"a".repeat(1_025)] {
            assert!(bad.parse::<VersionId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_folder_ends_with_a_slash_and_holds_only_whole_components() {
        let folder: ObjectFolder = "ice/web01/".parse().unwrap();
        assert!("ice/web01/a".parse::<ObjectName>().unwrap().is_in(&folder));
        assert!(!"ice/web010/a".parse::<ObjectName>().unwrap().is_in(&folder));
        for bad in ["ice", "/", "../", "ice//", "."] {
            assert!(bad.parse::<ObjectFolder>().is_err(), "{bad:?}");
        }
    }
}
