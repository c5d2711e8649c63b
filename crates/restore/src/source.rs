//! Where entries and contents come from.

use std::io::Read;

use cli::Failed;
use formats::{ContentHash, Entry, Kind};

use crate::Trouble;

/// The entries of one manifest, in order.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<Entry, Failed>> + 'a>;

/// A manifest that was read to its end before, and found good. It is walked more than once.
pub trait Source {
    /// Its entries, from the first. One walk at a time.
    fn entries(&self) -> Result<Entries<'_>, Failed>;
}

/// What is held of one name, beside its entry.
pub trait Held {
    /// What of it is not as its entry says, as far as that is known without its content.
    fn differs(&self, kind: &Kind) -> Option<&'static str>;

    /// The content of a file, which should be `expected`, from its start. A [`Place`](crate::Place) asks at most once, a [`Tar`](crate::Tar) may ask
    /// twice; only for files. A
    /// read that fails is a difference of this file alone.
    fn content(&mut self, expected: &ContentHash) -> Result<Box<dyn Read + '_>, Trouble>;
}
