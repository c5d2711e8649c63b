//! moto's S3 server, which we did not write and which permits what it should not: ice is locked there all the same, and what could break a lock
//! is named. What it does differently from AWS stands in docs/vaults.md.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use pipeline_tests::moto::Moto;
use pipeline_tests::stock::{self, below};
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Options, Outcome, Power, Scratch, data, settings};
use serde_json::Value;

use crate::rgw::client::{Key, Request, send};
use crate::rig;

const HOST: &str = "web01";
const BUCKET: &str = "example-ice";
/// Two parts, where parts are of 5 MiB.
const SEGMENT_BYTES: u64 = 8 << 20;

/// What this server does with a lock in COMPLIANCE mode, and AWS does not. After that an attempt fails in it, and the rest is not tried.
const PERMITTED: [&str; 6] = [
    "PutObjectRetention, an hour shorter",
    "PutObjectRetention, an hour shorter, with bypass",
    "PutObjectRetention, one day left",
    "PutObjectRetention, one day left, with bypass",
    "PutObjectRetention, governance mode",
    "PutObjectRetention, governance mode, with bypass",
];

/// Whoever asks: this server knows nobody, and refuses nobody.
fn key() -> Key {
    Key { access: "anybody".to_owned(), secret: "anything".to_owned() }
}

fn asked(moto: &Moto, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path = format!("/{BUCKET}{path}");
    send(moto.port, &key(), &Request { method, path: &path, query, headers, body })
}

/// Lets a program's settings name the bucket instead of the folder.
fn point(scratch: &Scratch, moto: &Moto, program: &str, more: &str) {
    let file = scratch.folder.join("etc").join(format!("{program}.toml"));
    let credentials = scratch.folder.join("etc").join(format!("{program}-credentials.toml"));
    let Key { access, secret } = key();
    fs::write(&credentials, format!("access_key_id = {access:?}\nsecret_access_key = {secret:?}\n")).unwrap();
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
    if program == "ice" && scratch.power == Power::Root {
        chown(&credentials, Some(rig::number_of(&scratch.names.ice)), None).unwrap();
    }
    let text = fs::read_to_string(&file).unwrap();
    let (before, _) = text.split_once("[[vaults]]").unwrap();
    let vault = format!(
        "[[vaults]]\nname = \"off-site\"\nurl = \"s3:{BUCKET}\"\nendpoint = {:?}\npath_style = true\ncredentials_file = {credentials:?}\n{more}",
        moto.endpoint(),
    );
    fs::write(&file, format!("{before}{vault}")).unwrap();
}

/// The attempts of `iceboxer prove-lock`, by outcome.
fn attempts(proved: &Outcome, outcome: &str) -> Vec<String> {
    let report = proved.report().unwrap();
    let probes = report["details"]["vaults"][0]["probes"].as_array().unwrap();
    let those = probes.iter().filter(|probe| probe["outcome"] == outcome);
    those.map(|probe| probe["call"].as_str().unwrap().to_owned()).collect()
}

fn pushed(scratch: &mut Scratch, folder: &tempfile::TempDir) -> Host {
    let files = folder.path().join("files");
    data::write_small_files(&files, 5, 40, 3000).unwrap();
    data::write_file(&files.join("large"), 11, 20 << 20).unwrap();
    let host = scratch.add_host(HOST, std::slice::from_ref(&files)).unwrap();
    let push = settings::Push { verdict_wait_seconds: 60, ..settings::Push::default() };
    settings::write_push(scratch, &host, &push).unwrap();
    let (push, ingest) = scratch.push_and_ingest(&host, Hear::Kept).unwrap();
    assert_eq!((push.code, ingest.unwrap().code), (0, 0), "{}", push.said());
    host
}

#[test]
#[ignore = "long: makes a Python environment"]
fn on_moto_ice_is_locked_and_restored_and_every_call_that_it_wrongly_permits_is_named() {
    let _turn = rig::turn();
    let moto = Moto::start().unwrap();
    let lock = [("x-amz-bucket-object-lock-enabled", "true")];
    assert_eq!(asked(&moto, "PUT", "", &lock, "").0, 200);
    let folder = tempfile::tempdir().unwrap();
    let mut scratch = rig::scratch(&Options { segment_bytes: SEGMENT_BYTES, ..Options::default() });
    let host = pushed(&mut scratch, &folder);
    point(&scratch, &moto, "drill", "");

    // A run that proves the locks puts nothing there.
    point(&scratch, &moto, "ice", "retention_days = 92\n");
    assert_eq!(scratch.ice().unwrap().code, 32);
    let (_, listed) = asked(&moto, "GET", "?list-type=2&prefix=ice%2F", &[], "");
    assert!(listed.contains("<KeyCount>0</KeyCount>"), "{listed}");
    let proved = Outcome::of(&mut scratch.iceboxer(&["prove-lock"])).unwrap();
    assert_eq!(proved.code, 32, "{}", proved.said());
    let named = [attempts(&proved, "done"), attempts(&proved, "permitted")].concat();
    println!("NAMED: {named:#?}\nrefused: {:#?}", attempts(&proved, "refused"));
    println!(
        "unclear: {:#?}\nnot applicable: {:#?}",
        attempts(&proved, "unclear"),
        attempts(&proved, "not-applicable")
    );
    println!("said: {}", proved.stderr);
    assert_eq!(named, PERMITTED, "{}", proved.said());

    // What goes in parts it spoils, and the run says so.
    point(&scratch, &moto, "ice", "part_bytes = 5242880\nretention_days = 92\nprove_lock = \"never\"\n");
    let spoiled = scratch.ice().unwrap();
    println!("SPOILED: code {}: {}", spoiled.code, spoiled.stderr);
    assert_eq!(spoiled.code, 37, "{}", spoiled.said());
    // What it has spoiled stays there without a lock, and is not gone on with.
    fs::remove_dir_all(scratch.folder.join("ice/staging")).unwrap();

    // Who wants it all the same has every object locked that went in one call.
    point(&scratch, &moto, "ice", "retention_days = 92\nprove_lock = \"never\"\n");
    scratch.ice().unwrap().expect_code(&[0]).unwrap();
    let ledger = fs::read_to_string(scratch.folder.join("ice/ledger/ledger")).unwrap();
    let line: Value = serde_json::from_str(ledger.lines().last().unwrap()).unwrap();
    let receipts = line["receipts"].as_array().unwrap();
    for receipt in receipts {
        let (object, version) = (receipt["object"].as_str().unwrap(), receipt["version"].as_str().unwrap());
        let (status, _) = asked(&moto, "DELETE", &format!("/{object}?versionId={version}"), &[], "");
        assert_eq!(status, 403, "{object}");
    }
    println!("LOCKED: {} objects, which even this server does not delete", receipts.len());
    scratch.verify(HOST).unwrap().expect_code(&[0]).unwrap();
    let target = folder.path().join("restored");
    scratch.restore(HOST, &target).unwrap().expect_code(&[0]).unwrap();
    let files = &host.roots[0];
    assert_eq!(stock::rsync_differences(files, &below(&target, files)).unwrap(), "");
}
