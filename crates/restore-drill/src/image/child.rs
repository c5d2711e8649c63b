//! The child: reads an image from its standard input, and tells what is in it on its standard output.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use backhand::{BackhandError, FilesystemReader, InnerNode, Node, SquashfsFileReader};
use sandbox::{Confinement, Landlock, Profile, Threads, limits};

use super::talk::{Kind, Message, PIECE_BYTES_MAX, SEND, TORN, Told};
use crate::noting::{Noting, Trouble};

/// Room for the recursion of a reader that goes as deep as the image's folders do. Taken as it is used.
const STACK_BYTES: usize = 256 << 20;
/// Output is gathered up to this many bytes.
const OUT_BYTES: usize = 256 << 10;
/// `frag_index` of a file whose last bytes are in blocks of its own.
const NO_FRAGMENT: usize = 0xffff_ffff;
/// What a seek to an impossible place is answered with.
const EINVAL: i32 = rustix::io::Errno::INVAL.raw_os_error();

/// What a process may take so that a child of it has `memory_bytes` for an image.
pub(crate) fn address_space(memory_bytes: u64) -> u64 {
    memory_bytes.saturating_add(STACK_BYTES as u64)
}

/// Runs the child to its end. Everything that is wrong with the image is said in the talk. What is wrong with this machine ends the talk without a word:
/// it says nothing about the image.
pub(crate) fn serve(memory_bytes: u64, wanted: &[OsString]) -> ExitCode {
    match confined(memory_bytes).and_then(|()| in_deep_thread(memory_bytes, wanted)) {
        Ok(()) => cli::Exit::WHOLE.into(),
        Err(_) => cli::Exit::MACHINE.into(),
    }
}

/// From here on, bytes come in and bytes go out, and that is all.
fn confined(memory_bytes: u64) -> io::Result<()> {
    limits::limit_memory(address_space(memory_bytes)).map_err(io::Error::other)?;
    limits::limit_core_zero().map_err(io::Error::other)?;
    limits::die_with_parent().map_err(io::Error::other)?;
    // A restore must work on any rescue system, so the walls that its kernel has must do; the filter of system calls always stands.
    let confinement =
        Confinement::new(Profile::Decoder).landlock(Landlock::IfAvailable).threads(Threads::More);
    let _ = confinement.apply().map_err(io::Error::other)?;
    Ok(())
}

fn in_deep_thread(memory_bytes: u64, wanted: &[OsString]) -> io::Result<()> {
    let work = || tell(memory_bytes, wanted);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))
    })
}

fn tell(memory_bytes: u64, wanted: &[OsString]) -> io::Result<()> {
    let image = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let parent = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut teller = Teller {
        to: BufWriter::with_capacity(OUT_BYTES, parent.try_clone()?),
        from: parent,
        wanted: wanted.iter().map(|name| name.as_bytes()).collect(),
        fragments: Fragments { expanded: HashSet::new(), bytes_max: memory_bytes / 4 },
    };
    let last = match teller.all(&image) {
        Ok(()) => Message::End,
        Err(Stop::Image(error)) => Message::Broken(words(&error)),
        Err(Stop::Machine(error)) => return Err(error),
    };
    last.write(&mut teller.to)?;
    teller.to.flush()
}

/// Why the telling stops.
enum Stop {
    Image(BackhandError),
    /// The parent is gone, the disk cannot be read, memory has run out.
    Machine(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Machine(error)
    }
}

impl Stop {
    /// Whose fault it is that the image cannot be read. A seek beyond what there is can be the image's.
    fn of(error: BackhandError, trouble: &Trouble) -> Stop {
        match (trouble.take(), error) {
            (Some(trouble), _) if trouble.raw_os_error() != Some(EINVAL) => Stop::Machine(trouble),
            (_, BackhandError::TryReserveError(_)) => Stop::Machine(io::ErrorKind::OutOfMemory.into()),
            (_, error) => Stop::Image(error),
        }
    }
}

struct Teller<'a> {
    to: BufWriter<File>,
    from: File,
    wanted: Vec<&'a [u8]>,
    fragments: Fragments,
}

/// The reader keeps every fragment block that it ever expanded. When that has grown too large, the image is opened anew.
struct Fragments {
    expanded: HashSet<usize>,
    bytes_max: u64,
}

impl Teller<'_> {
    fn all(&mut self, image: &File) -> Result<(), Stop> {
        let mut next = 0;
        while let Some(at) = self.some(image, next)? {
            next = at;
        }
        Ok(())
    }

    /// Tells from number `first` on; the number to go on with if it had to stop for memory.
    fn some(&mut self, image: &File, first: usize) -> Result<Option<usize>, Stop> {
        let (reader, trouble) = Noting::new(image.try_clone()?);
        let mut reader = BufReader::new(reader);
        reader.rewind()?;
        let system = FilesystemReader::from_reader(reader).map_err(|error| Stop::of(error, &trouble))?;
        self.fragments.expanded.clear();
        for (number, node) in system.files().enumerate().skip(first) {
            if self.is_wanted(path_of(node)) {
                self.one(&system, node, &trouble)?;
            }
            if self.fragments.are_too_many(system.block_size) {
                return Ok(Some(number + 1));
            }
        }
        Ok(None)
    }

    /// What is wanted, all beneath it, and the folders on the way to it. The empty name is the root.
    fn is_wanted(&self, path: &[u8]) -> bool {
        let beneath = |inner: &[u8], outer: &[u8]| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
        };
        let fits = |want: &&[u8]| want.is_empty() || beneath(path, want) || beneath(want, path);
        !path.is_empty() && self.wanted.iter().any(fits)
    }

    fn one(
        &mut self,
        system: &FilesystemReader<'_>,
        node: &Node<SquashfsFileReader>,
        trouble: &Trouble,
    ) -> Result<(), Stop> {
        Message::Name(told(node)).write(&mut self.to)?;
        match &node.inner {
            InnerNode::File(file) if file.file_len() > 0 => self.content(system, file, trouble),
            _ => Ok(()),
        }
    }

    fn content(
        &mut self,
        system: &FilesystemReader<'_>,
        file: &SquashfsFileReader,
        trouble: &Trouble,
    ) -> Result<(), Stop> {
        self.to.flush()?;
        let mut answer = [0u8];
        self.from.read_exact(&mut answer)?;
        if answer != [SEND] {
            return Ok(());
        }
        if file.frag_index() != NO_FRAGMENT {
            self.fragments.expanded.insert(file.frag_index());
        }
        let Ok(mut content) = system.file(file).reader_checked() else {
            return match trouble.take() {
                Some(trouble) => Err(trouble.into()),
                None => Ok(self.to.write_all(&TORN.to_le_bytes())?),
            };
        };
        let mut piece = vec![0; PIECE_BYTES_MAX.min(file.file_len())];
        loop {
            let read = match content.read(&mut piece) {
                Ok(read) => read,
                Err(error) => match Stop::of(error.into(), trouble) {
                    Stop::Image(_) => return Ok(self.to.write_all(&TORN.to_le_bytes())?),
                    stop => return Err(stop),
                },
            };
            self.to.write_all(&u32::try_from(read).unwrap_or(TORN).to_le_bytes())?;
            self.to.write_all(piece.get(..read).unwrap_or_default())?;
            if read == 0 {
                return Ok(());
            }
        }
    }
}

impl Fragments {
    fn are_too_many(&self, block_size: u32) -> bool {
        self.expanded.len() as u64 * u64::from(block_size) > self.bytes_max
    }
}

/// The library is built without its own words.
fn words(error: &BackhandError) -> String {
    let words = match error {
        BackhandError::StdIo(error) => return error.to_string(),
        BackhandError::Deku(_) => "a table has a field out of bounds",
        BackhandError::UnsupportedCompression(_) => "it is compressed in a way this program does not read",
        BackhandError::InvalidFilePath => "a name is no name",
        BackhandError::InvalidIdTable => "an owner is not in its table",
        BackhandError::UnsupportedSquashfsVersion(..) => "its version of squashfs is not 4.0",
        BackhandError::UnexpectedInode => "a folder's entry leads to something else",
        _ => "its tables do not fit together",
    };
    words.to_owned()
}

fn path_of(node: &Node<SquashfsFileReader>) -> &[u8] {
    let path = node.fullpath.as_os_str().as_bytes();
    path.strip_prefix(b"/").unwrap_or(path)
}

fn told(node: &Node<SquashfsFileReader>) -> Told {
    let kind = match &node.inner {
        InnerNode::File(file) => Kind::File { size: file.file_len() as u64 },
        InnerNode::Dir(_) => Kind::Folder,
        InnerNode::Symlink(link) => Kind::Symlink { target: link.link.as_os_str().as_bytes().to_vec() },
        InnerNode::CharacterDevice(device) => Kind::CharDevice(device.device_number),
        InnerNode::BlockDevice(device) => Kind::BlockDevice(device.device_number),
        InnerNode::NamedPipe => Kind::Fifo,
        InnerNode::Socket => Kind::Socket,
    };
    let header = node.header;
    Told {
        path: path_of(node).to_vec(),
        mode: u32::from(header.permissions),
        owner: header.uid,
        group: header.gid,
        mtime: header.mtime,
        kind,
    }
}
