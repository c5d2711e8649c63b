//! R1: no host can see the backups of another. Every tried host's account tries the jails, histories and keys of others; owners, modes and keys
//! are looked at for all hosts; sshd is asked what it would do.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use formats::records::audit::{Finding, Requirement, Verdict};

use super::attempt::{Attempt, Came, How, attempts};
use super::facts::{Host, Hosts, identity};
use super::{shown, sshd};
use crate::host::appliance::{DROP, LEAVING};
use crate::settings::Settings;

/// So many others are tried by each host.
const OTHERS_MAX: usize = 8;
/// A key file has one short line.
const KEY_BYTES_MAX: u64 = 16 * 1024;

pub(super) fn probe(settings: &Settings, hosts: &Hosts) -> Finding {
    let mut finding = Finding::new(Requirement::R1);
    hosts.count(&mut finding);
    for host in hosts.tried().filter(|host| host.is_active()) {
        try_others(&mut finding, settings, hosts, host);
        sshd::serving(settings, host).into_iter().for_each(|evidence| finding.take(evidence));
        sshd::own(settings, host).into_iter().for_each(|evidence| finding.take(evidence));
    }
    let owner = match identity(&settings.owner) {
        Ok(Some(owner)) => Some(owner.user),
        Ok(None) => {
            finding.add(Verdict::Unknown, format!("there is no account {}", settings.owner));
            None
        }
        Err(error) => {
            finding.add(Verdict::Unknown, error.to_string());
            None
        }
    };
    hosts.all.iter().filter(|host| host.has_jail).for_each(|host| jail(&mut finding, host, owner));
    keys(&mut finding, settings, hosts);
    finding
}

fn try_others(finding: &mut Finding, settings: &Settings, hosts: &Hosts, host: &Host) {
    // That it has no account is told where the hosts are counted.
    let Some(identity) = &host.identity else { return };
    let others = hosts.others(host, OTHERS_MAX);
    let mut tries: Vec<Attempt> = others.iter().flat_map(|other| of_another(other)).collect();
    tries.push(Attempt::new(How::Write, &settings.keys));
    tries.push(Attempt::new(How::Write, &settings.jails));
    tries.push(Attempt::new(How::List, &settings.history));
    match attempts(identity, None, tries.clone()) {
        Err(error) => finding.add(Verdict::Unknown, error.to_string()),
        Ok(came) => {
            let bad = tries.iter().zip(&came).filter(|(_, came)| **came != Came::Refused);
            let mut held = true;
            for (attempt, came) in bad {
                held = false;
                let (verdict, why) = match came {
                    Came::Done => (Verdict::Fail, "can"),
                    _ => (Verdict::Unknown, "was neither let nor refused to"),
                };
                finding.add(verdict, format!("{} {why} {}", host.account, attempt.words()));
            }
            if held {
                let text = format!(
                    "{} was refused in {} attempts on {} other hosts ({})",
                    host.account,
                    tries.len(),
                    others.len(),
                    hosts.extent()
                );
                finding.add(Verdict::Pass, text);
            }
        }
    }
}

/// What is tried on another host, of all that is there.
fn of_another(other: &Host) -> Vec<Attempt> {
    let mut tries = Vec::new();
    for folder in ["spool/incoming", "spool/sealed", "state"] {
        let folder = other.jail.join(folder);
        if folder.is_dir() {
            tries.push(Attempt::new(How::List, &folder));
            tries.push(Attempt::new(How::Write, &folder));
            tries.extend(first_file(&folder).map(|file| Attempt::new(How::Read, file)));
        }
    }
    if other.history.is_dir() {
        tries.push(Attempt::new(How::List, &other.history));
        tries.push(Attempt::new(How::Write, &other.history));
        tries.extend(first_file(&other.history).map(|file| Attempt::new(How::Read, file)));
    }
    tries.push(Attempt::new(How::Write, &other.jail));
    tries.retain(|attempt| attempt.path.symlink_metadata().is_ok());
    tries
}

fn first_file(folder: &Path) -> Option<std::path::PathBuf> {
    let entries = fs::read_dir(folder).ok()?.take(64).flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .next()
}

/// Owners and modes of a jail, which must be those that `host add` made.
fn jail(finding: &mut Finding, host: &Host, owner: Option<u32>) {
    let user = host.passwd.as_ref().map(|account| account.user);
    let folders = match host.record.appliance {
        None => [("bin", Some(0)), ("spool/incoming", user), ("spool/sealed", user)],
        // Its account brings no push file, and cannot list what it drops.
        Some(_) => [(DROP, Some(0)), ("spool/incoming", owner), ("spool/sealed", owner)],
    };
    let folders = folders.into_iter().chain([("", Some(0)), ("spool", Some(0))]);
    let leaving = host.record.appliance.is_some().then_some((LEAVING, Some(0)));
    // A jail from before there were slots has none.
    let slots = host.jail.join("slots").exists().then_some(("slots", Some(0)));
    for (name, of) in folders.chain([("state", owner)]).chain(slots).chain(leaving) {
        let path = host.jail.join(name);
        let Ok(meta) = fs::symlink_metadata(&path) else {
            finding.add(Verdict::Unknown, format!("{} cannot be looked at", shown(&path)));
            continue;
        };
        let forbidden = match name {
            DROP => 0o047,
            LEAVING => 0o077,
            _ if of == Some(0) => 0o022,
            _ => 0o007,
        };
        if of.is_some_and(|of| of != meta.uid()) {
            finding.add(Verdict::Fail, format!("{} belongs to number {}", shown(&path), meta.uid()));
        }
        if !meta.is_dir() || meta.mode() & forbidden != 0 {
            finding.add(Verdict::Fail, format!("{} has mode {:04o}", shown(&path), meta.mode() & 0o7777));
        }
    }
}

/// Key files: one line each, restricted, only root's; no key that serves two hosts; none for a host that is retired.
fn keys(finding: &mut Finding, settings: &Settings, hosts: &Hosts) {
    let mut holders: BTreeMap<String, &Host> = BTreeMap::new();
    for host in &hosts.all {
        let path = settings.keys.join(&host.account);
        let text = match read(&path) {
            Ok(text) => text,
            Err(_) if !host.is_active() => continue,
            Err(error) => {
                finding.add(Verdict::Unknown, format!("{}: {error}", shown(&path)));
                continue;
            }
        };
        if !host.is_active() {
            finding.add(Verdict::Fail, format!("host {} is retired, and its key still lets in", host.id));
        }
        match key_line(&text) {
            Err(why) => finding.add(Verdict::Fail, format!("{}: {why}", shown(&path))),
            Ok(key) => {
                if let Some(other) = holders.insert(key.to_owned(), host) {
                    finding.add(Verdict::Fail, format!("hosts {} and {} have one key", other.id, host.id));
                }
            }
        }
    }
    if !holders.is_empty() {
        finding.add(Verdict::Pass, format!("{} keys, each restricted and of one host", holders.len()));
    }
}

fn read(path: &Path) -> Result<String, String> {
    let meta = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() || meta.uid() != 0 || meta.mode() & 0o022 != 0 {
        return Ok(String::new());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// The key of a file that holds exactly one restricted line.
fn key_line(text: &str) -> Result<&str, &'static str> {
    let mut lines = text.lines();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err("not one line in a file that only root can change");
    };
    let (options, key) = line.split_once(" ssh-ed25519 ").ok_or("no ed25519 key")?;
    let rest = options.strip_prefix("restrict").ok_or("the key is not restricted")?;
    let from = rest.is_empty() || rest.starts_with(",from=\"") && rest.matches('"').count() == 2;
    if from && rest.ends_with(['"']) || rest.is_empty() { Ok(key) } else { Err("the key has further rights") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_restricted_line_is_a_key_file() {
        assert_eq!(key_line("restrict ssh-ed25519 AAAA\n"), Ok("AAAA"));
        assert_eq!(key_line("restrict,from=\"10.0.0.1,10.0.0.2\" ssh-ed25519 AAAA\n"), Ok("AAAA"));
        for bad in [
            "",
            "ssh-ed25519 AAAA\n",
            " ssh-ed25519 AAAA\n",
            "restrict,pty ssh-ed25519 AAAA\n",
            "restrict,from=\"10.0.0.1\",pty ssh-ed25519 AAAA\n",
            "restrict,from=\"10.0.0.1\",command=\"sh\" ssh-ed25519 AAAA\n",
            "restrict ssh-ed25519 AAAA\nrestrict ssh-ed25519 BBBB\n",
            "from=\"10.0.0.1\" ssh-ed25519 AAAA\n",
            "restrict ssh-rsa AAAA\n",
        ] {
            assert!(key_line(bad).is_err(), "{bad}");
        }
    }
}
