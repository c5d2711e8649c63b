//! From a host id to the name of its account: [`HostId::account`], where no name is one that has another use.

use formats::HostId;

use super::appliance;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// The account of iceboxer.
pub(super) const ICE: &str = "firn-ice";
/// The account that calls hosts which may call nobody.
const RENDEZVOUS: &str = "firn-rendezvous";

/// The name of the host's account.
pub(crate) fn account_name(settings: &Settings, host: &HostId) -> Result<String, Trouble> {
    let prefix = &settings.account_prefix;
    let Some(name) = host.account(prefix) else {
        let advice = Some("choose a shorter `account_prefix` in the settings".to_owned());
        return Err(Trouble::Usage { what: format!("no account can be named for host {host}"), advice });
    };
    if [settings.owner.as_str(), settings.readers.as_str(), ICE, RENDEZVOUS, &appliance::group(settings)]
        .contains(&name.as_str())
    {
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
