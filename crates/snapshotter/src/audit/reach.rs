//! R2: the backup server cannot get into other machines: it has no key and no agent for it, no program that commands others, and when it tries
//! to log in to a host it fails.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use formats::records::audit::{Evidence, Finding, Requirement, Verdict};

use super::attempt::Identity;
use super::command::run;
use super::facts::{Host, Hosts, identity};
use super::{calls, private_keys, rulers};
use crate::settings::Settings;

const CONNECT: Duration = Duration::from_secs(3);
const LOGIN_SECONDS_MAX: u64 = 15;
/// Hosts that are tried at the same time.
const AT_ONCE: usize = 16;
/// Most addresses of one host that are tried.
const ADDRESSES_MAX: usize = 2;
/// ssh ends with this if it did not get in; with anything else the other machine has run something.
const NOT_IN: i32 = 255;

pub(super) fn probe(settings: &Settings, hosts: &Hosts) -> Finding {
    let mut finding = Finding::new(Requirement::R2);
    private_keys::look(&mut finding, settings);
    calls::look(&mut finding);
    rulers::look(&mut finding, settings, hosts);
    let locals = locals(&mut finding, settings);
    let tried: Vec<&Host> = hosts.tried().filter(|host| host.is_active()).collect();
    let mut unknown = 0;
    for some in tried.chunks(AT_ONCE) {
        let found = std::thread::scope(|scope| {
            let threads: Vec<_> = some
                .iter()
                .map(|host| {
                    let locals = &locals;
                    scope.spawn(move || one(settings, host, locals))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect::<Vec<_>>()
        });
        unknown += found.iter().filter(|evidence| evidence.is_empty()).count();
        found.into_iter().flatten().for_each(|evidence| finding.take(evidence));
    }
    if unknown > 0 {
        let text = format!(
            "{unknown} hosts have no single address in their record (`host add --from`), so no login was tried there"
        );
        finding.add(Verdict::Unknown, text);
    }
    finding
}

/// Whose keys are tried: none is root itself. A service whose account is not here has no keys here.
fn locals(finding: &mut Finding, settings: &Settings) -> Vec<(String, Option<Identity>)> {
    let mut locals = vec![("root".to_owned(), None)];
    for name in [&settings.owner, &settings.audit.ice_account] {
        match identity(name) {
            Ok(Some(identity)) => locals.push((name.clone(), Some(identity))),
            Ok(None) => {}
            Err(error) => finding.add(Verdict::Unknown, error.to_string()),
        }
    }
    locals
}

/// Empty if the host has no address that can be tried.
fn one(settings: &Settings, host: &Host, locals: &[(String, Option<Identity>)]) -> Vec<Evidence> {
    let from = host.record.from.iter();
    let from = from.filter_map(|network| network.to_string().parse::<IpAddr>().ok()).take(ADDRESSES_MAX);
    // The pushes of a host that is called come from this machine; the host is elsewhere.
    let addresses: Vec<IpAddr> =
        calls::address(&host.id).map_or_else(|| from.collect(), |called| vec![called]);
    let places = addresses
        .into_iter()
        .flat_map(|address| settings.audit.ssh_ports.iter().map(move |port| (address, *port)));
    let mut evidence = Vec::new();
    for (address, port) in places {
        if let Err(error) = TcpStream::connect_timeout(&SocketAddr::new(address, port), CONNECT) {
            let text = format!("{} at {address} port {port} cannot be reached: {error}", host.id);
            evidence.push(Evidence { verdict: Verdict::Pass, text });
            continue;
        }
        evidence.extend(locals.iter().map(|(name, identity)| {
            let (verdict, what) = login(address, port, identity.as_ref());
            let text = format!("{name} to root of {} at {address} port {port}: {what}", host.id);
            Evidence { verdict, text }
        }));
    }
    evidence
}

fn login(address: IpAddr, port: u16, identity: Option<&Identity>) -> (Verdict, String) {
    let mut command = Command::new("ssh");
    // Who the other machine is does not matter: nothing is sent to it but the wish to be let in.
    for option in [
        "BatchMode=yes",
        "ConnectTimeout=3",
        "ConnectionAttempts=1",
        "NumberOfPasswordPrompts=0",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        "ClearAllForwardings=yes",
        "ForwardAgent=no",
        "ControlMaster=no",
        "ControlPath=none",
        "LogLevel=ERROR",
    ] {
        command.args(["-o", option]);
    }
    command.args(["-n", "-T", "-l", "root", "-p", &port.to_string(), "--", &address.to_string(), "true"]);
    if let Some(Identity { user, group, .. }) = identity {
        command.uid(*user).gid(*group).env_remove("SSH_AUTH_SOCK").current_dir("/");
    }
    match run(&mut command, LOGIN_SECONDS_MAX) {
        Ok(ran) => judged(ran.code, &ran.said()),
        Err(error) => (Verdict::Unknown, format!("ssh cannot be started: {error}")),
    }
}

fn judged(code: Option<i32>, said: &str) -> (Verdict, String) {
    match code {
        Some(NOT_IN) if said.contains("Permission denied") => (Verdict::Pass, format!("not let in: {said}")),
        // Its own settings are wrong, or it did not get as far as asking.
        Some(NOT_IN) => (Verdict::Unknown, format!("ssh could not ask: {said}")),
        Some(code) => (Verdict::Fail, format!("LOGGED IN, and `true` ended with {code}")),
        None => (Verdict::Unknown, "it did not end in time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ssh_itself_says_is_no_login() {
        assert_eq!(judged(Some(255), "Permission denied (publickey).").0, Verdict::Pass);
        assert_eq!(judged(Some(255), "Bad configuration option: x").0, Verdict::Unknown);
        assert_eq!(judged(Some(0), "").0, Verdict::Fail);
        assert_eq!(judged(Some(1), "").0, Verdict::Fail);
        assert_eq!(judged(Some(127), "true: not found").0, Verdict::Fail);
        assert_eq!(judged(None, "").0, Verdict::Unknown);
    }
}
