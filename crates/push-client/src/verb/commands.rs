//! What `run` has done before and after a push.

use std::path::Path;
use std::thread::sleep;

use cli::{Exit, Failed, Monitor, Run};

use crate::commands::{CommandError, How, Runner, SETTLE, stop};
use crate::plan::{Commands, Plan};
use crate::state::StateFolder;

/// The commands around a push.
#[derive(Debug)]
pub(super) struct Around {
    pub(super) runner: Option<Runner>,
}

impl Around {
    /// Starts the runner, where the settings have commands. From then on signals are obeyed in good order.
    pub(super) fn start(settings: &Path, plan: &Plan, state: &StateFolder) -> Result<Self, Failed> {
        if plan.commands.is_empty() {
            return Ok(Self { runner: None });
        }
        stop::listen().map_err(|error| Failed::machine("listening for signals", error))?;
        let lock = state.lock().map_err(|error| Failed::machine("sharing the lock", error))?;
        Ok(Self { runner: Some(Runner::start(settings, &plan.commands, lock)?) })
    }

    /// Runs what comes before.
    pub(super) fn before(&mut self, commands: &Commands, monitor: &dyn Monitor) -> Result<(), Failed> {
        let runner = self.runner.as_mut();
        Ok(runner.map_or(Ok(()), |runner| runner.before(commands, monitor))?)
    }

    /// The same outcome, unless a signal brought it about.
    pub(super) fn judged<T>(&self, outcome: Result<T, Failed>) -> Result<T, Failed> {
        stop::is_over();
        if self.runner.is_none() || !stop::is_asked() {
            return outcome;
        }
        // What comes after must not begin among the signals of whoever ends us.
        sleep(SETTLE);
        if outcome.is_err() {
            stop::obey();
            return Err(CommandError::Stopped.into());
        }
        outcome
    }

    /// Runs what comes after a push that ends with `exit`, and tells with what the run ends.
    pub(super) fn after(self, run: &mut Run, commands: &Commands, exit: Exit) -> Exit {
        let Some(runner) = self.runner else { return exit };
        let console = run.console();
        let endings = runner.after(commands, exit.code(), &console);
        let mut failed = Vec::new();
        for (name, how) in endings {
            if !How::is_good(how) {
                console.warn(&format!("{name} {how}"));
                failed.push(format!("{name} {how}"));
            }
        }
        if failed.is_empty() {
            return exit;
        }
        run.report().detail("after_failed", failed);
        if exit == Exit::WHOLE { Exit::LEFT_OUT } else { exit }
    }
}
