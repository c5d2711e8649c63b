//! One component of a pattern, as rules of a push and searches have them, matched against one name in time proportional to the product of their lengths, whatever they hold.
//!
//! Names are raw bytes and mostly UTF-8, so both sides are cut into units: a character where the bytes are one, else a single
//! byte. That way `?` stands for one letter in every script, and a name that is no text can still be matched.

use std::ops::RangeInclusive;

/// Units above all characters stand for bytes that are no text.
const BYTE: u32 = 0x11_0000;

/// What one component of a rule stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Unit(u32),
    /// `?`
    One,
    /// `*`
    Many,
    /// `[...]`
    Class(Sense, Vec<RangeInclusive<u32>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sense {
    In,
    /// `[!...]`
    NotIn,
}

/// A name cut into units.
pub fn units(name: &[u8]) -> Vec<u32> {
    let mut units = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        units.extend(chunk.valid().chars().map(u32::from));
        units.extend(chunk.invalid().iter().map(|byte| BYTE + u32::from(*byte)));
    }
    units
}

impl Glob {
    /// Of the text between two slashes.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parser = Parser { rest: text, literal: Vec::new(), tokens: Vec::new() };
        while let Some(c) = parser.next() {
            match c {
                '*' => {
                    parser.token(Token::Many);
                    if parser.rest.starts_with('*') {
                        return Err("`**` must stand alone between slashes");
                    }
                }
                '?' => parser.token(Token::One),
                '[' => {
                    let class = parser.class()?;
                    parser.token(class);
                }
                '\\' => {
                    let bytes = parser.escaped()?;
                    parser.literal.extend(bytes);
                }
                c => parser.literal.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        parser.flush();
        Ok(Self(parser.tokens))
    }

    /// `*`, which stands for every name.
    pub fn any() -> Self {
        Self(vec![Token::Many])
    }

    /// True if it stands for the whole name. Goes back to the last `*` only: what an earlier one could add, the last one can too.
    pub fn matches(&self, name: &[u32]) -> bool {
        let (mut token, mut unit) = (0, 0);
        let mut last_many = None;
        loop {
            match (self.0.get(token), name.get(unit)) {
                (None, None) => return true,
                (Some(Token::Many), _) => {
                    token += 1;
                    last_many = Some((token, unit));
                }
                (Some(one), Some(here)) if one.takes(*here) => {
                    token += 1;
                    unit += 1;
                }
                _ => match last_many {
                    Some((after, from)) if from < name.len() => {
                        (token, unit) = (after, from + 1);
                        last_many = Some((token, unit));
                    }
                    _ => return false,
                },
            }
        }
    }
}

impl Glob {
    /// The bytes that every name it stands for begins with.
    pub fn literal_start(&self) -> Vec<u8> {
        literal(self.0.iter())
    }

    /// The bytes that every name it stands for ends with.
    pub fn literal_end(&self) -> Vec<u8> {
        let count = self.0.iter().rev().take_while(|token| matches!(token, Token::Unit(_))).count();
        literal(self.0.iter().skip(self.0.len() - count))
    }
}

/// The units up to the first sign, as bytes again.
fn literal<'a>(tokens: impl Iterator<Item = &'a Token>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for token in tokens {
        let Token::Unit(unit) = token else { break };
        match char::from_u32(*unit) {
            Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => bytes.push((unit - BYTE) as u8),
        }
    }
    bytes
}

impl Token {
    fn takes(&self, unit: u32) -> bool {
        match self {
            Token::Unit(own) => *own == unit,
            Token::One => true,
            Token::Many => false,
            Token::Class(sense, ranges) => {
                ranges.iter().any(|range| range.contains(&unit)) == (*sense == Sense::In)
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    /// Bytes that stand for themselves, until they are cut into units.
    literal: Vec<u8>,
    tokens: Vec<Token>,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    fn token(&mut self, token: Token) {
        self.flush();
        self.tokens.push(token);
    }

    fn flush(&mut self) {
        self.tokens.extend(units(&self.literal).into_iter().map(Token::Unit));
        self.literal.clear();
    }

    /// What stands behind a backslash: `xNN` is a byte, punctuation is itself.
    fn escaped(&mut self) -> Result<Vec<u8>, &'static str> {
        const WRONG: &str = "a backslash stands before punctuation, or as `\\xNN` for a byte";
        match self.next() {
            Some('x') => {
                let digits = self.rest.get(..2).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
                let byte = digits.and_then(|text| u8::from_str_radix(text, 16).ok()).ok_or(WRONG)?;
                self.rest = self.rest.get(2..).unwrap_or_default();
                if byte == 0 || byte == b'/' {
                    return Err("no name holds this byte");
                }
                Ok(vec![byte])
            }
            Some(c) if c.is_ascii_punctuation() || c == ' ' => Ok(vec![c as u8]),
            _ => Err(WRONG),
        }
    }

    /// What stands behind `[`.
    fn class(&mut self) -> Result<Token, &'static str> {
        const OPEN: &str = "a `[` without its `]`";
        let sense = if self.rest.starts_with(['!', '^']) { Sense::NotIn } else { Sense::In };
        if sense == Sense::NotIn {
            self.next();
        }
        let mut ranges = Vec::new();
        loop {
            let first = match self.next().ok_or(OPEN)? {
                // Right behind the opening it is one of the characters.
                ']' if !ranges.is_empty() => return Ok(Token::Class(sense, ranges)),
                c => self.member(c)?,
            };
            let ranged = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            if !ranged {
                ranges.push(first..=first);
                continue;
            }
            self.next();
            let last = self.next().ok_or(OPEN)?;
            let last = self.member(last)?;
            if last < first {
                return Err("a range that ends before it begins");
            }
            ranges.push(first..=last);
        }
    }

    fn member(&mut self, c: char) -> Result<u32, &'static str> {
        if c != '\\' {
            return Ok(u32::from(c));
        }
        let bytes = self.escaped()?;
        units(&bytes).first().copied().ok_or("an empty member of a `[...]`")
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn matches(glob: &str, name: impl AsRef<[u8]>) -> bool {
        Glob::parse(glob).unwrap().matches(&units(name.as_ref()))
    }

    #[test]
    fn each_sign_stands_for_what_is_said() {
        for (glob, yes, no) in [
            ("a", &["a"][..], &["", "b", "aa"][..]),
            ("*", &["", "a", ".hidden"], &[]),
            ("*.o", &[".o", "a.o", "a.o.o"], &["o", "a.oo", "a.O"]),
            ("a?c", &["abc", "a?c", "aüc", "a字c"], &["ac", "abbc"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x"]),
            ("[!a-c]x", &["dx", "üx"], &["ax", "x"]),
            ("[^a]", &["b"], &["a"]),
            ("[]-]", &["]", "-"], &["a"]),
            ("[ä-ö]", &["ö"], &["a"]),
            ("\\*\\x61", &["*a"], &["xa"]),
            ("a*b*c", &["abc", "aXbYbc"], &["ab", "acb"]),
            ("\\x5b", &["["], &["\\"]),
        ] {
            yes.iter().for_each(|name| assert!(matches(glob, name), "{glob} {name}"));
            no.iter().for_each(|name| assert!(!matches(glob, name), "{glob} {name}"));
        }
    }

    #[test]
    fn what_is_literal_at_both_ends_is_known() {
        for (glob, start, end) in [
            ("nginx.conf", &b"nginx.conf"[..], &b"nginx.conf"[..]),
            ("*.conf", b"", b".conf"),
            ("a*", b"a", b""),
            ("\\xffa?ü[b]c", b"\xffa", b"c"),
            ("*", b"", b""),
        ] {
            let glob = Glob::parse(glob).unwrap();
            assert_eq!((glob.literal_start().as_slice(), glob.literal_end().as_slice()), (start, end));
        }
    }

    #[test]
    fn names_that_are_no_text_are_matched_byte_by_byte() {
        assert!(matches("a?", b"a\xff") && matches("\\xff*", b"\xff\xfe") && matches("[!a]", b"\x80"));
        assert!(matches("[\\x80-\\xff]", b"\x90") && !matches("[\\x80-\\xff]", "ü"));
        // Two bytes that make a character are that character.
        assert!(matches("\\xc3\\xbc", "ü") && !matches("?", b"\xff\xff"));
    }

    #[test]
    fn what_is_no_component_is_refused() {
        for text in ["a**", "[", "[]", "[a", "[z-a]", "\\", "\\q", "\\x0", "\\x00", "\\x2f", "[a-"] {
            assert!(Glob::parse(text).is_err(), "{text}");
        }
    }

    /// The time is bounded by the product of the lengths: a matcher that tries all ways of cutting would not end.
    #[test]
    fn a_hostile_name_costs_no_more_than_its_length_times_the_rule() {
        let glob = format!("{}b", "*a".repeat(400));
        let started = Instant::now();
        assert!(!matches(&glob, "a".repeat(255)));
        assert!(!matches(&glob, "a".repeat(30_000)));
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}
