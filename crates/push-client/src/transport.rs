//! What carries a push to the server: a child process with a descriptor in and a descriptor out.
//!
//! The process that reads this host's files never speaks to the network; only frames cross between it and the child. By the settings, or
//! by what is installed (`plan/way.rs`), the child is one of two. The system's ssh connects by itself: without capabilities, with nothing to
//! write, and with the key file among the few that it can read. Crate ssh2's, this program under another verb, is handed the connected socket
//! and the key, and holds no file, no capability and no second socket; whoever takes it over from the server's side has what the server is
//! sent anyway, the key's use for that login, and nothing else.

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
