//! Whether commands can be run, as far as it can be seen without running them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::account::Account;
use super::ended::How;
use super::{CommandError, Kind, PATH};
use crate::plan::{Commands, Task};

/// Each program is there, and each account; how many there are.
pub(crate) fn look(commands: &Commands) -> Result<String, CommandError> {
    let dumps: Vec<_> = commands.dumps.iter().map(|dump| &dump.task).collect();
    let (before, after) = (commands.before.iter().collect(), commands.after.iter().collect());
    for (kind, tasks) in [(Kind::Before, before), (Kind::Dump, dumps), (Kind::After, after)] {
        for (number, task) in (1..).zip::<Vec<&Task>>(tasks) {
            if !can_run(task) {
                let (what, how) = (kind.word(), How::NotStarted);
                return Err(CommandError::Failed { what, number, name: task.name(), how });
            }
        }
    }
    let Commands { before, dumps, after } = commands;
    Ok(format!("{} before, {} dumps, {} after", before.len(), dumps.len(), after.len()))
}

fn can_run(task: &Task) -> bool {
    let has_account = task.user.as_ref().is_none_or(|name| matches!(Account::named(name), Ok(Some(_))));
    let Some(program) = task.words.first() else { return false };
    let is_program = |path: &Path| {
        fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let is_there = match program.starts_with('/') {
        true => is_program(Path::new(program)),
        false => PATH.split(':').any(|folder| is_program(&Path::new(folder).join(program))),
    };
    has_account && is_there
}
