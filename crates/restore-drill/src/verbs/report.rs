//! `report`: what the drills of the past proved.

use chrono::Utc;
use cli::{Exit, Failed, Run};
use formats::HostId;
use formats::records::drill::{DrillRecord, DrillResult};
use vault::stamp::parse_utc;

use super::list::age_text;
use crate::record;
use crate::settings::Settings;

/// Prints one line for each record, newest last. A record that cannot be read is named, and makes the run end with 3.
pub(super) fn report(run: &mut Run, settings: &Settings, host: Option<&HostId>) -> Result<Exit, Failed> {
    let folder = record::open(&settings.records)?;
    let mut drills = Vec::new();
    for name in record::names(&folder)? {
        match record::read(&folder, &name) {
            Ok(record) if host.is_none_or(|host| record.ice.host() == host) => {
                run.line(&line(&record));
                drills.push(serde_json::json!(record));
            }
            Ok(_) => {}
            Err(error) => run.leave_out(&name, &Failed::from(error).chain()),
        }
    }
    run.report().count("drills", drills.len() as u64);
    run.report().detail("drills", drills);
    Ok(Exit::WHOLE)
}

fn line(record: &DrillRecord) -> String {
    let age = parse_utc(&record.finished).map(|finished| age_text(Utc::now() - finished));
    let how = match (&record.result, &record.failure) {
        (DrillResult::Proved, _) => "proved".to_owned(),
        (DrillResult::Failed, Some(failure)) => format!("FAILED with {}: {}", failure.code, failure.text),
        (DrillResult::Failed, None) => "FAILED".to_owned(),
    };
    format!("{}  {}  {how}", record.ice, age.unwrap_or_else(|| "of unknown age".to_owned()))
}
