//! What iceboxer has published about the ice of all hosts. Document: docs/formats/standing.md.

use std::io::Read;

use durable::{Dir, Name};
use formats::records::Record;
use formats::records::standing::{STANDING_BYTES, StandingRecord};

use crate::settings::Settings;

/// Reads the file that the settings name; none if there is none. Its folder is another account's: nothing in it is followed or waited for.
pub(crate) fn read(settings: &Settings) -> Result<Option<StandingRecord>, String> {
    let path = &settings.ice_standing;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    let opened = Dir::open_root(folder).and_then(|dir| dir.open_read(Name::new(name.as_encoded_bytes())?));
    let file = match opened {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened.map_err(|error| error.to_string())?,
    };
    let mut bytes = Vec::new();
    let read = file.take(STANDING_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    StandingRecord::from_line(&bytes).map(Some).map_err(|error| error.to_string())
}
