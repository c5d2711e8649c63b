//! One squashfs image of one host: what goes in, writing it, and proving it.
//!
//! - `contents`: from the entries of manifests to the names of an image. Writer and checker both follow it.
//! - `survey`: reads the manifests once, before anything is written: are they sound, how large can the image become?
//! - `source`: a file of the history, opened when its turn comes and checked while it is read.
//! - [`write`](mod@write): the image.
//! - [`check`]: reads the image back and compares every name and every content. Only then does it count.

pub mod check;
pub(crate) mod contents;
mod error;
pub(crate) mod source;
pub(crate) mod survey;
pub mod write;

pub use error::ImageError;

/// Blocks of an image, before compression.
const BLOCK_BYTES: u32 = 128 * 1024;
