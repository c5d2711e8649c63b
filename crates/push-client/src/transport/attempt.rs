//! Trying with our own key what the server must refuse. Each attempt is a connection of its own, made by a child that holds no file and no
//! capability, as every child that speaks to the server.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use ssh2::{Channel, ErrorCode, Session};

use super::child::{confine, received};
use super::ending::{Ended, Ending};
use super::handover::Ends;
use super::login::let_in;
use super::ssh2_child::{connect, handover};
use crate::openssh::PrivateKey;
use crate::plan::Target;
use crate::until;

/// The hidden verb of the child.
pub(crate) const VERB: &str = "attempt";
/// What a shell makes of it is in no message of a receiver.
const SUM: &str = "echo firn-$((6*7))";
const SUM_DONE: &[u8] = b"firn-42";
/// Most that is read of an answer, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;
/// Longest time of one step, if the settings do not say less.
const STEP_SECONDS: u32 = 8;
/// Steps of one attempt: to connect, agree on keys, be let in, ask, hear the answer. It ends after the time of all, whatever the server does.
const STEPS: u32 = 5;
/// Longest outcome of a child.
const OUTCOME_BYTES_MAX: u64 = 4096;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Attempt {
    /// To run a command.
    Command,
    /// To get a shell.
    Shell,
    /// To read files by SFTP.
    Sftp,
    /// To read a file by scp.
    Scp,
    /// To get a terminal.
    Terminal,
    /// To reach the server's own network through it.
    Forward,
    /// To have the server listen.
    Listen,
    /// To be let in at all; for accounts that are not ours.
    Login,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tried {
    /// The server does not let us; how that showed.
    Refused(String),
    /// It let us.
    Done(String),
    /// That cannot be told; why.
    Unclear(String),
}

impl Attempt {
    /// The word of the child's command line.
    fn word(self) -> String {
        clap::ValueEnum::to_possible_value(&self)
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Tries it, as `account`.
    pub fn try_it(self, target: &Target, account: &str) -> Tried {
        match self.child(target, account) {
            Ok(tried) => tried,
            Err(why) => Tried::Unclear(why),
        }
    }

    fn child(self, target: &Target, account: &str) -> Result<Tried, String> {
        let failed = |error: io::Error| error.to_string();
        let target = Target { connect_seconds: target.connect_seconds.min(STEP_SECONDS), ..target.clone() };
        let longest = Duration::from_secs((target.connect_seconds * STEPS).into());
        let until = Instant::now() + longest;
        let late = || format!("it did not come to an end within {} seconds", longest.as_secs());
        let path = target.key.as_deref().ok_or("the settings name no key file to try it with")?;
        let key = PrivateKey::load(path).map_err(|error| error.to_string())?;
        let mut order = handover(&target, &key);
        order.account = account.to_owned();
        // A resolver has no deadline of ours.
        let socket = until::done(until, move || connect(&target)).ok_or_else(late)?;
        let socket = socket.map_err(|error| cli::Failed::from(error).chain())?;
        let (mut ours, theirs) = UnixStream::pair().map_err(failed)?;
        let (input, _to) = io::pipe().map_err(failed)?;
        let mut child = Command::new("/proc/self/exe")
            .args([VERB, &self.word()])
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let sent = order.send(&mut ours, &Ends { socket: socket.as_fd(), input: input.as_fd() });
        // Its outcome fits into the pipe.
        let status = until::ended(&mut child, until).ok_or_else(late)?;
        let mut answer = Vec::new();
        let read = match child.stdout.take() {
            Some(from) => from.take(OUTCOME_BYTES_MAX).read_to_end(&mut answer),
            None => Ok(0),
        };
        sent.and(read.map(drop)).map_err(failed)?;
        serde_json::from_slice(&answer).map_err(|_| format!("the process that tries ended with {status}"))
    }
}

/// The hidden verb `attempt`.
pub(crate) fn attempt(what: Attempt) -> ExitCode {
    let tried = carry(what).unwrap_or_else(|ended| match ended.ending {
        // Another attempt than to log in was then never made.
        Ending::Login if what == Attempt::Login => Tried::Refused(ended.words),
        _ => Tried::Unclear(ended.words),
    });
    let Ok(line) = serde_json::to_vec(&tried) else { return ExitCode::FAILURE };
    match io::stdout().lock().write_all(&line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn carry(what: Attempt) -> Result<Tried, Ended> {
    let (order, Ends { socket, .. }) = received()?;
    let session = Session::new().map_err(|error| Ended::new(Ending::Agreement, error.to_string()))?;
    confine()?;
    let session = let_in(&order, session, socket)?;
    Ok(match what {
        Attempt::Login => Tried::Done("it let us in".to_owned()),
        Attempt::Forward => forward(&session),
        Attempt::Listen => match session.channel_forward_listen(0, None, None) {
            Ok((_, port)) => Tried::Done(format!("it listens for us on port {port}")),
            Err(error) => answered_no(&error),
        },
        what => match session.channel_session() {
            Ok(channel) => in_channel(what, channel),
            Err(error) => Tried::Unclear(format!("no channel: {}", error.message())),
        },
    })
}

fn forward(session: &Session) -> Tried {
    match session.channel_direct_tcpip("127.0.0.1", 22, None) {
        Ok(_) => Tried::Done("it connected us to its own port 22".to_owned()),
        Err(error) if error.message().contains("prohibited") => Tried::Refused(error.message().to_owned()),
        // It was permitted to try.
        Err(error) if error.message().contains("connect failed") => Tried::Done(error.message().to_owned()),
        Err(error) => Tried::Unclear(error.message().to_owned()),
    }
}

fn in_channel(what: Attempt, mut channel: Channel) -> Tried {
    let (asked, send): (_, &[u8]) = match what {
        Attempt::Terminal => {
            return match channel.request_pty("xterm", None, None) {
                Ok(()) => Tried::Done("it gave us a terminal".to_owned()),
                Err(error) => answered_no(&error),
            };
        }
        Attempt::Shell => (channel.shell(), b"echo firn-$((6*7))\n"),
        // Length, kind 1, version 3: how a client of SFTP begins.
        Attempt::Sftp => (channel.subsystem("sftp"), &[0, 0, 0, 5, 1, 0, 0, 0, 3]),
        Attempt::Scp => (channel.exec("scp -f /etc/hostname"), &[0]),
        _ => (channel.exec(SUM), b""),
    };
    if let Err(error) = asked {
        return answered_no(&error);
    }
    // It may have hung up already, which the answer shows.
    let _ = channel.write_all(send).and_then(|()| channel.send_eof().map_err(io::Error::other));
    let mut answer = [0; ANSWER_BYTES_MAX];
    let mut length = 0;
    while let Some(rest) = answer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match channel.read(rest) {
            Ok(0) => break,
            Err(error) if length == 0 => return Tried::Unclear(format!("no answer: {error}")),
            Err(_) => break,
            Ok(read) => length += read,
        }
    }
    judged(what, answer.get(..length).unwrap_or_default())
}

/// Only what the server itself denied is refused; a connection that is gone has said nothing.
fn answered_no(error: &ssh2::Error) -> Tried {
    let words = error.message().to_owned();
    match error.code() {
        // A request of a channel, or of the connection, by libssh2's numbers.
        ErrorCode::Session(-22 | -32) => Tried::Refused(words),
        _ => Tried::Unclear(words),
    }
}

fn judged(what: Attempt, answer: &[u8]) -> Tried {
    let done = match what {
        Attempt::Sftp => answer.get(4) == Some(&2) && answer.first() == Some(&0),
        Attempt::Scp => answer.starts_with(b"C0"),
        _ => answer.windows(SUM_DONE.len()).any(|window| window == SUM_DONE),
    };
    match done {
        true => Tried::Done(format!("it answered {}", cli::shown(answer.get(..64).unwrap_or(answer)))),
        false if answer.is_empty() => Tried::Refused("nothing came back".to_owned()),
        false => Tried::Refused("the receiver answered instead".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_shows_who_gave_it() {
        let done = |what, answer: &[u8]| matches!(judged(what, answer), Tried::Done(_));
        assert!(done(Attempt::Command, b"firn-42\n") && done(Attempt::Shell, b"$ firn-42\n"));
        assert!(done(Attempt::Sftp, &[0, 0, 0, 5, 2, 0, 0, 0, 3]));
        assert!(done(Attempt::Scp, b"C0644 6 hostname\n"));
        // What a receiver says first: a frame of kind 64.
        for what in [Attempt::Command, Attempt::Shell, Attempt::Sftp, Attempt::Scp] {
            assert!(!done(what, &[64, 2, 0, 0, 0, 9, 9, 9, 9, 1, 0]) && !done(what, b""));
        }
        // A shell that only shows what was typed.
        assert!(!done(Attempt::Shell, b"echo firn-$((6*7))\n"));
    }

    #[test]
    fn every_attempt_has_a_word_for_its_child() {
        use clap::ValueEnum;
        for what in Attempt::value_variants() {
            assert_eq!(Attempt::from_str(&what.word(), false), Ok(*what));
        }
    }
}
