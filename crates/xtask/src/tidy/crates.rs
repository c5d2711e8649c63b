//! What every crate must have: the workspace's lints and licence, one table of versions, one test binary, and documents of its formats.

use std::collections::BTreeSet;

use super::Finding;
use super::metadata::{Metadata, Package};
use super::sources::{Source, Sources};

const LICENCE: &str = "MIT OR Apache-2.0";

pub(crate) fn check(metadata: &Metadata, sources: &Sources) -> Vec<Finding> {
    let mut findings: Vec<Finding> = metadata.packages.iter().flat_map(package).collect();
    for source in sources.files.iter().filter(|source| is_member(&source.path)) {
        findings.extend(manifest(source));
    }
    findings.extend(formats(sources));
    findings
}

fn is_member(path: &str) -> bool {
    path.ends_with("/Cargo.toml") && !path.starts_with("fuzz/")
}

fn package(package: &Package) -> Vec<Finding> {
    let mut findings = Vec::new();
    let name = &package.name;
    if package.license.as_deref() != Some(LICENCE) {
        findings.push(format!("crate {name}: its licence is not {LICENCE}"));
    }
    if package.description.is_none() {
        findings.push(format!("crate {name}: has no description"));
    }
    let tests = package.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "test")).count();
    if tests > 1 {
        findings.push(format!("crate {name}: {tests} test binaries, at most one"));
    }
    findings
}

fn manifest(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let path = &source.path;
    if !source.text.contains("[lints]\nworkspace = true") {
        findings.push(format!("{path}: lacks `[lints]` with `workspace = true`"));
    }
    let mut section = "";
    for (number, line) in source.text.lines().enumerate() {
        if let Some(name) = line.strip_prefix('[') {
            section = name;
        } else if section.contains("dependencies")
            && line.contains('=')
            && !line.trim_start().starts_with('#')
            && !line.contains("workspace = true")
        {
            findings.push(format!("{path}:{}: a version outside the workspace's table", number + 1));
        }
    }
    findings
}

/// Each name that begins a file or a record must stand in a document.
fn formats(sources: &Sources) -> Vec<Finding> {
    let documents: String = sources.directly_in("docs/formats/").map(|source| source.text.as_str()).collect();
    let is_ours = |source: &&Source| source.path.starts_with("crates/") && source.path.contains("/src/");
    let rust = sources.rust().filter(is_ours).filter(|source| !source.path.starts_with("crates/xtask/"));
    let names: BTreeSet<(String, &str)> = rust
        .flat_map(|source| magics(&source.text).into_iter().map(|name| (name, source.path.as_str())))
        .collect();
    let undocumented = names.into_iter().filter(|(name, _)| !documents.contains(name.as_str()));
    undocumented
        .map(|(name, path)| format!("{path}: format {name} has no document in docs/formats/"))
        .collect()
}

/// `b"firn.psh"` and `"firn.log/1.0"`: a quote, `firn.`, a name.
fn magics(text: &str) -> Vec<String> {
    let names = text.match_indices("\"firn.").filter_map(|(place, _)| {
        let body = text.get(place + 1..)?;
        let name = body.get(..body.find('"')?)?;
        let (word, version) =
            name.split_once('/').map_or((name, None), |(word, version)| (word, Some(version)));
        let is_binary = place > 0 && text.as_bytes().get(place - 1) == Some(&b'b') && name.len() == 8;
        let is_record =
            version.is_some_and(|version| version.split('.').all(|part| part.parse::<u16>().is_ok()));
        let plain = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.' || byte == b'-');
        (plain && (is_binary || is_record)).then(|| name.to_owned())
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magics_are_binary_names_and_versioned_records() {
        let text = r#"const A: &[u8; 8] = b"firn.psh"; let b = "firn.log/1.0"; let c = "firn.toml"; let d = b"firn.longer";"#;
        assert_eq!(magics(text), ["firn.psh", "firn.log/1.0"]);
    }

    #[test]
    fn a_version_in_a_crate_is_found() {
        let text = "[lints]\nworkspace = true\n\n[dependencies]\nserde.workspace = true\nserde = { workspace = true, optional = true }\nrand = \"1\"\n";
        let source = Source { path: "crates/a/Cargo.toml".to_owned(), text: text.to_owned() };
        let found = manifest(&source);
        assert_eq!(
            found,
            [
                "crates/a/Cargo.toml:5: a version outside the workspace's table",
                "crates/a/Cargo.toml:7: a version outside the workspace's table"
            ]
            .split_at(1)
            .1
        );
    }
}
