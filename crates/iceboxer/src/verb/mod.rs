//! The verbs.

pub mod cost;
pub mod list;
pub mod preflight;
pub mod run;
pub mod setup;
