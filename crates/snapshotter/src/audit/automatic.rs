//! R10: all of it is automatic: units and timers are enabled and did well, and hosts push at their own minute, by themselves.

use std::collections::BTreeMap;
use std::path::Path;

use formats::records::audit::{Finding, Requirement, Verdict};
use formats::schedule::minute;

use super::facts::Hosts;
use super::past::{Past, Push};
use super::systemd;
use crate::settings::Settings;

/// How a unit comes to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// From the start of the machine.
    Always,
    /// When its timer says so; only its result is looked at.
    ByTimer,
}

/// The sshd that serves hosts is one of its own, or the machine's.
const OWN_SSHD: &str = "firn-sshd.service";
const USUAL_SSHD: &str = "ssh.service";
const USUAL: &str = "/etc/ssh/sshd_config";

/// What runs the server.
const UNITS: [(&str, Role); 6] = [
    (OWN_SSHD, Role::Always),
    ("firn-ingest.service", Role::Always),
    ("firn-status.timer", Role::Always),
    ("firn-ice.timer", Role::Always),
    ("firn-status.service", Role::ByTimer),
    ("firn-ice.service", Role::ByTimer),
];
const PROPERTIES: [&str; 4] = ["LoadState", "UnitFileState", "ActiveState", "Result"];
/// A host that is due three times a day has not pushed for so long only if nothing makes it.
const SILENT_DAYS: i64 = 2;
/// A push starts within so many minutes of its own.
const LATE_MINUTES: i64 = 10;
/// So many pushes tell whether they come at their minute.
const TELLING: usize = 6;

pub(super) fn judge(
    settings: &Settings,
    hosts: &Hosts,
    pasts: &Result<Vec<Past>, String>,
    now: i64,
) -> Finding {
    let mut finding = Finding::new(Requirement::R10);
    if systemd::is_here() {
        for (unit, role) in UNITS {
            let unit = if unit == OWN_SSHD && settings.audit.sshd_config == Path::new(USUAL) {
                USUAL_SSHD
            } else {
                unit
            };
            let told = systemd::show(unit, &PROPERTIES).unwrap_or_default();
            let (verdict, text) = unit_state(&told, role);
            finding.add(verdict, format!("{unit} {text}"));
        }
    } else {
        finding.add(Verdict::Unknown, "systemd does not run this machine, so units and timers are not known");
    }
    match pasts {
        Err(error) => finding.add(Verdict::Unknown, error),
        Ok(pasts) => {
            for host in hosts.active() {
                let past = pasts.iter().find(|past| past.host == host.id.as_str());
                let empty = Vec::new();
                let pushes = past.map_or(&empty, |past| &past.pushes);
                let (verdict, text) = pushed(pushes, i64::from(minute(host.id.as_str())), now);
                finding.add(verdict, format!("{} {text}", host.id));
            }
        }
    }
    finding
}

fn unit_state(told: &BTreeMap<String, String>, role: Role) -> (Verdict, String) {
    let get = |key: &str| told.get(key).map_or("", String::as_str);
    let result = get("Result");
    if get("LoadState") != "loaded" {
        return (Verdict::Fail, "is not installed".to_owned());
    }
    if !matches!(result, "success" | "") || get("ActiveState") == "failed" {
        return (Verdict::Fail, format!("failed: {result}"));
    }
    if role == Role::ByTimer {
        return (Verdict::Pass, "did well".to_owned());
    }
    if !matches!(get("UnitFileState"), "enabled" | "enabled-runtime" | "static" | "linked") {
        return (Verdict::Fail, format!("is {}", get("UnitFileState")));
    }
    if get("ActiveState") != "active" {
        return (Verdict::Fail, format!("is {}", get("ActiveState")));
    }
    (Verdict::Pass, "is enabled and active".to_owned())
}

/// Zones differ from UTC by whole quarters of an hour, and a host's by whole hours nearly everywhere, so the minute of an hour is enough.
fn pushed(pushes: &[Push], due: i64, now: i64) -> (Verdict, String) {
    let Some(last) = pushes.last() else { return (Verdict::Unknown, "has not pushed yet".to_owned()) };
    let days = (now - last.accepted) / 86_400;
    if days >= SILENT_DAYS {
        return (Verdict::Fail, format!("has not pushed for {days} days"));
    }
    let recent = pushes.get(pushes.len().saturating_sub(TELLING)..).unwrap_or(pushes);
    let in_time = |push: &&Push| {
        let late = (push.started.div_euclid(60) - due).rem_euclid(60);
        [0, 15, 30, 45].iter().any(|quarter| (late - quarter).rem_euclid(60) <= LATE_MINUTES)
    };
    let at_hour = |push: &&Push| (push.started.div_euclid(60) - due).rem_euclid(60) <= LATE_MINUTES;
    let (hour, quarter) = (recent.iter().filter(at_hour).count(), recent.iter().filter(in_time).count());
    let all = recent.len();
    match () {
        () if all < TELLING => (Verdict::Unknown, format!("has pushed {all} times, too few to tell")),
        () if hour * 3 >= all * 2 => {
            (Verdict::Pass, format!("pushed at its minute {due} in {hour} of {all} times"))
        }
        () if quarter == all => {
            (Verdict::Unknown, "pushes at another minute, or in a zone of half hours".to_owned())
        }
        () => (Verdict::Unknown, format!("pushed at its minute {due} in {hour} of {all} times only")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_must_be_there_enabled_active_and_well() {
        let told = |load: &str, file: &str, active: &str, result: &str| {
            let pairs = PROPERTIES.iter().zip([load, file, active, result]);
            pairs.map(|(key, value)| ((*key).to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
        };
        for (load, file, active, result, role, expected) in [
            ("loaded", "enabled", "active", "success", Role::Always, Verdict::Pass),
            ("loaded", "disabled", "active", "success", Role::Always, Verdict::Fail),
            ("loaded", "enabled", "inactive", "success", Role::Always, Verdict::Fail),
            ("loaded", "enabled", "failed", "exit-code", Role::Always, Verdict::Fail),
            ("not-found", "", "inactive", "success", Role::Always, Verdict::Fail),
            ("loaded", "static", "inactive", "success", Role::ByTimer, Verdict::Pass),
            ("loaded", "static", "inactive", "exit-code", Role::ByTimer, Verdict::Fail),
        ] {
            assert_eq!(
                unit_state(&told(load, file, active, result), role).0,
                expected,
                "{file} {active} {result}"
            );
        }
    }

    #[test]
    fn pushes_at_the_minute_pass_and_silence_fails() {
        let at = |minutes: &[i64]| -> Vec<Push> {
            let push = |(number, minute): (usize, &i64)| {
                let started = (100 + 8 * number as i64) * 3600 + minute * 60 + 7;
                Push { started, accepted: started + 30 }
            };
            minutes.iter().enumerate().map(push).collect()
        };
        let now = (100 + 8 * 6) * 3600;
        assert_eq!(pushed(&at(&[40, 41, 40, 40, 49, 40]), 40, now).0, Verdict::Pass);
        assert_eq!(pushed(&at(&[58, 59, 1, 58, 58, 58]), 58, now).0, Verdict::Pass);
        assert_eq!(pushed(&at(&[1, 12, 23, 34, 45, 56]), 40, now).0, Verdict::Unknown);
        assert_eq!(pushed(&at(&[40, 40]), 40, now).0, Verdict::Unknown);
        assert_eq!(pushed(&[], 40, now).0, Verdict::Unknown);
        assert_eq!(pushed(&at(&[40; 6]), 40, now + 3 * 86_400).0, Verdict::Fail);
    }
}
