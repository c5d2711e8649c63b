//! The folder of a scratch server, its life and what becomes of it when its maker was killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::accounts::Accounts;
use crate::error::{At, Result, RigError};
use crate::keys::end_agent;
use crate::machine::Power;
use crate::outcome::Outcome;
use crate::process;

/// What the name of every scratch folder begins with.
const PREFIX: &str = "firn-scratch-";
/// Names who made the folder: number and start of a process.
const MAKER: &str = "maker";
/// The record of [`Accounts`].
pub(crate) const ACCOUNTS: &str = "accounts";

/// Makes a folder that no other scratch server has, and returns it with its tag: three letters and digits.
pub(crate) fn claim(parent: &Path) -> Result<(PathBuf, String)> {
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    seed ^= u64::from(std::process::id()) << 32;
    for _ in 0..1000 {
        seed = crate::data::step(seed);
        let tag = tag_of(seed);
        let folder = parent.join(format!("{PREFIX}{tag}"));
        match fs::create_dir(&folder) {
            Ok(()) => {
                let maker = format!(
                    "{} {}",
                    std::process::id(),
                    process::started(std::process::id()).unwrap_or_default()
                );
                fs::write(folder.join(MAKER), maker).at("write", folder.join(MAKER))?;
                return Ok((folder, tag));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).at("create", folder),
        }
    }
    Err(RigError::State(format!("there is no free name for a scratch folder in {}", parent.display())))
}

/// Removes what killed makers left in `parent`. Folders kept on purpose have no maker on record and stay.
pub fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let folder = entry.path();
        let Ok(maker) = fs::read_to_string(folder.join(MAKER)) else { continue };
        let mut words = maker.split(' ').map_while(|word| word.parse::<u64>().ok());
        let (Some(pid), Some(start)) = (words.next(), words.next()) else { continue };
        if u32::try_from(pid).ok().and_then(process::started) == Some(start) {
            continue;
        }
        end_server(&folder);
        end_agent(&gnupg_home(&folder));
        Accounts::new(folder.join(ACCOUNTS)).remove_all();
        remove_folder(&folder);
    }
}

/// Takes the maker off record: the folder is somebody's now, and no sweep removes it.
pub(crate) fn keep_folder(folder: &Path) {
    let _ = fs::remove_file(folder.join(MAKER));
}

/// The GnuPG home of a scratch server. A socket lies in it, whose path may have 107 bytes: an ordinary user's folder may be too deep.
pub(crate) fn gnupg_home(folder: &Path) -> PathBuf {
    match Power::here() {
        Power::Root => folder.join("gnupg"),
        Power::User => std::env::temp_dir().join(folder.file_name().unwrap_or_default()),
    }
}

/// Removes the folder and all in it, and its GnuPG home.
pub(crate) fn remove_folder(folder: &Path) {
    let _ = fs::remove_dir_all(gnupg_home(folder));
    if fs::remove_dir_all(folder).is_err() {
        // As an ordinary user: copies of folders that nobody may write.
        let _ = Outcome::of(Command::new("chmod").args(["-R", "u+rwX"]).arg(folder));
        let _ = fs::remove_dir_all(folder);
    }
}

/// Ends the sshd a killed maker left, if that process still is this very sshd.
fn end_server(folder: &Path) {
    let folder = folder.join("sshd");
    let pid = fs::read_to_string(folder.join("pid")).ok().and_then(|text| text.parse::<u32>().ok());
    let Some(pid) = pid else { return };
    let command = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
    let config = folder.join("sshd_config");
    if command.split(|byte| *byte == 0).any(|word| word == config.as_os_str().as_encoded_bytes()) {
        process::end(&process::family(pid));
    }
}

fn tag_of(seed: u64) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letter =
        |shift: u32| LETTERS.get((seed >> shift) as usize % LETTERS.len()).copied().map_or('x', char::from);
    [8, 24, 40].map(letter).iter().collect()
}
