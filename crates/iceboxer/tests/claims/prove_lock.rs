//! What `iceboxer setup aws` prints lets the uploader work and nothing be destroyed; and where a right is too much, it is named before anything is put.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use cli::{Exit, Silent};
use fake_s3::{Bucket, FakeS3, Fault, Key, Mode, Options, Statement, Times};
use iceboxer::prove::{Proved, prove};
use iceboxer::setup::{Provider, Setup};
use iceboxer::store::Target;
use serde_json::Value;
use vault::Outcome;

use crate::rig::{Scratch, everything, output, run};

/// A bucket as it is printed, and its writer.
struct Bucketed {
    server: FakeS3,
    key: Key,
}

/// What is printed, with one action taken out of all that is denied, and allowed instead.
fn policies(opened: Option<&str>) -> (Vec<Statement>, String) {
    let setup = Setup {
        provider: Provider::Aws,
        bucket: "example-ice".parse().unwrap(),
        region: None,
        retention_days: 92,
    };
    let mut policies = setup.plans().policies;
    let mut take = |name: &str| policies.iter_mut().find(|(known, _)| *known == name).unwrap().1.take();
    let (mut writer, mut bucket) = (take("writer_policy"), take("bucket_policy"));
    for policy in [&mut writer, &mut bucket] {
        let never =
            policy["Statement"].as_array_mut().unwrap().iter_mut().find(|s| s["Sid"] == "Never").unwrap();
        never["Action"].as_array_mut().unwrap().retain(|action| Some(action.as_str().unwrap()) != opened);
    }
    let mut statements = Statement::from_policy(&writer.to_string()).unwrap();
    statements.extend(opened.map(|action| Statement::allow(&[action])));
    (statements, bucket.to_string().replace("ACCOUNT-NUMBER", "123456789012"))
}

impl Bucketed {
    fn new(opened: Option<&str>) -> Bucketed {
        let (writer, policy) = policies(opened);
        let server = FakeS3::start(Options::default()).unwrap();
        let default_retention = Some((Mode::Compliance, 92));
        let plan = Bucket { default_retention, policy: Some(policy), ..Bucket::default() };
        server.add_bucket("example-ice", plan);
        let key = server.add_user("firn-ice-writer", writer);
        Bucketed { server, key }
    }

    fn settings(&self, scratch: &Scratch) -> vault::Settings {
        let file = scratch.path("credentials.toml");
        let Key { access, secret } = &self.key;
        let lines = format!("access_key_id = {access:?}\nsecret_access_key = {secret:?}\n");
        fs::write(&file, lines).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let mut settings = vault::Settings::new("off-site", "s3:example-ice");
        settings.endpoint = Some(self.server.endpoint());
        settings.path_style = true;
        settings.part_bytes = 5 << 20;
        settings.credentials_file = Some(file);
        settings
    }

    fn target(&self, scratch: &Scratch) -> Target {
        scratch.target_of("off-site", vault::open(&self.settings(scratch)).unwrap())
    }

    fn proved(&self, scratch: &Scratch) -> Proved {
        prove(&self.target(scratch), &Silent).unwrap()
    }

    fn puts_of_ice(&self) -> usize {
        let is_ice = |line: &&fake_s3::LogLine| line.1 == "PutObject" && line.2.starts_with("ice/");
        self.server.requests().iter().filter(is_ice).count()
    }
}

fn broken(proved: &Proved) -> Vec<&'static str> {
    proved.probes.iter().filter(|probe| probe.outcome.is_broken()).map(|probe| probe.call).collect()
}

#[test]
fn what_is_printed_for_aws_denies_every_call_that_could_break_a_lock() {
    let scratch = Scratch::new();
    let bucket = Bucketed::new(None);
    let proved = bucket.proved(&scratch);
    assert_eq!(broken(&proved), Vec::<&str>::new());
    proved.require_held().unwrap();
    let denied = proved.count(|outcome| matches!(outcome, Outcome::Refused { .. })) - 1;
    println!("DENIED: {denied} calls");
    assert!(denied >= 40, "{denied}");
}

/// Each right that is denied in so many words and has a call of its own, and how many of the attempts it opens.
const RIGHTS: [(&str, usize); 17] = [
    ("s3:DeleteBucket", 1),
    ("s3:DeleteObject", 4),
    ("s3:PutBucketAcl", 1),
    ("s3:PutBucketObjectLockConfiguration", 1),
    ("s3:PutBucketOwnershipControls", 1),
    ("s3:PutBucketPolicy", 1),
    ("s3:PutBucketPublicAccessBlock", 1),
    ("s3:PutBucketVersioning", 1),
    ("s3:PutEncryptionConfiguration", 1),
    // The setting is not there: both putting and removing it are tried.
    ("s3:PutLifecycleConfiguration", 2),
    ("s3:PutObjectAcl", 1),
    ("s3:PutObjectLegalHold", 2),
    ("s3:PutObjectVersionAcl", 1),
    ("s3:PutReplicationConfiguration", 1),
    ("s3:PutBucketWebsite", 1),
    ("s3:PutInventoryConfiguration", 1),
    ("s3:PutObjectTagging", 1),
];

#[test]
fn each_right_that_is_not_denied_any_more_is_named() {
    let scratch = Scratch::new();
    for (right, calls) in RIGHTS {
        let bucket = Bucketed::new(Some(right));
        let proved = bucket.proved(&scratch);
        assert_eq!(broken(&proved).len(), calls, "{right}: {:?}", broken(&proved));
        let error = proved.require_held().unwrap_err();
        assert_eq!(cli::Failure::exit(&error), Exit::LOCK_MISSING);
        assert!(broken(&proved).iter().all(|call| error.to_string().contains(call)), "{error}");
    }
}

#[test]
fn a_month_has_one_canary_and_a_spoiled_one_is_left_for_the_next() {
    let scratch = Scratch::new();
    let bucket = Bucketed::new(None);
    let first = bucket.proved(&scratch).canary;
    assert_eq!(bucket.proved(&scratch).canary, first);
    let canaries = || bucket.server.keys("example-ice");
    assert_eq!(canaries(), std::slice::from_ref(&first));
    bucket.server.arm(Fault::ShortenAllowed, Times::Always);
    assert!(!broken(&bucket.proved(&scratch)).is_empty());
    bucket.server.disarm(Fault::ShortenAllowed);
    let next = bucket.proved(&scratch);
    assert_eq!(broken(&next), Vec::<&str>::new());
    assert_eq!(canaries(), [first.clone(), next.canary.clone()]);
    assert!(
        next.canary.starts_with(&format!("{first}.")) && next.canary.len() > first.len() + 30,
        "{next:?}"
    );
}

#[test]
fn a_thief_who_knows_the_name_of_the_canary_stops_no_proof() {
    let scratch = Scratch::new();
    let bucket = Bucketed::new(None);
    let target = bucket.target(&scratch);
    // Announced and locked as the month's canary is; that its bytes are others shows when they are read.
    let month = bucket.proved(&scratch).canary;
    let version = bucket.server.versions("example-ice", &month).last().unwrap().version_id.clone();
    assert!(bucket.server.flip_bit("example-ice", &month, &version, 0, 0));
    assert!(target.vault.lock(&month.parse::<vault::ObjectName>().unwrap().into()).is_ok());
    let proved = bucket.proved(&scratch);
    proved.require_held().unwrap();
    assert!(proved.canary.len() > month.len() + 30, "{}", proved.canary);
}

#[test]
fn attempts_that_tell_nothing_are_counted_and_somebody_should_look() {
    let probe = |outcome| vault::Probe { call: "a call", outcome };
    let refused = || probe(Outcome::Refused { by: "403".to_owned() });
    let unclear = || probe(Outcome::Unclear { why: "400".to_owned() });
    let proved =
        |probes| Proved { vault: "off-site".to_owned(), canary: "canary/2026-01".to_owned(), probes };
    assert!(!proved(vec![refused()]).is_doubtful());
    let doubtful = proved(vec![refused(), unclear(), unclear()]);
    assert!(doubtful.is_doubtful() && doubtful.require_held().is_ok());
    assert_eq!(doubtful.summary(), "vault off-site: 1 attempts refused, 0 not refused, 2 unclear");
}

#[test]
fn a_vault_whose_lock_can_be_broken_gets_nothing_and_the_others_do() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    scratch.snapshot("web01", &everything());
    let bucket = Bucketed::new(Some("s3:PutBucketPolicy"));
    let mut plan = scratch.plan(&recipients, vec![bucket.target(&scratch), scratch.target()]);
    plan.proved = ["off-site", "local"].map(str::to_owned).into();
    let error = run(plan).unwrap_err();
    assert_eq!(error.exit(), Exit::LOCK_MISSING);
    assert!(
        error.chain().contains("PutBucketPolicy") && error.chain().contains("off-site"),
        "{}",
        error.chain()
    );
    assert_eq!(bucket.puts_of_ice(), 0);
    assert!(!scratch.objects().is_empty(), "the other vault is served");
    // Told not to prove, the same run puts: what kept it from it was the proof.
    assert_eq!(run(scratch.plan(&recipients, vec![bucket.target(&scratch)])).unwrap(), Exit::WHOLE);
    assert!(bucket.puts_of_ice() > 0);
}

#[test]
fn a_lock_that_breaks_during_a_run_fails_it_at_its_end() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    scratch.snapshot("web01", &everything());
    let bucket = Bucketed::new(None);
    let plan = || {
        let mut plan = scratch.plan(&recipients, vec![bucket.target(&scratch)]);
        plan.proved = ["off-site".to_owned()].into();
        plan
    };
    assert_eq!(run(plan()).unwrap(), Exit::WHOLE);
    assert!(bucket.puts_of_ice() > 0);
    let deletes = bucket.server.requests().into_iter().filter(|line| line.1 == "DeleteBucket").count();
    assert_eq!(deletes, 2, "it is proved twice in a run");

    // A store that forgets its rules between the two.
    let (mut plan, mut failures) = (plan(), Vec::new());
    iceboxer::prove::before(&mut plan, &mut failures, &Silent);
    assert!(failures.is_empty() && plan.targets.len() == 1);
    bucket.server.arm(Fault::ShortenAllowed, Times::Always);
    iceboxer::prove::after(&plan, &mut failures, &Silent);
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].exit(), Exit::LOCK_MISSING);
    assert!(failures[0].chain().contains("PutObjectRetention"), "{}", failures[0].chain());
}

fn write_settings(scratch: &Scratch, bucket: &Bucketed, more: &str) -> String {
    let credentials = bucket.settings(scratch).credentials_file.unwrap();
    let at = |name| scratch.path(name).display().to_string();
    let text = format!(
        "history = \"{}\"\nstaging = \"{}\"\nledger = \"{}\"\n[[recipients]]\ncertificate = \"/absent\"\nfingerprint = \"{}\"\n[[vaults]]\nname = \"off-site\"\nurl = \"s3:example-ice\"\nendpoint = {:?}\npath_style = true\ncredentials_file = {credentials:?}\nretention_days = 92\n{more}[[vaults]]\nname = \"local\"\nurl = \"file:{}\"\nimmutable = \"never\"\nretention_days = 92\n",
        at("history"),
        at("staging"),
        at("ledger"),
        "0".repeat(40),
        bucket.server.endpoint(),
        at("vault"),
    );
    let file = scratch.path("ice.toml");
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

fn prove_lock(words: &[&str], config: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iceboxer"));
    output(command.arg("prove-lock").args(words).args(["--config", config]))
}

#[test]
fn the_verb_shows_each_call_and_its_exit_code_tells_what_a_script_needs() {
    let scratch = Scratch::new();
    let bucket = Bucketed::new(None);
    let config = write_settings(&scratch, &bucket, "prove_lock = \"never\"\n");
    let whole = prove_lock(&[], &config);
    let table = String::from_utf8(whole.stdout).unwrap();
    assert_eq!(whole.status.code(), Some(0), "{table}");
    assert!(
        table.contains("DeleteObject, the version") && table.contains("refused: 403 AccessDenied"),
        "{table}"
    );
    assert!(table.contains("held by agreement only"), "{table}");
    assert_eq!(prove_lock(&["elsewhere"], &config).status.code(), Some(2));

    let open = Bucketed::new(Some("s3:DeleteObject"));
    let config = write_settings(&scratch, &open, "");
    let found = prove_lock(&["off-site", "--json"], &config);
    assert_eq!(found.status.code(), Some(32));
    let text = String::from_utf8(found.stdout).unwrap();
    let report: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&report["counts"]["broken"], &report["counts"]["vaults"]), (&4.into(), &1.into()));
    let probes = report["details"]["vaults"][0]["probes"].as_array().unwrap();
    let named = probes.iter().find(|probe| probe["call"] == "DeleteObject, a marker").unwrap();
    assert_eq!(named["outcome"], "done");
    assert!(String::from_utf8_lossy(&found.stderr).contains("DeleteObject, a marker"));
}
