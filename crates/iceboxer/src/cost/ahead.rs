//! What a run is going to put, guessed before any image is made.

use formats::HostId;
use history::History;

use super::budget::Addition;
use super::stock::{lengths, lengths_of_image};
use crate::build::{log_to_read, wanted};
use crate::image::survey::survey;
use crate::plan::Again;
use crate::standing::Standing;
use crate::store::Target;

/// For each host whose newest snapshot a vault lacks: as much as its newest ice in any vault has. Where there is none yet, what the manifests allow
/// an
/// image to have at most. Nothing where its newest ice there has the same content, which is used again: each image is counted once it is made. A
/// host that cannot be read is passed over here; the run itself will say so.
pub(crate) fn ahead<'a>(standing: Standing<'a>, history: &History, hosts: &[HostId]) -> Vec<Addition<'a>> {
    hosts.iter().flat_map(|host| of_host(standing, history, host).unwrap_or_default()).collect()
}

fn of_host<'a>(standing: Standing<'a>, history: &History, host: &HostId) -> Option<Vec<Addition<'a>>> {
    let history = history.host(host).ok()?;
    let (log, _reading) = log_to_read(&history, standing.plan.scope).ok()?;
    let newest = log.latest()?;
    let plan = standing.plan;
    let is_reused = |target: &Target| {
        let is_there = || standing.of_content(target, host, newest).is_some();
        plan.again == Again::Skip && target.vault.can_extend() && is_there()
    };
    let lacks = |target: &&Target| standing.of_newest(target, host, newest).is_none() && !is_reused(target);
    let lacking: Vec<&str> = plan.targets.iter().filter(lacks).map(|target| target.name.as_str()).collect();
    if lacking.is_empty() {
        return None;
    }
    let last = standing.ledger.entries().iter().rev().find(|entry| entry.ice.host() == host);
    let lengths: Vec<u64> = match last {
        Some(entry) => lengths(entry).collect(),
        None => {
            let survey = survey(&history, wanted(&log, plan.scope), log.redacted()).ok()?;
            lengths_of_image(survey.image_bytes_max, plan.segment_bytes).collect()
        }
    };
    Some(lacking.into_iter().map(|vault| Addition { vault, lengths: lengths.clone() }).collect())
}
