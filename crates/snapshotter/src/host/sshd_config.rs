//! What sshd must be told about the accounts of hosts.

use std::path::Path;

use cli::{Exit, Failed, Run};

use super::account_name::ICE;
use super::appliance;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// For which sshd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One that others use too.
    Block,
    /// One of its own.
    Dedicated,
}

impl Shape {
    /// From `--dedicated`.
    pub(crate) fn new(dedicated: bool) -> Self {
        if dedicated { Shape::Dedicated } else { Shape::Block }
    }
}

/// Runs the verb: prints what is the same for any number of hosts.
pub(crate) fn run(run: &mut Run, settings: &Settings, shape: Shape) -> Result<Exit, Failed> {
    let text = match shape {
        Shape::Block => block(settings),
        Shape::Dedicated => dedicated(settings)?,
    };
    text.lines().for_each(|line| run.line(line));
    run.report().detail("sshd_config", text);
    Ok(Exit::WHOLE)
}

/// A jail is the home of its account, so one block serves all.
fn block(settings: &Settings) -> String {
    let outboxes = if settings.grants.enabled {
        format!("; {}* are outboxes, which hand out what was granted", settings.grants.account_prefix)
    } else {
        String::new()
    };
    format!(
        "{of_appliances}
# Firn: every account whose name begins with {prefix} is a host's, and may do nothing but push{outboxes}.
Match User {users}
    AuthorizedKeysFile {keys}/%u
    AuthenticationMethods publickey
    PubkeyAcceptedAlgorithms ssh-ed25519
    ChrootDirectory %h
    ForceCommand receive
    DisableForwarding yes
    PermitTTY no
    PermitUserRC no
    MaxSessions 1
    ClientAliveInterval 30
",
        of_appliances = of_appliances(settings),
        users = users(settings).join(","),
        prefix = settings.account_prefix,
        outboxes = outboxes,
        keys = settings.keys.display(),
    )
}

/// Before the block of those that push: the first value of an option is the one that counts.
fn of_appliances(settings: &Settings) -> String {
    format!(
        "# Firn: those of them that are appliances (`host add --appliance`) may do nothing but write files into a folder of their jail.
Match User {prefix}* Group {group}
    AuthorizedKeysFile {keys}/%u
    AuthenticationMethods publickey
    PubkeyAcceptedAlgorithms ssh-ed25519
    ChrootDirectory %h
    ForceCommand {command}
    DisableForwarding yes
    PermitTTY no
    PermitUserRC no
    MaxSessions 1
    ClientAliveInterval 30
",
        group = appliance::group(settings),
        command = appliance::COMMAND,
        prefix = settings.account_prefix,
        keys = settings.keys.display(),
    )
}

/// Who may log in, as patterns: hosts, and outboxes where there may be any.
fn users(settings: &Settings) -> Vec<String> {
    let outboxes = settings.grants.enabled.then_some(&settings.grants.account_prefix);
    std::iter::once(&settings.account_prefix).chain(outboxes).map(|prefix| format!("{prefix}*")).collect()
}

/// Only what OpenSSH 8.7 knows: one line that an older sshd does not know, and it does not start.
fn dedicated(settings: &Settings) -> Result<String, Trouble> {
    let folder =
        std::path::absolute(&settings.file).map_err(Trouble::stream("finding the folder of the settings"))?;
    let folder = folder.parent().unwrap_or(Path::new("/etc/firn"));
    for path in [folder, &settings.keys] {
        plain(path)?;
    }
    Ok(format!(
        "{HEAD}
# The first value of an option is the one that counts: what stands in these files wins.
Include {folder}/sshd_config.d/*.conf

Port 2222
HostKey {folder}/ssh_host_ed25519_key
PidFile none
{DEFENCE}
# Who, and with what.
AllowUsers {users}
DenyUsers root {owner} {readers} {ICE}
AuthorizedKeysFile {keys}/%u
{LOGIN}{SESSION}
{of_appliances}",
        of_appliances = of_appliances(settings),
        folder = folder.display(),
        keys = settings.keys.display(),
        users = users(settings).join(" "),
        owner = settings.owner,
        readers = settings.readers,
    ))
}

/// A path with a blank or a mark of sshd's own would be read as something else.
fn plain(path: &Path) -> Result<(), Trouble> {
    let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-' | b'+');
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.iter().all(fits) {
        return Ok(());
    }
    Err(Trouble::Usage {
        what: format!("{} cannot stand in sshd_config", cli::shown(bytes)),
        advice: Some("use paths of letters, digits and / . _ - + only".to_owned()),
    })
}

const HEAD: &str = "# Firn: an sshd that takes pushes and does nothing else, as `snapshotter host sshd-config --dedicated` prints it.";

const DEFENCE: &str = "
# A few hundred hosts may knock in one minute; one address may not take all the places of those who have not logged in yet.
MaxStartups 300:30:600
# Of this option OpenSSH 9.2 takes the last value, so a file above cannot raise it: hosts behind one address have to be given more places here.
PerSourceMaxStartups 20
LoginGraceTime 20
MaxAuthTries 2
ClientAliveInterval 30
ClientAliveCountMax 4
UseDNS no
LogLevel VERBOSE
VersionAddendum none

# What OpenSSH 8.7 and later, and libssh2 1.11, both speak.
HostKeyAlgorithms ssh-ed25519
KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes128-ctr
MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com
";

const LOGIN: &str = "StrictModes yes
UsePAM no
PubkeyAuthentication yes
AuthenticationMethods publickey
PubkeyAcceptedAlgorithms ssh-ed25519
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
PermitRootLogin no
PermitEmptyPasswords no
";

const SESSION: &str = "
# A session is one push: the login shell of the account, which is the receiver, in its jail.
ChrootDirectory %h
ForceCommand receive
Subsystem sftp internal-sftp
MaxSessions 1
DisableForwarding yes
AllowAgentForwarding no
AllowTcpForwarding no
AllowStreamLocalForwarding no
GatewayPorts no
X11Forwarding no
PermitTunnel no
PermitTTY no
PermitUserRC no
PermitUserEnvironment no
Compression no
PrintMotd no
PrintLastLog no
";
