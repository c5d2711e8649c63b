//! A server in a temporary folder, and the real program at work on it.
//!
//! Run by root, everything belongs to `nobody` and the program changes to that account by itself.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use formats::published::{Published, Verdict};
use formats::session::Code;
use formats::{HostId, PushId};
use history::{History, Log};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_snapshotter");
pub(crate) const NOBODY: u32 = 65_534;

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) config: PathBuf,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::limited("")
    }

    /// With lines for `[limits]`.
    pub(crate) fn limited(limits: &str) -> Self {
        Self::at(&std::env::temp_dir(), limits)
    }

    /// In memory, for tests of many runs, where nothing is won by waiting for a disk.
    pub(crate) fn quick() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self::at(&parent, "")
    }

    pub(crate) fn at(parent: &Path, limits: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("firn-snapshotter-").tempdir_in(parent).unwrap();
        let at = |name: &str| dir.path().join(name);
        let config = at("server.toml");
        let owner = if is_root() { "nobody" } else { "firn" };
        let text = format!(
            "jails = {:?}\nhistory = {:?}\nkeys = {:?}\nhosts = {:?}\nreceiver = {PROGRAM:?}\nowner = {owner:?}\n[limits]\nfree_bytes = 1000000\n{limits}",
            at("jails"),
            at("history"),
            at("keys"),
            at("records"),
        );
        fs::write(&config, text).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        give_away(dir.path());
        let world = Self { dir, config };
        for folder in ["jails", "history", "keys"] {
            world.folder(folder);
        }
        world.add("web01");
        world
    }

    pub(crate) fn add(&self, host: &str) {
        for folder in ["", "/spool", "/spool/incoming", "/spool/sealed", "/state"] {
            self.folder(&format!("jails/{host}{folder}"));
        }
    }

    fn folder(&self, name: &str) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(&path).unwrap();
        give_away(&path);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Seals a push file in the jail of web01, as a receiver does.
    pub(crate) fn seal(&self, number: u64, bytes: &[u8]) -> PathBuf {
        self.seal_for("web01", number, bytes)
    }

    pub(crate) fn seal_for(&self, host: &str, number: u64, bytes: &[u8]) -> PathBuf {
        let path = self.path(&format!("jails/{host}/spool/sealed/{number:020}.push"));
        fs::write(&path, bytes).unwrap();
        give_away(&path);
        path
    }

    pub(crate) fn sealed(&self) -> usize {
        fs::read_dir(self.path("jails/web01/spool/sealed")).unwrap().count()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(&self.config).args(words).current_dir("/");
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        Ended::of(&mut self.command(words))
    }

    /// Ingests, and expects this exit code.
    pub(crate) fn ingest(&self, code: i32) -> Ended {
        let ended = self.run(&["ingest"]);
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(!ended.err.contains("panicked") && !ended.err.contains("firn: bug"), "{ended:?}");
        ended
    }

    pub(crate) fn log(&self) -> Log {
        self.log_of("web01")
    }

    pub(crate) fn log_of(&self, host: &str) -> Log {
        let history = History::open(&self.path("history")).unwrap();
        history.host(&HostId::parse(host).unwrap()).unwrap().log().unwrap()
    }

    /// The tree of the snapshot with this sequence.
    pub(crate) fn tree(&self, sequence: usize) -> PathBuf {
        let log = self.log();
        self.path("history/web01").join(log.snapshots()[sequence - 1].name.as_str()).join("tree")
    }

    pub(crate) fn published(&self) -> Published {
        Published::decode(&fs::read(self.path("jails/web01/state/base")).unwrap()).unwrap()
    }

    /// The published verdict on a push.
    pub(crate) fn verdict(&self, push: u8) -> Option<Verdict> {
        self.published().verdict(PushId::from_bytes([push; 16]))
    }

    pub(crate) fn assert_rejected(&self, push: u8, code: Code) {
        assert_eq!(self.verdict(push), Some(Verdict::Rejected { code }));
    }

    /// Everything in a folder: names, kinds, bytes.
    pub(crate) fn picture(&self, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        picture(&self.path(name), &mut found);
        found.sort();
        found
    }
}

impl Ended {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The report, under `--json`.
    pub(crate) fn report(&self) -> serde_json::Value {
        serde_json::from_str(self.out.lines().last().unwrap()).unwrap()
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

fn picture(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() {
            found.push((path.clone(), b"folder".to_vec()));
            picture(&path, found);
        } else if meta.is_symlink() {
            found.push((path.clone(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
}
