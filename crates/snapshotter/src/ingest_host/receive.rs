//! Hears a decoder out: header, contents, changes, seal. Nothing it says is believed; order, sizes and hashes are checked here again.

use std::io;

use formats::push::{FrameKind, Header, Order, Seal};
use formats::session::Code;

use super::changes::Changes;
use super::contents::Contents;
use super::fault::{Fault, Here};
use super::room::Room;
use crate::decode::event::{Event, Heard};
use crate::decoder::{Decoder, Ended};

/// Somebody who speaks as a decoder does, true or false.
pub(crate) trait Hear {
    /// What comes next.
    fn next(&mut self) -> io::Result<Heard<'_>>;
    /// How it ended, once nothing more comes.
    fn end(&mut self) -> io::Result<Ended>;
}

impl Hear for Decoder {
    fn next(&mut self) -> io::Result<Heard<'_>> {
        Decoder::next(self)
    }

    fn end(&mut self) -> io::Result<Ended> {
        Decoder::end(self)
    }
}

/// Hears the header, which comes first.
pub(crate) fn header(decoder: &mut impl Hear) -> Result<Header, Fault> {
    match decoder.next() {
        Ok(Heard::Event(Event::Header(payload))) => return Ok(Header::decode(payload)?),
        Ok(Heard::Event(event)) => return Err(last_word(event)),
        heard => silence(&heard)?,
    }
    Err(end(decoder))
}

/// Hears all the rest, up to the seal and the end of the decoder.
pub(crate) fn body(
    decoder: &mut impl Hear,
    contents: &mut Contents<'_>,
    changes: &mut Changes,
    room: &Room<'_>,
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
    // First of all how it ended: a decoder that was killed leaves a content open, which is not the push's fault.
    match (decoder.end().map_err(Fault::stream("waiting for the decoder"))?, seal) {
        (Ended::Well, Some(seal)) => contents.finish().map(|()| seal),
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
fn silence(heard: &io::Result<Heard<'_>>) -> Result<(), Fault> {
    match heard {
        Ok(Heard::Closed) => Ok(()),
        Ok(_) => Err(Fault::Push(Code::MalformedPush)),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Fault::Push(Code::OverBudget)),
        Err(error) => Err(Fault::stream("hearing the decoder")(error.kind().into())),
    }
}

fn end(decoder: &mut impl Hear) -> Fault {
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

#[cfg(test)]
mod tests {
    use durable::Dir;
    use formats::published::Limits;
    use formats::push::Record;
    use formats::{ContentHash, HostId, InstallationId, PushId, Root};

    use super::*;
    use crate::ingest_host::contents::Block;
    use crate::ingest_host::crew::Crew;
    use crate::ingest_host::shelves::Shelves;

    /// A decoder that somebody has taken over.
    struct Liar(std::vec::IntoIter<Vec<u8>>, Vec<u8>, Ended);

    impl Hear for Liar {
        fn next(&mut self) -> io::Result<Heard<'_>> {
            let Some(next) = self.0.next() else { return Ok(Heard::Closed) };
            self.1 = next;
            let (kind, payload) = self.1.split_first().unwrap();
            Ok(match kind {
                1 => Heard::Event(Event::Header(payload)),
                2 => Heard::Event(Event::Contents(payload)),
                3 => Heard::Event(Event::Entries(payload)),
                4 => Heard::Event(Event::Resume),
                5 => Heard::Event(Event::Seal(payload)),
                6 => Heard::Event(Event::Refused(u16::from(payload[0]))),
                7 => Heard::Event(Event::Fault),
                _ => Heard::Noise,
            })
        }

        fn end(&mut self) -> io::Result<Ended> {
            Ok(self.2)
        }
    }

    fn event(kind: u8, payload: &[u8]) -> Vec<u8> {
        [&[kind], payload].concat()
    }

    fn seal() -> Vec<u8> {
        let root = Root::from_bytes([0; 32]);
        event(5, &Seal { frames: 1, hash: [0; 32], root, entries: 0, left_out: 0 }.encode())
    }

    fn hear(events: Vec<Vec<u8>>, ended: Ended) -> Result<Seal, Fault> {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(scratch.path()).unwrap();
        let store = dir.make_dir(durable::Name::literal("contents"), 0o750).unwrap();
        let shelves = Shelves::new(store, u64::MAX).unwrap();
        let mut changes = Changes::new(&dir, 1 << 20).unwrap();
        let room = Room::new(&dir, 0).unwrap();
        std::thread::scope(|scope| {
            let crew = Crew::start(scope, || Ok(|block: Block| block.put_down(&shelves, &room))).unwrap();
            let mut contents = Contents::new(&shelves, crew, &Limits::default(), None);
            let mut liar = Liar(events.into_iter(), Vec::new(), ended);
            let heard = body(&mut liar, &mut contents, &mut changes, &room);
            contents.settle().0.and(heard)
        })
    }

    #[test]
    fn a_decoder_that_lies_is_not_believed() {
        let mut data = Vec::new();
        Record::Data(b"x").encode(&mut data);
        let mut forged = data.clone();
        Record::End { size: 1, hash: ContentHash::of(b"y") }.encode(&mut forged);
        let cases = [
            ("a second header", vec![event(1, b""), seal()], Code::MalformedPush),
            ("contents after entries", vec![event(3, b"x"), event(2, &data)], Code::MalformedPush),
            ("two seals", vec![seal(), seal()], Code::MalformedPush),
            ("contents after the seal", vec![seal(), event(2, &data)], Code::MalformedPush),
            ("a short seal", vec![event(5, b"short")], Code::MalformedPush),
            ("no records", vec![event(2, &[9, 9, 9]), seal()], Code::MalformedPush),
            ("an open content", vec![event(2, &data), seal()], Code::MalformedPush),
            ("a forged content", vec![event(2, &forged), seal()], Code::ContentHash),
            (
                "more changes than allowed",
                vec![event(3, &vec![0; 1 << 20]), event(3, b"x")],
                Code::OverBudget,
            ),
            ("noise", vec![event(99, b"")], Code::MalformedPush),
            ("silence", vec![], Code::MalformedPush),
            ("a verdict that is not its to give", vec![event(6, &[8])], Code::MalformedPush),
            ("an unknown verdict", vec![event(6, &[99])], Code::MalformedPush),
            ("broken frames", vec![event(6, &[20])], Code::BrokenFrames),
        ];
        for (what, events, code) in cases {
            match hear(events, Ended::Well) {
                Err(Fault::Push(found)) => assert_eq!(found, code, "{what}"),
                other => panic!("{what}: {other:?}"),
            }
        }
        assert!(hear(vec![seal()], Ended::Well).is_ok());
    }

    #[test]
    fn whose_fault_it_is_depends_on_how_the_decoder_ended() {
        assert!(matches!(hear(vec![seal()], Ended::Disturbed), Err(Fault::Here(Here::Decoder))));
        let mut data = Vec::new();
        Record::Data(b"x").encode(&mut data);
        let open = || vec![event(2, &data)];
        assert!(matches!(hear(open(), Ended::Disturbed), Err(Fault::Here(Here::Decoder))));
        assert!(matches!(hear(open(), Ended::Well), Err(Fault::Push(Code::MalformedPush))));
        assert!(matches!(hear(vec![event(7, b"")], Ended::Well), Err(Fault::Here(Here::Decoder))));
        let crashed = Ended::Failed(Code::OverBudget);
        assert!(matches!(hear(vec![seal()], crashed), Err(Fault::Push(Code::OverBudget))));
    }

    #[test]
    fn a_header_must_come_first_and_be_one() {
        let first = |events: Vec<Vec<u8>>| header(&mut Liar(events.into_iter(), Vec::new(), Ended::Well));
        let good = Header {
            host: HostId::parse("web01").unwrap(),
            installation: InstallationId::from_bytes([1; 16]),
            push: PushId::from_bytes([2; 16]),
            counter: 1,
            base: None,
            lender: None,
            started: 0,
            zone: "UTC".to_owned(),
            declared_bytes: 0,
        };
        assert_eq!(first(vec![event(1, &good.encode().unwrap())]).unwrap(), good);
        for bad in [vec![], vec![event(1, b"x")], vec![seal()], vec![event(4, b"")], vec![event(99, b"")]] {
            assert!(matches!(first(bad), Err(Fault::Push(Code::MalformedPush))));
        }
    }
}
