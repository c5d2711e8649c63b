//! A scratch server: a history written as the snapshotter writes it, a vault, a key ring of GnuPG's own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use cli::{Common, Exit, Failed, Run};
use formats::entry::{Body, Node};
use formats::records::Record;
use formats::records::ice::IceRecord;
use formats::records::log::{Event, Ingest};
use formats::{
    ContentHash, Entry, HostId, InstallationId, Kind, ManifestWriter, Meta, Mtime, PushId, RelPath, Root,
};
use history::{History, LogAppender, SnapshotName, Squeezer};
use iceboxer::certificate::Recipient;
use iceboxer::cost::budget::Budget;
use iceboxer::plan::{Again, Plan};
use iceboxer::publish::Publisher;
use iceboxer::settings::{Scope, Unchanged};
use iceboxer::store::Target;
use tempfile::TempDir;
use vault::Vault;

/// What one path of a host is.
#[derive(Debug, Clone)]
pub(crate) enum Spec {
    File(Vec<u8>),
    Folder,
    Symlink(Vec<u8>),
    Link(&'static str),
    Fifo,
    Socket,
    CharDevice(u32, u32),
}

/// A tree as a literal: path, what it is, and its metadata.
pub(crate) type Tree = Vec<(&'static [u8], Spec, Meta)>;

pub(crate) fn meta(mode: u32, owner: u32, seconds: i64) -> Meta {
    Meta {
        mode,
        owner,
        group: owner + 1,
        mtime: Mtime { seconds, nanos: 7 },
        links: 1,
        attributes: Vec::new(),
    }
}

pub(crate) fn linked(mut meta: Meta, links: u32) -> Meta {
    meta.links = links;
    meta
}

/// Bytes that do not compress.
pub(crate) fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut out = vec![0; bytes];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

/// A child shares all open files, held locks among them, from its fork to its exec. Tests are threads of one process, so while one runs
/// iceboxer in this process no other may fork.
static FORKS: RwLock<()> = RwLock::new(());

pub(crate) fn spawn(command: &mut Command) -> Child {
    let _alone = FORKS.write().unwrap_or_else(PoisonError::into_inner);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub(crate) fn output(command: &mut Command) -> Output {
    spawn(command).wait_with_output().unwrap()
}

pub(crate) struct Scratch {
    pub(crate) dir: TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("ice").tempdir_in("/tmp").unwrap();
        for folder in ["history", "vault", "gpg"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        fs::set_permissions(dir.path().join("gpg"), fs::Permissions::from_mode(0o700)).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn gpg(&self, args: &[&str]) -> Output {
        let mut command = Command::new("gpg");
        command
            .args([
                "--batch",
                "--quiet",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
                "--no-auto-check-trustdb",
            ])
            .args(args)
            .env("GNUPGHOME", self.path("gpg"));
        output(&mut command)
    }

    pub(crate) fn gpg_ok(&self, args: &[&str]) -> Vec<u8> {
        let output = self.gpg(args);
        assert!(output.status.success(), "gpg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Makes a key; `more` come before the command. Gives back its fingerprint.
    pub(crate) fn key(
        &self,
        name: &str,
        algorithm: &str,
        usage: &str,
        expires: &str,
        more: &[&str],
    ) -> String {
        let user = format!("{name} <{name}@example.org>");
        let command = ["--quick-generate-key", &user, algorithm, usage, expires];
        self.gpg_ok(&[more, &command].concat());
        let listing = String::from_utf8(self.gpg_ok(&["--list-keys", "--with-colons", &user])).unwrap();
        listing
            .lines()
            .find_map(|line| line.strip_prefix("fpr:::::::::"))
            .unwrap()
            .trim_end_matches(':')
            .to_owned()
    }

    /// A key as a person makes it by default, its certificate in a file, ready to be used.
    pub(crate) fn recipient(&self, name: &str) -> Recipient {
        let fingerprint = self.key(name, "future-default", "default", "2y", &[]);
        let file = self.export(name, &["--armor", "--export", &fingerprint]);
        Recipient::load(&file, &fingerprint.parse().unwrap(), SystemTime::now()).unwrap()
    }

    pub(crate) fn export(&self, name: &str, args: &[&str]) -> PathBuf {
        let file = self.path(&format!("{name}.asc"));
        fs::write(&file, self.gpg_ok(args)).unwrap();
        file
    }

    /// Adds a snapshot to a host's history, as an ingest would have; gives back its name.
    pub(crate) fn snapshot(&self, host: &str, tree: &Tree) -> String {
        self.snapshot_at(host, tree, 1_767_322_930)
    }

    /// The same, by a clock that shows so many seconds since 1970, and one more for each snapshot.
    pub(crate) fn snapshot_at(&self, host: &str, tree: &Tree, clock: i64) -> String {
        let host = HostId::parse(host).unwrap();
        let history = History::open(&self.path("history")).unwrap().host_or_new(&host).unwrap();
        let writing = history.write_lock().unwrap().unwrap();
        let mut log = LogAppender::open(&history, &writing).unwrap();
        let sequence = log.log().next_sequence();
        let now = DateTime::from_timestamp(clock + i64::try_from(sequence).unwrap(), 0).unwrap();
        let name = SnapshotName::new(now, sequence).unwrap();
        let folder = self.path("history").join(host.as_str());
        fs::create_dir_all(folder.join("manifests")).unwrap();
        let files = folder.join(name.as_str()).join("tree");
        fs::create_dir_all(&files).unwrap();
        let manifest = fs::File::create(folder.join("manifests").join(format!("{name}.manifest"))).unwrap();
        let mut writer = ManifestWriter::new(Squeezer::new(manifest).unwrap()).unwrap();
        let entries: BTreeMap<RelPath, Entry> = tree
            .iter()
            .map(|(path, spec, meta)| (RelPath::new(path).unwrap(), place(&files, path, spec, meta)))
            .collect();
        for entry in entries.values() {
            writer.push(entry).unwrap();
        }
        let (summary, _) = writer.finish().unwrap();
        log.append(Event::Ingest(ingest(&name, summary.root, summary.entries)), now).unwrap();
        name.to_string()
    }

    pub(crate) fn target(&self) -> Target {
        let url = format!("file:{}", self.path("vault").display());
        self.target_of("local", vault::open(&vault::Settings::new("local", &url)).unwrap())
    }

    pub(crate) fn target_of(&self, name: &str, vault: Box<dyn Vault>) -> Target {
        Target { name: name.to_owned(), vault, retention_days: 92 }
    }

    /// Another `file:` vault.
    pub(crate) fn other(&self) -> Target {
        fs::create_dir_all(self.path("other")).unwrap();
        let url = format!("file:{}", self.path("other").display());
        self.target_of("other", vault::open(&vault::Settings::new("other", &url)).unwrap())
    }

    pub(crate) fn plan(&self, recipients: &[Recipient], targets: Vec<Target>) -> Plan {
        Plan {
            history: self.path("history"),
            staging: self.path("staging"),
            ledger: self.path("ledger"),
            scope: Scope::Latest,
            segment_bytes: 100_000,
            recipients: recipients.to_vec(),
            workers: 2,
            drill_records: None,
            unchanged: Unchanged::Seal,
            vaults: targets.iter().map(|target| target.name.clone()).collect(),
            targets,
            proved: Default::default(),
            unopened: Vec::new(),
            hosts: Vec::new(),
            again: Again::Skip,
            budget: Budget::unlimited(),
            publisher: Publisher::new(self.path("standing.json"), Default::default()),
        }
    }

    /// Names of the objects in the `file:` vault, below `ice/`.
    pub(crate) fn objects(&self) -> Vec<String> {
        let vault = self.target().vault;
        let mut names: Vec<String> = vault
            .list(&"ice/".parse().unwrap())
            .unwrap()
            .map(|name| name.unwrap().as_str().trim_start_matches("ice/").to_owned())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn object(&self, name: &str) -> PathBuf {
        self.path("vault").join("objects/ice").join(name)
    }

    /// The record of an ice, from the vault.
    pub(crate) fn record(&self, ice: &str) -> IceRecord {
        let line = fs::read(self.object(&format!("{ice}/ice.json"))).unwrap();
        let record = IceRecord::from_line(&line).unwrap();
        record.check().unwrap();
        record
    }

    /// The image of an ice, opened as the disaster card says: `gpg --decrypt` of each segment, in order.
    pub(crate) fn thaw(&self, ice: &str) -> PathBuf {
        let mut image = Vec::new();
        for segment in &self.record(ice).segments {
            let file = self.path("vault").join("objects").join(&segment.object);
            image.extend(self.gpg_ok(&["--decrypt", file.to_str().unwrap()]));
        }
        let path = self.path("thawed");
        fs::write(&path, image).unwrap();
        path
    }

    pub(crate) fn is_staging_empty(&self, host: &str) -> bool {
        fs::read_dir(self.path("staging").join(host)).unwrap().next().is_none()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Only the agent of this key ring.
        let home = self.path("gpg");
        output(Command::new("gpgconf").arg("--homedir").arg(home).args(["--kill", "all"]));
    }
}

fn place(files: &Path, path: &[u8], spec: &Spec, meta: &Meta) -> Entry {
    use std::os::unix::ffi::OsStrExt;
    let on_disk = files.join(std::ffi::OsStr::from_bytes(path));
    let kind = match spec {
        Spec::File(bytes) => {
            fs::write(&on_disk, bytes).unwrap();
            Kind::File { size: bytes.len() as u64, content: ContentHash::of(bytes) }
        }
        Spec::Folder => {
            fs::create_dir(&on_disk).unwrap();
            Kind::Folder
        }
        Spec::Symlink(target) => {
            symlink(std::ffi::OsStr::from_bytes(target), &on_disk).unwrap();
            Kind::Symlink { target: target.clone() }
        }
        Spec::Link(first) => {
            fs::hard_link(files.join(first), &on_disk).unwrap();
            let first = RelPath::new(first.as_bytes()).unwrap();
            return Entry { path: RelPath::new(path).unwrap(), body: Body::Link(first) };
        }
        Spec::Fifo => Kind::Fifo,
        Spec::Socket => Kind::Socket,
        Spec::CharDevice(major, minor) => Kind::CharDevice { major: *major, minor: *minor },
    };
    let body = Body::Node(Node { meta: meta.clone(), kind });
    Entry { path: RelPath::new(path).unwrap(), body }
}

fn ingest(name: &SnapshotName, root: Root, entries: u64) -> Ingest {
    let mut push = [0; 16];
    push[..8].copy_from_slice(&name.sequence().to_le_bytes());
    Ingest {
        sequence: name.sequence(),
        name: name.to_string(),
        root,
        entries,
        left_out: 0,
        base: None,
        push: PushId::from_bytes(push),
        installation: InstallationId::from_bytes([1; 16]),
        counter: name.sequence(),
        started: 0,
        zone: "UTC".to_owned(),
        new_bytes: 0,
        changes: entries,
        long_entry_bytes: 0,
        emergency: false,
        imported: false,
        measured: None,
    }
}

pub(crate) fn run(plan: Plan) -> Result<Exit, Failed> {
    left_out(plan).0
}

/// How a run ends, and how much it left out.
pub(crate) fn left_out(plan: Plan) -> (Result<Exit, Failed>, u64) {
    let _no_forks = FORKS.read().unwrap_or_else(PoisonError::into_inner);
    let mut run = Run::new("iceboxer", "run", &Common::default());
    let ended = iceboxer::verb::run::run(plan, &mut run);
    (ended, run.report().left_out())
}

pub(crate) fn days_from_now(until: &str) -> i64 {
    (DateTime::parse_from_rfc3339(until).unwrap().to_utc() - Utc::now()).num_days()
}

/// A small tree with something of everything.
pub(crate) fn everything() -> Tree {
    let long = vec![b'x'; 300];
    vec![
        (b"etc", Spec::Folder, meta(0o755, 0, 1_700_000_000)),
        (b"etc/empty", Spec::File(Vec::new()), meta(0o600, 1_000, 1)),
        (b"etc/hosts", Spec::File(b"127.0.0.1 localhost\n".to_vec()), meta(0o644, 0, 1_600_000_000)),
        (b"etc/large", Spec::File(noise(300_000, 1)), linked(meta(0o4755, 70_000, 1_500_000_000), 2)),
        (b"etc/large again", Spec::Link("etc/large"), meta(0, 0, 0)),
        (b"etc/link", Spec::Symlink(b"../../outside/\xff".to_vec()), meta(0o777, 5, 3)),
        (b"etc/long", Spec::Symlink(long), meta(0o777, 5, 3)),
        (b"etc/name\n\xfe", Spec::File(b"odd name".to_vec()), meta(0o640, 3, 4)),
        (b"etc/old", Spec::File(b"before 1970".to_vec()), meta(0o640, 3, -5)),
        (b"etc/same", Spec::File(noise(300_000, 1)), meta(0o600, 4, 5)),
        (b"etc/zeros", Spec::File(vec![0; 400_000]), meta(0o600, 4, 5)),
        (b"run", Spec::Folder, meta(0o1777, 0, 2)),
        (b"run/fifo", Spec::Fifo, meta(0o600, 0, 2)),
        (b"run/null", Spec::CharDevice(1, 3), meta(0o666, 0, 2)),
        (b"run/socket", Spec::Socket, meta(0o666, 0, 2)),
    ]
}

/// Rewrites the newest snapshot's only entry so that its file claims another size; the log then names the new root.
pub(crate) fn claim_size(scratch: &Scratch, host: &str, name: &str, size: u64) {
    let folder = scratch.path("history").join(host);
    let path = RelPath::new(b"a").unwrap();
    let kind = Kind::File { size, content: ContentHash::of(b"") };
    let entry = Entry { path, body: Body::Node(Node { meta: meta(0o644, 0, 1), kind }) };
    let manifest = fs::File::create(folder.join("manifests").join(format!("{name}.manifest"))).unwrap();
    let mut writer = ManifestWriter::new(manifest).unwrap();
    writer.push(&entry).unwrap();
    let (summary, _) = writer.finish().unwrap();
    fs::remove_file(folder.join("log")).unwrap();
    let host = HostId::parse(host).unwrap();
    let history = History::open(&scratch.path("history")).unwrap().host(&host).unwrap();
    let writing = history.write_lock().unwrap().unwrap();
    let mut log = LogAppender::open(&history, &writing).unwrap();
    let event = Event::Ingest(ingest(&name.parse().unwrap(), summary.root, summary.entries));
    log.append(event, Utc::now()).unwrap();
}
