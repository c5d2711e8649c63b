//! One server, the hosts that push to it, and the time that they all see.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use pipeline_tests::checker::Moment;
use pipeline_tests::checker::history::Found;
use pipeline_tests::stock::below;
use pipeline_tests::{Host, Options, Outcome, Scratch, clock};
use serde_json::Value;

use super::attack::{Attacker, Kind};
use crate::comparator::judge_but_holes;
use crate::rig;

/// Good versions of the host's files.
pub(super) const GOOD: u64 = 9;
/// The first good version is of this day, 24 January 2031, the others of every third day after it.
pub(super) const BEGIN: i64 = 1_926_990_000;
const PENDING: i32 = 18;

/// The server, and what the hosts back up: all of them the same files.
pub(super) struct World {
    pub(super) scratch: Scratch,
    pub(super) source: PathBuf,
    pub(super) now: DateTime<Utc>,
    placed: u64,
}

/// What a prune said of one host.
#[derive(Debug)]
pub(super) struct Pruned {
    pub(super) host: String,
    pub(super) removed: Vec<String>,
    /// Why nothing goes, other than by a hold.
    pub(super) odd: Option<String>,
}

impl World {
    /// With these hosts, which have not pushed.
    pub(super) fn new(hosts: &[&str]) -> World {
        let mut scratch = rig::scratch(&Options::default());
        let source = scratch.folder.join("hosts/disk/srv");
        furnish(&source);
        for host in hosts {
            scratch.add_host(host, std::slice::from_ref(&source)).unwrap();
        }
        let now = DateTime::from_timestamp(BEGIN, 0).unwrap();
        World { scratch, source, now, placed: 1_000_000 }
    }

    /// The same command, which sees the time of the story.
    fn then(&self, plain: &Command) -> Outcome {
        Outcome::of(&mut clock::at(plain, &self.now.format("@%Y-%m-%d %H:%M:%S").to_string())).unwrap()
    }

    /// A verb of the server.
    pub(super) fn snapshotter(&self, words: &[&str], codes: &[i32]) -> Outcome {
        self.then(&self.scratch.snapshotter(words)).expect_code(codes).unwrap()
    }

    /// The next good version, pushed by all hosts with the real client, and accepted.
    pub(super) fn good(&self, version: u64) {
        rig::file(&self.source.join("version"), &words(version));
        rig::file(&self.source.join(format!("data/f{version:02}")), &words(version * 7));
        fs::set_permissions(self.source.join("version"), fs::Permissions::from_mode(0o640)).unwrap();
        for host in self.scratch.hosts() {
            self.then(&self.scratch.push_client(host, &["run"])).expect_code(&[PENDING]).unwrap();
        }
        self.snapshotter(&["ingest"], &[0]);
        let kept = self.kept(version);
        fs::create_dir_all(kept.parent().unwrap()).unwrap();
        Outcome::of(Command::new("cp").arg("-a").arg(&self.source).arg(&kept))
            .unwrap()
            .expect_code(&[0])
            .unwrap();
    }

    /// Switches the tripwires of a host off, in its record.
    pub(super) fn without_tripwires(&self, host: &str) {
        let record = self.scratch.folder.join(format!("etc/hosts/{host}.toml"));
        let off = "\n[tripwires]\nchanged = 0\ndeleted = 0\nshrunken = 0\nnoise = 0\nextension = 0\n";
        // A host of which nothing is said has no record.
        let text = fs::read_to_string(&record).unwrap_or_default() + off;
        rig::file(&record, text.as_bytes());
    }

    /// A copy of a good version.
    fn kept(&self, version: u64) -> PathBuf {
        self.scratch.folder.join(format!("good/{version}"))
    }

    /// Whoever has this host now.
    pub(super) fn attacker(&self, host: &str) -> Attacker {
        let found = rig::sound(&self.scratch, self.host(host), Moment::Quiet);
        let last = found.events.iter().rfind(|event| event["kind"] == "ingest").unwrap();
        let digits = last["installation"].as_str().unwrap();
        let byte = |place: usize| u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).unwrap();
        let installation: [u8; 16] = std::array::from_fn(byte);
        let top = self.source.as_os_str().as_encoded_bytes()[1..].to_vec();
        Attacker::new(host, installation, last["counter"].as_u64().unwrap(), &top)
    }

    pub(super) fn host(&self, name: &str) -> &Host {
        self.scratch.hosts().iter().find(|host| host.name == name).unwrap()
    }

    /// Puts push files among the sealed ones of a host.
    pub(super) fn place(&mut self, host: &str, pushes: &[Vec<u8>]) {
        for push in pushes {
            self.placed += 1;
            rig::place(&self.scratch, self.host(host), &format!("{:020}.push", self.placed), push);
        }
    }

    /// `prune --execute --plan`, which removes or says why it does not.
    pub(super) fn prune(&self) -> Vec<Pruned> {
        let ended = self.snapshotter(&["prune", "--execute", "--plan"], &[0, 3]);
        let report = ended.report().unwrap();
        let told = |host: &Value| Pruned {
            host: host["host"].as_str().unwrap().to_owned(),
            removed: texts(&host["removed"]),
            odd: host["refused"].as_str().filter(|_| host["why"] != "held").map(str::to_owned),
        };
        report["details"]["hosts"].as_array().unwrap().iter().map(told).collect()
    }

    /// All that a history is, checked without our own code.
    pub(super) fn found(&self, host: &str) -> Found {
        rig::sound(&self.scratch, self.host(host), Moment::Quiet)
    }

    /// Restores a good version from its snapshot: it is what the host had, with its metadata.
    pub(super) fn restores(&self, host: &str, snapshot: &str, version: u64) {
        let to = self.scratch.folder.join(format!("restored-{host}"));
        let path = self.source.to_str().unwrap();
        let words = ["restore", host, snapshot, path, "--with-powers", "--to"];
        let mut restore = self.scratch.snapshotter_as_admin(&words);
        Outcome::of(restore.arg(&to)).unwrap().expect_code(&[0]).unwrap();
        let restored = below(&to, &self.source);
        judge_but_holes(&self.kept(version), &restored);
        // The control: the version before is another one.
        let other = pipeline_tests::stock::rsync_differences(&self.kept(version - 1), &restored).unwrap();
        assert!(other.contains("version"), "{other}");
    }

    /// What an attack makes of the host's disk.
    pub(super) fn ruin(&self, kind: Kind, number: u64) {
        match kind {
            Kind::Empty | Kind::AllDeleted => {
                fs::remove_dir_all(&self.source).unwrap();
                fs::create_dir_all(&self.source).unwrap();
            }
            _ => {
                for file in 0..50 {
                    rig::file(&self.source.join(format!("f{file:02}")), &words(number * 100 + file));
                }
                let _ = fs::remove_dir_all(self.source.join("data"));
                rig::file(&self.source.join("version"), format!("bad {number}\n").as_bytes());
            }
        }
    }

    /// To the same hour of so many days later, and half a minute.
    pub(super) fn sleep(&mut self, days: i64) {
        self.now += TimeDelta::days(days) + TimeDelta::seconds(30);
    }
}

/// What the file `version` holds.
pub(super) fn words(version: u64) -> Vec<u8> {
    format!("good {version}\n").repeat(20).into_bytes()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The number of a snapshot, by its name.
pub(super) fn sequence(name: &str) -> u64 {
    name.rsplit('-').next().unwrap().parse().unwrap()
}

/// Some fifty files of several kinds.
fn furnish(source: &Path) {
    for number in 0..40 {
        rig::file(&source.join(format!("data/f{number:02}")), &words(1_000 + number));
    }
    rig::file(&source.join("bin/tool"), b"#!/bin/sh\nexit 0\n");
    chown(source.join("bin/tool"), Some(1234), Some(4321)).unwrap();
    fs::set_permissions(source.join("bin/tool"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(source.join("bin/tool"), source.join("bin/same-tool")).unwrap();
    symlink("../bin/tool", source.join("data/link")).unwrap();
    fs::create_dir_all(source.join("empty")).unwrap();
    fs::set_permissions(source.join("empty"), fs::Permissions::from_mode(0o1777)).unwrap();
    let long_ago = std::time::UNIX_EPOCH - std::time::Duration::from_secs(86_400 * 365);
    fs::File::open(source.join("data/f07")).unwrap().set_modified(long_ago).unwrap();
}
