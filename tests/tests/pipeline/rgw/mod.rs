//! Ceph's own S3 server, which we did not write: what `iceboxer setup aws` prints lets ice be sealed, proved and restored there, and refuses every call that
//! could break a lock. What it does differently from AWS stands in docs/vaults.md.

pub(crate) mod client;
mod server;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use pipeline_tests::stock::{self, below};
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Options, Outcome, Power, Scratch, data, settings};
use serde_json::Value;

use self::client::{Key, Request, encoded, send};
use self::server::{PROGRAMS, Rgw};
use crate::rig;

const HOST: &str = "web01";
const BUCKET: &str = "example-ice";
/// Rights that this server has no name for: a policy with one of them is refused whole.
const NAMELESS: [&str; 4] = [
    "s3:GetEncryptionConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutEncryptionConfiguration",
    "s3:ReplicateDelete",
];
/// Parts of 5 MiB, and segments that need more than one.
const SEGMENT_BYTES: u64 = 8 << 20;

/// A server with a bucket as it is printed, and the users that are printed.
struct World {
    rgw: Rgw,
    owner: Key,
    writer: Key,
}

impl World {
    fn new(scratch: &Scratch) -> World {
        let rgw = Rgw::start();
        let owner = rgw.user("owner", &["--caps", "user-policy=*"]);
        let writer = rgw.user("firn-ice-writer", &[]);
        let world = World { rgw, owner, writer };
        let lock = [("x-amz-bucket-object-lock-enabled", "true")];
        assert_eq!(world.owner("PUT", "", &lock, "").0, 200);
        let default = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>92</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
        assert_eq!(world.owner("PUT", "object-lock", &[], default).0, 200);
        world.apply(&printed(scratch), None);
        world
    }

    fn owner(&self, method: &str, query: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let path = format!("/{BUCKET}");
        send(self.rgw.port, &self.owner, &Request { method, path: &path, query, headers, body })
    }

    /// Gives the writer the printed policy, and the bucket its own; `opened` is allowed instead of denied.
    fn apply(&self, policies: &Value, opened: Option<&str>) {
        let (mut writer, mut bucket) = (policies["writer_policy"].clone(), policies["bucket_policy"].clone());
        for policy in [&mut writer, &mut bucket] {
            let statements = policy["Statement"].as_array_mut().unwrap();
            // This server is spoken to on loopback, without TLS.
            statements.retain(|statement| statement["Sid"] != "OnlyTls");
            for actions in statements.iter_mut().filter_map(|statement| statement["Action"].as_array_mut()) {
                actions.retain(|action| {
                    let action = action.as_str().unwrap();
                    !NAMELESS.contains(&action) && opened != Some(action)
                });
            }
        }
        if let Some(action) = opened {
            let allowed = serde_json::json!({ "Action": [action], "Effect": "Allow", "Resource": ["*"] });
            writer["Statement"].as_array_mut().unwrap().push(allowed);
        }
        let query = format!(
            "Action=PutUserPolicy&PolicyDocument={}&PolicyName=writer&UserName=firn-ice-writer",
            encoded(&writer.to_string())
        );
        let request = Request { method: "POST", path: "/", query: &query, headers: &[], body: "" };
        assert_eq!(send(self.rgw.port, &self.owner, &request).0, 200);
        let bucket = bucket.to_string().replace("arn:aws:iam::ACCOUNT-NUMBER:user", "arn:aws:iam:::user");
        assert_eq!(self.owner("PUT", "policy", &[], &bucket).0, 204);
    }

    /// Lets a program's settings name the bucket instead of the folder.
    fn point(&self, scratch: &Scratch, program: &str, more: &str) {
        let file = scratch.folder.join("etc").join(format!("{program}.toml"));
        let credentials = scratch.folder.join("etc").join(format!("{program}-credentials.toml"));
        let Key { access, secret } = &self.writer;
        let lines = format!("access_key_id = {access:?}\nsecret_access_key = {secret:?}\n");
        fs::write(&credentials, lines).unwrap();
        fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
        if program == "ice" && scratch.power == Power::Root {
            chown(&credentials, Some(rig::number_of(&scratch.names.ice)), None).unwrap();
        }
        let text = fs::read_to_string(&file).unwrap();
        let (before, _) = text.split_once("[[vaults]]").unwrap();
        let vault = format!(
            "[[vaults]]\nname = \"off-site\"\nurl = \"s3:{BUCKET}\"\nendpoint = {:?}\npath_style = true\npart_bytes = 5242880\ncredentials_file = {credentials:?}\n{more}",
            self.rgw.endpoint(),
        );
        fs::write(&file, format!("{before}{vault}")).unwrap();
    }
}

/// The policies that `iceboxer setup aws` prints.
fn printed(scratch: &Scratch) -> Value {
    let words = ["setup", "aws", "--bucket", BUCKET];
    let setup = Outcome::of(&mut scratch.iceboxer(&words)).unwrap().expect_code(&[0]).unwrap();
    setup.report().unwrap()["details"].clone()
}

/// The attempts of `iceboxer prove-lock`, by outcome.
fn attempts(proved: &Outcome, outcome: &str) -> Vec<String> {
    let report = proved.report().unwrap();
    let probes = report["details"]["vaults"][0]["probes"].as_array().unwrap();
    let those = probes.iter().filter(|probe| probe["outcome"] == outcome);
    those.map(|probe| probe["call"].as_str().unwrap().to_owned()).collect()
}

/// Method, query, headers, body.
type Harmful = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

/// Calls that prove-lock does not make, because on somebody's bucket they would do harm if they were permitted.
const HARMFUL: [Harmful; 13] = [
    ("DELETE", "policy", &[], ""),
    ("DELETE", "lifecycle", &[], ""),
    ("DELETE", "cors", &[], ""),
    ("DELETE", "tagging", &[], ""),
    ("DELETE", "publicAccessBlock", &[], ""),
    ("DELETE", "notification", &[], ""),
    ("PUT", "acl", &[("x-amz-acl", "public-read-write")], ""),
    (
        "PUT",
        "versioning",
        &[],
        "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>",
    ),
    (
        "PUT",
        "object-lock",
        &[],
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
    ),
    (
        "PUT",
        "lifecycle",
        &[],
        "<LifecycleConfiguration><Rule><ID>a</ID><Prefix></Prefix><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
    ),
    (
        "PUT",
        "policy",
        &[],
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}"#,
    ),
    ("PUT", "publicAccessBlock", &[], "<PublicAccessBlockConfiguration/>"),
    (
        "PUT",
        "requestPayment",
        &[],
        "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>",
    ),
];

#[test]
#[ignore = "long: starts a Ceph"]
fn on_ceph_ice_is_sealed_proved_and_restored_and_no_lock_can_be_broken() {
    let test = "on_ceph_ice_is_sealed_proved_and_restored_and_no_lock_can_be_broken";
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &PROGRAMS) {
        return;
    }
    let _turn = rig::turn();
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    data::write_small_files(&files, 5, 40, 3000).unwrap();
    data::write_file(&files.join("large"), 11, 20 << 20).unwrap();
    let mut scratch = rig::scratch(&Options { segment_bytes: SEGMENT_BYTES, ..Options::default() });
    let host = scratch.add_host(HOST, std::slice::from_ref(&files)).unwrap();
    let push = settings::Push { verdict_wait_seconds: 60, ..settings::Push::default() };
    settings::write_push(&scratch, &host, &push).unwrap();
    let world = World::new(&scratch);
    world.point(&scratch, "ice", "retention_days = 92\n");
    world.point(&scratch, "drill", "");

    // Sealed, in parts, with a proof before and after; proved and restored from there.
    let (push, ingest) = scratch.push_and_ingest(&host, Hear::Kept).unwrap();
    assert_eq!((push.code, ingest.unwrap().code), (0, 0), "{}", push.said());
    scratch.ice().unwrap().expect_code(&[0]).unwrap();
    scratch.verify(HOST).unwrap().expect_code(&[0]).unwrap();
    let target = folder.path().join("restored");
    scratch.restore(HOST, &target).unwrap().expect_code(&[0]).unwrap();
    assert_eq!(stock::rsync_differences(&files, &below(&target, &files)).unwrap(), "");

    // Every call that could break a lock is refused.
    let prove = || Outcome::of(&mut scratch.iceboxer(&["prove-lock"])).unwrap();
    let proved = prove().expect_code(&[0]).unwrap();
    let refused = attempts(&proved, "refused");
    println!("refused: {refused:#?}\nnot applicable: {:#?}", attempts(&proved, "not-applicable"));
    println!("unclear: {:#?}", attempts(&proved, "unclear"));
    assert_eq!(attempts(&proved, "shadowed"), ["PutObject, over it", "CopyObject, over itself"]);
    let mut denied = refused.len() - 1;
    let path = format!("/{BUCKET}");
    for (method, query, headers, body) in HARMFUL {
        let (status, said) =
            send(world.rgw.port, &world.writer, &Request { method, path: &path, query, headers, body });
        assert_eq!(status, 403, "{method} {query}: {said}");
        assert!(said.contains("<Code>AccessDenied</Code>"), "{method} {query}: {said}");
        denied += 1;
    }
    // The control: what the writer may do is done, by the same hand.
    let look = Request { method: "GET", path: &path, query: "versioning", headers: &[], body: "" };
    assert_eq!(send(world.rgw.port, &world.writer, &look).0, 200);
    println!("DENIED: {denied} calls");
    assert!(denied >= 40, "{denied}");
    a_right_too_much_is_named(&scratch, &world);
}

/// And a run puts nothing.
fn a_right_too_much_is_named(scratch: &Scratch, world: &World) {
    let prove = || Outcome::of(&mut scratch.iceboxer(&["prove-lock"])).unwrap();
    let policies = printed(scratch);
    let markers = [
        "DeleteObject, a marker",
        "DeleteObject, a marker, with bypass",
        "DeleteObjects, a marker",
        "DeleteObjects, a marker, with bypass",
    ];
    // The markers come last: they stay on top of the canary.
    for (right, calls) in [
        ("s3:PutObjectTagging", &["PutObjectTagging"][..]),
        ("s3:PutBucketVersioning", &["PutBucketVersioning"]),
        ("s3:PutLifecycleConfiguration", &["DeleteBucketLifecycle", "PutBucketLifecycleConfiguration"]),
        ("s3:DeleteObject", &markers),
    ] {
        world.apply(&policies, Some(right));
        let found = prove();
        assert_eq!(found.code, 32, "{right}: {}", found.said());
        let named = [attempts(&found, "done"), attempts(&found, "permitted")].concat();
        println!("NAMED: {right}: {named:?}");
        assert_eq!(named, calls, "{right}: {}", found.said());
    }
    assert_eq!(scratch.ice().unwrap().code, 32);
    world.apply(&policies, None);
    prove().expect_code(&[0]).unwrap();
}
