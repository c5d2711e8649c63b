//! Fragments of the changelog: one file for each change a person who restores would notice.

use super::Finding;
use super::sources::{Source, Sources};

const FOLDER: &str = "changelog/unreleased/";
/// The first word of a fragment.
const KINDS: [&str; 5] = ["Security: ", "Fixed: ", "Changed: ", "Added: ", "Removed: "];
/// What every fragment answers.
const ANSWERS: [&str; 2] = ["\nTo do: ", "\nFormats: "];
/// Most characters of a first line.
const LINE_MAX: usize = 120;

pub(crate) fn check(sources: &Sources) -> Vec<Finding> {
    sources.directly_in(FOLDER).filter_map(fragment).collect()
}

fn fragment(source: &Source) -> Option<Finding> {
    let name = source.path.strip_prefix(FOLDER).unwrap_or(&source.path);
    let well_named = name.strip_suffix(".md").is_some_and(|stem| {
        !stem.is_empty()
            && stem.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    });
    let first = source.text.lines().next().unwrap_or_default();
    let wrong = if !well_named {
        "its name is not like `push-resumes.md`"
    } else if !KINDS.iter().any(|kind| first.starts_with(kind)) {
        "does not begin with `Security: `, `Fixed: `, `Changed: `, `Added: ` or `Removed: `"
    } else if first.chars().count() > LINE_MAX || source.text.lines().nth(1) != Some("") {
        "its first line is not one sentence of at most 120 characters, with an empty line after it"
    } else if !ANSWERS.iter().all(|answer| source.text.contains(answer)) || !source.text.ends_with('\n') {
        "does not answer `To do: ` and `Formats: `, or has no last newline"
    } else {
        return None;
    };
    Some(format!("{}: {wrong}; see changelog/TEMPLATE.md", source.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_is_a_kind_and_a_sentence() {
        let find = |name: &str, text: &str| {
            let source = Source { path: format!("{FOLDER}{name}"), text: text.to_owned() };
            check(&Sources { files: vec![source] }).len()
        };
        let whole = "Added: a push that was cut short goes on\n\nIt did not.\n\nTo do: nothing.\nFormats: unchanged.\n";
        assert_eq!(find("push-resumes.md", whole), 0);
        assert_eq!(find("push-resumes.md", &whole.replace("Added: ", "")), 1);
        assert_eq!(find("Push resumes.txt", whole), 1);
        assert_eq!(find("push-resumes.md", &whole.replace("Formats", "")), 1);
    }
}
