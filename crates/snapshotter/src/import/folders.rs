//! The folders that rsnapshot has made: `daily.0`, `weekly.3`, whatever its configuration calls them.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use durable::{Dir, FileKind, Name};

use crate::trouble::Trouble;

/// More than any rsnapshot keeps.
const NAMES_MAX: usize = 100_000;

/// One state of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    /// As rsnapshot calls it.
    pub(super) name: String,
    /// When it was made, to the second: rsnapshot touches the folder then, and moves it later without.
    pub(super) time: DateTime<Utc>,
    /// Where the host's files are in it.
    pub(super) files: PathBuf,
    number: u64,
}

/// What is there.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Oldest first.
    pub(super) folders: Vec<Folder>,
    /// What is no state of the host, and why.
    pub(super) passed_over: Vec<(Vec<u8>, String)>,
}

/// Looks at what is in `folder`, and changes nothing.
pub(super) fn find(folder: &Path, point: Option<&str>) -> Result<Found, Trouble> {
    let shown = cli::shown(folder.as_os_str().as_encoded_bytes());
    let at = || Trouble::folder(format!("looking at {shown}"));
    let folder = folder.canonicalize().map_err(Trouble::stream(format!("looking at {shown}")))?;
    let top = Dir::open_root(&folder).map_err(at())?;
    let mut found = Found::default();
    let mut points = Vec::new();
    for name in top.names_at_most(NAMES_MAX).map_err(at())? {
        let known = Name::new(&name).map_err(at())?;
        let stat = top.stat(known).map_err(at())?;
        let Some((text, number)) = numbered(&name).filter(|_| stat.kind == FileKind::Folder) else {
            found.passed_over.push((name, "it is no folder like daily.0".to_owned()));
            continue;
        };
        let time = DateTime::from_timestamp(stat.mtime_seconds, 0).unwrap_or_default();
        let inside = top.open_dir(known).map_err(at())?;
        let names = folders_in(&inside).map_err(at())?;
        points
            .push((Folder { files: folder.join(text).join(""), name: text.to_owned(), time, number }, names));
    }
    let point = match point {
        Some(point) => point.as_bytes().to_vec(),
        None => only_point(points.iter().flat_map(|(_, names)| names))?,
    };
    for (mut state, names) in points {
        if names.contains(&point) {
            state.files.push(std::ffi::OsStr::new(&*String::from_utf8_lossy(&point)));
            found.folders.push(state);
        } else {
            let why = format!("it has no folder {}", cli::shown(&point));
            found.passed_over.push((state.name.into_bytes(), why));
        }
    }
    if found.folders.is_empty() {
        let what = format!("{shown} holds no folder like daily.0/{}", cli::shown(&point));
        return Err(Trouble::Usage { what, advice: Some(ADVICE.to_owned()) });
    }
    // Of two with one time, the one with the higher number was there before.
    found.folders.sort_by(|a, b| (a.time, b.number).cmp(&(b.time, a.number)));
    Ok(found)
}

const ADVICE: &str =
    "name `snapshot_root` of rsnapshot.conf, and with --point the third word of the host's `backup` lines";

/// `daily.0`: a word, a dot, a number in its one spelling.
fn numbered(name: &[u8]) -> Option<(&str, u64)> {
    let text = std::str::from_utf8(name).ok()?;
    let (word, number) = text.rsplit_once('.')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let value: u64 = number.parse().ok()?;
    (!word.is_empty() && word.bytes().all(plain) && value.to_string() == number).then_some((text, value))
}

fn folders_in(dir: &Dir) -> durable::Result<Vec<Vec<u8>>> {
    let mut folders = Vec::new();
    for name in dir.names_at_most(NAMES_MAX)? {
        if dir.stat(Name::new(&name)?)?.kind == FileKind::Folder {
            folders.push(name);
        }
    }
    Ok(folders)
}

/// The one that there is; of several, a person has to say which.
fn only_point<'a>(names: impl Iterator<Item = &'a Vec<u8>>) -> Result<Vec<u8>, Trouble> {
    let mut all: Vec<&Vec<u8>> = names.collect();
    all.sort_unstable();
    all.dedup();
    match all.as_slice() {
        [] => Err(Trouble::Usage {
            what: "there is no folder like daily.0 with a host in it".to_owned(),
            advice: Some(ADVICE.to_owned()),
        }),
        [only] => Ok((*only).clone()),
        several => {
            let listed: Vec<String> = several.iter().map(|name| cli::shown(name)).collect();
            let what = format!("there are several hosts in it: {}", listed.join(", "));
            Err(Trouble::Usage { what, advice: Some("name the one with --point".to_owned()) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_rsnapshot_numbers_is_a_state() {
        assert_eq!(numbered(b"daily.0"), Some(("daily.0", 0)));
        assert_eq!(numbered(b"every_6h.12"), Some(("every_6h.12", 12)));
        for bad in [
            &b"daily"[..],
            b".sync",
            b"_delete.4711.x",
            b"daily.",
            b"daily.01",
            b"daily.+1",
            b".0",
            b"a/b.0",
            b"daily.x",
            b"\xff.0",
        ] {
            assert_eq!(numbered(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn they_are_ordered_by_their_times_and_then_by_their_numbers_down() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, seconds: u64| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.join("web01")).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            std::fs::File::open(&path).unwrap().set_modified(time).unwrap();
        };
        for (name, time) in [("daily.0", 300), ("daily.1", 200), ("weekly.0", 100), ("daily.2", 200)] {
            at(name, time);
        }
        std::fs::create_dir_all(folder.path().join(".sync/web01")).unwrap();
        std::fs::create_dir_all(folder.path().join("daily.3/db1")).unwrap();
        let found = find(folder.path(), Some("web01")).unwrap();
        let names: Vec<_> = found.folders.iter().map(|folder| folder.name.as_str()).collect();
        assert_eq!(names, ["weekly.0", "daily.2", "daily.1", "daily.0"]);
        assert_eq!(found.passed_over.len(), 2, "{:?}", found.passed_over);
        assert!(
            find(folder.path(), None).unwrap_err().to_string().contains("several hosts in it: db1, web01")
        );
        find(folder.path(), Some("other")).unwrap_err();
    }
}
