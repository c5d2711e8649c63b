//! Walking the chosen trees, in the order of manifests, over held folders.
//!
//! Every name is reached from the descriptor of its folder by one component and never through a symbolic link, so whoever may
//! write in a tree can rename, swap and replace as he likes: the walk sees the one or the other, and never leaves the tree.

mod ahead;
mod attributes;
mod facts;
mod flags;
mod level;
mod links;
mod listing;
mod names;
mod open;
mod rules;
mod selection;
mod tags;
mod trace;
mod walker;

pub use ahead::{Ahead, Walked};
pub use attributes::{Attributes, read_attributes};
pub use facts::{Facts, FileKind, Freshness, Shift, Stamp};
pub use flags::read_flags;
pub use links::Links;
pub use names::Names;
pub use open::{Mounts, open_file};
pub use rules::{RULE_BYTES_MAX, RULES_MAX, RuleError, Rules};
pub use selection::{Branch, Choice, Selection};
pub use tags::{Caches, Tags};
pub use trace::{Fate, Trace};
pub use walker::{Excluded, Found, Missed, Visit, Walker};
