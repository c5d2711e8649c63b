//! What the walk and the runner say to each other: a greeting with the pipes of the dumps, then requests of two bytes and answers of four.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use super::ended::{Ended, How, Kind};
use crate::plan::COMMANDS_MAX;

const GREETING_BYTES: usize = 36;
const MAGIC: u8 = b'r';

/// What the walk asks for. It names no command: the settings do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) kind: Kind,
    /// Before, dump: which one, from 1; it must be the next. After: the code that the push ends with; it asks for all of them, once.
    pub(super) number: u8,
}

impl Ask {
    pub(super) fn encode(self) -> [u8; 2] {
        [self.kind.number(), self.number]
    }

    /// None at the end of the stream, and for what is none.
    pub(super) fn read(from: &mut impl Read) -> Option<Self> {
        let mut bytes = [0; 2];
        from.read_exact(&mut bytes).ok()?;
        let [kind, number] = bytes;
        Kind::of(kind).map(|kind| Self { kind, number })
    }
}

impl Ended {
    pub(super) fn write(self, to: &mut impl Write) -> io::Result<()> {
        let [how, value] = self.how.encode();
        to.write_all(&[self.kind.number(), self.number, how, value])
    }

    pub(super) fn read(from: &mut impl Read) -> Option<Self> {
        let mut bytes = [0; 4];
        from.read_exact(&mut bytes).ok()?;
        let [kind, number, how, value] = bytes;
        Some(Self { kind: Kind::of(kind)?, number, how: How::decode([how, value])? })
    }
}

/// What the runner says first: what its settings come to, and where the dumps come out.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) fingerprint: [u8; 32],
    pub(super) outputs: Vec<OwnedFd>,
}

impl Greeting {
    pub(super) fn send(&self, over: &impl AsFd) -> io::Result<()> {
        let mut bytes = vec![MAGIC, u8::try_from(self.outputs.len()).map_err(io::Error::other)?, 0, 0];
        bytes.extend_from_slice(&self.fingerprint);
        let fds: Vec<BorrowedFd<'_>> = self.outputs.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(COMMANDS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Into an empty buffer: sent whole or not at all.
        sendmsg(over, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// None if the other side has ended instead.
    pub(super) fn receive(over: &impl AsFd) -> io::Result<Option<Self>> {
        let mut bytes = [0; GREETING_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(COMMANDS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(over, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let outputs: Vec<OwnedFd> = control
            .drain()
            .flat_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
                _ => Vec::new(),
            })
            .collect();
        if received.bytes == 0 {
            return Ok(None);
        }
        let [MAGIC, count, 0, 0, fingerprint @ ..] = bytes else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        if received.bytes != GREETING_BYTES || outputs.len() != usize::from(count) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Some(Self { fingerprint, outputs }))
    }
}

/// A socket whose bytes are read and written as those of a file: a confined process has no other calls.
pub(super) fn as_file(socket: impl Into<OwnedFd>) -> File {
    File::from(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_said_is_understood_and_nothing_else() {
        for (kind, number) in [(Kind::Before, 1), (Kind::Dump, 32), (Kind::After, 143)] {
            let ask = Ask { kind, number };
            assert_eq!(Ask::read(&mut ask.encode().as_slice()), Some(ask));
        }
        for bad in [[0, 1], [4, 1], [255, 255]] {
            assert_eq!(Ask::read(&mut bad.as_slice()), None);
        }
        for how in [How::Status(7), How::Signal(9), How::TooLong, How::Stopped, How::NotStarted] {
            let mut bytes = Vec::new();
            let ended = Ended { kind: Kind::After, number: 3, how };
            ended.write(&mut bytes).unwrap();
            assert_eq!(Ended::read(&mut bytes.as_slice()), Some(ended));
        }
        for bad in [[1, 1, 5, 0], [1, 1, 2, 1], [4, 1, 0, 0], [0, 1, 0, 0]] {
            assert_eq!(Ended::read(&mut bad.as_slice()), None);
        }
    }

    #[test]
    fn a_greeting_brings_all_pipes() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let pipes: Vec<_> = (0..COMMANDS_MAX).map(|_| std::io::pipe().unwrap()).collect();
        let (outputs, mut ends): (Vec<OwnedFd>, Vec<_>) =
            pipes.into_iter().map(|(read, write)| (OwnedFd::from(read), write)).unzip();
        Greeting { fingerprint: [7; 32], outputs }.send(&ours).unwrap();
        let greeting = Greeting::receive(&theirs).unwrap().unwrap();
        assert_eq!((greeting.fingerprint, greeting.outputs.len()), ([7; 32], COMMANDS_MAX));
        ends[4].write_all(b"four").unwrap();
        let mut word = [0; 4];
        File::from(greeting.outputs.into_iter().nth(4).unwrap()).read_exact(&mut word).unwrap();
        assert_eq!(&word, b"four");
        Greeting { fingerprint: [7; 32], outputs: Vec::new() }.send(&ours).unwrap();
        assert_eq!(Greeting::receive(&theirs).unwrap().unwrap().outputs.len(), 0);
        drop(ours);
        assert!(Greeting::receive(&theirs).unwrap().is_none());
    }

    #[test]
    fn what_is_no_greeting_is_refused() {
        let good = |count: u8| [[MAGIC, count, 0, 0].as_slice(), &[0; 32]].concat();
        let received = |bytes: &[u8]| {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(bytes).unwrap();
            Greeting::receive(&theirs)
        };
        assert!(received(&good(0)).unwrap().is_some());
        let (mut another, mut versioned) = (good(0), good(0));
        another[0] = b'R';
        versioned[3] = 1;
        // A pipe that did not come, and a word that was cut short.
        for bad in [another, versioned, good(1), good(0)[..35].to_vec(), vec![MAGIC]] {
            assert!(received(&bad).is_err(), "{bad:?}");
        }
    }
}
