//! A server with two appliances, and their clients.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pipeline_tests::keys::SshKey;
use pipeline_tests::{Options, Outcome, Scratch};

use crate::rig;

const NAMES: [&str; 2] = ["fw1", "sw1"];
/// Longer than `quiet_seconds` of the records, which count whole seconds.
const QUIET: Duration = Duration::from_millis(2_200);

pub(super) struct World {
    pub(super) scratch: Scratch,
    pub(super) folder: tempfile::TempDir,
}

impl World {
    /// A server with two appliances and the sshd of its own.
    pub(super) fn new() -> World {
        let folder = tempfile::tempdir_in("/var/lib").unwrap();
        let world = World { scratch: rig::scratch(&Options::default()), folder };
        for name in NAMES {
            SshKey::make(&world.path(name)).unwrap();
            let key = world.path(&format!("{name}.pub"));
            world.add(&[name, "--key", key.to_str().unwrap(), "--appliance"]).expect_code(&[0]).unwrap();
            world.record(name, "quiet_seconds = 1\n");
        }
        let mut world = world;
        world.scratch.dedicate_sshd().unwrap();
        let known = format!(
            "[127.0.0.1]:{} {}\n",
            world.scratch.sshd.port,
            world.scratch.sshd.host_key.public().unwrap()
        );
        fs::write(world.path("known_hosts"), known).unwrap();
        world
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn add(&self, words: &[&str]) -> Outcome {
        let words = [&["host", "add"], words].concat();
        let run = || Outcome::of(&mut self.scratch.snapshotter_as_admin(&words));
        self.scratch.adopted(run).unwrap()
    }

    /// Adds lines to what the record says of the appliance.
    pub(super) fn record(&self, name: &str, lines: &str) {
        let path = self.scratch.folder.join(format!("etc/hosts/{name}.toml"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\n[appliance]\n"), "{text}");
        fs::write(&path, text.replace("\n[appliance]\n", &format!("\n[appliance]\n{lines}"))).unwrap();
    }

    pub(super) fn account(&self, name: &str) -> String {
        format!("{}{name}", self.scratch.names.host_prefix)
    }

    pub(super) fn jail(&self, name: &str) -> PathBuf {
        self.scratch.folder.join("jails").join(name)
    }

    pub(super) fn options(&self, name: &str) -> Vec<String> {
        let known = format!("UserKnownHostsFile={}", self.path("known_hosts").display());
        let key = self.path(name).display().to_string();
        let fixed = ["BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", known.as_str()];
        let mut words = vec!["-F".to_owned(), "none".to_owned(), "-i".to_owned(), key];
        words.extend(fixed.iter().flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
        words
    }

    /// OpenSSH's client `program`, as this appliance.
    pub(super) fn client(&self, program: &str, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        let port = if program == "ssh" { "-p" } else { "-P" };
        command.args(self.options(name)).arg(port).arg(self.scratch.sshd.port.to_string()).args(words);
        command.current_dir(self.folder.path());
        command
    }

    /// One line of an sftp batch.
    pub(super) fn sftp(&self, name: &str, batch: &str) -> Outcome {
        fs::write(self.path("batch"), format!("{batch}\n")).unwrap();
        let login = format!("{}@127.0.0.1", self.account(name));
        Outcome::of(&mut self.client("sftp", name, &["-b", "batch", &login])).unwrap()
    }

    /// Uploads these bytes under this name.
    pub(super) fn put(&self, name: &str, file: &str, bytes: &[u8]) {
        fs::write(self.path("local"), bytes).unwrap();
        // As firewalls have it; the client asks for the same mode there.
        fs::set_permissions(self.path("local"), fs::Permissions::from_mode(0o600)).unwrap();
        self.sftp(name, &format!("put local {file}")).expect_code(&[0]).unwrap();
    }

    pub(super) fn take(&self) -> Outcome {
        self.take_with(&[])
    }

    pub(super) fn take_with(&self, more: &[&str]) -> Outcome {
        let staging = self.path("staging");
        let words = [&["take", "--staging", staging.to_str().unwrap()], more].concat();
        Outcome::of(&mut self.scratch.snapshotter_as_admin(&words)).unwrap()
    }

    /// The same, once everything is quiet and the sessions have ended.
    pub(super) fn take_quiet(&self) -> Outcome {
        std::thread::sleep(QUIET);
        self.take()
    }

    /// The trees of an appliance's snapshots, oldest first.
    pub(super) fn trees(&self, name: &str) -> Vec<PathBuf> {
        let mut trees: Vec<_> = fs::read_dir(self.scratch.history(name))
            .unwrap()
            .map(|entry| entry.unwrap().path().join("tree"))
            .filter(|tree| tree.is_dir())
            .collect();
        trees.sort();
        trees
    }

    pub(super) fn newest(&self, name: &str) -> PathBuf {
        self.trees(name).pop().unwrap()
    }

    pub(super) fn dropped(&self, name: &str) -> PathBuf {
        self.jail(name).join("drop")
    }
}

pub(super) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(super) fn can(test: &str) -> bool {
    rig::is_root_or_skipped(test) && rig::has_or_skipped(test, &["sftp", "scp", "ssh"])
}
