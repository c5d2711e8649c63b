//! R2: private keys that could open another machine, where they would lie: the homes of root and of the server's accounts, and the folder of settings.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use formats::records::audit::{Finding, Verdict};

use super::command::run;
use super::{shown, sshd};
use crate::settings::Settings;

/// Most names that are looked at in one folder.
const NAMES_MAX: usize = 1000;
/// The first line is enough.
const HEAD_BYTES: u64 = 64;

pub(super) fn look(finding: &mut Finding, settings: &Settings) {
    let mut own: BTreeSet<PathBuf> = BTreeSet::new();
    for config in [settings.audit.sshd_config.as_path(), Path::new("/etc/ssh/sshd_config")] {
        if let Ok(effective) = sshd::effective(config, "root", "192.0.2.1") {
            own.extend(effective.all("hostkey").map(PathBuf::from));
        }
    }
    let folders = folders(settings);
    let mut looked = 0;
    for folder in &folders {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.take(NAMES_MAX).flatten() {
            let path = entry.path();
            looked += 1;
            // The key by which sshd shows who it is opens nothing.
            if !own.contains(&path) && is_private_key(&path) {
                finding.add(Verdict::Fail, format!("{} is a private SSH key", shown(&path)));
            }
        }
    }
    let places: Vec<String> = folders.iter().map(|folder| shown(folder)).collect();
    finding.add(
        Verdict::Pass,
        format!("{looked} files were looked at for private keys in {}", places.join(", ")),
    );
}

fn folders(settings: &Settings) -> BTreeSet<PathBuf> {
    let accounts = ["root", &settings.owner, &settings.audit.ice_account];
    let mut folders: BTreeSet<PathBuf> =
        accounts.iter().filter_map(|name| home(name)).map(|home| home.join(".ssh")).collect();
    folders.insert(PathBuf::from("/etc/firn"));
    folders.extend(settings.file.parent().map(Path::to_owned));
    folders.insert(settings.keys.clone());
    folders
}

fn home(account: &str) -> Option<PathBuf> {
    let ran = run(Command::new("getent").args(["passwd", "--", account]), 10).ok()?;
    let text = String::from_utf8(ran.out).ok()?;
    text.trim_end().split(':').nth(5).map(PathBuf::from)
}

/// What ssh takes as one begins with `-----BEGIN ... PRIVATE KEY-----`.
fn is_private_key(path: &Path) -> bool {
    let Ok(meta) = fs::metadata(path) else { return false };
    if !meta.is_file() {
        return false;
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    read.is_ok() && line.starts_with(b"-----BEGIN ") && line.ends_with(b"PRIVATE KEY-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_are_told_from_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        for (text, is) in [
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl", true),
            ("-----BEGIN RSA PRIVATE KEY-----\r\nMII", true),
            ("-----BEGIN PRIVATE KEY-----\nMII", true),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlFgE", false),
            ("{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\n\"}", false),
            ("ssh-ed25519 AAAA\n", false),
            ("", false),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(is_private_key(&file), is, "{text}");
        }
        assert!(!is_private_key(folder.path()));
    }
}
