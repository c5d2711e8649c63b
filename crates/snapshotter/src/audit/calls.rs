//! R2, where hosts may call nobody and this server comes to them: the key that opens one port there is tried for all that it must not open.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use durable::{Dir, Name};
use formats::HostId;
use formats::records::audit::{Evidence, Finding, Verdict};

use super::command::{Ran, run};
use super::shown;

/// Settings of the calls: a file for each host, the key, and the host keys.
const FOLDER: &str = "/etc/firn/rendezvous";
const KEY: &str = "key_ed25519";
const KNOWN_HOSTS: &str = "known_hosts";
const ENDING: &str = ".env";
const ACCOUNT: &str = "firn-rendezvous";
/// Most names that are looked at there.
const NAMES_MAX: usize = 100_000;
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Most hosts that are tried each time.
const TRIED_MAX: usize = 16;
const SECONDS: u64 = 15;
/// What a shell makes of it is in no refusal.
const SUM: &str = "echo firn-$((6*7))";
const SUM_DONE: &[u8] = b"firn-42";

/// What is tried with the key: words for it, and for ssh.
const ATTEMPTS: [(&str, &[&str]); 3] = [
    ("run a command", &[]),
    ("reach port 22 through it", &["-W", "127.0.0.1:22"]),
    ("have it listen on another port", &["-N", "-R", "127.0.0.1:0:127.0.0.1:1"]),
];

/// The key file of the calls, which is no key to a machine as long as these attempts are refused.
pub(super) fn key() -> PathBuf {
    Path::new(FOLDER).join(KEY)
}

/// The folder, for those who look for other keys.
pub(super) fn folder() -> PathBuf {
    FOLDER.into()
}

/// Nothing is said of a server that calls nobody.
pub(super) fn look(finding: &mut Finding) {
    let hosts = match hosts(Path::new(FOLDER)) {
        Ok(hosts) if hosts.is_empty() => return,
        Ok(hosts) => hosts,
        Err(why) => return finding.add(Verdict::Unknown, why),
    };
    let text = format!(
        "{} opens one port on the loopback of each of {} hosts that may call nobody, and {} of them were tried for more",
        shown(&key()),
        hosts.len(),
        hosts.len().min(TRIED_MAX)
    );
    finding.add(Verdict::Pass, text);
    // Others every day would be better than the first ones; their own halves tell of all.
    for (host, place) in hosts.iter().take(TRIED_MAX) {
        let tried = std::thread::scope(|scope| {
            let threads = ATTEMPTS.map(|(words, asked)| scope.spawn(move || one(host, place, words, asked)));
            threads.map(|thread| thread.join().ok())
        });
        for evidence in tried.into_iter().flatten() {
            finding.take(evidence);
        }
    }
}

/// Where the sshd of a host is that is called; none if it calls by itself, or nothing plain is said.
pub(super) fn address(host: &HostId) -> Option<IpAddr> {
    hosts(Path::new(FOLDER)).ok()?.get(host)?.address.parse().ok()
}

/// Where a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    address: String,
    port: String,
}

fn hosts(folder: &Path) -> Result<BTreeMap<HostId, Place>, String> {
    let told = |error: durable::Error| format!("{}: {}", shown(folder), cli::chain(&error));
    let dir = match Dir::open_root(folder) {
        Err(error) if error.is_not_found() => return Ok(BTreeMap::new()),
        opened => opened.map_err(told)?,
    };
    let mut hosts = BTreeMap::new();
    for name in dir.names_at_most(NAMES_MAX).map_err(told)? {
        let id = std::str::from_utf8(&name).ok().and_then(|name| name.strip_suffix(ENDING));
        let Some(host) = id.and_then(|id| HostId::parse(id).ok()) else { continue };
        let file = dir.open_read(Name::new(&name).map_err(told)?).map_err(told)?;
        let text = std::io::read_to_string(std::io::Read::take(file, FILE_BYTES_MAX));
        let text = text.map_err(|error| format!("settings of the calls to {host}: {error}"))?;
        let place =
            place(&text).ok_or_else(|| format!("settings of the calls to {host}: no plain ADDRESS"))?;
        hosts.insert(host, place);
    }
    Ok(hosts)
}

/// As systemd reads it, as far as plain values go.
fn place(text: &str) -> Option<Place> {
    let value =
        |key: &str| text.lines().rev().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    let plain = |word: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b".:-_".contains(&b);
        !word.is_empty() && !word.starts_with('-') && word.bytes().all(fits)
    };
    let place =
        Place { address: value("ADDRESS")?.to_owned(), port: value("PORT").unwrap_or("22").to_owned() };
    (plain(&place.address) && plain(&place.port)).then_some(place)
}

fn one(host: &HostId, place: &Place, words: &str, asked: &[&str]) -> Evidence {
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]);
    command.args([
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "GlobalKnownHostsFile=/dev/null",
        "-o",
        "UpdateHostKeys=no",
    ]);
    command.arg("-o").arg(format!("UserKnownHostsFile={FOLDER}/{KNOWN_HOSTS}"));
    command.arg("-o").arg(format!("HostKeyAlias={host}"));
    command.args([
        "-o",
        "HostKeyAlgorithms=ssh-ed25519",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "IdentityAgent=none",
    ]);
    command.args(["-o", "ExitOnForwardFailure=yes", "-o", "ControlPath=none", "-o", "LogLevel=INFO", "-i"]);
    command.arg(key()).args(asked).args(["-l", ACCOUNT, "-p", &place.port, "--", &place.address]);
    if asked.is_empty() {
        command.arg(SUM);
    }
    let (verdict, what) = match run(&mut command, SECONDS) {
        Ok(ran) => judged(&ran),
        Err(error) => (Verdict::Unknown, format!("ssh cannot be started: {error}")),
    };
    Evidence { verdict, text: format!("{host}, with the key that opens its port, to {words}: {what}") }
}

fn judged(ran: &Ran) -> (Verdict, String) {
    let said = ran.said();
    let has = |part: &[u8]| ran.out.windows(part.len()).any(|window| window == part);
    if has(SUM_DONE) || has(b"SSH-") {
        return (Verdict::Fail, "DONE".to_owned());
    }
    let refused = ["open failed", "forwarding failed", "Permission denied"];
    let err = String::from_utf8_lossy(&ran.err);
    match ran.code {
        None if err.contains("Allocated port") => (Verdict::Fail, "GRANTED: it listens".to_owned()),
        // The host may only be slow, or mean to look as if it had granted.
        None => (Verdict::Unknown, "it came to no end".to_owned()),
        Some(_) if refused.iter().any(|word| err.contains(word)) => {
            (Verdict::Pass, format!("refused: {said}"))
        }
        // A forced command ran, and said nothing.
        Some(code) if code != 255 => (Verdict::Pass, format!("nothing came back, and it ended with {code}")),
        Some(_) => (Verdict::Unknown, format!("ssh could not ask: {said}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(code: Option<i32>, out: &str, err: &str) -> Verdict {
        judged(&Ran { code, out: out.into(), err: err.into() }).0
    }

    #[test]
    fn only_a_refusal_passes() {
        assert_eq!(
            ran(Some(255), "", "channel 0: open failed: administratively prohibited: open failed"),
            Verdict::Pass
        );
        assert_eq!(
            ran(Some(255), "", "Error: remote port forwarding failed for listen port 0"),
            Verdict::Pass
        );
        // What sshd says to a session where none is allowed, and what ssh adds.
        let session = "channel 0: open failed: connect failed: open failed\r\nTransferred: sent 1, received 2 bytes\r\n";
        assert_eq!(ran(Some(255), "", session), Verdict::Pass);
        assert_eq!(ran(Some(1), "", ""), Verdict::Pass);
        assert_eq!(ran(Some(0), "firn-42\n", ""), Verdict::Fail);
        assert_eq!(ran(Some(255), "SSH-2.0-OpenSSH_9.2p1\r\n", ""), Verdict::Fail);
        assert_eq!(ran(None, "", "Allocated port 40123 for remote forward to 127.0.0.1:1"), Verdict::Fail);
        assert_eq!(ran(None, "", ""), Verdict::Unknown);
        assert_eq!(
            ran(Some(255), "", "connect to host web01 port 22: Connection timed out"),
            Verdict::Unknown
        );
    }

    #[test]
    fn a_host_is_called_where_its_file_says() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("web01.env", "# here\nADDRESS=192.0.2.11\nLISTEN=5022\n");
        write("db1.example.org.env", "ADDRESS=db1\nPORT=2022\n");
        write("known_hosts", "");
        let place = |address: &str, port: &str| Place { address: address.to_owned(), port: port.to_owned() };
        let found: Vec<_> = hosts(folder.path()).unwrap().into_values().collect();
        assert_eq!(found, [place("db1", "2022"), place("192.0.2.11", "22")]);
        for bad in ["", "ADDRESS=-oProxyCommand=id", "ADDRESS=\"a b\""] {
            write("web01.env", bad);
            assert!(hosts(folder.path()).is_err(), "{bad}");
        }
        assert!(hosts(&folder.path().join("none")).unwrap().is_empty());
    }
}
