//! Ice in a `glacier:` vault, on a server that enforces what AWS does: sealed and its lock proved with credentials that can delete nothing; listed,
//! thawed, proved and restored on a machine that knows nothing of it, hours after hours.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use chrono::TimeDelta;
use fake_glacier::{FakeGlacier, Key, LockState, deny_delete_below};
use pipeline_tests::stock::{self, below};
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Options, Outcome, Power, Scratch, data, settings};

use crate::rig;

const HOST: &str = "web01";
const SEGMENT_BYTES: u64 = 8 << 20;
const FILE_BYTES: u64 = 20 << 20;
const KEPT_DAYS: u32 = 140;
/// As docs/formats/ice.md has them. Nobody may delete.
const WRITER: [&str; 8] = [
    "glacier:DescribeVault",
    "glacier:GetVaultLock",
    "glacier:UploadArchive",
    "glacier:InitiateMultipartUpload",
    "glacier:UploadMultipartPart",
    "glacier:CompleteMultipartUpload",
    "glacier:ListMultipartUploads",
    "glacier:AbortMultipartUpload",
];
const READER: [&str; 5] = [
    "glacier:DescribeVault",
    "glacier:GetVaultLock",
    "glacier:InitiateJob",
    "glacier:ListJobs",
    "glacier:GetJobOutput",
];

/// A backup server whose only vault is one of Glacier.
struct World {
    scratch: Scratch,
    server: FakeGlacier,
    host: Host,
    files: PathBuf,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        data::write_small_files(&files, 5, 40, 3000).unwrap();
        data::write_file(&files.join("large"), 11, FILE_BYTES).unwrap();
        let mut scratch = rig::scratch(&Options { segment_bytes: SEGMENT_BYTES, ..Options::default() });
        let host = scratch.add_host(HOST, std::slice::from_ref(&files)).unwrap();
        let push = settings::Push { verdict_wait_seconds: 60, ..settings::Push::default() };
        settings::write_push(&scratch, &host, &push).unwrap();
        let server = FakeGlacier::start().unwrap();
        server.add_vault("ice");
        assert!(server.lock_vault("ice", LockState::Locked, &deny_delete_below(KEPT_DAYS)));
        let world = World { scratch, server, host, files, folder };
        let writer = world.server.add_user("iceboxer", &WRITER);
        let reader = world.server.add_user("drill", &READER);
        world.point("ice", &writer, "retention_days = 120\nprove_lock = \"each-run\"\n");
        world.point("drill", &reader, "");
        world
    }

    /// Lets a program's settings name the vault instead of the folder.
    fn point(&self, program: &str, key: &Key, more: &str) {
        let etc = self.scratch.folder.join("etc");
        let (file, credentials) =
            (etc.join(format!("{program}.toml")), etc.join(format!("{program}-credentials.toml")));
        let lines = format!("access_key_id = {:?}\nsecret_access_key = {:?}\n", key.access, key.secret);
        fs::write(&credentials, lines).unwrap();
        fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
        let index = self.folder.path().join(format!("{program}-index"));
        fs::create_dir(&index).unwrap();
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if program == "ice" && self.scratch.power == Power::Root {
            let user = Some(rig::number_of(&self.scratch.names.ice));
            chown(&credentials, user, None).unwrap();
            chown(&index, user, None).unwrap();
        }
        let text = fs::read_to_string(&file).unwrap();
        let (before, _) = text.split_once("[[vaults]]").unwrap();
        let vault = format!(
            "[[vaults]]\nname = \"off-site\"\nurl = \"glacier:ice\"\nendpoint = {:?}\nindex = {index:?}\narchive_from_bytes = 65536\npart_bytes = 1048576\ncredentials_file = {credentials:?}\n{more}",
            self.server.endpoint(),
        );
        fs::write(&file, format!("{before}{vault}")).unwrap();
    }

    fn drill(&self, words: &[&str]) -> Outcome {
        Outcome::of(&mut self.scratch.restore_drill(words)).unwrap()
    }

    fn hours(&self, hours: i64) {
        self.server.advance(TimeDelta::hours(hours));
    }

    /// How many requests of this kind the server has answered.
    fn asked(&self, operation: &str) -> usize {
        self.server.requests().iter().filter(|line| line.0 == operation).count()
    }
}

#[test]
fn glacier_is_sealed_listed_thawed_proved_and_restored_with_rights_that_delete_nothing() {
    let _turn = rig::turn();
    let world = World::new();
    let (push, ingest) = world.scratch.push_and_ingest(&world.host, Hear::Kept).unwrap();
    assert_eq!((push.code, ingest.unwrap().code), (0, 0), "{}", push.said());
    world.scratch.ice().unwrap().expect_code(&[0]).unwrap();

    // Every object is one archive; the ledger names it, and its lock.
    let ledger = fs::read_to_string(world.scratch.folder.join("ice/ledger/ledger")).unwrap();
    let line: serde_json::Value = serde_json::from_str(ledger.lines().last().unwrap()).unwrap();
    let receipts = line["receipts"].as_array().unwrap();
    let archives = world.server.archives("ice");
    assert_eq!(archives.len(), receipts.len() + 1, "and the canary");
    for receipt in receipts {
        let id = receipt["version"].as_str().unwrap();
        let archive = archives.iter().find(|archive| archive.id == id).unwrap();
        let name = format!("firn/1 {} {} ", receipt["object"].as_str().unwrap(), receipt["bytes"]);
        assert!(archive.description.starts_with(&name), "{}", archive.description);
        let until =
            receipt["retain_until"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        assert!(until <= archive.created + TimeDelta::days(i64::from(KEPT_DAYS)));
        assert!(until >= world.server.now() + TimeDelta::days(120));
    }
    assert!(world.asked("UploadMultipartPart") >= 4, "{:?}", world.server.requests());
    assert_eq!(world.server.uploads("ice"), Vec::<String>::new());
    let deletions: Vec<_> =
        world.server.requests().into_iter().filter(|line| line.0 == "DeleteArchive").collect();
    assert_eq!(
        deletions.iter().map(|line| line.1).collect::<Vec<_>>(),
        [403, 403],
        "of the canary, twice, refused"
    );

    // A day later it is counted; what there is, is known after the inventory; what an ice is, after its record is thawed.
    world.hours(25);
    let latest = format!("{HOST}/latest");
    let unknown = world.drill(&["list"]);
    assert_eq!(unknown.code, 35, "{}", unknown.said());
    assert!(unknown.stderr.contains("inventory"), "{}", unknown.said());
    world.hours(5);
    let frozen = world.drill(&["thaw", &latest]);
    assert_eq!(frozen.code, 35, "{}", frozen.said());
    assert!(frozen.stderr.contains("ice.json is archived"), "{}", frozen.said());
    world.hours(5);
    assert!(world.drill(&["list"]).expect_code(&[0]).unwrap().stdout.contains("web01/"));
    let unread = world.scratch.verify(HOST).unwrap();
    assert_eq!(unread.code, 35, "{}", unread.said());
    let begun = world.drill(&["thaw", &latest, "--tier", "standard"]);
    assert_eq!(begun.code, 35, "{}", begun.said());
    assert!(begun.said().contains("within 5 hours"), "{}", begun.said());
    world.hours(5);
    world.drill(&["thaw", &latest]).expect_code(&[0]).unwrap();
    world.scratch.verify(HOST).unwrap().expect_code(&[0]).unwrap();
    let target = world.folder.path().join("restored");
    world.scratch.restore(HOST, &target).unwrap().expect_code(&[0]).unwrap();
    assert_eq!(stock::rsync_differences(&world.files, &below(&target, &world.files)).unwrap(), "");

    // No lock there can be extended: the canary is used as it is.
    world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
    let archives = world.server.archives("ice");
    let canaries =
        archives.iter().filter_map(|one| one.description.split(' ').nth(1)?.strip_prefix("canary/"));
    let mut canaries: Vec<_> = canaries.collect();
    let all = canaries.len();
    canaries.sort_unstable();
    canaries.dedup();
    assert_eq!(canaries.len(), all, "one of each month");
}
