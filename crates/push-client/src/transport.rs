//! What carries a push to the server: a child process with a descriptor in and a descriptor out.
//!
//! The process that reads this host's files never speaks to the network. It connects the socket and reads the key, hands both
//! to the child, and from then on only frames cross between the two. The child holds no file, no capability and no second
//! socket; whoever takes it over from the server's side has what the server is sent anyway, and nothing else.

mod alive;
mod attempt;
mod carried;
mod child;
mod ending;
mod error;
mod handover;
mod login;
mod outward;
mod pace;
mod patience;
mod pump;
mod push_file;
mod ssh2_child;
mod ssh_options;
mod ssh_program;
mod ssh_words;
mod system_ssh;
mod words;

pub(crate) use attempt::attempt as run_attempt;
pub use attempt::{Attempt, Tried};
pub use carried::Carried;
pub use child::transport as run_transport;
pub use error::TransportError;
pub use outward::Outward;
pub use push_file::PushFile;
pub(crate) use push_file::write_push_file;
pub(crate) use ssh_program::become_ssh;
pub use ssh2_child::Ssh2Child;
pub use system_ssh::SystemSsh;

use crate::plan::{Target, Way};

/// A way to reach a server.
pub trait Transport {
    /// Connects, and starts what carries the push. That the server let us in shows in its first message.
    fn open(&self, target: &Target) -> Result<Carried, TransportError>;
}

/// By the way that the settings choose.
pub fn open(target: &Target) -> Result<Carried, TransportError> {
    match &target.way {
        Way::Ssh2 => Ssh2Child.open(target),
        Way::Ssh(program) => SystemSsh::new(program).open(target),
    }
}
