//! Makes, lists and retires hosts. `host add` and `host retire` are the only things here that root does: accounts, jails and keys are root's,
//! so that nobody whom they hold can change them.

mod access_list;
pub(crate) mod account_name;
mod add;
pub(crate) mod alone;
pub(crate) mod appliance;
pub(crate) mod args;
mod book;
pub(crate) mod extent;
pub(crate) mod key;
mod list;
mod network;
mod readers;
pub(crate) mod record;
mod retire;
pub(crate) mod sessions;
mod slots;
mod sshd_config;
pub(crate) mod step;
pub(crate) mod steps;

pub(crate) use list::known;

use cli::{Exit, Failed, Run};

use args::HostVerb;
use extent::Extent;
use sshd_config::Shape;

use crate::settings::Settings;

/// Runs one of the verbs.
pub(crate) fn run(run: &mut Run, settings: &Settings, verb: &HostVerb) -> Result<Exit, Failed> {
    match verb {
        HostVerb::Add(typed) => add::run(run, settings, &add::Asked::new(typed)?),
        HostVerb::List => list::run(run, settings),
        HostVerb::Retire { host, dry_run } => retire::run(run, settings, host, Extent::new(*dry_run)),
        HostVerb::SshdConfig { dedicated } => sshd_config::run(run, settings, Shape::new(*dedicated)),
    }
}
