//! Lines of a log that say of a grant that it began or ended. Root asks, and a child that is the account of the histories writes.

use std::io::Read;
use std::time::Duration;

use chrono::Utc;
use cli::{Console, Exit, Failed};
use durable::Dir;
use formats::HostId;
use formats::limits::LINE_BYTES;
use formats::records::grant::{GrantEnded, Granted};
use formats::records::log::Event;
use history::{History, LogAppender};
use sandbox::{Confinement, Profile, Threads};
use serde::{Deserialize, Serialize};

use crate::account::this_program;
use crate::child;
use crate::ingest::exit_of;
use crate::settings::Settings;
use crate::sign;
use crate::trouble::Trouble;
use crate::turn;

/// How long it is waited for an ingest.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happened.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Note {
    Opened(Granted),
    /// The one that is open, if one is.
    Ended(GrantEnded),
}

/// Has it noted, and the log signed.
pub(super) fn note(console: &Console, settings: &Settings, host: &HostId, note: &Note) -> Result<(), Failed> {
    let bytes = serde_json::to_vec(note).map_err(|error| Failed::bug("telling of a grant", error))?;
    let mut command = this_program();
    command.arg("--config").arg(&settings.file).args(["note-grant", host.as_str()]);
    let said = child::answer(&mut command, &bytes);
    match exit_of(said.map_err(Trouble::stream("having a grant noted"))?.status) {
        Exit::WHOLE => {}
        exit => {
            return Err(Trouble::Child { what: format!("the log of {host} was not written"), exit }.into());
        }
    }
    sign::logs(console, settings, std::iter::once(host));
    Ok(())
}

/// The child.
pub(crate) fn child(settings: &Settings, host: &HostId) -> Result<Exit, Failed> {
    let dir =
        Dir::open_root(&settings.history).map_err(Trouble::folder("opening the folder of histories"))?;
    let history = History::open(&settings.history).map_err(Trouble::Histories)?;
    let confinement = Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::One);
    let _in_force = confinement.write_files_beneath(&dir).apply().map_err(Trouble::from)?;
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(LINE_BYTES as u64).read_to_end(&mut bytes);
    read.map_err(Trouble::stream("reading what to note"))?;
    let note: Note =
        serde_json::from_slice(&bytes).map_err(|error| Failed::bug("reading what to note", error))?;
    let at = || Trouble::history(host);
    let place = history.host(host).map_err(at())?;
    let alone = turn::write_within(&place, PATIENCE)?;
    let mut log = LogAppender::open(&place, &alone).map_err(at())?;
    let event = match (note, log.log().grant()) {
        (Note::Opened(granted), _) => Event::Grant(granted),
        (Note::Ended(how), Some(open)) => Event::GrantEnd { grant: open.line, how },
        // A run that was killed has noted it before.
        (Note::Ended(_), None) => return Ok(Exit::WHOLE),
    };
    log.append(event, Utc::now()).map_err(at())?;
    Ok(Exit::WHOLE)
}
