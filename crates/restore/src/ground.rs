//! The folder into which everything is restored, held open.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cli::{Exit, Failed, Failure, shown};
use durable::{Dir, Stat};
use formats::RelPath;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::Trouble;

/// Permissions that a folder would pass on to all that is made in it.
const DEFAULT_ACL: &str = "system.posix_acl_default";

/// Why nothing can be restored into a folder.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// Something is in it.
    #[error("{}: not empty", shown(.path.as_os_str().as_encoded_bytes()))]
    NotEmpty {
        /// Which folder.
        path: PathBuf,
    },
    /// It passes permissions on.
    #[error("{}: it has a default ACL, which would change what is restored", shown(.path.as_os_str().as_encoded_bytes()))]
    DefaultAcl {
        /// Which folder.
        path: PathBuf,
    },
    /// It is a part of what is restored from.
    #[error("{}: in the folder that is restored from", shown(.path.as_os_str().as_encoded_bytes()))]
    InSource {
        /// Which folder.
        path: PathBuf,
    },
    /// The system refused to make it.
    #[error("{}: failed to make the folder", shown(.path.as_os_str().as_encoded_bytes()))]
    Make {
        /// Which folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The system refused to open or to use it.
    #[error("the folder to restore into")]
    Folder(#[from] durable::Error),
}

impl Failure for GroundError {
    fn exit(&self) -> Exit {
        match self {
            GroundError::NotEmpty { .. } | GroundError::DefaultAcl { .. } | GroundError::InSource { .. } => {
                Exit::USAGE
            }
            GroundError::Make { .. } | GroundError::Folder(_) => Exit::MACHINE,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            GroundError::NotEmpty { .. } => {
                Some("restore into a new folder, then move what you need".to_owned())
            }
            GroundError::InSource { .. } => Some("name a folder outside of the histories".to_owned()),
            GroundError::DefaultAcl { path } => {
                Some(format!("setfacl -k {}", shown(path.as_os_str().as_encoded_bytes())))
            }
            _ => None,
        }
    }
}

/// Fails if `folder`, which people call `path`, is one of `sources` or lies in one, whatever names lead there.
pub fn keep_out(folder: &impl AsFd, path: &Path, sources: &[&Dir]) -> Result<(), GroundError> {
    let failed = |errno: Errno| GroundError::Make { path: path.to_owned(), source: errno.into() };
    let sources: Vec<Stat> = sources.iter().map(Stat::of).collect::<Result<_, _>>()?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = rustix::fs::openat(folder, c".", flags, Mode::empty()).map_err(failed)?;
    loop {
        let here = Stat::of(&at)?;
        if sources.iter().any(|source| source.is_same_file(&here)) {
            return Err(GroundError::InSource { path: path.to_owned() });
        }
        let above = rustix::fs::openat(&at, c"..", flags, Mode::empty()).map_err(failed)?;
        // The top of all is above itself.
        if Stat::of(&above)?.is_same_file(&here) {
            return Ok(());
        }
        at = above;
    }
}

/// The held folder, and the folder within it that was used last.
#[derive(Debug)]
pub struct Ground {
    path: PathBuf,
    root: Rc<Dir>,
    last: Option<(Box<[u8]>, Rc<Dir>)>,
}

impl Ground {
    /// Fails early if `path` is there and cannot be restored into; makes nothing.
    pub fn check(path: &Path) -> Result<(), GroundError> {
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            _ => Ground::open(path).map(drop),
        }
    }

    /// Opens the folder, which is made if it is not there, and must be empty.
    pub fn prepare(path: &Path) -> Result<Ground, GroundError> {
        match std::fs::create_dir(path) {
            Ok(()) => {
                let ground = Ground::hold(path)?;
                // Where it cannot be set, whoever mounted the file system has decided who may enter.
                let _ = ground.root.set_mode(0o700);
                match rustix::fs::fremovexattr(&*ground.root, DEFAULT_ACL) {
                    Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(ground),
                    Err(errno) => Err(GroundError::Make { path: path.to_owned(), source: errno.into() }),
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ground::open(path),
            Err(source) => Err(GroundError::Make { path: path.to_owned(), source }),
        }
    }

    fn open(path: &Path) -> Result<Ground, GroundError> {
        let ground = Ground::hold(path)?;
        // More than one name is refused before they are gathered.
        let is_empty = match ground.root.names_at_most(1) {
            Ok(names) => names.is_empty(),
            Err(error) if error.raw_os_error().is_none() => false,
            Err(error) => return Err(error.into()),
        };
        if !is_empty {
            return Err(GroundError::NotEmpty { path: path.to_owned() });
        }
        match rustix::fs::fgetxattr(&*ground.root, DEFAULT_ACL, &mut [0u8; 0][..]) {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(ground),
            _ => Err(GroundError::DefaultAcl { path: path.to_owned() }),
        }
    }

    fn hold(path: &Path) -> Result<Ground, GroundError> {
        let absolute = std::path::absolute(path)
            .map_err(|source| GroundError::Make { path: path.to_owned(), source })?;
        let root = Rc::new(Dir::open_root(&absolute)?);
        Ok(Ground { path: path.to_owned(), root, last: None })
    }

    /// The folder's own name, for people.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.path.as_os_str().as_encoded_bytes()
    }

    /// Bytes that may still be written there.
    pub fn free_bytes(&self) -> Result<u64, GroundError> {
        Ok(self.root.free_bytes()?)
    }

    /// The folder in which `path` lies, reached beneath the held folder and through no link.
    pub(crate) fn folder_of(&mut self, path: &RelPath) -> Result<Rc<Dir>, Trouble> {
        let Some(parent) = path.parent() else { return Ok(Rc::clone(&self.root)) };
        if let Some((name, dir)) = &self.last
            && **name == *parent
        {
            return Ok(Rc::clone(dir));
        }
        let dir = Rc::new(self.root.open_beneath(parent)?);
        self.last = Some((parent.into(), Rc::clone(&dir)));
        Ok(dir)
    }

    /// The folder at `path` itself.
    pub(crate) fn folder(&self, path: &RelPath) -> Result<Dir, Trouble> {
        Ok(self.root.open_beneath(path.as_bytes())?)
    }

    /// Brings everything to the disk.
    pub(crate) fn sync(&self) -> Result<(), Failed> {
        self.root.sync_file_system().map_err(|error| GroundError::Folder(error).into())
    }
}

impl AsFd for Ground {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}
