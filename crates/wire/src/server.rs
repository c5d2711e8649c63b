//! The receiver's side: fed with what a host sends, it says what to do, in order.

mod effect;
mod jail;

use formats::PushId;
use formats::Version;
use formats::cursor::Malformed;
use formats::frame::Frame;
use formats::limits::FRAMES;
use formats::published::Verdict;
use formats::push::{self, FrameKind, Header, Seal, Tally, head_of};
use formats::session::{ClientMessage, Code, ServerMessage};

use crate::buffer::Buffer;
pub use effect::{Effect, Fate, refusal};
pub use jail::Jail;

/// Memory for what a host sends: several of the largest frames, so that most bytes are never moved.
pub const BUFFER_BYTES: usize = 4 << 20;

/// One session. Fill [`Server::space`], then obey [`Server::next`] until it says `None`, and so on until it says
/// [`Effect::Refuse`] or [`Effect::End`], or the host is gone.
///
/// No byte reaches [`Effect::Append`] that is not part of a whole frame with a right check, in order, and within the limits.
/// Blocks are never looked into.
#[derive(Debug)]
pub struct Server {
    buffer: Buffer,
    jail: Jail,
    place: Place,
    tally: Tally,
    due: Option<ServerMessage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// No push yet in this session.
    Idle,
    /// `new` has come; its header must follow.
    HeaderDue(Version),
    /// `go on` has come; a resume frame must follow.
    ResumeDue(PushId),
    /// Frames are kept.
    Push(PushId),
    /// The push is known already and answered; what the host had on its way is thrown away, within the same limits.
    Skip,
    /// A push is sealed: one a session.
    Done,
    /// The end has been said.
    Over,
}

/// What one look at the buffer found: an effect that owns what it says, or lengths of what lies at the front of the buffer.
enum Found {
    Nothing,
    More,
    Append(usize),
    Seal(PushId, usize),
    Said(Effect<'static>),
}

/// A reason to refuse, and what then becomes of the partial push.
struct No(Code, Fate);

impl From<Malformed> for No {
    fn from(_: Malformed) -> Self {
        No(Code::Protocol, Fate::Keep)
    }
}

impl Server {
    /// A session in this jail. The first effect is the base message.
    pub fn new(jail: Jail) -> Self {
        let tally = jail.partial.as_ref().map_or_else(Tally::begin, |partial| partial.tally.clone());
        let due = Some(ServerMessage::Base(jail.base_message()));
        Self { buffer: Buffer::new(BUFFER_BYTES), jail, place: Place::Idle, tally, due }
    }

    /// Where the next bytes go. Never empty after [`Server::next`] returned `None`.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// That many bytes of [`Server::space`] were filled.
    pub fn filled(&mut self, count: usize) {
        self.buffer.filled(count);
    }

    /// For callers that have the bytes elsewhere: copies what fits and tells how much. Obey [`Server::next`] until `None`,
    /// then feed the rest.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        self.buffer.feed(bytes)
    }

    /// What to do next; `None`: nothing before more bytes come.
    #[expect(
        clippy::should_implement_trait,
        reason = "an effect borrows from the session: it cannot be an iterator"
    )]
    pub fn next(&mut self) -> Option<Effect<'_>> {
        if let Some(message) = self.due.take() {
            return Some(Effect::Answer(message));
        }
        loop {
            let found = match self.look() {
                Ok(found) => found,
                Err(No(code, fate)) => {
                    // Only what has become part of the partial push says anything about it.
                    let partial = if let Place::Push(_) = self.place { fate } else { Fate::Keep };
                    Found::Said(Effect::Refuse { code, partial })
                }
            };
            match found {
                Found::More => {}
                Found::Nothing => return None,
                Found::Append(count) => return Some(Effect::Append(self.buffer.take(count))),
                Found::Seal(push, count) => {
                    return Some(Effect::Seal { push, frame: self.buffer.take(count) });
                }
                Found::Said(effect) => {
                    if matches!(effect, Effect::Refuse { .. } | Effect::End) {
                        self.place = Place::Over;
                    }
                    return Some(effect);
                }
            }
        }
    }

    fn look(&mut self) -> Result<Found, No> {
        if self.place == Place::Over {
            return Ok(Found::Nothing);
        }
        let Some(frame) = self.buffer.frame(0)? else { return Ok(Found::Nothing) };
        let taken = frame.raw.len();
        let found = match (self.place, FrameKind::from_code(frame.kind)) {
            (Place::HeaderDue(version), Some(FrameKind::Header)) => {
                let begun = begin(&self.jail, version, &frame)?;
                (self.place, self.tally) = (begun.place, begun.tally);
                Found::Said(begun.effect)
            }
            (Place::ResumeDue(push), Some(FrameKind::Resume)) => {
                self.place = Place::Push(push);
                return Ok(Found::Said(Effect::GoOn));
            }
            (Place::Push(_) | Place::Skip, Some(_)) => return self.frames_of_push(),
            (Place::Idle | Place::Done | Place::Skip, None) => {
                self.message(ClientMessage::decode(&frame)?)?
            }
            _ => return Err(No(Code::Protocol, Fate::Keep)),
        };
        self.buffer.take(taken);
        Ok(found)
    }

    fn message(&mut self, message: ClientMessage) -> Result<Found, No> {
        let place = match message {
            ClientMessage::New { version } if self.place == Place::Idle => {
                if !push::is_read(version) {
                    return Err(No(Code::Protocol, Fate::Keep));
                }
                Place::HeaderDue(version)
            }
            ClientMessage::GoOn { push, frames } if self.place == Place::Idle => {
                self.jail.admits_going_on(push, frames)?;
                Place::ResumeDue(push)
            }
            ClientMessage::New { .. } | ClientMessage::GoOn { .. } => {
                return Err(No(Code::Protocol, Fate::Keep));
            }
            ClientMessage::Await { push, seconds } if self.jail.knows(push) => {
                return Ok(Found::Said(Effect::Await { push, seconds }));
            }
            ClientMessage::Await { push, .. } => {
                let pending = ServerMessage::Verdict { push, verdict: Verdict::Pending };
                return Ok(Found::Said(Effect::Answer(pending)));
            }
            ClientMessage::Bye => return Ok(Found::Said(Effect::End)),
        };
        self.place = place;
        Ok(Found::More)
    }

    /// As many frames as lie whole in the buffer, up to a seal or a fault; those come by themselves next time.
    fn frames_of_push(&mut self) -> Result<Found, No> {
        let mut run = 0;
        let outcome = loop {
            let frame = match self.buffer.frame(run) {
                Ok(Some(frame)) => frame,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.into()),
            };
            if frame.kind == FrameKind::Seal.code() || FrameKind::from_code(frame.kind).is_none() {
                break Ok(());
            }
            match admit(&mut self.tally, &self.jail, &frame) {
                Ok(()) => run += frame.raw.len(),
                Err(no) => break Err(no),
            }
        };
        match (run, self.place) {
            (0, _) => {
                outcome?;
                self.seal()
            }
            (_, Place::Skip) => {
                self.buffer.take(run);
                Ok(Found::More)
            }
            _ => Ok(Found::Append(run)),
        }
    }

    /// The frame at the front is a seal, or none is whole, or it is no frame of a push.
    fn seal(&mut self) -> Result<Found, No> {
        let Some(frame) = self.buffer.frame(0)? else { return Ok(Found::Nothing) };
        if frame.kind != FrameKind::Seal.code() {
            return Err(No(Code::Protocol, Fate::Keep));
        }
        let taken = frame.raw.len();
        let Place::Push(push) = self.place else {
            self.buffer.take(taken);
            self.place = Place::Done;
            return Ok(Found::More);
        };
        let seal = Seal::decode(frame.payload)?;
        self.tally.check(&seal).map_err(|_| No(Code::BrokenFrames, Fate::Discard))?;
        admit(&mut self.tally, &self.jail, &frame)?;
        self.place = Place::Done;
        self.jail.sealed(push);
        self.due = Some(ServerMessage::Sealed(push));
        Ok(Found::Seal(push, taken))
    }
}

/// A frame that may come here and stays within the limits is counted; any other changes nothing.
fn admit(tally: &mut Tally, jail: &Jail, frame: &Frame<'_>) -> Result<(), No> {
    let bytes = tally.bytes().saturating_add(frame.raw.len() as u64);
    if bytes > jail.published.limits.push_bytes || tally.frames() >= FRAMES {
        return Err(No(Code::TooLarge, Fate::Discard));
    }
    if frame.kind == FrameKind::Resume.code() && !frame.payload.is_empty() {
        return Err(No(Code::Protocol, Fate::Keep));
    }
    tally.take(frame)?;
    Ok(())
}

/// Where a header leads.
struct Begun {
    place: Place,
    tally: Tally,
    effect: Effect<'static>,
}

fn begin(jail: &Jail, version: Version, frame: &Frame<'_>) -> Result<Begun, No> {
    let header = Header::decode(frame.payload)?;
    let mut tally = Tally::of_version(version);
    admit(&mut tally, jail, frame)?;
    if header.host != jail.published.host {
        return Err(No(Code::WrongHost, Fate::Keep));
    }
    if let Some(answer) = jail.known_answer(header.push) {
        return Ok(Begun { place: Place::Skip, tally, effect: Effect::Answer(answer) });
    }
    jail.admits_header(&header)?;
    let bytes = [head_of(version).as_slice(), frame.raw].concat();
    Ok(Begun { place: Place::Push(header.push), tally, effect: Effect::Begin { header, bytes } })
}
