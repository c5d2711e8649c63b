//! A host to push from: a tree, settings and a state folder, all in one scratch folder.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cli::Silent;
use formats::published::Verdict;
use formats::session::Role;
use push_client::commands::Runner;
use push_client::plan::Plan;
use push_client::push::{Account, Delivery, Job, Outcome, PushError, Session, push};
use push_client::state::{StateError, StateFolder};
use push_client::transport::Carried;
use push_client::walk::Ahead;

use crate::judge::Files;
use crate::server::Server;

pub(crate) const HOST_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgd6V5/EB898lAR5g29aPAWqwY2caFuljddCAcG1F+";

pub(crate) struct Host {
    folder: tempfile::TempDir,
    pub(crate) roots: Vec<&'static str>,
    pub(crate) exclude: Vec<String>,
    pub(crate) verdict_wait_seconds: u32,
    /// More lines of settings.
    pub(crate) more: String,
    pub(crate) role: Role,
    /// When the last run was, for the next one to know.
    pub(crate) walked_before: Option<i64>,
}

impl Host {
    /// With the one root `/data`, empty.
    pub(crate) fn new() -> Self {
        Self::at(&std::env::temp_dir())
    }

    /// In memory, for a test that is fast only where no disk is asked.
    pub(crate) fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::at(memory) } else { Self::new() }
    }

    fn at(parent: &Path) -> Self {
        let folder = tempfile::tempdir_in(parent).unwrap();
        fs::create_dir_all(folder.path().join("top/data")).unwrap();
        Self {
            folder,
            roots: vec!["/data"],
            exclude: Vec::new(),
            verdict_wait_seconds: 0,
            walked_before: None,
            more: String::new(),
            role: Role::Usual,
        }
    }

    /// What stands for the host's `/`.
    pub(crate) fn top(&self) -> PathBuf {
        self.folder.path().join("top")
    }

    pub(crate) fn path(&self, below_data: &str) -> PathBuf {
        self.top().join("data").join(below_data)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, below_data: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(below_data);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn state_path(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn state(&self) -> StateFolder {
        // Another test that starts a program right now holds our lock, too, until its new process has begun.
        let opened = (0..100).find_map(|_| match StateFolder::open(&self.state_path()) {
            Err(StateError::Busy) => {
                std::thread::sleep(Duration::from_millis(20));
                None
            }
            answer => Some(answer.unwrap()),
        });
        opened.expect("the state folder stays locked")
    }

    pub(crate) fn settings(&self) -> String {
        format!(
            "host = \"web01\"\nroots = {:?}\nexclude = {:?}\nstate = {:?}\nverdict_wait_seconds = {}\n{}\n[server]\n\
             address = \"127.0.0.1\"\naccount = \"firn-web01\"\nkey = \"/etc/firn/key\"\nhost_key = \"{HOST_KEY}\"\n\
             connect_seconds = 5\nidle_seconds = 5\n",
            self.roots,
            self.exclude,
            self.state_path(),
            self.verdict_wait_seconds,
            self.more,
        )
    }

    pub(crate) fn plan(&self) -> Plan {
        let path = self.folder.path().join("push.toml");
        fs::write(&path, self.settings()).unwrap();
        Plan::load(&path).unwrap()
    }

    /// Pushes to a server in a thread of its own, as if `later` seconds from now.
    pub(crate) fn push_at(&self, server: &mut Server, later: i64) -> (Result<Outcome, PushError>, Account) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::thread::scope(|scope| {
            let serving = scope.spawn(move || server.serve(theirs));
            let done = self.push_over(carried(ours), later);
            serving.join().unwrap();
            done
        })
    }

    /// As [`Host::push_at`], at a time at which all that the test has made counts as settled.
    pub(crate) fn push(&self, server: &mut Server) -> (Outcome, Account) {
        let (outcome, account) = self.push_at(server, 10);
        (outcome.unwrap(), account)
    }

    /// As [`Host::push`]; `change` is made after the walk has looked at a small tree, and before anything of it is read.
    pub(crate) fn push_changed(&self, server: &mut Server, change: impl FnOnce()) -> (Outcome, Account) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (outcome, account) = std::thread::scope(|scope| {
            let serving = scope.spawn(move || server.serve(theirs));
            let walked = || {
                std::thread::sleep(Duration::from_millis(300));
                change();
            };
            let done = self.push_when(carried(ours), 10, walked);
            serving.join().unwrap();
            done
        });
        (outcome.unwrap(), account)
    }

    pub(crate) fn push_over(&self, carried: Carried, later: i64) -> (Result<Outcome, PushError>, Account) {
        self.push_when(carried, later, || ())
    }

    /// `walked` is called when the walk has begun, and nothing else has.
    fn push_when(
        &self,
        carried: Carried,
        later: i64,
        walked: impl FnOnce(),
    ) -> (Result<Outcome, PushError>, Account) {
        let plan = self.plan();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let top = OwnedFd::from(fs::File::open(self.top()).unwrap());
        let settings = self.folder.path().join("push.toml");
        let program = Path::new(env!("CARGO_BIN_EXE_push-client"));
        let start =
            || Runner::start_as(program, &settings, &plan.commands, std::process::Stdio::null()).unwrap();
        let mut runner = (!plan.commands.is_empty()).then(start);
        let job = Job {
            plan: &plan,
            ahead: Ahead::start(Arc::clone(&plan.selection), top).unwrap(),
            started: now + later,
            zone: "UTC".to_owned(),
            entries_expected: None,
            walked_before: self.walked_before,
            role: self.role,
            delivery: Delivery::Session,
            runner: runner.as_mut(),
        };
        walked();
        let mut account = Account::default();
        let outcome = push(job, &self.state(), Session::new(carried).unwrap(), &mut account, &Silent);
        (outcome, account)
    }

    /// As [`Host::push_accepted`], for a push that copies from these files of its base.
    pub(crate) fn push_accepted_with(
        &self,
        server: &mut Server,
        base: &[formats::Entry],
        files: &Files,
    ) -> (Outcome, Account) {
        let (outcome, account) = self.push(server);
        server.newest_with(base, files);
        server.judge(outcome.push, Verdict::Accepted { root: outcome.root });
        (outcome, account)
    }

    /// Pushes, and has the push accepted.
    pub(crate) fn push_accepted(&self, server: &mut Server) -> (Outcome, Account) {
        let (outcome, account) = self.push(server);
        server.judge(outcome.push, Verdict::Accepted { root: outcome.root });
        (outcome, account)
    }
}

pub(crate) fn carried(stream: UnixStream) -> Carried {
    let from = stream.try_clone().unwrap();
    Carried::over(stream.into(), from.into()).unwrap()
}

/// Reproducible bytes that do not shrink.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(crate) fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Names of the state folder's files.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
