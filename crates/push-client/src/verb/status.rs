//! `push-client status`.

use std::path::Path;

use cli::{Exit, Failed, Run};

use crate::plan::Plan;
use crate::state::{Remembered, StateFolder};

pub(super) fn status(run: &mut Run, settings: &Path) -> Result<Exit, Failed> {
    let plan = Plan::load(settings)?;
    run.report().detail("host", plan.host.as_str());
    run.line(&format!("host          {}", plan.host));
    let Some(Remembered { installation, memory }) = StateFolder::peek(&plan.state)? else {
        run.line("nothing was pushed yet");
        return Ok(Exit::WHOLE);
    };
    if let Some(installation) = &installation {
        run.line(&format!("installation  {}", installation.id()));
        run.line(&format!("pushes begun  {}", installation.counter()));
        run.report().count("pushes_begun", installation.counter());
    }
    let accepted = memory.accepted.map(|root| root.to_string());
    run.line(&format!("accepted      {}", accepted.as_deref().unwrap_or("nothing yet")));
    run.report().detail("accepted", accepted);
    for pending in &memory.pending {
        run.line(&format!("pending       push {} brings {}", pending.push, pending.root));
    }
    run.report().count("pending", memory.pending.len() as u64);
    Ok(Exit::WHOLE)
}
