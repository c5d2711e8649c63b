//! From a host id to the name of its account.
//!
//! The prefix and the id, with `.` written as `_`, which no host id has. Linux takes 32 bytes: a longer name is cut, and ends in `-` and the
//! first 8 digits of the id's BLAKE3. Two hosts can so get one name only by a freak of that hash; `host add` looks, and refuses.

use formats::{ContentHash, HostId};

use crate::settings::Settings;
use crate::trouble::Trouble;

const NAME_BYTES_MAX: usize = 32;
const HASH_DIGITS: usize = 8;
/// The account of iceboxer.
pub(super) const ICE: &str = "firn-ice";

/// The name of the host's account.
pub(crate) fn account_name(settings: &Settings, host: &HostId) -> Result<String, Trouble> {
    let prefix = &settings.account_prefix;
    let mut name = format!("{prefix}{}", host.as_str().replace('.', "_"));
    if name.len() > NAME_BYTES_MAX {
        let keep = NAME_BYTES_MAX - HASH_DIGITS - 1;
        if prefix.len() >= keep {
            let advice = Some("choose a shorter `account_prefix` in the settings".to_owned());
            return Err(Trouble::Usage { what: format!("no account can be named for host {host}"), advice });
        }
        let hash = ContentHash::of(host.as_str().as_bytes()).to_string();
        // All of it is ASCII: a prefix of the settings and a host id.
        name.truncate(keep);
        name.push('-');
        name.extend(hash.chars().take(HASH_DIGITS));
    }
    if [settings.owner.as_str(), settings.readers.as_str(), ICE].contains(&name.as_str()) {
        let advice = Some("choose another `account_prefix` in the settings, or another host id".to_owned());
        return Err(Trouble::Usage {
            what: format!("the account of host {host} would be {name}, which has another use"),
            advice,
        });
    }
    Ok(name)
}

/// The comment by which an account is known to be this host's.
pub(crate) fn comment(host: &HostId) -> String {
    format!("firn host {host}")
}
