//! The folders a prisoner finds, and running prisoners.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// `nobody` on every Linux.
pub(crate) const NOBODY: u32 = 65_534;

/// Who the prisoner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    Same,
    Nobody,
}

/// All folders of a world, files in them, and links to one outside.
const FOLDERS: [&str; 9] = [
    "inside",
    "inside/in",
    "inside/out",
    "readable",
    "folders",
    "folders/sub",
    "links",
    "outside",
    "outside/empty",
];
const FILES: [&str; 8] = [
    "inside/file",
    "inside/spare",
    "inside/in/file",
    "readable/file",
    "folders/file",
    "links/file",
    "outside/file",
    "outside/spare",
];
const LINKS: [&str; 4] = ["inside/link", "folders/link", "links/link", "links/other"];
const FIFO: &str = "folders/fifo";

/// `inside` is open to the prisoner, `readable`, `folders` and `links` to some, `outside` to none; all belong to the prisoner's user.
pub(crate) struct World {
    folder: tempfile::TempDir,
    user: User,
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// As oneself, and as nobody too where that can be tried.
pub(crate) fn users() -> Vec<User> {
    if is_root() {
        return vec![User::Same, User::Nobody];
    }
    println!("SKIPPED: attempts_as_another_user: not root");
    vec![User::Same]
}

impl World {
    pub(crate) fn new(user: User) -> World {
        let folder = tempfile::tempdir().unwrap();
        let at = |relative: &str| folder.path().join(relative);
        for sub in FOLDERS {
            fs::create_dir_all(at(sub)).unwrap();
        }
        for file in FILES {
            fs::write(at(file), "content").unwrap();
        }
        for link in LINKS {
            symlink(at("outside/file"), at(link)).unwrap();
        }
        mknodat(CWD, at(FIFO), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        if user == User::Nobody {
            for path in ["", FIFO].iter().chain(&FOLDERS).chain(&FILES).chain(&LINKS) {
                lchown(at(path), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        World { folder, user }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn at(&self, relative: &str) -> PathBuf {
        self.path().join(relative)
    }

    /// This binary as a prisoner in this world, about to run. The first argument is its errand.
    pub(crate) fn prisoner(&self, arguments: &[&str]) -> Command {
        // Not by its path: another user may not reach that.
        let mut command = Command::new("/proc/self/exe");
        command.arg("prisoner").args(arguments).env("FIRN_WORLD", self.path()).env_remove("RUST_BACKTRACE");
        if self.user == User::Nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.prisoner(arguments).stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn run_fed(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.prisoner(arguments);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().unwrap()
        })
    }

    /// Runs a prisoner that must end well, and gives what it said.
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        let said = text(&done.stdout);
        assert!(done.status.success(), "{arguments:?}: {:?}\n{said}{}", done.status, text(&done.stderr));
        said
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
