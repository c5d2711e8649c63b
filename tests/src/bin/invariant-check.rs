//! Looks at a history, and at the jail of its host, and tells which invariants hold. It only reads, and shares no code with what wrote them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pipeline_tests::checker::history::{self, Found};
use pipeline_tests::checker::known::Known;
use pipeline_tests::checker::{Breach, Invariant, Moment};

const USAGE: &str =
    "usage: invariant-check [--any] [--known FILE] [--note] [--readers GROUP] HISTORY-OF-THE-HOST HOST [JAIL]

  --any         right after a kill or a power cut: unfinished work may lie there (I6 is not asked)
  --known FILE  what was acknowledged or seen earlier must still hold: lines `sealed PUSH`, `accepted PUSH`,
                `snapshot NAME ROOT`, `head LINE HASH`, `floor N`
  --readers GROUP
                the number of the group that was given this history to read: its access lists are no power
  --note        print what is to be known of it from now on, for the next --known

Ends with 0 if all hold, with 1 if one is broken, with 2 if it was asked wrongly.";

/// What was asked.
struct Asked {
    moment: Moment,
    known: Known,
    note: bool,
    readers: Option<u32>,
    folder: PathBuf,
    host: String,
    jail: Option<PathBuf>,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(asked) => judge(&asked),
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let (mut moment, mut known, mut note, mut places) = (Moment::Quiet, Known::default(), false, Vec::new());
    let mut readers = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--any" => moment = Moment::Any,
            "--note" => note = true,
            "--known" => {
                let file = words.next().ok_or("--known wants a file")?;
                let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
                known = Known::parse(&text)?;
            }
            "--readers" => {
                let group = words.next().ok_or("--readers wants the number of a group")?;
                readers = Some(group.parse().map_err(|_| format!("{group} is no number of a group"))?);
            }
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            _ => places.push(word),
        }
    }
    let mut places = places.into_iter();
    let folder = PathBuf::from(places.next().ok_or("no history is named")?);
    let host = places.next().ok_or("no host is named")?;
    let jail = places.next().map(PathBuf::from);
    if !folder.is_dir() {
        return Err(format!("{} is no folder", folder.display()));
    }
    Ok(Asked { moment, known, note, readers, folder, host, jail })
}

fn judge(asked: &Asked) -> ExitCode {
    let mut found = history::check_with_readers(&asked.folder, &asked.host, asked.moment, asked.readers);
    found.breaches.extend(asked.known.broken(&found, asked.jail.as_deref()));
    if let Some(jail) = &asked.jail {
        found.breaches.extend(of_jail(asked, jail));
    }
    if asked.note {
        print!("{}", Known::of(&found).told());
        return if found.breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    tell(asked, &found)
}

fn of_jail(asked: &Asked, jail: &Path) -> Vec<Breach> {
    let mut breaches = history::shared_inodes(jail, &asked.folder);
    if asked.moment == Moment::Quiet {
        breaches.extend(history::spool_leftovers(jail));
    }
    breaches
}

fn tell(asked: &Asked, found: &Found) -> ExitCode {
    for invariant in Invariant::ALL {
        let broken: Vec<&Breach> =
            found.breaches.iter().filter(|breach| breach.invariant == invariant).collect();
        let unasked = match invariant {
            Invariant::Converging => asked.moment == Moment::Any,
            Invariant::Unshared => asked.jail.is_none(),
            Invariant::Durable => asked.known.sealed.is_empty() && asked.known.accepted.is_empty(),
            _ => false,
        };
        match broken.as_slice() {
            [] if unasked => println!("{invariant}: not asked"),
            [] => println!("{invariant}: holds"),
            broken => broken.iter().for_each(|breach| println!("BROKEN {breach}")),
        }
    }
    println!("{} snapshots, {} lines of the log", found.snapshots.len(), found.heads.len());
    if found.breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
