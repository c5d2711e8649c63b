//! What sshd would let an account do: its effective settings, as `sshd -T` gives them, held against what a host's account may have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use formats::records::audit::{Evidence, Verdict};

use super::command::run;
use super::facts::Host;
use super::shown;
use crate::settings::Settings;

const SECONDS_MAX: u64 = 10;
/// For a host whose address is not known: one that is nobody's.
const NOBODYS_ADDRESS: &str = "192.0.2.1";

/// What must be, and why. `no` and `none` are what sshd says.
const MUST: [(&str, &[&str], &str); 12] = [
    ("forcecommand", &["receive"], "it could run commands"),
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
    fn breaches(&self, account: &str, jail: &Path, keys: &Path) -> Vec<String> {
        let mut breaches = Vec::new();
        for (key, good, why) in MUST {
            let value = self.get(key).unwrap_or("not set");
            if !good.contains(&value) {
                breaches.push(format!("{key} is {value}: {why}"));
            }
        }
        let chroot = self.get("chrootdirectory").map(|value| expanded(value, account, jail));
        if chroot.as_deref() != Some(jail) {
            let value = self.get("chrootdirectory").unwrap_or("not set");
            breaches.push(format!("chrootdirectory is {value}: it is not held in its jail"));
        }
        let files = self.key_files(account, jail);
        if files != [keys.join(account)] {
            let value = self.get("authorizedkeysfile").unwrap_or("not set");
            breaches.push(format!("authorizedkeysfile is {value}: other files could let keys in"));
        }
        breaches
    }

    /// The files whose keys let the account in.
    fn key_files(&self, account: &str, home: &Path) -> Vec<PathBuf> {
        let value = self.get("authorizedkeysfile").unwrap_or("none");
        let files = value.split_whitespace().filter(|word| *word != "none");
        files.map(|word| home.join(expanded(word, account, home))).collect()
    }

    /// True if no key, no password and nobody's word lets the account in.
    fn is_shut(&self, account: &str, home: &Path) -> bool {
        let none = |key: &str| matches!(self.get(key), None | Some("none" | "no"));
        // An account without a password: only keys, certificates and other machines are left.
        ["authorizedkeyscommand", "trustedusercakeys", "hostbasedauthentication", "permitemptypasswords"]
            .iter()
            .all(|key| none(key))
            && self.key_files(account, home).iter().all(|file| file.symlink_metadata().is_err())
    }
}

/// Of sshd's tokens, those that our settings use.
fn expanded(text: &str, account: &str, home: &Path) -> PathBuf {
    let home = home.to_string_lossy();
    PathBuf::from(text.replace("%h", &home).replace("%u", account).replace("%%", "%"))
}

/// Asks sshd what it would do for `account` at a connection from `address`; none with the reason if it does not say.
pub(super) fn effective(config: &Path, account: &str, address: &str) -> Result<Effective, String> {
    let whose = format!("user={account},host={address},addr={address},laddr=127.0.0.1,lport=22,rdomain=");
    let mut command = Command::new("sshd");
    // Debian keeps it where only root's path leads.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).arg("-T").arg("-C").arg(whose);
    match run(command.arg("-f").arg(config), SECONDS_MAX) {
        Ok(ran) if ran.code == Some(0) => Ok(Effective::parse(&String::from_utf8_lossy(&ran.out))),
        Ok(ran) => Err(format!("sshd does not take {}: {}", shown(config), ran.said())),
        Err(error) => Err(format!("sshd cannot be asked: {error}")),
    }
}

/// R1: what the sshd that serves the hosts does for this one.
pub(super) fn serving(settings: &Settings, host: &Host) -> Vec<Evidence> {
    let config = &settings.audit.sshd_config;
    if !config.exists() {
        let text = format!("there is no {}; name sshd's own file as `audit.sshd_config`", shown(config));
        return vec![Evidence { verdict: Verdict::Unknown, text }];
    }
    let address = host.record.from.first().map_or(NOBODYS_ADDRESS.to_owned(), |from| {
        from.to_string().split('/').next().unwrap_or(NOBODYS_ADDRESS).to_owned()
    });
    match effective(config, &host.account, &address) {
        Err(text) => vec![Evidence { verdict: Verdict::Unknown, text }],
        Ok(effective) => {
            let breaches = effective.breaches(&host.account, &host.jail, &settings.keys);
            let breaches = breaches.into_iter().map(|text| Evidence {
                verdict: Verdict::Fail,
                text: format!("sshd for {}: {text}", host.account),
            });
            let mut evidence: Vec<_> = breaches.collect();
            if evidence.is_empty() {
                let text =
                    format!("sshd holds {} in its jail, to one command and one key file", host.account);
                evidence.push(Evidence { verdict: Verdict::Pass, text });
            }
            evidence
        }
    }
}

/// R1: the machine's own sshd, if it is another than the one that serves the hosts: it must hold their accounts as well, or not let them in.
pub(super) fn own(settings: &Settings, host: &Host) -> Option<Evidence> {
    let config = Path::new("/etc/ssh/sshd_config");
    if settings.audit.sshd_config == config || !config.exists() {
        return None;
    }
    // One that sshd does not take starts nothing.
    let effective = effective(config, &host.account, NOBODYS_ADDRESS).ok()?;
    let held = effective.is_shut(&host.account, &host.jail)
        || effective.breaches(&host.account, &host.jail, &settings.keys).is_empty();
    let (verdict, text) = match held {
        true => (Verdict::Pass, format!("the machine's own sshd has no key for {}", host.account)),
        false => (Verdict::Fail, format!("the machine's own sshd may let {} in", host.account)),
    };
    Some(Evidence { verdict, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "port 22\nchrootdirectory %h\nforcecommand receive\ndisableforwarding yes\npermittty no\npermituserrc no\n\
        permituserenvironment no\nauthenticationmethods publickey\npubkeyacceptedalgorithms ssh-ed25519\nauthorizedkeyscommand none\n\
        trustedusercakeys none\nhostbasedauthentication no\npermitemptypasswords no\nstrictmodes yes\nauthorizedkeysfile /etc/firn/keys/%u\n";

    fn breaches(text: &str) -> Vec<String> {
        let jail = Path::new("/srv/firn/jails/web01");
        Effective::parse(text).breaches("firn-web01", jail, Path::new("/etc/firn/keys"))
    }

    #[test]
    fn the_block_that_we_print_has_no_breach() {
        assert_eq!(breaches(GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_setting_that_is_changed_or_absent_is_one_breach() {
        let lines: Vec<&str> = GOOD.lines().filter(|line| !line.starts_with("port")).collect();
        assert_eq!(lines.len(), MUST.len() + 2);
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
        assert!(effective.is_shut("firn-web01", home.path()));
        assert!(!Effective::parse(&format!("{text}trustedusercakeys /etc/ca\n")).is_shut("a", home.path()));
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        std::fs::write(home.path().join(".ssh/authorized_keys2"), "x").unwrap();
        assert!(!effective.is_shut("firn-web01", home.path()));
    }
}
