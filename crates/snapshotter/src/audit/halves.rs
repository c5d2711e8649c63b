//! The halves of hosts: reports of `push-client audit --json`, as Salt or a person has collected them in files, one a line.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use formats::records::audit::{Audit, Evidence, Finding, Half, Verdict};
use serde_json::Value;

use super::facts::Hosts;
use super::shown;
use crate::trouble::Trouble;

/// Longest file of reports.
const BYTES_MAX: u64 = 64 << 20;
/// Most files.
const FILES_MAX: usize = 1000;
/// A report that is older says nothing of today.
const OLD_DAYS: i64 = 3;

/// Reads all of them.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Audit>, Trouble> {
    if files.len() > FILES_MAX {
        return Err(Trouble::Usage { what: format!("more than {FILES_MAX} files"), advice: None });
    }
    let mut halves = Vec::new();
    for path in files {
        let at = || Trouble::stream(format!("reading {}", shown(path)));
        let mut bytes = Vec::new();
        File::open(path).map_err(at())?.take(BYTES_MAX).read_to_end(&mut bytes).map_err(at())?;
        halves.extend(parse(path, &bytes)?);
    }
    Ok(halves)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Audit>, Trouble> {
    // What people read stands between the reports.
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{"));
    let reports = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let audits = reports.filter_map(|report| report.pointer("/details/audit").cloned());
    let halves: Vec<Audit> = audits
        .filter_map(|audit| serde_json::from_value::<Audit>(audit).ok())
        .filter(|audit| audit.half == Half::Host && audit.host.is_some())
        .collect();
    if halves.is_empty() {
        return Err(Trouble::Usage {
            what: format!("{} holds no report of `push-client audit`", shown(path)),
            advice: Some(
                "collect what `push-client audit --json` prints on each host, one report a line".to_owned(),
            ),
        });
    }
    Ok(halves)
}

/// Adds what hosts found; once there are halves, an active host without one is not known.
pub(super) fn add(findings: &mut [Finding], halves: &[Audit], hosts: &Hosts) {
    if halves.is_empty() {
        return;
    }
    let now = chrono::Utc::now().timestamp();
    for finding in findings.iter_mut() {
        let requirement = finding.requirement;
        for host in hosts.active() {
            let half = halves.iter().rev().find(|half| half.host.as_deref() == Some(host.id.as_str()));
            let Some(half) = half else { continue };
            let old = super::off_site::seconds(&half.time).is_none_or(|time| now - time > OLD_DAYS * 86_400);
            let theirs = half.findings.iter().filter(|theirs| theirs.requirement == requirement);
            for evidence in theirs.flat_map(|theirs| &theirs.evidence) {
                let verdict = if old { evidence.verdict.max(Verdict::Unknown) } else { evidence.verdict };
                let text = format!("on {}: {}", host.id, cli::shown(evidence.text.as_bytes()));
                finding.take(Evidence { verdict, text });
            }
        }
    }
    for host in hosts.active() {
        let told = halves.iter().any(|half| half.host.as_deref() == Some(host.id.as_str()));
        if let (false, Some(finding)) = (told, findings.get_mut(1)) {
            finding.add(Verdict::Unknown, format!("there is no report of {} itself", host.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUDIT: &str = r#"{"format":"firn.audit/1.0","half":"host","host":"web01","time":"2026-01-02T03:04:05Z","findings":[{"requirement":"R2","verdict":"fail","evidence":[{"verdict":"fail","text":"a key"}]}]}"#;

    #[test]
    fn reports_are_found_between_lines_for_people() {
        let text = format!(
            "R2 fail: a key\n{{\"format\":\"firn.report/1.0\",\"details\":{{\"audit\":{AUDIT}}}}}\nweb02:\n"
        );
        let [half] = &parse(Path::new("a"), text.as_bytes()).unwrap()[..] else { panic!("one") };
        assert_eq!(half.verdict(), Verdict::Fail);
        for none in [
            "",
            "R2 fail\n",
            "{}\n",
            "{\"details\":{\"audit\":7}}\n",
            &AUDIT.replace("\"host\",", "\"server\","),
        ] {
            assert!(parse(Path::new("a"), none.as_bytes()).is_err(), "{none}");
        }
    }
}
