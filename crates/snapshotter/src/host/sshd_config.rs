//! What sshd must be told about the accounts of hosts.

use cli::{Exit, Failed, Run};

use crate::settings::Settings;

/// Runs the verb: prints the block, which is the same for any number of hosts.
pub(crate) fn run(run: &mut Run, settings: &Settings) -> Result<Exit, Failed> {
    let text = block(settings);
    text.lines().for_each(|line| run.line(line));
    run.report().detail("sshd_config", text);
    Ok(Exit::WHOLE)
}

/// A jail is the home of its account, so one block serves all.
fn block(settings: &Settings) -> String {
    format!(
        "# Firn: every account whose name begins with {prefix} is a host's, and may do nothing but push.
Match User {prefix}*
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
        prefix = settings.account_prefix,
        keys = settings.keys.display(),
    )
}
