//! Dates as the records write them: UTC, whole seconds, `2026-01-02T03:04:05Z`.

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};

/// The date in text.
#[must_use]
pub fn utc_text(at: &DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The date that `text` means; none for any other spelling.
#[must_use]
pub fn parse_utc(text: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (utc_text(&at) == text).then_some(at)
}

/// The first whole second that is not before `at`: a lock is never shorter than what was asked for.
#[must_use]
pub fn rounded_up(at: DateTime<Utc>) -> DateTime<Utc> {
    let whole = at.trunc_subsecs(0);
    if whole == at { at } else { whole + TimeDelta::seconds(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_one_spelling() {
        let text = "2026-01-02T03:04:05Z";
        assert_eq!(utc_text(&parse_utc(text).unwrap()), text);
        for bad in
            ["", "2026-01-02", "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05.5Z", "2026-01-02t03:04:05z"]
        {
            assert!(parse_utc(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn rounding_never_shortens() {
        let whole = parse_utc("2026-01-02T03:04:05Z").unwrap();
        assert_eq!(rounded_up(whole), whole);
        assert_eq!(rounded_up(whole + TimeDelta::nanoseconds(1)), whole + TimeDelta::seconds(1));
    }
}
