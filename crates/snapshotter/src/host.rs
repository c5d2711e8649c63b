//! Makes and lists hosts. `host add` is the only thing here that root does: accounts, jails and keys are root's, so that nobody whom they hold
//! can change them.

mod account_name;
pub(crate) mod add;
mod key;
pub(crate) mod list;
mod network;
#[allow(dead_code, reason = "read by the verbs that follow")]
pub(crate) mod record;
pub(crate) mod sshd_config;
mod step;
