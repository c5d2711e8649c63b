//! What must hold off-site, whatever happens between here and there: real programs, against a bucket as `iceboxer setup aws` prints it, with
//! the credentials that it prints.

mod again;
mod cuts;
mod flips;
mod months;
mod past;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use fake_s3::{Bucket, FakeS3, Key, Mode, Options as S3Options, Skew, Statement};
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Options, Outcome, Power, Scratch, data, settings};
use serde_json::Value;

use crate::rgw::client::{Key as Signer, Request, send};
use crate::rig;

const HOST: &str = "web01";
const BUCKET: &str = "example-ice";

/// A backup server whose only vault is a bucket elsewhere.
struct World {
    scratch: Scratch,
    server: FakeS3,
    host: Host,
    writer: Key,
    policies: Value,
    _folder: tempfile::TempDir,
}

/// Whether every case is tried, not only some.
fn is_long() -> bool {
    std::env::var_os("FIRN_LONG").is_some()
}

impl World {
    /// `file_bytes` is the length of the host's only large file.
    fn new(segment_bytes: u64, file_bytes: u64) -> World {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        data::write_small_files(&files, 5, 10, 300).unwrap();
        data::write_file(&files.join("large"), 11, file_bytes).unwrap();
        let mut scratch = rig::scratch(&Options { segment_bytes, ..Options::default() });
        let host = scratch.add_host(HOST, std::slice::from_ref(&files)).unwrap();
        let push = settings::Push { verdict_wait_seconds: 60, ..settings::Push::default() };
        settings::write_push(&scratch, &host, &push).unwrap();
        let setup = Outcome::of(&mut scratch.iceboxer(&["setup", "aws", "--bucket", BUCKET])).unwrap();
        let policies = setup.expect_code(&[0]).unwrap().report().unwrap()["details"].clone();
        let allowed = |name: &str| Statement::from_policy(&policies[name].to_string()).unwrap();
        let server = FakeS3::start(S3Options::default()).unwrap();
        let writer = server.add_user("firn-ice-writer", allowed("writer_policy"));
        let reader = server.add_user("drill", allowed("restore_policy"));
        let world = World { scratch, server, host, writer, policies, _folder: folder };
        world.lay_bucket();
        let drills = world.drills();
        fs::create_dir(&drills).unwrap();
        let more = format!("drill_records = {drills:?}\n");
        world.point("ice", &world.writer, &more, "retention_days = 92\nprove_lock = \"never\"\n");
        world.point("drill", &reader, "", "");
        world
    }

    /// An empty bucket, in place of what was there.
    fn lay_bucket(&self) {
        let policy = self.policies["bucket_policy"].to_string().replace("ACCOUNT-NUMBER", "123456789012");
        let default_retention = Some((Mode::Compliance, 92));
        self.server
            .add_bucket(BUCKET, Bucket { default_retention, policy: Some(policy), ..Bucket::default() });
    }

    /// Everything as it was before the first run of iceboxer.
    fn lay(&self) {
        for folder in ["ice/staging", "ice/ledger"] {
            let _ = fs::remove_dir_all(self.scratch.folder.join(folder));
        }
        self.lay_bucket();
        self.server.forget_requests();
    }

    /// Lets a program's settings name the bucket instead of the folder. `first` goes to the top, `more` to the vault.
    fn point(&self, program: &str, key: &Key, first: &str, more: &str) {
        let file = self.scratch.folder.join("etc").join(format!("{program}.toml"));
        let credentials = self.scratch.folder.join("etc").join(format!("{program}-credentials.toml"));
        let Key { access, secret } = key;
        let lines = format!("access_key_id = {access:?}\nsecret_access_key = {secret:?}\n");
        fs::write(&credentials, lines).unwrap();
        fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
        if program == "ice" {
            self.give(&credentials);
        }
        let text = fs::read_to_string(&file).unwrap();
        let (before, _) = text.split_once("[[vaults]]").unwrap();
        let vault = format!(
            "[[vaults]]\nname = \"off-site\"\nurl = \"s3:{BUCKET}\"\nendpoint = {:?}\npath_style = true\npart_bytes = 5242880\ncredentials_file = {credentials:?}\n{more}",
            self.server.endpoint(),
        );
        fs::write(&file, format!("{first}{before}{vault}")).unwrap();
    }

    /// To the account of iceboxer.
    fn give(&self, path: &Path) {
        if self.scratch.power == Power::Root {
            chown(path, Some(rig::number_of(&self.scratch.names.ice)), None).unwrap();
        }
    }

    /// Where the records of drills are brought to.
    fn drills(&self) -> PathBuf {
        self.scratch.folder.join("ice/drills")
    }

    /// Changes a file of the host, pushes and ingests.
    fn snapshot(&self, content: &str) {
        fs::write(self.host.roots[0].join("changed"), content).unwrap();
        let (push, ingest) = self.scratch.push_and_ingest(&self.host, Hear::Kept).unwrap();
        assert_eq!((push.code, ingest.unwrap().code), (0, 0), "{}", push.said());
    }

    /// The name and version of every object; there must be no more versions than names.
    fn objects(&self) -> Vec<(String, String)> {
        let one = |key: String| {
            let versions = self.server.versions(BUCKET, &key);
            assert_eq!(versions.len(), 1, "{key}: {versions:?}");
            (key, versions[0].version_id.clone())
        };
        self.server.keys(BUCKET).into_iter().map(one).collect()
    }

    fn asked(&self, operation: &str) -> usize {
        self.server.requests().iter().filter(|line| line.1 == operation).count()
    }

    /// The code of the failed drill that a run of restore-drill has left a record of; none if it left none.
    fn recorded(&self, verified: &Outcome) -> Option<i32> {
        let report = verified.report().unwrap();
        let name = report["details"]["record"].as_str()?;
        let text = fs::read_to_string(self.scratch.folder.join("drill/records").join(name)).unwrap();
        let record: Value = serde_json::from_str(&text).unwrap();
        Some(record["failure"]["code"].as_i64().map_or(0, |code| code as i32))
    }

    /// The ledger's lines, oldest first.
    fn ledger(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.scratch.folder.join("ice/ledger/ledger")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Status and body of a call that is signed with these credentials, whatever the server's clock is.
    fn call(&self, key: &Key, what: (&str, &str, &str), body: &str) -> (u16, String) {
        self.call_with(key, what, &[], body)
    }

    /// The same, with headers. `what` is method, path in the bucket, query.
    fn call_with(
        &self,
        key: &Key,
        (method, path, query): (&str, &str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let port = self.server.endpoint().rsplit_once(':').unwrap().1.parse().unwrap();
        let signer = Signer { access: key.access.clone(), secret: key.secret.clone() };
        let path = format!("/{BUCKET}{path}");
        self.server.clock().set_skew(Skew::Ignored);
        let answer = send(port, &signer, &Request { method, path: &path, query, headers, body });
        self.server.clock().set_skew(Skew::Checked);
        answer
    }
}
