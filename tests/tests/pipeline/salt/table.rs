//! The long lists: options of sshd, properties of units, modes of paths.

use super::deploy::{BACKUP, HOSTS};
use super::expected::{Claim, Expect};

/// What firn-sshd must have in force for a host's account.
const SSHD: &[&str] = &[
    "port 2222",
    "permitrootlogin no",
    "pubkeyauthentication yes",
    "passwordauthentication no",
    "kbdinteractiveauthentication no",
    "hostbasedauthentication no",
    "permitemptypasswords no",
    "usepam no",
    "strictmodes yes",
    "authenticationmethods publickey",
    "pubkeyacceptedalgorithms ssh-ed25519",
    "hostkeyalgorithms ssh-ed25519",
    "hostkey /etc/firn/ssh_host_ed25519_key",
    "authorizedkeysfile /etc/firn/keys/%u",
    "authorizedkeyscommand none",
    "authorizedprincipalsfile none",
    "trustedusercakeys none",
    "allowusers firn-*",
    "chrootdirectory %h",
    "forcecommand receive",
    "disableforwarding yes",
    "permittty no",
    "permituserrc no",
    "permituserenvironment no",
    "maxsessions 1",
    "maxauthtries 2",
    "logingracetime 20",
    "clientaliveinterval 30",
    "clientalivecountmax 4",
    "maxstartups 300:30:600",
    "persourcemaxstartups 20",
    "usedns no",
    "versionaddendum none",
    "banner none",
    "loglevel VERBOSE",
    "unusedconnectiontimeout 30",
    "channeltimeout *=1h",
];

pub(super) fn sshd() -> Vec<Claim> {
    let shown = "sshd -T -f /etc/firn/sshd_config -C user=firn-web01,host=web01,addr=10.77.0.13,laddr=10.77.0.12,lport=2222";
    let mut claims: Vec<_> = SSHD.iter().map(|line| Claim::line(BACKUP, shown, line)).collect();
    claims.extend(["acceptenv", "subsystem", "setenv"].map(|word| Claim::no_line(BACKUP, shown, word)));
    claims.push(Claim::is(BACKUP, "sshd -t -f /etc/firn/sshd_config 2>&1", ""));
    claims
}

/// Units of ours, where they run, and what each may do.
const UNITS: &[(&str, &str, &[&str])] = &[
    (
        BACKUP,
        "firn-ingest.service",
        &[
            "User=firn",
            "ActiveState=active",
            "UnitFileState=enabled",
            "PrivateNetwork=yes",
            "ProtectHome=yes",
            "PrivateTmp=yes",
            "CapabilityBoundingSet=",
        ],
    ),
    (
        BACKUP,
        "firn-status.service",
        &["User=firn", "PrivateNetwork=yes", "ProtectHome=yes", "PrivateTmp=yes", "CapabilityBoundingSet="],
    ),
    (
        BACKUP,
        "firn-prune.service",
        &[
            "User=firn",
            "PrivateNetwork=yes",
            "ProtectHome=yes",
            "PrivateTmp=yes",
            "CapabilityBoundingSet=",
            "Nice=19",
        ],
    ),
    (
        BACKUP,
        "firn-verify.service",
        &[
            "User=firn",
            "PrivateNetwork=yes",
            "ProtectHome=yes",
            "PrivateTmp=yes",
            "CapabilityBoundingSet=",
            "Nice=19",
        ],
    ),
    (
        BACKUP,
        "firn-ice.service",
        &["User=firn-ice", "ProtectHome=yes", "PrivateTmp=yes", "CapabilityBoundingSet="],
    ),
    (BACKUP, "firn-sshd.service", &["ActiveState=active", "UnitFileState=enabled", "ProtectHome=yes"]),
    (
        "web01",
        "firn-push.service",
        &[
            "User=root",
            "Type=oneshot",
            "CapabilityBoundingSet=cap_dac_read_search",
            "ProtectHome=read-only",
            "Nice=10",
            "UMask=0077",
        ],
    ),
];

/// What all of them are.
const ALL_UNITS: &[&str] = &[
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectProc=invisible",
    "RestrictRealtime=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "AmbientCapabilities=",
    "LimitCORE=0",
    "LoadState=loaded",
];

pub(super) fn units() -> Vec<Claim> {
    let mut claims = Vec::new();
    for (machine, unit, own) in UNITS {
        let shown = format!("systemctl show --all {unit}");
        claims.extend(ALL_UNITS.iter().chain(*own).map(|line| Claim::line(machine, &shown, line)));
    }
    for timer in ["firn-ice.timer", "firn-status.timer", "firn-prune.timer", "firn-verify.timer"] {
        let shown = format!("systemctl show {timer}");
        for line in ["ActiveState=active", "UnitFileState=enabled", "Persistent=yes"] {
            claims.push(Claim::line(BACKUP, &shown, line));
        }
    }
    let calendar = "systemctl show firn-ice.timer -p TimersCalendar | grep -c '01,15 '";
    claims.push(Claim::is(BACKUP, calendar, "1"));
    let failed = "systemctl --failed --plain --no-legend | awk '{ print $1 }' | grep -c '^firn-\\(ingest\\|sshd\\|push\\)'";
    claims.push(Claim::is(BACKUP, failed, "0"));
    claims
}

/// The figure of `systemd-analyze security`: ten is no confinement. An sshd leads others into their accounts, so its figure is higher.
pub(super) fn exposure() -> Vec<Claim> {
    let units = [
        (BACKUP, "firn-ingest.service", 2.0),
        (BACKUP, "firn-status.service", 2.0),
        (BACKUP, "firn-prune.service", 2.0),
        (BACKUP, "firn-verify.service", 2.0),
        (BACKUP, "firn-ice.service", 2.0),
        (BACKUP, "firn-sshd.service", 3.0),
        ("web01", "firn-push.service", 3.0),
    ];
    let figure = |unit: &str| {
        format!(
            "systemd-analyze security --no-pager {unit} | sed -n 's/.*exposure level for .*: \\([0-9.]*\\) .*/\\1/p'"
        )
    };
    units
        .iter()
        .map(|(machine, unit, most)| Claim::new(machine, &figure(unit), Expect::AtMost(*most)))
        .collect()
}

/// Owner, group, mode and kind of every path of ours.
const PATHS: &[(&str, &str)] = &[
    ("/etc/firn", "root:root 755 directory"),
    ("/etc/firn/server.toml", "root:root 644 regular file"),
    ("/etc/firn/sshd_config", "root:root 644 regular file"),
    ("/etc/firn/sshd_config.d", "root:root 755 directory"),
    ("/etc/firn/sshd_config.d/50-salt.conf", "root:root 644 regular file"),
    ("/etc/firn/ssh_host_ed25519_key", "root:root 600 regular file"),
    ("/etc/firn/ssh_host_ed25519_key.pub", "root:root 644 regular file"),
    ("/etc/firn/keys", "root:root 755 directory"),
    ("/etc/firn/hosts", "root:root 755 directory"),
    ("/etc/firn/ice.toml", "root:root 644 regular file"),
    ("/etc/firn/ice.asc", "root:root 644 regular file"),
    ("/etc/firn/credentials", "root:root 700 directory"),
    ("/etc/firn/credentials/s3", "root:root 400 regular file"),
    ("/usr/lib/firn/receiver", "root:root 755 regular file"),
    ("/usr/bin/snapshotter", "root:root 755 regular file"),
    ("/usr/bin/iceboxer", "root:root 755 regular file"),
    ("/srv/firn", "root:root 755 directory"),
    ("/srv/firn/jails", "root:root 755 directory"),
    ("/srv/firn/history", "firn:firn-read 2750 directory"),
    ("/srv/firn/views", "firn:firn-read 2750 directory"),
    ("/srv/firn/signing", "firn:firn-read 755 directory"),
    ("/var/lib/firn/ice", "firn-ice:firn-ice 700 directory"),
];
const OF_HOST: &[(&str, &str)] = &[
    ("/etc/firn", "root:root 755 directory"),
    ("/etc/firn/push.toml", "root:root 600 regular file"),
    ("/etc/firn/push_ed25519", "root:root 400 regular file"),
    ("/etc/firn/push_ed25519.pub", "root:root 644 regular file"),
    ("/var/lib/firn/push", "root:root 700 directory"),
    ("/usr/bin/push-client", "root:root 755 regular file"),
];
const OF_JAIL: &[(&str, &str)] = &[
    ("", "root:root 755 directory"),
    ("/bin", "root:root 755 directory"),
    ("/bin/receiver", "root:root 755 regular file"),
    ("/spool", "root:root 755 directory"),
    ("/spool/incoming", "{account}:firn 2770 directory"),
    ("/spool/sealed", "{account}:firn 2770 directory"),
    ("/state", "firn:{account} 2750 directory"),
];

pub(super) fn paths() -> Vec<Claim> {
    let stat = |path: &str| format!("stat -c '%U:%G %a %F' {path}");
    let mut claims: Vec<_> = PATHS.iter().map(|(path, what)| Claim::is(BACKUP, &stat(path), what)).collect();
    for host in HOSTS {
        let account = format!("firn-{}", host.replace('.', "_"));
        claims.extend(OF_HOST.iter().map(|(path, what)| Claim::is(host, &stat(path), what)));
        claims.extend(OF_JAIL.iter().map(|(path, what)| {
            Claim::is(
                BACKUP,
                &stat(&format!("/srv/firn/jails/{host}{path}")),
                &what.replace("{account}", &account),
            )
        }));
        let record = format!("/etc/firn/hosts/{host}.toml");
        claims.push(Claim::is(BACKUP, &stat(&record), "root:root 644 regular file"));
    }
    claims
}
