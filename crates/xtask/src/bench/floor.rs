//! Floors: the least that anything which does this work has to do.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::peer::Peer;
use super::{Bench, Subject};
use crate::trouble::{Result, Trouble};

/// What the floor of a subject is, in words.
pub(crate) fn name(subject: Subject) -> &'static str {
    match subject {
        Subject::FirstSmall => "tar | ssh cat >/dev/null",
        Subject::Unchanged => "find -printf",
        Subject::FirstBig => "cat | ssh cat >/dev/null",
    }
}

/// One run of it.
pub(crate) fn run(bench: &Bench, peer: &Peer, subject: Subject) -> Result<Duration> {
    match subject {
        Subject::FirstSmall => {
            peer.pipe(bench, Command::new("tar").arg("-C").arg(&bench.small).args(["-cf", "-", "."]))
        }
        Subject::FirstBig => peer.pipe(bench, Command::new("cat").arg(bench.big.join("big"))),
        Subject::Unchanged => find(bench),
    }
}

fn find(bench: &Bench) -> Result<Duration> {
    let began = Instant::now();
    let mut command = Command::new("find");
    command.arg(&bench.small).args(["-printf", "%p %s %T@ %m %U %G\\n"]);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(Trouble::new("find failed"));
    }
    Ok(began.elapsed())
}
