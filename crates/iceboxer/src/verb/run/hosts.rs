//! Which hosts a run is for, and where they are read from.

use std::path::{Path, PathBuf};

use cli::{Exit, Failed, Failure, shown};
use formats::HostId;
use history::History;

use crate::image::ImageError;
use crate::ledger::LedgerState;
use crate::plan::Plan;

/// The folder of all histories, and the hosts in it that the run is for.
pub(super) fn hosts(plan: &Plan, ledger: &LedgerState) -> Result<(History, Vec<HostId>), Failed> {
    let history = History::open(&plan.history).map_err(ImageError::from)?;
    if !plan.hosts.is_empty() {
        return Ok((history, plan.hosts.clone()));
    }
    let hosts = history.hosts().map_err(ImageError::from)?;
    if hosts.is_empty() && !ledger.entries().is_empty() {
        return Err(NoHosts { history: plan.history.clone() }.into());
    }
    Ok((history, hosts))
}

/// The history is empty, and once was not: as its mount point is while its disk is not there.
#[derive(Debug, thiserror::Error)]
#[error("the history {} has no host, and the ledger names some", path(.history))]
struct NoHosts {
    history: PathBuf,
}

fn path(path: &Path) -> String {
    shown(path.as_os_str().as_encoded_bytes())
}

impl Failure for NoHosts {
    fn exit(&self) -> Exit {
        Exit::MACHINE
    }

    fn advice(&self) -> Option<String> {
        Some("see whether its disk is mounted; what is off-site stays locked meanwhile".to_owned())
    }
}
