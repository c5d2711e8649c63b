//! R2: private keys that could open another machine, where they would lie: the homes of root and of the server's accounts, and the folder of settings.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use durable::{Dir, FileKind, Name};
use formats::records::audit::{Finding, Verdict};

use super::{calls, shown, sshd};
use crate::account::account;
use crate::settings::Settings;

/// Most names that are looked at in one folder: that of the key files has one for each host.
const NAMES_MAX: usize = 200_000;
/// The first line is enough.
const HEAD_BYTES: u64 = 64;

/// The keys by which an sshd of this machine shows who it is: they open nothing.
#[derive(Default)]
struct Own {
    keys: BTreeSet<PathBuf>,
    /// Folders of the sshds that did not tell theirs.
    untold: BTreeSet<PathBuf>,
}

pub(super) fn look(finding: &mut Finding, settings: &Settings) {
    let mut own = Own::default();
    for config in [settings.audit.sshd_config.as_path(), Path::new("/etc/ssh/sshd_config")] {
        // Without sshd's word its own keys are taken for others, which is said.
        match sshd::effective(config, "root", sshd::NOBODYS_ADDRESS) {
            Ok(doors) => {
                let keys = doors.iter().flat_map(|door| door.effective.all("hostkey"));
                own.keys.extend(keys.filter_map(|file| fs::canonicalize(file).ok()));
            }
            Err(why) if config.exists() => {
                finding.add(Verdict::Unknown, why);
                own.untold.extend(config.parent().and_then(|folder| fs::canonicalize(folder).ok()));
            }
            Err(_) => {}
        }
    }
    // What it opens is tried by itself.
    own.keys.extend(fs::canonicalize(calls::key()).ok());
    let folders = folders(finding, settings);
    let looked = folders.iter().map(|folder| one(finding, folder, &own)).sum::<usize>();
    let places: Vec<String> = folders.iter().map(|folder| shown(folder)).collect();
    finding.add(
        Verdict::Pass,
        format!("{looked} files were looked at for private keys in {}", places.join(", ")),
    );
}

/// How many files were looked at in one folder. It may be in the hands of an account that means harm: no link of its is followed, and nothing in it is waited for.
fn one(finding: &mut Finding, folder: &Path, own: &Own) -> usize {
    let (dir, names) =
        match Dir::open_root(folder).and_then(|dir| dir.names_at_most(NAMES_MAX).map(|names| (dir, names))) {
            Err(error) if error.is_not_found() => return 0,
            Err(error) => {
                finding.add(Verdict::Unknown, format!("{}: {}", shown(folder), cli::chain(&error)));
                return 0;
            }
            Ok(opened) => opened,
        };
    let mut looked = 0;
    for name in &names {
        let path = folder.join(OsStr::from_bytes(name));
        match Name::new(name).and_then(|name| head(&dir, name)) {
            Err(error) if error.is_not_found() => {}
            Err(error) => {
                finding.add(Verdict::Unknown, format!("{}: {}", shown(&path), cli::chain(&error)));
            }
            Ok(None) => {}
            Ok(Some(head)) => {
                looked += 1;
                if !is_private_key(&head) || own.keys.contains(&path) {
                    continue;
                }
                match own.untold.contains(folder) {
                    true => finding.add(
                        Verdict::Unknown,
                        format!("{} is a private SSH key, and may be sshd's own", shown(&path)),
                    ),
                    false => finding.add(Verdict::Fail, format!("{} is a private SSH key", shown(&path))),
                }
            }
        }
    }
    looked
}

/// How a file begins; none of what is no file. A link is an error: where it leads is not looked at.
fn head(dir: &Dir, name: Name<'_>) -> durable::Result<Option<Vec<u8>>> {
    if !matches!(dir.stat(name)?.kind, FileKind::File | FileKind::Symlink) {
        return Ok(None);
    }
    let mut head = Vec::new();
    // What cannot be read by root is no key for ssh either.
    let _ = dir.open_read(name)?.take(HEAD_BYTES).read_to_end(&mut head);
    Ok(Some(head))
}

fn folders(finding: &mut Finding, settings: &Settings) -> BTreeSet<PathBuf> {
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for name in ["root", &settings.owner, &settings.audit.ice_account] {
        match account(name) {
            Ok(found) => folders.extend(found.map(|account| Path::new(&account.home).join(".ssh"))),
            Err(error) => finding.add(Verdict::Unknown, error.to_string()),
        }
    }
    // These are named by root, who may do that by a link.
    let calls = calls::folder();
    let named = [Some(Path::new("/etc/firn")), Some(&calls), settings.file.parent(), Some(&settings.keys)];
    folders.extend(named.into_iter().flatten().filter_map(|folder| fs::canonicalize(folder).ok()));
    folders
}

/// What ssh takes as one begins with `-----BEGIN ... PRIVATE KEY-----`.
fn is_private_key(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    line.starts_with(b"-----BEGIN ") && line.ends_with(b"PRIVATE KEY-----")
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::records::audit::Requirement;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl";

    #[test]
    fn private_keys_are_told_from_other_files() {
        for (text, is) in [
            (KEY, true),
            ("-----BEGIN RSA PRIVATE KEY-----\r\nMII", true),
            ("-----BEGIN PRIVATE KEY-----\nMII", true),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlFgE", false),
            ("{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\n\"}", false),
            ("ssh-ed25519 AAAA\n", false),
            ("", false),
        ] {
            assert_eq!(is_private_key(text.as_bytes()), is, "{text}");
        }
    }

    #[test]
    fn a_folder_full_of_traps_holds_nobody_up_and_a_key_beside_them_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let look = || {
            let mut finding = Finding::new(Requirement::R2);
            let own = Own { keys: BTreeSet::from([at("own")]), ..Own::default() };
            let looked = one(&mut finding, folder.path(), &own);
            (looked, finding)
        };
        fs::create_dir(at("folder")).unwrap();
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        fs::write(at("own"), KEY).unwrap();
        fs::write(at("notes"), "x").unwrap();
        let (looked, finding) = look();
        assert_eq!((looked, finding.evidence.len()), (2, 0), "{finding:?}");
        std::os::unix::fs::symlink("/dev/zero", at("id_rsa")).unwrap();
        let (_, finding) = look();
        assert_eq!(finding.verdict, Verdict::Unknown);
        assert!(finding.line().contains("id_rsa"), "{}", finding.line());
        fs::write(at("id_ed25519"), KEY).unwrap();
        let (looked, finding) = look();
        assert_eq!((looked, finding.verdict), (3, Verdict::Fail));
        // Where an sshd did not tell which keys are its own, it may be one of them.
        let untold = Own { untold: BTreeSet::from([folder.path().to_owned()]), ..Own::default() };
        let mut finding = Finding::new(Requirement::R2);
        one(&mut finding, folder.path(), &untold);
        assert_eq!(finding.verdict, Verdict::Unknown);
        // A folder that is a link itself.
        std::os::unix::fs::symlink(folder.path(), at("folder/ssh")).unwrap();
        let mut finding = Finding::new(Requirement::R2);
        assert_eq!(one(&mut finding, &at("folder/ssh"), &Own::default()), 0);
        assert_eq!(finding.evidence.len(), 1);
    }
}
