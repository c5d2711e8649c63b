//! A session with a receiver: bytes in, answers out, each with a time limit.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::draft::{Draft, check, frame};

/// What a receiver says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Where the jail stands.
    Base(Base),
    /// The push is on disk.
    Sealed([u8; 16]),
    /// No, with a code.
    Refused(u16),
    /// What became of a push: 0 pending, 1 accepted, 2 rejected with a code.
    Verdict([u8; 16], u8, u16),
    /// It ended, after whole messages only.
    End,
    /// Something else: never right.
    Junk(Vec<u8>),
}

/// The base message, as far as a hostile host cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Root of the base.
    pub root: Option<[u8; 32]>,
    /// Push, verdict, code; oldest first.
    pub verdicts: Vec<([u8; 16], u8, u16)>,
    /// Hashes of the contents that the server wants again.
    pub wanted: Vec<[u8; 32]>,
    /// Push id and frames of the partial push.
    pub partial: Option<([u8; 16], u64)>,
    /// Queued pushes.
    pub queued: Vec<[u8; 16]>,
}

/// A receiver and the two ends of its pipes. Killed when dropped.
#[derive(Debug)]
pub struct Talk {
    child: Child,
    to: Option<ChildStdin>,
    answers: Receiver<Answer>,
}

/// The message `new` of version 1.0.
#[must_use]
pub fn new_push() -> Vec<u8> {
    frame(16, &[1, 0, 0, 0])
}

/// The message `hello` of a usual push, in a session of version 1.2.
#[must_use]
pub fn hello() -> Vec<u8> {
    frame(20, &[2, 0, 0])
}

/// The message `offer`.
#[must_use]
pub fn offer(hashes: &[[u8; 32]]) -> Vec<u8> {
    frame(21, hashes.as_flattened())
}

/// The message `had` that answers an offer of at most eight contents: a bit for each, the first one's the lowest.
#[must_use]
pub fn had(bits: u8) -> Vec<u8> {
    frame(69, &[bits])
}

/// The message `go on`.
#[must_use]
pub fn go_on(push: [u8; 16], frames: u64) -> Vec<u8> {
    frame(17, &[push.as_slice(), &frames.to_le_bytes()].concat())
}

/// The message `await`.
#[must_use]
pub fn await_verdict(push: [u8; 16], seconds: u32) -> Vec<u8> {
    frame(18, &[push.as_slice(), &seconds.to_le_bytes()].concat())
}

/// The message `bye`.
#[must_use]
pub fn bye() -> Vec<u8> {
    frame(19, &[])
}

/// A whole session: `new`, the frames of a draft, `bye`.
#[must_use]
pub fn session(draft: &Draft) -> Vec<u8> {
    [new_push(), draft.frames.concat(), bye()].concat()
}

impl Talk {
    /// Starts a receiver (or an ssh that ends at one).
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(command: &mut Command) -> std::io::Result<Talk> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = child.stdin.take();
        let (sender, answers) = mpsc::channel();
        if let Some(from) = child.stdout.take() {
            std::thread::spawn(move || listen(from, &|answer| sender.send(answer).is_ok()));
        }
        Ok(Talk { child, to, answers })
    }

    /// Sends bytes; a receiver that has gone is no error here: its last answers tell why.
    pub fn say(&mut self, bytes: &[u8]) {
        if let Some(to) = &mut self.to
            && to.write_all(bytes).and_then(|()| to.flush()).is_err()
        {
            self.to = None;
        }
    }

    /// Says no more.
    pub fn hang_up(&mut self) {
        self.to = None;
    }

    /// The next answer; none in that time is `None`.
    #[must_use]
    pub fn hear(&self, wait: Duration) -> Option<Answer> {
        match self.answers.recv_timeout(wait) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Answer::End),
        }
    }

    /// All answers up to the end, which must come within `wait`.
    #[must_use]
    pub fn rest(&self, wait: Duration) -> Vec<Answer> {
        let until = Instant::now() + wait;
        let mut all = Vec::new();
        loop {
            match self.hear(until.saturating_duration_since(Instant::now())) {
                Some(Answer::End) => return all,
                Some(answer) => all.push(answer),
                None => {
                    all.push(Answer::Junk(b"no end in time".to_vec()));
                    return all;
                }
            }
        }
    }

    /// The number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did within `wait`.
    ///
    /// # Errors
    /// If waiting fails.
    pub fn ended(&mut self, wait: Duration) -> std::io::Result<Option<ExitStatus>> {
        let until = Instant::now() + wait;
        loop {
            match self.child.try_wait()? {
                Some(status) => return Ok(Some(status)),
                None if Instant::now() > until => return Ok(None),
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.to = None;
        // Gone already is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(mut from: ChildStdout, tell: &dyn Fn(Answer) -> bool) {
    loop {
        let mut head = [0u8; 9];
        let mut have = 0;
        while let Some(space) = head.get_mut(have..).filter(|space| !space.is_empty()) {
            match from.read(space) {
                Ok(0) | Err(_) if have == 0 => {
                    tell(Answer::End);
                    return;
                }
                Ok(0) | Err(_) => {
                    tell(Answer::Junk(head.to_vec()));
                    return;
                }
                Ok(count) => have += count,
            }
        }
        let [kind, l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let mut payload = vec![0u8; length.min(1 << 20) as usize];
        let whole = from.read_exact(&mut payload).is_ok();
        let right = whole && check(kind, length, &payload) == u32::from_le_bytes([c0, c1, c2, c3]);
        let answer = if right { answer(kind, &payload) } else { None };
        let good = answer.is_some();
        if !tell(answer.unwrap_or_else(|| Answer::Junk([head.as_slice(), &payload].concat()))) || !good {
            return;
        }
    }
}

fn answer(kind: u8, payload: &[u8]) -> Option<Answer> {
    let mut from = payload;
    let answer = match kind {
        64 => Answer::Base(base(&mut from)?),
        65 => Answer::Sealed(take(&mut from)?),
        66 => {
            let code = u16::from_le_bytes(take(&mut from)?);
            let _retry_seconds: [u8; 4] = take(&mut from)?;
            Answer::Refused(code)
        }
        67 => {
            let (push, verdict, code) = verdict(&mut from)?;
            Answer::Verdict(push, verdict, code)
        }
        _ => return None,
    };
    from.is_empty().then_some(answer)
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*head)
}

fn verdict(from: &mut &[u8]) -> Option<([u8; 16], u8, u16)> {
    let (push, [verdict], code) = (take(from)?, take(from)?, take(from)?);
    let _root: [u8; 32] = take(from)?;
    Some((push, verdict, u16::from_le_bytes(code)))
}

fn base(from: &mut &[u8]) -> Option<Base> {
    let _version: [u8; 4] = take(from)?;
    let [host_length] = take(from)?;
    *from = from.get(usize::from(host_length)..)?;
    let root = if take::<1>(from)? == [1] { Some(take(from)?) } else { None };
    let mut verdicts = Vec::new();
    for _ in 0..u16::from_le_bytes(take(from)?) {
        verdicts.push(verdict(from)?);
    }
    let mut wanted = Vec::new();
    for _ in 0..u32::from_le_bytes(take(from)?) {
        wanted.push(take(from)?);
    }
    let _limits: [u8; 45] = take(from)?;
    let partial =
        if take::<1>(from)? == [1] { Some((take(from)?, u64::from_le_bytes(take(from)?))) } else { None };
    let [count] = take(from)?;
    let mut queued = Vec::new();
    for _ in 0..count {
        queued.push(take(from)?);
    }
    Some(Base { root, verdicts, wanted, partial, queued })
}
