//! A host that pushes no more: what it has stays, and it never comes back.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pipeline_tests::accounts::number_of;
use pipeline_tests::{Outcome, process};

use super::world::{ACCEPTED, NO_CONNECTION, PENDING, World, expect};
use crate::rig;

const USAGE: i32 = 2;

impl World {
    pub(super) fn admin(&self, words: &[&str], code: i32) -> Outcome {
        expect(Outcome::of(&mut self.scratch.snapshotter_as_admin(words)).unwrap(), code)
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.scratch.folder.join("keys").join(&self.host.account)
    }

    /// Whether another key could be added for this host.
    pub(super) fn add(&self, words: &[&str], code: i32) -> Outcome {
        let key = self.host.key.public_path();
        let first = ["host", "add", "web01", "--key", key.to_str().unwrap()];
        self.admin(&[&first[..], words].concat(), code)
    }

    pub(super) fn listed(&self) -> serde_json::Value {
        let report = self.admin(&["host", "list"], 0).report().unwrap();
        report["details"]["hosts"][0].clone()
    }

    /// A session of the host that has begun, and waits.
    fn session(&self) -> Child {
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
        command.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-i"]);
        command.arg(&self.host.key.path).args(["-p", &self.scratch.sshd.port.to_string()]);
        command.arg(format!("{}@127.0.0.1", self.host.account));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

pub(super) fn passwd(account: &str) -> String {
    let text = fs::read_to_string("/etc/passwd").unwrap();
    text.lines().find(|line| line.starts_with(&format!("{account}:"))).unwrap().to_owned()
}

#[test]
fn a_retired_host_gets_in_no_more_and_what_it_sealed_is_still_judged() {
    if !rig::is_root_or_skipped("a_retired_host_gets_in_no_more_and_what_it_sealed_is_still_judged") {
        return;
    }
    let world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    world.write("etc/motd", b"the last that was sealed\n");
    expect(world.push(), PENDING);
    let user = number_of(&world.host.account);
    let key = fs::read(world.key_file()).unwrap();
    world.admin(&["host", "retire", "web01"], 0);
    assert!(!world.key_file().exists());
    assert_eq!(number_of(&world.host.account), user, "the account and its number stay");
    assert!(passwd(&world.host.account).ends_with(":/usr/sbin/nologin"));
    expect(world.push(), NO_CONNECTION);
    expect(world.scratch.ingest().unwrap(), 0);
    world.newest_is_now(2);
    let listed = world.listed();
    assert!(listed["retired"].is_string() && listed["complete"] == true, "{listed}");
    let refused = world.add(&[], USAGE);
    assert!(refused.stderr.contains("was retired on"), "{}", refused.said());
    assert!(!world.key_file().exists());
    // A key that is put back by mistake opens nothing: the account is locked. Unlocked, it would.
    fs::write(world.key_file(), &key).unwrap();
    expect(world.push(), NO_CONNECTION);
    assert_eq!(world.listed()["complete"], false);
    for _ in 0..2 {
        world.admin(&["host", "retire", "web01"], 0);
        assert_eq!(world.listed()["complete"], true);
    }
    fs::write(world.key_file(), &key).unwrap();
    let open = ["--unlock", "--expiredate", "", "--shell", "/bin/receiver", &world.host.account];
    Outcome::of(Command::new("usermod").args(open)).unwrap().expect_code(&[0]).unwrap();
    expect(world.push_and_ingest(), ACCEPTED);
}

#[test]
fn retiring_a_host_ends_the_session_that_lives() {
    let test = "retiring_a_host_ends_the_session_that_lives";
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &["ssh"]) {
        return;
    }
    let mut world = World::new();
    let other = world.scratch.add_host("db01", std::slice::from_ref(&world.source)).unwrap();
    let user = number_of(&world.host.account).unwrap();
    let mut session = world.session();
    let until = Instant::now() + Duration::from_secs(20);
    while process::of_user(user).len() < 2 {
        assert!(Instant::now() < until, "no session began");
        std::thread::sleep(Duration::from_millis(20));
    }
    world.admin(&["host", "retire", "web01", "--dry-run"], 0);
    assert!(!process::of_user(user).is_empty() && world.key_file().exists());
    world.admin(&["host", "retire", "web01"], 0);
    assert_eq!(process::of_user(user), Vec::<u32>::new());
    assert_ne!(session.wait().unwrap().code(), Some(0));
    // The other host does not notice.
    expect(world.scratch.push(&other).unwrap(), PENDING);
}

#[test]
fn a_key_is_of_use_only_from_the_addresses_it_is_bound_to() {
    if !rig::is_root_or_skipped("a_key_is_of_use_only_from_the_addresses_it_is_bound_to") {
        return;
    }
    let world = World::new();
    for (from, code) in [("10.255.255.1", NO_CONNECTION), ("10.255.255.1,127.0.0.0/8", PENDING)] {
        world.add(&["--from", from, "--known-as", "web01"], 0);
        let line = fs::read_to_string(world.key_file()).unwrap();
        assert!(line.starts_with(&format!("restrict,from=\"{from}\" ssh-ed25519 ")), "{line}");
        expect(world.push(), code);
        let listed = world.listed();
        assert!(listed["complete"] == true && listed["key"]["line"] == line.trim_end(), "{listed}");
    }
    world.add(&["--known-as", "db01"], USAGE);
    let again = world.add(&[], 0);
    assert!(!again.stdout.contains("made "), "{}", again.said());
    // A key line that somebody made wider is not as it should be.
    fs::write(world.key_file(), fs::read_to_string(world.key_file()).unwrap().replace("restrict,", ""))
        .unwrap();
    assert_eq!(world.listed()["complete"], false);
    world.add(&[], 0);
    assert_eq!(world.listed()["complete"], true);
}
