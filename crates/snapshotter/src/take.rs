//! Takes what appliances have dropped by SFTP, and makes a snapshot of each that dropped something.
//!
//! The state of an appliance is a folder of ours that holds, of each name, what was dropped last. Quiet files are moved out of the jail's `drop` into its
//! `leaving`, where the account cannot reach them; once no process of the account lives, nobody has them open, and their contents are copied
//! ([`collect`]). So no inode that the account ever held becomes part of anything, and nothing is read while somebody writes it. Then push-client reads
//! the folder as if it were the appliance's disk, and the push file is judged as any other.

mod collect;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use chrono::Utc;
use cli::{Exit, Failed, Run};
use durable::{Dir, Name};
use formats::HostId;

pub(crate) use collect::{Step, child};

use crate::account::{self, this_program};
use crate::child;
use crate::host::account_name::account_name;
use crate::host::record::HostRecord;
use crate::host::sessions;
use crate::import::{latest, log, rejected};
use crate::ingest::{exit_of, hosts, process, tell, worse};
use crate::pushed::{Part, Scratch};
use crate::settings::Settings;
use crate::sign;
use crate::trouble::Trouble;
use collect::Found;

pub(crate) const EXAMPLES: &str = "Examples:
  snapshotter take
  snapshotter take fw1

Root's work, and that of firn-take.timer: of each host that was added with --appliance, the files that lie quiet in its folder `drop` are moved out and
copied, and become a snapshot together with those that were dropped before. What is not a plain file, belongs to somebody else or is too large is named
and left out (exit code 3). While a session of the appliance lasts nothing of it is taken. Without anything new there is no snapshot, and `status` tells
that the appliance is late. docs/appliances.md.";

/// The state of each appliance, as it was dropped; push-client reads it.
const FILES: Name<'static> = Name::literal("files");
/// There while the files hold what no snapshot has. When a push of it was refused, the time of that.
const DUE: Name<'static> = Name::literal("due");
const LOCK: Name<'static> = Name::literal(".lock");
/// What was refused is tried again as soon as something else is dropped, or after so long.
const AGAIN: Duration = Duration::from_secs(3_600);

/// What was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Asked {
    /// Only these hosts
    hosts: Vec<HostId>,
    /// A folder of root's, with room for the files of all appliances, and once more for the largest, packed
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/firn/take")]
    staging: PathBuf,
    /// The push-client that reads the files; the one beside this program, if it is not named
    #[arg(long, value_name = "PROGRAM")]
    push_client: Option<PathBuf>,
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, asked: &Asked) -> Result<Exit, Failed> {
    if !account::is_root() {
        let advice = "run it as root: the files of an appliance are its account's alone".to_owned();
        return Err(Trouble::Usage { what: "this takes root".to_owned(), advice: Some(advice) }.into());
    }
    let mut exit = Exit::WHOLE;
    let mut chosen = chosen(run, settings, &asked.hosts, &mut exit)?;
    // Whoever had most of the last run comes last in this one, also where that was killed.
    chosen.sort_by_key(|host| last(&asked.staging, host));
    for host in &chosen {
        // One appliance's trouble keeps no other waiting.
        let came = of_host(run, settings, host, asked).unwrap_or_else(|failed| {
            run.leave_out(host.as_str().as_bytes(), &failed.chain());
            failed.exit()
        });
        exit = worse(exit, came);
    }
    Ok(exit)
}

/// When anything was last done with the files of this appliance; never, of a new one.
fn last(staging: &Path, host: &HostId) -> Option<SystemTime> {
    staging.join(host.as_str()).symlink_metadata().and_then(|meta| meta.modified()).ok()
}

/// Those that were named, which must be appliances, or all that are.
fn chosen(
    run: &mut Run,
    settings: &Settings,
    named: &[HostId],
    exit: &mut Exit,
) -> Result<Vec<HostId>, Failed> {
    let all = hosts(settings)?;
    if let Some(host) = named.iter().find(|host| !all.contains(host)) {
        return Err(Trouble::NoHost { host: host.to_string() }.into());
    }
    let mut chosen = Vec::new();
    for host in if named.is_empty() { all } else { named.to_vec() } {
        match HostRecord::read(settings, &host) {
            Ok(record) if record.appliance.is_some() && record.retired.is_none() => chosen.push(host),
            Ok(_) if named.is_empty() => {}
            Ok(record) => {
                let why = if record.retired.is_some() { "is retired" } else { "is no appliance: it pushes" };
                return Err(Trouble::Usage { what: format!("host {host} {why}"), advice: None }.into());
            }
            Err(trouble) => {
                run.leave_out(host.as_str().as_bytes(), &trouble.to_string());
                *exit = worse(*exit, Exit::LEFT_OUT);
            }
        }
    }
    Ok(chosen)
}

fn of_host(run: &mut Run, settings: &Settings, host: &HostId, asked: &Asked) -> Result<Exit, Failed> {
    let at = || Trouble::folder(format!("opening the folder in which the files of {host} are kept"));
    if let Some(seconds) = rests(settings, host)? {
        run.line(&format!("{host}: what it drops waits for {seconds} seconds more, by its interval_seconds"));
        return Ok(Exit::WHOLE);
    }
    let scratch = Scratch::open(&asked.staging, host, Part::First, asked.push_client.as_deref())?;
    let Some(_alone) = scratch.dir().try_lock(LOCK).map_err(at())? else {
        return Err(Trouble::Busy { host: host.clone() }.into());
    };
    let found = gather(settings, host, scratch.path())?;
    for (name, why) in &found.left_out {
        run.leave_out(format!("{host}/{name}").as_bytes(), why);
    }
    let exit = if found.left_out.is_empty() { Exit::WHOLE } else { Exit::LEFT_OUT };
    run.report().count("taken", found.taken);
    run.report().count("taken_bytes", found.bytes);
    run.report().count("waiting", found.waiting);
    if found.taken > 0 {
        run.line(&format!("{host}: {} files taken, {} bytes", found.taken, found.bytes));
    }
    if found.has_session {
        run.line(&format!("{host}: a session lasts; what it drops is taken when it has ended"));
    }
    if !is_due(scratch.dir(), &found).map_err(at())? {
        return Ok(exit);
    }
    Ok(worse(exit, push(run, settings, host, &scratch)?))
}

/// How long it is until the next snapshot may come. A clock that was put back is no reason to wait.
fn rests(settings: &Settings, host: &HostId) -> Result<Option<i64>, Failed> {
    let record = HostRecord::read(settings, host)?;
    let interval = i64::from(settings.allowed(&record.limits).admission.interval_seconds);
    let Some(log) = log(settings, host)?.filter(|_| interval > 0) else { return Ok(None) };
    let Some(newest) = log.newest_push() else { return Ok(None) };
    let passed = Utc::now().timestamp() - newest.time;
    Ok((0..interval).contains(&passed).then_some(interval - passed))
}

/// Moves out what is quiet, and copies it when nobody can have it open any more.
fn gather(settings: &Settings, host: &HostId, scratch: &Path) -> Result<Found, Failed> {
    let name = account_name(settings, host)?;
    let account = account::account(&name)?
        .ok_or_else(|| Trouble::Machine { what: format!("there is no account {name}") })?;
    if sessions::count(account.user)? > 0 {
        return Ok(Found { has_session: true, ..Found::default() });
    }
    let mut found = confined(settings, host, Step::Move, scratch)?;
    if sessions::count(account.user)? > 0 {
        // It may have begun before a file was moved, and write to it still.
        return Ok(Found { has_session: true, ..found });
    }
    found.add(confined(settings, host, Step::Copy, scratch)?);
    Ok(found)
}

/// A process that reaches the jail of this host and its folder here, and nothing else.
fn confined(settings: &Settings, host: &HostId, step: Step, scratch: &Path) -> Result<Found, Failed> {
    let starting = || format!("starting the process that looks at what {host} has dropped");
    let mut command = this_program();
    command.args(["take-host", host.as_str(), step.word()]).arg(scratch).arg("--config").arg(&settings.file);
    let said = child::output(&mut command).map_err(Trouble::stream(starting()))?;
    let exit = exit_of(said.status);
    match said.text().lines().last().and_then(|line| serde_json::from_str(line).ok()) {
        Some(found) if exit == Exit::WHOLE => Ok(found),
        _ => {
            let what = format!("the process that looks at what {host} has dropped ended with {exit}");
            Err(Trouble::Machine { what }.into())
        }
    }
}

/// Whether there is anything for a snapshot.
fn is_due(dir: &Dir, found: &Found) -> durable::Result<bool> {
    let file = match dir.open_read(DUE) {
        Err(error) if error.is_not_found() => return Ok(false),
        file => file?,
    };
    let meta = file.metadata().ok();
    let refused = meta.filter(|meta| meta.len() > 0).and_then(|meta| meta.modified().ok());
    // A clock that was put back is no reason to wait.
    let age = refused.and_then(|then| SystemTime::now().duration_since(then).ok());
    Ok(found.taken > 0 || age.is_none_or(|age| age >= AGAIN))
}

/// Makes a push file of the files, and has it judged.
fn push(run: &mut Run, settings: &Settings, host: &HostId, scratch: &Scratch) -> Result<Exit, Failed> {
    let at = || Trouble::folder(format!("noting what became of the files of {host}"));
    let kept = scratch.dir().open_dir(FILES).and_then(|files| collect::kept(&files)).map_err(at())?;
    let limits = settings.allowed(&HostRecord::read(settings, host)?.limits).limits;
    if scratch.dir().free_bytes().map_err(at())? < collect::for_push(kept.1, &limits) {
        let why = "beside its push file less than limits.free_bytes would stay free; it waits";
        run.leave_out(host.as_str().as_bytes(), why);
        return Ok(Exit::LEFT_OUT);
    }
    // Without its memory push-client cannot build on what was accepted: then the file holds all.
    let remembers = scratch.path().join("state").symlink_metadata().is_ok();
    let root = latest(settings, host)?.filter(|_| remembers).map(|snapshot| snapshot.root.to_string());
    let files = scratch.path().join("files");
    let pushed = scratch.push(&files, &format!("the files of {host}"), root.as_deref())?;
    for path in &pushed.left_out {
        run.leave_out(path.as_bytes(), &format!("of {host}"));
    }
    let (exit, outcome) = process(settings, host, &["--from-input"], Stdio::from(scratch.pushed()?))?;
    let Some(outcome) = outcome else { return Ok(exit) };
    tell(run, host, &outcome);
    sign::logs(&run.console(), settings, std::iter::once(host));
    scratch.done()?;
    if !outcome.end.is_accepted() {
        scratch.dir().write_whole(DUE, b"refused\n", 0o600).map_err(at())?;
        return Ok(rejected(&outcome));
    }
    scratch.dir().unlink(DUE).and_then(|()| scratch.dir().sync()).map_err(at())?;
    Ok(if pushed.left_out_count > 0 { Exit::LEFT_OUT } else { exit })
}
