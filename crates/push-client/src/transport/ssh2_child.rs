//! Crate ssh2 as a transport, in a child of its own, which is this program under another verb.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::pipe::PipeFlags;

use super::carried::Speech;
use super::handover::{Ends, Handover};
use super::{Carried, Transport, TransportError};
use crate::openssh::PrivateKey;
use crate::plan::Target;

/// The hidden verb that the child runs under.
pub(crate) const VERB: &str = "transport";

/// Bytes that may wait between parent and child.
const WAITING_BYTES: usize = 1024 * 1024;

/// Starts `push-client transport`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ssh2Child;

impl Transport for Ssh2Child {
    fn open(&self, target: &Target) -> Result<Carried, TransportError> {
        let key = PrivateKey::load(target.key.as_deref().ok_or(TransportError::NoKey)?)?;
        let socket = connect(target)?;
        // Without it, Nagle's algorithm and delayed acknowledgements cost 40 ms a message.
        socket.set_nodelay(true).map_err(TransportError::Start)?;
        start(&handover(target, &key), &socket, target).map_err(TransportError::Start)
    }
}

/// What a child needs to be let in.
pub(super) fn handover(target: &Target, key: &PrivateKey) -> Handover {
    Handover {
        account: target.account.clone(),
        key: key.text().to_owned(),
        host_key: target.host_key.blob().to_vec(),
        ciphers: target.ciphers.clone(),
        connect_seconds: target.connect_seconds,
        idle_seconds: target.idle_seconds,
        session_seconds: target.session_seconds,
        keepalive_seconds: target.keepalive_seconds,
    }
}

fn start(handover: &Handover, socket: &TcpStream, target: &Target) -> io::Result<Carried> {
    let (input, to) = wide_pipe()?;
    let (mut ours, theirs) = UnixStream::pair()?;
    let child = Command::new("/proc/self/exe")
        .arg(VERB)
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let carried = Carried::by(child, Speech::Ours, to, target)?;
    handover.send(&mut ours, &Ends { socket: socket.as_fd(), input: input.as_fd() })?;
    Ok(carried)
}

/// For our bytes to the child.
pub(super) fn wide_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (input, to) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // A whole frame fits, so the next block is squeezed while this one is sent. A smaller pipe works too.
    let _ = rustix::pipe::fcntl_setpipe_size(&to, WAITING_BYTES);
    Ok((input, to))
}

pub(super) fn connect(target: &Target) -> Result<TcpStream, TransportError> {
    let (address, port) = (target.address.as_str(), target.port);
    let name = |source| TransportError::Name { address: cli::shown(address.as_bytes()), source };
    let addresses: Vec<SocketAddr> = (address, port).to_socket_addrs().map_err(name)?.collect();
    let deadline = Instant::now() + Duration::from_secs(target.connect_seconds.into());
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(TransportError::Connect { address: cli::shown(address.as_bytes()), port, source: failure })
}
