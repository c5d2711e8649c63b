//! How long files and functions may be, and how modules may be called.

use super::Finding;
use super::mask::code_only;
use super::sources::{Source, Sources};

/// Most lines of a Rust file.
const FILE_LINES_MAX: usize = 400;
/// Most lines of a function.
const FUNCTION_LINES_MAX: usize = 70;
/// Most lines of a `main.rs`, its story and its list of modules apart: parse, run, exit.
const MAIN_LINES_MAX: usize = 29;
/// Names of drawers.
const DRAWERS: [&str; 5] = ["utils", "util", "common", "helpers", "misc"];
/// What is longer, for now: it may shrink, and then its number must too.
const RATCHET: &[(&str, usize)] = &[
    ("tests/tests/pipeline/hostile/ground.rs", 447),
    ("tests/tests/pipeline/hostile/company.rs fn slow_hosts_hold_their_jail_no_longer_than_the_limits", 71),
];

pub(crate) fn check(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.rust() {
        findings.extend(limit(&source.path, source.text.lines().count(), FILE_LINES_MAX));
        if source.path.ends_with("src/main.rs") {
            findings.extend(limit(
                &format!("{} without its story", source.path),
                doorway(&source.text),
                MAIN_LINES_MAX,
            ));
        }
        let functions = functions(&source.text).into_iter();
        // A table of cases is data: it is as long as it has rows.
        for (name, lines) in functions.filter(|(name, _)| name != "cases" || !source.path.contains("tests/"))
        {
            findings.extend(limit(&format!("{} fn {name}", source.path), lines, FUNCTION_LINES_MAX));
        }
        findings.extend(drawer(source));
    }
    findings
}

/// Lines of code that are no `mod`.
fn doorway(text: &str) -> usize {
    code_only(text)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("mod "))
        .count()
}

fn limit(what: &str, lines: usize, most: usize) -> Option<Finding> {
    let allowed = RATCHET.iter().find(|(known, _)| *known == what).map(|(_, lines)| *lines);
    match allowed {
        Some(allowed) if lines < allowed => {
            Some(format!("{what}: {lines} lines; lower its number in the ratchet"))
        }
        Some(allowed) if lines > allowed => {
            Some(format!("{what}: {lines} lines, and it was {allowed}: it may only shrink"))
        }
        Some(_) => None,
        None if lines > most => Some(format!("{what}: {lines} lines, at most {most}")),
        None => None,
    }
}

fn drawer(source: &Source) -> Option<Finding> {
    let is_drawer = |part: &str| DRAWERS.contains(&part.trim_end_matches(".rs"));
    source
        .path
        .split('/')
        .any(is_drawer)
        .then(|| format!("{}: a drawer; name it after what it promises", source.path))
}

/// Name and length in lines of each function that has a body.
fn functions(text: &str) -> Vec<(String, usize)> {
    let code = code_only(text);
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        if let Some(name) = function_name(line)
            && let Some(length) = body_lines(lines.iter().skip(first))
        {
            found.push((name, length));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "fn")?;
    // Only words like `pub(crate) const unsafe extern` stand before it.
    if words.iter().take(place).any(|word| word.contains(['(', ':', '=', '<']) && !word.starts_with("pub(")) {
        return None;
    }
    let name: String =
        words.get(place + 1)?.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// Lines up to the brace that closes the first one; none if a semicolon comes first.
fn body_lines<'a>(lines: impl Iterator<Item = &'a &'a str>) -> Option<usize> {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (count, line) in lines.enumerate() {
        for c in line.chars() {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                '{' => depth += 1,
                '}' if depth == 1 => return Some(count + 1),
                '}' => depth = depth.saturating_sub(1),
                ';' if depth == 0 && brackets == 0 => return None,
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_their_name_to_their_last_brace() {
        let text = "trait T {\n    fn none(&self) -> [u8; 4];\n}\npub(crate) fn two() {\n}\nfn one() -> u8 { b'}' }\n\
                    fn long(\n    a: [u8; 2],\n) -> X {\n    if a { \"}\" }\n}\n";
        let expected = [("two", 2), ("one", 1), ("long", 5)].map(|(name, lines)| (name.to_owned(), lines));
        assert_eq!(functions(text), expected);
    }

    #[test]
    fn a_function_too_long_is_found() {
        let text = format!("fn f() {{\n{}}}\n", "    x();\n".repeat(FUNCTION_LINES_MAX));
        let sources = Sources { files: vec![Source { path: "crates/a/src/lib.rs".to_owned(), text }] };
        assert_eq!(check(&sources), ["crates/a/src/lib.rs fn f: 72 lines, at most 70"]);
    }

    #[test]
    fn a_drawer_is_found() {
        let text = String::new();
        let sources = Sources { files: vec![Source { path: "crates/a/src/utils.rs".to_owned(), text }] };
        assert_eq!(check(&sources).len(), 1);
    }
}
