//! The newest ice of each host, as iceboxer has published it.

use super::off_site::{Newest, seconds};
use super::shown;
use crate::settings::Settings;
use crate::standing;

/// None if nothing is published.
pub(super) fn read(settings: &Settings) -> Result<Option<Vec<Newest>>, String> {
    let told =
        standing::read(settings).map_err(|error| format!("{}: {error}", shown(&settings.ice_standing)));
    let Some(standing) = told? else { return Ok(None) };
    // A time that is none is no proof of anything: such an ice does not count.
    let newest = standing.ices.into_iter().filter_map(|ice| {
        let (stored, retain_until) = (seconds(&ice.stored)?, seconds(&ice.retain_until)?);
        Some(Newest {
            host: ice.host.to_string(),
            vault: ice.vault,
            snapshot: ice.snapshot,
            stored,
            retain_until,
        })
    });
    Ok(Some(newest.collect()))
}
