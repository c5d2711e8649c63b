//! What one person asks for on behalf of a host and another approves: `<records>/<host>.json`, one a host, root's alone. What is in it, its kind
//! says: docs/formats/grant.md and docs/formats/redaction.md.

use std::io::Read;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use durable::{Dir, Lock, Name};
use formats::HostId;
use formats::records::Record;

use crate::host::step::Step;
use crate::host::steps::missing_parents;
use crate::settings::Settings;
use crate::trouble::Trouble;

const SUFFIX: &str = ".json";
const LOCK: &str = ".lock";
/// More hosts than a server has.
const NAMES_MAX: usize = 100_000;
const MODE: u32 = 0o700;

/// A kind of them.
pub(crate) trait Request: Record {
    /// What the folder is called in messages.
    const FOLDER: &'static str;

    /// Where they are kept.
    fn folder(settings: &Settings) -> &Path;

    /// Whose it is.
    fn host(&self) -> &HostId;
}

/// The folder of one kind, held open.
#[derive(Debug)]
pub(crate) struct Requests<R> {
    dir: Dir,
    path: PathBuf,
    kind: PhantomData<R>,
}

impl<R: Request> Requests<R> {
    /// Opens it; none if nothing was ever asked for.
    pub(crate) fn open(settings: &Settings) -> Result<Option<Self>, Trouble> {
        let path = R::folder(settings);
        match Dir::open_root(path) {
            Err(error) if error.is_not_found() => Ok(None),
            dir => Ok(Some(Self::held(dir, path)?)),
        }
    }

    /// Opens it, and makes it first.
    pub(crate) fn make(settings: &Settings) -> Result<Self, Trouble> {
        let path = R::folder(settings);
        let root = || Some(("root".to_owned(), "root".to_owned()));
        for missing in missing_parents(path) {
            let mode = if missing == path { MODE } else { 0o755 };
            Step::Folder { path: missing, owner: root(), mode }.run()?;
        }
        // What is in it is believed, so nobody else may write there.
        Step::Folder { path: path.to_owned(), owner: root(), mode: MODE }.run()?;
        Self::held(Dir::open_root(path), path)
    }

    fn held(dir: durable::Result<Dir>, path: &Path) -> Result<Self, Trouble> {
        Ok(Self { dir: dir.map_err(at::<R>(path))?, path: path.to_owned(), kind: PhantomData })
    }

    /// One at a time works on what is asked for a host.
    pub(crate) fn alone(&self, host: &HostId) -> Result<Lock, Trouble> {
        let name = format!("{host}{LOCK}");
        let lock = Name::new(name.as_bytes()).and_then(|name| self.dir.try_lock(name));
        lock.map_err(at::<R>(&self.path))?.ok_or_else(|| Trouble::Busy { host: host.clone() })
    }

    /// The hosts of which something is written here.
    pub(crate) fn hosts(&self) -> Result<Vec<HostId>, Trouble> {
        let names = self.dir.names_at_most(NAMES_MAX).map_err(at::<R>(&self.path))?;
        let host = |name: &Vec<u8>| HostId::parse(std::str::from_utf8(name).ok()?.strip_suffix(SUFFIX)?).ok();
        Ok(names.iter().filter_map(host).collect())
    }

    /// What is written of a host.
    pub(crate) fn read(&self, host: &HostId) -> Result<Option<R>, Trouble> {
        let name = format!("{host}{SUFFIX}");
        let file = match Name::new(name.as_bytes()).and_then(|name| self.dir.open_read(name)) {
            Err(error) if error.is_not_found() => return Ok(None),
            file => file.map_err(at::<R>(&self.path))?,
        };
        let mut bytes = Vec::new();
        let read = file.take(R::LONGEST_BYTES as u64 + 1).read_to_end(&mut bytes);
        read.map_err(Trouble::stream(format!("reading {name}")))?;
        let why = match R::from_line(&bytes) {
            Ok(record) if record.host() == host => return Ok(Some(record)),
            Ok(_) => "it is another host's".to_owned(),
            Err(error) => cli::chain(&error),
        };
        Err(Trouble::Machine { what: format!("{} cannot be used: {why}", shown(&self.path.join(&name))) })
    }

    /// Writes it, in the place of what was there.
    pub(crate) fn write(&self, record: &R) -> Result<(), Trouble> {
        let name = format!("{}{SUFFIX}", record.host());
        let bytes =
            record.to_line().map_err(|error| Trouble::Usage { what: cli::chain(&error), advice: None })?;
        let written = Name::new(name.as_bytes()).and_then(|name| self.dir.write_whole(name, &bytes, 0o600));
        written.map_err(at::<R>(&self.path))
    }

    /// Removes what is written of a host, if anything is.
    pub(crate) fn remove(&self, host: &HostId) -> Result<(), Trouble> {
        let name = format!("{host}{SUFFIX}");
        match Name::new(name.as_bytes()).and_then(|name| self.dir.unlink(name)) {
            Err(error) if error.is_not_found() => Ok(()),
            removed => removed.and_then(|()| self.dir.sync()).map_err(at::<R>(&self.path)),
        }
    }
}

fn at<R: Request>(path: &Path) -> impl FnOnce(durable::Error) -> Trouble + use<R> {
    Trouble::folder(format!("{} {}", R::FOLDER, shown(path)))
}

fn shown(path: &Path) -> String {
    cli::shown(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use formats::records::grant::{GrantRecord, Person};
    use formats::{Root, limits::LINE_BYTES};

    use super::*;

    fn host(name: &str) -> HostId {
        HostId::parse(name).unwrap()
    }

    fn grant(name: &str) -> GrantRecord {
        GrantRecord {
            format: GrantRecord::format(),
            host: host(name),
            snapshot: "20260102T030405Z-0000000042".to_owned(),
            root: Root::from_bytes([1; 32]),
            path: "srv/www".to_owned(),
            hours: 24,
            reason: "asked for".to_owned(),
            requested: "2026-01-02T03:04:05Z".to_owned(),
            requested_by: Person { user: 1000, name: "ada".to_owned() },
            opened: None,
        }
    }

    fn requests(folder: &Path) -> Requests<GrantRecord> {
        Requests::held(Dir::open_root(folder), folder).unwrap()
    }

    #[test]
    fn a_request_is_one_line_of_the_host_it_is_for_and_roots_alone() {
        let folder = tempfile::tempdir().unwrap();
        let requests = requests(folder.path());
        assert_eq!(requests.read(&host("web01")).unwrap(), None);
        for name in ["web02", "web01"] {
            requests.write(&grant(name)).unwrap();
        }
        let file = folder.path().join("web01.json");
        assert_eq!(fs::read(&file).unwrap(), grant("web01").to_line().unwrap());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(requests.read(&host("web01")).unwrap(), Some(grant("web01")));
        // What else lies there is of no host.
        fs::write(folder.path().join("notes"), "a person's").unwrap();
        assert_eq!(requests.hosts().unwrap(), [host("web01"), host("web02")]);
        for _ in 0..2 {
            requests.remove(&host("web01")).unwrap();
            assert_eq!(requests.hosts().unwrap(), [host("web02")]);
        }
    }

    #[test]
    fn what_is_another_hosts_or_longer_than_a_line_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let requests = requests(folder.path());
        let file = folder.path().join("web01.json");
        fs::write(&file, grant("web02").to_line().unwrap()).unwrap();
        let refused = || cli::chain(&requests.read(&host("web01")).unwrap_err());
        assert!(refused().ends_with("web01.json cannot be used: it is another host's"), "{}", refused());
        fs::write(&file, [grant("web01").to_line().unwrap(), vec![b' '; LINE_BYTES]].concat()).unwrap();
        assert!(refused().contains("web01.json cannot be used"), "{}", refused());
    }

    #[test]
    fn one_at_a_time_works_on_a_host() {
        let folder = tempfile::tempdir().unwrap();
        let requests = requests(folder.path());
        let first = requests.alone(&host("web01")).unwrap();
        assert!(matches!(requests.alone(&host("web01")), Err(Trouble::Busy { .. })));
        assert!(requests.alone(&host("web02")).is_ok());
        drop(first);
        assert!(requests.alone(&host("web01")).is_ok());
    }
}
