//! Accounts and groups of this machine: asked for one by one while they are changed, or read at once for a list of many hosts.

use std::collections::HashMap;

use crate::account::{self, Account, account_of, getent, group_of};
use crate::trouble::Trouble;

/// Names in one command line: far below what Linux takes.
const NAMES_MAX: usize = 1_000;

/// Where to look accounts up.
#[derive(Debug)]
pub(crate) enum Book {
    /// The machine, each time.
    Machine,
    /// What the machine said once.
    Read {
        /// By name.
        accounts: HashMap<String, Account>,
        /// Numbers by name.
        groups: HashMap<String, u32>,
    },
}

impl Book {
    /// Reads at once what there is of these names, for accounts and for groups.
    pub(crate) fn read(names: &[String]) -> Result<Self, Trouble> {
        Ok(Book::Read {
            accounts: table("passwd", names, account_of)?,
            groups: table("group", names, group_of)?,
        })
    }

    /// An account by its name.
    pub(crate) fn account(&self, name: &str) -> Result<Option<Account>, Trouble> {
        match self {
            Book::Machine => account::account(name),
            Book::Read { accounts, .. } => Ok(accounts.get(name).cloned()),
        }
    }

    /// A group's number by its name.
    pub(crate) fn group(&self, name: &str) -> Result<Option<u32>, Trouble> {
        match self {
            Book::Machine => account::group(name),
            Book::Read { groups, .. } => Ok(groups.get(name).copied()),
        }
    }
}

/// All that the machine lists. A directory service need not list what it knows: what is missing is asked for by name.
fn table<T>(
    database: &str,
    names: &[String],
    read: impl Fn(&str) -> Option<(&str, T)>,
) -> Result<HashMap<String, T>, Trouble> {
    let mut found: HashMap<String, T> = HashMap::new();
    let mut missing: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut text = getent(database, &[])?;
    loop {
        for (name, value) in text.lines().filter_map(&read) {
            // The first is the one that counts, as for everybody who asks.
            found.entry(name.to_owned()).or_insert(value);
        }
        missing.retain(|name| !found.contains_key(*name));
        let asked = missing.split_off(missing.len().saturating_sub(NAMES_MAX));
        if asked.is_empty() {
            return Ok(found);
        }
        text = getent(database, &asked)?;
    }
}
