//! A process apart, which does what the one that asks cannot or must not: it is asked, and answers, in lines of JSON.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use cli::Failed;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::account::this_program;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// Longest question or answer: a plan, its quotes escaped, and some more.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// The process, seen from the one that asks.
#[derive(Debug)]
pub(crate) struct Clerk {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Clerk {
    /// Starts it with this hidden verb.
    pub(crate) fn start(settings: &Settings, verb: &str) -> Result<Self> {
        let mut child = this_program()
            .args([verb, "--config"])
            .arg(&settings.file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Whoever ends the one that asks from a terminal does not end this: it has something to finish.
            .process_group(0)
            .spawn()?;
        let gone = || Error::other("a pipe of a child is not there");
        let (to, from) = (child.stdin.take().ok_or_else(gone)?, child.stdout.take().ok_or_else(gone)?);
        Ok(Self { child, to, from: BufReader::new(from) })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask<Q: Serialize, A: DeserializeOwned>(&mut self, question: &Q) -> Result<A> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        let mut answer = String::new();
        self.to.write_all(&line)?;
        if (&mut self.from).take(LINE_BYTES_MAX).read_line(&mut answer)? == 0 {
            return Err(Error::other("the process that does it has ended"));
        }
        Ok(serde_json::from_str(&answer)?)
    }

    /// Lets it go.
    pub(crate) fn finish(mut self) {
        drop(self.to);
        let _ = self.child.wait();
    }
}

/// The process itself: answers until nobody asks any more.
pub(crate) fn serve<Q: DeserializeOwned, A: Serialize>(
    mut answer: impl FnMut(Q) -> A,
) -> std::result::Result<(), Failed> {
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = String::new();
        let read = (&mut input).take(LINE_BYTES_MAX).read_line(&mut line);
        if read.map_err(Trouble::stream("reading what is asked for"))? == 0 {
            return Ok(());
        }
        let question = serde_json::from_str(&line);
        let question = question.map_err(|error| Failed::bug("reading what is asked for", error))?;
        let mut answer =
            serde_json::to_vec(&answer(question)).map_err(|error| Failed::bug("answering", error))?;
        answer.push(b'\n');
        // What was done is done. Who asked is gone, or learns from the end of the pipe that no answer comes: it would wait for ever.
        if std::io::stdout().lock().write_all(&answer).is_err() {
            return Ok(());
        }
    }
}
