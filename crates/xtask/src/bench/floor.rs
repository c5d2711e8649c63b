//! Floors: the least that anything which does this work has to do.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pipeline_tests::{Host, Outcome};

use super::Bench;
use super::peer::Peer;
use super::runner::Floor;
use crate::trouble::{Result, Trouble};

/// One run of it.
pub(crate) fn run(
    bench: &Bench,
    peer: &Peer,
    source: &Path,
    host: Option<&Host>,
    floor: Floor,
) -> Result<Duration> {
    let big = source.join("big");
    let mut bytes = match big.exists() {
        true => Command::new("cat"),
        false => Command::new("tar"),
    };
    match big.exists() {
        true => bytes.arg(big),
        false => bytes.arg("-C").arg(source).args(["-cf", "-", "."]),
    };
    match floor {
        Floor::Null => peer.pipe(bench, &mut bytes, "cat >/dev/null"),
        Floor::CatSync => {
            let file = peer.target("cat");
            let took = peer.pipe(bench, &mut bytes, &format!("cat >{0} && sync {0}", file.display()))?;
            std::fs::remove_file(file)?;
            Ok(took)
        }
        Floor::FindSsh => Ok(find(source)? + peer.pipe(bench, &mut Command::new("true"), "true")?),
        Floor::FindSsh2 => {
            let host = host.ok_or_else(|| Trouble::new("there is no host to connect as"))?;
            let check = Outcome::of(&mut bench.scratch.push_client(host, &["check"]))?.expect_code(&[0])?;
            Ok(find(source)? + check.took)
        }
    }
}

fn find(source: &Path) -> Result<Duration> {
    let began = Instant::now();
    let mut command = Command::new("find");
    command.arg(source).args(["-printf", "%i %s %T@ %C@\\n"]);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(Trouble::new("find failed"));
    }
    Ok(began.elapsed())
}
