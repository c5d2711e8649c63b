//! The last line of standard output under `--json`. Layout: `docs/formats/report.md`.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::exit::Exit;
use crate::failure::Failed;
use crate::text::{shown, tame};

/// Name and version of the format.
pub const FORMAT: &str = "firn.report/1.0";
/// Most paths a report names; the count tells how many there were in all.
pub const LEFT_OUT_MAX: usize = 1000;
/// Longest text in a report, in bytes; what is longer is cut.
pub const TEXT_BYTES_MAX: usize = 4096;

/// The name of the count of all that was left out, named or not.
const LEFT_OUT: &str = "left_out";

/// What one run did, for machines.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    format: &'static str,
    program: String,
    version: &'static str,
    verb: String,
    exit: u8,
    started: String,
    seconds: f64,
    counts: BTreeMap<&'static str, u64>,
    left_out: Vec<LeftOut>,
    error: Option<Trouble>,
    details: Map<String, Value>,
    #[serde(skip)]
    clock: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LeftOut {
    path: String,
    why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Trouble {
    text: String,
    advice: Option<String>,
}

impl Report {
    /// A report of a run that begins now.
    #[must_use]
    pub fn new(program: &str, verb: &str) -> Report {
        Report {
            format: FORMAT,
            program: program.to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            verb: verb.to_owned(),
            exit: Exit::BUG.code(),
            started: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            seconds: 0.0,
            counts: BTreeMap::new(),
            left_out: Vec::new(),
            error: None,
            details: Map::new(),
            clock: Instant::now(),
        }
    }

    /// Adds to a count; names end in their unit where it is not a plain number (`sent_bytes`).
    pub fn count(&mut self, name: &'static str, by: u64) {
        let count = self.counts.entry(name).or_default();
        *count = count.saturating_add(by);
    }

    /// Names what was left out. Beyond [`LEFT_OUT_MAX`] it is only counted.
    pub fn leave_out(&mut self, path: &[u8], why: &str) {
        self.count(LEFT_OUT, 1);
        if self.left_out.len() < LEFT_OUT_MAX {
            self.left_out.push(LeftOut { path: cut(shown(path)), why: cut(tame(why)) });
        }
    }

    /// How much was left out.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.counts.get(LEFT_OUT).copied().unwrap_or(0)
    }

    /// What only this verb has to say. Bytes from outside go through [`crate::shown`] first.
    pub fn detail(&mut self, name: &str, value: impl Into<Value>) {
        self.details.insert(name.to_owned(), value.into());
    }

    /// Ends the run with `exit` and, if it failed, why.
    pub(crate) fn close(&mut self, exit: Exit, failed: Option<&Failed>) {
        self.exit = exit.code();
        self.seconds = (self.clock.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        self.error =
            failed.map(|failed| Trouble { text: cut(failed.chain()), advice: failed.advice().map(cut) });
    }

    /// The one line, without its newline.
    pub(crate) fn line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(report: &Report) -> Value {
        serde_json::from_str(&report.line().unwrap()).unwrap()
    }

    #[test]
    fn the_report_has_the_fields_of_its_document_in_their_order() {
        let mut report = Report::new("push-client", "run");
        report.count("sent_bytes", 3);
        report.count("sent_bytes", 4);
        report.leave_out(b"etc/\x1bshadow", "permission denied");
        report.detail("snapshot", "20260102T030405Z-0000000001");
        report.close(Exit::LEFT_OUT, None);
        let line = report.line().unwrap();
        assert!(
            line.starts_with("{\"format\":\"firn.report/1.0\",\"program\":\"push-client\",\"version\":\"")
        );
        assert!(!line.contains('\n'));
        let value = value(&report);
        assert_eq!(value["exit"], 3);
        assert_eq!(value["counts"]["sent_bytes"], 7);
        assert_eq!(value["left_out"][0]["path"], "etc/\\x1bshadow");
        assert_eq!(value["left_out"][0]["why"], "permission denied");
        assert_eq!(value["error"], Value::Null);
        let started = value["started"].as_str().unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(started).is_ok());
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/report.md");
        let document = std::fs::read_to_string(document).unwrap();
        for field in value.as_object().unwrap().keys() {
            assert!(document.contains(&format!("| `{field}` |")), "{field} is not in docs/formats/report.md");
        }
    }

    #[test]
    fn what_is_left_out_is_named_up_to_a_bound_and_counted_beyond() {
        let mut report = Report::new("push-client", "run");
        for _ in 0..LEFT_OUT_MAX + 5 {
            report.leave_out(&[b'x'; 32_767], "gone");
        }
        assert_eq!(report.left_out(), LEFT_OUT_MAX as u64 + 5);
        let value = value(&report);
        assert_eq!(value["left_out"].as_array().unwrap().len(), LEFT_OUT_MAX);
        assert!(value["left_out"][0]["path"].as_str().unwrap().len() <= TEXT_BYTES_MAX + '…'.len_utf8());
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = cut("é".repeat(TEXT_BYTES_MAX));
        assert_eq!(text.chars().filter(|c| *c == 'é').count(), TEXT_BYTES_MAX / 2);
    }

    #[test]
    fn a_failed_run_says_why_and_what_to_do() {
        let mut report = Report::new("iceboxer", "run");
        report.close(Exit::BUG, Some(&Failed::bug("counting segments", "overflow")));
        let value = value(&report);
        assert_eq!(value["exit"], 1);
        assert_eq!(value["error"]["text"], "counting segments: overflow");
        assert!(value["error"]["advice"].as_str().unwrap().contains("mistake in Firn"));
    }

    #[test]
    fn a_report_that_was_never_closed_does_not_look_whole() {
        assert_eq!(value(&Report::new("iceboxer", "run"))["exit"], 1);
    }
}
