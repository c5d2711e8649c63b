//! The end of a push: sealed, and judged.

use std::collections::HashSet;
use std::time::Duration;

use cli::Amount;
use formats::published::Verdict;
use formats::session::{Code, ServerMessage};
use formats::{PushId, Summary};
use wire::client::await_verdict;

use super::{Push, machine};
use crate::push::error::PushError;
use crate::push::phases::Phase;
use crate::push::session::{JUDGING, SEALING};

/// Beyond the time the server was asked to wait, for its answer to arrive.
const ANSWER: Duration = Duration::from_secs(30);

impl Push<'_> {
    /// True if the push was accepted while we waited.
    pub(super) fn seal_and_wait(&mut self, push: PushId, summary: Summary) -> Result<bool, PushError> {
        let wait = Duration::from_secs(self.job.plan.target.idle_seconds.into());
        let verdict = match self.session.next(wait, SEALING)? {
            ServerMessage::Sealed(_) => {
                self.kept()?;
                self.state.end_journal()?;
                self.account.enter(Some(Phase::Verdict));
                self.ask(push)?
            }
            ServerMessage::Verdict { verdict, .. } => verdict,
            ServerMessage::Refused { code, retry_seconds } => {
                return Err(PushError::Refused { code, retry_seconds });
            }
            ServerMessage::Base(_) | ServerMessage::Warned { .. } | ServerMessage::Had(_) => {
                return Err(PushError::OutOfTurn);
            }
        };
        self.kept()?;
        match verdict {
            Verdict::Pending => Ok(false),
            Verdict::Accepted { root } if root == summary.root => {
                self.memory.accept(root);
                self.memory.whole = false;
                self.state.remember(&self.memory)?;
                Ok(true)
            }
            Verdict::Accepted { .. } => Err(PushError::OutOfTurn),
            Verdict::Rejected { code } => {
                self.memory.forget(push);
                self.state.remember(&self.memory)?;
                self.doubt(code)?;
                Err(PushError::Rejected { code })
            }
        }
    }

    fn ask(&mut self, push: PushId) -> Result<Verdict, PushError> {
        let seconds = self.job.plan.verdict_wait_seconds;
        if seconds == 0 {
            return Ok(Verdict::Pending);
        }
        let _task = self.monitor.task("waiting for the verdict", Amount::Items(None));
        self.session.expect_verdict(push);
        let mut bytes = Vec::new();
        await_verdict(push, seconds, &mut bytes)?;
        self.session.send(&bytes)?;
        match self.session.next(Duration::from_secs(seconds.into()) + ANSWER, JUDGING) {
            Ok(ServerMessage::Verdict { verdict, .. }) => Ok(verdict),
            Ok(ServerMessage::Refused { .. }) => Ok(Verdict::Pending),
            Ok(_) => Err(PushError::OutOfTurn),
            // It is sealed; only the answer is missing.
            Err(PushError::Ended { .. } | PushError::Silent { .. } | PushError::Transport(_)) => {
                self.monitor.warn("the connection ended before the verdict; the push is sealed");
                Ok(Verdict::Pending)
            }
            Err(error) => Err(error),
        }
    }

    /// It was rejected for something that it counted on: a content that did not come out on the server, or was not there. A list that led to it
    /// must not lead to it again, and no more must what the server said it has.
    pub(super) fn doubt(&mut self, code: Code) -> Result<(), PushError> {
        let counted_on = [Code::ContentHash, Code::MissingContent, Code::UnknownBase, Code::WrongRoot];
        if counted_on.contains(&code) {
            self.memory.whole = true;
            self.state.remember(&self.memory)?;
        }
        if matches!(code, Code::ContentHash | Code::MissingContent) {
            let emptied = self.state.pieces()?.keep_only(&HashSet::new());
            emptied.map_err(machine("remove the lists of pieces"))?;
        }
        Ok(())
    }
}
