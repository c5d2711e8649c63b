//! What iceboxer has published about the newest ice of each host. Document: docs/formats/standing.md.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use formats::records::Record;
use formats::records::standing::{STANDING_BYTES, StandingRecord};

use super::off_site::{Newest, seconds};
use super::shown;

/// None if nothing is published.
pub(super) fn read(path: &Path) -> Result<Option<Vec<Newest>>, String> {
    let at = |error: std::io::Error| format!("{}: {error}", shown(path));
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(at)?,
    };
    let mut bytes = Vec::new();
    file.take(STANDING_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(at)?;
    let standing = StandingRecord::from_line(&bytes).map_err(|error| format!("{}: {error}", shown(path)))?;
    // A time that is none is no proof of anything: such an ice does not count.
    let newest = standing.ices.into_iter().filter_map(|ice| {
        let (stored, retain_until) = (seconds(&ice.stored)?, seconds(&ice.retain_until)?);
        Some(Newest { host: ice.host.to_string(), vault: ice.vault, stored, retain_until })
    });
    Ok(Some(newest.collect()))
}
