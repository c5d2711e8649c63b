//! `push-client status`.

use std::path::Path;

use cli::{Exit, Failed, Run};

use crate::plan::Plan;
use crate::state::{Remembered, RunRecord, Runs, StateFolder};

pub(super) fn status(run: &mut Run, settings: &Path) -> Result<Exit, Failed> {
    let plan = Plan::load(settings)?;
    run.report().detail("host", plan.host.as_str());
    run.line(&format!("host          {}", plan.host));
    let Some(Remembered { installation, memory, runs }) = StateFolder::peek(&plan.state)? else {
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
    if let Some(Runs { last, accepted, .. }) = runs {
        run.line(&format!("last run      {}", describe(&last)));
        run.report().detail("last_run", json(&last));
        if let Some(accepted) = accepted {
            // Nobody wants to read the same twice.
            if accepted != last {
                run.line(&format!("last accepted {}", describe(&accepted)));
            }
            run.report().detail("last_accepted_run", json(&accepted));
        }
    }
    Ok(Exit::WHOLE)
}

fn describe(record: &RunRecord) -> String {
    let exit = Exit::of(record.exit);
    format!(
        "{} took {:.1} seconds, ended with {} ({}): {} entries, {} changes, {} bytes read, {} bytes sent",
        time(record.started),
        record.seconds,
        record.exit,
        exit.word(),
        record.count("entries"),
        record.count("changes"),
        record.count("read_bytes"),
        record.count("sent_bytes"),
    )
}

fn json(record: &RunRecord) -> serde_json::Value {
    serde_json::json!({
        "started": time(record.started),
        "seconds": record.seconds,
        "exit": record.exit,
        "counts": record.counts,
    })
}

/// UTC, as in reports.
fn time(seconds: i64) -> String {
    let time = chrono::DateTime::from_timestamp(seconds, 0);
    time.map_or_else(
        || "at no known time".to_owned(),
        |t| t.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    )
}
