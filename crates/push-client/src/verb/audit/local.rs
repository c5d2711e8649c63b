//! What a host sees on itself: which doors could let the server in, what starts the pushes, how they behave towards the machine's own work.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use formats::records::audit::{Finding, Requirement, Verdict};
use formats::schedule::minute;

use super::files::{names, roots, table, theirs};
use crate::openssh::HostKey;
use crate::plan::Target;
use crate::until;

/// Longest answer of systemd.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Most accounts whose keys are looked at.
const ACCOUNTS_MAX: usize = 10_000;
/// Where a job that pushes would stand.
const CRONTAB: &str = "/etc/crontab";
const CRON: [&str; 2] = ["/etc/cron.d", "/var/spool/cron/crontabs"];
/// Where the keys of an account are, in its home.
const KEY_FILES: [&str; 2] = [".ssh/authorized_keys", ".ssh/authorized_keys2"];
/// What such a job starts.
const STARTS: [&str; 2] = ["firn-push", "push-client run"];
const TIMER: &str = "firn-push.timer";
const SERVICE: &str = "firn-push.service";
/// Longest time of an answer of systemd.
const SYSTEMD: Duration = Duration::from_secs(10);
/// A listening socket in /proc/net/tcp.
const LISTENING: &str = "0A";

/// R2: keys, machines that vouch, and open ports.
pub(super) fn doors(target: &Target) -> Finding {
    let mut finding = Finding::new(Requirement::R2);
    match roots(Path::new("/etc/passwd")) {
        Ok(passwd) => keys(&mut finding, &passwd.unwrap_or_default(), target),
        Err(why) => finding.add(Verdict::Unknown, why),
    }
    for file in ["/etc/ssh/shosts.equiv", "/etc/hosts.equiv", "/root/.shosts", "/root/.rhosts"] {
        let text = roots(Path::new(file)).unwrap_or_else(|why| {
            finding.add(Verdict::Unknown, why);
            None
        });
        let mut lines = text.iter().flat_map(|text| text.lines());
        if lines.any(|line| line.split_whitespace().next() == Some(target.address.as_str())) {
            finding.add(Verdict::Fail, format!("{file} trusts {}", cli::shown(target.address.as_bytes())));
        }
    }
    let ports = match listening() {
        Ok(ports) => ports,
        Err(why) => {
            finding.add(Verdict::Unknown, why);
            return finding;
        }
    };
    let words: Vec<String> = ports.iter().map(u16::to_string).collect();
    let text = match words.len() {
        0 => "nothing listens here for other machines".to_owned(),
        _ => format!("ports {} listen here; none is needed for backups", words.join(", ")),
    };
    finding.add(Verdict::Pass, text);
    finding
}

/// The keys that let people in, in the homes that `passwd` names. A home is in its account's hands.
fn keys(finding: &mut Finding, passwd: &str, target: &Target) {
    let mut homes: Vec<&str> =
        passwd.lines().take(ACCOUNTS_MAX).filter_map(|line| line.split(':').nth(5)).collect();
    if passwd.lines().count() > ACCOUNTS_MAX {
        finding.add(Verdict::Unknown, format!("of more than {ACCOUNTS_MAX} accounts the rest was left out"));
    }
    homes.sort_unstable();
    homes.dedup();
    let (mut files, mut keys) = (0, 0);
    for home in homes.into_iter().filter(|home| home.starts_with('/')) {
        for name in KEY_FILES {
            let text = match theirs(Path::new(home), name) {
                Ok(None) => continue,
                Ok(Some(text)) => text,
                Err(why) => {
                    finding.add(Verdict::Unknown, why);
                    continue;
                }
            };
            files += 1;
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
            {
                keys += 1;
                if let Some(why) = lets_server_in(line, target) {
                    finding.add(Verdict::Fail, format!("{}: {why}", shown(&Path::new(home).join(name))));
                }
            }
        }
    }
    finding.add(
        Verdict::Pass,
        format!("{keys} keys in {files} files let people in here and were compared with the server's"),
    );
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

/// Ports on which this machine listens beyond loopback.
fn listening() -> Result<Vec<u16>, String> {
    let mut ports: Vec<u16> = Vec::new();
    // Where there is no IPv6, there is no such table.
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = table(Path::new(file))?.unwrap_or_default();
        ports.extend(table.lines().filter_map(port));
    }
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
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
    let mut lines = Vec::new();
    let mut look = |file: &Path| roots(file).map(|text| lines.extend(jobs(&text.unwrap_or_default())));
    let looked = look(Path::new(CRONTAB)).and_then(|()| {
        CRON.iter().try_for_each(|folder| names(Path::new(folder))?.iter().try_for_each(|file| look(file)))
    });
    if let Err(why) = looked {
        finding.add(Verdict::Unknown, why);
    }
    for line in lines {
        let (verdict, text) = match line.split_whitespace().next() == Some(due.to_string().as_str()) {
            true => (Verdict::Pass, format!("cron starts a push at minute {due}")),
            false => (
                Verdict::Fail,
                format!("cron starts a push at another minute than {due}: {}", cli::shown(line.as_bytes())),
            ),
        };
        finding.add(verdict, text);
    }
    let timer = show(TIMER, "UnitFileState,ActiveState,NextElapseUSecRealtime").unwrap_or_else(|why| {
        finding.add(Verdict::Unknown, why);
        String::new()
    });
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
    let told = match show(SERVICE, "LoadState,Nice,IOSchedulingClass,Result") {
        Ok(told) => told,
        Err(why) => {
            finding.add(Verdict::Unknown, why);
            return;
        }
    };
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

/// What systemd says; nothing where it does not run, and why not if it does not answer.
fn show(unit: &str, properties: &str) -> Result<String, String> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Ok(String::new());
    }
    let wrong = |what: &str| format!("systemd does not tell of {unit}: {what}");
    let property = format!("--property={properties}");
    let mut command = Command::new("systemctl");
    command
        .args(["show", "--no-pager", &property, "--", unit])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| wrong(&error.to_string()))?;
    // A few properties fit into the pipe.
    let status = until::ended(&mut child, Instant::now() + SYSTEMD).ok_or_else(|| wrong("no answer"))?;
    if !status.success() {
        return Err(wrong(&format!("systemctl ended with {status}")));
    }
    let mut told = String::new();
    match child.stdout.take().map(|out| out.take(ANSWER_BYTES_MAX).read_to_string(&mut told)) {
        Some(Ok(_)) => Ok(told),
        _ => Err(wrong("no text")),
    }
}

pub(super) fn shown(path: &Path) -> String {
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
    fn a_key_of_the_server_is_found_and_a_home_that_is_a_trap_is_named() {
        let target = Target::example();
        let top = tempfile::tempdir().unwrap();
        let mut passwd = "daemon:x:1:1::/nowhere:/bin/sh\nnobody:x:2:2::/dev/null:/bin/sh\n".to_owned();
        for name in ["well", "link", "opens"] {
            let home = top.path().join(name);
            std::fs::create_dir_all(home.join(".ssh")).unwrap();
            passwd.push_str(&format!("{name}:x:9:9::{}:/bin/sh\n", home.display()));
        }
        let at = |name: &str| top.path().join(name).join(".ssh/authorized_keys");
        let found = |passwd: &str| {
            let mut finding = Finding::new(Requirement::R2);
            keys(&mut finding, passwd, &target);
            finding
        };
        std::fs::write(at("well"), "# none\n\nssh-ed25519 AAAA me\n").unwrap();
        let finding = found(&passwd);
        assert_eq!(finding.verdict, Verdict::Pass, "{finding:?}");
        assert!(finding.line().contains("1 keys in 1 files"), "{}", finding.line());
        std::os::unix::fs::symlink(at("well"), at("link")).unwrap();
        let finding = found(&passwd);
        assert_eq!(finding.verdict, Verdict::Unknown);
        assert!(finding.line().contains("link/.ssh/authorized_keys is a link"), "{}", finding.line());
        std::fs::write(at("opens"), format!("{}\n", target.host_key.text())).unwrap();
        assert_eq!(found(&passwd).verdict, Verdict::Fail);
    }

    #[test]
    fn jobs_that_push_are_found_and_comments_are_not() {
        let text = "# push-client run\n40 2,10,18 * * * root systemctl start --no-block firn-push.service\n5 4 * * * root true\n";
        assert_eq!(jobs(text), ["40 2,10,18 * * * root systemctl start --no-block firn-push.service"]);
    }
}
