//! The two steps with what an appliance has dropped, each in a process of its own that can read every file and reaches two folders.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cli::{Exit, Failed};
use durable::{Dir, FileKind, Name, Stat, Unfinished, is_unfinished};
use formats::HostId;
use formats::published::Limits;
use sandbox::{Confinement, Keep, Profile};
use serde::{Deserialize, Serialize};

use super::{DUE, FILES};
use crate::account;
use crate::host::account_name::account_name;
use crate::host::appliance::{DROP, LEAVING, Manner};
use crate::host::record::HostRecord;
use crate::limits::Allowed;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// Most names in one drop. With more, nothing is taken: somebody has to look.
const DROPPED_MAX: usize = 10_000;
/// Most files of one appliance that are kept.
const KEPT_MAX: usize = 100_000;
/// So many that were left out are named; the rest is counted.
const NAMED_MAX: usize = 100;
const OPEN_FILES: u64 = 64;
const PIECE_BYTES: usize = 1 << 20;
/// A file that is not whole by its name, and not touched for so long, is one whose upload was cut.
const CUT_SECONDS: i64 = 86_400;
const DAY_SECONDS: i64 = 86_400;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Step {
    /// Quiet files out of the account's reach.
    Move,
    /// Contents of what was moved to our own files. Nobody may have it open.
    Copy,
}

impl Step {
    /// As typed.
    pub(super) fn word(self) -> &'static str {
        match self {
            Step::Move => "move",
            Step::Copy => "copy",
        }
    }
}

/// What came of a step, as one line from the confined process to the one that started it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    /// Files that were copied, and their bytes.
    pub(super) taken: u64,
    pub(super) bytes: u64,
    /// Files that are not quiet or not whole yet.
    pub(super) waiting: u64,
    /// Whether a session lasts.
    pub(super) has_session: bool,
    /// What was not taken, and why.
    pub(super) left_out: Vec<(String, String)>,
}

impl Found {
    /// What came of the next step.
    pub(super) fn add(&mut self, next: Found) {
        self.taken += next.taken;
        self.bytes += next.bytes;
        self.waiting += next.waiting;
        self.left_out.extend(next.left_out);
    }

    fn leave_out(&mut self, name: &[u8], why: &str) {
        match self.left_out.len() {
            0..NAMED_MAX => self.left_out.push((cli::shown(name), why.to_owned())),
            NAMED_MAX => self.left_out.push(("and more".to_owned(), "not named".to_owned())),
            _ => {}
        }
    }
}

/// What is needed of the world; the rest is out of reach once this is confined.
struct Desk {
    user: u32,
    manner: Manner,
    allowed: Allowed,
    dropped: Dir,
    leaving: Dir,
    scratch: Dir,
    files: Dir,
    now_seconds: i64,
}

/// The process of one step.
pub(crate) fn child(settings: &Settings, host: &HostId, step: Step, scratch: &Path) -> Result<Exit, Failed> {
    let (jail, desk) = desk(settings, host, scratch)?;
    let machine = Trouble::Sandbox;
    sandbox::limits::limit_core_zero().map_err(machine)?;
    sandbox::limits::limit_open_files(OPEN_FILES).map_err(machine)?;
    let confinement = Confinement::new(Profile::Ingest).landlock(settings.landlock()).keep(Keep::ReadSearch);
    let confinement = confinement.write_files_beneath(&jail).write_files_beneath(&desk.scratch);
    let _in_force = confinement.apply().map_err(machine)?;
    let at = || Trouble::folder(format!("taking what {host} has dropped"));
    let found = match step {
        Step::Move => desk.move_out().map_err(at())?,
        Step::Copy => desk.copy().map_err(at())?,
    };
    let mut line =
        serde_json::to_vec(&found).map_err(|error| Failed::bug("telling what was taken", error))?;
    line.push(b'\n');
    let told = std::io::stdout().lock().write_all(&line);
    told.map_err(Trouble::stream("telling what was taken"))?;
    Ok(Exit::WHOLE)
}

/// Opens the jail of the host, and all that is used.
fn desk(settings: &Settings, host: &HostId, scratch: &Path) -> Result<(Dir, Desk), Failed> {
    let at = || Trouble::folder(format!("opening the jail of {host}"));
    let record = HostRecord::read(settings, host)?;
    let account = account::account(&account_name(settings, host)?)?;
    let (Some(appliance), Some(account)) = (&record.appliance, account) else {
        return Err(Trouble::NoHost { host: host.to_string() }.into());
    };
    let jail = Dir::open_root(&settings.jails)
        .and_then(|jails| jails.open_dir(Name::new(host.as_str().as_bytes())?))
        .map_err(at())?;
    let scratch = Dir::open_root(scratch).map_err(at())?;
    let desk = Desk {
        user: account.user,
        manner: appliance.meant(),
        allowed: settings.allowed(&record.limits),
        dropped: jail.open_dir(Name::literal(DROP)).map_err(at())?,
        leaving: jail.open_dir(Name::literal(LEAVING)).map_err(at())?,
        files: scratch.make_dir_or_open(FILES, 0o700).map_err(at())?,
        scratch,
        now_seconds: seconds(SystemTime::now()),
    };
    Ok((jail, desk))
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

impl Desk {
    fn move_out(&self) -> durable::Result<Found> {
        let mut found = Found::default();
        let Ok(names) = self.dropped.names_at_most(DROPPED_MAX) else {
            found.leave_out(
                DROP.as_bytes(),
                &format!("more than {DROPPED_MAX} names, or unreadable: nothing was taken"),
            );
            return Ok(found);
        };
        // What was moved before and not copied yet counts, too: a copy looks at no more.
        let mut room = DROPPED_MAX.saturating_sub(self.leaving.names()?.len());
        let mut moved = false;
        for name in &names {
            let known = Name::new(name)?;
            let facts = match self.dropped.stat(known) {
                Err(error) if error.is_not_found() => continue,
                facts => facts?,
            };
            if let Err(why) = self.may_be_taken(name, &facts) {
                found.leave_out(name, why);
                continue;
            }
            // By the time of the kernel's, which no account can set.
            let quiet_seconds = self.now_seconds.saturating_sub(facts.ctime_seconds);
            if self.manner.ignore.iter().any(|pattern| pattern.wants(name)) {
                found.waiting += 1;
                if quiet_seconds > CUT_SECONDS {
                    found.leave_out(name, "its upload never ended, by its name");
                }
                continue;
            }
            if quiet_seconds < i64::from(self.manner.quiet_seconds) || room == 0 {
                found.waiting += 1;
                continue;
            }
            self.dropped.rename_over_later(known, &self.leaving, known)?;
            room -= 1;
            moved = true;
        }
        if moved {
            self.leaving.sync()?;
            self.dropped.sync()?;
        }
        Ok(found)
    }

    /// Looked at in the drop, and again when it is open: in between it could have become something else.
    fn may_be_taken(&self, name: &[u8], facts: &Stat) -> Result<(), &'static str> {
        match facts.kind {
            FileKind::File if facts.owner != self.user => Err("belongs to another account"),
            FileKind::File if facts.links != 1 => Err("has another name besides"),
            FileKind::File if facts.size > self.allowed.limits.push_bytes => {
                Err("larger than limits.push_bytes")
            }
            FileKind::File if is_unfinished(name) => Err("has a name of this program's own"),
            FileKind::File => Ok(()),
            FileKind::Folder => Err("a folder: only files are taken"),
            _ => Err("no plain file"),
        }
    }

    fn copy(&self) -> durable::Result<Found> {
        self.files.remove_unfinished()?;
        let mut found = Found::default();
        // Ours alone, and as many as were moved.
        let names = self.leaving.names()?;
        if !names.is_empty() {
            self.forget_old()?;
        }
        let mut kept = kept(&self.files)?;
        for name in names.iter().take(DROPPED_MAX) {
            let known = Name::new(name)?;
            let source = match self.leaving.open_read(known) {
                Ok(source) => source,
                Err(_) => {
                    found.leave_out(name, "cannot be opened as a plain file");
                    continue;
                }
            };
            let facts = Stat::of(&source)?;
            // One that is sent again takes the place of the one before.
            let before = match self.files.stat(known) {
                Err(error) if error.is_not_found() => (0, 0),
                before => (1, before?.size),
            };
            let others = (kept.0.saturating_sub(before.0), kept.1.saturating_sub(before.1));
            let fits = self.may_be_taken(name, &facts).and_then(|()| self.has_room(&others, &facts));
            if let Err(why) = fits {
                found.leave_out(name, why);
                continue;
            }
            // On the disk before the first file is: a state that no snapshot has is never forgotten.
            if found.taken == 0 {
                self.scratch.write_whole(DUE, b"", 0o600)?;
            }
            let target = self.files.begin_whole(0o600)?;
            if let Err(why) = copy(&source, &facts, &target) {
                found.leave_out(name, why);
                continue;
            }
            target.place(known)?;
            self.leaving.unlink(known)?;
            found.taken += 1;
            found.bytes += facts.size;
            kept = (others.0 + 1, others.1.saturating_add(facts.size));
        }
        if found.taken > 0 {
            self.leaving.sync()?;
        }
        Ok(found)
    }

    /// Beside the file and what is kept, there must be room for all of it once more: as a push file.
    fn has_room(&self, (count, bytes): &(usize, u64), facts: &Stat) -> Result<(), &'static str> {
        let limits = &self.allowed.limits;
        let free = self.files.free_bytes().unwrap_or(0);
        match () {
            () if *count >= KEPT_MAX || *count as u64 >= limits.entries => {
                Err("too many files are kept of it already")
            }
            () if bytes.saturating_add(facts.size) > limits.expanded_bytes => {
                Err("with it there would be more than limits.expanded_bytes")
            }
            () if free < for_push(bytes.saturating_add(facts.size), limits).saturating_add(facts.size) => {
                Err("less than limits.free_bytes would stay free; it waits")
            }
            () => Ok(()),
        }
    }

    /// What was not dropped anew for long is no part of the state any more. Older snapshots have it; what none has is not forgotten.
    fn forget_old(&self) -> durable::Result<()> {
        match self.scratch.stat(DUE) {
            Err(error) if error.is_not_found() => {}
            due => return due.map(drop),
        }
        let oldest = self.now_seconds - i64::from(self.manner.keep_days) * DAY_SECONDS;
        for name in self.files.names_at_most(KEPT_MAX)? {
            let known = Name::new(&name)?;
            // When it was copied: nothing has touched it since.
            if self.files.stat(known)?.ctime_seconds < oldest {
                self.files.unlink(known)?;
            }
        }
        self.files.sync()
    }
}

/// How many files are kept, and their bytes.
pub(super) fn kept(files: &Dir) -> durable::Result<(usize, u64)> {
    let names = files.names_at_most(KEPT_MAX)?;
    let mut bytes = 0_u64;
    for name in &names {
        bytes = bytes.saturating_add(files.stat(Name::new(name)?)?.size);
    }
    Ok((names.len(), bytes))
}

/// What must be free where so many bytes become a push file.
pub(super) fn for_push(bytes: u64, limits: &Limits) -> u64 {
    bytes.saturating_add(limits.free_bytes)
}

/// Copies the contents and the time of the file, which must be the same all the while.
fn copy(mut source: &File, facts: &Stat, target: &Unfinished<'_>) -> Result<(), &'static str> {
    const CHANGED: &str = "changed while it was read; it waits";
    const FAILED: &str = "could not be copied; it waits";
    let mut piece = vec![0; PIECE_BYTES];
    let mut copied = 0_u64;
    loop {
        let count = source.read(&mut piece).map_err(|_| FAILED)?;
        if count == 0 {
            break;
        }
        copied += count as u64;
        // A file that grows has no end.
        if copied > facts.size {
            return Err(CHANGED);
        }
        target.file().write_all(piece.get(..count).unwrap_or_default()).map_err(|_| FAILED)?;
    }
    let since = u64::try_from(facts.mtime_seconds).unwrap_or(0);
    let dated = target.file().set_modified(UNIX_EPOCH + Duration::new(since, facts.mtime_nanos));
    dated.map_err(|_| FAILED)?;
    let is_same = copied == facts.size && Stat::of(source).is_ok_and(|after| after == *facts);
    if is_same { Ok(()) } else { Err(CHANGED) }
}

#[cfg(test)]
mod tests;
