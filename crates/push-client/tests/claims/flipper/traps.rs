//! The secret place, the names that are flipped, and who flips them.

use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::fs::{
    CWD, FileType, IFlags, Mode, RenameFlags, XattrFlags, ioctl_getflags, ioctl_setflags, lsetxattr, makedev,
    mknodat, renameat_with,
};

use crate::host::{Host, root};

/// The secret place, from where the symlinks are: a relative way is open to more than an absolute one.
const WAY: &str = "../outside/secret";
/// What of the secret place must show up nowhere.
pub(super) const SECRET: &[u8] = b"SECRET";
/// A name that only the secret place has.
pub(super) const SECRET_NAME: &[u8] = b"secret-only";
/// What a symlink of the secret place points to.
pub(super) const SECRET_TARGET: &[u8] = b"secret-target";

/// How a name is flipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trap {
    /// A folder, and a symlink to the secret folder, which has the same names in it.
    Folder,
    /// The same, two folders further up than what is read.
    Above,
    /// A file, and a symlink to a file of the secret folder.
    File,
    /// A symlink, and a file.
    Link,
    /// A folder that is moved out of the tree, and back.
    Moved,
    /// A file, and a FIFO.
    Pipe,
    /// A file, and a device that gives bytes without end; only root can make one.
    Device,
}

/// All of them, in the order of their names, in which they are walked.
pub(super) const WILD: [Trap; 7] =
    [Trap::Above, Trap::Device, Trap::File, Trap::Folder, Trap::Link, Trap::Moved, Trap::Pipe];
/// Those that do not hang whoever opens them.
pub(super) const CALM: [Trap; 5] = [Trap::Above, Trap::File, Trap::Folder, Trap::Link, Trap::Moved];

impl Trap {
    fn name(self) -> &'static str {
        match self {
            Trap::Folder => "folder",
            Trap::Above => "above",
            Trap::File => "file",
            Trap::Link => "link",
            Trap::Moved => "moved",
            Trap::Pipe => "pipe",
            Trap::Device => "device",
        }
    }

    fn lay(self, here: &Path, there: &Path, secret: &Path) {
        let whole = |at: &Path| furnish(at, b"mine", b"my-target");
        match self {
            Trap::Folder => {
                whole(here);
                symlink(WAY, there).unwrap();
            }
            Trap::Above => {
                whole(&here.join("sub/sub"));
                symlink(secret, there).unwrap();
            }
            Trap::File => {
                fs::write(here, "mine").unwrap();
                symlink(Path::new(WAY).join("file"), there).unwrap();
            }
            Trap::Link => {
                symlink("my-target", here).unwrap();
                fs::write(there, "mine").unwrap();
            }
            Trap::Moved => whole(here),
            Trap::Pipe => {
                fs::write(here, "mine").unwrap();
                mknodat(CWD, there, FileType::Fifo, Mode::RUSR, 0).unwrap();
            }
            Trap::Device => {
                fs::write(here, "mine").unwrap();
                mknodat(CWD, there, FileType::CharacterDevice, Mode::RUSR, makedev(1, 5)).unwrap();
            }
        }
    }

    fn flip(self, here: &Path, there: &Path) {
        if self == Trap::Moved {
            fs::rename(here, there).unwrap();
            return fs::rename(there, here).unwrap();
        }
        renameat_with(CWD, here, CWD, there, RenameFlags::EXCHANGE).unwrap();
    }
}

struct Laid {
    trap: Trap,
    here: PathBuf,
    there: PathBuf,
    /// Odd while it is flipped.
    flips: AtomicU64,
}

/// The traps of one tree.
pub(super) struct Traps {
    laid: Vec<Laid>,
    /// Where the walk is.
    aim: AtomicUsize,
    /// Inodes of the secret place.
    pub(super) secret_inodes: Vec<u64>,
    /// The file system has inode flags, and those of the secret place have one.
    pub(super) has_flags: bool,
    /// The file system has extended attributes, and the secret place one.
    pub(super) has_attributes: bool,
    watch: Watch,
}

impl Traps {
    pub(super) fn lay(host: &Host, traps: &[Trap]) -> Self {
        let (secret, stash) = (host.top().join("outside/secret"), host.top().join("stash"));
        fs::create_dir_all(&stash).unwrap();
        // So that the secret place has all that the way through it asks for.
        for below in ["", "sub", "sub/sub"] {
            let at = secret.join(below);
            furnish(&at, SECRET, SECRET_TARGET);
            fs::write(at.join(std::str::from_utf8(SECRET_NAME).unwrap()), SECRET).unwrap();
        }
        let all = below(&secret);
        let marked = all.iter().filter(|path| !path.is_symlink());
        let has_flags = marked.clone().all(|path| flag(path));
        let has_attributes =
            marked.clone().all(|path| lsetxattr(path, "user.mark", SECRET, XattrFlags::empty()).is_ok());
        let watch = Watch::on(marked);
        let can = |trap: &&Trap| **trap != Trap::Device || root();
        let laid = traps.iter().filter(can).map(|trap| {
            let (here, there) = (host.path(trap.name()), stash.join(trap.name()));
            trap.lay(&here, &there, &secret);
            Laid { trap: *trap, here, there, flips: AtomicU64::new(0) }
        });
        let laid = laid.collect();
        let secret_inodes = all.iter().map(|path| fs::symlink_metadata(path).unwrap().ino()).collect();
        Self { laid, aim: AtomicUsize::new(0), secret_inodes, has_flags, has_attributes, watch }
    }

    /// Flips, without a pause: what is at hand now and what comes next, as somebody would who sees where the walk is; and one of the others.
    pub(super) fn flip_until(&self, stop: &AtomicBool) {
        let mut other = 0;
        while !stop.load(Ordering::Relaxed) {
            let aim = self.aim.load(Ordering::Relaxed);
            other += 1;
            for place in [aim, aim + 1, other] {
                let laid = &self.laid[place % self.laid.len()];
                laid.flips.fetch_add(1, Ordering::SeqCst);
                laid.trap.flip(&laid.here, &laid.there);
                laid.flips.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    /// The walk is at this trap.
    pub(super) fn aim_at(&self, trap: usize) {
        self.aim.store(trap, Ordering::Relaxed);
    }

    /// How far each is: different while and after it was flipped.
    pub(super) fn marks(&self, to: &mut Vec<u64>) {
        to.clear();
        to.extend(self.laid.iter().map(|laid| laid.flips.load(Ordering::SeqCst)));
    }

    /// Which trap a path of the tree is, or lies under.
    pub(super) fn of(&self, path: &[u8]) -> Option<usize> {
        let name = path.strip_prefix(b"data/")?.split(|byte| *byte == b'/').next()?;
        self.laid.iter().position(|laid| laid.trap.name().as_bytes() == name)
    }

    pub(super) fn flips(&self) -> u64 {
        self.laid.iter().map(|laid| laid.flips.load(Ordering::SeqCst) / 2).sum()
    }

    /// Anybody opened or read anything of the secret place.
    pub(super) fn secret_was_opened(&self) -> bool {
        self.watch.has_seen()
    }
}

/// Sees who opens or reads.
pub(super) struct Watch(OwnedFd);

impl Watch {
    pub(super) fn on<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> Self {
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        for path in paths {
            inotify::add_watch(&watch, path, WatchFlags::OPEN | WatchFlags::ACCESS).unwrap();
        }
        Self(watch)
    }

    pub(super) fn has_seen(&self) -> bool {
        let mut space = [MaybeUninit::uninit(); 4096];
        Reader::new(&self.0, &mut space).next().is_ok()
    }
}

fn furnish(at: &Path, content: &[u8], target: &[u8]) {
    fs::create_dir_all(at.join("sub")).unwrap();
    for file in ["file", "sub/file"] {
        fs::write(at.join(file), content).unwrap();
    }
    let target = std::str::from_utf8(target).unwrap();
    for link in ["link", "sub/link"] {
        let _ = symlink(target, at.join(link));
    }
}

/// Do not dump: means nothing to anybody here.
fn flag(path: &Path) -> bool {
    let file = File::open(path).unwrap();
    ioctl_getflags(&file).and_then(|flags| ioctl_setflags(&file, flags | IFlags::NODUMP)).is_ok()
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(below(&path)),
            false => all.push(path),
        }
    }
    all
}
