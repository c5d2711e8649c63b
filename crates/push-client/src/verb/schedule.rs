//! `push-client schedule`.

use std::path::Path;

use cli::settings::SettingsError;
use cli::{Exit, Failed, Run};
use formats::schedule::minute;

use crate::host;
use crate::settings::Settings;

/// The hours of a day at which a host pushes.
const HOURS: &str = "2,10,18";

pub(super) fn schedule(
    run: &mut Run,
    settings: &Path,
    hostname: Option<&str>,
    verbose: u8,
) -> Result<Exit, Failed> {
    let name = match hostname {
        Some(name) => name.to_owned(),
        None => own_name(settings)?,
    };
    let minute = minute(&name);
    let cron = format!("{minute} {HOURS} * * *");
    run.line(&minute.to_string());
    if verbose > 0 {
        run.line(&format!("{cron} push-client run"));
    }
    let report = run.report();
    report.detail("hostname", cli::shown(name.as_bytes()));
    report.detail("minute", minute);
    report.detail("cron", cron);
    Ok(Exit::WHOLE)
}

/// The host of the settings; without settings, the machine's name.
fn own_name(settings: &Path) -> Result<String, Failed> {
    let named = match Settings::load(settings) {
        Ok((settings, _)) => settings.host,
        Err(SettingsError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    match named {
        Some(name) => Ok(name),
        None => host::name().map_err(|source| Failed::machine("reading the machine's name", source)),
    }
}
