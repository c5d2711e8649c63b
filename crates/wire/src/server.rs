//! The receiver's side: fed with what a host sends, it says what to do, in order.

mod effect;
mod jail;
mod refusal;

use std::collections::VecDeque;

use formats::cursor::Malformed;
use formats::frame::Frame;
use formats::limits::FRAMES;
use formats::published::Verdict;
use formats::push::{self, FrameKind, Header, Order, Seal, Tally, head_of};
use formats::session::{ClientMessage, Code, OFFER_KIND, Offer, Role, ServerMessage};
use formats::{PushId, Root, Version};

use crate::buffer::Buffer;
use crate::partial::expanded;
pub use effect::{Effect, Fate};
pub use jail::Jail;
pub use refusal::refusal;

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
    /// What the blocks so far expand to, as their heads say.
    expanded_bytes: u64,
    /// The time, as far as it was told.
    now: i64,
    hello: Option<Hello>,
    is_warned_of_bytes: bool,
    /// What the push takes contents from that it does not bring.
    lender: Option<Root>,
    /// Contents that were offered in this session.
    offered: u64,
    due: VecDeque<ServerMessage>,
}

/// What the client said of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hello {
    minor: u16,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// No push yet in this session.
    Idle,
    /// `new` has come; its header must follow.
    HeaderDue(Version),
    /// `go on` has come; a resume frame must follow.
    ResumeDue(PushId, Role),
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
#[expect(clippy::large_enum_variant, reason = "one at a time, and never kept")]
enum Found {
    Nothing,
    More,
    Append(usize),
    Seal(PushId, usize),
    Said(Effect<'static>),
}

/// A reason to refuse, what then becomes of the partial push, and before when no new try makes sense.
struct No {
    code: Code,
    partial: Fate,
    wait_seconds: u32,
}

impl No {
    fn keep(code: Code) -> Self {
        No { code, partial: Fate::Keep, wait_seconds: 0 }
    }
}

impl From<Malformed> for No {
    fn from(_: Malformed) -> Self {
        No::keep(Code::Protocol)
    }
}

impl Server {
    /// A session in this jail. The first effect is the base message.
    pub fn new(jail: Jail) -> Self {
        let tally = jail.partial.as_ref().map_or_else(Tally::begin, |partial| partial.tally.clone());
        let expanded_bytes = jail.partial.as_ref().map_or(0, |partial| partial.expanded_bytes);
        let due = VecDeque::from([ServerMessage::Base(jail.base_message())]);
        let buffer = Buffer::new(BUFFER_BYTES);
        let lender = jail.partial.as_ref().and_then(|partial| partial.header.lender);
        let (place, hello, is_warned_of_bytes) = (Place::Idle, None, false);
        Self {
            buffer,
            jail,
            place,
            tally,
            expanded_bytes,
            now: 0,
            hello,
            is_warned_of_bytes,
            lender,
            offered: 0,
            due,
        }
    }

    /// Tells the time, in seconds since 1970. Hours and intervals are judged by what was told last.
    pub fn set_time(&mut self, now: i64) {
        self.now = now;
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
        if let Some(message) = self.due.pop_front() {
            return Some(Effect::Answer(message));
        }
        loop {
            let found = match self.look() {
                Ok(found) => found,
                Err(No { code, partial, wait_seconds }) => {
                    // Only what has become part of the partial push says anything about it.
                    let partial = if let Place::Push(_) = self.place { partial } else { Fate::Keep };
                    let code = code.known_to(self.minor());
                    Found::Said(Effect::Refuse { code, partial, wait_seconds })
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
                let begun = begin(&self.jail, version, &frame, self.role(), self.now)?;
                (self.place, self.tally, self.expanded_bytes) = (begun.place, begun.tally, 0);
                self.lender = begun.lender;
                self.warn(self.jail.over_soft_history());
                self.warn_of_bytes(begun.declared_bytes);
                Found::Said(begun.effect)
            }
            (Place::ResumeDue(push, role), Some(FrameKind::Resume)) => {
                self.place = Place::Push(push);
                self.warn(self.jail.over_soft_history());
                self.warn_of_bytes(self.expanded_bytes);
                return Ok(Found::Said(Effect::GoOn { role }));
            }
            (Place::Push(_) | Place::Skip, Some(_)) => return self.frames_of_push(),
            (Place::Push(_), None) if frame.kind == OFFER_KIND => match ClientMessage::decode(&frame)? {
                ClientMessage::Offer(offer) => Found::Said(self.offered(offer)?),
                _ => return Err(No::keep(Code::Protocol)),
            },
            (Place::Idle | Place::Done | Place::Skip, None) => {
                self.message(ClientMessage::decode(&frame)?)?
            }
            _ => return Err(No::keep(Code::Protocol)),
        };
        self.buffer.take(taken);
        Ok(found)
    }

    fn message(&mut self, message: ClientMessage) -> Result<Found, No> {
        let place = match message {
            ClientMessage::New { version } if self.place == Place::Idle => {
                if !push::is_read(version) {
                    return Err(No::keep(Code::Protocol));
                }
                Place::HeaderDue(version)
            }
            ClientMessage::GoOn { push, frames } if self.place == Place::Idle => {
                let role = self.jail.admits_going_on(push, frames, self.role(), self.now)?;
                Place::ResumeDue(push, role)
            }
            ClientMessage::Hello { minor, role } if self.place == Place::Idle && self.hello.is_none() => {
                self.hello = Some(Hello { minor, role });
                Place::Idle
            }
            // What is on its way for a push that is known already is thrown away.
            ClientMessage::Offer(_) if self.place == Place::Skip => Place::Skip,
            ClientMessage::New { .. }
            | ClientMessage::GoOn { .. }
            | ClientMessage::Hello { .. }
            | ClientMessage::Offer(_) => {
                return Err(No::keep(Code::Protocol));
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
            let more = self.expanded_bytes.saturating_add(expanded(&frame));
            let admitted = self.jail.admits_blocks(more);
            match admitted.and_then(|()| admit(&mut self.tally, &self.jail, &frame)) {
                Ok(()) => run += frame.raw.len(),
                Err(no) => break Err(no),
            }
            self.expanded_bytes = more;
            self.warn_of_bytes(more);
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
            return Err(No::keep(Code::Protocol));
        }
        let taken = frame.raw.len();
        let Place::Push(push) = self.place else {
            self.buffer.take(taken);
            self.place = Place::Done;
            return Ok(Found::More);
        };
        let seal = Seal::decode(frame.payload)?;
        let broken = |_| No { partial: Fate::Discard, ..No::keep(Code::BrokenFrames) };
        self.tally.check(&seal).map_err(broken)?;
        let warning = self.jail.admits_entries(seal.entries)?;
        admit(&mut self.tally, &self.jail, &frame)?;
        self.warn(warning);
        self.place = Place::Done;
        self.jail.sealed(push);
        self.due.push_back(ServerMessage::Sealed(push));
        Ok(Found::Seal(push, taken))
    }

    /// Only among the contents of a push that names a lender, and no more than it can have entries.
    fn offered(&mut self, offer: Offer) -> Result<Effect<'static>, No> {
        let lender = self.lender.filter(|_| self.minor() > 1 && self.tally.order() == Order::Contents);
        let lender = lender.ok_or(No::keep(Code::Protocol))?;
        self.offered = self.offered.saturating_add(offer.contents().len() as u64);
        if self.offered > self.jail.published.limits.entries {
            return Err(No { partial: Fate::Discard, ..No::keep(Code::TooLarge) });
        }
        Ok(Effect::Offered { lender, offer })
    }

    /// Once in a session, and only of a push that is kept.
    fn warn_of_bytes(&mut self, bytes: u64) {
        if let (false, Place::Push(_), Some(warning)) =
            (self.is_warned_of_bytes, self.place, self.jail.over_soft_bytes(bytes))
        {
            self.is_warned_of_bytes = true;
            self.warn(Some(warning));
        }
    }

    /// A client that did not say that it knows warnings gets none.
    fn warn(&mut self, warning: Option<ServerMessage>) {
        self.due.extend(warning.filter(|_| self.minor() > 0 && matches!(self.place, Place::Push(_))));
    }

    fn minor(&self) -> u16 {
        self.hello.map_or(0, |hello| hello.minor)
    }

    fn role(&self) -> Role {
        self.hello.map_or(Role::Usual, |hello| hello.role)
    }
}

/// A frame that may come here and stays within the limits is counted; any other changes nothing.
fn admit(tally: &mut Tally, jail: &Jail, frame: &Frame<'_>) -> Result<(), No> {
    let bytes = tally.bytes().saturating_add(frame.raw.len() as u64);
    if bytes > jail.published.limits.push_bytes || tally.frames() >= FRAMES {
        return Err(No { partial: Fate::Discard, ..No::keep(Code::TooLarge) });
    }
    if frame.kind == FrameKind::Resume.code() && !frame.payload.is_empty() {
        return Err(No::keep(Code::Protocol));
    }
    tally.take(frame)?;
    Ok(())
}

/// Where a header leads.
struct Begun {
    place: Place,
    tally: Tally,
    effect: Effect<'static>,
    declared_bytes: u64,
    lender: Option<Root>,
}

fn begin(jail: &Jail, version: Version, frame: &Frame<'_>, role: Role, now: i64) -> Result<Begun, No> {
    let header = Header::decode(frame.payload)?;
    let mut tally = Tally::of_version(version);
    admit(&mut tally, jail, frame)?;
    if header.host != jail.published.host {
        return Err(No::keep(Code::WrongHost));
    }
    if let Some(answer) = jail.known_answer(header.push) {
        let effect = Effect::Answer(answer);
        return Ok(Begun { place: Place::Skip, tally, effect, declared_bytes: 0, lender: None });
    }
    let role = jail.admits_header(&header, role, now)?;
    let (declared_bytes, lender) = (header.declared_bytes, header.lender);
    let bytes = [head_of(version).as_slice(), frame.raw].concat();
    let place = Place::Push(header.push);
    Ok(Begun { place, tally, effect: Effect::Begin { header, bytes, role }, declared_bytes, lender })
}
