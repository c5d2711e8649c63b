//! Where to kill, and whether it happened.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::is_long;

/// Who is watched, and may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watch {
    /// The program alone; its children find themselves alone.
    Alone,
    /// The program and all its children, whichever is first.
    Family,
}

/// The n-th call of a kind.
#[derive(Debug, Clone)]
pub(super) struct Point {
    watch: Watch,
    call: String,
    nth: u64,
}

impl Point {
    pub(super) fn call(&self) -> &str {
        &self.call
    }
}

/// They change nothing outside the process: left out unless every point is wanted.
const INWARD: &[&str] = &[
    "arch_prctl",
    "brk",
    "clock_nanosleep",
    "futex",
    "getpid",
    "getrandom",
    "gettid",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "pread64",
    "prlimit64",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "sched_getaffinity",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
];

/// Names its point if the test ends in panic.
pub(super) struct Telling<'a>(pub(super) &'a Point);

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was at {:?}", self.0);
        }
    }
}

pub(super) fn strace_works() -> bool {
    let trial = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).output();
    trial.is_ok_and(|trial| trial.status.success())
}

/// Watches programs, with a file for what it sees.
pub(super) struct Strace {
    trace: PathBuf,
}

impl Strace {
    /// The file lies in `folder` and may be written by any account, as strace runs under that of the program.
    pub(super) fn new(folder: &Path) -> Strace {
        let trace = folder.join("trace");
        fs::write(&trace, b"").unwrap();
        fs::set_permissions(&trace, fs::Permissions::from_mode(0o666)).unwrap();
        Strace { trace }
    }

    /// The same command, watched.
    pub(super) fn watch(&self, watch: Watch, command: &Command) -> Command {
        self.around(watch, &[], command)
    }

    /// The same command, to be killed at this point.
    pub(super) fn kill(&self, point: &Point, command: &Command) -> Command {
        let Point { watch, call, nth } = point;
        // execve makes every process appear, in the order of birth.
        let seen = format!("trace={call},execve");
        let how = format!("inject={call}:signal=KILL:when={nth}");
        self.around(*watch, &["-e", &seen, "-e", &how], command)
    }

    /// The same command, in which this call fails.
    pub(super) fn fail(&self, point: &Point, error: &str, command: &Command) -> Command {
        let Point { watch, call, nth } = point;
        let seen = format!("trace={call},execve");
        let how = format!("inject={call}:error={error}:when={nth}");
        self.around(*watch, &["-e", &seen, "-e", &how], command)
    }

    /// The same command under an strace of our own account, which sees which file a call is about even where the program hides that.
    pub(super) fn above(&self, words: &[&str], command: &Command) -> Command {
        fs::write(&self.trace, b"").unwrap();
        let mut watched = Command::new("strace");
        watched.args(["-f", "-o"]).arg(&self.trace).args(words);
        watched.arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            watched.current_dir(folder);
        }
        watched
    }

    fn around(&self, watch: Watch, words: &[&str], command: &Command) -> Command {
        fs::write(&self.trace, b"").unwrap();
        let mut strace: Vec<OsString> = vec!["strace".into()];
        strace.extend((watch == Watch::Family).then(|| "-f".into()));
        strace.extend([OsString::from("-o"), self.trace.clone().into()]);
        strace.extend(words.iter().map(Into::into));
        let mut all: Vec<OsString> = vec![command.get_program().to_owned()];
        all.extend(command.get_args().map(ToOwned::to_owned));
        // The program, not the one that changes the account for it.
        let at = if all[0] == "setpriv" { all.iter().position(|word| word == "--").unwrap() + 1 } else { 0 };
        all.splice(at..at, strace);
        let mut watched = Command::new(&all[0]);
        watched.args(&all[1..]);
        if let Some(folder) = command.get_current_dir() {
            watched.current_dir(folder);
        }
        watched
    }

    /// Who was killed: 0 is the program, 1 its first child. `None` if nobody was.
    pub(super) fn victim(&self) -> Option<usize> {
        let text = self.text();
        let mut born: Vec<&str> = Vec::new();
        for line in text.lines() {
            let (process, rest) = split(line);
            let place = born.iter().position(|other| *other == process).unwrap_or_else(|| {
                born.push(process);
                born.len() - 1
            });
            if rest.starts_with("+++ killed by SIGKILL") {
                return Some(place);
            }
        }
        None
    }

    /// All points of the run that was just watched, from the last `execve` of `program` on.
    pub(super) fn points(&self, watch: Watch, program: &str) -> Vec<Point> {
        assert_eq!(self.victim(), None, "somebody is killed even if nobody does it");
        let text = self.text();
        let (mut made, mut before) = (HashMap::new(), BTreeMap::new());
        let start = format!("execve(\"{program}\"");
        for line in text.lines() {
            let (process, rest) = split(line);
            let Some((call, _)) = rest.split_once('(').filter(|(call, _)| is_name(call)) else { continue };
            *made.entry((process, call)).or_insert(0) += 1;
            if rest.starts_with(&start) {
                before = made.iter().map(|((_, call), count)| (*call, *count)).collect();
            }
        }
        let mut most: BTreeMap<&str, u64> = BTreeMap::new();
        for ((_, call), count) in made {
            let most = most.entry(call).or_default();
            *most = count.max(*most);
        }
        assert!(most.len() > 10, "this is no trace of a program:\n{text}");
        let points = most.into_iter().flat_map(|(call, most)| {
            let first = before.get(call).copied().unwrap_or_default() + 1;
            (first..=most).map(move |nth| Point { watch, call: call.to_owned(), nth })
        });
        points.collect()
    }

    /// What was seen.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.trace).unwrap()).into_owned()
    }
}

/// All points if every one is wanted, else about `quick` of the calls that others can notice: as many of each kind, so that the rare ones are not
/// drowned by the frequent, and of each kind from its first to its last.
pub(super) fn chosen(mut points: Vec<Point>, quick: usize) -> Vec<Point> {
    let every = points.len();
    if is_long() {
        println!("  every one of {every} points");
        return points;
    }
    points.retain(|point| !INWARD.contains(&point.call.as_str()));
    let kinds: Vec<&[Point]> = points.chunk_by(|one, next| one.call == next.call).collect();
    let total = |each: usize| kinds.iter().map(|kind| kind.len().min(each)).sum::<usize>();
    let each = (1..=points.len()).take_while(|each| total(*each) <= quick).last().unwrap_or(1);
    let picked: Vec<Point> = kinds.iter().flat_map(|kind| spread(kind, each)).cloned().collect();
    println!("  {} of {every} points, {} of which others can notice", picked.len(), points.len());
    picked
}

/// At most `most`, evenly, with the first and the last.
pub(super) fn spread<T>(kind: &[T], most: usize) -> impl Iterator<Item = &T> {
    let count = kind.len().min(most);
    (0..count).map(move |place| match count {
        1 => &kind[kind.len() / 2],
        _ => &kind[place * (kind.len() - 1) / (count - 1)],
    })
}

/// The number of the process, which is there if several are watched, and what it did.
fn split(line: &str) -> (&str, &str) {
    match line.split_once(' ') {
        Some((process, rest)) if process.bytes().all(|byte| byte.is_ascii_digit()) => {
            (process, rest.trim_start())
        }
        _ => ("", line),
    }
}

fn is_name(call: &str) -> bool {
    !call.is_empty() && call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
