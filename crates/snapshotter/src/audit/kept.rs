//! R9: the server keeps two years of history: nothing that is in a log is gone, nothing is set to remove it sooner, and there is room.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use formats::records::audit::{Finding, Requirement, Verdict};

use super::facts::Hosts;
use super::past::Past;
use super::shown;
use crate::retain::{Policy, TypedRetain};
use crate::settings::Settings;

/// Two years.
pub(crate) const KEEP_DAYS_MIN: u32 = 730;
/// Growth is measured over this time.
const GROWTH_DAYS: u64 = 30;
/// Where jobs that remove files are named.
const JOBS: [&str; 10] = [
    "/etc/tmpfiles.d",
    "/usr/lib/tmpfiles.d",
    "/run/tmpfiles.d",
    "/etc/crontab",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/var/spool/cron/crontabs",
];
/// Most records that are named.
const NAMED_MAX: usize = 5;
const FILES_MAX: usize = 1000;
const FILE_BYTES_MAX: u64 = 1 << 20;

pub(super) fn judge(
    settings: &Settings,
    hosts: &Hosts,
    pasts: &Result<Vec<Past>, String>,
    now: i64,
) -> Finding {
    let mut finding = Finding::new(Requirement::R9);
    policies(&mut finding, settings, hosts);
    jobs(&mut finding, &settings.history);
    match pasts {
        Err(error) => finding.add(Verdict::Unknown, error),
        Ok(pasts) => {
            gone(&mut finding, pasts);
            match rustix::fs::statvfs(&settings.history) {
                Ok(facts) => {
                    let free = facts.f_bavail.saturating_mul(facts.f_frsize);
                    room(&mut finding, hosts, pasts, free.saturating_sub(settings.limits.free_bytes), now);
                }
                Err(errno) => finding.add(Verdict::Unknown, format!("the free space is not known: {errno}")),
            }
        }
    }
    finding
}

/// What no prune removes, by the settings and by the record of each host.
fn policies(finding: &mut Finding, settings: &Settings, hosts: &Hosts) {
    let days = settings.keep_days;
    if days < KEEP_DAYS_MIN {
        finding.add(Verdict::Fail, format!("keep_days is {days}, and two years are {KEEP_DAYS_MIN}"));
    }
    let of_settings = ("the settings".to_owned(), settings.policy(&TypedRetain::default()));
    let of_hosts = hosts
        .all
        .iter()
        .map(|host| (format!("the record of {}", host.id), settings.policy(&host.record.retain)));
    let mut short = 0_usize;
    for (whose, policy) in std::iter::once(of_settings).chain(of_hosts).filter(|(_, policy)| !spans(policy)) {
        short += 1;
        if short <= NAMED_MAX {
            let Policy { every_days, daily, weekly, monthly, .. } = policy;
            let rules =
                format!("every_days = {every_days}, daily = {daily}, weekly = {weekly}, monthly = {monthly}");
            finding.add(Verdict::Fail, format!("{whose}: no rule of [retain] spans two years ({rules})"));
        }
    }
    if short > NAMED_MAX {
        finding.add(Verdict::Fail, format!("{} more records are so", short - NAMED_MAX));
    }
    if short == 0 && days >= KEEP_DAYS_MIN {
        let text = format!("keep_days is {days}, and a rule of each host's policy spans two years");
        finding.add(Verdict::Pass, text);
    }
}

/// Whether one rule keeps something of each month, or more often, for two years. The oldest snapshot alone is no history.
fn spans(policy: &Policy) -> bool {
    let Policy { every_days, daily, weekly, monthly, .. } = *policy;
    every_days >= KEEP_DAYS_MIN
        || daily >= KEEP_DAYS_MIN
        || weekly >= KEEP_DAYS_MIN.div_ceil(7)
        || monthly >= 24
}

fn gone(finding: &mut Finding, pasts: &[Past]) {
    let mut snapshots = 0;
    for past in pasts {
        snapshots += past.snapshots;
        if past.missing > 0 {
            let names = past.missing_names.join(", ");
            finding.add(
                Verdict::Fail,
                format!("{}: {} snapshots of its log are gone: {names}", past.host, past.missing),
            );
        }
    }
    finding.add(Verdict::Pass, format!("of {snapshots} snapshots in the logs, all were looked for"));
}

/// Whether two years fit at the growth of the last month.
fn room(finding: &mut Finding, hosts: &Hosts, pasts: &[Past], free_bytes: u64, now: i64) {
    let oldest = pasts.iter().filter(|past| past.snapshots > 0).map(|past| past.first).min();
    let Some(oldest) = oldest else {
        finding.add(Verdict::Unknown, "nothing has grown yet, so how long the room lasts cannot be told");
        return;
    };
    let age_days = u64::try_from((now - oldest) / 86_400).unwrap_or(0);
    let grown = pasts.iter().map(|past| past.grown_bytes).fold(0, u64::saturating_add);
    let (verdict, text) = forecast(age_days, grown, free_bytes);
    finding.add(verdict, format!("{text} ({} hosts)", hosts.all.len()));
}

fn forecast(age_days: u64, grown_bytes: u64, free_bytes: u64) -> (Verdict, String) {
    let over = age_days.clamp(1, GROWTH_DAYS);
    let a_day = grown_bytes / over;
    let left = u64::from(KEEP_DAYS_MIN).saturating_sub(age_days);
    let needed = a_day.saturating_mul(left);
    let lasts =
        free_bytes.checked_div(a_day).map_or("for ever".to_owned(), |days| format!("for {days} days"));
    let text = format!(
        "at {a_day} new bytes a day, by {over} days, the room lasts {lasts}, and {left} are left to two years"
    );
    (if needed <= free_bytes { Verdict::Pass } else { Verdict::Unknown }, text)
}

/// Rules and jobs of this machine that name the history and remove things.
fn jobs(finding: &mut Finding, history: &Path) {
    let Some(history) = history.to_str() else { return };
    let mut looked = 0;
    for file in JOBS.iter().flat_map(|place| files(Path::new(place))).take(FILES_MAX) {
        let mut bytes = Vec::new();
        let read = File::open(&file).and_then(|open| open.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
        looked += 1;
        if read.is_ok()
            && let Some(line) = remover(&String::from_utf8_lossy(&bytes), history)
        {
            finding.add(Verdict::Fail, format!("{}: {}", shown(&file), cli::shown(line.as_bytes())));
        }
    }
    finding.add(
        Verdict::Pass,
        format!("no rule of {looked} files of cron and tmpfiles.d removes from the history"),
    );
}

fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).into_iter().flatten().take(FILES_MAX).flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

/// The first line that names the history, or a folder above it, and removes: `find -delete`, `rm`, or a tmpfiles rule with an age.
fn remover<'a>(text: &'a str, history: &str) -> Option<&'a str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.into_iter().find(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_rule = words.len() >= 2 && words.first().is_some_and(|kind| kind.len() <= 3);
        let aged = words.get(5).is_some_and(|age| *age != "-");
        let removes = words.first().is_some_and(|kind| kind.starts_with(['R', 'r', 'D']));
        let rule = is_rule && (removes || aged) && words.get(1).is_some_and(|path| touches(path, history));
        let deletes = line.contains("-delete")
            || words.iter().any(|word| {
                matches!(
                    *word,
                    "rm" | "/bin/rm" | "/usr/bin/rm" | "unlink" | "shred" | "tmpwatch" | "tmpreaper"
                )
            });
        rule || deletes && words.iter().any(|word| word.trim_matches(['"', '\'']).starts_with(history))
    })
}

/// True if what a rule names is the history, in it, or a pattern that reaches it.
fn touches(path: &str, history: &str) -> bool {
    let fixed = path.split(['*', '?', '[']).next().unwrap_or(path).trim_end_matches('/');
    fixed.starts_with(history) || !fixed.is_empty() && history.starts_with(fixed) && path != "/"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_jobs_that_remove_history_are_told_from_others() {
        let history = "/srv/firn/history";
        for bad in [
            "d /srv/firn/history 2750 firn firn-read 30d",
            "R /srv/firn/history/* - - - - -",
            "e /srv/firn/history/*/* - - - 90d",
            "D /srv/firn 0755 root root -",
            "5 4 * * * root find /srv/firn/history -mtime +90 -delete",
            "@daily root rm -rf /srv/firn/history/web01",
            "find \"/srv/firn/history\" -type d -exec rm -r {} +",
        ] {
            assert_eq!(remover(bad, history), Some(bad));
        }
        for good in [
            "d /srv/firn/history 2750 firn firn-read -",
            "d /srv/firn/jails 0755 root root 30d",
            "d /tmp 1777 root root 10d",
            "# R /srv/firn/history",
            "0 3 * * * root find /var/tmp -delete",
            "0 3 * * * root du -s /srv/firn/history",
            "",
        ] {
            assert_eq!(remover(good, history), None, "{good}");
        }
    }

    #[test]
    fn a_policy_of_which_no_rule_spans_two_years_is_told() {
        let nothing = Policy { every_days: 0, daily: 0, weekly: 0, monthly: 0, reach_days: 731 };
        for good in [
            Policy { monthly: 24, ..nothing },
            Policy { weekly: 105, ..nothing },
            Policy { daily: 730, ..nothing },
            Policy { every_days: 730, ..nothing },
        ] {
            assert!(spans(&good), "{good:?}");
        }
        for bad in [
            nothing,
            Policy { every_days: 729, daily: 729, weekly: 104, monthly: 23, ..nothing },
            Policy { daily: 7, ..nothing },
        ] {
            assert!(!spans(&bad), "{bad:?}");
        }
    }

    #[test]
    fn the_room_must_last_until_two_years_are_there() {
        let gib = 1 << 30;
        assert_eq!(forecast(30, 30 * gib, 700 * gib).0, Verdict::Pass);
        assert_eq!(forecast(30, 30 * gib, 699 * gib).0, Verdict::Unknown);
        assert_eq!(forecast(0, gib, 730 * gib).0, Verdict::Pass);
        assert_eq!(forecast(800, 30 * gib, 0).0, Verdict::Pass);
        assert_eq!(forecast(10, 0, 0).0, Verdict::Pass);
    }
}
