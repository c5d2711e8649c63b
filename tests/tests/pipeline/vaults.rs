//! Ice in an `s3:` vault, with DEEP_ARCHIVE, on a server that enforces what AWS does: sealed with credentials that can delete nothing, thawed,
//! proved and restored by the real programs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use fake_s3::{Bucket, FakeS3, Key, Mode, Options as S3Options, Skew, Statement};
use pipeline_tests::stock::{self, below};
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Options, Outcome, Power, Scratch, data, settings};

use crate::rig;

const HOST: &str = "web01";
/// Two parts of a segment, and more than one segment.
const SEGMENT_BYTES: u64 = 8 << 20;
const FILE_BYTES: u64 = 40 << 20;
/// What restore-drill may do; iceboxer may write beside it. Nobody may delete.
const READER: [&str; 5] = [
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectRetention",
    "s3:ListBucket",
    "s3:ListBucketVersions",
];
const WRITER: [&str; 5] = [
    "s3:PutObject",
    "s3:PutObjectRetention",
    "s3:AbortMultipartUpload",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
];

/// A backup server whose only vault is a bucket elsewhere.
struct World {
    scratch: Scratch,
    server: FakeS3,
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
        let server = FakeS3::start(S3Options::default()).unwrap();
        server.add_bucket("ice", Bucket { lock: true, ..Bucket::default() });
        let world = World { scratch, server, host, files, folder };
        let writer =
            world.server.add_user("iceboxer", vec![Statement::allow(&READER), Statement::allow(&WRITER)]);
        let reader = world
            .server
            .add_user("drill", vec![Statement::allow(&READER), Statement::allow(&["s3:RestoreObject"])]);
        world.point("ice", &writer, "retention_days = 120\nprove_lock = \"never\"\n");
        world.point("drill", &reader, "");
        world
    }

    /// Lets a program's settings name the bucket instead of the folder.
    fn point(&self, program: &str, key: &Key, more: &str) {
        let file = self.scratch.folder.join("etc").join(format!("{program}.toml"));
        let credentials = self.scratch.folder.join("etc").join(format!("{program}-credentials.toml"));
        let lines = format!("access_key_id = {:?}\nsecret_access_key = {:?}\n", key.access, key.secret);
        fs::write(&credentials, lines).unwrap();
        fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
        if program == "ice" && self.scratch.power == Power::Root {
            chown(&credentials, Some(rig::number_of(&self.scratch.names.ice)), None).unwrap();
        }
        let text = fs::read_to_string(&file).unwrap();
        let (before, _) = text.split_once("[[vaults]]").unwrap();
        let vault = format!(
            "[[vaults]]\nname = \"off-site\"\nurl = \"s3:ice/firn/\"\nendpoint = {:?}\npath_style = true\nstorage_class = \"DEEP_ARCHIVE\"\narchive_from_bytes = 65536\npart_bytes = 5242880\ncredentials_file = {credentials:?}\n{more}",
            self.server.endpoint(),
        );
        fs::write(&file, format!("{before}{vault}")).unwrap();
    }

    fn drill(&self, words: &[&str]) -> Outcome {
        Outcome::of(&mut self.scratch.restore_drill(words)).unwrap()
    }

    fn records(&self) -> usize {
        fs::read_dir(self.scratch.folder.join("drill/records")).map_or(0, Iterator::count)
    }

    fn sealed(&self) -> Outcome {
        let (push, ingest) = self.scratch.push_and_ingest(&self.host, Hear::Kept).unwrap();
        assert_eq!((push.code, ingest.unwrap().code), (0, 0), "{}", push.said());
        self.scratch.ice().unwrap().expect_code(&[0]).unwrap()
    }
}

/// How many requests of this kind the server has answered.
fn asked(server: &FakeS3, operation: &str) -> usize {
    server.requests().iter().filter(|line| line.1 == operation).count()
}

fn ledger(folder: &Path) -> serde_json::Value {
    let text = fs::read_to_string(folder.join("ice/ledger/ledger")).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn deep_archive_is_sealed_thawed_proved_and_restored_with_rights_that_delete_nothing() {
    let _turn = rig::turn();
    let world = World::new();
    world.sealed();

    // Every object is one version, locked as the ledger says; the long ones went in parts, and are archived.
    let line = ledger(&world.scratch.folder);
    let receipts = line["receipts"].as_array().unwrap();
    assert_eq!(receipts.len(), world.server.keys("ice").len());
    assert!(receipts.len() >= 5, "{line}");
    let mut archived = 0;
    for receipt in receipts {
        let key = format!("firn/{}", receipt["object"].as_str().unwrap());
        let [version] = &world.server.versions("ice", &key)[..] else { panic!("{key}: one version") };
        assert_eq!(receipt["version"].as_str(), Some(version.version_id.as_str()));
        let (mode, until) = version.retention.unwrap();
        assert_eq!(mode, Mode::Compliance);
        assert_eq!(receipt["retain_until"].as_str().unwrap(), until.to_rfc3339().replace("+00:00", "Z"));
        assert!((until - world.server.clock().now()).num_days() >= 120, "{until}");
        assert_eq!(version.storage_class == "DEEP_ARCHIVE", version.size >= 65_536, "{version:?}");
        archived += usize::from(version.storage_class == "DEEP_ARCHIVE");
    }
    assert!(archived >= 3 && asked(&world.server, "UploadPart") >= 4);
    assert!(world.server.uploads("ice").is_empty());

    // Frozen: listed, and neither proved nor disproved.
    assert!(world.drill(&["list"]).expect_code(&[0]).unwrap().stdout.contains("web01/"));
    let frozen = world.scratch.verify(HOST).unwrap();
    assert_eq!(frozen.code, 35, "{}", frozen.said());
    assert!(frozen.stderr.contains("restore-drill thaw"), "{}", frozen.said());
    assert_eq!(world.records(), 0, "what was not read has no record");
    let latest = format!("{HOST}/latest");
    let dear = world.drill(&["thaw", &latest, "--tier", "expedited"]);
    assert_eq!(dear.code, 2, "{}", dear.said());
    let begun = world.drill(&["thaw", &latest, "--tier", "standard", "--days", "3"]);
    assert_eq!(begun.code, 35, "{}", begun.said());
    assert!(begun.said().contains("within 12 hours"), "{}", begun.said());

    world.server.clock().set_skew(Skew::Ignored);
    world.server.advance_days(1);
    let ready = world.drill(&["thaw", &latest]);
    assert_eq!(ready.code, 0, "{}", ready.said());
    world.scratch.verify(HOST).unwrap().expect_code(&[0]).unwrap();
    let target = world.folder.path().join("restored");
    world.scratch.restore(HOST, &target).unwrap().expect_code(&[0]).unwrap();
    assert_eq!(stock::rsync_differences(&world.files, &below(&target, &world.files)).unwrap(), "");

    // Nothing has changed: nothing is put.
    world.server.forget_requests();
    world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
    assert_eq!(asked(&world.server, "PutObject") + asked(&world.server, "CreateMultipartUpload"), 0);
    let deletes = world.server.requests().iter().filter(|line| line.0 == "DELETE").count();
    assert_eq!(deletes, 0, "no program ever asks to delete");
}

#[test]
fn a_bit_that_turned_over_in_the_bucket_is_found_by_the_drill() {
    let _turn = rig::turn();
    let world = World::new();
    world.sealed();
    let key = world.server.keys("ice").into_iter().find(|key| key.ends_with("/0000.pgp")).unwrap();
    let version = world.server.versions("ice", &key)[0].version_id.clone();
    assert!(world.server.flip_bit("ice", &key, &version, 700, 3));
    let found = world.scratch.verify(HOST).unwrap();
    assert_eq!(found.code, 42, "{}", found.said());
    assert!(found.stderr.contains("0000.pgp is damaged"), "{}", found.said());
    assert_eq!(world.records(), 1);
}
