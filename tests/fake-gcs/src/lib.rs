//! A server of Google Cloud Storage's JSON API for tests, on loopback and in memory.
//!
//! It is honest where test servers usually are not: bucket policies and object retention (Locked and Unlocked), permissions by role, tokens signed
//! with an account's key, preconditions, generations, resumable uploads and CRC-32C are enforced as Google does. It is dishonest on demand: each
//! [`Fault`] breaks one rule, and counts how often it did.
//!
//! What is asked for and not built is refused with 501, never ignored: multipart uploads, ACLs, rewrites, encoded contents, soft delete.
//!
//! The way of a request: [`server`] takes it from the socket, `request` reads its head, `account` proves who asks and `access` says what he may,
//! `route` finds the function that answers, and that function reads or changes `store`.

mod access;
mod account;
mod answer;
mod bucket;
mod change;
mod clock;
mod control;
mod document;
mod fault;
mod fields;
mod insert;
mod read;
mod refusal;
mod request;
mod retention;
mod route;
pub mod server;
mod session;
mod store;

pub use access::Grant;
pub use clock::{Clock, Skew};
pub use control::{LogLine, VersionInfo};
pub use fault::{Fault, Times};
pub use retention::Mode;
pub use server::FakeGcs;
pub use store::{Bucket, Versioning};
