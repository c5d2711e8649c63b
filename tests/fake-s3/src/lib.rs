//! An S3 server for tests, on loopback and in memory.
//!
//! It is honest where test servers usually are not: object lock (also on multipart uploads, and also against shortening), versions, policies
//! with their conditions, signatures, checksums of every announced kind, storage classes and their thaws are enforced as AWS does. It is
//! dishonest on demand: each [`Fault`] breaks one rule, and counts how often it did.
//!
//! What is asked for and not built is refused with 501, never ignored. Two things differ from AWS on purpose: an ETag is not the MD5 of an
//! object unless the client announced one (as on AWS under a customer key), and no checksum is computed that nobody announced.
//!
//! The way of a request: [`server`] takes it from the socket, `request` reads its head, `signature` proves who asks, `body` receives and
//! checks its bytes, `route` finds the one function that answers, `access` says whether the asker may, and that function reads or changes
//! `store`.

mod access;
mod answer;
pub mod args;
mod attributes;
mod body;
mod bucket;
mod checksum;
mod chunked;
mod clock;
mod complete;
mod configuration;
mod control;
mod copy;
mod delete;
mod documents;
mod fault;
mod house;
mod list;
mod multipart;
mod object;
mod parts;
mod policy;
mod read;
mod refusal;
mod request;
mod restore;
mod retention;
mod route;
mod segments;
pub mod server;
mod signature;
mod store;
mod trap;
mod turn;
mod versions;
mod xml;

pub use access::{Condition, Effect, Operator, Statement};
pub use bucket::Bucket;
pub use clock::{Clock, Skew};
pub use fault::{Fault, Times};
pub use house::{LogLine, UploadInfo, VersionInfo};
pub use policy::PolicyError;
pub use retention::Mode;
pub use server::{FakeS3, Options, PayloadHash};
pub use store::{Key, Versioning};
