//! What an audit found about the twelve requirements. Document: docs/formats/audit.md.

use serde::{Deserialize, Serialize};

use super::record::{Record, RecordVersion};

/// Most evidence that one requirement names; the rest is counted in the last of it.
pub const EVIDENCE_MAX: usize = 200;
/// Longest text of one piece of evidence, in bytes.
const TEXT_BYTES_MAX: usize = 600;

/// What was found, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was tried, and is as it should be.
    Pass,
    /// It could not be tried, or is too young to tell.
    Unknown,
    /// It was tried, and is not as it should be.
    Fail,
}

impl Verdict {
    /// The word in lines and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Unknown => "unknown",
            Verdict::Fail => "fail",
        }
    }
}

macro_rules! requirements {
    ($($name:ident $text:literal;)*) => {
        /// What a deployment promises.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Requirement {
            $(#[doc = $text] $name,)*
        }

        impl Requirement {
            /// All, in order.
            pub const ALL: [Requirement; 12] = [$(Requirement::$name,)*];

            /// Its number: `R1`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Requirement::$name => stringify!($name),)* }
            }

            /// What is required.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Requirement::$name => $text,)* }
            }
        }
    };
}

requirements! {
    R1 "no host can see the backups of another host";
    R2 "the backup server cannot get into other machines";
    R3 "backups are versioned";
    R4 "no host can reach its own history";
    R5 "all archives go off-site";
    R6 "off-site enforces retention";
    R7 "the backup server cannot delete off-site";
    R8 "off-site keeps for three months at least";
    R9 "the server keeps two years of history";
    R10 "all of it is automatic";
    R11 "the costs are low and bounded";
    R12 "the machines' own work does not suffer";
}

/// One thing that was tried or looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it says about the requirement.
    pub verdict: Verdict,
    /// What was tried and what came of it.
    pub text: String,
}

/// One requirement with all its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which one.
    pub requirement: Requirement,
    /// The worst of the evidence; unknown if there is none.
    pub verdict: Verdict,
    /// Worst first.
    pub evidence: Vec<Evidence>,
}

impl Finding {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(requirement: Requirement) -> Finding {
        Finding { requirement, verdict: Verdict::Unknown, evidence: Vec::new() }
    }

    /// Adds what was found.
    pub fn add(&mut self, verdict: Verdict, text: impl Into<String>) {
        self.take(Evidence { verdict, text: text.into() });
    }

    /// Adds evidence that was gathered elsewhere.
    pub fn take(&mut self, mut evidence: Evidence) {
        let text = &mut evidence.text;
        if text.len() > TEXT_BYTES_MAX {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            text.push('…');
        }
        self.verdict =
            if self.evidence.is_empty() { evidence.verdict } else { self.verdict.max(evidence.verdict) };
        let at = self.evidence.partition_point(|other| other.verdict >= evidence.verdict);
        self.evidence.insert(at, evidence);
        // The worst stand first, so that what falls off the end is the best.
        self.evidence.truncate(EVIDENCE_MAX);
    }

    /// The one line: number, verdict, the worst of the evidence and how much more there is.
    #[must_use]
    pub fn line(&self) -> String {
        let id = self.requirement.id();
        let mut line = format!("{id:<3} {:<7} {}", self.verdict.word(), self.requirement.text());
        let shown = self.evidence.iter().filter(|evidence| evidence.verdict == self.verdict);
        for (number, evidence) in shown.clone().take(2).enumerate() {
            line.push_str(if number == 0 { ": " } else { "; " });
            line.push_str(&evidence.text);
        }
        let more = shown.count().saturating_sub(2);
        if more > 0 {
            line.push_str(&format!("; and {more} more"));
        }
        line
    }
}

/// Which side looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Half {
    /// The backup server, with what it knows of ice.
    Server,
    /// One host.
    Host,
}

/// A whole audit, or one half of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// `firn.audit/1.0`.
    pub format: RecordVersion,
    /// Who looked.
    pub half: Half,
    /// The host id, if a host did.
    pub host: Option<String>,
    /// When, UTC.
    pub time: String,
    /// What was found, by requirement.
    pub findings: Vec<Finding>,
}

impl Record for Audit {
    const NAME: &'static str = "firn.audit";
    const LONGEST_BYTES: usize = 4 << 20;
}

impl Audit {
    /// The worst of all.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_evidence_decides_and_stands_first() {
        let mut finding = Finding::new(Requirement::R4);
        assert_eq!(finding.verdict, Verdict::Unknown);
        finding.add(Verdict::Pass, "a");
        assert_eq!(finding.verdict, Verdict::Pass);
        finding.add(Verdict::Fail, "b");
        finding.add(Verdict::Unknown, "c");
        finding.add(Verdict::Pass, "d");
        finding.add(Verdict::Fail, "e");
        assert_eq!(finding.verdict, Verdict::Fail);
        let texts: Vec<_> = finding.evidence.iter().map(|evidence| evidence.text.as_str()).collect();
        assert_eq!(texts, ["b", "e", "c", "a", "d"]);
        assert_eq!(finding.line(), "R4  fail    no host can reach its own history: b; e");
    }

    #[test]
    fn evidence_is_bounded_and_a_failure_never_falls_off() {
        let mut finding = Finding::new(Requirement::R1);
        for _ in 0..EVIDENCE_MAX * 2 {
            finding.add(Verdict::Pass, "x".repeat(5000));
        }
        finding.add(Verdict::Fail, "the one");
        assert_eq!(finding.evidence.len(), EVIDENCE_MAX);
        assert_eq!(finding.evidence.first().map(|evidence| evidence.text.as_str()), Some("the one"));
        assert!(finding.evidence.iter().all(|evidence| evidence.text.len() < 700));
    }

    #[test]
    fn an_audit_comes_back_as_it_was_written() {
        let mut finding = Finding::new(Requirement::R12);
        finding.add(Verdict::Pass, "calm");
        let audit = Audit {
            format: Audit::format(),
            half: Half::Host,
            host: Some("web01".to_owned()),
            time: "2026-01-02T03:04:05Z".to_owned(),
            findings: vec![finding],
        };
        let line = audit.to_line().unwrap();
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(text.starts_with(r#"{"format":"firn.audit/1.0","half":"host","host":"web01""#), "{text}");
        assert!(text.contains(r#""requirement":"R12","verdict":"pass""#), "{text}");
        assert_eq!(Audit::from_line(&line).unwrap(), audit);
    }

    #[test]
    fn the_numbers_are_those_of_the_list() {
        let ids: Vec<_> = Requirement::ALL.iter().map(|requirement| requirement.id()).collect();
        assert_eq!(ids, (1..=12).map(|number| format!("R{number}")).collect::<Vec<_>>());
    }
}
