//! The folders of the jail that this process writes to. Every name in them is made here.

use durable::{Dir, Lock, Name};
use formats::session::{Code, Role};

use crate::fault::{Result, Stop};
use crate::push_file::PushFile;

/// The one push file that grows.
const CURRENT: Name<'static> = Name::literal("current");
const LOCK: Name<'static> = Name::literal("lock");
/// There while the push file that grows was admitted as an emergency, so that a later session names it so too.
const EMERGENCY: Name<'static> = Name::literal("emergency");
const FILE_MODE: u32 = 0o640;

/// `spool/incoming` and `spool/sealed`, held open.
#[derive(Debug)]
pub(crate) struct Spool {
    incoming: Dir,
    sealed: Dir,
}

impl Spool {
    /// Opens both folders of the jail.
    pub(crate) fn open(jail: &Dir) -> Result<Self> {
        let at = || Stop::at("open the spool");
        let spool = jail.open_dir(Name::literal("spool")).map_err(at())?;
        Ok(Self {
            incoming: spool.open_dir(Name::literal("incoming")).map_err(at())?,
            sealed: spool.open_dir(Name::literal("sealed")).map_err(at())?,
        })
    }

    /// Where the push file grows.
    pub(crate) fn incoming(&self) -> &Dir {
        &self.incoming
    }

    /// Where sealed push files wait.
    pub(crate) fn sealed(&self) -> &Dir {
        &self.sealed
    }

    /// Takes the lock of the jail: one session at a time. The kernel frees it when this process ends, however it ends.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let lock = self.incoming.try_lock(LOCK).map_err(Stop::at("lock the jail"))?;
        lock.ok_or(Stop::refused(Code::Busy))
    }

    /// The push file that a session before this one left.
    pub(crate) fn reopen_current(&self) -> Result<Option<PushFile>> {
        match self.incoming.open_read_write(CURRENT) {
            Ok(file) => Ok(Some(PushFile::reopened(file))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(Stop::at("open the partial push")(error)),
        }
    }

    /// An empty push file. The one that was there must be discarded.
    pub(crate) fn create_current(&self) -> Result<PushFile> {
        let file = self.incoming.create_new(CURRENT, FILE_MODE).map_err(Stop::at("begin the push file"))?;
        Ok(PushFile::new(file))
    }

    /// Removes the push file that grows, if there is one.
    pub(crate) fn discard_current(&self) -> Result<()> {
        match self.incoming.unlink(CURRENT) {
            Ok(()) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(Stop::at("discard the partial push")(error)),
        }
    }

    /// Remembers what the push file that is about to begin was admitted as.
    pub(crate) fn begin_as(&self, role: Role) -> Result<()> {
        let unmarked = match self.incoming.unlink(EMERGENCY) {
            Err(error) if error.is_not_found() => Ok(()),
            answer => answer,
        };
        unmarked.map_err(Stop::at("note what the push is"))?;
        self.go_on_as(role)
    }

    /// The same for one that goes on: what once was an emergency stays one.
    pub(crate) fn go_on_as(&self, role: Role) -> Result<()> {
        if role == Role::Usual {
            return Ok(());
        }
        match self.incoming.create_new(EMERGENCY, FILE_MODE) {
            Err(error) if !error.is_exists() => Err(Stop::at("note what the push is")(error)),
            _ => self.incoming.sync().map_err(Stop::at("note what the push is")),
        }
    }

    fn role(&self) -> Result<Role> {
        match self.incoming.stat(EMERGENCY) {
            Ok(_) => Ok(Role::Emergency),
            Err(error) if error.is_not_found() => Ok(Role::Usual),
            Err(error) => Err(Stop::at("look at what the push is")(error)),
        }
    }

    /// Seals the push file: brings it to the disk, moves it to a name above every other among the sealed ones, and brings both
    /// folders to the disk. Only after that may the host be told. The name says what it was admitted as.
    pub(crate) fn seal_current(&self, file: &PushFile) -> Result<Role> {
        file.sync()?;
        let role = self.role()?;
        let name = crate::queue::next_name(&self.sealed, role)?;
        let name = Name::new(name.as_bytes()).map_err(Stop::at("name the sealed push"))?;
        self.incoming.rename_new(CURRENT, &self.sealed, name).map_err(Stop::at("seal the push"))?;
        if role == Role::Emergency {
            // Left behind, it would go when the next push begins.
            let _ = self.incoming.unlink(EMERGENCY);
        }
        Ok(role)
    }

    /// Brings the names in both folders to the disk.
    pub(crate) fn sync_names(&self) -> Result<()> {
        let at = || Stop::at("bring the sealed pushes to the disk");
        self.sealed.sync().map_err(at())?;
        self.incoming.sync().map_err(at())
    }

    /// Bytes that may still be written here.
    pub(crate) fn free_bytes(&self) -> Result<u64> {
        self.incoming.free_bytes().map_err(Stop::at("ask for free space"))
    }
}
