//! Ordered rules that take and leave by patterns: `- *.o`, `+ /srv/*/keep/**`.
//!
//! They are not matched against whole paths: the walk carries a [`Place`] down with it, which knows how far each rule has come.
//! So a name costs what its own length and the rules cost, however deep it lies.

use formats::glob::{Glob, units};

/// Most rules.
pub const RULES_MAX: usize = 256;
/// Longest rule, in bytes.
pub const RULE_BYTES_MAX: usize = 1_024;
/// Most components of a rule: each place between them is a bit.
const PARTS_MAX: usize = 62;

/// The rules, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    text: String,
    sign: Sign,
    meant: Meant,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Take,
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meant {
    All,
    /// It ends in a slash.
    Folders,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Name(Glob),
    /// `**`: any number of components, none too.
    Deep,
}

/// Whether a name is a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It is, so rules may lead further down.
    Folder,
    /// It is not.
    Leaf,
}

/// How far each rule has come at a folder.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// For each rule the components that are matched so far, as bits: there may be several ways.
    matched: Vec<u64>,
    /// The rule that leaves out what is in this folder, unless an earlier rule takes it.
    left_by: Option<usize>,
}

/// What the rules say of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// It belongs to the push; by which rule, if by one.
    Take(Option<usize>),
    /// It does not, by this rule.
    Leave(usize),
    /// The folder does not, by this rule; but something below may.
    Search(usize),
}

/// A rule that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\": {what}")]
pub struct RuleError {
    /// As it is typed, as far as it can be shown.
    pub text: String,
    /// What is wrong with it.
    pub what: &'static str,
}

impl Rules {
    /// Reads the rules as they are typed.
    pub fn parse(texts: &[String]) -> Result<Self, RuleError> {
        let wrong = |text: &str, what| {
            let shown: String = text.chars().take(80).collect();
            RuleError { text: cli::shown(shown.as_bytes()), what }
        };
        match texts.get(RULES_MAX) {
            Some(text) => Err(wrong(text, "there are more than 256 rules")),
            None => {
                let parse = |text: &String| Rule::parse(text).map_err(|what| wrong(text, what));
                texts.iter().map(parse).collect::<Result<_, _>>().map(Self)
            }
        }
    }

    /// A rule as it was typed.
    pub fn text(&self, index: usize) -> &str {
        self.0.get(index).map_or("", |rule| &rule.text)
    }

    /// The place of the host's `/`.
    pub fn start(&self) -> Place {
        Place { matched: self.0.iter().map(|rule| rule.with_deep(1)).collect(), left_by: None }
    }

    /// What they say of `name` in a folder. The first rule that matches decides; where none does, it is as its folder is.
    pub fn judge(&self, place: &Place, name: &[u8], shape: Shape) -> Ruling {
        let name = if self.0.is_empty() { Vec::new() } else { units(name) };
        let asked = place.left_by.unwrap_or(self.0.len());
        let decided = self
            .0
            .iter()
            .zip(&place.matched)
            .take(asked)
            .position(|(rule, matched)| rule.is_for(shape) && rule.is_whole(rule.step(*matched, &name)));
        let leave = match decided {
            None => place.left_by,
            Some(index) => match self.0.get(index).map(|rule| rule.sign) {
                Some(Sign::Leave) => Some(index),
                _ => return Ruling::Take(Some(index)),
            },
        };
        match leave {
            None => Ruling::Take(None),
            Some(by) if shape == Shape::Folder && self.may_take_below(place, &name, by) => Ruling::Search(by),
            Some(by) => Ruling::Leave(by),
        }
    }

    /// The place of the folder `name`, left out by the rule `left_by` or not at all.
    pub fn below(&self, place: &Place, name: &[u8], left_by: Option<usize>) -> Place {
        let name = if self.0.is_empty() { Vec::new() } else { units(name) };
        let step = |(rule, matched): (&Rule, &u64)| rule.step(*matched, &name);
        Place { matched: self.0.iter().zip(&place.matched).map(step).collect(), left_by }
    }

    /// A rule before `by` could take something below the folder `name`.
    fn may_take_below(&self, place: &Place, name: &[u32], by: usize) -> bool {
        self.0
            .iter()
            .zip(&place.matched)
            .take(by)
            .any(|(rule, matched)| rule.sign == Sign::Take && rule.leads_on(rule.step(*matched, name)))
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > RULE_BYTES_MAX {
            return Err("is longer than 1,024 bytes");
        }
        let (sign, pattern) = match (text.strip_prefix("+ "), text.strip_prefix("- ")) {
            (Some(pattern), _) => (Sign::Take, pattern),
            (_, Some(pattern)) => (Sign::Leave, pattern),
            _ => return Err("a rule begins with `+ ` or `- `"),
        };
        if pattern.starts_with(' ') {
            return Err("begins with two spaces; a name that begins with one is written `\\ `");
        }
        let (pattern, meant) = match pattern.strip_suffix('/') {
            Some(pattern) => (pattern, Meant::Folders),
            None => (pattern, Meant::All),
        };
        let (pattern, mut parts) = match pattern.strip_prefix('/') {
            Some(pattern) => (pattern, Vec::new()),
            None => (pattern, vec![Part::Deep]),
        };
        for part in pattern.split('/') {
            match part {
                "" => return Err("names nothing, or has two slashes in a row"),
                "." | ".." => return Err("`.` and `..` are no names"),
                // Twice would be as once.
                "**" if parts.last() == Some(&Part::Deep) => {}
                "**" => parts.push(Part::Deep),
                part => parts.push(Part::Name(Glob::parse(part)?)),
            }
        }
        // At the end it means all below, and not the folder itself.
        if parts.last() == Some(&Part::Deep) {
            parts.push(Part::Name(Glob::any()));
        }
        if parts.len() > PARTS_MAX {
            return Err("has more than 62 components");
        }
        Ok(Self { text: text.to_owned(), sign, meant, parts })
    }

    fn is_for(&self, shape: Shape) -> bool {
        self.meant == Meant::All || shape == Shape::Folder
    }

    /// How far it comes with one more name.
    fn step(&self, matched: u64, name: &[u32]) -> u64 {
        let mut next = 0;
        for (index, part) in self.parts.iter().enumerate() {
            if matched & (1 << index) == 0 {
                continue;
            }
            match part {
                Part::Deep => next |= 1 << index,
                Part::Name(glob) if glob.matches(name) => next |= 1 << (index + 1),
                Part::Name(_) => {}
            }
        }
        self.with_deep(next)
    }

    /// `**` may stand for nothing: where one comes next, what follows it does, too.
    fn with_deep(&self, mut matched: u64) -> u64 {
        for (index, part) in self.parts.iter().enumerate() {
            if *part == Part::Deep && matched & (1 << index) != 0 {
                matched |= 1 << (index + 1);
            }
        }
        matched
    }

    fn is_whole(&self, matched: u64) -> bool {
        matched & (1 << self.parts.len()) != 0
    }

    fn leads_on(&self, matched: u64) -> bool {
        matched & !(1 << self.parts.len()) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Rules {
        Rules::parse(&texts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    /// What the walk would do: down the path, and no further than it is let. A path that ends in `/` is a folder.
    fn judge(rules: &Rules, path: &str) -> Ruling {
        let (path, shape) = path.strip_suffix('/').map_or((path, Shape::Leaf), |path| (path, Shape::Folder));
        let names: Vec<&str> = path.split('/').collect();
        let mut place = rules.start();
        for (depth, name) in names.iter().enumerate() {
            let is_last = depth + 1 == names.len();
            let shape = if is_last { shape } else { Shape::Folder };
            let ruling = rules.judge(&place, name.as_bytes(), shape);
            if is_last || matches!(ruling, Ruling::Leave(_)) {
                return ruling;
            }
            let left_by = match ruling {
                Ruling::Search(by) => Some(by),
                _ => None,
            };
            place = rules.below(&place, name.as_bytes(), left_by);
        }
        unreachable!()
    }

    fn is_taken(texts: &[&str], path: &str) -> bool {
        matches!(judge(&rules(texts), path), Ruling::Take(_))
    }

    #[test]
    fn a_pattern_matches_as_its_slashes_say() {
        for (pattern, yes, no) in [
            // without a leading slash: the end of a path, at any depth
            ("*.o", &["a.o", "srv/a.o", "srv/b/a.o", "a.o/x"][..], &["a.c", "srv/o"][..]),
            ("b/*.o", &["b/a.o", "a/b/a.o"], &["a.o", "b/c/a.o"]),
            ("/srv/*", &["srv/a", "srv/a/b"], &["etc/a", "a/srv/a", "srv"]),
            ("/a/**/z", &["a/z", "a/b/z", "a/b/c/z"], &["z", "a/b/zz", "b/a/z"]),
            ("/a/**", &["a/b", "a/b/c"], &["a", "b"]),
            ("**/x", &["x", "a/x"], &["y"]),
            ("/a?", &["ab"], &["a", "a/b", "abc"]),
            ("cache/", &["cache/", "a/cache/x"], &["cache", "a/cache"]),
            ("[ab]/c", &["a/c", "x/b/c"], &["c", "d/c"]),
            ("**", &["a", "a/b"], &[]),
            ("/a/**/b/**/c", &["a/b/c", "a/x/b/y/b/z/c"], &["a/c/b", "a/b"]),
        ] {
            let rule = format!("- {pattern}");
            yes.iter().for_each(|path| assert!(!is_taken(&[&rule], path), "{pattern} {path}"));
            no.iter().for_each(|path| assert!(is_taken(&[&rule], path), "{pattern} {path}"));
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let both = ["+ keep.o", "- *.o", "+ *.o"];
        assert_eq!(judge(&rules(&both), "a/keep.o"), Ruling::Take(Some(0)));
        assert_eq!(judge(&rules(&both), "a/other.o"), Ruling::Leave(1));
        assert_eq!(judge(&rules(&both), "a/other"), Ruling::Take(None));
        // A chain as rsync knows it.
        let chain = ["+ /home/", "+ /home/u/", "- /home/*", "- *.tmp"];
        assert!(is_taken(&chain, "home/u/file") && !is_taken(&chain, "home/v/file"));
        assert!(!is_taken(&chain, "home/u/x.tmp"));
    }

    #[test]
    fn below_what_is_left_out_only_earlier_rules_are_asked() {
        let earlier = rules(&["+ /h/*/.cache/keep", "- /h/*/.cache", "+ *.txt"]);
        assert_eq!(judge(&earlier, "h/u/.cache/"), Ruling::Search(1));
        assert_eq!(judge(&earlier, "h/u/.cache/keep/"), Ruling::Take(Some(0)));
        assert_eq!(judge(&earlier, "h/u/.cache/keep/a/b"), Ruling::Take(None));
        assert_eq!(judge(&earlier, "h/u/.cache/a.txt"), Ruling::Leave(1));
        assert_eq!(judge(&earlier, "h/u/.cache/other/"), Ruling::Leave(1));
        // Nothing before it leads below: it is not gone into.
        let later = rules(&["- /h/*/.cache", "+ /h/*/.cache/keep"]);
        assert_eq!(judge(&later, "h/u/.cache/"), Ruling::Leave(0));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        let long = format!("- {}", "a".repeat(RULE_BYTES_MAX));
        let deep = format!("- {}", "a/".repeat(63));
        for text in [
            "", "*.o", "-*.o", "-  a", "! a", "- ", "- /", "- a//b", "- ..", "- a/./b", "- a**", &long, &deep,
        ] {
            assert!(Rules::parse(&[text.to_owned()]).is_err(), "{text}");
        }
        assert!(Rules::parse(&vec!["- a".to_owned(); RULES_MAX]).is_ok());
        assert!(Rules::parse(&vec!["- a".to_owned(); RULES_MAX + 1]).is_err());
        let longest = format!("- {}", ["a"; 61].join("/"));
        assert!(!is_taken(&[&longest], &["a"; 80].join("/")));
    }
}
