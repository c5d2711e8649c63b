//! `kill -9` at every moment of an upload: the next run completes it, sends at most one segment again, and leaves nothing half sent.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use fake_s3::{Bucket, FakeS3, Fault, Options, Statement, Times};
use formats::ContentHash;
use formats::records::Record;
use formats::records::ice::IceRecord;
use iceboxer::ledger::LedgerState;

use crate::reuse::stage;
use crate::rig::{Scratch, Spec, meta, noise, output, spawn};

/// What is uploaded.
struct Case {
    name: &'static str,
    segment_bytes: u64,
    segments: usize,
    /// Of how many moments one is tried, when not all are.
    every: u64,
    /// Whether the server loses the locks of what is sent in parts.
    loses_locks: bool,
}

/// Segments of two parts each.
const LARGE: Case =
    Case { name: "large", segment_bytes: 5_600_000, segments: 3, every: 23, loses_locks: false };
/// The same, on a server that does not keep the lock that was asked for at the beginning.
const LOST: Case = Case { name: "lock lost", every: 3, loses_locks: true, ..LARGE };
/// Segments that go in one call.
const SMALL: Case =
    Case { name: "small", segment_bytes: 65_536, segments: 20, every: 17, loses_locks: false };

/// A server whose image waits in the staging folder, and its bucket.
struct World {
    scratch: Scratch,
    server: FakeS3,
    config: String,
    image: Vec<u8>,
}

impl World {
    fn new(case: &Case) -> World {
        let scratch = Scratch::new();
        let recipient = scratch.recipient("one");
        let server = FakeS3::start(Options::default()).unwrap();
        server.add_bucket("ice", Bucket { lock: true, ..Bucket::default() });
        let key = server.add_user("writer", vec![Statement::allow(&["*"])]);
        let credentials = scratch.path("credentials.toml");
        fs::write(
            &credentials,
            format!("access_key_id = {:?}\nsecret_access_key = {:?}\n", key.access, key.secret),
        )
        .unwrap();
        fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "history = {:?}\nstaging = {:?}\nledger = {:?}\nsegment_bytes = {}\nworkers = 2\n[[recipients]]\ncertificate = {:?}\nfingerprint = \"{}\"\n[[vaults]]\nname = \"off-site\"\nurl = \"s3:ice\"\nendpoint = {:?}\npath_style = true\npart_bytes = 5242880\nparallel_parts = 2\ncredentials_file = {credentials:?}\nretention_days = 92\nprove_lock = \"never\"\n",
            scratch.path("history"),
            scratch.path("staging"),
            scratch.path("ledger"),
            case.segment_bytes,
            scratch.path("one.asc"),
            recipient.fingerprint().as_str(),
            server.endpoint(),
        );
        let config = scratch.path("ice.toml");
        fs::write(&config, text).unwrap();
        let image = noise(4_096 + case.segments * usize::try_from(case.segment_bytes).unwrap(), 9);
        let config = config.display().to_string();
        World { scratch, server, config, image }
    }

    /// Everything as it was before the first run.
    fn lay(&self, case: &Case) {
        for folder in ["history", "staging", "ledger"] {
            let _ = fs::remove_dir_all(self.scratch.path(folder));
        }
        fs::create_dir(self.scratch.path("history")).unwrap();
        self.server.add_bucket("ice", Bucket { lock: true, ..Bucket::default() });
        self.server.forget_requests();
        let name = self.scratch.snapshot("web01", &vec![(b"a", Spec::File(noise(10, 1)), meta(0o644, 0, 1))]);
        stage(&self.scratch, &name, &self.image, case.segment_bytes);
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iceboxer"));
        command.args(["run", "--config", &self.config]);
        command
    }

    /// A run that is killed at the `moment`-th moment of the server's work. False if it ended before.
    fn killed_at(&self, moment: u64) -> bool {
        let pid: Arc<OnceLock<u32>> = Arc::default();
        let known = Arc::clone(&pid);
        self.server.trap(moment, move || kill(*known.wait()));
        let mut child = spawn(&mut self.command());
        pid.set(child.id()).unwrap();
        let ended = child.wait().unwrap();
        self.server.trap(0, || ());
        ended.code().is_none()
    }

    fn record(&self) -> IceRecord {
        let key = self.server.keys("ice").into_iter().rfind(|key| key.ends_with("/ice.json")).unwrap();
        IceRecord::from_line(&self.data(&key)).unwrap()
    }

    /// The bytes of an object of which there is one version.
    fn data(&self, key: &str) -> Vec<u8> {
        let versions = self.server.versions("ice", key);
        assert_eq!(versions.len(), 1, "{key} was put twice");
        self.server.data("ice", key, &versions[0].version_id).unwrap()
    }

    /// How many segments were begun to be sent more than once.
    fn sent_again(&self) -> usize {
        let mut begun: BTreeMap<String, usize> = BTreeMap::new();
        for (_, operation, key, _) in self.server.requests() {
            let is_begin = operation == "CreateMultipartUpload" || operation == "PutObject";
            if is_begin && key.ends_with(".pgp") && !key.ends_with("catalogue.pgp") {
                *begun.entry(key).or_default() += 1;
            }
        }
        begun.values().filter(|times| **times > 1).count()
    }

    /// What must hold after the run that follows a kill.
    fn check(&self, completed: &Output) {
        assert_eq!(completed.status.code(), Some(0), "{}", String::from_utf8_lossy(&completed.stderr));
        assert!(
            self.server.uploads("ice").is_empty(),
            "parts without an object: {:?}",
            self.server.uploads("ice")
        );
        assert!(self.sent_again() <= 1, "{} segments were sent again", self.sent_again());
        let record = self.record();
        assert_eq!(self.server.keys("ice").len(), record.segments.len() + 2, "{:?}", self.server.keys("ice"));
        for segment in &record.segments {
            assert_eq!(ContentHash::of(&self.data(&segment.object)), segment.hash, "{}", segment.object);
            assert!(
                self.server.versions("ice", &segment.object)[0].retention.is_some(),
                "{}",
                segment.object
            );
            assert_eq!(
                segment.version.as_ref(),
                Some(&self.server.versions("ice", &segment.object)[0].version_id)
            );
        }
        let ledger = LedgerState::read(&self.scratch.path("ledger")).unwrap();
        let [entry] = ledger.entries() else { panic!("{ledger:?}") };
        assert_eq!(entry.record, record);
        assert!(self.scratch.is_staging_empty("web01"));
    }

    /// All of it, by gpg.
    fn thawed(&self) -> Vec<u8> {
        let file = self.scratch.path("segment.pgp");
        let mut image = Vec::new();
        for segment in self.record().segments {
            fs::write(&file, self.data(&segment.object)).unwrap();
            image.extend(self.scratch.gpg_ok(&["--decrypt", file.to_str().unwrap()]));
        }
        image
    }
}

/// Kills a child of ours, and waits until it does nothing any more.
fn kill(pid: u32) {
    let process = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    let is_dead = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .is_none_or(|rest| rest.trim_start().is_empty() || rest.trim_start().starts_with('Z'))
    };
    for _ in 0..5_000 {
        if is_dead() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{pid} does not die");
}

/// The cases of this file, and how many kills they come to where every moment is tried.
const CASES: u64 = 3;
const POINTS_LEAST: u64 = 500;
/// Cases that are through, and their kills.
static SUM: Mutex<(u64, u64)> = Mutex::new((0, 0));

/// Gives back after how many kills a segment was sent again.
fn killed_everywhere(case: &Case) -> usize {
    let world = World::new(case);
    world.lay(case);
    if case.loses_locks {
        world.server.arm(Fault::LockLostOnMultipart, Times::Always);
    }
    world.server.trap(0, || ());
    world.check(&output(&mut world.command()));
    assert_eq!(world.thawed(), world.image, "the control");
    let moments = world.server.moments();
    let step = if std::env::var_os("FIRN_LONG").is_some() { 1 } else { case.every };
    let (mut points, mut again) = (0, 0);
    for moment in (1..=moments).step_by(usize::try_from(step).unwrap()) {
        world.lay(case);
        if !world.killed_at(moment) {
            continue;
        }
        points += 1;
        world.check(&output(&mut world.command()));
        again += world.sent_again();
        if points % 40 == 1 {
            assert_eq!(world.thawed(), world.image, "after {moment}");
        }
    }
    println!("POINTS: {} {points} of {moments} moments, a segment sent again after {again}", case.name);
    assert!(points * step * 10 >= moments * 8, "{points} of {moments}");
    let (cases, all) = {
        let mut sum = SUM.lock().unwrap();
        *sum = (sum.0 + 1, sum.1 + points);
        *sum
    };
    if step == 1 && cases == CASES {
        println!("POINTS: in all {all}");
        assert!(all >= POINTS_LEAST, "only {all} kills in all");
    }
    again
}

#[test]
fn an_upload_in_parts_killed_at_any_moment_is_completed_by_the_next_run() {
    assert!(killed_everywhere(&LARGE) > 0, "the check of what is sent again has seen none");
}

#[test]
fn an_upload_killed_before_a_lost_lock_is_set_again_is_completed_by_the_next_run() {
    killed_everywhere(&LOST);
}

#[test]
fn an_upload_of_many_segments_killed_at_any_moment_is_completed_by_the_next_run() {
    killed_everywhere(&SMALL);
}
