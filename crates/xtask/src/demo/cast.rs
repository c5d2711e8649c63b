//! Who plays: two hosts, and the real folders that lie on them.

use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::stock::below;
use pipeline_tests::{Host, Outcome, Power, data};

use crate::screen::Step;
use crate::trouble::{Result, Trouble};

const NAMES: [&str; 2] = ["web01", "db1.example.org"];
const DEFAULT_PATHS: [&str; 2] = ["/etc", "/usr/share/doc"];
/// Files on the second host, if only one folder was named.
const MADE_FILES: u64 = 500;

/// One host, and what it backs up.
pub(crate) struct Actor {
    name: &'static str,
    given: Vec<PathBuf>,
    host: Option<Host>,
    /// The edited file of each root, and its text before.
    pub(crate) before: Vec<(PathBuf, Vec<u8>)>,
}

pub(crate) struct Cast {
    pub(crate) actors: Vec<Actor>,
}

impl Cast {
    pub(crate) fn from_paths(paths: &[PathBuf]) -> Result<Cast> {
        let paths: Vec<PathBuf> =
            if paths.is_empty() { DEFAULT_PATHS.iter().map(PathBuf::from).collect() } else { paths.to_vec() };
        let mut actors: Vec<Actor> = Vec::new();
        for name in NAMES {
            actors.push(Actor { name, given: Vec::new(), host: None, before: Vec::new() });
        }
        for (number, path) in paths.iter().enumerate() {
            let absolute =
                path.canonicalize().map_err(|error| Trouble::new(format!("{}: {error}", path.display())))?;
            if !absolute.is_dir() || absolute == Path::new("/") {
                return Err(Trouble::new(format!("{}: not a folder that can be copied", path.display())));
            }
            if let Some(actor) = actors.get_mut(number % NAMES.len()) {
                actor.given.push(absolute);
            }
        }
        Ok(Cast { actors })
    }
}

impl Actor {
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The folders that were named, for people.
    pub(crate) fn given(&self) -> String {
        if self.given.is_empty() {
            return "a made-up folder".to_owned();
        }
        self.given.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn host(&self) -> Result<&Host> {
        self.host.as_ref().ok_or_else(|| Trouble::new(format!("{} has not been added", self.name)))
    }

    pub(crate) fn becomes(&mut self, host: Host) {
        self.host = Some(host);
    }

    /// Copies the named folders to the host's disk, where the demo may change them. Returns the roots and the number of files that could not
    /// be read.
    pub(crate) fn copy(&self, disk: &Path) -> Result<(Vec<PathBuf>, usize)> {
        if self.given.is_empty() {
            let root = disk.join("made-up");
            data::write_small_files(&root, 1, MADE_FILES, 8192)?;
            return Ok((vec![root], 0));
        }
        let mut roots = Vec::new();
        let mut unread = 0;
        for given in &self.given {
            let _step = Step::spinner(format!("  copying {} to the disk of {}", given.display(), self.name));
            let root = below(disk, given);
            std::fs::create_dir_all(&root)?;
            let outcome = Outcome::of(Command::new("cp").arg("-a").arg(given.join(".")).arg(&root))?;
            let outcome = outcome.expect_code(if Power::here() == Power::User { &[0, 1] } else { &[0] })?;
            unread += outcome.stderr.lines().count();
            // The stock proof is made with diff, which knows no sockets.
            Outcome::of(Command::new("find").arg(&root).args(["-type", "s", "-delete"]))?
                .expect_code(&[0])?;
            roots.push(root);
        }
        Ok((roots, unread))
    }
}
