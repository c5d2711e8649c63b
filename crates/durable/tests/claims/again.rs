//! Running one test of this binary again as a process of its own: as another user, under strace, or to be killed.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Set for the second run, to the folder it works in.
const FOLDER: &str = "FIRN_DURABLE_TEST_FOLDER";

/// The folder, if this is the second run.
pub(crate) fn folder() -> Option<std::path::PathBuf> {
    std::env::var_os(FOLDER).map(Into::into)
}

/// This binary, about to run `test` alone, behind `wrapper` (a program and its arguments, or nothing).
pub(crate) fn again<S: AsRef<OsStr>>(wrapper: &[S], test: &str, folder: &Path) -> Command {
    let mut command = match wrapper {
        // Not by its path: another user may not reach that.
        [] => Command::new("/proc/self/exe"),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(std::env::current_exe().unwrap());
            command
        }
    };
    command.args(["--exact", test, "--nocapture", "--test-threads", "1"]).env(FOLDER, folder);
    command
}

pub(crate) fn strace_works() -> bool {
    Command::new("strace").args(["-e", "trace=none", "true"]).output().is_ok_and(|done| done.status.success())
}
