//! Our side of a round.

use std::time::Duration;

use pipeline_tests::{Host, Outcome};

use super::{Bench, Subject};
use crate::trouble::{Result, Trouble};

/// Sealed, and no verdict was waited for.
const SEALED: i32 = 18;
/// Accepted already: nothing was left to wait for.
const WHOLE: i32 = 0;

/// A host of ours for a subject; for `Unchanged` with an accepted push.
pub(crate) fn prepare(bench: &mut Bench, subject: Subject) -> Result<Host> {
    let name = match subject {
        Subject::FirstSmall => "small",
        Subject::Unchanged => "unchanged",
        Subject::FirstBig => "big",
    };
    let roots = [bench.source(subject).to_owned()];
    // The folder of data belongs to no host; the host's own lies beside it.
    let host = bench.scratch.add_host(&format!("bench-{name}"), &roots)?;
    if subject == Subject::Unchanged {
        push(bench, &host)?;
        bench.scratch.ingest()?.expect_code(&[0])?;
        push(bench, &host)?;
        bench.scratch.ingest()?.expect_code(&[0])?;
    }
    Ok(host)
}

/// One push, up to `sealed`.
pub(crate) fn push(bench: &Bench, host: &Host) -> Result<Duration> {
    Ok(push_outcome(bench, host)?.took)
}

/// As [`push`], with its report.
pub(crate) fn push_outcome(bench: &Bench, host: &Host) -> Result<Outcome> {
    Ok(bench.scratch.push(host)?.expect_code(&[SEALED, WHOLE])?)
}

/// Puts the host back to where the round found it.
pub(crate) fn reset(bench: &Bench, host: &Host, subject: Subject) -> Result<()> {
    if subject == Subject::Unchanged {
        bench.scratch.ingest()?.expect_code(&[0])?;
        return Ok(());
    }
    let queued = host.queued()?;
    if queued.is_empty() {
        return Err(Trouble::new("a push of the benchmark left nothing in the spool"));
    }
    for file in queued {
        std::fs::remove_file(file)?;
    }
    std::fs::remove_dir_all(host.state())?;
    Ok(())
}
