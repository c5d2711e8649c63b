//! What a host that may call nobody says to its own sshd, so that the backup server can open one port on it, and nothing else. Pushes go out
//! through that port.
//!
//! Two walls: the block of sshd's configuration, which holds alone, and the line of the key. `permitlisten` does not limit what a key may connect to
//! from here, so both also name what it may connect to: nothing. No option of a key keeps it from listening on Unix sockets: without the block, the
//! line lets it make such files where the account may write.

use std::net::IpAddr;
use std::num::NonZeroU16;

use crate::openssh::HostKey;

/// The account on this host whose key opens the port. It has no shell, no home and no password.
pub(crate) const ACCOUNT: &str = "firn-rendezvous";
/// The file of its key, which only root may write.
pub(crate) const KEYS: &str = "/etc/firn/rendezvous_keys";
/// The port, unless another is asked for.
pub(crate) const PORT: u16 = 5022;
/// A key cannot be told to connect nowhere at all; to here, where nothing listens, it may.
const NOWHERE: &str = "127.0.0.1:1";

/// Settings of sshd that hold for the account, as `sshd -T` tells them, besides the port.
pub(crate) const EFFECTIVE: [(&str, &str); 11] = [
    ("authorizedkeysfile", KEYS),
    ("authenticationmethods", "publickey"),
    ("allowtcpforwarding", "remote"),
    ("permitopen", "none"),
    ("allowstreamlocalforwarding", "no"),
    ("gatewayports", "no"),
    ("maxsessions", "0"),
    ("forcecommand", "/bin/false"),
    ("permittty", "no"),
    ("permittunnel", "no"),
    ("allowagentforwarding", "no"),
];

/// Where pushes go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rendezvous {
    /// The port, on loopback.
    pub(crate) port: NonZeroU16,
    /// Where the server comes from, if only from there.
    pub(crate) from: Option<IpAddr>,
}

impl Rendezvous {
    /// The line of the server's key, as it stands in [`KEYS`].
    pub(crate) fn key_line(&self, key: &HostKey) -> String {
        let from = self.from.map(|from| format!(",from=\"{from}\"")).unwrap_or_default();
        format!(
            "restrict,port-forwarding,permitlisten=\"127.0.0.1:{}\",permitopen=\"{NOWHERE}\",command=\"/bin/false\"{from} {}",
            self.port,
            key.text()
        )
    }

    /// The block of sshd's configuration.
    pub(crate) fn sshd_config(&self) -> String {
        format!(
            "# Firn: the backup server opens one port here, and pushes go out through it. No session, no other port, no way through this machine.\n\
             Match User {ACCOUNT}\n    AuthorizedKeysFile {KEYS}\n    AuthenticationMethods publickey\n    AllowTcpForwarding remote\n    \
             PermitListen 127.0.0.1:{}\n    PermitOpen none\n    AllowStreamLocalForwarding no\n    GatewayPorts no\n    MaxSessions 0\n    \
             ForceCommand /bin/false\n    PermitTTY no\n    PermitTunnel no\n    AllowAgentForwarding no\n    X11Forwarding no\n    PermitUserRC no\n    \
             ClientAliveInterval 30\n    ClientAliveCountMax 3\nMatch all\n",
            self.port
        )
    }

    /// The rendezvous that a line of [`KEYS`] allows; none if it allows anything else.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let (options, key) = line.split_once(" ssh-ed25519 ")?;
        let key = HostKey::parse(&format!("ssh-ed25519 {key}")).ok()?;
        let value =
            |name: &str| options.split_once(&format!("{name}=\""))?.1.split_once('"').map(|(value, _)| value);
        let port = value(",permitlisten")?.strip_prefix("127.0.0.1:")?.parse().ok()?;
        let from = match value(",from") {
            Some(from) => Some(from.parse().ok()?),
            None => None,
        };
        let meant = Self { port, from };
        // One way to write it; whoever writes it another way means something else.
        let comment_cut = line.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ");
        (meant.key_line(&key) == comment_cut).then_some(meant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgd6V5/EB898lAR5g29aPAWqwY2caFuljddCAcG1F+";

    #[test]
    fn only_the_line_that_is_printed_is_known_again() {
        let key = HostKey::parse(KEY).unwrap();
        for from in [None, Some("192.0.2.9".parse().unwrap()), Some("fd00::9".parse().unwrap())] {
            let meant = Rendezvous { port: NonZeroU16::new(5022).unwrap(), from };
            let line = meant.key_line(&key);
            assert_eq!(Rendezvous::of_line(&line), Some(meant), "{line}");
            assert_eq!(Rendezvous::of_line(&format!("{line} root@backup")), Some(meant));
            for (part, other) in [
                ("restrict,", ""),
                (",permitopen=\"127.0.0.1:1\"", ""),
                ("127.0.0.1:1\"", "127.0.0.1:22\""),
                (",command=\"/bin/false\"", ""),
                ("/bin/false", "/bin/sh"),
                ("restrict,", "restrict,pty,"),
                ("\"127.0.0.1:5022\"", "\"*:5022\""),
                ("\"127.0.0.1:5022\"", "\"127.0.0.1:*\""),
                ("\"127.0.0.1:5022\"", "\"127.0.0.1:5022\",permitlisten=\"127.0.0.1:22\""),
                ("\"127.0.0.1:5022\"", "\"127.0.0.1:05022\""),
                ("ssh-ed25519", "ssh-rsa"),
            ] {
                let loose = line.replacen(part, other, 1);
                assert_ne!(loose, line, "{part}");
                assert_eq!(Rendezvous::of_line(&loose), None, "{loose}");
            }
        }
        assert_eq!(Rendezvous::of_line(KEY), None);
        assert_eq!(Rendezvous::of_line(""), None);
    }

    #[test]
    fn what_sshd_is_told_is_what_the_audit_asks_for() {
        let text =
            Rendezvous { port: NonZeroU16::new(5022).unwrap(), from: None }.sshd_config().to_lowercase();
        for (name, value) in EFFECTIVE {
            assert!(text.contains(&format!("    {name} {value}\n").to_lowercase()), "{name}");
        }
    }
}
