//! The parent's side: starts the child, and believes nothing that breaks the rules of the talk.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cli::{Exit, Failure};
use formats::RelPath;

use super::talk::{Kind, Message, SEND, SKIP, TORN, Told, read_piece_length};

/// A child that says nothing for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(600);

/// Threads that expand blocks.
const THREADS_MAX: usize = 8;
/// Between the end of a child's talk and its own end.
const FAREWELL: Duration = Duration::from_secs(5);
const FAREWELL_TRIES: u32 = 100;

/// Why an image cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("starting the child that reads the image")]
    Start(#[source] io::Error),
    #[error("the image cannot be read: {text}")]
    Broken { text: String },
    #[error("the child that reads the image ended with {how}")]
    Died { how: String },
    #[error("the image cannot be read")]
    Talk(#[source] io::Error),
    #[error("the image holds a name that no host can have")]
    Path,
    #[error("the image holds names twice, or out of order: {path}")]
    Order { path: RelPath },
}

impl Failure for ImageError {
    fn exit(&self) -> Exit {
        match self {
            // What breaks the rules of the talk was led astray by the image.
            ImageError::Talk(error) if error.kind() == io::ErrorKind::InvalidData => Exit::IMAGE_DIFFERS,
            // Killed, out of memory, stuck: nothing of that is the image's fault, and it may be whole.
            ImageError::Start(_) | ImageError::Died { .. } | ImageError::Talk(_) => Exit::MACHINE,
            _ => Exit::IMAGE_DIFFERS,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            ImageError::Died { .. } | ImageError::Talk(_) => {
                Some("this machine is too small or too slow, or its disk cannot be read, which the kernel's log tells; an image with very many files needs more memory_bytes in the settings".to_owned())
            }
            _ => None,
        }
    }
}

/// A name in the image, of which the path is known to be sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// From the root of the image.
    pub(crate) path: RelPath,
    pub(crate) mode: u32,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    /// Seconds since 1970.
    pub(crate) mtime: u32,
    pub(crate) kind: Kind,
}

/// Names of an image, strictly ascending, each with its content if one asks for it before the next.
pub(crate) struct ImageReader {
    child: Child,
    from: BufReader<UnixStream>,
    to: UnixStream,
    ahead: Option<Node>,
    last: Option<RelPath>,
    content: Content,
    /// What broke off the talk within a content: whoever looks for the next name is told.
    broke: Option<io::ErrorKind>,
    ended: bool,
}

/// Where the talk stands with the content of the name that was taken last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// There is none, or it is through.
    Done,
    /// The child waits for an answer.
    Asked,
    /// So many bytes of a piece are still to come, and then other pieces.
    Within(u32),
}

impl ImageReader {
    /// Starts a child that tells about `wanted`, all beneath it, and the folders on the way.
    pub(crate) fn start(image: &File, wanted: &[Vec<u8>], memory_bytes: u64) -> Result<Self, ImageError> {
        let (ours, theirs) = UnixStream::pair().map_err(ImageError::Start)?;
        ours.set_read_timeout(Some(PATIENCE)).map_err(ImageError::Start)?;
        ours.set_write_timeout(Some(PATIENCE)).map_err(ImageError::Start)?;
        // backhand 0.25 reads nothing at all with a single thread.
        let threads =
            std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, THREADS_MAX));
        let child = Command::new(std::env::current_exe().map_err(ImageError::Start)?)
            .arg("read-image")
            .arg(format!("--memory-bytes={memory_bytes}"))
            .arg("--")
            .args(wanted.iter().map(|name| std::ffi::OsString::from_vec(name.clone())))
            .env_clear()
            .env("RAYON_NUM_THREADS", threads.to_string())
            // glibc reserves address space for each thread's own heap, and the limit counts it.
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(image.try_clone().map_err(ImageError::Start)?)
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::null())
            .spawn()
            .map_err(ImageError::Start)?;
        let to = ours.try_clone().map_err(ImageError::Start)?;
        let from = BufReader::with_capacity(1 << 18, ours);
        let (ahead, last, broke) = (None, None, None);
        Ok(ImageReader { child, from, to, ahead, last, content: Content::Done, broke, ended: false })
    }

    /// The next name, which stays the next.
    pub(crate) fn peek(&mut self) -> Result<Option<&Node>, ImageError> {
        if let Some(kind) = self.broke {
            return Err(self.why(kind.into()));
        }
        if self.ahead.is_none() && !self.ended {
            self.pass_content().map_err(|error| self.why(error))?;
            match Message::read(&mut self.from).map_err(|error| self.why(error))? {
                Message::Name(told) => self.ahead = Some(self.accept(told)?),
                Message::End => self.ended = true,
                Message::Broken(text) => {
                    return Err(ImageError::Broken { text: cli::shown(text.as_bytes()) });
                }
            }
        }
        Ok(self.ahead.as_ref())
    }

    /// The next name. Its content can be read until the one after it is looked at.
    pub(crate) fn take(&mut self) -> Result<Option<Node>, ImageError> {
        self.peek()?;
        let node = self.ahead.take();
        if let Some(Node { kind: Kind::File { size: 1.. }, .. }) = &node {
            self.content = Content::Asked;
        }
        Ok(node)
    }

    /// The content of the file that was taken last. That it cannot be expanded says nothing about the rest of the image; any other error ends the talk.
    pub(crate) fn content(&mut self) -> ContentReader<'_> {
        ContentReader { image: self }
    }

    fn accept(&mut self, told: Told) -> Result<Node, ImageError> {
        let path = RelPath::new(&told.path).or(Err(ImageError::Path))?;
        if self.last.as_ref().is_some_and(|last| *last >= path) {
            return Err(ImageError::Order { path });
        }
        self.last = Some(path.clone());
        let Told { mode, owner, group, mtime, kind, .. } = told;
        Ok(Node { path, mode, owner, group, mtime, kind })
    }

    /// Brings the talk to the next message, whatever of the content was not read.
    fn pass_content(&mut self) -> io::Result<()> {
        if self.content == Content::Asked {
            self.to.write_all(&[SKIP])?;
            self.content = Content::Done;
        }
        let mut waste = vec![0; if self.content == Content::Done { 0 } else { 1 << 16 }];
        while self.content != Content::Done {
            // What cannot be read on is at its end too.
            if self.read_content(&mut waste).is_err() && self.content != Content::Done {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    fn read_content(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.content == Content::Asked {
            self.to.write_all(&[SEND])?;
            self.content = Content::Within(0);
        }
        if self.content == Content::Within(0) {
            match read_piece_length(&mut self.from)? {
                0 => self.content = Content::Done,
                TORN => {
                    self.content = Content::Done;
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "it cannot be expanded"));
                }
                length => self.content = Content::Within(length),
            }
        }
        let Content::Within(left) = self.content else { return Ok(0) };
        let room = buffer.len().min(left as usize);
        let read = loop {
            match self.from.read(buffer.get_mut(..room).unwrap_or_default()) {
                // To stop and continue a process ends a wait that has a limit.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if read == 0 && room > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content = Content::Within(left.saturating_sub(u32::try_from(read).unwrap_or(left)));
        Ok(read)
    }

    /// What became of the child, if the talk broke off because it is gone.
    fn why(&mut self, error: io::Error) -> ImageError {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        if ![BrokenPipe, ConnectionReset, UnexpectedEof].contains(&error.kind()) {
            return ImageError::Talk(error);
        }
        for _ in 0..FAREWELL_TRIES {
            match self.child.try_wait() {
                Ok(Some(status)) => return ImageError::Died { how: status.to_string() },
                Ok(None) => std::thread::sleep(FAREWELL / FAREWELL_TRIES),
                Err(error) => return ImageError::Talk(error),
            }
        }
        // It closed its end and lives on; `drop` ends it.
        ImageError::Talk(error)
    }
}

impl Drop for ImageReader {
    fn drop(&mut self) {
        // It may have ended by itself; what matters is that it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct ContentReader<'a> {
    image: &'a mut ImageReader,
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.image.read_content(buffer);
        if let Err(error) = &read
            && self.image.content != Content::Done
        {
            self.image.broke = Some(error.kind());
        }
        read
    }
}
