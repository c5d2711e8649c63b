//! R2, where the server comes to this host because it may call nobody: what the server's key opens here, by its line and by sshd's own word.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use formats::records::audit::{Finding, Verdict};

use super::files::roots;
use crate::rendezvous::{ACCOUNT, EFFECTIVE, KEYS, Rendezvous};
use crate::until;

/// Where sshd may be.
const SSHD: [&str; 2] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"];
/// Longest time of its answer.
const ANSWER: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Nothing is said of a host that has no such key.
pub(super) fn look(finding: &mut Finding) {
    let text = match roots(Path::new(KEYS)) {
        Ok(Some(text)) => text,
        Ok(None) => return,
        Err(why) => return finding.add(Verdict::Unknown, why),
    };
    let ports = lines(finding, &text);
    match effective() {
        Ok(told) => ports.iter().for_each(|port| block(finding, &told, *port)),
        Err(why) => finding.add(Verdict::Unknown, why),
    }
}

/// Each line by itself lets the server open its port, and nothing else. The ports.
fn lines(finding: &mut Finding, text: &str) -> Vec<u16> {
    let mut ports = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some(Rendezvous { port, from }) = Rendezvous::of_line(line) else {
            let text =
                format!("{KEYS}: a line that `push-client rendezvous key` does not print, and may open more");
            finding.add(Verdict::Fail, text);
            continue;
        };
        let from = from.map_or_else(|| "anywhere".to_owned(), |from| from.to_string());
        let text = format!(
            "{KEYS}: a key lets the server, from {from}, have port {port} of this host's loopback listen for pushes to go out; the line opens nothing else"
        );
        finding.add(Verdict::Pass, text);
        ports.push(port.get());
    }
    ports
}

/// sshd says the same of the account.
fn block(finding: &mut Finding, told: &str, port: u16) {
    let listens = ("permitlisten", format!("127.0.0.1:{port}"));
    let expected = EFFECTIVE.iter().map(|(name, value)| (*name, (*value).to_owned())).chain([listens]);
    let mut wrong = Vec::new();
    for (name, value) in expected {
        let mut found = told.lines().filter_map(|line| line.split_once(' ')).filter(|(key, _)| *key == name);
        match (found.next(), found.next()) {
            (Some((_, one)), None) if one == value => {}
            (found, _) => {
                wrong.push(format!(
                    "{name} is {}, not {value}",
                    cli::shown(found.map_or("unset", |(_, value)| value).as_bytes())
                ));
            }
        }
    }
    match wrong.is_empty() {
        true => finding.add(
            Verdict::Pass,
            format!("sshd gives account {ACCOUNT} port {port} to listen on, and nothing else"),
        ),
        false => finding.add(
            Verdict::Fail,
            format!("sshd gives account {ACCOUNT} more than port {port}: {}", wrong.join("; ")),
        ),
    }
}

fn effective() -> Result<String, String> {
    let wrong = |what: String| format!("sshd does not tell what account {ACCOUNT} may: {what}");
    let program = SSHD.into_iter().find(|program| Path::new(program).exists());
    let program = program.ok_or_else(|| wrong("there is none".to_owned()))?;
    let whose = format!("user={ACCOUNT},host=localhost,addr=127.0.0.1");
    let mut command = Command::new(program);
    command.args(["-T", "-C", &whose]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| wrong(error.to_string()))?;
    // Its settings fit into the pipe.
    let status =
        until::ended(&mut child, Instant::now() + ANSWER).ok_or_else(|| wrong("no answer".to_owned()))?;
    let mut told = String::new();
    let read = child.stdout.take().map(|out| out.take(ANSWER_BYTES_MAX).read_to_string(&mut told));
    match (status.success(), read) {
        (true, Some(Ok(_))) => Ok(told),
        _ => Err(wrong(format!("it ended with {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::records::audit::Requirement;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgd6V5/EB898lAR5g29aPAWqwY2caFuljddCAcG1F+";

    fn verdict(text: &str) -> (Verdict, Vec<u16>) {
        let mut finding = Finding::new(Requirement::R2);
        let ports = lines(&mut finding, text);
        (finding.verdict, ports)
    }

    #[test]
    fn a_key_that_opens_more_than_its_port_fails() {
        let good = format!(
            "restrict,port-forwarding,permitlisten=\"127.0.0.1:5022\",permitopen=\"127.0.0.1:1\",command=\"/bin/false\" {KEY} root@backup\n"
        );
        assert_eq!(verdict(&format!("# of the server\n\n{good}")), (Verdict::Pass, vec![5022]));
        assert_eq!(verdict(&format!("{good}{KEY}\n")).0, Verdict::Fail);
        assert_eq!(verdict(&good.replace("permitopen=\"127.0.0.1:1\",", "")).0, Verdict::Fail);
    }

    #[test]
    fn what_sshd_gives_the_account_is_held_to_the_block() {
        let mut told: String = EFFECTIVE.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
        told.push_str("permitlisten 127.0.0.1:5022\nport 22\n");
        let verdict = |told: &str| {
            let mut finding = Finding::new(Requirement::R2);
            block(&mut finding, told, 5022);
            finding.verdict
        };
        assert_eq!(verdict(&told), Verdict::Pass);
        for (name, value) in EFFECTIVE {
            assert_eq!(verdict(&told.replace(&format!("{name} {value}\n"), "")), Verdict::Fail, "{name}");
            assert_eq!(
                verdict(&told.replace(&format!("{name} {value}\n"), &format!("{name} any\n"))),
                Verdict::Fail
            );
        }
        assert_eq!(verdict(&told.replace("127.0.0.1:5022", "any")), Verdict::Fail);
        assert_eq!(verdict(&format!("{told}permitopen any\n")), Verdict::Fail);
    }
}
