//! The verbs.

pub mod cost;
pub mod list;
pub mod preflight;
pub mod prove_lock;
pub mod run;
pub mod setup;
pub mod status;
