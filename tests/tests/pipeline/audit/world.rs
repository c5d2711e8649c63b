//! A backup server with two hosts that have pushed twice, and a bucket that holds their ice.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use fake_s3::{Bucket, FakeS3, Key, Mode, Options as S3Options, Statement};
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Options, Outcome, Scratch, settings};
use serde_json::Value;

use crate::rig;

/// What iceboxer may do: put, and look at what it has put.
pub(super) const WRITER: [&str; 9] = [
    "s3:PutObject",
    "s3:PutObjectRetention",
    "s3:AbortMultipartUpload",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectRetention",
    "s3:ListBucket",
];
const LOOKER: [&str; 3] =
    ["s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"];

/// Makes the namespace a machine whose root has no keys of its own. What a fixture needs to run there comes before the audit.
const STAGE: &str = "mount -t tmpfs tmpfs /root || exit 99\n";

pub(super) struct World {
    pub(super) scratch: Scratch,
    pub(super) server: FakeS3,
    pub(super) hosts: Vec<Host>,
    /// Names of hosts with their files.
    _folder: tempfile::TempDir,
}

impl World {
    pub(super) fn new() -> World {
        // Folders above a root are pushed too, and in /tmp the time of the topmost changes all the while.
        let folder = tempfile::tempdir_in("/var/lib").unwrap();
        let mut scratch = rig::scratch(&Options { segment_bytes: 1 << 20, ..Options::default() });
        let server = FakeS3::start(S3Options::default()).unwrap();
        let plan = Bucket { default_retention: Some((Mode::Compliance, 92)), ..Bucket::default() };
        server.add_bucket("ice", Bucket { lock: true, ..plan });
        let hosts = ["web01", "db1"].map(|name| {
            let files = folder.path().join(name);
            rig::file(&files.join("changes"), b"as it was first");
            rig::file(&files.join("stays"), name.as_bytes());
            scratch.add_host(name, &[files]).unwrap()
        });
        let world = World { scratch, server, hosts: hosts.to_vec(), _folder: folder };
        world.records();
        world.add_to_settings();
        world.push_all();
        world.hosts.iter().for_each(|host| rig::file(&host.roots[0].join("changes"), b"as it is now"));
        world.push_all();
        world.point(&[], "");
        world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
        world
    }

    pub(super) fn push_all(&self) {
        for host in &self.hosts {
            let push = settings::Push { verdict_wait_seconds: 60, ..settings::Push::default() };
            settings::write_push(&self.scratch, host, &push).unwrap();
            let (push, ingest) = self.scratch.push_and_ingest(host, Hear::Kept).unwrap();
            assert_eq!((push.code, ingest.unwrap().code), (0, 0), "{}", push.said());
        }
    }

    /// What a deployment says of its hosts: an address, at which nobody listens.
    fn records(&self) {
        let folder = self.etc("hosts");
        fs::create_dir_all(&folder).unwrap();
        for host in &self.hosts {
            fs::write(folder.join(format!("{}.toml", host.name)), "from = [\"127.0.0.1\"]\n").unwrap();
        }
    }

    fn add_to_settings(&self) {
        let file = self.etc("server.toml");
        let text = fs::read_to_string(&file).unwrap();
        let Scratch { folder, names, .. } = &self.scratch;
        let head = if text.contains("ice_standing") {
            String::new()
        } else {
            format!("ice_standing = {:?}\n", self.standing())
        };
        let table = format!(
            "\n[audit]\nsshd_config = {:?}\nice_settings = {:?}\niceboxer = {:?}\nice_account = {:?}\nssh_ports = [1]\n",
            folder.join("sshd/sshd_config"),
            self.etc("ice.toml"),
            folder.join("bin/iceboxer"),
            names.ice,
        );
        fs::write(&file, format!("{head}{text}{table}")).unwrap();
    }

    /// Lets iceboxer use the bucket with these rights beside its own, and these lines in its settings.
    pub(super) fn point(&self, rights: &[&str], budget: &str) {
        let statements = [&WRITER[..], &LOOKER[..], rights];
        let statements = statements.iter().filter(|some| !some.is_empty()).map(|some| Statement::allow(some));
        let Key { access, secret } = self.server.add_user("iceboxer", statements.collect());
        let credentials = self.etc("ice-credentials.toml");
        fs::write(&credentials, format!("access_key_id = {access:?}\nsecret_access_key = {secret:?}\n"))
            .unwrap();
        fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&credentials, Some(rig::number_of(&self.scratch.names.ice)), None).unwrap();
        let file = self.etc("ice.toml");
        let text = fs::read_to_string(&file).unwrap();
        let (before, _) = text.split_once("[[vaults]]").unwrap();
        let head = if before.contains("standing") {
            String::new()
        } else {
            format!("standing = {:?}\n", self.standing())
        };
        let budget = if budget.is_empty() { "100.00" } else { budget };
        let vault = format!(
            "[[vaults]]\nname = \"off-site\"\nurl = \"s3:ice/firn/\"\nendpoint = {:?}\npath_style = true\npart_bytes = 5242880\ncredentials_file = {credentials:?}\nretention_days = 92\nprices = \"aws-us-east-1\"\nprove_lock = \"never\"\n\n[budget]\nmonthly = {budget:?}\n",
            self.server.endpoint(),
        );
        fs::write(&file, format!("{head}{before}{vault}")).unwrap();
    }

    pub(super) fn etc(&self, name: &str) -> PathBuf {
        self.scratch.folder.join("etc").join(name)
    }

    pub(super) fn standing(&self) -> PathBuf {
        self.scratch.folder.join("ice/standing.json")
    }

    /// Changes a settings file by its text, and returns what it was.
    pub(super) fn edit(&self, name: &str, change: impl FnOnce(&str) -> String) -> String {
        let file = self.etc(name);
        let before = fs::read_to_string(&file).unwrap();
        let after = change(&before);
        assert_ne!(before, after, "{name} was not changed");
        fs::write(&file, after).unwrap();
        before
    }

    /// The snapshots of a host, oldest first.
    pub(super) fn snapshots(&self, host: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.scratch.history(host)).unwrap().flatten().map(|entry| entry.path());
        let mut found: Vec<PathBuf> = entries.filter(|path| path.join("tree").is_dir()).collect();
        found.sort();
        found
    }

    fn staged(&self, stage: &str) -> Command {
        let mut command = rig::unshared();
        command.args(["-c", &format!("{STAGE}{stage}\n\"$@\""), "sh"]);
        command
    }

    pub(super) fn can_be_staged(&self) -> bool {
        Outcome::of(self.staged("").arg("true")).unwrap().code == 0
    }

    /// Audits; `stage` is run before, on the same machine.
    pub(super) fn audit(&self, stage: &str) -> Verdicts {
        let mut command = self.staged(stage);
        let audit = self.scratch.snapshotter_as_admin(&["audit"]);
        command.arg(audit.get_program()).args(audit.get_args());
        let outcome = Outcome::of(&mut command).unwrap();
        let said = format!("{}\n{}", outcome.stderr, outcome.stdout);
        let report = outcome.report().unwrap_or_else(|| panic!("no report: {said}"));
        let lines: Vec<String> =
            outcome.stdout.lines().filter(|line| line.starts_with('R')).map(str::to_owned).collect();
        assert_eq!(lines.len(), 12, "{said}");
        Verdicts { code: outcome.code, lines, report, said }
    }
}

/// What an audit said.
pub(super) struct Verdicts {
    pub(super) code: i32,
    lines: Vec<String>,
    pub(super) report: Value,
    pub(super) said: String,
}

impl Verdicts {
    fn with(&self, verdict: &str) -> Vec<&str> {
        let words = self.lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.filter(|words| words[1] == verdict).map(|words| words[0]).collect()
    }

    pub(super) fn failed(&self) -> Vec<&str> {
        self.with("fail")
    }

    pub(super) fn unknown(&self) -> Vec<&str> {
        self.with("unknown")
    }

    pub(super) fn line(&self, id: &str) -> &str {
        self.lines.iter().find(|line| line.split_whitespace().next() == Some(id)).unwrap()
    }
}

/// The mode of a file or folder, set anew; what it was.
pub(super) fn set_mode(path: &Path, mode: u32) -> u32 {
    let before = fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    before
}
