//! Attempts on files: what Landlock refuses where the filter lets the call through, and what the filter refuses.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, chown, symlink};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, XattrFlags};

use crate::attempts::{Attempt, INGEST, MAKERS, NONE, READERS, RESTORE, TREES, WRITERS, any, root};

pub(crate) const READING: &[Attempt] = &[
    any("read /etc/passwd", NONE, |_| fs::read("/etc/passwd").map(drop)),
    any("read a file outside", NONE, |h| fs::read(h.path.join("outside/file")).map(drop)),
    any("read outside by dot dot", NONE, |h| fs::read(h.path.join("inside/../outside/file")).map(drop)),
    any("read outside through a link inside", NONE, |h| fs::read(h.path.join("inside/link")).map(drop)),
    any("read beneath a held folder that was not named", NONE, |h| {
        rustix::fs::openat(&h.outside, "file", OFlags::RDONLY, Mode::empty()).map(drop).map_err(Into::into)
    }),
    any("read dot dot of the held folder", NONE, |h| {
        rustix::fs::openat(&h.inside, "../outside/file", OFlags::RDONLY, Mode::empty())
            .map(drop)
            .map_err(Into::into)
    }),
    any("list the folder outside", NONE, |h| fs::read_dir(h.path.join("outside")).map(drop)),
    any("list the root", NONE, |_| fs::read_dir("/").map(drop)),
    any("read its own environment", NONE, |_| fs::read("/proc/self/environ").map(drop)),
    any("open its own memory", NONE, |_| OpenOptions::new().write(true).open("/proc/self/mem").map(drop)),
    any("open another view of its files", NONE, |_| fs::read_dir("/proc/self/root/etc").map(drop)),
    any("open a terminal maker", NONE, |_| {
        rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR).map(drop).map_err(Into::into)
    }),
    any("read the kernel's random device", NONE, |_| File::open("/dev/urandom").map(drop)),
    any("read beneath a readable folder", READERS, |h| {
        rustix::fs::openat(&h.readable, "file", OFlags::RDONLY, Mode::empty()).map(drop).map_err(Into::into)
    }),
    any("look at a name inside", WRITERS, |h| {
        rustix::fs::statat(&h.inside, "file", AtFlags::SYMLINK_NOFOLLOW).map(drop).map_err(Into::into)
    }),
    any("read a link", TREES, |h| {
        rustix::fs::readlinkat(&h.inside, "link", Vec::new()).map(drop).map_err(Into::into)
    }),
];

pub(crate) const WRITING: &[Attempt] = &[
    any("write a file inside", WRITERS, |h| {
        let mut file = create(&h.inside, "new")?;
        file.write_all(b"x")?;
        file.sync_all()
    }),
    any("create a file outside", NONE, |h| fs::write(h.path.join("outside/new"), "x")),
    any("create a file beneath a held folder that was not named", NONE, |h| {
        create(&h.outside, "new").map(drop)
    }),
    any("create a file beneath a readable folder", NONE, |h| create(&h.readable, "new").map(drop)),
    any("append to a file outside", NONE, |h| {
        OpenOptions::new().append(true).open(h.path.join("outside/file")).map(drop)
    }),
    any("write through a link inside", NONE, |h| fs::write(h.path.join("inside/link"), "x")),
    any("truncate a file outside on opening", NONE, |h| File::create(h.path.join("outside/file")).map(drop)),
    any("make a temporary file outside", NONE, |h| {
        let flags = rustix::fs::OFlags::TMPFILE.bits().cast_signed();
        OpenOptions::new().write(true).custom_flags(flags).open(h.path.join("outside")).map(drop)
    }),
    any("remove a file outside", NONE, |h| {
        rustix::fs::unlinkat(&h.outside, "spare", AtFlags::empty()).map_err(Into::into)
    }),
    any("remove a folder outside", NONE, |h| {
        rustix::fs::unlinkat(&h.outside, "empty", AtFlags::REMOVEDIR).map_err(Into::into)
    }),
    any("rename out", NONE, |h| rename(&h.inside, "file", &h.outside, "moved")),
    any("rename in", NONE, |h| rename(&h.outside, "file", &h.inside, "moved")),
    any("rename outside", NONE, |h| rename(&h.outside, "file", &h.outside, "moved")),
    any("exchange with a file outside", NONE, |h| exchange(&h.inside, &h.outside)),
    any("rename between folders inside", WRITERS, |h| rename(&h.inside, "in/file", &h.inside, "out/file")),
    any("hard link out", NONE, |h| link(&h.inside, "file", &h.outside, "hard")),
    any("hard link in", NONE, |h| link(&h.outside, "file", &h.inside, "hard")),
    any("hard link to where more is allowed", NONE, |h| link(&h.folders, "file", &h.inside, "hard")),
    any("rename to where more is allowed", NONE, |h| rename(&h.folders, "file", &h.inside, "moved")),
    any("rename a fifo to where more is allowed", NONE, |h| rename(&h.folders, "fifo", &h.inside, "moved")),
    any("rename a folder to where more is allowed", NONE, |h| rename(&h.folders, "sub", &h.inside, "moved")),
    any("rename a symlink to where more is allowed", NONE, |h| {
        rename(&h.folders, "link", &h.inside, "moved")
    }),
    any("hard link a fifo to where more is allowed", NONE, |h| link(&h.folders, "fifo", &h.inside, "hard")),
    any("exchange files with where more is allowed", NONE, |h| exchange(&h.folders, &h.inside)),
    any("rename to where less is allowed", INGEST, |h| rename(&h.inside, "file", &h.folders, "moved")),
    any("hard link inside", MAKERS, |h| link(&h.inside, "file", &h.inside, "out/hard")),
    any("symlink inside", MAKERS, |h| {
        rustix::fs::symlinkat("/etc/shadow", &h.inside, "soft").map_err(Into::into)
    }),
    any("symlink outside", NONE, |h| symlink("/etc/shadow", h.path.join("outside/soft"))),
    any("make a folder inside", MAKERS, |h| {
        rustix::fs::mkdirat(&h.inside, "folder", Mode::RWXU).map_err(Into::into)
    }),
    any("make a folder where only folders and files may be made", INGEST, |h| {
        rustix::fs::mkdirat(&h.folders, "folder", Mode::RWXU).map_err(Into::into)
    }),
    any("make a file where only folders and files may be made", INGEST, |h| {
        create(&h.folders, "new").map(drop)
    }),
    any("symlink where only folders and files may be made", NONE, |h| {
        rustix::fs::symlinkat("/etc/shadow", &h.folders, "soft").map_err(Into::into)
    }),
    any("symlink where only links may be made", INGEST, |h| {
        rustix::fs::symlinkat("/etc/shadow", &h.links, "soft").map_err(Into::into)
    }),
    any("rename a link over another where only links may be made", INGEST, |h| {
        rename(&h.links, "link", &h.links, "other")
    }),
    any("remove a link where only links may be made", INGEST, |h| {
        rustix::fs::unlinkat(&h.links, "link", AtFlags::empty()).map_err(Into::into)
    }),
    any("remove a file where only links may be made", INGEST, |h| {
        rustix::fs::unlinkat(&h.links, "file", AtFlags::empty()).map_err(Into::into)
    }),
    any("list the folder where only links may be made", INGEST, |h| {
        fs::read_dir(h.path.join("links")).map(drop)
    }),
    any("read a file where only links may be made", NONE, |h| {
        rustix::fs::openat(&h.links, "file", OFlags::RDONLY, Mode::empty()).map(drop).map_err(Into::into)
    }),
    any("make a file where only links may be made", NONE, |h| create(&h.links, "new").map(drop)),
    any("make a folder where only links may be made", NONE, |h| {
        rustix::fs::mkdirat(&h.links, "folder", Mode::RWXU).map_err(Into::into)
    }),
    any("rename to where only links may be made", NONE, |h| rename(&h.inside, "file", &h.links, "moved")),
    any("hard link to where only links may be made", NONE, |h| link(&h.inside, "file", &h.links, "hard")),
    any("rename from where only links may be made", NONE, |h| rename(&h.links, "link", &h.inside, "moved")),
    any("make a folder outside", NONE, |h| {
        rustix::fs::mkdirat(&h.outside, "folder", Mode::RWXU).map_err(Into::into)
    }),
    any("make a fifo inside", RESTORE, |h| {
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(&h.inside, "fifo", fifo, Mode::RWXU, 0).map_err(Into::into)
    }),
    any("make a socket by its name inside", NONE, |h| {
        let socket = rustix::fs::FileType::Socket;
        rustix::fs::mknodat(&h.inside, "socket", socket, Mode::RWXU, 0).map_err(Into::into)
    }),
    root("make a device inside", RESTORE, |h| {
        let device = rustix::fs::FileType::CharacterDevice;
        rustix::fs::mknodat(&h.inside, "zero", device, Mode::RWXU, rustix::fs::makedev(1, 5))
            .map_err(Into::into)
    }),
];

pub(crate) const FACTS: &[Attempt] = &[
    any("chmod by path", NONE, |h| {
        let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o4755);
        fs::set_permissions(h.path.join("outside/file"), mode)
    }),
    any("chmod by name in a held folder", RESTORE, |h| {
        rustix::fs::chmodat(&h.inside, "file", Mode::RWXU, AtFlags::empty()).map_err(Into::into)
    }),
    any("chmod by descriptor", MAKERS, |h| rustix::fs::fchmod(&h.inside, Mode::RWXU).map_err(Into::into)),
    any("chown by path", NONE, |h| chown(h.path.join("outside/file"), Some(me()), None)),
    any("chown by descriptor", NONE, |h| {
        let me = rustix::process::geteuid();
        rustix::fs::fchown(&h.outside, Some(me), None).map_err(Into::into)
    }),
    any("set times by path", RESTORE, |h| {
        rustix::fs::utimensat(CWD, h.path.join("outside/file"), &now(), AtFlags::empty()).map_err(Into::into)
    }),
    any("set times by name in a held folder", RESTORE, |h| {
        rustix::fs::utimensat(&h.inside, "file", &now(), AtFlags::empty()).map_err(Into::into)
    }),
    any("set times by descriptor", MAKERS, |h| {
        h.inside.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH))
    }),
    any("set an attribute by path", RESTORE, |h| {
        let file = h.path.join("outside/file");
        rustix::fs::setxattr(file, "user.firn", b"x", XattrFlags::empty()).map_err(Into::into)
    }),
    any("set an attribute by descriptor", RESTORE, |h| {
        rustix::fs::fsetxattr(&h.inside, "user.firn", b"x", XattrFlags::empty()).map_err(Into::into)
    }),
    any("list attributes by descriptor", &[sandbox::Profile::Client, sandbox::Profile::Restore], |h| {
        rustix::fs::flistxattr(&h.readable, &mut [0_u8; 256]).map(drop).map_err(Into::into)
    }),
    any("read the flags of an inode", &[sandbox::Profile::Client, sandbox::Profile::Restore], |h| {
        without_flags(rustix::fs::ioctl_getflags(&h.readable).map(drop))
    }),
    any("set the flags of an inode", RESTORE, |h| {
        // Extents, which it has, and no dump.
        let flags = rustix::fs::IFlags::from_bits_retain(0x8_0040);
        without_flags(rustix::fs::ioctl_setflags(&h.inside, flags))
    }),
    any("ask for the whole file system to be written", MAKERS, |h| {
        rustix::fs::syncfs(&h.inside).map_err(Into::into)
    }),
    any("watch a folder", NONE, |_| {
        rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::empty()).map(drop).map_err(Into::into)
    }),
    any("go to another folder", NONE, |_| std::env::set_current_dir("/")),
    any("ask where it is", NONE, |_| std::env::current_dir().map(drop)),
    any("ask what it could open", NONE, |_| {
        rustix::fs::accessat(CWD, "/etc/passwd", rustix::fs::Access::READ_OK, AtFlags::empty())
            .map_err(Into::into)
    }),
    any("truncate by descriptor", WRITERS, |h| {
        let file = rustix::fs::openat(&h.inside, "file", OFlags::RDWR, Mode::empty())?;
        rustix::fs::ftruncate(file, 1).map_err(Into::into)
    }),
    any("lock a file inside", WRITERS, |h| {
        let file = rustix::fs::openat(&h.inside, "file", OFlags::RDWR, Mode::empty())?;
        rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(Into::into)
    }),
    any("read its input", ALL, |_| io::stdin().read(&mut [0; 1]).map(drop)),
];

pub(crate) const ALL: &[sandbox::Profile] = &[
    sandbox::Profile::Decoder,
    sandbox::Profile::Transport,
    sandbox::Profile::Receiver,
    sandbox::Profile::Ingest,
    sandbox::Profile::Restore,
    sandbox::Profile::Client,
];

fn create(folder: &File, name: impl AsRef<Path>) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    Ok(rustix::fs::openat(folder, name.as_ref(), flags, Mode::RUSR | Mode::WUSR)?.into())
}

/// A file system that has none says so, which is no refusal.
fn without_flags(done: rustix::io::Result<()>) -> io::Result<()> {
    match done {
        Err(rustix::io::Errno::NOTTY | rustix::io::Errno::OPNOTSUPP) => Ok(()),
        done => Ok(done?),
    }
}

fn rename(from: &File, name: &str, to: &File, target: &str) -> io::Result<()> {
    rustix::fs::renameat(from, name, to, target).map_err(Into::into)
}

fn exchange(one: &File, other: &File) -> io::Result<()> {
    rustix::fs::renameat_with(one, "file", other, "file", RenameFlags::EXCHANGE).map_err(Into::into)
}

fn link(from: &File, name: &str, to: &File, target: &str) -> io::Result<()> {
    rustix::fs::linkat(from, name, to, target, AtFlags::empty()).map_err(Into::into)
}

fn now() -> rustix::fs::Timestamps {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    rustix::fs::Timestamps { last_access: now, last_modification: now }
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}
