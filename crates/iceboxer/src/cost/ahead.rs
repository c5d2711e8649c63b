//! What a run is going to put, guessed before any image is made.

use formats::HostId;
use history::History;

use super::budget::Addition;
use super::stock::{lengths, lengths_of_image};
use crate::build::wanted;
use crate::image::survey::survey;
use crate::ledger::LedgerState;
use crate::plan::{Again, Plan};

/// For each host whose newest snapshot a vault lacks: as much as its newest ice in any vault has. Where there is none yet, what the manifests allow an
/// image to have at most. A host that cannot be read is passed over here; the run itself will say so.
pub(crate) fn ahead<'a>(
    plan: &'a Plan,
    history: &History,
    hosts: &[HostId],
    ledger: &LedgerState,
) -> Vec<Addition<'a>> {
    hosts.iter().flat_map(|host| of_host(plan, history, host, ledger).unwrap_or_default()).collect()
}

fn of_host<'a>(
    plan: &'a Plan,
    history: &History,
    host: &HostId,
    ledger: &LedgerState,
) -> Option<Vec<Addition<'a>>> {
    let history = history.host(host).ok()?;
    let log = history.log().ok()?;
    let newest = log.latest()?;
    let lacks = |vault: &str| plan.again == Again::Seal || !ledger.holds(vault, host, newest.name.as_str());
    let lacking: Vec<&str> =
        plan.targets.iter().map(|target| target.name.as_str()).filter(|name| lacks(name)).collect();
    if lacking.is_empty() {
        return None;
    }
    let last = ledger.entries().iter().rev().find(|entry| entry.ice.host() == host);
    let lengths: Vec<u64> = match last {
        Some(entry) => lengths(entry).collect(),
        None => {
            let survey = survey(&history, wanted(&log, plan.scope)).ok()?;
            lengths_of_image(survey.image_bytes_max, plan.segment_bytes).collect()
        }
    };
    Some(lacking.into_iter().map(|vault| Addition { vault, lengths: lengths.clone() }).collect())
}
