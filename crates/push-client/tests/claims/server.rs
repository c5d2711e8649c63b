//! A server: the real protocol over a memory of its own.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::time::Duration;

use formats::published::{Limits, Published, Verdict};
use formats::push::{HEAD_BYTES, Header, Seal};
use formats::session::{BaseMessage, Had, MINOR, Role, ServerMessage};
use formats::{ContentHash, Entry, HostId, PushId, Root, frame};
use wire::partial::{Partial, Scan};
use wire::server::{Effect, Jail, Server as Protocol, refusal};

use crate::judge::{Files, Judged, content, judge, judge_lent};

/// What a jail and a history would hold.
pub(crate) struct Server {
    pub(crate) published: Published,
    /// Push files that are sealed, oldest first.
    pub(crate) sealed: Vec<Vec<u8>>,
    /// The push file that is growing.
    pub(crate) partial: Vec<u8>,
    /// The line is cut after this many bytes from the client.
    pub(crate) cut_after: Option<u64>,
    /// Answers of the snapshotter, given as soon as it is asked.
    pub(crate) verdict: Option<Verdict>,
    /// Without one it accepts what was sealed.
    pub(crate) accepts: bool,
    /// The time by its clock, seconds since 1970.
    pub(crate) now: i64,
    /// What each push was admitted as.
    pub(crate) roles: Vec<Role>,
    /// What it says of offers.
    pub(crate) holdings: Holdings,
    /// The minor version of the session that it speaks.
    pub(crate) minor: u16,
    /// How many offers came.
    pub(crate) offers: usize,
    /// How long the push file was when each offer came.
    pub(crate) at_offers: Vec<usize>,
    /// How long it thinks about each offer from the second on.
    pub(crate) thinks: Duration,
    /// Bytes that came, whatever they were.
    pub(crate) came: u64,
}

/// What a server says that it has.
pub(crate) enum Holdings {
    Nothing,
    /// The contents of this state.
    Of(Root, HashSet<ContentHash>),
    /// Whatever is offered: a lie.
    Everything,
}

impl Server {
    pub(crate) fn new() -> Self {
        let published = Published::new(HostId::parse("web01").unwrap(), Limits::default());
        Self {
            published,
            sealed: Vec::new(),
            partial: Vec::new(),
            cut_after: None,
            verdict: None,
            accepts: false,
            now: 0,
            roles: Vec::new(),
            holdings: Holdings::Nothing,
            minor: MINOR,
            offers: 0,
            at_offers: Vec::new(),
            thinks: Duration::ZERO,
            came: 0,
        }
    }

    pub(crate) fn judge(&mut self, push: PushId, verdict: Verdict) {
        self.published.judge(push, verdict);
        if let Verdict::Accepted { root } = verdict {
            self.published.base = Some(root);
        }
        let waiting = std::mem::take(&mut self.sealed);
        self.sealed = waiting.into_iter().filter(|file| header(file).push != push).collect();
    }

    pub(crate) fn want(&mut self, content: ContentHash) {
        self.published.wanted = vec![content];
    }

    /// From now on it has the contents of these entries, if asked for the state that they are.
    pub(crate) fn hold(&mut self, entries: &[Entry]) {
        self.holdings = Holdings::Of(root_of(entries), entries.iter().filter_map(content).collect());
    }

    /// The newest sealed push, which is whole but for the contents of `lender`, opened and checked.
    pub(crate) fn newest_lent(&self, lender: &[Entry]) -> Judged {
        judge_lent(self.sealed.last().expect("no push is sealed"), lender)
    }

    /// The newest sealed push, opened and checked against the entries of its base.
    pub(crate) fn newest(&self, base: &[Entry]) -> Judged {
        self.newest_with(base, &Files::new())
    }

    /// The same, of a push that copies from these files of its base.
    pub(crate) fn newest_with(&self, base: &[Entry], files: &Files) -> Judged {
        judge(self.sealed.last().expect("no push is sealed"), base, files)
    }

    /// One session, to its end.
    pub(crate) fn serve(&mut self, mut stream: impl Read + Write) {
        let partial = self.scan();
        let queued: Vec<_> = self.sealed.iter().map(|file| header(file).push).collect();
        let waiting = queued.len();
        let published = self.published.clone();
        let jail = Jail { published, partial, queued, waiting, sealed_last: None, emergencies: 0 };
        let mut protocol = Protocol::new(jail);
        protocol.set_time(self.now);
        let mut left = self.cut_after.take().unwrap_or(u64::MAX);
        loop {
            while let Some(effect) = protocol.next() {
                if !self.obey(effect, &mut stream) {
                    return;
                }
            }
            let space = protocol.space();
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(space.len());
            if most == 0 {
                return;
            }
            match stream.read(&mut space[..most]) {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    left -= count as u64;
                    self.came += count as u64;
                    protocol.filled(count);
                }
            }
        }
    }

    fn obey(&mut self, effect: Effect<'_>, stream: &mut impl Write) -> bool {
        let mut answer = Vec::new();
        match effect {
            Effect::Answer(ServerMessage::Base(base)) => {
                let base = BaseMessage { minor: self.minor, ..base };
                ServerMessage::Base(base).encode(&mut answer).unwrap();
            }
            Effect::Answer(message) => message.encode(&mut answer).unwrap(),
            Effect::Offered { lender, offer } => {
                assert!(self.minor > 1, "an offer to a server that does not know them");
                self.offers += 1;
                self.at_offers.push(self.partial.len());
                if self.offers > 1 {
                    std::thread::sleep(self.thinks);
                }
                let has = |content: &ContentHash| match &self.holdings {
                    Holdings::Nothing => false,
                    Holdings::Of(root, contents) => *root == lender && contents.contains(content),
                    Holdings::Everything => true,
                };
                let had = Had::answer(&offer, |content| Ok::<_, ()>(has(content))).unwrap();
                ServerMessage::Had(had).encode(&mut answer).unwrap();
            }
            Effect::Begin { bytes, role, .. } => {
                self.partial = bytes;
                self.roles.push(role);
            }
            Effect::GoOn { role } => self.roles.push(role),
            Effect::Append(frames) => self.partial.extend_from_slice(frames),
            Effect::Seal { frame, .. } => {
                self.partial.extend_from_slice(frame);
                self.sealed.push(std::mem::take(&mut self.partial));
            }
            Effect::Await { push, .. } => {
                let sealed = self.sealed.last().filter(|_| self.accepts);
                let sealed = sealed.map(|sealed| Verdict::Accepted { root: seal(sealed).root });
                let verdict = self.verdict.take().or(sealed).unwrap_or(Verdict::Pending);
                if verdict != Verdict::Pending {
                    self.judge(push, verdict);
                }
                let message = ServerMessage::Verdict { push, verdict };
                message.encode(&mut answer).unwrap();
            }
            Effect::Refuse { code, wait_seconds, .. } => {
                refusal(code, Some(&self.published.host), wait_seconds).encode(&mut answer).unwrap();
                let _ = stream.write_all(&answer);
                return false;
            }
            Effect::End => return false,
        }
        stream.write_all(&answer).is_ok()
    }

    /// What a cut has left: the whole frames.
    fn scan(&mut self) -> Option<Partial> {
        let mut scan = Scan::new();
        let mut rest = self.partial.as_slice();
        while scan.goes_on() && !rest.is_empty() {
            let space = scan.space();
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            scan.filled(count);
        }
        let partial = scan.finish();
        let length = partial.as_ref().map_or(0, |partial| partial.tally.bytes() as usize);
        self.partial.truncate(length);
        partial
    }
}

pub(crate) fn header(file: &[u8]) -> Header {
    let frame = frame::decode(&file[HEAD_BYTES..]).unwrap().unwrap();
    Header::decode(frame.payload).unwrap()
}

pub(crate) fn seal(file: &[u8]) -> Seal {
    let mut rest = &file[HEAD_BYTES..];
    loop {
        let frame = frame::decode(rest).unwrap().unwrap();
        if frame.raw.len() == rest.len() {
            return Seal::decode(frame.payload).unwrap();
        }
        rest = &rest[frame.raw.len()..];
    }
}

/// The root that a list of entries has.
pub(crate) fn root_of(entries: &[Entry]) -> Root {
    let mut writer = formats::ManifestWriter::new(Vec::new()).unwrap();
    entries.iter().for_each(|entry| writer.push(entry).unwrap());
    writer.finish().unwrap().0.root
}
