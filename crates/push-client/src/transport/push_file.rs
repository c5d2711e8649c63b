//! A push into a file, for other means than a network: a child that speaks to us as a server would, and writes down what it is sent.
//!
//! It holds the folder of the file and nothing else. The file gets its name when it is sealed and on the disk, not before.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use durable::{Dir, Name};
use formats::published::{Limits, Published, Verdict};
use formats::session::{Had, ServerMessage};
use formats::{HostId, PushId, Root};
use sandbox::{Confinement, Landlock, Profile, limits};
use wire::server::{Effect, Jail, Server, refusal};

use super::carried::Speech;
use super::ending::{Ended, Ending};
use super::ssh2_child::wide_pipe;
use super::{Carried, TransportError};
use crate::plan::Target;

/// The hidden verb of the child.
const VERB: &str = "write-push-file";
/// What the file is called until it is sealed.
const UNSEALED: &str = ".unsealed";
const OPEN_FILES: u64 = 16;

/// Where a push goes by other means, and what its reader is believed to have.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct PushFile {
    /// Whose push it is
    #[arg(long)]
    pub host: HostId,
    /// The root that the server is known to have
    #[arg(long)]
    pub base: Option<Root>,
    /// A push that waits for its verdict
    #[arg(long = "queued")]
    pub queued: Vec<PushId>,
    /// The file
    pub file: PathBuf,
}

impl PushFile {
    /// Starts the child. Its patience with us is ours with a server; no limit of a line holds for a disk.
    pub fn open(&self, target: &Target) -> Result<Carried, TransportError> {
        self.start(target).map_err(TransportError::Start)
    }

    /// The names under which it is seen while it is written, and after.
    pub fn names(&self) -> [PathBuf; 2] {
        let mut unsealed = self.file.clone().into_os_string();
        unsealed.push(UNSEALED);
        [self.file.clone(), unsealed.into()]
    }

    fn start(&self, target: &Target) -> io::Result<Carried> {
        let (input, to) = wide_pipe()?;
        let mut command = Command::new("/proc/self/exe");
        command.args([VERB, "--host", self.host.as_str()]).env_clear();
        for (option, value) in self.base.iter().map(|root| ("--base", root.to_string())) {
            command.args([option, &value]);
        }
        for push in &self.queued {
            command.args(["--queued", &push.to_string()]);
        }
        command.arg("--").arg(&self.file);
        let child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let target = Target { bytes_per_second: None, ..target.clone() };
        Carried::by(child, Speech::Ours, to, &target)
    }

    fn jail(&self) -> Jail {
        // What its reader allows is its own to say, when it reads it.
        let limits = Limits {
            push_bytes: u64::MAX,
            idle_seconds: u32::MAX,
            queued_pushes: u32::MAX,
            ..Limits::default()
        };
        let mut published = Published::new(self.host.clone(), limits);
        published.base = self.base;
        let (queued, waiting) = (self.queued.clone(), self.queued.len());
        Jail { published, partial: None, queued, waiting, sealed_last: None, emergencies: 0 }
    }
}

/// The hidden verb `write-push-file`.
pub(crate) fn write_push_file(asked: &PushFile) -> ExitCode {
    let Err(ended) = write(asked) else { return Ending::Done.code().into() };
    // The parent may be gone.
    let _ = writeln!(io::stderr(), "{}", ended.words);
    ended.ending.code().into()
}

fn write(asked: &PushFile) -> Result<(), Ended> {
    let (folder, name) = place(&asked.file).map_err(|error| disk(&error))?;
    confine(&folder)?;
    let [_, unsealed] = asked.names();
    let unsealed = unsealed.file_name().unwrap_or_default().as_encoded_bytes().to_owned();
    let unsealed = Name::new(&unsealed).map_err(|error| disk(&error))?;
    let name = Name::new(&name).map_err(|error| disk(&error))?;
    if folder.stat(name).is_ok() {
        return Err(Ended::new(Ending::Disk, "there is such a file already"));
    }
    match folder.unlink(unsealed) {
        Err(error) if !error.is_not_found() => return Err(disk(&error)),
        // None, or one that an earlier run did not come to seal.
        _ => {}
    }
    let file = folder.create_new(unsealed, 0o600).map_err(|error| disk(&error))?;
    let mut desk = Desk { folder: &folder, unsealed, name, file, is_sealed: false };
    let done = desk.serve(asked.jail());
    if !desk.is_sealed {
        // Of no use to anybody. If it cannot be removed, no reader takes it: it has no seal.
        let _ = folder.unlink(unsealed);
    }
    done
}

fn place(path: &Path) -> durable::Result<(Dir, Vec<u8>)> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes().to_owned();
    Ok((Dir::open_root(path.parent().unwrap_or(Path::new("/")))?, name))
}

fn confine(folder: &Dir) -> Result<(), Ended> {
    let confined = limits::die_with_parent()
        .and_then(|()| limits::limit_core_zero())
        .and_then(|()| limits::limit_open_files(OPEN_FILES))
        .and_then(|()| {
            let folder = folder.as_fd();
            let confinement = Confinement::new(Profile::Receiver).landlock(Landlock::IfAvailable);
            confinement.write_files_beneath(&folder).apply()
        });
    confined.map(drop).map_err(|error| Ended::new(Ending::Confinement, cli::chain(&error)))
}

/// What stands for the jail.
struct Desk<'a> {
    folder: &'a Dir,
    unsealed: Name<'a>,
    name: Name<'a>,
    file: File,
    is_sealed: bool,
}

impl Desk<'_> {
    /// One session, to its end.
    fn serve(&mut self, jail: Jail) -> Result<(), Ended> {
        let mut protocol = Server::new(jail);
        let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
        loop {
            let mut answer = Vec::new();
            while let Some(effect) = protocol.next() {
                let goes_on = self.obey(effect, &mut answer)?;
                // A parent that is gone needs no answer.
                let told = output.write_all(&answer).and_then(|()| output.flush());
                if !goes_on || told.is_err() {
                    return Ok(());
                }
                answer.clear();
            }
            match input.read(protocol.space()) {
                Ok(0) => return Ok(()),
                Ok(count) => protocol.filled(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Ended::new(Ending::Handover, error.to_string())),
            }
        }
    }

    /// False when the session is over.
    fn obey(&mut self, effect: Effect<'_>, answer: &mut Vec<u8>) -> Result<bool, Ended> {
        let mut say = |message: &ServerMessage| {
            message.encode(answer).map_err(|error| Ended::new(Ending::Handover, error.to_string()))
        };
        match effect {
            Effect::Answer(message) => say(&message)?,
            Effect::Begin { bytes, .. } => self.append(&bytes)?,
            Effect::GoOn { .. } => {}
            Effect::Append(frames) => self.append(frames)?,
            Effect::Seal { frame, .. } => {
                self.append(frame)?;
                self.seal()?;
            }
            // Nobody has judged it.
            Effect::Await { push, .. } => say(&ServerMessage::Verdict { push, verdict: Verdict::Pending })?,
            // Nobody is asked.
            Effect::Offered { offer, .. } => say(&ServerMessage::Had(Had::none(&offer)))?,
            Effect::Refuse { code, .. } => {
                say(&refusal(code, None, 0))?;
                return Ok(false);
            }
            Effect::End => return Ok(false),
        }
        Ok(true)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.file.write_all(bytes).map_err(|error| disk(&error))
    }

    /// On the disk first, then under its name, then the name on the disk.
    fn seal(&mut self) -> Result<(), Ended> {
        self.file.sync_all().map_err(|error| disk(&error))?;
        self.folder.rename_new(self.unsealed, self.folder, self.name).map_err(|error| disk(&error))?;
        self.is_sealed = true;
        self.folder.sync().map_err(|error| disk(&error))
    }
}

fn disk(error: &(dyn std::error::Error + 'static)) -> Ended {
    Ended::new(Ending::Disk, cli::chain(error))
}
