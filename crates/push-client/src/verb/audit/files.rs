//! Reading files for the audit. What lies in another account's folder is reached through no link, waited for never, and read up to a bound.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use durable::{Dir, Error, Name};

use super::local::shown;

/// Longest file that is looked at.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Longest table of the kernel: a line for each of half a million connections.
const TABLE_BYTES_MAX: u64 = 64 << 20;
/// Most names in one folder.
const NAMES_MAX: usize = 1000;

/// A file in the folder of another account; none if there is none, and why if it cannot be looked at. `relative` is components joined by `/`.
pub(super) fn theirs(folder: &Path, relative: &str) -> Result<Option<String>, String> {
    let file = folder.join(relative);
    // The folder itself was named by root, who may do that by a link: `/bin` is the home of an account.
    let Some(folder) = real(folder)? else { return Ok(None) };
    let opened = Dir::open_root(&folder).and_then(|dir| dir.open_read_beneath(relative.as_bytes()));
    match opened {
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) if error.is_escape() => Err(format!("{} is a link, which is not followed", shown(&file))),
        Err(error) => Err(format!("{}: {}", shown(&file), cli::chain(&error))),
        Ok(opened) => bounded(opened, &file, FILE_BYTES_MAX).map(Some),
    }
}

/// A file where only root decides what lies there, links and all.
pub(super) fn roots(file: &Path) -> Result<Option<String>, String> {
    let Some(file) = real(file)? else { return Ok(None) };
    match (file.parent(), file.file_name().and_then(|name| name.to_str())) {
        (Some(folder), Some(name)) => theirs(folder, name),
        _ => Err(format!("{} is no file", shown(&file))),
    }
}

/// A table of the kernel.
pub(super) fn table(file: &Path) -> Result<Option<String>, String> {
    match fs::File::open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", shown(file))),
        Ok(opened) => bounded(opened, file, TABLE_BYTES_MAX).map(Some),
    }
}

/// The files of such a folder; none if there is none.
pub(super) fn names(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let Some(folder) = real(folder)? else { return Ok(Vec::new()) };
    let told = |error: Error| format!("{}: {}", shown(&folder), cli::chain(&error));
    let names = Dir::open_root(&folder).and_then(|dir| dir.names_at_most(NAMES_MAX)).map_err(told)?;
    let paths = names.iter().filter(|name| Name::new(name).is_ok());
    let paths = paths.filter_map(|name| Some(folder.join(std::str::from_utf8(name).ok()?)));
    Ok(paths.filter(|path| !path.is_dir()).collect())
}

fn real(path: &Path) -> Result<Option<PathBuf>, String> {
    match fs::canonicalize(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        found => found.map(Some).map_err(|error| format!("{}: {error}", shown(path))),
    }
}

fn is_absent(error: &Error) -> bool {
    // No folder where one would have to be.
    error.is_not_found() || error.raw_os_error() == Some(rustix::io::Errno::NOTDIR.raw_os_error())
}

fn bounded(file: fs::File, path: &Path, most: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = file.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("{}: {error}", shown(path)))?;
    if bytes.len() as u64 > most {
        return Err(format!("{} is longer than {most} bytes", shown(path)));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    #[test]
    fn a_fifo_a_link_and_a_file_without_end_hold_nobody_up() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        assert_eq!(theirs(home.path(), ".ssh/authorized_keys"), Ok(None));
        fs::create_dir(at(".ssh")).unwrap();
        mknodat(CWD, at(".ssh/fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink(at("file"), at(".ssh/link")).unwrap();
        std::os::unix::fs::symlink("/", at("root")).unwrap();
        fs::write(at("long"), vec![b'x'; (1 << 20) + 1]).unwrap();
        for (name, why) in [
            (".ssh/fifo", "not a regular file"),
            (".ssh/link", "is a link, which is not followed"),
            ("root/etc/passwd", "is a link, which is not followed"),
            (".ssh", "not a regular file"),
            ("long", "is longer than 1048576 bytes"),
            ("../file", "not one component"),
        ] {
            let answer = theirs(home.path(), name).unwrap_err();
            assert!(answer.contains(why), "{name}: {answer}");
        }
        assert_eq!(theirs(home.path(), "file/authorized_keys"), Ok(None));
        assert_eq!(theirs(&at("file"), "x"), Ok(None));
        assert_eq!(theirs(home.path(), "file"), Ok(Some("text".to_owned())));
        // What root made may be a link.
        assert_eq!(roots(&at(".ssh/link")), Ok(Some("text".to_owned())));
        assert_eq!(roots(&at("none")), Ok(None));
        assert!(roots(&at(".ssh/fifo")).is_err());
        let mut found = names(&at(".ssh")).unwrap();
        found.sort();
        assert_eq!(found.len(), 2);
    }
}
