//! The line of the log that tells of a restore. A restore is worth more than its line: where that cannot be written, it is said, and that is all.

use cli::{Exit, Failed, Monitor, Run};
use formats::records::log::RestoreOutcome;
use history::{HostHistory, layout};
use rustix::fs::{Access, AtFlags, accessat};

use crate::account;
use crate::scribe::{Note, Restoring, Scribe};
use crate::settings::Settings;
use crate::sign::{Kind, Refused, Signing};

/// Longest name of an account, and longest path, that are noted.
const WHO_BYTES_MAX: usize = 64;
const PATH_BYTES_MAX: usize = 4096;
/// Who asked, where another account does the work.
const ASKED_BY: &str = "SUDO_USER";

/// The processes that write and sign the line; started before anything is confined.
#[derive(Debug)]
pub(super) struct Noted {
    what: Restoring,
    scribe: Result<Scribe, String>,
    signing: Result<Signing, Refused>,
}

impl Noted {
    /// A restore begins. From here on it is noted also if this process is killed.
    pub(super) fn begin(settings: &Settings, place: &HostHistory, mut what: Restoring) -> Self {
        if accessat(place.dir(), layout::LOG.as_bytes(), Access::WRITE_OK, AtFlags::EACCESS).is_err() {
            let why = "this account may not write to it".to_owned();
            let signing = Err(Refused { why: why.clone(), kind: Kind::Moment });
            return Self { what, scribe: Err(why), signing };
        }
        if let Some(path) = &mut what.path {
            path.truncate(path.floor_char_boundary(PATH_BYTES_MAX));
        }
        let note = Note::Restoring(what.clone());
        let scribe = Scribe::start(settings).map_err(|error| error.to_string()).and_then(|mut scribe| {
            scribe.note(&note)?;
            Ok(scribe)
        });
        Self { what, scribe, signing: Signing::start(settings) }
    }

    /// Their numbers.
    pub(super) fn children(&self) -> Vec<u32> {
        let scribe = self.scribe.as_ref().ok().map(Scribe::id);
        let signing = self.signing.as_ref().ok().map(Signing::id);
        scribe.into_iter().chain(signing).collect()
    }

    /// It is over.
    pub(super) fn end(self, run: &mut Run, ended: &Result<Exit, Failed>) {
        let left_out = run.report().left_out();
        let outcome = match ended {
            Ok(_) if left_out == 0 => RestoreOutcome::Whole,
            Ok(_) => RestoreOutcome::Partial,
            Err(failed) if failed.exit() == Exit::SNAPSHOT_DIFFERS => RestoreOutcome::Partial,
            Err(_) => RestoreOutcome::Failed,
        };
        let host = &self.what.host;
        let noted = self.scribe.and_then(|mut scribe| {
            let noted = scribe.note(&Note::Restored { left_out, outcome });
            scribe.finish();
            noted
        });
        let signed = match (&noted, self.signing) {
            (Ok(()), Ok(mut signing)) => {
                let signed = signing.log(host);
                signing.finish();
                signed
            }
            (Ok(()), Err(refused)) => Err(refused),
            (Err(_), signing) => {
                if let Ok(signing) = signing {
                    signing.finish();
                }
                Ok(())
            }
        };
        if let Err(why) = noted {
            run.console().warn(&format!("that this was restored is not noted in the log of {host}: {why}"));
        }
        if let Err(Refused { why, .. }) = signed {
            run.console().warn(&format!("{host}: its log is not signed: {why}"));
        }
    }
}

/// Who asks: the account that ran this, or the one behind `sudo`.
pub(super) fn who() -> String {
    let user = rustix::process::getuid().as_raw().to_string();
    let behind = std::env::var(ASKED_BY).ok().filter(|name| !name.is_empty());
    let name = behind.or_else(|| {
        let line = account::getent("passwd", &[&user]).ok()?;
        Some(line.split(':').next()?.to_owned()).filter(|name| !name.is_empty())
    });
    let mut name = cli::shown(name.unwrap_or(user).as_bytes());
    name.truncate(name.floor_char_boundary(WHO_BYTES_MAX));
    name
}

/// As [`account::leave_root`], and the account that goes on knows who asked.
pub(super) fn leave_root(settings: &Settings) -> Result<(), Failed> {
    account::leave_root_with(settings, |command| {
        command.env(ASKED_BY, who());
        Ok(())
    })
}
