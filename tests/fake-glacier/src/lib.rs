//! A Glacier server for tests, on loopback and in memory.
//!
//! It is honest where test servers usually are not: tree hashes of archives and of each part, parts of one length that is a power of two MiB, jobs
//! that take their hours by the server's own clock, inventories that are a day behind, vault locks and their policies, rights of each user,
//! signatures. It is dishonest on demand: each [`Fault`] breaks one rule, and counts how often it did.
//!
//! What is asked for and not built is refused with 501, never ignored. Users have rights by action, without conditions.
//!
//! The way of a request: [`server`] takes it from the socket, `signature` proves who asks, `route` finds what is asked and which right it needs,
//! `policy` says whether the asker may, and `archives`, `uploads`, `jobs` or `locks` answers from `store`.

mod answer;
mod archives;
mod control;
mod fault;
mod jobs;
mod locks;
mod policy;
mod request;
mod route;
pub mod server;
mod signature;
mod store;
mod tree;
mod uploads;

pub use control::{ArchiveInfo, Key};
pub use fault::{Fault, Times};
pub use locks::{LockState, deny_delete_below};
pub use server::FakeGlacier;
