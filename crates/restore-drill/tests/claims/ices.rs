//! A machine that drills: its settings, its vault, and ices laid into that vault file by file, as docs/formats/ice.md describes them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::images::{self, Name, Snapshot};
use super::keys::{Key, key};
use super::servers::{Signature, catalogue, write_certificate};
use super::tree::Tree;

pub(crate) const HOST: &str = "web01";

/// An ice before it is laid into a vault. A test may make it wrong.
#[derive(Debug, Clone)]
pub(crate) struct Ice {
    pub(crate) record: Value,
    pub(crate) segments: Vec<Vec<u8>>,
    pub(crate) recipients: Vec<PathBuf>,
    pub(crate) signature: Signature,
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// A whole ice of `image`, sealed to `key` in segments of `segment_bytes`.
pub(crate) fn seal(snapshots: &[Snapshot], image: &[u8], segment_bytes: usize, key: &Key) -> Ice {
    let mut plain = vec![&image[..image.len().min(4096)]];
    plain.extend(image.get(4096..).unwrap_or_default().chunks(segment_bytes));
    let newest = &snapshots.last().unwrap().name;
    let ice = format!("{HOST}/{newest}");
    let mut segments = Vec::new();
    let mut listed = Vec::new();
    for (number, plain) in plain.into_iter().enumerate() {
        let sealed = key.seal(plain);
        listed.push(json!({
            "object": format!("ice/{ice}/{number:04}.pgp"), "version": null,
            "plain_bytes": plain.len(), "plain_hash": hash(plain),
            "bytes": sealed.len(), "hash": hash(&sealed),
        }));
        segments.push(sealed);
    }
    let snapshots: Vec<Value> = snapshots
        .iter()
        .enumerate()
        .map(|(number, one)| json!({"name": one.name, "sequence": number + 1, "root": one.tree.manifest().1, "entries": one.tree.len()}))
        .collect();
    let record = json!({
        "format": "firn.ice/2.0",
        "ice": ice,
        "host": HOST,
        "created": "2026-01-02T03:04:05Z",
        "snapshots": snapshots,
        "image": {"bytes": image.len(), "hash": hash(image)},
        "segment_bytes": segment_bytes,
        "segments": listed,
        "recipients": [key.fingerprint],
        "left_out": 0,
        "log_head": hash(b"log"),
    });
    Ice { record, segments, recipients: vec![key.public()], signature: Signature::Server }
}

/// The snapshots 1, 2, ... with these trees.
pub(crate) fn snapshots(trees: &[Tree]) -> Vec<Snapshot> {
    let one = |(number, tree): (usize, &Tree)| Snapshot {
        name: images::name(number as u64 + 1),
        tree: tree.clone(),
    };
    trees.iter().enumerate().map(one).collect()
}

/// The ice of one tree, whose image `spoil` may make wrong before it is sealed.
pub(crate) fn ice_with(tree: &Tree, spoil: impl FnOnce(&mut Vec<Name>)) -> Ice {
    let snapshots = snapshots(std::slice::from_ref(tree));
    let mut names = images::names(&snapshots);
    spoil(&mut names);
    seal(&snapshots, &images::write(&names), 1 << 20, key())
}

pub(crate) fn ice_of(tree: &Tree) -> Ice {
    ice_with(tree, |_| {})
}

impl Ice {
    pub(crate) fn id(&self) -> &str {
        self.record["ice"].as_str().unwrap()
    }

    /// Makes the record agree with the segments as they are now: what an enemy would do who holds the vault.
    pub(crate) fn agree(&mut self) {
        for (segment, bytes) in self.record["segments"].as_array_mut().unwrap().iter_mut().zip(&self.segments)
        {
            segment["bytes"] = json!(bytes.len());
            segment["hash"] = json!(hash(bytes));
        }
    }
}

/// A machine that drills.
pub(crate) struct Machine {
    folder: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) report: Value,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let folder = tempfile::Builder::new().prefix("firn").tempdir().unwrap();
        let machine = Machine { folder };
        std::fs::create_dir(machine.vault()).unwrap();
        machine.settings("");
        machine
    }

    /// A machine whose vault holds `ice`.
    pub(crate) fn with(ice: &Ice) -> Machine {
        let machine = Machine::new();
        machine.lay(ice);
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.path("vault")
    }

    /// Writes the settings, with `more` at their top.
    pub(crate) fn settings(&self, more: &str) {
        let certificate = self.path("server.asc");
        write_certificate(&certificate);
        self.settings_without_server(&format!(
            "{more}\nserver_certificates = [\"{}\"]",
            certificate.display()
        ));
    }

    /// The same, trusting no server.
    pub(crate) fn settings_without_server(&self, more: &str) {
        let text = format!(
            "{more}\nquarantine = \"{}\"\nrecords = \"{}\"\n[[vaults]]\nname = \"local\"\nurl = \"file:{}\"\n",
            self.path("quarantine").display(),
            self.path("records").display(),
            self.vault().display()
        );
        std::fs::write(self.path("drill.toml"), text).unwrap();
    }

    /// Lays an ice into the vault, under the names its record gives.
    pub(crate) fn lay(&self, ice: &Ice) {
        for (number, bytes) in ice.segments.iter().enumerate() {
            self.lay_object(&format!("ice/{}/{number:04}.pgp", ice.id()), bytes);
        }
        let line = format!("{}\n", ice.record).into_bytes();
        let catalogue = catalogue(&line, &ice.recipients, ice.signature);
        self.lay_object(&format!("ice/{}/catalogue.pgp", ice.id()), &catalogue);
        self.lay_record(ice.id(), &line);
    }

    pub(crate) fn lay_record(&self, id: &str, line: &[u8]) {
        self.lay_object(&format!("ice/{id}/ice.json"), line);
    }

    pub(crate) fn lay_object(&self, object: &str, bytes: &[u8]) {
        let lock = json!({
            "format": "firn.lock/1.0", "object": object, "bytes": bytes.len(), "hash": hash(bytes),
            "stored": "2026-01-02T03:04:05Z", "retain_until": "2100-01-01T00:00:00Z",
        });
        let lock = format!("{lock}\n").into_bytes();
        for (path, bytes) in
            [(format!("locks/{object}.json"), lock.as_slice()), (format!("objects/{object}"), bytes)]
        {
            let path = self.vault().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let _ = std::fs::remove_file(&path);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        }
    }

    pub(crate) fn object(&self, ice: &Ice, name: &str) -> PathBuf {
        self.vault().join(format!("objects/ice/{}/{name}", ice.id()))
    }

    /// The program, ready to run with these settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_restore-drill"));
        command.arg("--config").arg(self.path("drill.toml")).arg("--json").args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).output().unwrap())
    }

    /// Runs a verb that opens ice, with the key that most ices are sealed to.
    pub(crate) fn open(&self, arguments: &[&str]) -> Ran {
        let secret = key().secret();
        self.run(&[arguments, &["--key", secret.to_str().unwrap()]].concat())
    }

    pub(crate) fn verify(&self) -> Ran {
        self.open(&["verify", "web01/latest"])
    }

    /// Restores the newest ice to the folder `out`.
    pub(crate) fn restore(&self) -> Ran {
        self.open(&["restore", "web01/latest", "--to", self.out().to_str().unwrap()])
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.path("out")
    }

    /// The drill records, oldest first.
    pub(crate) fn records(&self) -> Vec<Value> {
        let mut paths: Vec<PathBuf> = match std::fs::read_dir(self.path("records")) {
            Ok(folder) => folder.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        };
        paths.sort();
        paths.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
    }

    /// Fails if anything is left of what was decrypted.
    pub(crate) fn assert_nothing_left(&self) {
        let left: Vec<_> = match std::fs::read_dir(self.path("quarantine")) {
            Ok(folder) => folder.map(|entry| entry.unwrap().file_name()).collect(),
            Err(_) => Vec::new(),
        };
        assert!(left.iter().all(|name| name == "lock"), "{left:?}");
    }

    /// Fails if anything was restored.
    pub(crate) fn assert_nothing_restored(&self) {
        assert!(is_absent_or_empty(&self.out()));
        self.assert_nothing_left();
    }
}

pub(crate) fn is_absent_or_empty(path: &Path) -> bool {
    std::fs::read_dir(path).map_or(true, |mut names| names.next().is_none())
}

pub(crate) fn ran(output: Output) -> Ran {
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let report =
        stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or(Value::Null);
    let code = output.status.code().unwrap_or(-1);
    assert!(!stderr.contains("panicked") && !stderr.contains("firn: bug"), "{stderr}");
    Ran { code, report, stdout, stderr }
}

impl Ran {
    /// Fails unless the run ended with `code`, in the report too.
    pub(crate) fn ends_with(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        assert_eq!(self.report["exit"], code, "{}", self.stdout);
        self
    }

    /// Fails unless the error says `words`.
    pub(crate) fn because(self, words: &str) -> Ran {
        let text = self.report["error"]["text"].as_str().unwrap_or_default();
        assert!(text.contains(words), "{text:?} does not say {words:?}");
        self
    }
}
