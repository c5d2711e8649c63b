//! Takes over the history that rsnapshot has made of a host: each of its folders becomes a snapshot, oldest first, with the time of the folder.
//!
//! Nothing here writes history. push-client reads a folder as if it were the host's `/` and writes a push file; that is judged as one that came by other
//! means, but for its time. push-client remembers from folder to folder, so a file that rsnapshot linked is read once and stored once. The folder of
//! rsnapshot is only read.

mod folders;

use std::path::PathBuf;
use std::process::Stdio;

use chrono::{DateTime, SecondsFormat, Utc};
use cli::{Exit, Failed, Monitor, Run};
use formats::HostId;
use history::{History, Log, Snapshot};

use crate::host::record::HostRecord;
use crate::ingest::{hosts, process, tell};
use crate::ingest_host::outcome::{End, Outcome};
use crate::pushed::{Part, Scratch};
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::{account, sign};
use folders::Folder;

/// What was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Asked {
    /// rsnapshot's `snapshot_root`: the folder that holds daily.0
    folder: PathBuf,
    /// Whose history it becomes; the host was added, and has none yet
    #[arg(long)]
    host: HostId,
    /// The folder in daily.0 that holds this host's files, if there are several (the third word of `backup` in rsnapshot.conf)
    #[arg(long, value_name = "NAME")]
    point: Option<String>,
    /// Only list what would be taken over
    #[arg(long)]
    dry_run: bool,
    /// A folder of root's, with room for the largest of the snapshots, packed
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/firn/import")]
    scratch: PathBuf,
    /// The push-client that reads the files; the one beside this program, if it is not named
    #[arg(long, value_name = "PROGRAM")]
    push_client: Option<PathBuf>,
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, asked: &Asked) -> Result<Exit, Failed> {
    let point = asked.point.as_deref();
    let found = folders::find(&asked.folder, point)?;
    for (name, why) in &found.passed_over {
        run.console().warn(&format!("{} is passed over: {why}", cli::shown(name)));
    }
    let first = check(settings, asked, &found.folders)?;
    for (number, folder) in found.folders.iter().enumerate() {
        let what = if number < first { "imported already" } else { "to import" };
        run.line(&format!("{}  {}  {what}", written(folder.time), folder.name));
    }
    run.report().count("folders", found.folders.len() as u64);
    run.report().count("imported_before", first as u64);
    if asked.dry_run {
        run.line("nothing was changed");
        return Ok(Exit::WHOLE);
    }
    if first == found.folders.len() {
        run.line("all of it was imported before");
        return Ok(Exit::WHOLE);
    }
    let part = if first > 0 { Part::Further } else { Part::First };
    let scratch = Scratch::open(&asked.scratch, &asked.host, part, asked.push_client.as_deref())?;
    let mut root = latest(settings, &asked.host)?.map(|snapshot| snapshot.root.to_string());
    let mut exit = Exit::WHOLE;
    for folder in found.folders.iter().skip(first) {
        let pushed = scratch.push(&folder.files, &folder.name, root.as_deref())?;
        for path in &pushed.left_out {
            run.leave_out(path.as_bytes(), &format!("in {}", folder.name));
        }
        let outcome = judge(settings, &asked.host, &scratch, folder)?;
        let outcome = match outcome {
            (_, Some(outcome)) => outcome,
            (exit, None) => return Ok(exit),
        };
        tell(run, &asked.host, &outcome);
        if outcome.end != End::Accepted {
            return Ok(rejected(&outcome));
        }
        scratch.done()?;
        sign::logs(&run.console(), settings, std::iter::once(&asked.host));
        root = Some(pushed.root);
        run.report().count("imported", 1);
        if pushed.left_out_count > 0 {
            exit = Exit::LEFT_OUT;
        }
    }
    scratch.remove()?;
    Ok(exit)
}

/// One process, as for a file that was brought: whatever is in it meets the power of the history's account, and no more.
fn judge(
    settings: &Settings,
    host: &HostId,
    scratch: &Scratch,
    folder: &Folder,
) -> Result<(Exit, Option<Outcome>), Failed> {
    let time = folder.time.timestamp().to_string();
    process(settings, host, &["--from-input", "--imported-at", &time], Stdio::from(scratch.pushed()?))
}

pub(crate) fn rejected(outcome: &Outcome) -> Exit {
    let number = outcome.code.as_ref().map(|(number, _)| *number);
    number
        .and_then(|number| formats::session::Code::from_number(number).ok())
        .map_or(Exit::BUG, |code| Exit::of(code.exit_code()))
}

/// How many of the folders were imported before, all else being as it has to be.
fn check(settings: &Settings, asked: &Asked, folders: &[Folder]) -> Result<usize, Failed> {
    let host = &asked.host;
    let refused = |what: String, advice: &str| Trouble::Usage { what, advice: Some(advice.to_owned()) };
    if !hosts(settings)?.contains(host) {
        return Err(Trouble::NoHost { host: host.to_string() }.into());
    }
    if HostRecord::read(settings, host)?.retired.is_some() {
        let what = format!("host {host} is retired: nothing more is taken under its id, by no means");
        return Err(Trouble::Usage { what, advice: None }.into());
    }
    let owner = account::account(&settings.owner)?;
    let is_another = owner.is_some_and(|owner| owner.user != rustix::process::geteuid().as_raw());
    if !account::is_root() && !asked.dry_run && is_another {
        let advice =
            "run it as root: only root can read what rsnapshot keeps, and become the history's account";
        return Err(refused("this takes root".to_owned(), advice).into());
    }
    let log = log(settings, host)?;
    let Some(log) = log else { return Ok(0) };
    if log.installations() > 0 || log.snapshots().iter().any(|snapshot| !snapshot.imported) {
        let what = format!("host {host} has snapshots of its own, and what is older cannot come after them");
        return Err(
            refused(what, "import into a host that has not pushed yet, under an id of its own").into()
        );
    }
    let taken = log.snapshots().iter().map(|snapshot| snapshot.name.time());
    if !taken.eq(folders.iter().map(|folder| folder.time).take(log.snapshots().len())) {
        let what =
            format!("what was imported for host {host} before is not the beginning of what is there now");
        return Err(refused(what, "rsnapshot must not run between two parts of one import").into());
    }
    Ok(log.snapshots().len())
}

pub(crate) fn log(settings: &Settings, host: &HostId) -> Result<Option<Log>, Trouble> {
    let place = match History::open(&settings.history).and_then(|history| history.host(host)) {
        Err(history::Error::NoHost { .. }) => return Ok(None),
        place => place.map_err(Trouble::history(host))?,
    };
    place.log().map(Some).map_err(Trouble::history(host))
}

pub(crate) fn latest(settings: &Settings, host: &HostId) -> Result<Option<Snapshot>, Trouble> {
    Ok(log(settings, host)?.and_then(|log| log.latest().cloned()))
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Whether a snapshot of this time may come next: after others that were imported, never after one that was pushed, and not from a time to come.
pub(crate) fn may_come(log: &Log, host: &HostId, time: DateTime<Utc>) -> Result<(), Trouble> {
    let fits = match log.latest() {
        Some(latest) => latest.imported && latest.name.time() <= time && log.installations() == 0,
        None => true,
    };
    if fits && time <= Utc::now() {
        return Ok(());
    }
    let what = format!("a snapshot of {} cannot come next in the history of {host}", written(time));
    Err(Trouble::Usage { what, advice: Some("see `snapshotter list`; nothing was changed".to_owned()) })
}
