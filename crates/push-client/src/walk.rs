//! Walking the chosen trees, in the order of manifests, over held folders.
//!
//! Every name is reached from the descriptor of its folder by one component and never through a symbolic link, so whoever may
//! write in a tree can rename, swap and replace as he likes: the walk sees the one or the other, and never leaves the tree.

mod attributes;
mod facts;
mod links;
mod names;
mod open;
mod selection;
mod walker;

pub use attributes::{Attributes, read_attributes};
pub use facts::{Facts, FileKind, Freshness, Stamp};
pub use links::Links;
pub use names::Names;
pub use open::open_file;
pub use selection::{Branch, Choice, Selection};
pub use walker::{Found, Missed, Visit, Walker};
