//! The snapshot log: reading and checking, what it comes to, adding to it.

pub(crate) mod append;
pub(crate) mod kept;
mod line;
pub(crate) mod reader;
pub(crate) mod redacted;
pub(crate) mod rot;
pub(crate) mod state;
pub(crate) mod unchanged;
