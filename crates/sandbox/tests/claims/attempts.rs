//! What a prisoner attempts: one table, with the profiles that are meant to allow it.

use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};
use sandbox::{Profile, Threads};

use crate::files;
use crate::prisoner::{Cell, Held, enter, held};

pub(crate) const NONE: &[Profile] = &[];
pub(crate) const WRITERS: &[Profile] =
    &[Profile::Receiver, Profile::Ingest, Profile::Restore, Profile::Client];
pub(crate) const TREES: &[Profile] = &[Profile::Ingest, Profile::Restore, Profile::Client];
pub(crate) const INGEST: &[Profile] = &[Profile::Ingest];
pub(crate) const MAKERS: &[Profile] = &[Profile::Ingest, Profile::Restore];
pub(crate) const RESTORE: &[Profile] = &[Profile::Restore];
pub(crate) const READERS: &[Profile] = &[Profile::Receiver, Profile::Restore, Profile::Client];

/// Who succeeds with it when free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Anybody,
    Root,
}

pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) who: Who,
    pub(crate) allowed: &'static [Profile],
    act: fn(&Held) -> io::Result<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Refused,
    /// It failed for another reason, which proves nothing.
    Other,
}

pub(crate) const fn any(
    name: &'static str,
    allowed: &'static [Profile],
    act: fn(&Held) -> io::Result<()>,
) -> Attempt {
    Attempt { name, who: Who::Anybody, allowed, act }
}

pub(crate) const fn root(
    name: &'static str,
    allowed: &'static [Profile],
    act: fn(&Held) -> io::Result<()>,
) -> Attempt {
    Attempt { name, who: Who::Root, allowed, act }
}

pub(crate) const ATTEMPTS: Table =
    Table(&[files::READING, files::WRITING, files::FACTS, PROCESSES, SOCKETS, KERNEL]);

/// The parts of the table, as one.
pub(crate) struct Table(&'static [&'static [Attempt]]);

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|part| part.len()).sum()
    }
}

impl IntoIterator for Table {
    type Item = &'static Attempt;
    type IntoIter = std::iter::Flatten<std::iter::Copied<std::slice::Iter<'static, &'static [Attempt]>>>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().copied().flatten()
    }
}

const PROCESSES: &[Attempt] = &[
    any("start a program", NONE, |_| Command::new("/bin/true").status().map(drop)),
    any("start a thread", NONE, |_| std::thread::Builder::new().spawn(|| ()).map(drop)),
    any("signal its parent", NONE, |_| {
        let parent = rustix::process::getppid().unwrap_or(Pid::INIT);
        as_nobody_may_not(rustix::process::test_kill_process(parent))
    }),
    any("signal itself by kill", NONE, |_| {
        rustix::process::test_kill_process(rustix::process::getpid()).map_err(Into::into)
    }),
    any("hold its parent", NONE, |_| {
        let parent = rustix::process::getppid().unwrap_or(Pid::INIT);
        rustix::process::pidfd_open(parent, rustix::process::PidfdFlags::empty())
            .map(drop)
            .map_err(Into::into)
    }),
    any("leave its session", NONE, |_| rustix::process::setsid().map(drop).map_err(Into::into)),
    any("become less urgent", NONE, |_| rustix::process::nice(1).map(drop).map_err(Into::into)),
    any("set a limit", NONE, |_| {
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        rustix::process::setrlimit(Resource::Core, none).map_err(Into::into)
    }),
    any("open its memory to others again", NONE, |_| {
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)
            .map_err(Into::into)
    }),
    any("choose its processor", NONE, |_| {
        let set = rustix::thread::sched_getaffinity(None)?;
        rustix::thread::sched_setaffinity(None, &set).map_err(Into::into)
    }),
    any("become its own user again", NONE, |_| {
        rustix::thread::set_thread_uid(rustix::process::getuid()).map_err(Into::into)
    }),
    root("take all capabilities back", NONE, |_| {
        let all = CapabilitySet::from_bits_retain((1 << 40) - 1);
        let held = rustix::thread::capabilities(None)?;
        let wanted = CapabilitySets { effective: held.permitted & all, ..held };
        rustix::thread::set_capabilities(None, wanted).map_err(Into::into)
    }),
];

const SOCKETS: &[Attempt] = &[
    any("connect by tcp", NONE, |_| {
        let port = std::env::var("FIRN_PORT").map_or(9, |port| port.parse().unwrap_or(9));
        match TcpStream::connect(("127.0.0.1", port)) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()), // it did reach out
            answer => answer.map(drop),
        }
    }),
    any("listen by tcp", NONE, |_| TcpListener::bind("127.0.0.1:0").map(drop)),
    any("send by udp", NONE, |_| UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", "127.0.0.1:9").map(drop)),
    any("listen inside by a unix socket", NONE, |h| UnixListener::bind(h.path.join("inside/s")).map(drop)),
    any("make a pair of sockets", NONE, |_| UnixStream::pair().map(drop)),
    any("make a datagram socket", NONE, |_| UnixDatagram::unbound().map(drop)),
    any("talk to the kernel by netlink", NONE, |_| {
        use rustix::net::{AddressFamily, SocketType, socket};
        socket(AddressFamily::NETLINK, SocketType::RAW, None).map(drop).map_err(Into::into)
    }),
];

const KERNEL: &[Attempt] = &[
    root("change its root", NONE, |h| rustix::process::chroot(h.path.join("inside")).map_err(Into::into)),
    root("begin a mount", NONE, |_| {
        use rustix::mount::{FsOpenFlags, fsopen};
        fsopen("tmpfs", FsOpenFlags::empty()).map(drop).map_err(Into::into)
    }),
    root("copy a mount", NONE, |h| {
        use rustix::mount::{OpenTreeFlags, open_tree};
        open_tree(&h.inside, "", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_EMPTY_PATH)
            .map(drop)
            .map_err(Into::into)
    }),
    root("name the machine", NONE, |_| {
        let name = std::fs::read("/proc/sys/kernel/hostname").unwrap_or_default();
        rustix::system::sethostname(name.trim_ascii_end()).map_err(Into::into)
    }),
    any("make a file of memory", NONE, |_| {
        rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::empty()).map(drop).map_err(Into::into)
    }),
    any("make a pipe", NONE, |_| rustix::pipe::pipe().map(drop).map_err(Into::into)),
    any("make a waiting list", NONE, |_| {
        rustix::event::epoll::create(rustix::event::epoll::CreateFlags::empty()).map(drop).map_err(Into::into)
    }),
    any("make an event", NONE, |_| {
        rustix::event::eventfd(0, rustix::event::EventfdFlags::empty()).map(drop).map_err(Into::into)
    }),
    any("make a timer", NONE, |_| {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::empty()).map(drop).map_err(Into::into)
    }),
    any("unpin its memory", NONE, |_| rustix::mm::munlockall().map_err(Into::into)),
    any("read its secure bits", NONE, |_| {
        rustix::thread::capabilities_secure_bits().map(drop).map_err(Into::into)
    }),
    any("grow a pipe", NONE, |_| {
        // No pipe can be made in there; on its input the answer is EPERM or EBADF, before anything is looked at.
        match rustix::pipe::fcntl_setpipe_size(std::io::stderr(), 4096) {
            Err(rustix::io::Errno::BADF) => Ok(()),
            answer => answer.map(drop).map_err(Into::into),
        }
    }),
    any("ask a device how much waits", NONE, |_| match rustix::io::ioctl_fionread(std::io::stdout()) {
        Err(rustix::io::Errno::NOTTY) => Ok(()),
        answer => answer.map(drop).map_err(Into::into),
    }),
];

/// The parent may belong to root, where a free nobody is refused too: that it could ask is what counts.
fn as_nobody_may_not(answer: rustix::io::Result<()>) -> io::Result<()> {
    match answer {
        Err(rustix::io::Errno::PERM) if !confined() => Ok(()),
        answer => answer.map_err(Into::into),
    }
}

fn confined() -> bool {
    std::env::args().nth(3).is_some_and(|cell| cell != "free")
}

/// In the prisoner: confine, attempt, tell.
pub(crate) fn child(cell: Cell, name: &str) {
    let attempt = ATTEMPTS.into_iter().find(|attempt| attempt.name == name).unwrap();
    let held = held();
    let _ = enter(cell, &held, Threads::One);
    match (attempt.act)(&held) {
        Ok(()) => println!("done"),
        Err(error) => match error.raw_os_error() {
            // EXDEV is Landlock's answer to a rename or a link between folders it keeps apart.
            Some(libc::EPERM | libc::EACCES | libc::EXDEV) => println!("refused: {error}"),
            _ => println!("other: {error}"),
        },
    }
}

impl Outcome {
    pub(crate) fn parse(said: &str) -> Option<Outcome> {
        match said.split([':', '\n']).next() {
            Some("done") => Some(Outcome::Done),
            Some("refused") => Some(Outcome::Refused),
            Some("other") => Some(Outcome::Other),
            _ => None,
        }
    }
}
