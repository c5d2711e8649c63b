//! Before the first put of a run and after its last.

use cli::{Failed, Monitor};

use super::prove;
use crate::plan::Plan;
use crate::store::Target;

/// Proves every vault of the plan that is to be proved. One that fails is taken out of the plan and gets nothing; why is added to `failures`.
pub fn before(plan: &mut Plan, failures: &mut Vec<Failed>, monitor: &dyn Monitor) {
    let Plan { targets, proved, .. } = plan;
    targets.retain(|target| {
        if !proved.contains(&target.name) {
            return true;
        }
        match hold(target, monitor) {
            Ok(()) => true,
            Err(failed) => {
                monitor.warn(&format!("{}; nothing is put there", failed.chain()));
                failures.push(failed);
                false
            }
        }
    });
}

/// Proves them again, once all is put.
pub fn after(plan: &Plan, failures: &mut Vec<Failed>, monitor: &dyn Monitor) {
    for target in plan.targets.iter().filter(|target| plan.proved.contains(&target.name)) {
        if let Err(failed) = hold(target, monitor) {
            monitor.warn(&failed.chain());
            failures.push(failed);
        }
    }
}

fn hold(target: &Target, monitor: &dyn Monitor) -> Result<(), Failed> {
    let proved = prove(target, monitor)?;
    match proved.is_doubtful() {
        true => monitor.warn(&proved.summary()),
        false => monitor.info(&proved.summary()),
    }
    Ok(proved.require_held()?)
}
