//! Images in the quarantine that are not whole yet. One that a run had to leave for no fault of the ice stays, and the next run that wants the same
//! goes on there: bringing a large ice takes longer than many credentials live.
//!
//! Nothing says how far such an image is: each of its segments is hashed again and compared with the record, as if it had just come. There is at
//! most one for each vault, for at most a week.

use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};

use durable::{Dir, Name, Stat};
use formats::ContentHash;

/// What all their names begin with.
const IMAGE: &str = "image-";
/// How long after its last change one is kept.
const KEPT_SECONDS: i64 = 7 * 24 * 3_600;
/// Letters of a hash that tell vaults apart.
const VAULT_LETTERS: usize = 16;

/// The name of one: which record, in which vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageName {
    vault: String,
    whole: String,
}

impl ImageName {
    /// Of the ice that the vault's own record, as it was read, describes.
    pub(crate) fn new(vault: &str, record: &[u8]) -> ImageName {
        let hash = ContentHash::of(vault.as_bytes()).to_string();
        let vault = format!("{IMAGE}{}-", hash.get(..VAULT_LETTERS).unwrap_or_default());
        let whole = format!("{vault}{}", ContentHash::of(record));
        ImageName { vault, whole }
    }

    fn name(&self) -> durable::Result<Name<'_>> {
        Name::new(self.whole.as_bytes())
    }
}

/// Removes those that are too old.
pub(crate) fn remove_old(folder: &Dir) -> durable::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    remove(folder, |name| {
        let age = folder.stat(name).map(|stat| now.saturating_sub(stat.mtime_seconds));
        age.is_ok_and(|age| age > KEPT_SECONDS)
    })
}

/// Removes them all.
pub(crate) fn remove_all(folder: &Dir) -> durable::Result<()> {
    remove(folder, |_| true)
}

/// Removes one, if it is there.
pub(crate) fn forget(folder: &Dir, image: &ImageName) -> durable::Result<()> {
    remove(folder, |name| name.as_bytes() == image.whole.as_bytes())
}

/// Removes all but one.
pub(crate) fn remove_others(folder: &Dir, but: &ImageName) -> durable::Result<()> {
    remove(folder, |name| name.as_bytes() != but.whole.as_bytes())
}

/// Opens one, which is made if it is not there. Others of the same vault are removed.
pub(crate) fn open(folder: &Dir, image: &ImageName) -> durable::Result<File> {
    remove(folder, |name| {
        name.as_bytes().starts_with(image.vault.as_bytes()) && name.as_bytes() != image.whole.as_bytes()
    })?;
    match folder.open_read_write(image.name()?) {
        Err(error) if error.is_not_found() => folder.create_new(image.name()?, 0o600),
        opened => opened,
    }
}

/// How many bytes of one are there.
pub(crate) fn bytes(folder: &Dir, image: &ImageName) -> durable::Result<u64> {
    match folder.stat(image.name()?) {
        Err(error) if error.is_not_found() => Ok(0),
        stat => stat.map(|Stat { size, .. }| size),
    }
}

fn remove(folder: &Dir, is_wanted: impl Fn(Name<'_>) -> bool) -> durable::Result<()> {
    for name in folder.names()?.iter().filter(|name| name.starts_with(IMAGE.as_bytes())) {
        let name = Name::new(name)?;
        if is_wanted(name) {
            folder.remove_tree(name)?;
        }
    }
    Ok(())
}
