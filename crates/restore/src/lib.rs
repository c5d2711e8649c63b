//! A manifest and contents in, files out.
//!
//! A [`Survey`] reads a manifest once, before anything is made: what there is, and the groups of hard links. A [`Place`] then makes each entry in a
//! folder ([`Ground`]), as something new, beneath that folder and through no link, so nothing that is there is followed or replaced. Contents come
//! from whoever calls ([`Held`]) and are hashed while they are written, before their file gets its name. Owners, modes, attributes and times are set
//! through what is held open; those of folders after all that is in them, deepest first; inode flags last of all.
//!
//! Somebody else may change the folder meanwhile: what is not what was made here, by its inode, gets no metadata, and is named.
//!
//! A [`Tar`] writes the same entries as one archive, each content read and hashed before its first byte goes out. A [`Repair`] sets the metadata of what
//! somebody has copied by hand, where its content is right.
//!
//! What lends power comes back only when asked for ([`Powers`]). What cannot be had on this machine is left out by name; what differs from the manifest
//! is gathered as [`Differences`]. This crate never removes what it has not made, and reads no history and no image.

mod differences;
mod file;
mod flags;
mod folders;
mod ground;
mod leaders;
mod meta;
mod place;
mod powers;
mod repair;
mod selection;
mod source;
mod special;
mod survey;
mod tar;
mod trouble;

pub use differences::Differences;
pub use ground::{Ground, GroundError, keep_out};
pub use leaders::Leaders;
pub use place::{Counts, Place};
pub use powers::Powers;
pub use repair::{Repair, Repaired};
pub use selection::{Selection, SelectionError};
pub use source::{Entries, Held, Source};
pub use survey::Survey;
pub use tar::Tar;
pub use trouble::Trouble;
