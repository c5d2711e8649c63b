//! R10: all of it is automatic: units and timers are enabled and did well, and hosts push at their own minute, by themselves.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, TimeDelta};
use formats::records::audit::{Finding, Requirement, Verdict};

use super::facts::Hosts;
use super::past::{self, Past, Push};
use super::systemd;
use crate::settings::Settings;
use crate::status::due::Schedule;

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
const UNITS: [(&str, Role); 10] = [
    (OWN_SSHD, Role::Always),
    ("firn-ingest.service", Role::Always),
    ("firn-status.timer", Role::Always),
    ("firn-prune.timer", Role::Always),
    ("firn-verify.timer", Role::Always),
    ("firn-ice.timer", Role::Always),
    ("firn-status.service", Role::ByTimer),
    ("firn-prune.service", Role::ByTimer),
    ("firn-verify.service", Role::ByTimer),
    ("firn-ice.service", Role::ByTimer),
];
/// And what takes from appliances, where there are any.
const TAKING: [(&str, Role); 2] = [("firn-take.timer", Role::Always), ("firn-take.service", Role::ByTimer)];
/// What runs it besides, where hosts are granted something.
const GRANTS: (&str, Role) = ("firn-grants.timer", Role::Always);
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
        let taking =
            if hosts.active().any(|host| host.record.appliance.is_some()) { &TAKING[..] } else { &[] };
        let granting = settings.grants.enabled.then_some(&GRANTS);
        for (unit, role) in UNITS.iter().chain(taking).chain(granting).copied() {
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
                let past = past::of_host(pasts, &host.id);
                let (pushes, zone) = past
                    .map_or(([].as_slice(), None), |past| (past.pushes.as_slice(), Some(past.zone.as_str())));
                let schedule = Schedule::new(&host.id, host.record.due(settings), zone);
                let (verdict, text) = match host.record.appliance {
                    None => pushed(pushes, &schedule, now),
                    Some(_) => dropped(pushes, now),
                };
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

/// By the times at which the host's own clock should have started it.
fn pushed(pushes: &[Push], schedule: &Schedule, now: i64) -> (Verdict, String) {
    let Some(last) = pushes.last() else { return (Verdict::Unknown, "has not pushed yet".to_owned()) };
    let days = (now - last.accepted) / 86_400;
    if days >= SILENT_DAYS {
        return (Verdict::Fail, format!("has not pushed for {days} days"));
    }
    if !schedule.is_known() {
        return (Verdict::Unknown, "pushes from a time zone that is not known here".to_owned());
    }
    let recent = pushes.get(pushes.len().saturating_sub(TELLING)..).unwrap_or(pushes);
    let all = recent.len();
    let due = recent.iter().filter(|push| is_due(push.started, schedule)).count();
    let minute = schedule.minute();
    match () {
        () if all < TELLING => (Verdict::Unknown, format!("has pushed {all} times, too few to tell")),
        () if due * 3 >= all * 2 => {
            (Verdict::Pass, format!("pushed when due, at minute {minute}, in {due} of {all} times"))
        }
        () => {
            (Verdict::Unknown, format!("pushed when due, at minute {minute}, in {due} of {all} times only"))
        }
    }
}

/// An appliance drops when it likes; what it drops is taken within minutes.
fn dropped(pushes: &[Push], now: i64) -> (Verdict, String) {
    match pushes.last().map(|last| (now - last.accepted) / 86_400) {
        None => (Verdict::Unknown, "has dropped nothing yet".to_owned()),
        Some(days) if days >= SILENT_DAYS => (Verdict::Fail, format!("has dropped nothing for {days} days")),
        Some(_) => (Verdict::Pass, format!("dropped something in the last {SILENT_DAYS} days")),
    }
}

/// True if a slot of the host was at that time or a few minutes before.
fn is_due(started: i64, schedule: &Schedule) -> bool {
    let Some(started) = DateTime::from_timestamp(started, 0) else { return false };
    !schedule.slots(started - TimeDelta::minutes(LATE_MINUTES), started).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hours::Hours;
    use formats::HostId;

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
    fn pushes_when_due_pass_and_silence_fails() {
        // web01 is due at minute 40 of 2, 10 and 18 o'clock; in Kolkata that is minute 10 of UTC.
        let schedule = |zone| {
            Schedule::new(&HostId::parse("web01").unwrap(), &Hours::new(&[2, 10, 18]).unwrap(), Some(zone))
        };
        let day = 20_000 * 86_400;
        let at = |minutes: &[i64]| -> Vec<Push> {
            let hours = [2, 10, 18, 26, 34, 42];
            let times = hours.iter().zip(minutes).map(|(hour, minute)| day + hour * 3600 + minute * 60 + 7);
            times.map(|started| Push { started, accepted: started + 30 }).collect()
        };
        let now = day + 43 * 3600;
        let verdict = |minutes: &[i64], zone, now| pushed(&at(minutes), &schedule(zone), now).0;
        assert_eq!(verdict(&[40, 41, 40, 40, 49, 40], "UTC", now), Verdict::Pass);
        assert_eq!(
            verdict(&[40 - 330, 41 - 330, 40 - 330, 40 - 330, 49 - 330, 40 - 330], "Asia/Kolkata", now),
            Verdict::Pass
        );
        assert_eq!(verdict(&[100, 100, 100, 100, 100, 100], "UTC", now), Verdict::Unknown);
        assert_eq!(verdict(&[39, 51, 5, 40, 40, 40], "UTC", now), Verdict::Unknown);
        assert_eq!(verdict(&[40; 6], "Nowhere/Else", now), Verdict::Unknown);
        assert_eq!(verdict(&[40, 40], "UTC", now - 86_400), Verdict::Unknown);
        assert_eq!(verdict(&[], "UTC", now), Verdict::Unknown);
        assert_eq!(verdict(&[40; 6], "UTC", now + 3 * 86_400), Verdict::Fail);
    }
}
