//! The state folder: held, locked, and the only place this program writes to.

use std::collections::HashSet;
use std::fs::{DirBuilder, File};
use std::io::{self, BufWriter, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::thread::{self, JoinHandle};

use durable::{Dir, Lock, Name, Stat};
use formats::manifest::ManifestError;
use formats::{Entry, ManifestWriter, PushId, Root, Summary};

use cli::Monitor;

use super::memory::Found;
use super::{
    Base, Installation, Journal, JournalHead, Memory, PiecesFolder, Recalled, Runs, StampsWriter, StateError,
};
use crate::walk::Stamp;

const LOCK: Name<'static> = Name::literal("lock");
const PIECES: Name<'static> = Name::literal("pieces");
const JOURNAL: Name<'static> = Name::literal("journal");
const NEW_MANIFEST: Name<'static> = Name::literal("new.manifest");
const NEW_STAMPS: Name<'static> = Name::literal("new.stamps");
const BUFFER_BYTES: usize = 256 * 1024;

/// The held state folder.
#[derive(Debug)]
pub struct StateFolder {
    dir: Dir,
    pieces: Dir,
    lock: Lock,
}

/// What a state folder says to somebody who only looks.
#[derive(Debug)]
pub struct Remembered {
    /// Who this installation is, if it ever pushed.
    pub installation: Option<Installation>,
    /// What is known of the server.
    pub memory: Memory,
    /// How the last runs went, if that is known.
    pub runs: Option<Runs>,
}

/// The manifest and the stamps that a walk writes.
#[derive(Debug)]
pub struct NewState {
    manifest: ManifestWriter<BufWriter<File>>,
    stamps: StampsWriter<BufWriter<File>>,
}

impl StateFolder {
    /// Opens the folder, making it if it is not there, and locks it against other runs.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let failed = |source| StateError::Folder { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let dir = Dir::open_root(path)?;
        let stat = Stat::of(&dir)?;
        if stat.owner != rustix::process::geteuid().as_raw() {
            return Err(StateError::Owner { path: path.to_owned(), owner: stat.owner });
        }
        if stat.mode != 0o700 {
            // Names of all files are in it: nobody else's business.
            dir.set_mode(0o700)?;
        }
        let lock = dir.try_lock(LOCK)?.ok_or(StateError::Busy)?;
        // Made here: once confined, this program makes files only.
        let pieces = dir.make_dir_or_open(PIECES, 0o700)?;
        Ok(Self { dir, pieces, lock })
    }

    /// A copy of the lock, for a process that is to hold it if we are killed.
    pub(crate) fn lock(&self) -> io::Result<OwnedFd> {
        self.lock.try_clone()
    }

    /// What is remembered in the folder at `path`, without locking it. None if there is no such folder.
    pub fn peek(path: &Path) -> Result<Option<Remembered>, StateError> {
        let dir = match Dir::open_root(path) {
            Ok(dir) => dir,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let memory = match Memory::load(&dir)? {
            Found::Some(memory) => memory,
            Found::None | Found::Unreadable => Memory::default(),
        };
        let (installation, runs) = (Installation::load(&dir)?, Runs::load(&dir)?);
        Ok(Some(Remembered { installation, memory, runs }))
    }

    /// The remembered state with this root, as [`Self::base`] gives it, without locking the folder at `path`.
    pub fn peek_base(path: &Path, root: Root) -> Result<Base, super::BaseError> {
        let dir = Dir::open_root(path).map_err(io::Error::from)?;
        open_base(&dir, root)
    }

    /// Who we are; a new installation if there is none, or none that can be read.
    pub fn installation(&self, monitor: &dyn Monitor) -> Result<Installation, StateError> {
        if let Some(installation) = Installation::load(&self.dir)? {
            return Ok(installation);
        }
        if self.dir.stat(Name::literal("installation")).is_ok() {
            monitor.warn("state file installation is damaged: this host now counts as a new installation");
        }
        Installation::random()
    }

    /// Counts a push as begun, durably.
    pub fn begin_push(&self, installation: &mut Installation) -> Result<PushId, StateError> {
        installation.begin_push(&self.dir)
    }

    /// What is known of the server; nothing if the file is not there or damaged.
    pub fn memory(&self, monitor: &dyn Monitor) -> Result<Memory, StateError> {
        Ok(match Memory::load(&self.dir)? {
            Found::Some(memory) => memory,
            Found::None => Memory::default(),
            Found::Unreadable => {
                monitor.warn("state file state is damaged: the next push will be whole");
                Memory::default()
            }
        })
    }

    /// Writes what is known of the server, durably, and then removes the files that are of no use any more.
    pub fn remember(&self, memory: &Memory) -> Result<(), StateError> {
        memory.save(&self.dir)?;
        tidy(&self.dir, memory)
    }

    /// How the last runs went, if that is known.
    pub fn runs(&self) -> Result<Option<Runs>, StateError> {
        Runs::load(&self.dir)
    }

    /// Takes down how a run went.
    pub fn record_run(&self, runs: &Runs) -> Result<(), StateError> {
        runs.save(&self.dir)
    }

    /// The remembered state with this root, checked; or why there is none of use.
    pub fn base(&self, root: Root) -> Result<Base, super::BaseError> {
        open_base(&self.dir, root)
    }

    /// Once more what [`StateFolder::base`] has checked, from its start.
    pub fn base_again(&self, root: Root) -> Result<Base, super::BaseError> {
        let (manifest, stamps) = files_of(&self.dir, root)?;
        Base::open_checked(manifest, stamps)
    }

    /// The manifest with this root.
    pub fn manifest(&self, root: Root) -> Result<File, StateError> {
        Ok(self.dir.open_read(Name::new(&manifest_name(root))?)?)
    }

    /// Begins to write a new state.
    pub fn create(&self, started: i64) -> Result<NewState, StateError> {
        let buffered = |name| -> Result<_, StateError> {
            Ok(BufWriter::with_capacity(BUFFER_BYTES, self.create_anew(name)?))
        };
        let manifest = ManifestWriter::new(buffered(NEW_MANIFEST)?)
            .map_err(|error| failed(NEW_MANIFEST, io::Error::other(error)))?;
        let stamps =
            StampsWriter::new(buffered(NEW_STAMPS)?, started).map_err(|error| failed(NEW_STAMPS, error))?;
        Ok(NewState { manifest, stamps })
    }

    /// Ends a new state. One that equals a state already kept needs no new files.
    pub fn finish(&self, new: NewState, already: Option<Root>) -> Result<(Summary, Written), StateError> {
        let (summary, manifest) =
            new.manifest.finish().map_err(|error| failed(NEW_MANIFEST, io::Error::other(error)))?;
        if already == Some(summary.root) {
            self.dir.unlink(NEW_MANIFEST)?;
            self.dir.unlink(NEW_STAMPS)?;
            return Ok((summary, Written { files: None }));
        }
        let stamps = new.stamps.finish(summary.root).map_err(|error| failed(NEW_STAMPS, error))?;
        let manifest = flushed(manifest).map_err(|error| failed(NEW_MANIFEST, error))?;
        let stamps = flushed(stamps).map_err(|error| failed(NEW_STAMPS, error))?;
        Ok((summary, Written { files: Some((summary.root, manifest, stamps)) }))
    }

    /// Gives a new state its names, and writes `memory`, which names it; durably, in a thread of its own, as the disk may take
    /// its time while the changes are sent.
    pub fn keep(&self, written: Written, memory: Memory) -> Result<Keeping, StateError> {
        let dir = self.dir.try_clone()?;
        let work = move || {
            written.place(&dir)?;
            memory.save(&dir)?;
            tidy(&dir, &memory)
        };
        thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(work)
            .map(Keeping)
            .map_err(|error| failed(NEW_MANIFEST, error))
    }

    /// The manifest that was just finished, before or after it has its name.
    pub fn new_manifest(&self, root: Root) -> Result<File, StateError> {
        match self.dir.open_read(NEW_MANIFEST) {
            Err(error) if error.is_not_found() => self.manifest(root),
            answer => Ok(answer?),
        }
    }

    /// What the long contents of the accepted state are made of.
    pub fn pieces(&self) -> Result<PiecesFolder, StateError> {
        Ok(PiecesFolder::new(self.pieces.try_clone()?))
    }

    /// Begins the journal of a new push.
    pub fn begin_journal(&self, head: &JournalHead) -> Result<Journal, StateError> {
        Journal::begin(self.create_anew(JOURNAL)?, head).map_err(journal)
    }

    /// What the journal knows of a partial push.
    pub fn recall(&self, push: PushId, frames: u64) -> Result<Option<Recalled>, StateError> {
        match self.dir.open_read(JOURNAL) {
            Ok(mut file) => Recalled::read(&mut file, push, frames).map_err(journal),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Goes on with the journal that `recalled` was read from.
    pub fn go_on_journal(&self, recalled: &Recalled) -> Result<Journal, StateError> {
        Journal::go_on(self.dir.open_read_write(JOURNAL)?, recalled).map_err(journal)
    }

    /// The push is sealed: there is nothing to go on with.
    pub fn end_journal(&self) -> Result<(), StateError> {
        match self.dir.unlink(JOURNAL) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The folder itself, for a sandbox that leaves it open.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    fn create_anew(&self, name: Name<'_>) -> Result<File, StateError> {
        match self.dir.unlink(name) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        Ok(self.dir.create_new(name, 0o600)?)
    }
}

/// A state that is written, and not yet durable.
#[derive(Debug)]
pub struct Written {
    files: Option<(Root, File, File)>,
}

/// A state on its way to the disk.
#[derive(Debug)]
pub struct Keeping(JoinHandle<Result<(), StateError>>);

impl Keeping {
    /// Waits until it is there.
    pub fn done(self) -> Result<(), StateError> {
        self.0.join().unwrap_or_else(|_| Err(failed(NEW_MANIFEST, io::Error::other("the keeper panicked"))))
    }
}

impl Written {
    fn place(self, dir: &Dir) -> Result<(), StateError> {
        let Some((root, manifest, stamps)) = self.files else { return Ok(()) };
        manifest.sync_all().map_err(|error| failed(NEW_MANIFEST, error))?;
        stamps.sync_all().map_err(|error| failed(NEW_STAMPS, error))?;
        dir.rename_over(NEW_MANIFEST, dir, Name::new(&manifest_name(root))?)?;
        Ok(dir.rename_over(NEW_STAMPS, dir, Name::new(&stamps_name(root))?)?)
    }
}

/// Removes manifests and stamps that nothing names, and what a killed run left.
fn tidy(dir: &Dir, memory: &Memory) -> Result<(), StateError> {
    let kept: HashSet<Vec<u8>> =
        memory.roots().flat_map(|root| [manifest_name(root), stamps_name(root)]).collect();
    for name in dir.names()? {
        let ours = name.ends_with(b".manifest") || name.ends_with(b".stamps");
        if durable::is_unfinished(&name) || (ours && !kept.contains(&name)) {
            dir.unlink(Name::new(&name)?)?;
        }
    }
    Ok(())
}

impl NewState {
    /// The next entry and its stamp.
    pub fn push(&mut self, entry: &Entry, stamp: &Stamp) -> Result<(), ManifestError> {
        self.manifest.push(entry)?;
        Ok(self.stamps.push(stamp)?)
    }
}

/// A file of at most `bytes_max` bytes; none if it is not there or longer.
pub(super) fn read_small(dir: &Dir, name: Name<'_>, bytes_max: u64) -> Result<Option<Vec<u8>>, StateError> {
    let file = match dir.open_read(name) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| failed(name, error))?;
    Ok(Some(bytes))
}

fn open_base(dir: &Dir, root: Root) -> Result<Base, super::BaseError> {
    let (manifest, stamps) = files_of(dir, root)?;
    Base::open(root, manifest, stamps)
}

/// The manifest and the stamps of a state.
fn files_of(dir: &Dir, root: Root) -> io::Result<(File, File)> {
    let open = |name: Vec<u8>| -> io::Result<File> { Ok(dir.open_read(Name::new(&name)?)?) };
    Ok((open(manifest_name(root))?, open(stamps_name(root))?))
}

fn flushed(file: BufWriter<File>) -> io::Result<File> {
    file.into_inner().map_err(io::IntoInnerError::into_error)
}

fn failed(name: Name<'_>, source: io::Error) -> StateError {
    StateError::File { name: cli::shown(name.as_bytes()), source }
}

fn journal(source: io::Error) -> StateError {
    failed(JOURNAL, source)
}

fn manifest_name(root: Root) -> Vec<u8> {
    format!("{root}.manifest").into_bytes()
}

fn stamps_name(root: Root) -> Vec<u8> {
    format!("{root}.stamps").into_bytes()
}
