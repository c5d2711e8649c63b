//! A server whose settings are all right, and a bucket made from what `iceboxer setup aws` prints.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use chrono::Utc;
use fake_s3::{Bucket, FakeS3, Key, Mode, Options, Statement};
use iceboxer::preflight::{Finding, preflight};
use iceboxer::settings::Settings;
use serde_json::Value;

use crate::rig::{Scratch, output};

pub(super) const BUCKET: &str = "example-ice";
pub(super) const WRITER: &str = "firn-ice-writer";

/// What `iceboxer setup aws` prints: the Terraform, and the policies.
pub(super) fn printed() -> (String, Value) {
    let args = ["setup", "aws", "--bucket", BUCKET, "--json"];
    let output = output(Command::new(env!("CARGO_BIN_EXE_iceboxer")).args(args));
    let text = String::from_utf8(output.stdout).unwrap();
    let (terraform, report) = text.trim_end().rsplit_once('\n').unwrap();
    let report: Value = serde_json::from_str(report).unwrap();
    (terraform.to_owned(), report["details"].clone())
}

/// The XML of a setting that is printed as JSON, as a provider's own tools send it.
fn xml(name: &str, value: &Value) -> String {
    match value {
        Value::Array(all) => all.iter().map(|one| xml(name.trim_end_matches('s'), one)).collect(),
        Value::Object(fields) => {
            let inside: String = fields.iter().map(|(name, value)| xml(name, value)).collect();
            format!("<{name}>{inside}</{name}>")
        }
        Value::String(text) => format!("<{name}>{text}</{name}>"),
        other => format!("<{name}>{other}</{name}>"),
    }
}

/// The four protections, as the Terraform sets them.
pub(super) fn public_access(terraform: &str) -> String {
    let names = [
        ("block_public_acls", "BlockPublicAcls"),
        ("block_public_policy", "BlockPublicPolicy"),
        ("ignore_public_acls", "IgnorePublicAcls"),
        ("restrict_public_buckets", "RestrictPublicBuckets"),
    ];
    let fields = names.map(|(key, name)| {
        let line = terraform.lines().find(|line| line.trim().starts_with(key)).unwrap();
        format!("<{name}>{}</{name}>", line.rsplit_once("= ").unwrap().1)
    });
    format!("<PublicAccessBlockConfiguration>{}</PublicAccessBlockConfiguration>", fields.concat())
}

/// The bucket, and what its writer may do.
pub(super) fn good() -> (Bucket, Vec<Statement>) {
    let (terraform, policies) = printed();
    let default = &policies["object_lock"]["Rule"]["DefaultRetention"];
    assert_eq!(
        (&default["Mode"], &policies["object_lock"]["ObjectLockEnabled"]),
        (&"COMPLIANCE".into(), &"Enabled".into())
    );
    assert!(terraform.contains("sse_algorithm = \"AES256\""));
    let bucket = Bucket {
        lock: true,
        default_retention: Some((Mode::Compliance, default["Days"].as_u64().unwrap().try_into().unwrap())),
        policy: Some(policies["bucket_policy"].to_string()),
        lifecycle: Some(xml("LifecycleConfiguration", &policies["lifecycle"])),
        public_access: Some(public_access(&terraform)),
        ..Bucket::default()
    };
    (bucket, Statement::from_policy(&policies["writer_policy"].to_string()).unwrap())
}

/// Everything that preflight looks at.
pub(super) struct World {
    pub(super) scratch: Scratch,
    pub(super) server: FakeS3,
    /// Keeps the second vault, so that not all ice is with one provider.
    other: FakeS3,
    prints: [String; 2],
    vaults: String,
}

impl World {
    /// Two good vaults at two providers.
    pub(super) fn new() -> World {
        let start = || FakeS3::start(Options::default()).unwrap();
        let mut world = World {
            scratch: Scratch::new(),
            server: start(),
            other: start(),
            prints: Default::default(),
            vaults: String::new(),
        };
        world.prints = ["one", "two"].map(|name| world.scratch.recipient(name).fingerprint().to_string());
        for folder in ["staging", "ledger", "drills"] {
            fs::create_dir(world.scratch.path(folder)).unwrap();
        }
        let (bucket, rights) = good();
        world.other.add_bucket(BUCKET, bucket.clone());
        let key = world.other.add_user(WRITER, rights.clone());
        let other = world.vault("other", &world.other, &key, "");
        world.set(bucket, rights, "");
        world.vaults = format!("{}\n{other}", world.vaults);
        world
    }

    /// Puts this bucket in the good one's place, with a writer who has these rights.
    pub(super) fn set(&mut self, bucket: Bucket, rights: Vec<Statement>, more: &str) {
        self.server.add_bucket(BUCKET, bucket);
        let key = self.server.add_user(WRITER, rights);
        self.vaults = self.vault("off-site", &self.server, &key, more);
    }

    fn vault(&self, name: &str, server: &FakeS3, key: &Key, more: &str) -> String {
        let file = self.scratch.path(&format!("{name}.credentials"));
        drop(fs::remove_file(&file));
        let lines = format!("access_key_id = \"{}\"\nsecret_access_key = \"{}\"\n", key.access, key.secret);
        fs::write(&file, lines).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let own = |key: &str, value: String| match more.contains(&format!("{key} =")) {
            true => String::new(),
            false => format!("{key} = {value}\n"),
        };
        format!(
            "[[vaults]]\nname = \"{name}\"\npath_style = true\n{}{}{}{}{more}\n",
            own("url", format!("\"s3:{BUCKET}\"")),
            own("endpoint", format!("\"{}\"", server.endpoint())),
            own("retention_days", "92".to_owned()),
            own("credentials_file", format!("{file:?}")),
        )
    }

    /// The text of the settings; `recipients` in place of the two.
    pub(super) fn text(&self, recipients: Option<&str>) -> String {
        let at = |name: &str| self.scratch.path(name);
        let both = [("one.asc", 0), ("two.asc", 1)].map(|(file, number)| {
            format!(
                "[[recipients]]\ncertificate = {:?}\nfingerprint = \"{}\"\n",
                at(file),
                self.prints[number]
            )
        });
        let both = both.concat();
        let recipients = recipients.unwrap_or(&both);
        let [history, staging, ledger, drills] = ["history", "staging", "ledger", "drills"].map(at);
        format!(
            "history = {history:?}\nstaging = {staging:?}\nledger = {ledger:?}\ndrill_records = {drills:?}\n{recipients}{}",
            self.vaults
        )
    }

    pub(super) fn settings(&self, text: &str) -> Settings {
        let file = self.scratch.path("ice.toml");
        fs::write(&file, text).unwrap();
        Settings::load(&file).unwrap()
    }

    /// What is found, with the vaults as they are set.
    pub(super) fn found(&self) -> Vec<Finding> {
        preflight(&self.settings(&self.text(None)), &[], Utc::now()).unwrap()
    }

    /// What is found about one vault.
    pub(super) fn about(&self, vault: &str) -> Vec<Finding> {
        let about = format!("vault {vault}");
        self.found().into_iter().filter(|finding| finding.on == about).collect()
    }

    /// Puts these vaults in the place of all.
    pub(super) fn replace(&mut self, vaults: String) {
        self.vaults = vaults;
    }

    pub(super) fn prints(&self) -> &[String; 2] {
        &self.prints
    }
}

pub(super) fn codes(findings: &[Finding]) -> Vec<&'static str> {
    let mut codes: Vec<_> = findings.iter().map(|finding| finding.check.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}
