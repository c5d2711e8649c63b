//! The second life of this binary: it confines itself, then does its errand and says how that went.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use sandbox::{Confinement, Keep, Profile, Report, Threads};

use crate::{attempts, capabilities, family, kernel, limits, program, work};

/// Whether to confine at all, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    Free,
    In(Profile),
    /// The client, when it keeps the great capability to see `trusted.*` attributes.
    Trusted,
}

impl Cell {
    pub(crate) fn profile(self) -> Option<Profile> {
        match self {
            Cell::Free => None,
            Cell::In(profile) => Some(profile),
            Cell::Trusted => Some(Profile::Client),
        }
    }
}

pub(crate) const CELLS: [(&str, Cell); 8] = [
    ("free", Cell::Free),
    ("decoder", Cell::In(Profile::Decoder)),
    ("transport", Cell::In(Profile::Transport)),
    ("receiver", Cell::In(Profile::Receiver)),
    ("ingest", Cell::In(Profile::Ingest)),
    ("restore", Cell::In(Profile::Restore)),
    ("client", Cell::In(Profile::Client)),
    ("client with trusted", Cell::Trusted),
];

pub(crate) fn cell(word: &str) -> Cell {
    CELLS.iter().find(|(name, _)| *name == word).unwrap().1
}

/// The folders, opened before the confinement.
pub(crate) struct Held {
    pub(crate) path: PathBuf,
    pub(crate) inside: File,
    pub(crate) readable: File,
    pub(crate) folders: File,
    pub(crate) links: File,
    pub(crate) outside: File,
}

pub(crate) fn held() -> Held {
    let path = PathBuf::from(std::env::var_os("FIRN_WORLD").unwrap());
    let open = |name: &str| File::open(path.join(name)).unwrap();
    let (readable, folders, links) = (open("readable"), open("folders"), open("links"));
    Held { inside: open("inside"), readable, folders, links, outside: open("outside"), path }
}

/// What the programs ask for, in each profile.
pub(crate) fn confinement(profile: Profile, held: &Held) -> Confinement<'_> {
    let confinement = Confinement::new(profile);
    match profile {
        Profile::Decoder | Profile::Transport => confinement,
        Profile::Receiver => confinement.write_files_beneath(&held.inside).read_beneath(&held.readable),
        Profile::Ingest => confinement
            .write_tree_beneath(&held.inside)
            .write_beneath(&held.folders)
            .write_links_beneath(&held.links),
        Profile::Restore => {
            confinement.read_beneath(&held.readable).write_all_beneath(&held.inside).keep(Keep::Metadata)
        }
        Profile::Client => {
            confinement.read_beneath(&held.readable).write_files_beneath(&held.inside).keep(Keep::ReadSearch)
        }
    }
}

pub(crate) fn enter(cell: Cell, held: &Held, threads: Threads) -> Option<Report> {
    let confinement = confinement(cell.profile()?, held).threads(threads);
    let confinement =
        if cell == Cell::Trusted { confinement.keep(Keep::ReadSearchAndTrusted) } else { confinement };
    Some(confinement.apply().unwrap())
}

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["attempt", cell, name] => attempts::child(self::cell(cell), name),
        ["raw", cell] => crate::raw::child(self::cell(cell)),
        ["work", cell] => work::child(self::cell(cell)),
        ["threads", cell] => work::threads_child(self::cell(cell)),
        ["fail", word] => work::fail_child(word),
        ["kernel", word] => kernel::child(word),
        ["capabilities", word] => capabilities::child(word),
        ["limit", word] => limits::child(word),
        ["program", word] => program::child(word),
        ["family", word] => family::child_process(word),
        other => panic!("no errand {other:?}"),
    }
    ExitCode::SUCCESS
}
