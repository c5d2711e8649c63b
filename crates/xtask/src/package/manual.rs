//! Man pages and completions, as the programs print them.

use std::path::Path;
use std::process::Command;

use pipeline_tests::outcome::Outcome;

use super::tree::Tree;
use crate::trouble::{Result, Trouble};

/// Where each shell looks for completions, around the name of the program.
const SHELLS: [(&str, &str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/", ""),
    ("zsh", "usr/share/zsh/vendor-completions/_", ""),
    ("fish", "usr/share/fish/vendor_completions.d/", ".fish"),
];

/// Verbs below verbs below verbs there are none.
const DEPTH_MAX: usize = 3;

/// A page for the program and for each of its verbs, and its completions.
pub(crate) fn lay(program: &Path, tree: &mut Tree) -> Result<()> {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    pages(program, &name, &[], tree)?;
    for (shell, folder, ending) in SHELLS {
        let script = printed(program, &["completions".to_owned(), shell.to_owned()])?;
        tree.file(&format!("{folder}{name}{ending}"), script.as_bytes(), 0o644)?;
    }
    Ok(())
}

fn pages(program: &Path, name: &str, verbs: &[String], tree: &mut Tree) -> Result<()> {
    let words: Vec<String> = std::iter::once("man".to_owned()).chain(verbs.iter().cloned()).collect();
    let page = printed(program, &words)?;
    tree.file(&format!("usr/share/man/man1/{name}.1"), page.as_bytes(), 0o644)?;
    for verb in listed(&page, name) {
        if verbs.len() >= DEPTH_MAX {
            return Err(Trouble::new(format!("{name} has verbs too deep")));
        }
        let below: Vec<String> = verbs.iter().cloned().chain([verb.clone()]).collect();
        pages(program, &format!("{name}-{verb}"), &below, tree)?;
    }
    Ok(())
}

/// The verbs that a page refers to: `push\-client\-run(1)`.
fn listed(page: &str, name: &str) -> Vec<String> {
    let prefix = format!("{name}-");
    let references =
        page.lines().filter_map(|line| line.strip_suffix("(1)")).map(|line| line.replace("\\-", "-"));
    references.filter_map(|reference| reference.strip_prefix(&prefix).map(str::to_owned)).collect()
}

fn printed(program: &Path, words: &[String]) -> Result<String> {
    Ok(Outcome::of(Command::new(program).args(words).env("LC_ALL", "C"))?.expect_code(&[0])?.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_found_in_the_page_that_refers_to_them() {
        let page = ".SH SUBCOMMANDS\n.TP\nsnapshotter\\-host\\-sshd\\-config(1)\nPrint\n.TP\nsnapshotter\\-host\\-add(1)\nother(1)\n";
        assert_eq!(listed(page, "snapshotter-host"), ["sshd-config", "add"]);
    }
}
