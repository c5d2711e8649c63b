//! A scratch jail, the real receiver in it, and a client on its pipes.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use formats::published::{Limits, Published};
use formats::push::{Block, Codec, Header, Mark};
use formats::session::{BaseMessage, ClientMessage, Code, MINOR, Role, ServerMessage};
use formats::{Admission, HostId, InstallationId, PushId, Root};
use tempfile::TempDir;
use wire::client::{Incoming, Outgoing, SealFacts};
use wire::partial::{End, Partial, Scan};

pub(crate) const RECEIVER: &str = env!("CARGO_BIN_EXE_receiver");
pub(crate) const PUSH: PushId = PushId::from_bytes([7; 16]);
pub(crate) const OTHER: PushId = PushId::from_bytes([8; 16]);
pub(crate) const FACTS: SealFacts = SealFacts { root: Root::from_bytes([9; 32]), entries: 3, left_out: 0 };

/// Small enough for any scratch folder: nothing is kept free.
pub(crate) fn limits() -> Limits {
    Limits { free_bytes: 0, session_seconds: 60, idle_seconds: 20, ..Limits::default() }
}

pub(crate) fn host() -> HostId {
    HostId::parse("web01").unwrap()
}

pub(crate) fn header(push: PushId) -> Header {
    Header {
        host: host(),
        installation: InstallationId::from_bytes([1; 16]),
        push,
        counter: 1,
        base: None,
        lender: None,
        started: 1_800_000_000,
        zone: "UTC".into(),
        declared_bytes: 0,
    }
}

/// A jail in a folder of its own.
pub(crate) struct Jail {
    dir: PathBuf,
    _scratch: Option<TempDir>,
}

impl Jail {
    pub(crate) fn new(limits: Limits) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let jail = Self { dir: scratch.path().to_owned(), _scratch: Some(scratch) };
        jail.furnish();
        jail.publish(&Published::new(host(), limits));
        jail
    }

    /// A jail in a folder that the caller keeps.
    pub(crate) fn at(dir: &Path, limits: Limits) -> Self {
        let jail = Self { dir: dir.to_owned(), _scratch: None };
        jail.furnish();
        jail.publish(&Published::new(host(), limits));
        jail
    }

    /// A jail whose server says this about its host's pushes.
    pub(crate) fn admitting(admission: Admission) -> Self {
        let jail = Self::new(limits());
        jail.publish(&Published { admission, ..Published::new(host(), limits()) });
        jail
    }

    fn furnish(&self) {
        for folder in ["spool/incoming", "spool/sealed", "state"] {
            fs::create_dir_all(self.dir.join(folder)).unwrap();
        }
    }

    pub(crate) fn publish(&self, published: &Published) {
        let new = self.dir.join("state/new");
        fs::write(&new, published.encode().unwrap()).unwrap();
        fs::rename(new, self.dir.join("state/base")).unwrap();
    }

    pub(crate) fn path(&self, beneath: &str) -> PathBuf {
        self.dir.join(beneath)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(RECEIVER);
        command.arg("--jail").arg(&self.dir);
        command
    }

    pub(crate) fn start(&self) -> Session {
        Session::of(self.command())
    }

    /// A session that sends these bytes one at a time, for 2.5 seconds at most; and when it began.
    pub(crate) fn start_slowly(&self, bytes: &[u8]) -> (Session, Instant) {
        let start = Instant::now();
        let mut session = self.start();
        session.base();
        for byte in bytes.chunks(1) {
            session.send(byte);
            std::thread::sleep(Duration::from_millis(50));
            if start.elapsed() > Duration::from_millis(2_500) {
                break;
            }
        }
        (session, start)
    }

    /// The receiver under another program, which gets the words before it.
    pub(crate) fn start_under(&self, words: &[&str]) -> Session {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(RECEIVER).arg("--jail").arg(&self.dir);
        Session::of(command)
    }

    /// The sealed files, by name.
    pub(crate) fn sealed(&self) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(self.dir.join("spool/sealed"))
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
                (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    /// The names in `incoming`, besides the lock and what is noted of sessions.
    pub(crate) fn incoming(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.join("spool/incoming")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "lock" && name != "attempts").collect()
    }

    /// One sealed file, and nothing left of its making.
    pub(crate) fn the_sealed_push(&self) -> Vec<u8> {
        let mut sealed = self.sealed();
        assert_eq!(sealed.len(), 1, "one push is sealed");
        assert_eq!(self.incoming(), [""; 0], "nothing is left in incoming");
        let (_, file) = sealed.remove(0);
        assert_eq!(scanned(&file).unwrap().end, End::Sealed);
        file
    }
}

/// A running receiver with a client on its pipes.
pub(crate) struct Session {
    child: Child,
    to: Option<ChildStdin>,
    pub(crate) heard: Incoming,
}

/// How a session ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

impl Session {
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let to = child.stdin.take();
        let mut heard = Incoming::new();
        heard.expect_sealed(PUSH);
        Self { child, to, heard }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends; a receiver that has ended does not take it, and that is for the test to find.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.to.as_mut().unwrap().write_all(bytes);
    }

    /// The client says nothing more.
    pub(crate) fn close(&mut self) {
        self.to = None;
    }

    /// The next message; none if the receiver has ended.
    pub(crate) fn hear(&mut self) -> Option<ServerMessage> {
        loop {
            if let Some(message) = self.heard.next().unwrap() {
                return Some(message);
            }
            let count = self.child.stdout.as_mut().unwrap().read(self.heard.space()).unwrap();
            if count == 0 {
                return None;
            }
            self.heard.filled(count);
        }
    }

    pub(crate) fn base(&mut self) -> BaseMessage {
        match self.hear() {
            Some(ServerMessage::Base(base)) => base,
            other => panic!("no base message but {other:?}"),
        }
    }

    pub(crate) fn refusal(&mut self) -> Code {
        match self.hear() {
            Some(ServerMessage::Refused { code, .. }) => code,
            other => panic!("no refusal but {other:?}"),
        }
    }

    /// The refusal with the time after which to come back.
    pub(crate) fn refusal_for(&mut self) -> (Code, u32) {
        match self.hear() {
            Some(ServerMessage::Refused { code, retry_seconds }) => (code, retry_seconds),
            other => panic!("no refusal but {other:?}"),
        }
    }

    pub(crate) fn sealed(&mut self) {
        assert_eq!(self.hear(), Some(ServerMessage::Sealed(PUSH)));
    }

    /// Waits for the end of the process.
    pub(crate) fn end(mut self) -> Ended {
        self.to = None;
        let code = self.child.wait().unwrap().code();
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Ended { code, stderr }
    }

    /// The process ends by itself within this time, with the client still there.
    pub(crate) fn ends_within(&mut self, time: Duration) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < time {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("still there after {time:?}");
    }

    /// Both pipes are closed, as when a connection breaks.
    pub(crate) fn hang_up(&mut self) {
        self.to = None;
        self.child.stdout = None;
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A session that is over has freed the jail.
impl Drop for Session {
    fn drop(&mut self) {
        self.to = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that a receiver says to one who sends this and listens to the end.
pub(crate) fn whole_output(command: &mut Command, script: &[u8]) -> Vec<u8> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script).unwrap();
    child.wait_with_output().unwrap().stdout
}

pub(crate) fn block(bytes: &[u8]) -> Block<'_> {
    Block { codec: Codec::Stored, expanded_bytes: bytes.len(), packed: bytes }
}

/// The contents that every push here sends, one block each.
pub(crate) fn contents() -> Vec<Vec<u8>> {
    [1usize, 40, 700, 3000].map(|length| vec![length as u8; length]).to_vec()
}

/// A whole push up to its seal, and the journal: the mark after each frame.
pub(crate) fn push(id: PushId) -> (Vec<u8>, Vec<Mark>) {
    let mut to = Vec::new();
    let mut push = Outgoing::open_new(&header(id), &mut to).unwrap();
    let mut journal = vec![push.mark()];
    for content in contents() {
        push.contents(&block(&content), &mut to).unwrap();
        journal.push(push.mark());
    }
    push.entries(&block(b"changes"), &mut to).unwrap();
    journal.push(push.mark());
    push.seal(FACTS, &mut to).unwrap();
    (to, journal)
}

/// The rest of that push, from a journaled mark.
pub(crate) fn rest_of_push(mark: Mark) -> Vec<u8> {
    let mut to = Vec::new();
    let mut push = Outgoing::go_on(PUSH, mark, &mut to).unwrap();
    for content in contents().iter().skip(mark.frames as usize - 1) {
        push.contents(&block(content), &mut to).unwrap();
    }
    push.entries(&block(b"changes"), &mut to).unwrap();
    push.seal(FACTS, &mut to).unwrap();
    to
}

/// What a client of this version says first.
pub(crate) fn hello(role: Role) -> Vec<u8> {
    let mut to = Vec::new();
    ClientMessage::Hello { minor: MINOR, role }.encode(&mut to).unwrap();
    to
}

pub(crate) fn bye() -> Vec<u8> {
    let mut to = Vec::new();
    wire::client::bye(&mut to).unwrap();
    to
}

pub(crate) fn await_verdict(push: PushId, seconds: u32) -> Vec<u8> {
    let mut to = Vec::new();
    wire::client::await_verdict(push, seconds, &mut to).unwrap();
    to
}

pub(crate) fn scanned(file: &[u8]) -> Option<Partial> {
    let mut scan = Scan::new();
    let mut rest = file;
    while scan.goes_on() && !rest.is_empty() {
        let space = scan.space();
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        scan.filled(count);
        rest = &rest[count..];
    }
    scan.finish()
}

/// The payloads of the contents frames of a push file.
pub(crate) fn contents_of(file: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &file[12..];
    let mut found = Vec::new();
    while let Some(frame) = formats::frame::decode(rest).unwrap() {
        if frame.kind == 2 {
            found.push(Block::decode(frame.payload).unwrap().packed.to_vec());
        }
        rest = &rest[frame.raw.len()..];
    }
    assert!(rest.is_empty());
    found
}

/// Sends one push in a session of its own; it must be sealed.
pub(crate) fn seal_one(jail: &Jail, id: PushId) {
    let mut session = jail.start();
    session.heard.expect_sealed(id);
    session.base();
    session.send(&push(id).0);
    assert_eq!(session.hear(), Some(ServerMessage::Sealed(id)));
    session.send(&bye());
    assert_eq!(session.end().code, Some(0));
}
