//! The command line of the system's ssh. What stands on it comes before any configuration file, so a file can choose the way to the server
//! (ProxyJump, agents, certificates) and cannot loosen who the server must be, nor ask for more than one program with two pipes.

use std::ffi::OsString;
use std::path::Path;

use crate::plan::{SshProgram, Target};

/// The name under which the pinned key is known: the same on every way to the server, and no jump host's.
pub(super) const ALIAS: &str = "firn-backup-server";
/// What the receiver is asked to run; it does not look at it.
const COMMAND: &str = "push";
/// Options of later versions than the oldest that is served; there an unknown one is passed over, and has nothing to forbid.
const LATER: &str = "KnownHostsCommand,SessionType,ForkAfterAuthentication,StdinNull,EnableEscapeCommandline,ObscureKeystrokeTiming";

/// In force whatever a configuration file says.
const FIXED: [&str; 42] = [
    // Nobody is there to answer.
    "BatchMode=yes",
    "NumberOfPasswordPrompts=0",
    "PreferredAuthentications=publickey",
    "PubkeyAuthentication=yes",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "HostbasedAuthentication=no",
    "GSSAPIAuthentication=no",
    // One key of one kind is the server's, whatever its name and address.
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "KnownHostsCommand=none",
    "HostKeyAlgorithms=ssh-ed25519",
    "CheckHostIP=no",
    "VerifyHostKeyDNS=no",
    "NoHostAuthenticationForLocalhost=no",
    "UpdateHostKeys=no",
    "CanonicalizeHostname=no",
    // One program, two pipes, and nothing beside.
    "RequestTTY=no",
    "SessionType=default",
    "RemoteCommand=none",
    "StdinNull=no",
    "ForkAfterAuthentication=no",
    "EscapeChar=none",
    "EnableEscapeCommandline=no",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ExitOnForwardFailure=no",
    "GatewayPorts=no",
    "Tunnel=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ForwardX11Trusted=no",
    "AddKeysToAgent=no",
    "ControlMaster=no",
    "ControlPath=none",
    "ControlPersist=no",
    // Calm, and heard of.
    "Compression=no",
    "ConnectionAttempts=1",
    "TCPKeepAlive=yes",
    "ServerAliveCountMax=3",
    "ObscureKeystrokeTiming=no",
    "LogLevel=ERROR",
];

/// All that ssh is called with.
pub(super) fn options(program: &SshProgram, target: &Target) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["-F".into()];
    words.push(program.config.as_deref().unwrap_or(Path::new("none")).into());
    words.push("-T".into());
    let mut set = |option: OsString| words.extend(["-o".into(), option]);
    set(format!("IgnoreUnknown={LATER}").into());
    FIXED.iter().for_each(|option| set(option.into()));
    if program.config.is_none() {
        // Marked packets do not come through everywhere; those of the library are not marked.
        set("IPQoS=none".into());
    }
    set(format!("HostKeyAlias={ALIAS}").into());
    set(named("UserKnownHostsFile", &program.known_hosts));
    set(format!("Ciphers={}", target.ciphers.join(",")).into());
    set(format!("ConnectTimeout={}", target.connect_seconds).into());
    set(format!("ServerAliveInterval={}", target.keepalive_seconds).into());
    if let Some(agent) = &program.agent {
        set(named("IdentityAgent", agent));
    }
    set(format!("IdentitiesOnly={}", if target.key.is_some() { "yes" } else { "no" }).into());
    if let Some(key) = &target.key {
        words.extend(["-i".into(), key.into()]);
    }
    words.extend(["-l".into(), target.account.as_str().into()]);
    words.extend(["-p".into(), target.port.to_string().into()]);
    words.extend(["--".into(), target.address.as_str().into(), COMMAND.into()]);
    words
}

fn named(option: &str, path: &Path) -> OsString {
    let mut word = OsString::from(option);
    word.push("=");
    word.push(path);
    word
}
