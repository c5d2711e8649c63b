//! A tree against its manifest, name by name in both directions, every content hashed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};

use cli::Task;
use durable::{Dir, FileKind, Name, Stat};
use formats::entry::{Body, Entry, Kind};
use formats::manifest::ManifestError;
use formats::{ContentHash, PathDigest, RelPath};
use history::{Manifest, Snapshot, Tree};

use super::defect::What;
use super::folders::Folders;
use crate::stack::Stack;
use crate::trouble::Trouble;

/// A symbolic link with a longer target may exist in the manifest only: not every file system can hold it.
const TARGET_SURE_BYTES: usize = 1_023;
const PIECE_BYTES: usize = 1 << 20;

/// Contents hashed so far, by inode: one file with many names is read once.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hashes: HashMap<(u64, u64), ContentHash>,
    read_bytes: u64,
}

/// Reading went wrong; that says nothing about the snapshot.
#[derive(Debug)]
pub(super) enum Unread {
    Folder(durable::Error),
    Stream(io::Error),
}

/// What the first name of a hard-link group is.
#[derive(Clone, Copy)]
enum First {
    File(u64, ContentHash),
    Symlink(Target),
    Unmade,
}

/// Where a symbolic link leads: as much of it as tells whether another one leads there, too.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Target {
    bytes: usize,
    hash: ContentHash,
}

impl Target {
    fn of(target: &[u8]) -> Self {
        Self { bytes: target.len(), hash: ContentHash::of(target) }
    }
}

struct Compare<'a> {
    files: Stack,
    folders: Folders,
    /// Tens of millions, if a host is hostile: of each a digest of its path and no more than a hash.
    firsts: HashMap<PathDigest, First>,
    seen: &'a mut Seen,
    found: &'a mut dyn FnMut(What, &str),
}

/// Compares, and tells each defect to `found`.
pub(super) fn compare(
    mut manifest: Manifest,
    tree: &Tree,
    snapshot: &Snapshot,
    seen: &mut Seen,
    task: &Task,
    found: &mut dyn FnMut(What, &str),
) -> Result<(), Unread> {
    let top = tree.dir().try_clone().map_err(Unread::Folder)?;
    let mut folders = Folders::default();
    folders.enter(b"", top.names().map_err(Unread::Folder)?);
    let mut compare = Compare { files: Stack::new(top), folders, firsts: HashMap::new(), seen, found };
    for entry in manifest.by_ref() {
        match entry {
            Ok(entry) => compare.entry(&entry)?,
            Err(ManifestError::Io(source)) => return Err(Unread::Stream(source)),
            Err(error) => {
                // What follows is not known, so what is left over in the tree says nothing.
                (compare.found)(What::Record, &format!("its manifest is damaged: {error}"));
                return Ok(());
            }
        }
        task.advance(1);
    }
    compare.finish();
    let sum = manifest.summary();
    if !sum.is_some_and(|sum| sum.root == snapshot.root && sum.entries == snapshot.entries) {
        found(What::Record, "its manifest is another one than the log says");
    }
    Ok(())
}

impl Compare<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<(), Unread> {
        let path = &entry.path;
        let found = &mut self.found;
        self.folders.leave(path.as_bytes(), &mut |extra| found(What::Files, &extra_text(extra)));
        let is_there = self.folders.claim(path.file_name());
        let links = entry.node().map_or(1, |node| node.meta.links);
        match &entry.body {
            Body::Node(node) => match &node.kind {
                Kind::Folder => self.folder(path, is_there),
                Kind::File { size, content } => {
                    self.note(path, links, || First::File(*size, *content));
                    self.file(path, is_there, *size, *content)
                }
                Kind::Symlink { target } => {
                    let target = Target::of(target);
                    self.note(path, links, || First::Symlink(target));
                    self.symlink(path, is_there, target)
                }
                Kind::Fifo | Kind::Socket | Kind::CharDevice { .. } | Kind::BlockDevice { .. } => {
                    self.note(path, links, || First::Unmade);
                    self.unmade(path, is_there)
                }
            },
            Body::Link(first) => match self.firsts.get(&first.digest()).copied() {
                Some(First::File(size, content)) => self.file(path, is_there, size, content),
                Some(First::Symlink(target)) => self.symlink(path, is_there, target),
                Some(First::Unmade) | None => self.unmade(path, is_there),
            },
        }
    }

    fn note(&mut self, path: &RelPath, links: u32, first: impl FnOnce() -> First) {
        if links > 1 {
            self.firsts.insert(path.digest(), first());
        }
    }

    /// A folder that cannot be entered holds nothing, so all that should be in it will be missing too.
    fn folder(&mut self, path: &RelPath, is_there: bool) -> Result<(), Unread> {
        let names = match self.here(path, is_there, FileKind::Folder)? {
            Some(_) => {
                self.files.folder(Some(path.as_bytes())).and_then(Dir::names).map_err(Unread::Folder)?
            }
            None => Vec::new(),
        };
        self.folders.enter(path.as_bytes(), names);
        Ok(())
    }

    fn file(
        &mut self,
        path: &RelPath,
        is_there: bool,
        size: u64,
        content: ContentHash,
    ) -> Result<(), Unread> {
        let Some(stat) = self.here(path, is_there, FileKind::File)? else { return Ok(()) };
        if stat.size != size {
            self.tell(path, "has another size");
            return Ok(());
        }
        match self.hash(path, &stat) {
            Ok(hash) if hash == content => {}
            Ok(_) => self.tell(path, "does not have its hash"),
            Err(error) => self.tell(path, &format!("cannot be read: {error}")),
        }
        Ok(())
    }

    fn symlink(&mut self, path: &RelPath, is_there: bool, target: Target) -> Result<(), Unread> {
        if !is_there && target.bytes > TARGET_SURE_BYTES {
            return Ok(());
        }
        if self.here(path, is_there, FileKind::Symlink)?.is_some() {
            let name = Name::new(path.file_name()).map_err(Unread::Folder)?;
            let found = self.files.folder(path.parent()).and_then(|dir| dir.read_link(name));
            if Target::of(&found.map_err(Unread::Folder)?) != target {
                self.tell(path, "leads elsewhere");
            }
        }
        Ok(())
    }

    fn unmade(&mut self, path: &RelPath, is_there: bool) -> Result<(), Unread> {
        if is_there {
            self.tell(path, "should be in the manifest only");
        }
        Ok(())
    }

    /// The facts of a name that is there and of the right kind; anything else is told.
    fn here(&mut self, path: &RelPath, is_there: bool, kind: FileKind) -> Result<Option<Stat>, Unread> {
        if !is_there {
            self.tell(path, "is missing");
            return Ok(None);
        }
        let name = Name::new(path.file_name()).map_err(Unread::Folder)?;
        let stat = self.files.folder(path.parent()).and_then(|dir| dir.stat(name)).map_err(Unread::Folder)?;
        if stat.kind != kind {
            self.tell(path, "is of another kind");
            return Ok(None);
        }
        if kind == FileKind::File && stat.mode & 0o7000 != 0 {
            self.tell(path, "has live privileges (setuid, setgid or sticky)");
        }
        Ok(Some(stat))
    }

    /// Not being able to read one file is a defect of that file, and no reason to leave out the others.
    fn hash(&mut self, path: &RelPath, stat: &Stat) -> io::Result<ContentHash> {
        if let Some(hash) = self.seen.hashes.get(&(stat.device, stat.inode)) {
            return Ok(*hash);
        }
        let file = self.files.folder(path.parent())?.open_read(Name::new(path.file_name())?)?;
        let (hash, bytes) = hash(file)?;
        self.seen.read_bytes += bytes;
        self.seen.hashes.insert((stat.device, stat.inode), hash);
        Ok(hash)
    }

    fn finish(&mut self) {
        let found = &mut self.found;
        self.folders.finish(&mut |extra| found(What::Files, &extra_text(extra)));
    }

    fn tell(&mut self, path: &RelPath, what: &str) {
        (self.found)(What::Files, &format!("{} {what}", cli::shown(path.as_bytes())));
    }
}

impl Seen {
    /// Bytes read so far.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }
}

impl Unread {
    /// As an error of the verb.
    pub(super) fn trouble(self, doing: String) -> Trouble {
        match self {
            Unread::Folder(source) => Trouble::Folder { doing, source },
            Unread::Stream(source) => Trouble::Stream { doing, source },
        }
    }
}

fn extra_text(path: &[u8]) -> String {
    format!("{} is not in the manifest", cli::shown(path))
}

fn hash(mut file: File) -> io::Result<(ContentHash, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let length = file.read(&mut piece)?;
        let data = piece.get(..length).unwrap_or_default();
        if data.is_empty() {
            return Ok((ContentHash::from_bytes(*hasher.finalize().as_bytes()), bytes));
        }
        hasher.update(data);
        bytes += data.len() as u64;
    }
}
