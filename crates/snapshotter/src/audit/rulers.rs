//! R2: programs that command other machines, and agents that hold keys of the server's accounts.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use formats::records::audit::{Finding, Verdict};

use super::facts::{Hosts, identity};
use super::systemd;
use crate::settings::Settings;

/// Programs that command other machines.
const RULERS: [&str; 9] = [
    "salt-master",
    "salt-api",
    "salt-ssh",
    "puppetserver",
    "puppetmasterd",
    "chef-server",
    "ansible-playbook",
    "cf-serverd",
    "rundeckd",
];
/// Units that would start one with the machine.
const UNITS: [&str; 4] =
    ["salt-master.service", "salt-api.service", "puppetserver.service", "rundeckd.service"];
/// Where Salt's master keeps what it commands minions with.
const MASTER_KEYS: &str = "/etc/salt/pki/master";
/// Most processes that are looked at.
const PROCESSES_MAX: usize = 100_000;
/// Of a command line, the program and its script.
const WORDS: usize = 2;

pub(super) fn look(finding: &mut Finding, settings: &Settings, hosts: &Hosts) {
    let mut users: BTreeSet<u32> =
        hosts.all.iter().filter_map(|host| Some(host.passwd.as_ref()?.user)).collect();
    for name in [&settings.owner, &settings.audit.ice_account] {
        match identity(name) {
            Ok(found) => users.extend(found.map(|identity| identity.user)),
            Err(error) => finding.add(Verdict::Unknown, error.to_string()),
        }
    }
    let mut seen = 0;
    for pid in pids().take(PROCESSES_MAX) {
        let folder = Path::new("/proc").join(&pid);
        let line = fs::read(folder.join("cmdline")).unwrap_or_default();
        seen += 1;
        if let Some(ruler) = ruler(&line) {
            finding.add(Verdict::Fail, format!("{ruler} runs here, as process {pid}"));
        }
        let owner = fs::metadata(&folder).map(|meta| meta.uid());
        if owner.is_ok_and(|owner| users.contains(&owner)) && has_agent(&folder, &line) {
            finding.add(Verdict::Fail, format!("process {pid} of a service account has an ssh-agent"));
        }
    }
    if seen == PROCESSES_MAX {
        finding.add(Verdict::Unknown, format!("of more than {seen} processes the rest was left out"));
    }
    if seen > 0 {
        finding.add(
            Verdict::Pass,
            format!("none of {seen} processes commands other machines or holds an agent"),
        );
    } else {
        finding.add(Verdict::Unknown, "the processes cannot be looked at");
    }
    for unit in UNITS {
        match systemd::show(unit, &["UnitFileState"]) {
            Some(told) if told.get("UnitFileState").is_some_and(|state| state == "enabled") => {
                finding.add(Verdict::Fail, format!("{unit} is enabled"));
            }
            None if systemd::is_here() => {
                finding.add(Verdict::Unknown, format!("systemd does not tell of {unit}"));
            }
            _ => {}
        }
    }
    match Path::new(MASTER_KEYS).symlink_metadata() {
        Ok(_) => {
            finding.add(Verdict::Fail, format!("{MASTER_KEYS} is here: this machine is or was a Salt master"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => finding.add(Verdict::Unknown, format!("{MASTER_KEYS}: {error}")),
    }
}

fn pids() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
}

/// The first of the words of a command line that is such a program: Salt's are scripts.
fn ruler(line: &[u8]) -> Option<&'static str> {
    let words = line.split(|byte| *byte == 0).take(WORDS);
    let mut names = words.filter_map(|word| word.rsplit(|byte| *byte == b'/').next());
    names.find_map(|name| RULERS.into_iter().find(|ruler| ruler.as_bytes() == name))
}

fn has_agent(folder: &Path, line: &[u8]) -> bool {
    let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let environment = fs::read(folder.join("environ")).unwrap_or_default();
    program.ends_with(b"ssh-agent")
        || environment.split(|byte| *byte == 0).any(|word| word.starts_with(b"SSH_AUTH_SOCK="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ruler_is_known_by_its_program_or_script_and_by_nothing_else() {
        assert_eq!(ruler(b"/usr/bin/python3\0/usr/bin/salt-master\0-d\0"), Some("salt-master"));
        assert_eq!(ruler(b"salt-master\0"), Some("salt-master"));
        assert_eq!(ruler(b"/usr/bin/salt-minion\0"), None);
        assert_eq!(ruler(b"vi\0-R\0/etc/salt-master\0"), None);
        assert_eq!(ruler(b""), None);
    }
}
