//! R4: no host can reach its own history: not its account outside of the jail, not from within it, and nothing of the history is in a jail.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use formats::records::audit::{Finding, Requirement, Verdict};

use super::attempt::{Attempt, Came, How, attempts};
use super::facts::{Host, Hosts};
use super::shown;
use crate::host::appliance::{DROP, LEAVING};
use crate::settings::Settings;

/// What a jail holds.
const IN_A_JAIL: [&str; 4] = ["bin", "slots", "spool", "state"];
/// What the jail of an appliance holds.
const IN_A_DROP: [&str; 4] = [DROP, LEAVING, "spool", "state"];
/// More names than a jail has.
const NAMES_MAX: usize = 32;
/// More than there are slots.
const SLOTS_MAX: usize = 4_096;

pub(super) fn probe(settings: &Settings, hosts: &Hosts) -> Finding {
    let mut finding = Finding::new(Requirement::R4);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for host in hosts.all.iter().filter(|host| host.has_jail) {
        contents(&mut finding, host);
        slots(&mut finding, host);
        if let Some(mount) = mount_beneath(&mounts, &host.jail) {
            finding.add(
                Verdict::Fail,
                format!("{} is mounted in the jail of {}", cli::shown(mount.as_bytes()), host.id),
            );
        }
    }
    for host in hosts.tried().filter(|host| host.passwd.is_some() || host.is_active()) {
        outside(&mut finding, settings, host);
        inside(&mut finding, settings, host);
    }
    finding
}

fn contents(finding: &mut Finding, host: &Host) {
    let Ok(entries) = fs::read_dir(&host.jail) else {
        finding.add(Verdict::Unknown, format!("the jail of {} cannot be read", host.id));
        return;
    };
    let holds = if host.record.appliance.is_some() { IN_A_DROP } else { IN_A_JAIL };
    for entry in entries.take(NAMES_MAX).flatten() {
        let known = entry.file_name().to_str().is_some_and(|name| holds.contains(&name));
        if !known || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            finding.add(Verdict::Fail, format!("{} does not belong in a jail", shown(&entry.path())));
        }
    }
}

/// All jails share the files of this folder: in them nothing may pass from one to another.
fn slots(finding: &mut Finding, host: &Host) {
    // A jail from before there were slots has none.
    let Ok(entries) = fs::read_dir(host.jail.join("slots")) else { return };
    for entry in entries.take(SLOTS_MAX).flatten() {
        let is_slot = entry.metadata().is_ok_and(|meta| {
            meta.is_file() && meta.len() == 0 && meta.uid() == 0 && meta.mode() & 0o7222 == 0
        });
        if !is_slot {
            finding.add(Verdict::Fail, format!("{} is no slot", shown(&entry.path())));
        }
    }
}

/// The fifth word of a line is where something is mounted, with blanks written as `\040`.
fn mount_beneath<'a>(mounts: &'a str, jail: &Path) -> Option<&'a str> {
    let jail = jail.to_str()?.replace(' ', "\\040");
    mounts.lines().filter_map(|line| line.split(' ').nth(4)).find(|at| {
        at.strip_prefix(jail.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// As if the account had got out of its jail.
fn outside(finding: &mut Finding, settings: &Settings, host: &Host) {
    let Some(identity) = &host.identity else {
        finding.add(Verdict::Unknown, format!("host {} has no account {}", host.id, host.account));
        return;
    };
    let mut tries = vec![
        Attempt::new(How::List, &settings.history),
        Attempt::new(How::List, &host.history),
        Attempt::new(How::Write, &host.history),
        Attempt::new(How::Read, host.history.join("log")),
        Attempt::new(How::Write, host.history.join("log")),
        Attempt::new(How::List, host.history.join("manifests")),
    ];
    if let Some(newest) = newest(&host.history) {
        tries.push(Attempt::new(How::List, newest.join("tree")));
        tries.push(Attempt::new(How::Write, newest.join("tree")));
    }
    tries.retain(|attempt| attempt.path.symlink_metadata().is_ok());
    match attempts(identity, None, tries.clone()) {
        Err(error) => finding.add(Verdict::Unknown, error.to_string()),
        Ok(came) => judge(finding, host, &tries, &came, &[Came::Refused]),
    }
}

/// As the session that sshd gives it.
fn inside(finding: &mut Finding, settings: &Settings, host: &Host) {
    let Some(identity) = host.identity.as_ref().filter(|_| host.has_jail) else { return };
    let mut tries = vec![
        Attempt::new(How::List, &settings.history),
        Attempt::new(How::List, &host.history),
        Attempt::new(How::List, "/history"),
        Attempt::new(How::List, "/../history"),
        Attempt::new(How::List, "/../../history"),
        Attempt::new(How::List, "/proc/1/root"),
        Attempt::new(How::Write, "/"),
    ];
    if host.record.appliance.is_some() {
        // What waits there is on its way into the history.
        tries.extend(
            ["/drop", "/leaving", "/spool/incoming", "/spool/sealed"]
                .map(|path| Attempt::new(How::List, path)),
        );
    }
    match attempts(identity, Some(&host.jail), tries.clone()) {
        Err(error) => finding.add(Verdict::Unknown, error.to_string()),
        Ok(came) => judge(finding, host, &tries, &came, &[Came::Refused, Came::Absent]),
    }
}

fn judge(finding: &mut Finding, host: &Host, tries: &[Attempt], came: &[Came], good: &[Came]) {
    let jailed = good.contains(&Came::Absent);
    let place = if jailed { "in its jail" } else { "outside of its jail" };
    let mut held = true;
    for (attempt, came) in tries.iter().zip(came).filter(|(_, came)| !good.contains(came)) {
        held = false;
        let (verdict, why) = match came {
            Came::Done => (Verdict::Fail, "can"),
            _ => (Verdict::Unknown, "was neither let nor refused to"),
        };
        finding.add(verdict, format!("{}, {place}, {why} {}", host.account, attempt.words()));
    }
    if held {
        finding.add(
            Verdict::Pass,
            format!("{}, {place}, was refused in {} attempts on its own history", host.account, tries.len()),
        );
    }
}

fn newest(history: &Path) -> Option<std::path::PathBuf> {
    let entries = fs::read_dir(history).ok()?.take(100_000).flatten();
    let names = entries
        .filter(|entry| history::layout::snapshot_of_folder(entry.file_name().as_encoded_bytes()).is_some());
    names.map(|entry| entry.path()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_in_a_jail_is_found_and_one_beside_it_is_not() {
        let line = |at: &str| format!("36 35 98:0 /mnt1 {at} rw,noatime master:1 - ext3 /dev/root rw\n");
        let jail = Path::new("/srv/firn/jails/web01");
        let beside = format!("{}{}", line("/srv/firn/jails/web011"), line("/srv/firn/jails"));
        assert_eq!(mount_beneath(&beside, jail), None);
        let within = format!("{beside}{}", line("/srv/firn/jails/web01/history"));
        assert_eq!(mount_beneath(&within, jail), Some("/srv/firn/jails/web01/history"));
        assert_eq!(mount_beneath(&line("/a\\040b/c"), Path::new("/a b")), Some("/a\\040b/c"));
    }
}
