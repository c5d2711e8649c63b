//! `thaw`: asks a vault to make an archived ice readable: its segments, its record and its catalogue.

use chrono::{DateTime, TimeDelta, Utc};
use cli::{Exit, Failed, Run, shown};
use vault::stamp::utc_text;
use vault::{Thawed, Tier, Wish};

use crate::args::TierArg;
use crate::ice::{StoredRecord, Which};
use crate::search::{Copy, Fault, Search};
use crate::settings::Settings;
use crate::shelf::Shelves;

pub(super) fn wish(tier: TierArg, days: u32) -> Wish {
    let tier = match tier {
        TierArg::Bulk => Tier::Bulk,
        TierArg::Standard => Tier::Standard,
        TierArg::Expedited => Tier::Expedited,
    };
    Wish { tier, days }
}

/// How far the objects of an ice are.
#[derive(Debug, Default)]
struct Tally {
    ready: u64,
    underway: u64,
    /// The longest that an object asked for now takes; none if none was.
    within: Option<TimeDelta>,
    /// Until when all that are ready stay so; none if for good.
    until: Option<DateTime<Utc>>,
}

impl Tally {
    fn count(&mut self, thawed: Thawed) {
        match thawed {
            Thawed::Ready { until } => {
                self.ready += 1;
                self.until = [self.until, until].into_iter().flatten().min();
            }
            Thawed::Underway { within } => {
                self.underway += 1;
                self.within = self.within.max(within);
            }
        }
    }
}

/// Asks for every object. Ends with 35 while one of them cannot be read.
pub(super) fn thaw(
    run: &mut Run,
    settings: &Settings,
    which: &Which,
    vault: Option<&str>,
    wish: Wish,
) -> Result<Exit, Failed> {
    let shelves = Shelves::open(settings, vault)?;
    let search = Search::begin(shelves, which);
    if search.copies.is_empty() {
        let frozen = search.faults.iter().filter(|fault| fault.failed.exit() == Exit::FROZEN);
        // Without its record it is not known what else to ask for.
        for Fault { ice, shelf, .. } in frozen {
            for object in [ice.record_object(), ice.catalogue_object()] {
                shelf.thaw_object(&object, wish)?;
            }
        }
    }
    let (copy, _) = search.copies(which, &run.console())?;
    let Copy { shelf, stored: StoredRecord { record, .. } } = copy;
    let mut tally = Tally::default();
    for object in [record.ice.record_object(), record.ice.catalogue_object()] {
        shelf.thaw_object(&object, wish)?.into_iter().for_each(|thawed| tally.count(thawed));
    }
    for segment in &record.segments {
        tally.count(shelf.thaw(segment, wish)?);
    }
    let report = run.report();
    report.detail("ice", record.ice.to_string());
    report.detail("vault", shown(shelf.name.as_bytes()));
    report.count("ready", tally.ready);
    report.count("underway", tally.underway);
    report.detail("within_seconds", serde_json::json!(tally.within.map(|within| within.num_seconds())));
    report.detail("readable_until", serde_json::json!(tally.until.map(|until| utc_text(&until))));
    let (ice, all) = (&record.ice, tally.ready + tally.underway);
    if tally.underway == 0 {
        let until = tally.until.map_or(String::new(), |until| format!(" until {}", utc_text(&until)));
        run.line(&format!("{ice} can be read{until}"));
        return Ok(Exit::WHOLE);
    }
    let when = match tally.within {
        Some(within) => format!("ready within {}", hours(within)),
        None => "asked for before, and not ready yet".to_owned(),
    };
    run.line(&format!("{ice} is thawing, {} of {all} objects are ready: {when}", tally.ready));
    Ok(Exit::FROZEN)
}

fn hours(within: TimeDelta) -> String {
    match within.num_hours() {
        0 => format!("{} minutes", within.num_minutes()),
        hours => format!("{hours} hours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ice_is_ready_as_long_as_its_first_segment_and_takes_as_long_as_its_last() {
        let at = |hours| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        let mut tally = Tally::default();
        tally.count(Thawed::Ready { until: None });
        tally.count(Thawed::Ready { until: Some(at(9)) });
        tally.count(Thawed::Ready { until: Some(at(7)) });
        tally.count(Thawed::Underway { within: Some(TimeDelta::hours(5)) });
        tally.count(Thawed::Underway { within: None });
        assert_eq!((tally.ready, tally.underway), (3, 2));
        assert_eq!((tally.until, tally.within), (Some(at(7)), Some(TimeDelta::hours(5))));
        assert_eq!(hours(TimeDelta::hours(48)), "48 hours");
        assert_eq!(hours(TimeDelta::minutes(5)), "5 minutes");
    }
}
