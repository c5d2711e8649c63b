//! What sshd would let an account do: its effective settings, as `sshd -T` gives them, held against what a host's account may have.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use formats::records::audit::{Evidence, Verdict};

use super::command::run;
use super::facts::Host;
use super::shown;
use crate::host::appliance;
use crate::settings::Settings;

const SECONDS_MAX: u64 = 10;
/// Most addresses and ports of one sshd.
const DOORS_MAX: usize = 32;
/// For a host whose address is not known: one that is nobody's.
pub(super) const NOBODYS_ADDRESS: &str = "192.0.2.1";

/// What must be, and why. `no` and `none` are what sshd says.
const MUST: [(&str, &[&str], &str); 11] = [
    ("disableforwarding", &["yes"], "it could reach the server's network"),
    ("permittty", &["no"], "it gets a terminal"),
    ("permituserrc", &["no"], "a file could run in its name"),
    ("permituserenvironment", &["no"], "it could set the environment of sshd's children"),
    ("authenticationmethods", &["publickey"], "it could be let in without a key"),
    ("pubkeyacceptedalgorithms", &["ssh-ed25519"], "other kinds of keys are taken"),
    ("authorizedkeyscommand", &["none"], "a program could let other keys in"),
    ("trustedusercakeys", &["none"], "a certificate could let others in"),
    ("hostbasedauthentication", &["no"], "another machine could vouch for it"),
    ("permitemptypasswords", &["no"], "it could be let in without a key"),
    ("strictmodes", &["yes"], "key files that others can write would count"),
];

/// What sshd runs for those that push.
const RECEIVE: &str = "receive";

/// Effective settings: key to values, both as `sshd -T` writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Effective(BTreeMap<String, Vec<String>>);

impl Effective {
    fn parse(text: &str) -> Self {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            found.entry(key.to_owned()).or_default().push(value.trim().to_owned());
        }
        Self(found)
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|values| values.first()).map(String::as_str)
    }

    /// All values of a key that stands more than once.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// What is not as it must be for the account of a host, in words.
    fn breaches(&self, who: &Who<'_>, jail: &Path, keys: &Path) -> Vec<String> {
        let mut breaches = Vec::new();
        let forced = self.get("forcecommand").unwrap_or("not set");
        if forced != who.command {
            breaches.push(format!("forcecommand is {forced}: it could run other commands"));
        }
        for (key, good, why) in MUST {
            let value = self.get(key).unwrap_or("not set");
            if !good.contains(&value) {
                breaches.push(format!("{key} is {value}: {why}"));
            }
        }
        let value = self.get("chrootdirectory").unwrap_or("not set");
        if who.expand(value).as_deref() != Some(jail) {
            breaches.push(format!(
                "chrootdirectory is {value}, and its home {}: it is not held in its jail",
                who.home
            ));
        }
        if self.key_files(who) != Some(vec![keys.join(who.name)]) {
            let value = self.get("authorizedkeysfile").unwrap_or("not set");
            breaches.push(format!("authorizedkeysfile is {value}: other files could let keys in"));
        }
        breaches
    }

    /// The files whose keys let the account in; none if that cannot be told.
    fn key_files(&self, who: &Who<'_>) -> Option<Vec<PathBuf>> {
        let value = self.get("authorizedkeysfile").unwrap_or("none");
        let files = value.split_whitespace().filter(|word| *word != "none");
        files.map(|word| Some(Path::new(who.home).join(who.expand(word)?))).collect()
    }

    /// True if no key, no password and nobody's word lets the account in.
    fn is_shut(&self, who: &Who<'_>) -> bool {
        let none = |key: &str| matches!(self.get(key), None | Some("none" | "no"));
        let is_absent = |file: &PathBuf| {
            file.symlink_metadata()
                .is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
        };
        // An account without a password: only keys, certificates and other machines are left.
        ["authorizedkeyscommand", "trustedusercakeys", "hostbasedauthentication", "permitemptypasswords"]
            .iter()
            .all(|key| none(key))
            && self.key_files(who).is_some_and(|files| files.iter().all(is_absent))
    }

    /// Where it listens: an address of this machine and a port. One that listens at all addresses is asked for loopback.
    fn listens(&self) -> Result<BTreeSet<SocketAddr>, String> {
        let mut doors = BTreeSet::new();
        for value in self.all("listenaddress") {
            let word = value.split_whitespace().next().unwrap_or_default();
            let mut door: SocketAddr =
                word.parse().map_err(|_| format!("sshd listens at {value}, which cannot be read"))?;
            if door.ip().is_unspecified() {
                door.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            doors.insert(door);
        }
        match doors.len() {
            1..=DOORS_MAX => Ok(doors),
            some => Err(format!("sshd names {some} addresses to listen at")),
        }
    }
}

/// The account that would come in, as the machine knows it.
struct Who<'a> {
    name: &'a str,
    user: u32,
    /// sshd's `%h`, wherever the jail may be.
    home: &'a str,
    /// All that it may run.
    command: &'static str,
}

impl<'a> Who<'a> {
    fn of(host: &'a Host) -> Option<Self> {
        let account = host.passwd.as_ref()?;
        let command = if host.record.appliance.is_some() { appliance::COMMAND } else { RECEIVE };
        Some(Self { name: &host.account, user: account.user, home: &account.home, command })
    }

    /// A path with sshd's tokens; none if one of them is not known.
    fn expand(&self, text: &str) -> Option<PathBuf> {
        let mut path = String::new();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match (next, if next == '%' { rest.next() } else { None }) {
                ('%', Some('h')) => path.push_str(self.home),
                ('%', Some('u')) => path.push_str(self.name),
                ('%', Some('U')) => path.push_str(&self.user.to_string()),
                ('%', Some('%')) => path.push('%'),
                ('%', _) => return None,
                (other, _) => path.push(other),
            }
        }
        Some(PathBuf::from(path))
    }
}

/// What an sshd does at one of the places where it listens.
pub(super) struct Door {
    at: SocketAddr,
    pub(super) effective: Effective,
}

/// Asks sshd what it would do for `account` at a connection from `address`, wherever its settings let it listen; or why it does not say.
pub(super) fn effective(config: &Path, account: &str, address: &str) -> Result<Vec<Door>, String> {
    // Where it listens is the same for everybody, so any port will do to ask for that.
    let listens = at_door(config, account, address, (Ipv4Addr::LOCALHOST, 22).into())?.listens()?;
    let doors =
        listens.into_iter().map(|at| Ok(Door { at, effective: at_door(config, account, address, at)? }));
    doors.collect()
}

fn at_door(config: &Path, account: &str, address: &str, at: SocketAddr) -> Result<Effective, String> {
    let (ours, port) = (at.ip(), at.port());
    let whose = format!("user={account},host={address},addr={address},laddr={ours},lport={port},rdomain=");
    let mut command = Command::new("sshd");
    // Debian keeps it where only root's path leads.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).arg("-T").arg("-C").arg(whose);
    match run(command.arg("-f").arg(config), SECONDS_MAX) {
        Ok(ran) if ran.code == Some(0) => Ok(Effective::parse(&String::from_utf8_lossy(&ran.out))),
        // Gone while the machine's own ssh.service is stopped; the sshd for pushes has another.
        Ok(_) if !Path::new("/run/sshd").is_dir() => {
            Err("sshd tells nothing without /run/sshd: run `systemd-tmpfiles --create --prefix=/run/sshd`"
                .to_owned())
        }
        Ok(ran) => Err(format!("sshd does not take {}: {}", shown(config), ran.said())),
        Err(error) => Err(format!("sshd cannot be asked: {error}")),
    }
}

/// R1: what the sshd that serves the hosts does for this one.
pub(super) fn serving(settings: &Settings, host: &Host) -> Vec<Evidence> {
    let unknown = |text| vec![Evidence { verdict: Verdict::Unknown, text }];
    let config = &settings.audit.sshd_config;
    if !config.exists() {
        let text = format!("there is no {}; name sshd's own file as `audit.sshd_config`", shown(config));
        return unknown(text);
    }
    // That it has no account is told already.
    let Some(who) = Who::of(host) else { return Vec::new() };
    let address = host.record.from.first().map_or(NOBODYS_ADDRESS.to_owned(), |from| {
        from.to_string().split('/').next().unwrap_or(NOBODYS_ADDRESS).to_owned()
    });
    let doors = match effective(config, who.name, &address) {
        Err(text) => return unknown(text),
        Ok(doors) => doors,
    };
    let mut evidence = Vec::new();
    for Door { at, effective } in &doors {
        let breaches = effective.breaches(&who, &host.jail, &settings.keys).into_iter();
        evidence.extend(breaches.map(|text| Evidence {
            verdict: Verdict::Fail,
            text: format!("sshd at port {} for {}: {text}", at.port(), who.name),
        }));
    }
    if evidence.is_empty() {
        let ports: Vec<String> = doors.iter().map(|door| door.at.port().to_string()).collect();
        let text = format!(
            "sshd at port {} holds {} in its jail, to one command and one key file",
            ports.join(", "),
            who.name
        );
        evidence.push(Evidence { verdict: Verdict::Pass, text });
    }
    evidence
}

/// R1: the machine's own sshd, if it is another than the one that serves the hosts: it must hold their accounts as well, or not let them in.
pub(super) fn own(settings: &Settings, host: &Host) -> Option<Evidence> {
    let config = Path::new("/etc/ssh/sshd_config");
    if settings.audit.sshd_config == config || !config.exists() {
        return None;
    }
    let who = Who::of(host)?;
    let (verdict, text) =
        shut_or_held(effective(config, who.name, NOBODYS_ADDRESS), &who, &host.jail, &settings.keys);
    Some(Evidence { verdict, text })
}

fn shut_or_held(
    asked: Result<Vec<Door>, String>,
    who: &Who<'_>,
    jail: &Path,
    keys: &Path,
) -> (Verdict, String) {
    let held =
        |door: &Door| door.effective.is_shut(who) || door.effective.breaches(who, jail, keys).is_empty();
    match asked {
        Err(why) => (Verdict::Unknown, format!("the machine's own sshd for {}: {why}", who.name)),
        Ok(doors) if doors.iter().all(held) => {
            (Verdict::Pass, format!("the machine's own sshd has no key for {}", who.name))
        }
        Ok(_) => (Verdict::Fail, format!("the machine's own sshd may let {} in", who.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "port 22\nchrootdirectory %h\nforcecommand receive\ndisableforwarding yes\npermittty no\npermituserrc no\n\
        permituserenvironment no\nauthenticationmethods publickey\npubkeyacceptedalgorithms ssh-ed25519\nauthorizedkeyscommand none\n\
        trustedusercakeys none\nhostbasedauthentication no\npermitemptypasswords no\nstrictmodes yes\nauthorizedkeysfile /etc/firn/keys/%u\n";

    fn at_home(text: &str, home: &str) -> Vec<String> {
        let who = Who { name: "firn-web01", user: 990, home, command: RECEIVE };
        let jail = Path::new("/srv/firn/jails/web01");
        Effective::parse(text).breaches(&who, jail, Path::new("/etc/firn/keys"))
    }

    fn breaches(text: &str) -> Vec<String> {
        at_home(text, "/srv/firn/jails/web01")
    }

    #[test]
    fn the_block_that_we_print_has_no_breach() {
        assert_eq!(breaches(GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_setting_that_is_changed_or_absent_is_one_breach() {
        let lines: Vec<&str> = GOOD.lines().filter(|line| !line.starts_with("port")).collect();
        assert_eq!(lines.len(), MUST.len() + 3);
        for line in lines {
            let key = line.split(' ').next().unwrap();
            let [absent] = &breaches(&GOOD.replace(&format!("{line}\n"), ""))[..] else { panic!("{key}") };
            assert!(absent.starts_with(key), "{absent}");
            let other = breaches(&GOOD.replace(line, &format!("{key} /else/where")));
            assert!(other.len() == 1 && other[0].starts_with(key), "{key}: {other:?}");
        }
        let both = GOOD.replace("/keys/%u", "/keys/%u .ssh/authorized_keys");
        assert_eq!(breaches(&both).len(), 1);
    }

    #[test]
    fn an_account_without_a_key_file_is_shut_out_and_with_one_is_not() {
        let home = tempfile::tempdir().unwrap();
        let text =
            "authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2\nauthorizedkeyscommand none\n";
        let effective = Effective::parse(text);
        let at = home.path().to_str().unwrap();
        let who = Who { name: "firn-web01", user: 990, home: at, command: RECEIVE };
        assert!(effective.is_shut(&who));
        assert!(!Effective::parse(&format!("{text}trustedusercakeys /etc/ca\n")).is_shut(&who));
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        std::fs::write(home.path().join(".ssh/authorized_keys2"), "x").unwrap();
        assert!(!effective.is_shut(&who));
    }

    #[test]
    fn the_home_is_that_of_the_account_wherever_its_jail_is() {
        let [elsewhere] = &at_home(GOOD, "/home/firn-web01")[..] else { panic!("one") };
        assert!(elsewhere.contains("%h, and its home /home/firn-web01"), "{elsewhere}");
        let named = GOOD.replace("chrootdirectory %h", "chrootdirectory /srv/firn/jails/web01");
        assert_eq!(at_home(&named, "/home/firn-web01"), Vec::<String>::new());
        let who = Who { name: "u", user: 7, home: "/h", command: RECEIVE };
        assert_eq!(who.expand("%h/%u-%U-%%h"), Some(PathBuf::from("/h/u-7-%h")));
        assert_eq!((who.expand("/a/%k"), who.expand("/a/%")), (None, None));
    }

    #[test]
    fn an_own_sshd_that_does_not_answer_is_not_known_to_be_shut() {
        let who = Who { name: "firn-web01", user: 990, home: "/nowhere", command: RECEIVE };
        let (jail, keys) = (Path::new("/srv/firn/jails/web01"), Path::new("/etc/firn/keys"));
        let door =
            |text: &str| Door { at: (Ipv4Addr::LOCALHOST, 22).into(), effective: Effective::parse(text) };
        let (verdict, text) = shut_or_held(Err("no hostkeys".to_owned()), &who, jail, keys);
        assert_eq!(verdict, Verdict::Unknown);
        assert!(text.ends_with("for firn-web01: no hostkeys"), "{text}");
        let shut = "authorizedkeysfile .ssh/authorized_keys\n";
        let open = "authorizedkeysfile /etc/passwd\n";
        for (texts, expected) in
            [(&[shut][..], Verdict::Pass), (&[shut, shut], Verdict::Pass), (&[shut, open], Verdict::Fail)]
        {
            let doors = texts.iter().map(|text| door(text)).collect();
            assert_eq!(shut_or_held(Ok(doors), &who, jail, keys).0, expected, "{texts:?}");
        }
    }

    #[test]
    fn an_sshd_is_asked_for_every_port_that_it_listens_at() {
        let test = "an_sshd_is_asked_for_every_port_that_it_listens_at";
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at("key")).status();
        let text = format!(
            "Port 2222\nPort 2223\nHostKey {}\nPermitTTY no\nMatch LocalPort 2223\n    PermitTTY yes\n",
            at("key").display()
        );
        std::fs::write(at("config"), text).unwrap();
        let doors = match (made, effective(&at("config"), "root", NOBODYS_ADDRESS)) {
            (Ok(_), Ok(doors)) => doors,
            (made, asked) => {
                println!("SKIPPED: {test}: no sshd answers here: {made:?}, {:?}", asked.err());
                return;
            }
        };
        let told = doors.iter().map(|door| (door.at.port(), door.effective.get("permittty").unwrap()));
        assert_eq!(told.collect::<Vec<_>>(), [(2222, "no"), (2223, "yes")]);
        // One that does not answer is not one that holds.
        let Err(why) = effective(&at("none"), "root", NOBODYS_ADDRESS) else { panic!("it answered") };
        assert!(why.contains("sshd does not take"), "{why}");
    }
}
