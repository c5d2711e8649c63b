//! Unix accounts of a scratch server: made under names of its own, removed by exactly these names.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{At, Result};
use crate::outcome::Outcome;
use crate::process;

/// Held while the password file is changed: parallel rigs must not trip over each other.
const LOCK: &str = "/run/lock/firn-scratch";

/// The accounts and groups one scratch server made, on record before each is made.
#[derive(Debug, Clone)]
pub struct Accounts {
    record: PathBuf,
}

impl Accounts {
    /// Keeps its record in `record`.
    #[must_use]
    pub fn new(record: PathBuf) -> Accounts {
        Accounts { record }
    }

    /// Makes a system group.
    ///
    /// # Errors
    /// If `groupadd` fails.
    pub fn add_group(&self, name: &str) -> Result<()> {
        self.note("group", name)?;
        let _held = hold()?;
        run("groupadd", &["--system", name])
    }

    /// Makes a system account with a group of its own name and no home; `groups` are further groups, `shell` its login shell.
    ///
    /// # Errors
    /// If `useradd` fails.
    pub fn add_account(&self, name: &str, groups: &[&str], shell: &str) -> Result<()> {
        self.note("account", name)?;
        let _held = hold()?;
        let groups = groups.join(",");
        // `*` is a password nobody has; the `!` of a new account would make sshd refuse its key too.
        let mut words =
            vec!["--system", "--no-create-home", "--user-group", "--password", "*", "--shell", shell];
        if !groups.is_empty() {
            words.extend(["--groups", &groups]);
        }
        words.push(name);
        run("useradd", &words)
    }

    /// Runs `make`, which adds accounts by itself, and puts on record every account and group that begins with `prefix` after it.
    ///
    /// # Errors
    /// What `make` returns, or if the record cannot be written.
    pub fn adopt<T>(&self, prefix: &str, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let held = hold()?;
        let made = make();
        drop(held);
        for name in names("/etc/passwd").into_iter().filter(|name| name.starts_with(prefix)) {
            self.note("account", &name)?;
        }
        for name in names("/etc/group").into_iter().filter(|name| name.starts_with(prefix)) {
            self.note("group", &name)?;
        }
        made
    }

    /// Ends the processes of all accounts on record, and removes accounts and groups.
    pub fn remove_all(&self) {
        let record = fs::read_to_string(&self.record).unwrap_or_default();
        let Ok(_held) = hold() else { return };
        for (kind, verb) in [("account", "userdel"), ("group", "groupdel")] {
            for name in record.lines().filter_map(|line| line.strip_prefix(kind)).map(str::trim) {
                if kind == "account"
                    && let Some(user) = number_of(name)
                {
                    process::end(&process::of_user(user));
                }
                // It may never have been made, or its group went with it.
                let _ = run(verb, &[name]);
            }
        }
        let _ = fs::remove_file(&self.record);
    }

    fn note(&self, kind: &str, name: &str) -> Result<()> {
        let line = format!("{kind} {name}\n");
        if fs::read_to_string(&self.record).unwrap_or_default().contains(&line) {
            return Ok(());
        }
        let mut file =
            OpenOptions::new().create(true).append(true).open(&self.record).at("open", &self.record)?;
        file.write_all(line.as_bytes()).at("write", &self.record)
    }
}

/// The number of an account, if there is one of that name.
#[must_use]
pub fn number_of(account: &str) -> Option<u32> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|line| line.split(':').next() == Some(account))?;
    line.split(':').nth(2)?.parse().ok()
}

fn hold() -> Result<File> {
    let _ = fs::create_dir_all("/run/lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(LOCK).at("open", LOCK)?;
    file.lock().at("lock", LOCK)?;
    Ok(file)
}

fn names(file: impl AsRef<Path>) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| line.split(':').next()).map(str::to_owned).collect()
}

fn run(program: &str, words: &[&str]) -> Result<()> {
    let program = crate::machine::find_program(program).unwrap_or_else(|| program.into());
    Outcome::of(Command::new(program).args(words))?.expect_code(&[0]).map(drop)
}
