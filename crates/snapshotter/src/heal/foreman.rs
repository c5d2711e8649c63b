//! Starts the process that mends, for a verify that has confined itself and can start nothing. It was started before, reads no history, and is told a
//! host and hashes.

use cli::{Exit, Failed, Monitor, Run};
use formats::limits::WANTED;
use formats::{ContentHash, HostId};
use serde::{Deserialize, Serialize};

use super::mend::Mended;
use crate::account::this_program;
use crate::child;
use crate::clerk::{Clerk, serve};
use crate::ingest::exit_of;
use crate::settings::Settings;

/// The hidden verb.
const VERB: &str = "heal-hosts";

/// The process that starts others, seen from the one that reads.
#[derive(Debug)]
pub(crate) struct Foreman {
    clerk: Clerk,
}

/// What to look at.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) host: HostId,
    pub(crate) contents: Vec<ContentHash>,
}

/// What came of it: without an outcome, the code that the process ended with.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    mended: Option<Mended>,
    exit: u8,
}

impl Foreman {
    /// Starts it.
    pub(crate) fn start(settings: &Settings) -> std::io::Result<Self> {
        Ok(Self { clerk: Clerk::start(settings, VERB)? })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.clerk.id()
    }

    /// Has one history mended; what is wrong, the process has said on standard error.
    pub(crate) fn mend(&mut self, order: &Order) -> std::io::Result<Result<Mended, Exit>> {
        let Answer { mended, exit } = self.clerk.ask(order)?;
        Ok(mended.ok_or_else(|| Exit::of(exit)))
    }

    /// Lets it go.
    pub(crate) fn finish(self) {
        self.clerk.finish();
    }
}

/// The process itself.
pub(crate) fn child(run: &Run, settings: &Settings) -> Result<Exit, Failed> {
    serve(|order: Order| {
        one(settings, &order).unwrap_or_else(|error| {
            run.console().warn(&format!("mending {}: {error}", order.host));
            Answer { mended: None, exit: Exit::MACHINE.code() }
        })
    })?;
    Ok(Exit::WHOLE)
}

fn one(settings: &Settings, order: &Order) -> std::io::Result<Answer> {
    let list: String = order.contents.iter().take(WANTED).map(|content| format!("{content}\n")).collect();
    let mut command = this_program();
    command.args(["heal-host", order.host.as_str(), "--config"]).arg(&settings.file);
    let said = child::answer(&mut command, list.as_bytes())?;
    let exit = exit_of(said.status);
    let mended = said.text().lines().last().and_then(|line| serde_json::from_str(line).ok());
    Ok(match mended.filter(|_| exit == Exit::WHOLE) {
        Some(mended) => Answer { mended: Some(mended), exit: 0 },
        None => {
            Answer { mended: None, exit: if exit == Exit::WHOLE { Exit::BUG.code() } else { exit.code() } }
        }
    })
}
