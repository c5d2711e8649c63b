//! OpenPGP keys, made and used by GnuPG.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A key pair in two files.
pub(crate) struct Key {
    folder: TempDir,
    pub(crate) fingerprint: String,
}

impl Key {
    /// `passphrase` empty: the secret key is not protected.
    pub(crate) fn make(passphrase: &str) -> Key {
        // Short: a socket of gpg-agent must fit into the folder's path.
        let folder = tempfile::Builder::new().prefix("fk").tempdir_in("/tmp").unwrap();
        let key = Key { fingerprint: String::new(), folder };
        let protect = ["--pinentry-mode", "loopback", "--passphrase", passphrase];
        let make = ["--quick-generate-key", "Ice <ice@example.org>", "future-default", "default", "never"];
        key.gpg(&[&protect[..], &make[..]].concat(), &[]);
        let listed = String::from_utf8(key.gpg(&["--with-colons", "--list-keys"], &[])).unwrap();
        let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap();
        let fingerprint = fingerprint.trim_end_matches(':').to_owned();
        let public = key.gpg(&["--export"], &[]);
        let secret = key.gpg(&[&protect[..], &["--export-secret-keys"]].concat(), &[]);
        let armoured = key.gpg(&[&protect[..], &["--armor", "--export-secret-keys"]].concat(), &[]);
        for (name, bytes) in [("public", public), ("secret", secret), ("secret.asc", armoured)] {
            write_private(&key.folder.path().join(name), &bytes);
        }
        write_private(&key.folder.path().join("passphrase"), format!("{passphrase}\n").as_bytes());
        assert!(
            Command::new("gpgconf")
                .env("GNUPGHOME", key.home())
                .args(["--kill", "gpg-agent"])
                .status()
                .unwrap()
                .success()
        );
        Key { fingerprint, ..key }
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn secret(&self) -> PathBuf {
        self.home().join("secret.asc")
    }

    pub(crate) fn secret_binary(&self) -> PathBuf {
        self.home().join("secret")
    }

    pub(crate) fn public(&self) -> PathBuf {
        self.home().join("public")
    }

    pub(crate) fn passphrase(&self) -> PathBuf {
        self.home().join("passphrase")
    }

    /// Runs gpg with this key's own folder.
    pub(crate) fn gpg(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("gpg")
            .env("GNUPGHOME", self.home())
            .args(["--batch", "--quiet", "--no-autostart", "--trust-model", "always"].iter().filter(|word| {
                // Only what needs a secret key may start the agent.
                **word != "--no-autostart" || arguments.contains(&"--encrypt")
            }))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "gpg {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        writer.join().unwrap().unwrap();
        output.stdout
    }

    /// A message as iceboxer makes them.
    pub(crate) fn seal(&self, plain: &[u8]) -> Vec<u8> {
        seal_to(&[self], plain)
    }

    /// As gpg makes it when it is told nothing more.
    pub(crate) fn encrypt(&self, more: &[&str], plain: &[u8]) -> Vec<u8> {
        let public = self.public();
        let recipient = ["--recipient-file", public.to_str().unwrap(), "--encrypt"];
        self.gpg(&[more, &recipient[..]].concat(), plain)
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
    keys[0].gpg(&arguments, plain)
}

fn write_private(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
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
