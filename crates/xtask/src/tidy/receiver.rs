//! What the receiver is made of. It faces the network, so its list is short, stands in `ARCHITECTURE.md`, and some crates are never on it.

use std::collections::BTreeSet;

use pipeline_tests::Outcome;
use pipeline_tests::machine::cargo;

use super::Finding;
use super::sources::Sources;
use crate::trouble::Result;

/// Most crates, our own included. Raise it with a reason in `ARCHITECTURE.md`.
const CRATES_MAX: usize = 40;
/// Beginnings of names that mean TLS, an async runtime, a store's client, decompression or a parser of settings.
const NEVER: [&str; 15] = [
    "openssl", "rustls", "ring", "aws-", "tokio", "async-", "futures", "hyper", "reqwest", "ssh2", "libssh2",
    "sequoia", "serde", "toml", "zstd",
];
const BEGIN: &str = "<!-- receiver-deps:begin -->";
const END: &str = "<!-- receiver-deps:end -->";

pub(crate) fn check(sources: &Sources) -> Result<Vec<Finding>> {
    let mut command = cargo();
    command.args([
        "tree",
        "--package",
        "receiver",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let tree = Outcome::of(&mut command)?.expect_code(&[0])?.stdout;
    let page = sources.get("ARCHITECTURE.md").map_or("", |source| source.text.as_str());
    Ok(judge(&tree, page))
}

fn judge(tree: &str, page: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let all: BTreeSet<(&str, bool)> = tree.lines().filter_map(of_line).collect();
    if all.len() > CRATES_MAX {
        findings.push(format!("receiver: made of {} crates, at most {CRATES_MAX}", all.len()));
    }
    for (name, _) in all.iter().filter(|(name, _)| NEVER.iter().any(|never| name.starts_with(never))) {
        findings.push(format!("receiver: must not hold {name}"));
    }
    let text = sentence(&all);
    let stands =
        page.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(block, _)| block.trim());
    if stands != Some(text.as_str()) {
        findings.push(format!("ARCHITECTURE.md: between the marks `receiver-deps` should stand\n{text}"));
    }
    findings
}

/// Name, and whether the crate is our own: cargo then names its folder.
fn of_line(line: &str) -> Option<(&str, bool)> {
    Some((line.split_whitespace().next()?, line.contains("(/")))
}

fn sentence(all: &BTreeSet<(&str, bool)>) -> String {
    let names = |own: bool| {
        all.iter().filter(|(_, is_own)| *is_own == own).map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let (own, foreign) = (names(true), names(false));
    format!(
        "{} crates: {} of our own ({}) and {} from elsewhere ({}).",
        all.len(),
        own.len(),
        own.join(", "),
        foreign.len(),
        foreign.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_in_the_receiver_is_found() {
        let page =
            format!("x\n{BEGIN}\n2 crates: 1 of our own (receiver) and 1 from elsewhere (blake3).\n{END}\n");
        assert_eq!(judge("receiver v0.1.0 (/a/b)\nblake3 v1.8.0\n", &page), Vec::<Finding>::new());
        let findings = judge("receiver v0.1.0 (/a/b)\ntokio v1.0.0\n", &page);
        assert!(findings.contains(&"receiver: must not hold tokio".to_owned()));
        assert_eq!(findings.len(), 2, "and the page no longer says the truth");
    }
}
