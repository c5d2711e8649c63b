//! The second thread of a push: squeezes blocks, notes frames in the journal, and writes them.

use std::io::{self, Write};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use formats::ContentHash;
use formats::cursor::Malformed;
use formats::push::{Block, Codec, Record};
use wire::client::Outgoing;

use super::packer::{Outlet, Parcel};
use super::press::{Level, Press};
use crate::state::{Content, Journal};
use crate::transport::Outward;

/// Why sending ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The transport takes no more: it knows why, or the server has said why.
    #[error("send")]
    Closed(#[source] io::Error),
    /// zstd refused to start.
    #[error("set up compression")]
    Compressor(#[source] io::Error),
    /// A frame that breaks its own format.
    #[error("make a frame")]
    Frame(#[from] Malformed),
    /// The thread panicked, and said so.
    #[error("panicked")]
    Panicked,
}

/// What is needed to send.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) to: Outward,
    pub(super) outgoing: Outgoing,
    /// None when it cannot be written: the push can then not be gone on with, and is none the worse.
    pub(super) journal: Option<Journal>,
    pub(super) level: Level,
    /// Longest silence towards the server.
    pub(super) silence: Duration,
}

/// What sending came to.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) outgoing: Outgoing,
    pub(super) contents: u64,
}

impl Sender {
    /// Starts the thread. It ends when the packer is dropped.
    pub(super) fn start(self, outlet: Outlet) -> io::Result<JoinHandle<Result<Sent, SendError>>> {
        thread::Builder::new().name("sender".to_owned()).spawn(move || self.run(&outlet))
    }

    fn run(mut self, outlet: &Outlet) -> Result<Sent, SendError> {
        let mut press = Press::new(self.level).map_err(SendError::Compressor)?;
        let mut frame = Vec::new();
        let (mut contents, mut quiet_allowed) = (0, true);
        loop {
            match outlet.parcels.recv_timeout(self.silence) {
                Ok(Parcel::Contents { block, closed, open }) => {
                    contents += closed.len() as u64;
                    quiet_allowed = !open;
                    self.outgoing.contents(&press.squeeze(&block), clear(&mut frame))?;
                    let began = Instant::now();
                    self.send(&frame, &closed)?;
                    outlet.count();
                    press.adapt(began.elapsed()).map_err(SendError::Compressor)?;
                    // Nobody waits for it when the walk is done.
                    let _ = outlet.used.try_send(block);
                }
                Ok(Parcel::Entries { block }) => {
                    quiet_allowed = false;
                    self.outgoing.entries(&press.squeeze(&block), clear(&mut frame))?;
                    self.send(&frame, &[])?;
                    outlet.count();
                    let _ = outlet.used.try_send(block);
                }
                Ok(Parcel::Offer(offer)) => {
                    wire::client::offer(offer, clear(&mut frame))?;
                    self.to.write_all(&frame).map_err(SendError::Closed)?;
                    outlet.count();
                }
                Ok(Parcel::Unsent(contents)) => {
                    self.note(|journal| journal.note_unsent(&contents));
                }
                // Between contents the empty content can be sent at any time, and harms nobody.
                Err(RecvTimeoutError::Timeout) if quiet_allowed => {
                    let mut sign = Vec::new();
                    Record::End { size: 0, hash: ContentHash::of(b"") }.encode(&mut sign);
                    let block = Block { codec: Codec::Stored, expanded_bytes: sign.len(), packed: &sign };
                    self.outgoing.contents(&block, clear(&mut frame))?;
                    self.send(&frame, &[])?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(Sent { outgoing: self.outgoing, contents })
    }

    fn send(&mut self, frame: &[u8], closed: &[Content]) -> Result<(), SendError> {
        let mark = self.outgoing.mark();
        self.note(|journal| journal.note(&mark, closed));
        self.to.write_all(frame).map_err(SendError::Closed)
    }

    fn note(&mut self, note: impl FnOnce(&mut Journal) -> io::Result<()>) {
        if let Some(journal) = &mut self.journal
            && note(journal).is_err()
        {
            // Its tail is lost; the next run begins anew if this one is cut.
            self.journal = None;
        }
    }
}

fn clear(frame: &mut Vec<u8>) -> &mut Vec<u8> {
    frame.clear();
    frame
}
