//! What each profile is for must work in it, or nobody will use it.

use std::collections::HashMap;
use std::fs::{File, FileTimes};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, ResolveFlags};
use sandbox::{Profile, Threads};

use crate::prisoner::{CELLS, Cell, Held, enter, held};
use crate::world::{World, text, users};

pub(crate) fn each_profile() {
    for user in users() {
        for (word, _) in CELLS {
            let input = vec![b'x'; 5_000_000];
            let done = World::new(user).run_fed(&["work", word], &input);
            let said = text(&done.stdout);
            assert!(
                done.status.success(),
                "{word} as {user:?}: {:?}\n{said}{}",
                done.status,
                text(&done.stderr)
            );
            assert!(said.contains("work done"), "{word}: {said}");
        }
    }
}

pub(crate) fn child(cell: Cell) {
    let held = held();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut there = listener.accept().unwrap().0;
    let _ = enter(cell, &held, Threads::One);
    any_program();
    let profile = match cell {
        Cell::Free => Profile::Ingest,
        Cell::In(profile) => profile,
        Cell::Trusted => Profile::Client,
    };
    match profile {
        Profile::Decoder => {}
        Profile::Transport => sockets(&mut here, &mut there),
        Profile::Receiver => files(&held),
        Profile::Ingest => {
            files(&held);
            tree(&held);
        }
        Profile::Restore => {
            files(&held);
            metadata(&held);
        }
        Profile::Client => {
            files(&held);
            reading(&held);
        }
    }
    println!("work done");
}

/// What the standard library does behind one's back.
fn any_program() {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).unwrap();
    assert_eq!(input.len(), 5_000_000);
    let mut blocks: Vec<Vec<u8>> = (0..64).map(|_| vec![1; 1 << 20]).collect();
    blocks.iter_mut().for_each(|block| block.extend_from_within(..));
    drop(blocks);
    let map: HashMap<u32, u32> = (0..1_000).map(|n| (n, n)).collect();
    assert_eq!(map.len(), 1_000);
    let begin = Instant::now();
    std::thread::sleep(Duration::from_millis(2));
    assert!(begin.elapsed() >= Duration::from_millis(2) && SystemTime::now() > SystemTime::UNIX_EPOCH);
    assert!(std::thread::available_parallelism().is_ok());
    let copied = File::from(std::io::stderr().as_fd().try_clone_to_owned().unwrap());
    drop(copied);
    assert!(rustix::process::getrlimit(rustix::process::Resource::Nofile).current.is_some());
    std::thread::yield_now();
    eprintln!("{} {}", std::process::id(), rustix::process::geteuid().as_raw());
}

fn sockets(here: &mut TcpStream, there: &mut TcpStream) {
    here.set_nodelay(true).unwrap();
    there.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    here.write_all(b"hello").unwrap();
    let mut read = [0; 5];
    there.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"hello");
    here.set_nonblocking(true).unwrap();
    assert_eq!(here.read(&mut read).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    there.write_all(b"reply").unwrap();
    let mut waiting = [rustix::event::PollFd::new(here, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut waiting, None).unwrap(), 1);
    rustix::net::recv(&*here, &mut read, rustix::net::RecvFlags::empty()).unwrap();
    assert_eq!(&read, b"reply");
    assert!(here.peer_addr().is_ok() && here.local_addr().is_ok() && here.take_error().unwrap().is_none());
    here.shutdown(std::net::Shutdown::Both).unwrap();
}

/// What crate durable asks of the kernel.
fn files(held: &Held) {
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let open = |name: &str, flags: OFlags, mode: Mode| {
        rustix::fs::openat2(&held.inside, name, flags | OFlags::CLOEXEC, mode, beneath)
    };
    let new = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    let mut file = File::from(open("in/push", new, Mode::RUSR | Mode::WUSR).unwrap());
    file.write_all(b"frames and a torn one").unwrap();
    file.set_len(6).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, 4096).unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential).unwrap();
    file.sync_all().unwrap();
    file.sync_data().unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), file.metadata().unwrap().len()), ("frames", 6));
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let folder = |name: &str| open(name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let (from, to) = (folder("in"), folder("out"));
    rustix::fs::renameat_with(&from, "push", &to, "push", RenameFlags::NOREPLACE).unwrap();
    rustix::fs::fsync(&to).unwrap();
    rustix::fs::fsync(&from).unwrap();
    let names = rustix::fs::Dir::read_from(&to).unwrap().map(|entry| entry.unwrap().file_name().to_owned());
    assert!(names.into_iter().any(|name| name.to_bytes() == b"push"));
    assert_eq!(rustix::fs::statat(&to, "push", AtFlags::SYMLINK_NOFOLLOW).unwrap().st_size, 6);
    assert!(rustix::fs::fstatvfs(&to).unwrap().f_bavail > 0);
    rustix::fs::unlinkat(&to, "push", AtFlags::empty()).unwrap();
    let mut by_path = String::new();
    let path = held.path.join("inside/file");
    let opened = rustix::fs::openat(rustix::fs::CWD, path, OFlags::RDONLY, Mode::empty()).unwrap();
    File::from(opened).read_to_string(&mut by_path).unwrap();
    assert_eq!(by_path, "content");
}

fn tree(held: &Held) {
    let inside = &held.inside;
    rustix::fs::mkdirat(inside, "snapshot", Mode::RWXU).unwrap();
    rustix::fs::linkat(inside, "file", inside, "snapshot/file", AtFlags::empty()).unwrap();
    rustix::fs::symlinkat("/etc/shadow", inside, "snapshot/link").unwrap();
    assert_eq!(
        rustix::fs::readlinkat(inside, "snapshot/link", Vec::new()).unwrap().as_bytes(),
        b"/etc/shadow"
    );
    let copy =
        rustix::fs::openat(inside, "snapshot/copy", OFlags::RDWR | OFlags::CREATE, Mode::RUSR).unwrap();
    let original = rustix::fs::openat(inside, "file", OFlags::RDONLY, Mode::empty()).unwrap();
    assert_eq!(rustix::fs::copy_file_range(&original, None, &copy, None, 7).unwrap(), 7);
    // Not every file system shares blocks: the filter must let it answer for itself.
    let shared = rustix::fs::ioctl_ficlone(&copy, &original);
    assert!(
        matches!(shared, Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::INVAL)),
        "{shared:?}"
    );
    let copy = File::from(copy);
    rustix::fs::fchmod(&copy, Mode::RUSR | Mode::WUSR).unwrap();
    copy.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH)).unwrap();
    rustix::fs::syncfs(inside).unwrap();
    rustix::fs::renameat(inside, "snapshot", inside, "out/snapshot").unwrap();
    for name in ["file", "link", "copy"] {
        rustix::fs::unlinkat(inside, format!("out/snapshot/{name}"), AtFlags::empty()).unwrap();
    }
    rustix::fs::unlinkat(inside, "out/snapshot", AtFlags::REMOVEDIR).unwrap();
}

/// What crate restore asks of the kernel.
fn metadata(held: &Held) {
    use rustix::fs::{FileType, XattrFlags};
    let inside = &held.inside;
    rustix::fs::mkdirat(inside, "restored", Mode::RWXU).unwrap();
    rustix::fs::symlinkat("/etc/shadow", inside, "restored/link").unwrap();
    rustix::fs::mknodat(inside, "restored/fifo", FileType::Fifo, Mode::RWXU, 0).unwrap();
    if crate::world::is_root() {
        let device = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(inside, "restored/null", FileType::CharacterDevice, Mode::RWXU, device).unwrap();
    }
    rustix::fs::linkat(inside, "restored/fifo", inside, "restored/second", AtFlags::empty()).unwrap();
    let link =
        rustix::fs::openat(inside, "restored/link", OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).unwrap();
    let me = rustix::process::geteuid();
    rustix::fs::chownat(&link, c"", Some(me), None, AtFlags::EMPTY_PATH).unwrap();
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    rustix::fs::utimensat(&link, c"", &times, AtFlags::EMPTY_PATH).unwrap();
    let fifo =
        rustix::fs::openat(inside, "restored/fifo", OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fifo));
    rustix::fs::chmod(path, Mode::RUSR).unwrap();
    let file = rustix::fs::openat(inside, "file", OFlags::RDWR, Mode::empty()).unwrap();
    match rustix::fs::fsetxattr(&file, "user.firn", b"x", XattrFlags::empty()) {
        Ok(()) => rustix::fs::fremovexattr(&file, "user.firn").unwrap(),
        Err(error) => assert_eq!(error, rustix::io::Errno::OPNOTSUPP),
    }
    rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR).unwrap();
    rustix::fs::syncfs(inside).unwrap();
}

fn reading(held: &Held) {
    let file = rustix::fs::openat(&held.readable, "file", OFlags::RDONLY, Mode::empty()).unwrap();
    let mut names = [0_u8; 256];
    let _ = rustix::fs::flistxattr(&file, &mut names).unwrap();
    let _ = rustix::fs::llistxattr(held.path.join("readable/file"), &mut names).unwrap();
    let absent = rustix::fs::fgetxattr(&file, "user.firn", &mut names);
    assert!(matches!(absent, Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP)), "{absent:?}");
    assert!(std::fs::read_link(held.path.join("inside/link")).is_err(), "the old call by path is not there");
    assert!(rustix::fs::readlinkat(&held.inside, "link", Vec::new()).is_ok());
}

pub(crate) fn threads() {
    for (word, cell) in CELLS {
        let said = World::new(crate::world::User::Same).must(&["threads", word]);
        let process = if cell == Cell::Free { "started" } else { "refused" };
        assert_eq!(said, format!("threads worked, process {process}\n"), "{word}");
    }
}

pub(crate) fn threads_child(cell: Cell) {
    let held = held();
    let _ = enter(cell, &held, Threads::More);
    let worker =
        |n: u64| std::thread::Builder::new().name(format!("worker {n}")).spawn(move || n * n).unwrap();
    let squares: Vec<u64> = (0..8).map(worker).map(|thread| thread.join().unwrap()).collect();
    assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49]);
    let outside = held.path.join("outside/file");
    let read = std::thread::spawn(|| std::fs::read(outside)).join().unwrap();
    assert_eq!(read.is_ok(), cell == Cell::Free, "a thread is as confined as its process");
    let process =
        if std::process::Command::new("/bin/true").status().is_ok() { "started" } else { "refused" };
    println!("threads worked, process {process}");
}

pub(crate) fn panic_and_abort() {
    let world = World::new(crate::world::User::Same);
    assert_eq!(world.must(&["fail", "panic"]), "caught\n");
    let done = world.run(&["fail", "abort"]);
    assert_eq!(done.status.signal(), Some(libc::SIGABRT), "{done:?}");
}

pub(crate) fn fail_child(word: &str) {
    let held = held();
    let _ = enter(Cell::In(Profile::Decoder), &held, Threads::One);
    match word {
        "panic" => {
            assert!(std::panic::catch_unwind(|| panic!("on purpose")).is_err());
            println!("caught");
        }
        _ => std::process::abort(),
    }
}
