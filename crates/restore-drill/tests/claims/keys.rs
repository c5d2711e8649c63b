//! OpenPGP keys, made and used by GnuPG.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A key pair. Its files are in memory and have no name, so that nothing is left of them when the tests end.
pub(crate) struct Key {
    public: File,
    secret: File,
    armoured: File,
    passphrase: File,
    pub(crate) fingerprint: String,
}

impl Key {
    /// `passphrase` empty: the secret key is not protected.
    pub(crate) fn make(passphrase: &str) -> Key {
        let home = Home::new();
        let protect = ["--pinentry-mode", "loopback", "--passphrase", passphrase];
        let make = ["--quick-generate-key", "Ice <ice@example.org>", "future-default", "default", "never"];
        home.gpg(&[&protect[..], &make[..]].concat(), &[]);
        let listed = String::from_utf8(home.gpg(&["--with-colons", "--list-keys"], &[])).unwrap();
        let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap();
        Key {
            public: in_memory(&home.gpg(&["--export"], &[])),
            secret: in_memory(&home.gpg(&[&protect[..], &["--export-secret-keys"]].concat(), &[])),
            armoured: in_memory(
                &home.gpg(&[&protect[..], &["--armor", "--export-secret-keys"]].concat(), &[]),
            ),
            passphrase: in_memory(format!("{passphrase}\n").as_bytes()),
            fingerprint: fingerprint.trim_end_matches(':').to_owned(),
        }
    }

    pub(crate) fn secret(&self) -> PathBuf {
        path(&self.armoured)
    }

    pub(crate) fn secret_binary(&self) -> PathBuf {
        path(&self.secret)
    }

    pub(crate) fn public(&self) -> PathBuf {
        path(&self.public)
    }

    pub(crate) fn passphrase(&self) -> PathBuf {
        path(&self.passphrase)
    }

    /// A message as iceboxer makes them.
    pub(crate) fn seal(&self, plain: &[u8]) -> Vec<u8> {
        seal_to(&[self], plain)
    }

    /// A message as gpg makes it with these options.
    pub(crate) fn encrypt(&self, more: &[&str], plain: &[u8]) -> Vec<u8> {
        let public = self.public();
        let recipient = ["--recipient-file", public.to_str().unwrap(), "--encrypt"];
        gpg(&[more, &recipient[..]].concat(), plain)
    }
}

/// A message to several keys.
pub(crate) fn seal_to(keys: &[&Key], plain: &[u8]) -> Vec<u8> {
    let files: Vec<String> = keys.iter().map(|key| key.public().to_str().unwrap().to_owned()).collect();
    let mut arguments = vec!["-z", "0"];
    for file in &files {
        arguments.extend(["--recipient-file", file]);
    }
    arguments.push("--encrypt");
    gpg(&arguments, plain)
}

/// Runs gpg in a folder that is gone afterwards.
pub(crate) fn gpg(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    Home::new().gpg(arguments, input)
}

/// A folder of gpg. Dropping it ends the agent that gpg may have started for it.
struct Home(TempDir);

impl Home {
    fn new() -> Home {
        // Short: a socket of gpg-agent must fit into the folder's path.
        Home(tempfile::Builder::new().prefix("fk").tempdir_in("/tmp").unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn gpg(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("gpg")
            .env("GNUPGHOME", self.path())
            .args(["--batch", "--quiet", "--trust-model", "always"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            let writer = scope.spawn(move || stdin.write_all(input));
            let output = child.wait_with_output().unwrap();
            assert!(
                output.status.success(),
                "gpg {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            writer.join().unwrap().unwrap();
            output
        });
        output.stdout
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.path().join("S.gpg-agent").exists() {
            let ended =
                Command::new("gpgconf").env("GNUPGHOME", self.path()).args(["--kill", "gpg-agent"]).status();
            assert!(ended.unwrap().success());
        }
    }
}

fn in_memory(bytes: &[u8]) -> File {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::memfd_create("key", flags).unwrap());
    file.write_all(bytes).unwrap();
    file.set_permissions(Permissions::from_mode(0o600)).unwrap();
    file
}

/// A path by which other processes of ours can open it.
fn path(file: &File) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
}

/// The key that most tests use.
pub(crate) fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::make(""))
}

/// Another one.
pub(crate) fn other_key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::make(""))
}

pub(crate) const PASSPHRASE: &str = "firn tests: drip, drip";

/// One with a passphrase.
pub(crate) fn locked_key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::make(PASSPHRASE))
}
