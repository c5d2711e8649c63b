//! What a run takes beside time: memory, room, processor.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pipeline_tests::Outcome;

use crate::bench::memory::mark;
use crate::trouble::{Result, Trouble};

const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The most that a process took at one time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Peak {
    /// Resident memory, bytes.
    pub(super) memory: u64,
    /// More of the file system than before it began, bytes.
    pub(super) disk: u64,
}

/// Runs `command` and looks at it until it ends.
pub(super) fn watch(command: &mut Command, disk: &Path) -> Result<Peak> {
    let before = used(disk)?;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut peak = Peak::default();
    while child.try_wait()?.is_none() {
        peak.memory = peak.memory.max(memory(&child));
        peak.disk = peak.disk.max(used(disk)?.saturating_sub(before));
        std::thread::sleep(LOOK_EVERY);
    }
    if child.wait()?.success() { Ok(peak) } else { Err(Trouble::new("what was watched failed")) }
}

fn memory(child: &Child) -> u64 {
    mark(&std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default())
}

fn used(disk: &Path) -> Result<u64> {
    let mut command = Command::new("df");
    let said =
        Outcome::of(command.args(["--output=used", "--block-size=1"]).arg(disk))?.expect_code(&[0])?.stdout;
    let used = said.lines().last().and_then(|line| line.trim().parse().ok());
    used.ok_or_else(|| Trouble::new("df does not say what is used"))
}

/// Wall and processor seconds of a shell's line, with its arguments as `$1`...
pub(super) struct Took {
    pub(super) wall: f64,
    pub(super) processor: f64,
    pub(super) stdout: String,
}

/// Runs `script` in bash, which counts what it and all it started took.
pub(super) fn timed(script: &str, arguments: &[&str]) -> Result<Took> {
    let wrapped = format!("set -o pipefail; TIMEFORMAT='%R %U %S'; time {{ {script}; }}");
    let outcome = Outcome::of(Command::new("bash").args(["-c", &wrapped, "bash"]).args(arguments))?;
    let outcome = outcome.expect_code(&[0])?;
    let figures = outcome.stderr.lines().last().unwrap_or_default();
    let seconds: Vec<f64> = figures.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[wall, user, system] = seconds.as_slice() else {
        return Err(Trouble::new(format!("bash gives no times: {figures:?}")));
    };
    Ok(Took { wall, processor: user + system, stdout: outcome.stdout })
}
