//! What must be true of a fleet that Salt deployed: a table of claims, each with the command that shows it.

use std::collections::HashMap;

use super::deploy::{BACKUP, HOSTS, World};
use super::srv::MASTER;
use super::table;

const CLAIMS_MIN: usize = 150;

/// What a command must say, its last newline left away.
#[derive(Debug)]
pub(super) enum Expect {
    /// Just this.
    Is(String),
    /// This, as a whole line.
    Line(String),
    /// No line that begins so.
    NoLine(String),
    /// A number, and no more than this one.
    AtMost(f64),
}

/// One claim.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) machine: String,
    pub(super) command: String,
    pub(super) expect: Expect,
}

impl Claim {
    pub(super) fn is(machine: &str, command: &str, text: &str) -> Claim {
        Claim::new(machine, command, Expect::Is(text.to_owned()))
    }

    pub(super) fn line(machine: &str, command: &str, line: &str) -> Claim {
        Claim::new(machine, command, Expect::Line(line.to_owned()))
    }

    pub(super) fn no_line(machine: &str, command: &str, start: &str) -> Claim {
        Claim::new(machine, command, Expect::NoLine(start.to_owned()))
    }

    pub(super) fn new(machine: &str, command: &str, expect: Expect) -> Claim {
        Claim { machine: machine.to_owned(), command: command.to_owned(), expect }
    }

    fn holds(&self, said: &str) -> bool {
        match &self.expect {
            Expect::Is(text) => said == text,
            Expect::Line(wanted) => said.lines().any(|line| line == wanted),
            Expect::NoLine(start) => !said.is_empty() && !said.lines().any(|line| line.starts_with(start)),
            Expect::AtMost(most) => said.parse::<f64>().is_ok_and(|number| number <= *most),
        }
    }
}

/// Looks at everything, and names all that is not so.
pub(super) fn holds(world: &World) {
    pushes(world);
    let claims = [
        table::sshd(),
        table::units(),
        table::exposure(),
        table::paths(),
        accounts(),
        keys(world),
        listeners(),
        schedules(),
        salt(),
    ];
    let claims: Vec<Claim> = claims.into_iter().flatten().collect();
    let mut said: HashMap<(&str, &str), String> = HashMap::new();
    let mut wrong = Vec::new();
    for claim in &claims {
        let key = (claim.machine.as_str(), claim.command.as_str());
        let said = said
            .entry(key)
            .or_insert_with(|| world.sh(&claim.machine, &claim.command).stdout.trim_end().to_owned());
        if !claim.holds(said) {
            let short: String = said.chars().take(2_000).collect();
            wrong.push(format!(
                "{}: {}: {:?}\n    said {short:?}",
                claim.machine, claim.command, claim.expect
            ));
        }
    }
    println!("{} claims about the fleet, {} do not hold", claims.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(claims.len() >= CLAIMS_MIN, "{}", claims.len());
}

/// Each host pushes by its unit, as cron starts it, and has a snapshot then.
fn pushes(world: &World) {
    for host in HOSTS {
        world.said(host, "systemctl start firn-push.service");
        let names = world.said(BACKUP, &format!("ls /srv/firn/history/{host} | grep -c Z-"));
        assert_eq!(names, "1", "{host}");
    }
}

fn account(host: &str) -> String {
    format!("firn-{}", host.replace('.', "_"))
}

fn accounts() -> Vec<Claim> {
    let mut claims = Vec::new();
    for host in HOSTS {
        let account = account(host);
        let passwd = format!("getent passwd {account} | cut -d : -f 5-");
        let is = |command: &str, text: &str| Claim::is(BACKUP, command, text);
        claims.extend([
            is(&passwd, &format!("firn host {host}:/srv/firn/jails/{host}:/bin/receiver")),
            is(&format!("getent shadow {account} | cut -d : -f 2"), "*"),
            is(&format!("id -nG {account}"), &account),
            is(&format!("getent group root sudo wheel adm shadow disk docker | grep -c {account}"), "0"),
            is(
                &format!("find / -xdev -user {account} -not -path '/srv/firn/jails/{host}/spool/*' | wc -l"),
                "0",
            ),
            is(&format!("find /srv/firn/jails/{host} -perm /6000 -type f | wc -l"), "0"),
            is(&format!("find /srv/firn/jails/{host} -perm /002 -not -type l | wc -l"), "0"),
            is(&format!("runuser -u {account} -- ls /srv/firn/history 2>&1 | grep -c denied"), "1"),
            is(&format!("ls /srv/firn/jails/{host}"), "bin\nslots\nspool\nstate"),
        ]);
        for other in HOSTS.iter().filter(|other| **other != host) {
            let command = format!(
                "setpriv --reuid {account} --clear-groups ls /srv/firn/jails/{other}/spool/incoming 2>&1 | grep -c denied"
            );
            claims.push(is(&command, "1"));
        }
    }
    let sudo = "grep -rs firn /etc/sudoers /etc/sudoers.d /etc/doas.conf /etc/polkit-1 | wc -l";
    claims.push(Claim::is(BACKUP, sudo, "0"));
    for account in ["firn", "firn-ice"] {
        let command = format!("getent group root sudo wheel adm shadow disk docker | grep -c {account}");
        claims.push(Claim::is(BACKUP, &command, "0"));
        let command = format!("getent passwd {account} | grep -c nologin");
        claims.push(Claim::is(BACKUP, &command, "1"));
    }
    claims
}

fn keys(world: &World) -> Vec<Claim> {
    let mut claims = Vec::new();
    for host in HOSTS {
        let file = format!("/etc/firn/keys/{}", account(host));
        let public = world.said(host, "cut -d ' ' -f 1,2 /etc/firn/push_ed25519.pub");
        let address = world.fleet.address(host).unwrap();
        claims.extend([
            Claim::is(BACKUP, &format!("cat {file}"), &format!("restrict,from=\"{address}\" {public}")),
            Claim::is(BACKUP, &format!("wc -l <{file}"), "1"),
            Claim::is(BACKUP, &format!("stat -c '%U:%G %a' {file}"), "root:root 644"),
            Claim::is(host, "ssh-keygen -y -f /etc/firn/push_ed25519 | cut -d ' ' -f 1,2", &public),
        ]);
        let server = world.said(BACKUP, "cut -d ' ' -f 1,2 /etc/firn/ssh_host_ed25519_key.pub");
        claims.push(Claim::line(host, "cat /etc/firn/push.toml", &format!("host_key = \"{server}\"")));
        // Its settings name no account: both programs come to the same one.
        claims.push(Claim::is(host, "grep -c ^account /etc/firn/push.toml", "0"));
        let let_in = format!("account     good: {} is let in", account(host));
        claims.push(Claim::line(host, "push-client check", &let_in));
        claims.push(Claim::line(host, "cat /etc/firn/push.toml", &format!("host = \"{host}\"")));
        let hours = if host == "mail" { "[4, 16]" } else { "[2, 10, 18]" };
        let record = format!("cat /etc/firn/hosts/{host}.toml");
        claims.push(Claim::line(BACKUP, &record, &format!("known_as = \"{host}\"")));
        claims.push(Claim::line(BACKUP, &record, &format!("hours = {hours}")));
        claims.push(Claim::line(BACKUP, &record, &format!("from = [\"{address}\"]")));
    }
    // The bridge's address, from which nobody is let in, is there to be told.
    let own = "salt-call --out=txt --log-level=quiet grains.get ipv4 | grep -cF \"'10.77.0.199'\"";
    claims.push(Claim::is(HOSTS[0], own, "1"));
    let count = HOSTS.len().to_string();
    claims.push(Claim::is(BACKUP, "ls /etc/firn/keys | wc -l", &count));
    claims.push(Claim::is(
        BACKUP,
        "cat /etc/firn/keys/* | grep -c '^restrict,from=\"[0-9.]*\" ssh-ed25519 [A-Za-z0-9+/]*$'",
        &count,
    ));
    let private = "grep -rl 'PRIVATE KEY' /etc/firn /etc/ssh /root /home /srv/firn/jails /var/lib/firn 2>/dev/null | grep -v /etc/ssh/ssh_host_";
    claims.push(Claim::is(BACKUP, private, "/etc/firn/ssh_host_ed25519_key"));
    claims.push(Claim::is(BACKUP, "ls -A /root/.ssh 2>/dev/null | wc -l", "0"));
    claims.push(Claim::is(BACKUP, "ls /run | grep -c firn-key", "0"));
    claims
}

fn listeners() -> Vec<Claim> {
    let tcp = "ss -Hlntp | awk '{ sub(/.*:/, \"\", $4); split($6, p, \"\\\"\"); print $4, p[2] }' | sort -u";
    let mut claims = vec![
        Claim::is(BACKUP, tcp, "22 sshd\n2222 sshd"),
        Claim::is(BACKUP, "ss -Hlnup | wc -l", "0"),
        Claim::is(BACKUP, "systemctl is-active firn-sshd ssh", "active\nactive"),
    ];
    for host in HOSTS {
        claims.push(Claim::is(host, tcp, "22 sshd"));
        claims.push(Claim::is(host, "ss -Hlnup | wc -l", "0"));
    }
    claims
}

fn schedules() -> Vec<Claim> {
    let mut claims = Vec::new();
    let entry = "systemctl start --no-block firn-push.service";
    for (host, minute) in [("web01", 40), ("db1.example.org", 56)] {
        claims.extend([
            Claim::line(host, "crontab -l", &format!("{minute} 2,10,18 * * * {entry}")),
            Claim::line(host, "crontab -l", "# SALT_CRON_IDENTIFIER:firn-push"),
            Claim::is(host, "crontab -l | grep -vc '^#'", "1"),
            Claim::is(host, "push-client schedule", &minute.to_string()),
            Claim::is(host, "systemctl is-enabled firn-push.timer", "disabled"),
            Claim::is(host, "systemctl is-active cron", "active"),
            Claim::is(host, "systemctl is-active firn-push.timer", "inactive"),
        ]);
    }
    let shown = "systemctl show firn-push.timer -p Persistent,RandomizedDelayUSec,TimersCalendar,UnitFileState,ActiveState | sed 's/ ; next.*//'";
    let minute = crc32fast::hash(b"mail") % 60;
    claims.extend([
        Claim::line("mail", shown, "Persistent=yes"),
        Claim::line("mail", shown, "RandomizedDelayUSec=0"),
        Claim::line("mail", shown, "UnitFileState=enabled"),
        Claim::line("mail", shown, "ActiveState=active"),
        Claim::line("mail", shown, &format!("TimersCalendar={{ OnCalendar=*-*-* 04,16:{minute:02}:00")),
        Claim::is("mail", "crontab -l 2>/dev/null | grep -c firn", "0"),
        Claim::is("mail", "push-client schedule", &minute.to_string()),
    ]);
    claims
}

fn salt() -> Vec<Claim> {
    let mine = |function: &str| {
        format!("salt-call --out=json --log-level=quiet mine.get '*' {function} | tr -d ' \\n'")
    };
    let example = "import sys, yaml; sys.path[:0] = ['/srv/salt/_modules']; import firn; text = yaml.safe_load(open('/srv/salt/pillar.example')); found = firn.settings(text); \
        print(sorted(set(found) - set(text['firn'])), sorted(set(found['server']) - set(text['firn']['server'])))";
    let mut claims = vec![
        // Every key that the formula knows stands in the example.
        Claim::is(MASTER, &format!("/opt/salt/bin/python3 -B -c \"{example}\""), "[] ['host_key']"),
        Claim::is(BACKUP, "pgrep -c salt-master", "0"),
        Claim::is(BACKUP, "ls /etc/systemd/system/*.wants | grep -c salt-master", "0"),
    ];
    for host in HOSTS {
        // No host sees what the others publish.
        claims.push(Claim::is(host, &mine("firn_keys.push"), "{\"local\":{}}"));
        claims.push(Claim::is(host, &format!("{} | grep -c backup1", mine("firn_keys.server")), "1"));
        claims.push(Claim::is(BACKUP, &format!("{} | grep -c '\"{host}\":'", mine("firn_keys.push")), "1"));
    }
    claims
}
