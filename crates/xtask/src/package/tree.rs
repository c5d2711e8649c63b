//! The tree of one package while it is laid out: folders and files with exact modes and one time.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use pipeline_tests::outcome::Outcome;
use walkdir::WalkDir;

use crate::trouble::{Result, Trouble};

/// A tree on disk.
#[derive(Debug)]
pub(crate) struct Tree {
    top: PathBuf,
    /// Relative to the top, in the order they were laid.
    files: Vec<String>,
}

impl Tree {
    /// An empty one.
    pub(crate) fn new(top: &Path) -> Result<Tree> {
        fs::create_dir(top)?;
        set_mode(top, 0o755)?;
        Ok(Tree { top: top.to_owned(), files: Vec::new() })
    }

    pub(crate) fn top(&self) -> &Path {
        &self.top
    }

    /// A folder; those above it are for everyone to read.
    pub(crate) fn folder(&mut self, path: &str, mode: u32) -> Result<()> {
        let mut folder = self.top.clone();
        for name in path.split('/') {
            folder.push(name);
            if !folder.is_dir() {
                fs::create_dir(&folder)?;
                set_mode(&folder, 0o755)?;
            }
        }
        set_mode(&folder, mode)
    }

    /// A file with these bytes.
    pub(crate) fn file(&mut self, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let target = self.place(path)?;
        fs::write(&target, bytes)?;
        set_mode(&target, mode)
    }

    /// A copy of a file.
    pub(crate) fn copy(&mut self, path: &str, source: &Path, mode: u32) -> Result<()> {
        let target = self.place(path)?;
        fs::copy(source, &target)
            .map_err(|error| Trouble::new(format!("copy {}: {error}", source.display())))?;
        set_mode(&target, mode)
    }

    fn place(&mut self, path: &str) -> Result<PathBuf> {
        if let Some((folder, _)) = path.rsplit_once('/')
            && !self.top.join(folder).is_dir()
        {
            self.folder(folder, 0o755)?;
        }
        let target = self.top.join(path);
        if target.exists() {
            return Err(Trouble::new(format!("{path} is there twice")));
        }
        self.files.push(path.to_owned());
        Ok(target)
    }

    /// Compresses what Debian wants compressed: pages and changelogs. No name and no time gets into them.
    pub(crate) fn compress(&mut self) -> Result<()> {
        let is_long = |path: &str| path.starts_with("usr/share/man/") || path.ends_with("/changelog");
        let mut gzip = Command::new("gzip");
        gzip.args(["--best", "--no-name", "--"]).current_dir(&self.top);
        for path in self.files.iter_mut().filter(|path| is_long(path)) {
            gzip.arg(&*path);
            path.push_str(".gz");
        }
        Outcome::of(&mut gzip)?.expect_code(&[0])?;
        Ok(())
    }

    /// The files that are installed, sorted.
    pub(crate) fn installed(&self) -> Vec<&str> {
        let mut files: Vec<_> =
            self.files.iter().map(String::as_str).filter(|path| !path.starts_with("DEBIAN/")).collect();
        files.sort_unstable();
        files
    }

    /// What it takes up when installed, as Debian counts it.
    pub(crate) fn installed_kib(&self) -> Result<u64> {
        let mut sum = 0;
        for path in self.installed() {
            sum += fs::metadata(self.top.join(path))?.len().div_ceil(1024);
        }
        Ok(sum)
    }

    /// The sums that `dpkg --verify` checks.
    pub(crate) fn sums(&self) -> Result<String> {
        let mut sums = Command::new("md5sum");
        sums.arg("--").args(self.installed()).current_dir(&self.top);
        Ok(Outcome::of(&mut sums)?.expect_code(&[0])?.stdout)
    }

    /// Gives everything one time. The last step: any other would change a folder's.
    pub(crate) fn settle(&self, seconds: u64) -> Result<()> {
        for entry in WalkDir::new(&self.top).contents_first(true) {
            File::open(entry?.path())?.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))?;
        }
        Ok(())
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}
