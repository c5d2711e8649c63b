//! The text files of the project, as a clone has them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::trouble::Result;

/// Folders that are made, not written.
const MADE: [&str; 5] = ["target", ".git", "corpus", "artifacts", "golden"];
/// Longest file that is taken for a text.
const TEXT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One text file.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the top of the project, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) files: Vec<Source>,
}

impl Sources {
    pub(crate) fn load(top: &Path) -> Result<Sources> {
        let mut sources = Sources::default();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(top.join(&folder))? {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                let kind = entry.file_type()?;
                if kind.is_dir() && !MADE.iter().any(|made| entry.file_name() == *made) {
                    folders.push(path);
                } else if kind.is_file() && entry.metadata()?.len() <= TEXT_BYTES_MAX {
                    // What is no UTF-8 is no text of ours.
                    if let Ok(text) = fs::read_to_string(top.join(&path)) {
                        sources.files.push(Source { path: path.display().to_string(), text });
                    }
                }
            }
        }
        sources.files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(sources)
    }

    /// Our own Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|source| source.path.ends_with(".rs"))
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|source| source.path == path)
    }

    /// Files directly in `folder`, which ends in `/`.
    pub(crate) fn directly_in<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a Source> {
        self.files
            .iter()
            .filter(move |source| source.path.strip_prefix(folder).is_some_and(|name| !name.contains('/')))
    }
}
