//! Ice in a `gs:` vault, on a server that enforces what Google does: sealed, proved and restored by the real programs, in the bucket and with
//! the roles that `iceboxer setup gcs` prints, and no others.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use chrono::DateTime;
use fake_gcs::{Bucket, FakeGcs, Fault, Grant, Times};
use pipeline_tests::stock::{self, below};
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Options, Outcome, Power, Scratch, data, settings};
use serde_json::Value;

use crate::rig;

const HOST: &str = "web01";
/// Two parts of a segment, and more than one segment.
const SEGMENT_BYTES: u64 = 8 << 20;
const FILE_BYTES: u64 = 24 << 20;

/// A backup server whose only vault is a bucket elsewhere.
struct World {
    scratch: Scratch,
    server: FakeGcs,
    host: Host,
    files: PathBuf,
    folder: tempfile::TempDir,
}

/// What `iceboxer setup gcs` prints for machines.
fn setup(scratch: &Scratch) -> Value {
    let words = ["setup", "gcs", "--bucket", "ice", "--retention-days", "100"];
    let printed = Outcome::of(&mut scratch.iceboxer(&words)).unwrap().expect_code(&[0]).unwrap();
    let report: Value = serde_json::from_str(printed.stdout.trim_end().lines().last().unwrap()).unwrap();
    report["details"].clone()
}

/// The roles of an account, as the printed policy grants them.
fn grants(plans: &Value, account: &str) -> Vec<Grant> {
    let bindings = plans["bucket_policy"]["bindings"].as_array().unwrap().iter();
    let has = |binding: &&Value| {
        let members = binding["members"].as_array().unwrap();
        members.iter().any(|member| member.as_str().unwrap().contains(account))
    };
    let grant = |binding: &Value| {
        let own = match binding["role"].as_str().unwrap() {
            role if role.ends_with("/firnIceLook") => "look_role",
            role if role.ends_with("/firnIceLock") => "lock_role",
            role => return Grant::role(role),
        };
        let permissions = plans[own]["includedPermissions"].as_array().unwrap();
        Grant::permissions(&permissions.iter().map(|one| one.as_str().unwrap()).collect::<Vec<_>>())
    };
    bindings.filter(has).map(grant).collect()
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
        let plans = setup(&scratch);
        let server = FakeGcs::start().unwrap();
        let period = plans["bucket"]["retentionPolicy"]["retentionPeriod"].as_str().unwrap();
        server.add_bucket(
            "ice",
            Bucket {
                retention_seconds: Some(period.parse().unwrap()),
                locked: true,
                object_retention: true,
                ..Bucket::default()
            },
        );
        let world = World { scratch, server, host, files, folder };
        world.point("ice", &grants(&plans, "firn-ice-writer"), "retention_days = 120\n");
        world.point("drill", &grants(&plans, "firn-ice-restore"), "");
        world
    }

    /// Lets a program's settings name the bucket instead of the folder.
    fn point(&self, program: &str, grants: &[Grant], more: &str) {
        let file = self.scratch.folder.join("etc").join(format!("{program}.toml"));
        let key = self.scratch.folder.join("etc").join(format!("{program}-key.json"));
        fs::write(&key, self.server.add_account(program, grants.to_vec()).unwrap()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        if program == "ice" && self.scratch.power == Power::Root {
            chown(&key, Some(rig::number_of(&self.scratch.names.ice)), None).unwrap();
        }
        let text = fs::read_to_string(&file).unwrap();
        let (before, _) = text.split_once("[[vaults]]").unwrap();
        let vault = format!(
            "[[vaults]]\nname = \"off-site\"\nurl = \"gs:ice/firn/\"\nendpoint = {:?}\nstorage_class = \"ARCHIVE\"\npart_bytes = 5242880\ncredentials_file = {key:?}\n{more}",
            self.server.endpoint(),
        );
        fs::write(&file, format!("{before}{vault}")).unwrap();
    }

    fn sealed(&self) -> Outcome {
        let (push, ingest) = self.scratch.push_and_ingest(&self.host, Hear::Kept).unwrap();
        assert_eq!((push.code, ingest.unwrap().code), (0, 0), "{}", push.said());
        self.scratch.ice().unwrap().expect_code(&[0]).unwrap()
    }

    /// How many requests of this kind about ice were answered.
    fn asked(&self, operation: &str) -> usize {
        let lines = self.server.requests();
        lines.iter().filter(|line| line.1 == operation && line.2.starts_with("firn/ice/")).count()
    }
}

#[test]
fn what_setup_prints_is_enough_to_seal_prove_and_restore_and_lets_nobody_delete() {
    let _turn = rig::turn();
    let world = World::new();
    world.sealed();

    let text = fs::read_to_string(world.scratch.folder.join("ice/ledger/ledger")).unwrap();
    let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let receipts = line["receipts"].as_array().unwrap();
    assert!(receipts.len() >= 4, "{line}");
    for receipt in receipts {
        let key = format!("firn/{}", receipt["object"].as_str().unwrap());
        let [version] = &world.server.versions("ice", &key)[..] else { panic!("{key}: one generation") };
        assert_eq!(receipt["version"].as_str(), Some(&*version.generation.to_string()));
        let (mode, until) = version.retention.unwrap();
        assert_eq!(mode, fake_gcs::Mode::Locked);
        let told = DateTime::parse_from_rfc3339(receipt["retain_until"].as_str().unwrap()).unwrap();
        assert_eq!(told.to_utc(), until, "{key}");
        assert!((until - world.server.clock().now()).num_days() >= 120, "{until}");
        assert_eq!(version.storage_class, "ARCHIVE");
    }
    assert!(world.server.uploads().is_empty());
    assert!(
        world.server.requests().iter().filter(|line| line.1 == "objects.insert.part").count()
            > receipts.len()
    );

    // Archived, and read at once.
    world.scratch.verify(HOST).unwrap().expect_code(&[0]).unwrap();
    let target = world.folder.path().join("restored");
    world.scratch.restore(HOST, &target).unwrap().expect_code(&[0]).unwrap();
    assert_eq!(stock::rsync_differences(&world.files, &below(&target, &world.files)).unwrap(), "");

    // Nothing has changed: nothing is put.
    world.server.forget_requests();
    world.scratch.ice().unwrap().expect_code(&[0]).unwrap();
    assert_eq!(world.asked("objects.insert.begin"), 0);

    // What asked to delete was the proof of the locks, on its canary, and was refused.
    let proved = Outcome::of(&mut world.scratch.iceboxer(&["prove-lock"])).unwrap();
    assert_eq!(proved.code, 0, "{}", proved.said());
    let deletes: Vec<_> = world.server.requests().into_iter().filter(|line| line.0 == "DELETE").collect();
    assert!(!deletes.is_empty() && world.asked("objects.delete") == 0);
    assert!(deletes.iter().all(|line| line.3 == 403), "{deletes:?}");
}

#[test]
fn a_lock_that_gives_way_fails_the_run_by_name() {
    let _turn = rig::turn();
    let world = World::new();
    world.sealed();
    world.server.arm(Fault::ShortenAllowed, Times::Always);
    let proved = Outcome::of(&mut world.scratch.iceboxer(&["prove-lock"])).unwrap();
    assert_ne!(proved.code, 0, "{}", proved.said());
    let report: Value = serde_json::from_str(proved.stdout.trim_end().lines().last().unwrap()).unwrap();
    let probes = report["details"]["vaults"][0]["probes"].as_array().unwrap();
    let done: Vec<_> = probes.iter().filter(|one| one["outcome"] == "done").map(|one| &one["call"]).collect();
    assert_eq!(done.first().unwrap().as_str(), Some("objects.patch, a day shorter"), "{done:?}");
    assert!(world.server.hits(Fault::ShortenAllowed) > 0);
}

#[test]
fn a_bit_that_turned_over_in_googles_bucket_is_found_by_the_drill() {
    let _turn = rig::turn();
    let world = World::new();
    world.sealed();
    let key = world.server.keys("ice").into_iter().find(|key| key.ends_with("/0000.pgp")).unwrap();
    let generation = world.server.versions("ice", &key)[0].generation;
    assert!(world.server.flip_bit("ice", &key, generation, 700, 3));
    let found = world.scratch.verify(HOST).unwrap();
    assert_eq!(found.code, 42, "{}", found.said());
    assert!(found.stderr.contains("0000.pgp is damaged"), "{}", found.said());
}
