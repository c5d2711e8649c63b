//! Notes in the log that a history was read again and found well. The process that reads cannot write, so another one does, which was started
//! before and reads nothing but logs.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use chrono::Utc;
use cli::{Exit, Failed, Run};
use durable::Dir;
use formats::HostId;
use formats::limits::LINE_BYTES;
use formats::records::log::Event;
use history::{History, LogAppender, layout};
use sandbox::{Confinement, Profile, Threads};
use serde::{Deserialize, Serialize};

use super::cycle::Cycle;
use crate::account::this_program;
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::turn;

/// How long it is waited for an ingest: longer than most take, as what is not noted stops the prune.
const PATIENCE: Duration = Duration::from_secs(900);

/// The process that writes, seen from the one that reads.
#[derive(Debug)]
pub(super) struct Scribe {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// What was verified.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) host: HostId,
    pub(super) newest: String,
    pub(super) snapshots: u64,
    pub(super) read_bytes: u64,
}

/// What is written down.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// In the log: all of a history was read again, and is well.
    Verified(Note),
    /// Beside it: how far a cycle has come; none that it is over.
    Cycle(HostId, Option<Cycle>),
}

/// Whether it was noted.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    trouble: Option<String>,
}

impl Scribe {
    /// Starts it.
    pub(super) fn start(settings: &Settings) -> std::io::Result<Self> {
        let mut child = this_program()
            .args(["note-verified", "--config"])
            .arg(&settings.file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let gone = || std::io::Error::other("a pipe of a child is not there");
        let (to, from) = (child.stdin.take().ok_or_else(gone)?, child.stdout.take().ok_or_else(gone)?);
        Ok(Self { child, to, from: BufReader::new(from) })
    }

    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has it noted; tells why not, if so.
    pub(super) fn note(&mut self, word: &Word) -> Result<(), String> {
        let mut told = || -> std::io::Result<Answer> {
            let mut line = serde_json::to_vec(word)?;
            line.push(b'\n');
            self.to.write_all(&line)?;
            let mut answer = String::new();
            self.from.read_line(&mut answer)?;
            Ok(serde_json::from_str(&answer)?)
        };
        match told() {
            Ok(Answer { trouble: None }) => Ok(()),
            Ok(Answer { trouble: Some(trouble) }) => Err(trouble),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Lets it go.
    pub(super) fn finish(mut self) {
        drop(self.to);
        let _ = self.child.wait();
    }
}

/// The process itself.
pub(crate) fn child(run: &mut Run, settings: &Settings) -> Result<Exit, Failed> {
    let dir =
        Dir::open_root(&settings.history).map_err(Trouble::folder("opening the folder of histories"))?;
    let history = History::open(&settings.history).map_err(Trouble::Histories)?;
    let confinement = Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::One);
    let _in_force = confinement.write_files_beneath(&dir).apply().map_err(Trouble::from)?;
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = String::new();
        let read = (&mut input).take(LINE_BYTES as u64).read_line(&mut line);
        if read.map_err(Trouble::stream("reading what was verified"))? == 0 {
            return Ok(Exit::WHOLE);
        }
        let word: Word =
            serde_json::from_str(&line).map_err(|error| Failed::bug("reading what was verified", error))?;
        let trouble = write(&history, word).err().map(|trouble| Failed::from(trouble).chain());
        let answer = serde_json::to_string(&Answer { trouble });
        run.line(&answer.map_err(|error| Failed::bug("answering", error))?);
    }
}

fn write(history: &History, word: Word) -> Result<(), Trouble> {
    let host = match &word {
        Word::Verified(note) => &note.host,
        Word::Cycle(host, _) => host,
    };
    let at = || Trouble::history(host);
    let place = history.host(host).map_err(at())?;
    let alone = turn::write_within(&place, PATIENCE)?;
    match &word {
        Word::Verified(Note { newest, snapshots, read_bytes, .. }) => {
            let (newest, snapshots, read_bytes) = (newest.clone(), *snapshots, *read_bytes);
            let mut log = LogAppender::open(&place, &alone).map_err(at())?;
            log.append(Event::Verify { newest, snapshots, read_bytes }, Utc::now()).map_err(at())
        }
        Word::Cycle(_, cycle) => {
            let doing = || Trouble::folder(format!("noting how far the verify of {host} has come"));
            place.dir().remove_unfinished().map_err(doing())?;
            let text = cycle.as_ref().map(serde_json::to_vec).transpose();
            let text = text.map_err(|error| Trouble::Machine { what: error.to_string() })?;
            match text {
                Some(text) => place.dir().write_whole(layout::VERIFY, &text, 0o640).map_err(doing()),
                None => match place.dir().unlink(layout::VERIFY) {
                    Err(error) if !error.is_not_found() => Err(doing()(error)),
                    _ => place.dir().sync().map_err(doing()),
                },
            }
        }
    }
}
