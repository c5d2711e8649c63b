//! Starts the process that mends, for a verify that has confined itself and can start nothing. It was started before, reads no history, and is told a
//! host and hashes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use cli::{Exit, Failed, Run};
use formats::limits::WANTED;
use formats::{ContentHash, HostId};
use serde::{Deserialize, Serialize};

use super::mend::Mended;
use crate::account::this_program;
use crate::child;
use crate::ingest::exit_of;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// A host and as many hashes as there can be, with what is between them.
const LINE_BYTES: u64 = (WANTED as u64 + 16) * 80;

/// The process that starts others, seen from the one that reads.
#[derive(Debug)]
pub(crate) struct Foreman {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// What to look at.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) host: HostId,
    pub(crate) contents: Vec<ContentHash>,
}

/// What came of it: without an outcome, the code that the process ended with.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    mended: Option<Mended>,
    exit: u8,
}

impl Foreman {
    /// Starts it.
    pub(crate) fn start(settings: &Settings) -> std::io::Result<Self> {
        let mut child = this_program()
            .args(["heal-hosts", "--config"])
            .arg(&settings.file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let gone = || std::io::Error::other("a pipe of a child is not there");
        let (to, from) = (child.stdin.take().ok_or_else(gone)?, child.stdout.take().ok_or_else(gone)?);
        Ok(Self { child, to, from: BufReader::new(from) })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has one history mended; what is wrong, the process has said on standard error.
    pub(crate) fn mend(&mut self, order: &Order) -> std::io::Result<Result<Mended, Exit>> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.to.write_all(&line)?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        let Answer { mended, exit } = serde_json::from_str(&answer)?;
        Ok(mended.ok_or_else(|| Exit::of(exit)))
    }

    /// Lets it go.
    pub(crate) fn finish(mut self) {
        drop(self.to);
        let _ = self.child.wait();
    }
}

/// The process itself.
pub(crate) fn child(run: &mut Run, settings: &Settings) -> Result<Exit, Failed> {
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = String::new();
        let read = (&mut input).take(LINE_BYTES).read_line(&mut line);
        if read.map_err(Trouble::stream("reading what may be lost"))? == 0 {
            return Ok(Exit::WHOLE);
        }
        let order: Order =
            serde_json::from_str(&line).map_err(|error| Failed::bug("reading what may be lost", error))?;
        let answer = one(settings, &order).map_err(Trouble::stream(format!("mending {}", order.host)))?;
        let answer = serde_json::to_string(&answer);
        run.line(&answer.map_err(|error| Failed::bug("answering", error))?);
    }
}

fn one(settings: &Settings, order: &Order) -> std::io::Result<Answer> {
    let mut child = this_program()
        .args(["heal-host", order.host.as_str(), "--config"])
        .arg(&settings.file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut to) = child.stdin.take() {
        // One that ended before it read says why by its code.
        let _ = order.contents.iter().take(WANTED).try_for_each(|content| writeln!(to, "{content}"));
    }
    let said = child::output_of(child)?;
    let exit = exit_of(said.status);
    let mended = said.text().lines().last().and_then(|line| serde_json::from_str(line).ok());
    Ok(match mended.filter(|_| exit == Exit::WHOLE) {
        Some(mended) => Answer { mended: Some(mended), exit: 0 },
        None => {
            Answer { mended: None, exit: if exit == Exit::WHOLE { Exit::BUG.code() } else { exit.code() } }
        }
    })
}
