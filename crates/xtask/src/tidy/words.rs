//! Words that must not be in a file: a promise without a reference, the machine of whoever wrote it.

use super::Finding;
use super::sources::{Source, Sources};

/// Written in two halves, so that this file does not find itself.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("/work/", "main", "a path of one machine"),
    ("/work/", "shared", "a path of one machine"),
    ("crates", ".io", "a registry's host name"),
    ("static.crates", ".io", "a registry's host name"),
    ("pypi", ".org", "a registry's host name"),
    ("npmjs", ".com", "a registry's host name"),
];
/// Where cargo itself writes such words.
const EXEMPT: [&str; 2] = ["Cargo.lock", "fuzz/Cargo.lock"];
const PROMISES: [(&str, &str); 2] = [("TO", "DO"), ("FIX", "ME")];

pub(crate) fn check(sources: &Sources) -> Vec<Finding> {
    let files = sources.files.iter().filter(|source| !EXEMPT.contains(&source.path.as_str()));
    files.flat_map(|source| forbidden(source).chain(promises(source)).chain(unwrapped(source))).collect()
}

/// Of the standard library, they end in a panic where a child's pipe cannot be read. Tests may.
fn unwrapped(source: &Source) -> Option<Finding> {
    let is_program = source.path.starts_with("crates/") && source.path.contains("/src/");
    let is_free = source.path.starts_with("crates/xtask/") || source.path.ends_with("/tests.rs");
    let code = source.text.split("#[cfg(test)]").next().unwrap_or_default();
    let call = [".output()", ".wait_with_output()"].into_iter().find(|call| code.contains(call));
    let call = call.filter(|_| is_program && !is_free)?;
    Some(format!("{}: {call} panics where a pipe cannot be read: see child.rs of snapshotter", source.path))
}

fn forbidden(source: &Source) -> impl Iterator<Item = Finding> {
    FORBIDDEN.iter().flat_map(move |(first, second, why)| {
        let word = format!("{first}{second}");
        let lines = source.text.lines().enumerate().filter(move |(_, line)| line.contains(&word));
        lines.map(move |(number, _)| format!("{}:{}: {first}{second}: {why}", source.path, number + 1))
    })
}

/// A promise in code must name its issue: the word, then `(#12)`. Documents may speak of promises.
fn promises(source: &Source) -> impl Iterator<Item = Finding> {
    let words = if source.path.ends_with(".md") { [].iter() } else { PROMISES.iter() };
    words.flat_map(move |(first, second)| {
        let word = format!("{first}{second}");
        let bare = move |line: &str| {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            line.match_indices(&word).any(|(place, found)| {
                let before = line.get(..place).and_then(|text| text.chars().next_back());
                let after = line.get(place + found.len()..).unwrap_or_default();
                !before.is_some_and(is_word) && !after.starts_with(is_word) && !after.starts_with("(#")
            })
        };
        let lines = source.text.lines().enumerate().filter(move |(_, line)| bare(line));
        lines.map(move |(number, _)| {
            format!("{}:{}: {first}{second} without a reference", source.path, number + 1)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_hears_its_children_without_a_panic() {
        let find = |path: &str, text: &str| {
            let source = Source { path: path.to_owned(), text: text.to_owned() };
            check(&Sources { files: vec![source] }).len()
        };
        assert_eq!(find("crates/a/src/b.rs", "command.output()"), 1);
        assert_eq!(find("crates/a/src/b.rs", "child.wait_with_output()?"), 1);
        assert_eq!(find("crates/a/src/b.rs", "x();\n#[cfg(test)]\nmod tests { command.output() }"), 0);
        assert_eq!(find("crates/a/tests/claims/b.rs", "command.output()"), 0);
    }

    #[test]
    fn a_promise_needs_a_reference() {
        let find = |text: &str| {
            let source = Source { path: "a.rs".to_owned(), text: text.to_owned() };
            check(&Sources { files: vec![source] }).len()
        };
        assert_eq!(find(concat!("// TO", "DO: later")), 1);
        assert_eq!(find(concat!("// TO", "DO(#7): later")), 0);
        assert_eq!(find("// a TODOS list"), 0);
        assert_eq!(find(concat!("see /work/", "main/x")), 1);
    }
}
