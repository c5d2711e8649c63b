//! `push-client exclude-test`: what would become of each path, and what decides it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cli::{Exit, Failed, Run};
use formats::RelPath;
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::walk::{Excluded, Fate, FileKind, Missed, Selection, Trace, Walker};

pub(super) fn exclude_test(run: &mut Run, settings: &Path, paths: &[PathBuf]) -> Result<Exit, Failed> {
    let plan = Plan::load(settings)?;
    let mut told = Vec::new();
    for path in paths {
        let answer = Answer::of(&plan, path)?;
        run.line(&format!("{:9} {}: {}", answer.word, answer.path, answer.why));
        run.report().count(if answer.is_pushed { "pushed" } else { "not_pushed" }, 1);
        told.push(answer.json());
    }
    run.report().detail("paths", told);
    Ok(Exit::WHOLE)
}

/// What is said of one path.
struct Answer {
    path: String,
    is_pushed: bool,
    word: &'static str,
    why: String,
    /// The path that decides.
    at: String,
    root: Option<String>,
    rule: Option<String>,
}

impl Answer {
    fn of(plan: &Plan, path: &Path) -> Result<Self, Failed> {
        let selection = &plan.selection;
        let whole =
            std::path::absolute(path).map_err(|e| Failed::machine("finding the current folder", e))?;
        let bytes = whole.as_os_str().as_bytes();
        let shown_path = cli::shown(bytes);
        let below = bytes.strip_prefix(b"/").unwrap_or(bytes);
        let below = below.strip_suffix(b"/").unwrap_or(below);
        let trace = match RelPath::new(below) {
            Ok(path) if plan.commands.dumps.iter().any(|dump| dump.path == path) => {
                let number = plan.commands.dumps.iter().take_while(|dump| dump.path != path).count() + 1;
                return Ok(Self {
                    path: shown_path.clone(),
                    is_pushed: true,
                    word: "pushed",
                    why: format!("dump {number} makes it, in place of what lies there"),
                    at: shown_path,
                    root: None,
                    rule: None,
                });
            }
            Ok(path) => {
                let walker =
                    Walker::new(selection).map_err(|errno| Failed::machine("opening /", errno.into()))?;
                (walker.trace(&path), selection.root_of(&path))
            }
            Err(error) => {
                return Ok(Self {
                    path: shown_path.clone(),
                    is_pushed: false,
                    word: "no path",
                    why: error.to_string(),
                    at: shown_path,
                    root: None,
                    rule: None,
                });
            }
        };
        let (Trace { at, fate }, root) = trace;
        let at = absolute(&at);
        let root = root.map(|root| absolute(&root));
        Ok(Self {
            is_pushed: fate.is_pushed(),
            word: word(&fate),
            why: why(&fate, &at, root.as_deref(), selection),
            rule: rule(&fate).map(|index| selection.rules.text(index).to_owned()),
            path: shown_path,
            at,
            root,
        })
    }

    fn json(self) -> Value {
        let Self { path, is_pushed, word, why, at, root, rule } = self;
        json!({ "path": path, "pushed": is_pushed, "word": word, "why": why, "at": at, "root": root, "rule": rule })
    }
}

fn word(fate: &Fate) -> &'static str {
    match fate {
        Fate::Pushed { .. } => "pushed",
        Fate::FolderOnly => "folder",
        Fate::NotThere | Fate::Missed(Missed::Vanished | Missed::NoRoot) => "not there",
        Fate::Missed(Missed::Excluded(_)) => "excluded",
        Fate::NotChosen => "no root",
        Fate::Missed(_) | Fate::NoFolder(_) => "left out",
    }
}

fn rule(fate: &Fate) -> Option<usize> {
    match fate {
        Fate::Pushed { rule, .. } => *rule,
        Fate::Missed(Missed::Excluded(Excluded::Rule(index))) => Some(*index),
        _ => None,
    }
}

fn why(fate: &Fate, at: &str, root: Option<&str>, selection: &Selection) -> String {
    let text = |index: &usize| selection.rules.text(*index);
    match fate {
        Fate::Pushed { rule, without } => {
            let by = match (rule, root) {
                (Some(rule), _) => format!("rule \"{}\"", text(rule)),
                (None, Some(root)) => format!("root {root}"),
                (None, None) => "below a root".to_owned(),
            };
            match without {
                Some(why) => format!("{by}; what it holds is not: {}", missed(*why, at, selection)),
                None => by,
            }
        }
        Fate::FolderOnly => "only the folder itself, as something below it is or may be chosen".to_owned(),
        Fate::Missed(why) => missed(*why, at, selection),
        Fate::NotChosen => "nothing in the settings chooses it".to_owned(),
        Fate::NotThere => format!("{at} holds no such name"),
        Fate::NoFolder(FileKind::Symlink) => {
            format!("{at} is a symbolic link: it is pushed, and what it points to only where that lies")
        }
        Fate::NoFolder(_) => format!("{at} is no folder"),
    }
}

fn missed(why: Missed, at: &str, selection: &Selection) -> String {
    match why {
        Missed::Excluded(Excluded::Named) => format!("`exclude` names {at}, or it is the client's own state"),
        Missed::Excluded(Excluded::Rule(index)) => {
            format!("rule \"{}\" matches {at}", selection.rules.text(index))
        }
        Missed::Excluded(Excluded::Cache) => format!("{at} has a signed CACHEDIR.TAG"),
        Missed::Excluded(Excluded::Marked) => format!("{at} holds a name of `exclude_if_present`"),
        Missed::OtherFileSystem => format!("another file system is mounted at {at}"),
        Missed::Vanished | Missed::NoRoot => format!("there is no {at}"),
        Missed::LinkedRoot => format!("{at} is a symbolic link, and a root is, or lies behind, it"),
        Missed::Name => "the path is too long or too deep".to_owned(),
        Missed::Unsteady => format!("{at} changed its kind at each look"),
        Missed::Closed(errno) | Missed::Unlisted(errno) => {
            format!("{at} cannot be read: {}", std::io::Error::from(errno))
        }
    }
}

fn absolute(path: &[u8]) -> String {
    format!("/{}", cli::shown(path))
}
