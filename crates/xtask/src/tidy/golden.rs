//! Golden files: bytes of released formats. They are added, never edited.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::Outcome;
use walkdir::WalkDir;

use super::Finding;
use crate::trouble::Result;

const FOLDER: &str = "crates/formats/tests/golden";
/// As `sha256sum` prints it, sorted by name.
const LIST: &str = "crates/xtask/golden.sha256";

pub(crate) fn check(top: &Path) -> Result<Vec<Finding>> {
    let known = fs::read_to_string(top.join(LIST))?;
    let names = list(&top.join(FOLDER))?;
    if names.is_empty() {
        return Ok(vec![format!("{FOLDER}: there are no golden files")]);
    }
    let mut command = Command::new("sha256sum");
    command.current_dir(top.join(FOLDER)).arg("--").args(&names);
    let now = Outcome::of(&mut command)?.expect_code(&[0])?.stdout;
    Ok(compare(&known, &now))
}

fn compare(known: &str, now: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for line in known.lines().filter(|line| !now.lines().any(|found| found == *line)) {
        findings.push(format!("{LIST}: a golden file was edited or removed: {line}"));
    }
    for line in now.lines().filter(|line| !known.lines().any(|found| found == *line)) {
        findings.push(format!("{LIST}: a golden file that is not listed: {line}"));
    }
    findings
}

/// From the folder of the golden files.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in WalkDir::new(folder) {
        let entry = entry?;
        if !entry.file_type().is_dir() {
            names.push(entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_and_a_stray_golden_file_are_found() {
        assert_eq!(compare("1  a\n2  b\n", "1  a\n2  b\n"), Vec::<Finding>::new());
        assert_eq!(compare("1  a\n2  b\n", "1  a\n3  b\n").len(), 2);
        assert_eq!(compare("1  a\n", "1  a\n2  b\n").len(), 1);
    }
}
