//! One component of a path.

use std::fmt;
use std::io;

use crate::{Error, Result, Step};

/// The longest component Linux takes.
const NAME_BYTES_MAX: usize = 255;

/// One component of a path: 1 to 255 bytes, no `/`, no NUL, neither `.` nor `..`.
///
/// Because nothing else names a file here, a call cannot leave the folder it is made on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// Checks `bytes`. Fails with [`Step::Name`] for anything that is not exactly one component.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        if is_component(bytes) {
            Ok(Name(bytes))
        } else {
            let why = io::Error::new(io::ErrorKind::InvalidInput, "not one component of a path");
            Err(Error::new(Step::Name, bytes.get(..NAME_BYTES_MAX).unwrap_or(bytes), why))
        }
    }

    /// A name written in the source. Use it for constants: a bad literal then fails to compile.
    ///
    /// ```
    /// const SEALED: durable::Name = durable::Name::literal("sealed");
    /// ```
    #[must_use]
    pub const fn literal(text: &'static str) -> Name<'static> {
        assert!(is_component(text.as_bytes()), "not one component of a path");
        Name(text.as_bytes())
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl rustix::path::Arg for Name<'_> {
    fn as_str(&self) -> rustix::io::Result<&str> {
        self.0.as_str()
    }
    fn to_string_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.0)
    }
    fn as_cow_c_str(&self) -> rustix::io::Result<std::borrow::Cow<'_, std::ffi::CStr>> {
        self.0.as_cow_c_str()
    }
    fn into_c_str<'b>(self) -> rustix::io::Result<std::borrow::Cow<'b, std::ffi::CStr>>
    where
        Self: 'b,
    {
        self.0.into_c_str()
    }
    fn into_with_c_str<T, F>(self, f: F) -> rustix::io::Result<T>
    where
        Self: Sized,
        F: FnOnce(&std::ffi::CStr) -> rustix::io::Result<T>,
    {
        self.0.into_with_c_str(f)
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// `const`, so that [`Name::literal`] is checked by the compiler.
const fn is_component(bytes: &[u8]) -> bool {
    if bytes.is_empty() || bytes.len() > NAME_BYTES_MAX || matches!(bytes, b"." | b"..") {
        return false;
    }
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        if *first == b'/' || *first == 0 {
            return false;
        }
        rest = tail;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn only_one_plain_component_is_a_name() {
        let longest = [b'a'; 255];
        for good in [&b"a"[..], b"...", b"..a", b".a", b" ", b"\n", b"\xff", b"a\\b", &longest] {
            assert_eq!(Name::new(good).unwrap().as_bytes(), good);
        }
        let too_long = [b'a'; 256];
        for bad in [&b""[..], b".", b"..", b"/", b"a/", b"/a", b"a/b", b"a\0", b"\0", &too_long] {
            assert!(Name::new(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_hostile_name_is_escaped_in_the_message() {
        let error = Name::new(b"a/\x1b[2J\n").unwrap_err();
        assert_eq!(error.to_string(), r#"accept the name "a/\x1b[2J\n""#);
    }
}
