//! Open folders, and changes to them that are whole or absent.
//!
//! Every file that Firn keeps is reached from a held folder ([`Dir`]) by one validated component ([`Name`]). A path given
//! as text cannot be passed to anything here but [`Dir::open_root`], which takes a trusted path from settings. So there is
//! no name to check first and open later: the kernel resolves beneath the held folder, and refuses links, in one call.
//!
//! - [`Name`]: one component of a path.
//! - [`Dir`]: a held folder. Opening and creating (`open`, `create`), listing and facts (`list`, `stat`), renames and
//!   links (`place`), removal (`unlink`, `remove_tree`), durability (`sync`).
//! - [`Dir::write_whole`], [`Unfinished`]: a file has its old content or its new content, at every instant.
//! - [`Acl`]: who may besides owner and group, of what is open.
//! - [`Lock`]: one holder at a time, freed by the kernel when the holder dies.
//!
//! This crate never follows a symbolic link, never retries a failed fsync, and never returns before what it promises
//! is on the disk.

mod acl;
mod create;
mod dir;
mod error;
mod list;
mod lock;
mod name;
mod open;
mod place;
mod remove_tree;
mod stat;
mod sync;
mod unlink;
mod whole;

pub use acl::Acl;
pub use dir::Dir;
pub use error::{Error, Result, Step};
pub use lock::Lock;
pub use name::Name;
pub use place::Linked;
pub use stat::{FileKind, Stat};
pub use whole::{Unfinished, is_unfinished};
