//! What the settings have run before, for and after a push.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use cli::settings::SettingsError;
use formats::RelPath;

use super::{SECONDS, components};
use crate::settings::{self, Settings};

/// Most commands of each kind: what the kernel passes on at once is more.
pub const COMMANDS_MAX: usize = 32;
/// Most words of one command, and most bytes of one word.
const WORDS_MAX: usize = 256;
const WORD_BYTES_MAX: usize = 64 * 1024;
/// Writable by the group or by others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Only owners rename and remove.
const STICKY: u32 = 0o1000;

/// All of them, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// Before anything is read.
    pub before: Vec<Task>,
    /// Those whose output is pushed.
    pub dumps: Vec<Dump>,
    /// After the push, whatever came of it.
    pub after: Vec<Task>,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The program, by an absolute path or by its name in `PATH`, and its arguments.
    pub words: Vec<String>,
    /// The account it runs as, if it is not ours.
    pub user: Option<String>,
    /// How long it may take.
    pub patience: Duration,
}

/// A command whose output is a file of the push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// What is run.
    pub task: Task,
    /// Where its output is in the push.
    pub path: RelPath,
    /// Permission bits.
    pub mode: u32,
    /// With less it has failed.
    pub least_bytes: u64,
}

/// A key of the settings, and what is wrong with it.
type Wrong = (&'static str, String);

impl Commands {
    pub(super) fn of(settings: &Settings) -> Result<Self, Wrong> {
        for (key, number) in [
            ("before", settings.before.len()),
            ("dump", settings.dump.len()),
            ("after", settings.after.len()),
        ] {
            if number > COMMANDS_MAX {
                return Err((key, format!("must be at most {COMMANDS_MAX} commands")));
            }
        }
        let tasks = |of: &[settings::Command], key: [&'static str; 3]| {
            of.iter()
                .map(|c| Task::of(&c.command, c.user.as_ref(), c.timeout_seconds, key))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            before: tasks(&settings.before, ["before.command", "before.user", "before.timeout_seconds"])?,
            dumps: settings.dump.iter().map(Dump::of).collect::<Result<_, _>>()?,
            after: tasks(&settings.after, ["after.command", "after.user", "after.timeout_seconds"])?,
        })
    }

    /// True if nothing is run.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.dumps.is_empty() && self.after.is_empty()
    }

    /// Each as it would be run, for people.
    pub fn lines(&self) -> Vec<String> {
        let task = |kind: &'static str, tasks: &[Task]| {
            let lines = (1..).zip(tasks).map(|(number, task)| format!("{kind} {number}: {}", task.line()));
            lines.collect::<Vec<_>>()
        };
        let dump =
            |(number, dump): (u32, &Dump)| format!("dump {number}: {} > {}", dump.task.line(), dump.shown());
        let dumps = (1..).zip(&self.dumps).map(dump).collect();
        [task("before", &self.before), dumps, task("after", &self.after)].concat()
    }

    /// Two processes that read the same settings agree on it.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        *blake3::hash(format!("{self:?}").as_bytes()).as_bytes()
    }
}

impl Task {
    fn of(
        words: &[String],
        user: Option<&String>,
        seconds: u32,
        key: [&'static str; 3],
    ) -> Result<Self, Wrong> {
        let [command_key, user_key, time_key] = key;
        let Some(program) = words.first().filter(|program| !program.is_empty()) else {
            return Err((command_key, "must be a list of words, a program first".to_owned()));
        };
        let is_bare = !program.contains('/');
        if !is_bare && !program.starts_with('/') {
            return Err((command_key, "must begin with a program's name or absolute path".to_owned()));
        }
        let fits = |word: &String| word.len() <= WORD_BYTES_MAX && !word.contains('\0');
        if words.len() > WORDS_MAX || !words.iter().all(fits) {
            return Err((command_key, format!("must be at most {WORDS_MAX} words without zero bytes")));
        }
        if user.is_some_and(|user| user.is_empty() || user.contains([':', '\n'])) {
            return Err((user_key, "must be the name of an account".to_owned()));
        }
        if !SECONDS.contains(&seconds) {
            return Err((time_key, format!("must be {} to {}", SECONDS.start(), SECONDS.end())));
        }
        Ok(Self { words: words.to_vec(), user: user.cloned(), patience: Duration::from_secs(seconds.into()) })
    }

    /// Its program, for people.
    pub fn name(&self) -> String {
        cli::shown(self.words.first().map(String::as_bytes).unwrap_or_default())
    }

    /// All of its words, for people.
    pub fn line(&self) -> String {
        let quoted: Vec<_> = self.words.iter().map(|word| cli::shown(word.as_bytes())).collect();
        quoted.join(" ")
    }
}

impl Dump {
    fn of(dump: &settings::Dump) -> Result<Self, Wrong> {
        let keys = ["dump.command", "dump.user", "dump.timeout_seconds"];
        let task = Task::of(&dump.command, dump.user.as_ref(), dump.timeout_seconds, keys)?;
        let parts = components(&dump.path).map_err(|what| ("dump.path", what))?;
        let path = RelPath::new(&parts.join(&b'/'))
            .map_err(|_| ("dump.path", "must be the absolute path of a file".to_owned()))?;
        let mode = u32::from_str_radix(&dump.mode, 8).ok().filter(|mode| *mode <= 0o777);
        let mode = mode.ok_or(("dump.mode", "must be permission bits such as \"0640\"".to_owned()))?;
        Ok(Self { task, path, mode, least_bytes: dump.least_bytes })
    }

    /// Its path, for people.
    pub fn shown(&self) -> String {
        format!("/{}", cli::shown(self.path.as_bytes()))
    }
}

/// Whoever can change the file, or put another in its place, says what we run. `read` is what the file was when it was read.
pub(super) fn only_ours(path: &Path, read: &Metadata) -> Result<(), SettingsError> {
    let ours = [0, rustix::process::geteuid().as_raw()];
    let wrong = |what: String| SettingsError::value(path, "before, dump, after", what);
    let unknown = |error: io::Error| wrong(format!("cannot be trusted: {error}"));
    let is_ours = |meta: &Metadata| ours.contains(&meta.uid()) && meta.mode() & WRITABLE_BY_OTHERS == 0;
    let open = |what: &Path| {
        wrong(format!(
            "need settings that nobody else can change: {} must be root's or ours, and not writable by group or others",
            cli::shown(what.as_os_str().as_bytes())
        ))
    };
    if !is_ours(read) {
        return Err(open(path));
    }
    let whole = fs::canonicalize(path).map_err(unknown)?;
    for folder in whole.ancestors().skip(1) {
        let meta = fs::metadata(folder).map_err(unknown)?;
        // In a sticky one, nobody renames what is another's.
        let is_sticky = ours.contains(&meta.uid()) && meta.mode() & STICKY != 0;
        if !is_ours(&meta) && !is_sticky {
            return Err(open(folder));
        }
    }
    Ok(())
}
