//! The runner's life: read the settings, hand over the pipes, run what is next, and in the end what comes after.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cli::Exit;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{DumpableBehavior, set_dumpable_behavior, setsid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::ended::{Ended, How, Kind};
use super::messages::{Ask, Greeting, as_file};
use super::order::Order;
use super::process::Errand;
use super::said::say;
use crate::plan::{Plan, Task};

/// Who ends a whole group of processes goes over it more than once: what begins meanwhile would be ended, too.
pub(crate) const SETTLE: Duration = Duration::from_millis(300);
/// So long after the end of the walk, a service manager tells what is left of the group to end.
const TOLD: Duration = Duration::from_secs(2);
const NAP: Duration = Duration::from_millis(20);

/// The hidden verb `run-commands`.
pub(crate) fn serve(settings: &Path) -> ExitCode {
    match start(settings) {
        Ok(runner) => {
            runner.work();
            Exit::WHOLE.into()
        }
        Err(why) => {
            say(&format!("runner of commands: {why}"));
            Exit::MACHINE.into()
        }
    }
}

struct Serving {
    plan: Plan,
    walk: File,
    /// A signal came.
    is_told: Arc<AtomicBool>,
    outputs: Vec<Option<OwnedFd>>,
}

fn start(settings: &Path) -> Result<Serving, String> {
    let told = |error: io::Error| error.to_string();
    // Commands see three descriptors, whatever our starter left open.
    close_fds::set_fds_cloexec(3, &[]);
    // The walk has root's name: it must not find its way into our memory.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|errno| told(errno.into()))?;
    // What a command of another account writes to a terminal of root's, root could be made to have typed.
    setsid().map_err(|errno| told(errno.into()))?;
    // The push is ended by a signal, and then comes what comes after: that is ours to do. Commands do not inherit it.
    let is_told = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&is_told)).map_err(told)?;
    }
    let plan = Plan::load(settings).map_err(|error| cli::Failed::from(error).chain())?;
    let walk = as_file(io::stdin().as_fd().try_clone_to_owned().map_err(told)?);
    let pipes = plan.commands.dumps.iter().map(|_| pipe_with(PipeFlags::CLOEXEC));
    let pipes: Vec<_> = pipes.collect::<Result<_, _>>().map_err(|errno| told(errno.into()))?;
    let (outputs, ends): (Vec<_>, Vec<_>) = pipes.into_iter().map(|(from, to)| (from, Some(to))).unzip();
    let greeting = Greeting { fingerprint: plan.commands.fingerprint(), outputs };
    greeting.send(&walk).map_err(told)?;
    Ok(Serving { plan, walk, is_told, outputs: ends })
}

impl Serving {
    fn work(mut self) {
        let mut order = Order::of(&self.plan.commands);
        loop {
            let ask = Ask::read(&mut self.walk);
            let ended = match ask {
                Some(Ask { kind: Kind::After, number: exit }) => return self.after(Some(exit)),
                Some(ask) if order.admits(ask) => {
                    let ended = self.run(ask);
                    order.note(ended.how);
                    ended
                }
                other => {
                    if let Some(ask) = other {
                        say(&format!(
                            "runner of commands: {} {} is not what comes next; the push is over",
                            ask.kind.word(),
                            ask.number
                        ));
                        let _ = rustix::net::shutdown(&self.walk, rustix::net::Shutdown::Both);
                    }
                    if order.has_begun() {
                        self.settle();
                        self.after(None);
                    }
                    return;
                }
            };
            // If nobody listens, the next reading tells.
            let _ = ended.write(&mut self.walk);
        }
    }

    /// The walk is gone. Whoever ended it may be about to end us all.
    fn settle(&self) {
        let until = Instant::now() + TOLD;
        while !self.is_told.load(Ordering::SeqCst) && Instant::now() < until {
            sleep(NAP);
        }
        sleep(SETTLE);
    }

    fn run(&mut self, Ask { kind, number }: Ask) -> Ended {
        let place = usize::from(number).saturating_sub(1);
        let commands = &self.plan.commands;
        let task = match kind {
            Kind::Dump => commands.dumps.get(place).map(|dump| &dump.task),
            Kind::Before | Kind::After => commands.before.get(place),
        };
        let output = match kind {
            Kind::Dump => self.outputs.get_mut(place).and_then(Option::take),
            Kind::Before | Kind::After => None,
        };
        let how = task.map_or(How::NotStarted, |task| {
            errand(&self.plan, task, (kind, number), output).run(Some(self.walk.as_fd()))
        });
        Ended { kind, number, how }
    }

    /// All of them, whatever becomes of each.
    fn after(mut self, exit: Option<u8>) {
        let mut endings = Vec::new();
        for (number, task) in (1..).zip(&self.plan.commands.after) {
            let mut errand = errand(&self.plan, task, (Kind::After, number), None);
            errand.environment.extend(exit.map(|exit| ("FIRN_EXIT", exit.to_string())));
            let how = errand.run(None);
            if exit.is_none() && !how.is_good() {
                say(&format!("after {number} ({}) {how}", task.name()));
            }
            endings.push(Ended { kind: Kind::After, number, how });
        }
        for ended in endings {
            let _ = ended.write(&mut self.walk);
        }
    }
}

fn errand<'a>(
    plan: &Plan,
    task: &'a Task,
    (kind, number): (Kind, u8),
    output: Option<OwnedFd>,
) -> Errand<'a> {
    let whose = format!("{} {number} ({})", kind.word(), task.name());
    Errand { task, whose, environment: vec![("FIRN_HOST", plan.host.to_string())], output }
}
