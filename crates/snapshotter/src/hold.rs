//! A hold: nothing of a history is removed, or one snapshot is not, until it is released. Both are in the log, with the reason that a person gave.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::Utc;
use cli::{Exit, Failed, Run};
use formats::HostId;
use formats::records::log::Event;
use history::LogAppender;

use crate::list::open;
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::{sign, turn};

const REASON_BYTES_MAX: usize = 1_000;
/// How long it is waited for an ingest.
const PATIENCE: Duration = Duration::from_secs(60);

/// `HOST`, or `HOST/SNAPSHOT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    host: HostId,
    snapshot: Option<String>,
}

/// Whether it begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Hold,
    Release,
}

/// Why, in the words of a person: no line breaks and nothing that moves a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason(String);

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, snapshot) = match text.split_once('/') {
            Some((host, snapshot)) => (host, Some(snapshot.to_owned())),
            None => (text, None),
        };
        let host = HostId::parse(host).map_err(|error| error.to_string())?;
        Ok(Self { host, snapshot })
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits =
            !text.trim().is_empty() && text.len() <= REASON_BYTES_MAX && !text.chars().any(char::is_control);
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be one line of 1 to {REASON_BYTES_MAX} bytes"))
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.snapshot {
            Some(snapshot) => write!(f, "{}/{snapshot}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

impl Target {
    /// Whose.
    pub(crate) fn host(&self) -> &HostId {
        &self.host
    }

    /// Which snapshot; none for all of the history.
    pub(crate) fn snapshot(&self) -> Option<&str> {
        self.snapshot.as_deref()
    }
}

/// Runs the verb.
pub(crate) fn run(
    run: &mut Run,
    settings: &Settings,
    target: &Target,
    reason: &Reason,
    change: Change,
) -> Result<Exit, Failed> {
    let host = &target.host;
    let at = || Trouble::history(host);
    let place = open(settings)?.host(host).map_err(at())?;
    let alone = turn::write_within(&place, PATIENCE)?;
    let mut log = LogAppender::open(&place, &alone).map_err(at())?;
    let snapshot = match &target.snapshot {
        Some(name) => Some(log.log().find(name).map_err(at())?.name.to_string()),
        None => None,
    };
    let target = Target { host: host.clone(), snapshot: snapshot.clone() };
    let reason = reason.0.clone();
    let event = match change {
        Change::Hold => Event::Hold { reason, snapshot },
        Change::Release if log.log().holds().iter().all(|held| held.snapshot != snapshot) => {
            let advice = Some("`snapshotter list` names what is on hold".to_owned());
            return Err(Trouble::Usage { what: format!("{target} is not on hold"), advice }.into());
        }
        Change::Release => Event::Release { reason, snapshot },
    };
    log.append(event, Utc::now()).map_err(at())?;
    drop((log, alone));
    sign::logs(&run.console(), settings, std::iter::once(host));
    let word = if change == Change::Hold { "on hold" } else { "released" };
    run.line(&format!("{target}: {word}"));
    Ok(Exit::WHOLE)
}
