//! A tree against its manifest, name by name in both directions, every content hashed.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read};

use cli::Task;
use durable::{Dir, FileKind, Name, Stat};
use formats::entry::{Body, Entry, Kind};
use formats::limits::WANTED;
use formats::manifest::ManifestError;
use formats::{ContentHash, PathDigest, RelPath};
use history::{Log, Manifest, Snapshot, Tree};

use super::blanks::Blanks;
use super::defect::What;
use super::folders::{Claim, Folders};
use super::inode::Inodes;
use super::pace::Pace;
use super::share::Share;
use crate::heal::lost::is_lost;
use crate::stack::Stack;
use crate::trouble::Trouble;

/// A symbolic link with a longer target may exist in the manifest only: not every file system can hold it.
const TARGET_SURE_BYTES: usize = 1_023;
const PIECE_BYTES: usize = 1 << 20;

/// What one reading of a history has seen: contents hashed so far.
#[derive(Debug)]
pub(super) struct Seen {
    hashes: Inodes<ContentHash>,
    read_bytes: u64,
    pace: Pace,
    /// What is read.
    share: Share,
    /// The parts of it with a defect that the log does not have.
    bad: Share,
    /// Contents that the log calls rotten.
    noted: BTreeSet<ContentHash>,
    /// Contents of the other defects; as many as can be asked for at once.
    lost: BTreeSet<ContentHash>,
    /// What the log calls redacted, and what was found of it.
    pub(super) redacted: Blanks,
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

/// Told of each defect: of what, where, and in words.
type Tell<'a> = &'a mut dyn FnMut(What, Option<&[u8]>, &str);

struct Compare<'a> {
    files: Stack,
    sequence: u64,
    folders: Folders,
    /// Tens of millions, if a host is hostile: of each a digest of its path and no more than a hash.
    firsts: HashMap<PathDigest, First>,
    seen: &'a mut Seen,
    found: Tell<'a>,
}

/// Compares, and tells each defect to `found`.
pub(super) fn compare(
    mut manifest: Manifest,
    tree: &Tree,
    snapshot: &Snapshot,
    seen: &mut Seen,
    task: &Task,
    found: Tell<'_>,
) -> Result<(), Unread> {
    let top = tree.dir().try_clone().map_err(Unread::Folder)?;
    let mut folders = Folders::default();
    let names = seen.share.has(Share::folder_part(b"")).then(|| top.names()).transpose();
    folders.enter(b"", names.map_err(Unread::Folder)?);
    let (files, sequence) = (Stack::new(top), snapshot.sequence);
    let mut compare = Compare { files, sequence, folders, firsts: HashMap::new(), seen, found };
    for entry in manifest.by_ref() {
        match entry {
            Ok(entry) => compare.entry(&entry)?,
            Err(ManifestError::Io(source)) => return Err(Unread::Stream(source)),
            Err(error) => {
                // What follows is not known, so what is left over in the tree says nothing.
                (compare.found)(
                    What::Record,
                    None,
                    &format!("its manifest is damaged: {}", cli::chain(&error)),
                );
                return Ok(());
            }
        }
        task.advance(1);
    }
    compare.finish();
    let sum = manifest.summary();
    if !sum.is_some_and(|sum| sum.root == snapshot.root && sum.entries == snapshot.entries) {
        found(What::Record, None, "its manifest is another one than the log says");
    }
    Ok(())
}

impl Compare<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<(), Unread> {
        let path = &entry.path;
        let Self { found, seen, .. } = self;
        self.folders.leave(path.as_bytes(), &mut |extra| too_many(*found, seen, extra));
        let claim = self.folders.claim(path.file_name());
        let links = entry.node().map_or(1, |node| node.meta.links);
        match &entry.body {
            Body::Node(node) => match &node.kind {
                Kind::Folder => self.folder(path, claim),
                Kind::File { size, content } => {
                    self.note(path, links, || First::File(*size, *content));
                    self.file(path, claim, *size, *content)
                }
                Kind::Symlink { target } => {
                    let target = Target::of(target);
                    self.note(path, links, || First::Symlink(target));
                    self.symlink(path, claim, target)
                }
                Kind::Fifo | Kind::Socket | Kind::CharDevice { .. } | Kind::BlockDevice { .. } => {
                    self.note(path, links, || First::Unmade);
                    self.unmade(path, claim)
                }
            },
            Body::Link(first) => match self.firsts.get(&first.digest()).copied() {
                Some(First::File(size, content)) => self.file(path, claim, size, content),
                Some(First::Symlink(target)) => self.symlink(path, claim, target),
                Some(First::Unmade) | None => self.unmade(path, claim),
            },
        }
    }

    fn note(&mut self, path: &RelPath, links: u32, first: impl FnOnce() -> First) {
        if links > 1 {
            self.firsts.insert(path.digest(), first());
        }
    }

    /// A folder that cannot be entered holds nothing, so all that should be in it will be missing too.
    fn folder(&mut self, path: &RelPath, claim: Claim) -> Result<(), Unread> {
        if claim != Claim::Missing && !self.seen.share.has(Share::folder_part(path.as_bytes())) {
            self.folders.enter(path.as_bytes(), None);
            return Ok(());
        }
        let names = match self.here(path, claim, FileKind::Folder)? {
            Some(_) => {
                self.files.folder(Some(path.as_bytes())).and_then(Dir::names).map_err(Unread::Folder)?
            }
            None => Vec::new(),
        };
        self.folders.enter(path.as_bytes(), Some(names));
        Ok(())
    }

    fn file(&mut self, path: &RelPath, claim: Claim, size: u64, content: ContentHash) -> Result<(), Unread> {
        if claim == Claim::Missing {
            self.tell_lost(path, content, "is missing");
            return Ok(());
        }
        if !self.seen.share.has(Share::part(&content)) {
            return Ok(());
        }
        let stat = match self.stat(path) {
            Err(error) if claim == Claim::Unlisted && error.is_not_found() => {
                self.tell_lost(path, content, "is missing");
                return Ok(());
            }
            Err(error) if is_lost(&error) => {
                self.tell_lost(path, content, &format!("cannot be looked at: {error}"));
                return Ok(());
            }
            stat => stat,
        };
        let Some(stat) = self.fits(path, claim, FileKind::File, stat)? else { return Ok(()) };
        if self.seen.redacted.names(&content, self.sequence) {
            let opened = self.open(path);
            if let Err(what) = self.seen.redacted.look(opened, &stat, size) {
                self.tell(path, &what);
            }
            return Ok(());
        }
        if stat.size != size {
            self.tell_lost(path, content, "has another size");
            return Ok(());
        }
        match self.hash(path, &stat) {
            Ok(hash) if hash == content => {}
            Ok(_) => self.tell_lost(path, content, "does not have its hash"),
            Err(error) => self.tell_lost(path, content, &format!("cannot be read: {error}")),
        }
        Ok(())
    }

    fn symlink(&mut self, path: &RelPath, claim: Claim, target: Target) -> Result<(), Unread> {
        if claim == Claim::Unlisted || claim == Claim::Missing && target.bytes > TARGET_SURE_BYTES {
            return Ok(());
        }
        if self.here(path, claim, FileKind::Symlink)?.is_some() {
            let name = Name::new(path.file_name()).map_err(Unread::Folder)?;
            let found = self.files.folder(path.parent()).and_then(|dir| dir.read_link(name));
            if Target::of(&found.map_err(Unread::Folder)?) != target {
                self.tell(path, "leads elsewhere");
            }
        }
        Ok(())
    }

    fn unmade(&mut self, path: &RelPath, claim: Claim) -> Result<(), Unread> {
        if claim == Claim::There {
            self.tell(path, "should be in the manifest only");
        }
        Ok(())
    }

    /// The facts of a name that is there and of the right kind; anything else is told.
    fn here(&mut self, path: &RelPath, claim: Claim, kind: FileKind) -> Result<Option<Stat>, Unread> {
        if claim == Claim::Missing {
            self.tell(path, "is missing");
            return Ok(None);
        }
        let stat = self.stat(path);
        self.fits(path, claim, kind, stat)
    }

    fn stat(&mut self, path: &RelPath) -> durable::Result<Stat> {
        let name = Name::new(path.file_name())?;
        self.files.folder(path.parent()).and_then(|dir| dir.stat(name))
    }

    fn fits(
        &mut self,
        path: &RelPath,
        claim: Claim,
        kind: FileKind,
        stat: durable::Result<Stat>,
    ) -> Result<Option<Stat>, Unread> {
        let stat = match stat {
            // Nobody has looked whether its folder is there, or its inode is lost.
            Err(error) if claim == Claim::Unlisted || is_lost(&error) => {
                self.tell(path, &format!("cannot be reached: {error}"));
                return Ok(None);
            }
            stat => stat.map_err(Unread::Folder)?,
        };
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
        if let Some(hash) = self.seen.hashes.get(stat) {
            return Ok(hash);
        }
        let file = self.open(path)?;
        // It may be another one by now.
        let stat = Stat::of(&file)?;
        let (hash, bytes) = hash(file, &mut self.seen.pace)?;
        self.seen.read_bytes += bytes;
        self.seen.hashes.add(&stat, hash);
        Ok(hash)
    }

    fn open(&mut self, path: &RelPath) -> durable::Result<File> {
        self.files.folder(path.parent())?.open_read(Name::new(path.file_name())?)
    }

    fn finish(&mut self) {
        let Self { found, seen, .. } = self;
        self.folders.finish(&mut |extra| too_many(*found, seen, extra));
    }

    /// Something is wrong with a name, and no content would mend it.
    fn tell(&mut self, path: &RelPath, what: &str) {
        self.seen.bad.add(Share::folder_part(path.parent().unwrap_or_default()));
        (self.found)(What::Files, Some(path.as_bytes()), what);
    }

    /// A name does not have its content.
    fn tell_lost(&mut self, path: &RelPath, content: ContentHash, what: &str) {
        if self.seen.redacted.names(&content, self.sequence) {
            // Nobody is asked for it.
            return self.tell(path, what);
        }
        if self.seen.noted.contains(&content) {
            let what = format!("{what}: it has rotted, and is wanted from the host");
            (self.found)(What::Noted(content), Some(path.as_bytes()), &what);
            return;
        }
        self.seen.bad.add(Share::part(&content));
        self.seen.bad.add(Share::folder_part(path.parent().unwrap_or_default()));
        if self.seen.lost.len() < WANTED {
            self.seen.lost.insert(content);
        }
        (self.found)(What::Content(content), Some(path.as_bytes()), what);
    }
}

impl Seen {
    /// Nothing yet; this is to be read, so fast.
    pub(super) fn new(share: Share, pace: Pace, log: &Log) -> Self {
        let (bad, lost) = (Share::default(), BTreeSet::new());
        let (noted, redacted) = (log.rotten().keys().copied().collect(), Blanks::new(log.redacted()));
        Self { hashes: Inodes::new(), read_bytes: 0, pace, share, bad, noted, lost, redacted }
    }

    /// The log has more lines than it had: by these is judged from here on.
    pub(super) fn judge_by(&mut self, log: &Log) {
        self.noted = log.rotten().keys().copied().collect();
        self.redacted.judge_by(log.redacted());
    }

    /// Bytes read so far.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// The parts with a defect that the log does not have.
    pub(super) fn bad(&self) -> Share {
        self.bad
    }

    /// Nobody can tell what else is wrong.
    pub(super) fn all_bad(&mut self) {
        self.bad = Share::ALL;
    }

    /// Contents that names do not have, and that the log does not have either.
    pub(super) fn into_lost(self) -> BTreeSet<ContentHash> {
        self.lost
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

fn too_many(found: Tell<'_>, seen: &mut Seen, path: &[u8]) {
    let parent = path.iter().rposition(|byte| *byte == b'/').and_then(|end| path.get(..end));
    seen.bad.add(Share::folder_part(parent.unwrap_or_default()));
    found(What::Files, Some(path), "is not in the manifest");
}

fn hash(mut file: File, pace: &mut Pace) -> io::Result<(ContentHash, u64)> {
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
        pace.step(data.len() as u64);
    }
}
