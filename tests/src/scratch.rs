//! A whole backup server in one folder: sshd, jails, history, vault, keys and settings, under accounts of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::accounts::Accounts;
use crate::error::{At, Result, RigError};
use crate::host::Host;
use crate::keys::OpenPgpKey;
use crate::leftovers;
use crate::machine::{Power, target_folder};
use crate::outcome::Outcome;
use crate::programs::Programs;
use crate::settings;
use crate::sshd::Sshd;

/// What stays when a scratch server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Nothing.
    Nothing,
    /// The folder; accounts and processes go all the same.
    Folder,
}

/// What one scratch server has different from another.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder to make it in; by default one that suits the user who runs us.
    pub parent: Option<PathBuf>,
    /// Length of a segment of ice.
    pub segment_bytes: u64,
    /// Lines of the server's `[limits]`: `queued_pushes = 2`.
    pub limits: String,
    /// Which snapshots go into ice: `latest` or `all`.
    pub scope: &'static str,
    /// What stays at the end.
    pub leave: Leave,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            parent: None,
            segment_bytes: 64 * 1024 * 1024,
            limits: String::new(),
            scope: "latest",
            leave: Leave::Nothing,
        }
    }
}

/// The names of the accounts and groups of one scratch server.
#[derive(Debug, Clone)]
pub struct Names {
    /// The snapshotter's account and group.
    pub owner: String,
    /// The group that reads the history.
    pub readers: String,
    /// The iceboxer's account.
    pub ice: String,
    /// What the account of each host begins with.
    pub host_prefix: String,
}

/// The scratch server. It ends when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    /// All of it lies below this folder.
    pub folder: PathBuf,
    /// Root's server with accounts and chroots, or one user's.
    pub power: Power,
    /// Names of its accounts.
    pub names: Names,
    /// The key the ice is sealed to.
    pub key: OpenPgpKey,
    /// Its sshd.
    pub sshd: Sshd,
    pub(crate) accounts: Accounts,
    hosts: Vec<Host>,
    leave: Leave,
}

impl Scratch {
    /// Makes and starts one, without hosts.
    ///
    /// # Errors
    /// If anything of it cannot be made; what was made is removed again.
    pub fn new(programs: &Programs, options: &Options) -> Result<Scratch> {
        let power = Power::here();
        let parent = options.parent.clone().unwrap_or_else(|| usual_parent(power));
        fs::create_dir_all(&parent).at("create", &parent)?;
        leftovers::sweep(&parent);
        let (folder, tag) = leftovers::claim(&parent)?;
        let accounts = Accounts::new(folder.join(leftovers::ACCOUNTS));
        let names = make_names(power, &tag)?;
        let made = Scratch::furnish(programs, options, power, &folder, &names, &accounts);
        let (key, sshd) = made.inspect_err(|_| {
            accounts.remove_all();
            leftovers::remove_folder(&folder);
        })?;
        Ok(Scratch { folder, power, names, key, sshd, accounts, hosts: Vec::new(), leave: options.leave })
    }

    fn furnish(
        programs: &Programs,
        options: &Options,
        power: Power,
        folder: &Path,
        names: &Names,
        accounts: &Accounts,
    ) -> Result<(OpenPgpKey, Sshd)> {
        if power == Power::Root {
            accounts.add_group(&names.readers)?;
            accounts.add_account(&names.owner, &[&names.readers], "/usr/sbin/nologin")?;
            accounts.add_account(&names.ice, &[&names.readers], "/usr/sbin/nologin")?;
        }
        for (name, mode) in FOLDERS {
            let path = folder.join(name);
            fs::create_dir_all(&path).at("create", &path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).at("change the mode of", &path)?;
        }
        // The accounts of a server may not be able to reach the folder we were built in.
        programs.install(&folder.join("bin"))?;
        if power == Power::Root {
            for (name, owner) in [
                ("history", format!("{}:{}", names.owner, names.readers)),
                ("ice", names.ice.clone()),
                ("vault", names.ice.clone()),
            ] {
                Outcome::of(Command::new("chown").arg(owner).arg(folder.join(name)))?.expect_code(&[0])?;
            }
        }
        let key = OpenPgpKey::make(&folder.join("etc"), &leftovers::gnupg_home(folder))?;
        let sshd = Sshd::new(&folder.join("sshd"), &folder.join("keys"))?;
        settings::write_server(folder, names, options)?;
        settings::write_ice(folder, &key, options)?;
        settings::write_drill(folder, &key)?;
        Ok((key, sshd))
    }

    /// Adds a host that backs up `roots`, with a key of its own and a jail, and starts sshd again to let it in.
    ///
    /// # Errors
    /// If `snapshotter host add` or sshd fails.
    pub fn add_host(&mut self, name: &str, roots: &[PathBuf]) -> Result<Host> {
        let host = Host::make(self, name, roots)?;
        self.hosts.push(host.clone());
        if self.power == Power::Root {
            self.sshd.hosts_block = self.sshd_config(&["host", "sshd-config"])?;
        }
        let logins = self.logins();
        self.sshd.start(&logins)?;
        // The port is known only now, and may have changed for all.
        self.write_hosts_settings()?;
        Ok(host)
    }

    /// Writes the settings of all hosts anew, as they are needed when sshd has been started again.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_hosts_settings(&self) -> Result<()> {
        self.hosts.iter().try_for_each(|host| settings::write_push(self, host, &settings::Push::default()))
    }

    /// Starts, in place of the rig's own sshd, one with the whole configuration that the snapshotter prints. Needs root.
    ///
    /// # Errors
    /// If it does not start.
    pub fn dedicate_sshd(&mut self) -> Result<()> {
        let etc = self.folder.join("etc");
        let key = etc.join("ssh_host_ed25519_key");
        fs::copy(&self.sshd.host_key.path, &key).at("copy", &key)?;
        let included = etc.join("sshd_config.d");
        fs::create_dir_all(&included).at("create", &included)?;
        let text = self.sshd_config(&["host", "sshd-config", "--dedicated"])?;
        self.sshd.whole = Some((text, included.join("rig.conf")));
        self.sshd.start(&[])?;
        self.write_hosts_settings()
    }

    /// What the snapshotter wants sshd to be told.
    fn sshd_config(&self, words: &[&str]) -> Result<String> {
        let outcome = Outcome::of(&mut self.snapshotter_as_admin(words))?.expect_code(&[0])?;
        let report = outcome.report().unwrap_or_default();
        let block =
            report.pointer("/details/sshd_config").and_then(serde_json::Value::as_str).map(str::to_owned);
        block.ok_or_else(|| {
            RigError::State("snapshotter host sshd-config says nothing in its report".to_owned())
        })
    }

    /// Runs what adds hosts by itself; their accounts end with the server.
    ///
    /// # Errors
    /// What `make` returns.
    pub fn adopted(&self, make: impl FnOnce() -> Result<Outcome>) -> Result<Outcome> {
        self.accounts.adopt(&self.names.host_prefix, make)
    }

    /// Runs what makes accounts whose names begin with `prefix`; they end with the server.
    ///
    /// # Errors
    /// What `make` returns.
    pub fn adopted_as(&self, prefix: &str, make: impl FnOnce() -> Result<Outcome>) -> Result<Outcome> {
        self.accounts.adopt(prefix, make)
    }

    /// Starts sshd again for its hosts and these accounts, with what the settings say now.
    ///
    /// # Errors
    /// If it does not start.
    pub fn let_in(&mut self, accounts: &[String]) -> Result<()> {
        self.sshd.hosts_block = self.sshd_config(&["host", "sshd-config"])?;
        let logins = [self.logins(), accounts.to_vec()].concat();
        self.sshd.start(&logins)?;
        self.write_hosts_settings()
    }

    /// Adds an account that is no host's, which ends with the server.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn add_account(&self, name: &str, shell: &str) -> Result<()> {
        self.accounts.add_account(name, &[], shell)
    }

    /// Who may log in: the account of each host.
    #[must_use]
    pub fn logins(&self) -> Vec<String> {
        let mut accounts: Vec<_> = self.hosts.iter().map(|host| host.account.clone()).collect();
        accounts.dedup();
        accounts
    }

    /// The hosts added so far.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The history of a host.
    #[must_use]
    pub fn history(&self, host: &str) -> PathBuf {
        self.folder.join("history").join(host)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.sshd.stop();
        self.key.end_agent();
        self.accounts.remove_all();
        match self.leave {
            Leave::Nothing => leftovers::remove_folder(&self.folder),
            Leave::Folder => leftovers::keep_folder(&self.folder),
        }
    }
}

/// Folders and their modes. What holds secrets is for its owner only.
const FOLDERS: [(&str, u32); 12] = [
    ("bin", 0o755),
    ("etc", 0o755),
    ("keys", 0o755),
    ("jails", 0o755),
    ("history", 0o2750),
    ("ice", 0o700),
    ("vault", 0o755),
    ("hosts", 0o700),
    ("drill", 0o700),
    ("drill/quarantine", 0o700),
    ("drill/records", 0o700),
    ("sshd", 0o700),
];

/// Where scratch servers are made. A chroot must be root's, all the way up: not `/tmp`, and not somebody's home.
#[must_use]
pub fn usual_parent(power: Power) -> PathBuf {
    match power {
        Power::Root => PathBuf::from("/srv"),
        Power::User => target_folder().join("scratch"),
    }
}

fn make_names(power: Power, tag: &str) -> Result<Names> {
    if power == Power::Root {
        return Ok(Names {
            owner: format!("firn{tag}"),
            readers: format!("firn{tag}-read"),
            ice: format!("firn{tag}-ice"),
            host_prefix: format!("firn{tag}-h-"),
        });
    }
    let ask = |option| -> Result<String> {
        let said = Outcome::of(Command::new("id").arg(option))?.expect_code(&[0])?.stdout;
        let name = said.trim().to_owned();
        if name.is_empty() { Err(RigError::State("id names no user".to_owned())) } else { Ok(name) }
    };
    let user = ask("-un")?;
    Ok(Names { owner: user.clone(), readers: ask("-gn")?, ice: user, host_prefix: "firn-".to_owned() })
}
