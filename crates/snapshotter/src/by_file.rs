//! A push that came by other means: a file, for one host, judged in a process of its own as a pushed one is. The file is only read.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cli::{Exit, Failed, Run};
use formats::HostId;
use formats::session::Code;

use crate::host::record::HostRecord;
use crate::ingest::{hosts, process, tell, told};
use crate::ingest_host::outcome::{End, Outcome};
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::{account, sign};

/// How long a push of the same host that is just being judged is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const NAP: Duration = Duration::from_millis(500);

/// What was asked for.
pub(crate) struct Brought<'a> {
    pub(crate) hosts: &'a [HostId],
    pub(crate) file: &'a Path,
    /// By root, before it became who it is now: on standard input.
    pub(crate) opened: bool,
}

/// Runs the verb. Only root may be able to open the file; nobody reads it as root.
pub(crate) fn run(run: &mut Run, settings: &Settings, brought: &Brought<'_>) -> Result<Exit, Failed> {
    let [host] = brought.hosts else {
        let what = "--from takes the push file of one host, and that host must be named".to_owned();
        let advice = Some("snapshotter ingest HOST --from FILE".to_owned());
        return Err(Trouble::Usage { what, advice }.into());
    };
    account::leave_root_with(settings, |command| {
        command.arg("--opened").stdin(open(brought.file)?);
        Ok(())
    })?;
    if !hosts(settings)?.contains(host) {
        return Err(Trouble::NoHost { host: host.to_string() }.into());
    }
    if HostRecord::read(settings, host)?.retired.is_some() {
        let what = format!("host {host} is retired: nothing more is taken under its id, by no means");
        return Err(Trouble::Usage { what, advice: None }.into());
    }
    let until = Instant::now() + PATIENCE;
    loop {
        let input = if brought.opened { Stdio::inherit() } else { open(brought.file)?.into() };
        let (exit, outcome) = process(settings, host, &["--from-input"], input)?;
        let Some(outcome) = outcome else {
            if exit == Exit::BUSY && Instant::now() < until {
                std::thread::sleep(NAP);
                continue;
            }
            return Ok(exit);
        };
        tell(run, host, &outcome);
        sign::logs(&run.console(), settings, std::iter::once(host));
        let value = told(host, &outcome)?;
        run.report().detail("pushes", vec![value]);
        return Ok(if exit == Exit::WHOLE { exit_of(&outcome) } else { exit });
    }
}

/// Nobody else is told of a rejection.
fn exit_of(outcome: &Outcome) -> Exit {
    match (outcome.end, &outcome.code) {
        (End::Rejected | End::Repeated, Some((number, _))) => {
            Code::from_number(*number).map_or(Exit::BUG, |code| Exit::of(code.exit_code()))
        }
        _ => Exit::WHOLE,
    }
}

fn open(path: &Path) -> Result<File, Failed> {
    let at = || format!("opening {}", cli::shown(path.as_os_str().as_encoded_bytes()));
    // Not blocking: a fifo in its place must not hang us.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file =
        File::options().read(true).custom_flags(nonblocking).open(path).map_err(Trouble::stream(at()))?;
    Ok(file)
}
