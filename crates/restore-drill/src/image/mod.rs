//! An image, read by a child.
//!
//! The tables of an image come from outside, and no reader of them is beyond doubt. So the process that parses and expands them ([`child`]) has
//! no file, no privilege, no network and a limit of memory; it gets the image as an open descriptor, and tells what it finds in a fixed, simple
//! language ([`talk`]) to the process that compares and writes ([`reader`]), which believes none of it.

pub(crate) mod child;
pub(crate) mod hold;
pub(crate) mod layout;
mod manifest;
mod reader;
mod talk;

pub(crate) use manifest::Manifest;
pub(crate) use reader::{ImageReader, Node};
pub(crate) use talk::Kind;
