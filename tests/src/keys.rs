//! Throwaway keys: SSH pairs and one OpenPGP key, each made by the tool a person would use.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{At, Result, RigError};
use crate::outcome::Outcome;

/// An SSH key pair: the secret half at `path`, the public half beside it.
#[derive(Debug, Clone)]
pub struct SshKey {
    /// The secret half, OpenSSH format, mode 0600.
    pub path: PathBuf,
}

impl SshKey {
    /// Makes an ed25519 pair.
    ///
    /// # Errors
    /// If `ssh-keygen` fails.
    pub fn make(path: &Path) -> Result<SshKey> {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(path);
        Outcome::of(&mut command)?.expect_code(&[0])?;
        Ok(SshKey { path: path.to_owned() })
    }

    /// The file of the public half.
    #[must_use]
    pub fn public_path(&self) -> PathBuf {
        self.path.with_extension("pub")
    }

    /// The public half as known_hosts has it: type and key.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn public(&self) -> Result<String> {
        let text = fs::read_to_string(self.public_path()).at("read", self.public_path())?;
        Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
    }
}

/// A throwaway OpenPGP key in a GnuPG home of its own.
#[derive(Debug)]
pub struct OpenPgpKey {
    home: PathBuf,
    /// The file with the passphrase.
    pub passphrase_file: PathBuf,
    /// 40 upper-case hexadecimal digits.
    pub fingerprint: String,
    /// The public half, armored: what the server holds.
    pub certificate: PathBuf,
    /// The secret half, armored and under the passphrase: what stays off the server.
    pub secret: PathBuf,
}

impl OpenPgpKey {
    /// Makes a key for signing and encryption in `folder`, with its GnuPG home in `home`, whose path must be short: a socket lies in it.
    ///
    /// # Errors
    /// If GnuPG fails.
    pub fn make(folder: &Path, home: &Path) -> Result<OpenPgpKey> {
        fs::create_dir_all(home).at("create", home)?;
        fs::set_permissions(home, fs::Permissions::from_mode(0o700)).at("change the mode of", home)?;
        let mut key = OpenPgpKey {
            home: home.to_owned(),
            passphrase_file: folder.join("passphrase"),
            fingerprint: String::new(),
            certificate: folder.join("ice.asc"),
            secret: folder.join("secret.asc"),
        };
        write_secret(&key.passphrase_file, "a throwaway passphrase\n")?;
        let user = "Firn scratch <scratch@example.org>";
        let generate = ["--quick-generate-key", user, "future-default", "default", "1y"];
        // Once in some hundred times GnuPG cannot read the key that it has just written: "Corrupted protection".
        run(key.gpg().args(generate)).or_else(|_| run(key.gpg().args(generate)))?;
        let listed = run(key.gpg().args(["--with-colons", "--list-secret-keys"]))?;
        let fingerprint = listed.stdout.lines().find_map(|line| line.strip_prefix("fpr:"));
        let fingerprint = fingerprint.map(|rest| rest.trim_matches(':').to_owned());
        key.fingerprint =
            fingerprint.ok_or_else(|| RigError::State("gpg lists no key it has just made".to_owned()))?;
        let public = run(key.gpg().args(["--armor", "--export", &key.fingerprint]))?;
        fs::write(&key.certificate, public.stdout).at("write", &key.certificate)?;
        let secret = run(key.gpg().args(["--armor", "--export-secret-keys", &key.fingerprint]))?;
        write_secret(&key.secret, &secret.stdout)?;
        Ok(key)
    }

    /// `gpg`, ready to use this key without asking anybody.
    #[must_use]
    pub fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(&self.home).args(["--batch", "--quiet", "--yes"]);
        command.args(["--pinentry-mode", "loopback", "--passphrase-file"]).arg(&self.passphrase_file);
        command
    }

    /// Ends the agent that gpg started for this key's home.
    pub fn end_agent(&self) {
        end_agent(&self.home);
    }
}

/// Ends the agent that gpg started for a home.
pub(crate) fn end_agent(home: &Path) {
    if home.is_dir() {
        let _ = Outcome::of(Command::new("gpgconf").arg("--homedir").arg(home).args(["--kill", "gpg-agent"]));
    }
}

impl Drop for OpenPgpKey {
    fn drop(&mut self) {
        self.end_agent();
    }
}

fn run(command: &mut Command) -> Result<Outcome> {
    Outcome::of(command)?.expect_code(&[0])
}

fn write_secret(path: &Path, text: &str) -> Result<()> {
    fs::write(path, "").at("create", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).at("change the mode of", path)?;
    fs::write(path, text).at("write", path)
}
