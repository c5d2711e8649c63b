//! Hears a decoder out: header, contents, changes, seal. Nothing it says is believed; order, sizes and hashes are checked here again.

use formats::push::{FrameKind, Header, Order, Seal};
use formats::session::Code;

use super::changes::Changes;
use super::contents::Contents;
use super::fault::{Fault, Here};
use super::room::Room;
use crate::decode::event::{Event, Heard};
use crate::decoder::{Decoder, Ended};

/// Hears the header, which comes first.
pub(crate) fn header(decoder: &mut Decoder) -> Result<Header, Fault> {
    match decoder.next() {
        Ok(Heard::Event(Event::Header(payload))) => return Ok(Header::decode(payload)?),
        Ok(Heard::Event(event)) => return Err(last_word(event)),
        heard => silence(&heard)?,
    }
    Err(end(decoder))
}

/// Hears all the rest, up to the seal and the end of the decoder.
pub(crate) fn body(
    decoder: &mut Decoder,
    contents: &mut Contents,
    changes: &mut Changes,
    room: &mut Room,
) -> Result<Seal, Fault> {
    let mut order = Order::Start.after(FrameKind::Header)?;
    let mut seal = None;
    loop {
        match decoder.next() {
            Ok(Heard::Event(event)) => {
                let Some(kind) = kind(event) else { return Err(last_word(event)) };
                let before = order;
                order = order.after(kind)?;
                match event {
                    Event::Contents(block) => contents.take(block, room)?,
                    Event::Entries(block) => changes.take(block, room)?,
                    Event::Resume if before == Order::Contents => contents.forget()?,
                    Event::Resume => changes.forget()?,
                    Event::Seal(payload) => seal = Some(Seal::decode(payload)?),
                    _ => {}
                }
            }
            heard => {
                silence(&heard)?;
                break;
            }
        }
    }
    contents.finish()?;
    match (decoder.end().map_err(Fault::stream("waiting for the decoder"))?, seal) {
        (Ended::Well, Some(seal)) => Ok(seal),
        (ended, _) => Err(blame(ended)),
    }
}

/// The frame an event stands for; none for a last word.
fn kind(event: Event<'_>) -> Option<FrameKind> {
    match event {
        Event::Header(_) => Some(FrameKind::Header),
        Event::Contents(_) => Some(FrameKind::Contents),
        Event::Entries(_) => Some(FrameKind::Entries),
        Event::Resume => Some(FrameKind::Resume),
        Event::Seal(_) => Some(FrameKind::Seal),
        Event::Refused(_) | Event::Fault => None,
    }
}

fn last_word(event: Event<'_>) -> Fault {
    match event {
        Event::Fault => Fault::Here(Here::Decoder),
        Event::Refused(number) => match Code::from_number(number) {
            Ok(code @ (Code::BrokenFrames | Code::OverBudget)) => Fault::Push(code),
            _ => Fault::Push(Code::MalformedPush),
        },
        _ => Fault::Push(Code::MalformedPush),
    }
}

/// Nothing more comes. That may be as it should be; noise and too long a silence are not.
fn silence(heard: &std::io::Result<Heard<'_>>) -> Result<(), Fault> {
    match heard {
        Ok(Heard::Closed) => Ok(()),
        Ok(_) => Err(Fault::Push(Code::MalformedPush)),
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Err(Fault::Push(Code::OverBudget)),
        Err(error) => Err(Fault::stream("hearing the decoder")(error.kind().into())),
    }
}

fn end(decoder: &mut Decoder) -> Fault {
    decoder.end().map_or_else(Fault::stream("waiting for the decoder"), blame)
}

/// Whose fault an end without a seal is.
fn blame(ended: Ended) -> Fault {
    match ended {
        Ended::Failed(code) => Fault::Push(code),
        Ended::Disturbed => Fault::Here(Here::Decoder),
        Ended::Well => Fault::Push(Code::MalformedPush),
    }
}
