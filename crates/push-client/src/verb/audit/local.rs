//! What a host sees on itself: which doors could let the server in, what starts the pushes, how they behave towards the machine's own work.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use formats::records::audit::{Finding, Requirement, Verdict};
use formats::schedule::minute;

use crate::openssh::HostKey;
use crate::plan::Target;

const FILE_BYTES_MAX: u64 = 1 << 20;
const ACCOUNTS_MAX: usize = 10_000;
/// Where a job that pushes would stand.
const CRON: [&str; 3] = ["/etc/crontab", "/etc/cron.d", "/var/spool/cron/crontabs"];
/// What such a job starts.
const STARTS: [&str; 2] = ["firn-push", "push-client run"];
const TIMER: &str = "firn-push.timer";
const SERVICE: &str = "firn-push.service";
/// A listening socket in /proc/net/tcp.
const LISTENING: &str = "0A";

/// R2: keys, machines that vouch, and open ports.
pub(super) fn doors(target: &Target) -> Finding {
    let mut finding = Finding::new(Requirement::R2);
    let files = key_files();
    let mut keys = 0;
    for file in &files {
        let text = read(file);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            keys += 1;
            if let Some(why) = lets_server_in(line, target) {
                finding.add(Verdict::Fail, format!("{}: {why}", shown(file)));
            }
        }
    }
    finding.add(
        Verdict::Pass,
        format!("{keys} keys in {} files let people in here; none is the server's", files.len()),
    );
    for file in ["/etc/ssh/shosts.equiv", "/etc/hosts.equiv", "/root/.shosts", "/root/.rhosts"] {
        if read(Path::new(file))
            .lines()
            .any(|line| line.split_whitespace().next() == Some(target.address.as_str()))
        {
            finding.add(Verdict::Fail, format!("{file} trusts {}", cli::shown(target.address.as_bytes())));
        }
    }
    let ports = listening();
    let words: Vec<String> = ports.iter().map(u16::to_string).collect();
    let text = match words.len() {
        0 => "nothing listens here for other machines".to_owned(),
        _ => format!("ports {} listen here; none is needed for backups", words.join(", ")),
    };
    finding.add(Verdict::Pass, text);
    finding
}

/// The server's own key used as a user's, or a key that is meant for use from there.
fn lets_server_in(line: &str, target: &Target) -> Option<String> {
    let at = line.find("ssh-ed25519 ").and_then(|at| line.get(at..));
    if at.and_then(|key| HostKey::parse(key).ok()).is_some_and(|key| key == target.host_key) {
        return Some("the server's host key lets it in here".to_owned());
    }
    let from = line.split_once("from=\"").and_then(|(_, rest)| rest.split_once('"'))?.0;
    let named = from.split(',').any(|place| place == target.address);
    named.then(|| {
        format!("a key is meant for use from {}, the backup server", cli::shown(target.address.as_bytes()))
    })
}

fn key_files() -> Vec<PathBuf> {
    let passwd = read(Path::new("/etc/passwd"));
    let mut homes: Vec<&str> =
        passwd.lines().take(ACCOUNTS_MAX).filter_map(|line| line.split(':').nth(5)).collect();
    homes.sort_unstable();
    homes.dedup();
    let files = homes.iter().flat_map(|home| {
        ["authorized_keys", "authorized_keys2"].map(|name| Path::new(home).join(".ssh").join(name))
    });
    files.filter(|file| file.is_file()).collect()
}

/// Ports on which this machine listens beyond loopback.
fn listening() -> Vec<u16> {
    let mut ports: Vec<u16> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|file| read(Path::new(file)).lines().filter_map(port).collect::<Vec<_>>())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The port of a line of /proc/net/tcp, if it listens for others.
fn port(line: &str) -> Option<u16> {
    let mut words = line.split_whitespace().skip(1);
    let (local, _, state) = (words.next()?, words.next()?, words.next()?);
    let (address, port) = local.split_once(':')?;
    let loopback =
        address.ends_with("7F") && address.len() == 8 || address == "00000000000000000000000001000000";
    (state == LISTENING && !loopback).then(|| u16::from_str_radix(port, 16).ok())?
}

/// R10: a cron entry at this host's minute, or the timer.
pub(super) fn schedule(finding: &mut Finding, host: &str) {
    let due = minute(host);
    for line in CRON.iter().flat_map(|place| files(Path::new(place))).flat_map(|file| jobs(&read(&file))) {
        let (verdict, text) = match line.split_whitespace().next() == Some(due.to_string().as_str()) {
            true => (Verdict::Pass, format!("cron starts a push at minute {due}")),
            false => (
                Verdict::Fail,
                format!("cron starts a push at another minute than {due}: {}", cli::shown(line.as_bytes())),
            ),
        };
        finding.add(verdict, text);
    }
    let timer = show(TIMER, "UnitFileState,ActiveState,NextElapseUSecRealtime");
    let has = |line: &str| timer.lines().any(|told| told == line);
    if has("UnitFileState=enabled") {
        let active = has("ActiveState=active");
        let verdict = if active { Verdict::Pass } else { Verdict::Fail };
        let next =
            timer.lines().find_map(|line| line.strip_prefix("NextElapseUSecRealtime=")).unwrap_or_default();
        finding.add(
            verdict,
            format!(
                "{TIMER} is enabled and {}; next {}",
                if active { "active" } else { "not active" },
                cli::shown(next.as_bytes())
            ),
        );
    }
    if finding.evidence.is_empty() {
        finding.add(Verdict::Fail, format!("neither cron nor {TIMER} starts a push"));
    }
}

/// Lines of a crontab that start a push.
fn jobs(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter(|line| STARTS.iter().any(|start| line.contains(start))).map(str::to_owned).collect()
}

/// R12: that pushes give way to everything else.
pub(super) fn manners(finding: &mut Finding) {
    let told = show(SERVICE, "LoadState,Nice,IOSchedulingClass,Result");
    let get = |key: &str| told.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    if get("LoadState") != Some("loaded") {
        finding.add(Verdict::Unknown, format!("{SERVICE} is not known here, so how pushes behave is not"));
        return;
    }
    let nice: i32 = get("Nice").and_then(|nice| nice.parse().ok()).unwrap_or(0);
    finding.add(if nice > 0 { Verdict::Pass } else { Verdict::Fail }, format!("pushes run at nice {nice}"));
    // 3 or `idle`, 2 or `best-effort`: the words depend on the version.
    let class = get("IOSchedulingClass").unwrap_or_default();
    let idle = matches!(class, "idle" | "3");
    finding.add(
        if idle { Verdict::Pass } else { Verdict::Unknown },
        format!("pushes read the disk in class {}", cli::shown(class.as_bytes())),
    );
}

/// What systemd says; nothing where it does not run.
fn show(unit: &str, properties: &str) -> String {
    if !Path::new("/run/systemd/system").is_dir() {
        return String::new();
    }
    let property = format!("--property={properties}");
    let output = Command::new("systemctl")
        .args(["show", "--no-pager", &property, "--", unit])
        .stdin(Stdio::null())
        .output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).into_iter().flatten().flatten().take(1000);
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

/// As much of a file as is looked at; nothing of one that is not there.
fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    let _ = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn shown(path: &Path) -> String {
    cli::shown(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0";

    #[test]
    fn ports_that_listen_for_others_are_told_from_all_else() {
        assert_eq!(port(LINE), Some(22));
        assert_eq!(port(&LINE.replace("00000000:0016", "0100007F:0016")), None);
        assert_eq!(port(&LINE.replace(" 0A ", " 01 ")), None);
        let six = LINE.replace("00000000:0016", "00000000000000000000000000000000:01BB");
        assert_eq!(port(&six), Some(443));
        assert_eq!(
            port(&six.replace("00000000000000000000000000000000:", "00000000000000000000000001000000:")),
            None
        );
        assert_eq!(port("  sl  local_address rem_address   st tx_queue"), None);
    }

    #[test]
    fn jobs_that_push_are_found_and_comments_are_not() {
        let text = "# push-client run\n40 2,10,18 * * * root systemctl start --no-block firn-push.service\n5 4 * * * root true\n";
        assert_eq!(jobs(text), ["40 2,10,18 * * * root systemctl start --no-block firn-push.service"]);
    }
}
