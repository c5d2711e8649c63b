//! What this machine knows of the archives of a vault: a file of JSON lines that only grows. Layout in docs/formats/ice.md.
//!
//! Several processes may use it: each appends under a lock of the file, after it has read what the others appended. A last line without its end was
//! never acknowledged, and is cut off by the next that appends.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use formats::ContentHash;
use serde::{Deserialize, Serialize};

use super::tree::TreeHash;
use crate::stamp::{parse_utc, utc_text};
use crate::{ObjectFolder, ObjectName, ObjectRef, Result, VaultError, VersionId};

const FORMAT: &str = "firn.glacier-index/1.0";
const FILE: &str = "index";
/// Longest line.
const LINE_BYTES_MAX: u64 = 8 * 1024;

/// One archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Archive {
    pub(super) name: ObjectName,
    pub(super) id: VersionId,
    pub(super) bytes: u64,
    pub(super) hash: ContentHash,
    pub(super) tree: TreeHash,
    /// Not later than the provider has it.
    pub(super) stored: DateTime<Utc>,
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Line {
    Head {
        format: String,
        vault: String,
    },
    Archive {
        object: String,
        archive: String,
        bytes: u64,
        hash: String,
        tree: String,
        stored: String,
        from: From,
    },
    /// All that was in the inventory of that date stands before this line.
    Inventory {
        inventory: String,
        job: String,
    },
}

/// How an archive came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum From {
    /// It was put from here.
    Put,
    /// It was in an inventory.
    Inventory,
}

/// What the file says, as far as it was read.
#[derive(Debug, Default)]
struct Known {
    read_bytes: u64,
    archives: BTreeMap<ObjectName, Vec<Archive>>,
    ids: HashSet<VersionId>,
    jobs: HashSet<String>,
    inventory: Option<DateTime<Utc>>,
    has_puts: bool,
}

/// The index of one vault.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    vault: String,
    known: Mutex<Known>,
}

impl Index {
    /// The index in `folder`, which is made if it is not there.
    pub(super) fn open(folder: &Path, vault: &str) -> Result<Index> {
        let path = folder.join(FILE);
        if let Err(source) = fs::create_dir(folder)
            && source.kind() != io::ErrorKind::AlreadyExists
        {
            let step = format!("make the folder of the index {}", folder.display());
            return Err(VaultError::Unreachable { step, source });
        }
        let index = Index { path, vault: vault.to_owned(), known: Mutex::default() };
        drop(index.known()?);
        Ok(index)
    }

    /// The state, after what was appended meanwhile is read.
    fn known(&self) -> Result<MutexGuard<'_, Known>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match File::open(&self.path) {
            Ok(file) => self.read(file, &mut known)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound && known.read_bytes == 0 => {}
            Err(error) => return Err(self.failed("read")(error)),
        }
        Ok(known)
    }

    fn read(&self, mut file: File, known: &mut Known) -> Result<()> {
        file.seek(SeekFrom::Start(known.read_bytes)).map_err(self.failed("read"))?;
        let mut lines = BufReader::new(file);
        loop {
            let mut line = Vec::new();
            let read = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            let read = read.map_err(self.failed("read"))?;
            if line.last() != Some(&b'\n') {
                let is_too_long = read as u64 == LINE_BYTES_MAX;
                return if is_too_long { Err(self.wrong("a line is too long")) } else { Ok(()) };
            }
            let is_first = known.read_bytes == 0;
            self.take(&line, is_first, known)?;
            known.read_bytes += read as u64;
        }
    }

    fn take(&self, line: &[u8], is_first: bool, known: &mut Known) -> Result<()> {
        let line = serde_json::from_slice(line).map_err(|_| self.wrong("a line is none of an index"))?;
        match line {
            Line::Head { format, vault } if is_first && format == FORMAT && vault == self.vault => Ok(()),
            Line::Archive { object, archive, bytes, hash, tree, stored, from } if !is_first => {
                let read = || {
                    let (name, id) = (object.parse().ok()?, archive.parse().ok()?);
                    let (hash, tree) = (hash.parse().ok()?, TreeHash::read(&tree)?);
                    Some(Archive { name, id, bytes, hash, tree, stored: parse_utc(&stored)? })
                };
                let archive = read().ok_or_else(|| self.wrong("a line names no archive"))?;
                known.has_puts |= from == From::Put;
                known.add(archive);
                Ok(())
            }
            Line::Inventory { inventory, job } if !is_first => {
                let date = parse_utc(&inventory).ok_or_else(|| self.wrong("a line has no date"))?;
                known.inventory = known.inventory.max(Some(date));
                known.jobs.insert(job);
                Ok(())
            }
            _ => Err(self.wrong("it is of another vault or another format")),
        }
    }

    fn append(&self, lines: &[Line]) -> Result<()> {
        let failed = |error: io::Error| self.failed("write")(error);
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let mut file =
            File::options().append(true).create(true).read(true).open(&self.path).map_err(failed)?;
        file.lock().map_err(failed)?;
        let whole = self.known()?.read_bytes;
        if file.metadata().map_err(failed)?.len() > whole {
            file.set_len(whole).map_err(failed)?;
        }
        let head = Line::Head { format: FORMAT.to_owned(), vault: self.vault.clone() };
        let mut text = Vec::new();
        for line in (whole == 0).then_some(&head).into_iter().chain(lines) {
            serde_json::to_writer(&mut text, line).map_err(|error| failed(error.into()))?;
            text.push(b'\n');
        }
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        self.known().map(drop)
    }

    fn failed(&self, what: &str) -> impl FnOnce(io::Error) -> VaultError + use<> {
        let step = format!("{what} the index {}", self.path.display());
        move |source| VaultError::Unreachable { step, source }
    }

    fn wrong(&self, what: &'static str) -> VaultError {
        self.failed("read")(io::Error::new(io::ErrorKind::InvalidData, what))
    }

    /// Notes an archive that was put. On the disk when this returns.
    pub(super) fn add(&self, archive: &Archive) -> Result<()> {
        self.append(&[line(archive, From::Put)])
    }

    /// Notes an inventory, whole.
    pub(super) fn add_inventory(&self, archives: &[Archive], date: DateTime<Utc>, job: &str) -> Result<()> {
        let known = self.known()?;
        let new = archives.iter().filter(|archive| !known.ids.contains(&archive.id));
        let mut lines: Vec<Line> = new.map(|archive| line(archive, From::Inventory)).collect();
        drop(known);
        lines.push(Line::Inventory { inventory: utc_text(&date), job: job.to_owned() });
        self.append(&lines)
    }

    /// Whether anything is known that is worth an answer.
    pub(super) fn is_begun(&self) -> Result<bool> {
        let known = self.known()?;
        Ok(known.has_puts || known.inventory.is_some())
    }

    /// The date of the newest inventory that was read.
    pub(super) fn inventory(&self) -> Result<Option<DateTime<Utc>>> {
        Ok(self.known()?.inventory)
    }

    pub(super) fn has_read(&self, job: &str) -> Result<bool> {
        Ok(self.known()?.jobs.contains(job))
    }

    /// The archive that is meant: the one named, or the first of its name.
    pub(super) fn archive(&self, object: &ObjectRef) -> Result<Archive> {
        let known = self.known()?;
        let mut all = known.archives.get(&object.name).into_iter().flatten();
        let found = all.find(|archive| object.version.as_ref().is_none_or(|id| archive.id == *id));
        found.cloned().ok_or_else(|| VaultError::Missing { object: object.name.clone() })
    }

    pub(super) fn has(&self, name: &ObjectName) -> Result<bool> {
        Ok(self.known()?.archives.contains_key(name))
    }

    pub(super) fn names(&self, folder: &ObjectFolder) -> Result<Vec<ObjectName>> {
        Ok(self.known()?.archives.keys().filter(|name| name.is_in(folder)).cloned().collect())
    }

    /// Archives in the folder that this name is in, no longer than `bytes_max`.
    pub(super) fn beside(&self, name: &ObjectName, bytes_max: u64) -> Result<Vec<Archive>> {
        let known = self.known()?;
        let all = known.archives.iter().filter(|(other, _)| other.split().0 == name.split().0);
        Ok(all.filter_map(|(_, all)| all.first()).filter(|one| one.bytes <= bytes_max).cloned().collect())
    }
}

impl Known {
    fn add(&mut self, archive: Archive) {
        if !self.ids.insert(archive.id.clone()) {
            return;
        }
        let of_name = self.archives.entry(archive.name.clone()).or_default();
        let place = of_name.partition_point(|other| other.stored <= archive.stored);
        of_name.insert(place, archive);
    }
}

fn line(archive: &Archive, from: From) -> Line {
    Line::Archive {
        object: archive.name.to_string(),
        archive: archive.id.to_string(),
        bytes: archive.bytes,
        hash: archive.hash.to_string(),
        tree: archive.tree.to_string(),
        stored: utc_text(&archive.stored),
        from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(name: &str, id: &str, stored: &str) -> Archive {
        Archive {
            name: name.parse().unwrap(),
            id: id.parse().unwrap(),
            bytes: 3,
            hash: ContentHash::of(b"abc"),
            tree: TreeHash::of(b"abc"),
            stored: parse_utc(stored).unwrap(),
        }
    }

    const GOLDEN: &str = r#"{"format":"firn.glacier-index/1.0","vault":"ice"}
{"object":"ice/a","archive":"id-1","bytes":3,"hash":"6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85","tree":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","stored":"2026-01-02T03:04:05Z","from":"put"}
{"object":"ice/a","archive":"id-0","bytes":3,"hash":"6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85","tree":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","stored":"2026-01-01T03:04:05Z","from":"inventory"}
{"inventory":"2026-01-03T00:00:00Z","job":"job-1"}
"#;

    #[test]
    fn the_file_is_as_described_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("glacier-ice");
        let index = Index::open(&folder, "ice").unwrap();
        assert!(!index.is_begun().unwrap());
        let own = archive("ice/a", "id-1", "2026-01-02T03:04:05Z");
        index.add(&own).unwrap();
        let earlier = archive("ice/a", "id-0", "2026-01-01T03:04:05Z");
        let date = parse_utc("2026-01-03T00:00:00Z").unwrap();
        index.add_inventory(&[own.clone(), earlier.clone()], date, "job-1").unwrap();
        assert_eq!(fs::read_to_string(folder.join(FILE)).unwrap(), GOLDEN);
        for index in [index, Index::open(&folder, "ice").unwrap()] {
            let by_name: ObjectRef = own.name.clone().into();
            assert_eq!(index.archive(&by_name).unwrap(), earlier, "the first of its name");
            let by_id = ObjectRef { version: Some(own.id.clone()), ..by_name };
            assert_eq!(index.archive(&by_id).unwrap(), own);
            assert_eq!((index.inventory().unwrap(), index.has_read("job-1").unwrap()), (Some(date), true));
        }
        let other = Index::open(&folder, "other").err().unwrap();
        assert_eq!(other.exit_code(), 30, "another vault's index is not taken for this one's");
    }

    #[test]
    fn a_line_that_was_cut_short_is_forgotten_and_another_process_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(folder.path(), "ice").unwrap();
        index.add(&archive("ice/a", "id-1", "2026-01-02T03:04:05Z")).unwrap();
        let mut file = File::options().append(true).open(folder.path().join(FILE)).unwrap();
        file.write_all(b"{\"object\":\"ice/torn").unwrap();
        let other = Index::open(folder.path(), "ice").unwrap();
        other.add(&archive("ice/b", "id-2", "2026-01-02T03:04:05Z")).unwrap();
        assert_eq!(index.names(&ObjectFolder::all()).unwrap().len(), 2);
        assert_eq!(Index::open(folder.path(), "ice").unwrap().names(&ObjectFolder::all()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_index_is_refused() {
        for bad in [
            "x\n",
            "{}\n",
            &GOLDEN.replace("/1.0", "/2.0"),
            &GOLDEN.replace("id-1", ""),
            &"x".repeat(9_000),
            &GOLDEN[50..],
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(FILE), bad).unwrap();
            assert!(Index::open(folder.path(), "ice").is_err(), "{bad}");
        }
    }
}
