//! The text files of the project, as a clone has them.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use walkdir::WalkDir;

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
        let is_made = |name: &OsStr| MADE.iter().any(|made| name == *made);
        let walk = WalkDir::new(top).into_iter();
        let mut files = Vec::new();
        for entry in walk.filter_entry(|entry| !entry.file_type().is_dir() || !is_made(entry.file_name())) {
            let entry = entry?;
            if !entry.file_type().is_file() || entry.metadata()?.len() > TEXT_BYTES_MAX {
                continue;
            }
            // What is no UTF-8 is no text of ours.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                let path = entry.path().strip_prefix(top).unwrap_or(entry.path());
                files.push(Source { path: path.display().to_string(), text });
            }
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(Sources { files })
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
