//! Which paths a search is for: the patterns of `include` and `exclude` (docs/filters.md), without their signs.

use std::str::FromStr;

use formats::Entry;
use formats::glob::{Glob, units};

/// Most components: each place between them is a bit.
const PARTS_MAX: usize = 62;
const BYTES_MAX: usize = 4_096;

/// A name, which is looked for at any depth, or a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
    /// What every path that is wanted ends with.
    end: Vec<u8>,
    /// What the last component of every such path begins with.
    start: Vec<u8>,
    kinds: Kinds,
}

/// What a pattern may stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kinds {
    All,
    /// It ends with a slash.
    Folders,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Name(Glob),
    /// `**`: any number of components, none too.
    Deep,
}

impl FromStr for Pattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > BYTES_MAX {
            return Err("longer than a path can be");
        }
        let (text, mut parts) = match text.strip_prefix('/') {
            Some(text) => (text, Vec::new()),
            None => (text, vec![Part::Deep]),
        };
        let (text, kinds) = match text.strip_suffix('/') {
            Some(text) => (text, Kinds::Folders),
            None => (text, Kinds::All),
        };
        for part in text.split('/') {
            match part {
                "" => return Err("names nothing, or has two slashes in a row"),
                "." | ".." => return Err("`.` and `..` are no names"),
                "**" if parts.last() == Some(&Part::Deep) => {}
                "**" => parts.push(Part::Deep),
                part => parts.push(Part::Name(Glob::parse(part)?)),
            }
        }
        if parts.last() == Some(&Part::Deep) {
            parts.push(Part::Name(Glob::any()));
        }
        if parts.len() > PARTS_MAX {
            return Err("has more than 62 components");
        }
        let (start, end) = match parts.last() {
            Some(Part::Name(glob)) => (glob.literal_start(), glob.literal_end()),
            _ => (Vec::new(), Vec::new()),
        };
        Ok(Pattern { parts, end, start, kinds })
    }
}

impl Pattern {
    /// True for a path that is looked for. Most are passed over by their last bytes.
    pub(crate) fn wants(&self, path: &[u8]) -> bool {
        if !path.ends_with(&self.end) {
            return false;
        }
        let last = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        path.get(last..).unwrap_or_default().starts_with(&self.start) && self.matches(path)
    }

    /// True for what is looked for, if its path is.
    pub(crate) fn takes(&self, entry: &Entry) -> bool {
        self.kinds == Kinds::All || entry.is_folder()
    }

    /// Component by component, with a bit for each way to have come so far.
    fn matches(&self, path: &[u8]) -> bool {
        let mut matched = self.with_deep(1);
        for name in path.split(|byte| *byte == b'/') {
            let name = units(name);
            let mut next = 0;
            for (index, part) in
                self.parts.iter().enumerate().filter(|(index, _)| matched & (1 << index) != 0)
            {
                match part {
                    Part::Deep => next |= 1 << index,
                    Part::Name(glob) if glob.matches(&name) => next |= 1 << (index + 1),
                    Part::Name(_) => {}
                }
            }
            matched = self.with_deep(next);
        }
        matched & (1 << self.parts.len()) != 0
    }

    /// `**` may stand for nothing.
    fn with_deep(&self, mut matched: u64) -> u64 {
        for (index, part) in self.parts.iter().enumerate() {
            if *part == Part::Deep && matched & (1 << index) != 0 {
                matched |= 1 << (index + 1);
            }
        }
        matched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(pattern: &str, path: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().wants(path.as_bytes())
    }

    #[test]
    fn a_name_is_found_at_any_depth_and_a_path_from_its_slash() {
        for (pattern, yes, no) in [
            (
                "hosts",
                &["hosts", "etc/hosts", "a/b/hosts"][..],
                &["etc/hosts.allow", "ehosts", "hosts/x"][..],
            ),
            ("*.conf", &["a.conf", "etc/nginx/nginx.conf"], &["a.conf/b", "a.con"]),
            ("etc/*.conf", &["etc/a.conf", "chroot/etc/a.conf"], &["etc/b/a.conf"]),
            ("/etc/*.conf", &["etc/a.conf"], &["chroot/etc/a.conf", "etc/b/a.conf"]),
            ("/srv/**/index.*", &["srv/index.html", "srv/a/b/index.php"], &["index.html", "srv/index"]),
            ("/etc/**", &["etc/a", "etc/a/b"], &["etc", "etcetera"]),
            ("pass?d", &["etc/passwd"], &["etc/passd"]),
            ("a*", &["x/ab"], &["ab/x", "xab"]),
            ("nginx/", &["etc/nginx"], &["etc/nginx/x"]),
        ] {
            yes.iter().for_each(|path| assert!(wants(pattern, path), "{pattern} {path}"));
            no.iter().for_each(|path| assert!(!wants(pattern, path), "{pattern} {path}"));
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "/", "a//b", "..", "a/./b", "[", "a**"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
        assert!(["a"; 70].join("/").parse::<Pattern>().is_err());
    }
}
