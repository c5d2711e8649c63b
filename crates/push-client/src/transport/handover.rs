//! What a parent hands to its transport child: the connected socket, the pipe whose bytes go to the server, and what is needed
//! to be let in. Once, at the start, over a Unix socket, as only that carries descriptors.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

/// Longest handover, in bytes. A key takes about 400.
const BYTES_MAX: usize = 64 * 1024;

/// What is needed to be let in.
#[derive(Serialize, Deserialize)]
pub(super) struct Handover {
    pub(super) account: String,
    pub(super) key: String,
    /// The only host key that is believed, as it travels.
    pub(super) host_key: Vec<u8>,
    pub(super) ciphers: Vec<String>,
    pub(super) connect_seconds: u32,
    pub(super) idle_seconds: u32,
    pub(super) session_seconds: u32,
    pub(super) keepalive_seconds: u32,
}

/// The two descriptors of a transport child.
#[derive(Debug)]
pub(super) struct Ends<Fd> {
    /// Connected to the server.
    pub(super) socket: Fd,
    /// Where the bytes for the server come from.
    pub(super) input: Fd,
}

impl Handover {
    /// Sends itself and two descriptors.
    pub(super) fn send(&self, over: &mut (impl AsFd + Write), ends: &Ends<BorrowedFd<'_>>) -> io::Result<()> {
        let body = serde_json::to_vec(self)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?.to_le_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [ends.socket, ends.input];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        // Four bytes into an empty buffer: sent whole or not at all.
        sendmsg(&*over, &[IoSlice::new(&length)], &mut control, SendFlags::NOSIGNAL)?;
        over.write_all(&body)
    }

    /// Receives all of it.
    pub(super) fn receive(over: &mut (impl AsFd + Read)) -> io::Result<(Self, Ends<OwnedFd>)> {
        let mut length = [0u8; 4];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(&*over, &mut [IoSliceMut::new(&mut length)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let mut fds = control.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
            _ => Vec::new(),
        });
        let (socket, input) = (fds.next(), fds.next());
        let length = u32::from_le_bytes(length) as usize;
        let (Some(socket), Some(input), 4, true) = (socket, input, received.bytes, length <= BYTES_MAX)
        else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut body = vec![0u8; length];
        over.read_exact(&mut body)?;
        Ok((serde_json::from_slice(&body)?, Ends { socket, input }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    #[test]
    fn both_descriptors_and_the_words_arrive() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut served, _) = listener.accept().unwrap();
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let handover = Handover {
            account: "firn-web01".to_owned(),
            key: "a key\n".to_owned(),
            host_key: vec![1, 2, 255],
            ciphers: vec!["aes128-gcm@openssh.com".to_owned()],
            connect_seconds: 30,
            idle_seconds: 300,
            session_seconds: 3_600,
            keepalive_seconds: 60,
        };
        let (input, mut to) = std::io::pipe().unwrap();
        handover.send(&mut ours, &Ends { socket: socket.as_fd(), input: input.as_fd() }).unwrap();
        drop((socket, input));
        let (received, Ends { socket, input }) = Handover::receive(&mut theirs).unwrap();
        assert_eq!(received.key, "a key\n");
        assert_eq!(received.host_key, [1, 2, 255]);
        TcpStream::from(socket).write_all(b"here").unwrap();
        let mut word = [0u8; 4];
        served.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"here");
        to.write_all(b"data").unwrap();
        std::fs::File::from(input).read_exact(&mut word).unwrap();
        assert_eq!(&word, b"data");
    }

    #[test]
    fn bytes_without_descriptors_are_no_handover() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.write_all(&[2, 0, 0, 0, b'{', b'}']).unwrap();
        assert!(Handover::receive(&mut theirs).is_err());
    }
}
