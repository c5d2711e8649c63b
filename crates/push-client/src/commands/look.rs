//! Whether commands can be run, as far as it can be seen without running them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::account::Account;
use super::{CommandError, Kind, PATH};
use crate::plan::{Commands, Task};

/// Each program is there, and each account; how many there are.
pub(crate) fn look(commands: &Commands) -> Result<String, CommandError> {
    let dumps: Vec<_> = commands.dumps.iter().map(|dump| &dump.task).collect();
    let (before, after) = (commands.before.iter().collect(), commands.after.iter().collect());
    for (kind, tasks) in [(Kind::Before, before), (Kind::Dump, dumps), (Kind::After, after)] {
        for (number, task) in (1..).zip::<Vec<&Task>>(tasks) {
            let what = kind.word();
            can_run(task).map_err(|why| CommandError::CannotRun { what, number, name: task.name(), why })?;
        }
    }
    let Commands { before, dumps, after } = commands;
    Ok(format!("{} before, {} dumps, {} after", before.len(), dumps.len(), after.len()))
}

/// What is not there.
fn can_run(task: &Task) -> Result<(), String> {
    if let Some(name) = &task.user {
        let account =
            Account::named(name).map_err(|error| format!("failed to read the accounts: {error}"))?;
        account.ok_or_else(|| format!("there is no account {}", cli::shown(name.as_bytes())))?;
    }
    let program = task.words.first().map_or("", String::as_str);
    let is_program = |path: &Path| {
        fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    match program.starts_with('/') {
        true if is_program(Path::new(program)) => Ok(()),
        true => Err("there is no such program".to_owned()),
        false if PATH.split(':').any(|folder| is_program(&Path::new(folder).join(program))) => Ok(()),
        false => Err(format!("there is no such program in {PATH}")),
    }
}
