//! Accounts of this machine that commands run as, from the two files. Asked of no service, as everywhere in this program.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Gid, Uid};
use rustix::process::{getegid, geteuid, getgid, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use sandbox::capabilities::drop_capabilities;

/// What a shell says of a program that it could not start.
const NOT_STARTED: u8 = 127;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
    /// All groups it is in, its own among them.
    pub(super) groups: Vec<u32>,
}

/// What a command's environment says of its account.
#[derive(Debug)]
pub(super) struct Who {
    pub(super) name: String,
    pub(super) home: String,
}

/// A command, and the numbers of the account that it runs as.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct AsUser {
    /// User
    #[arg(long)]
    uid: u32,
    /// Group
    #[arg(long)]
    gid: u32,
    /// All groups
    #[arg(long = "group")]
    groups: Vec<u32>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Account {
    /// The account of this name.
    pub(super) fn named(name: &str) -> io::Result<Option<Self>> {
        let (passwd, group) = (text("/etc/passwd")?, text("/etc/group")?);
        Ok(Self::find(&passwd, &group, |fields| fields.first() == Some(&name)))
    }

    /// Whoever runs us.
    pub(super) fn own() -> Who {
        let uid = getuid().as_raw().to_string();
        let passwd = text("/etc/passwd").unwrap_or_default();
        match Self::find(&passwd, "", |fields| fields.get(2) == Some(&uid.as_str())) {
            Some(account) => Who { name: account.name, home: account.home },
            None => Who { name: uid, home: "/".to_owned() },
        }
    }

    fn find(passwd: &str, group: &str, is_it: impl Fn(&[&str]) -> bool) -> Option<Self> {
        let line = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|line| is_it(line))?;
        let [name, _, uid, gid, _, home, ..] = line.as_slice() else { return None };
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        let mut groups = vec![gid];
        for line in group.lines() {
            let fields: Vec<_> = line.split(':').collect();
            if let [_, _, number, members, ..] = fields.as_slice()
                && members.split(',').any(|member| member == *name)
                && let Ok(number) = number.parse()
                && !groups.contains(&number)
            {
                groups.push(number);
            }
        }
        Some(Self { name: (*name).to_owned(), uid, gid, home: (*home).to_owned(), groups })
    }

    /// It is who runs us.
    pub(super) fn is_ours(&self) -> bool {
        self.uid == geteuid().as_raw() && self.gid == getegid().as_raw()
    }

    /// Of the hidden verb that becomes it.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut words =
            vec!["--uid".to_owned(), self.uid.to_string(), "--gid".to_owned(), self.gid.to_string()];
        for group in &self.groups {
            words.extend(["--group".to_owned(), group.to_string()]);
        }
        words.push("--".to_owned());
        words
    }
}

/// The hidden verb `become-user`: gives up who we are for good, then becomes the program. Comes back only if it fails.
pub(crate) fn become_user(asked: &AsUser) -> ExitCode {
    let words = match switch(asked) {
        Ok(()) => {
            let (program, arguments) =
                asked.command.split_first().unwrap_or((const { &OsString::new() }, &[]));
            let error = Command::new(program).args(arguments).exec();
            format!("{}: {error}", cli::shown(program.as_encoded_bytes()))
        }
        Err(error) => format!("cannot become user {}: {error}", asked.uid),
    };
    // The runner may be gone.
    let _ = writeln!(io::stderr(), "{words}");
    NOT_STARTED.into()
}

/// Groups first: without the user there is no right to them any more.
fn switch(asked: &AsUser) -> io::Result<()> {
    let (Some(uid), Some(gid)) = (plain(asked.uid), plain(asked.gid)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let groups: Vec<Gid> = asked.groups.iter().filter_map(|group| plain(*group)).map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    if (getuid(), geteuid(), getgid(), getegid()) != (uid, uid, gid, gid) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // The kernel takes them with the user, unless whoever started us asked it not to. Another name of root's keeps them.
    match uid.is_root() {
        true => Ok(()),
        false => drop_capabilities().map(drop).map_err(io::Error::other),
    }
}

/// Comments of accounts are in any encoding.
fn text(path: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// The number that means "unchanged" is nobody's.
fn plain(number: u32) -> Option<u32> {
    (number != u32::MAX).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_the_groups_that_name_it() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres:x:104:112:,,,:/var/lib/postgresql:/bin/bash\nbad:x:y:1::/:\n";
        let group = "root:x:0:\npostgres:x:112:\nssl-cert:x:113:www,postgres\nnear:x:114:postgres2\n";
        let found = |name: &str| Account::find(passwd, group, |fields| fields.first() == Some(&name));
        let postgres = found("postgres").unwrap();
        assert_eq!(
            (postgres.uid, postgres.gid, postgres.groups.as_slice()),
            (104, 112, [112, 113].as_slice())
        );
        assert_eq!(postgres.home, "/var/lib/postgresql");
        assert_eq!((found("bad"), found("post")), (None, None));
        assert!(Account::own().home.starts_with('/'));
    }
}
