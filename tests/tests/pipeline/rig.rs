//! What the tests share.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use pipeline_tests::checker::history::{self, Found};
use pipeline_tests::checker::{Moment, told};
use pipeline_tests::machine::find_program;
use pipeline_tests::{Fleet, Host, Options, Power, Profile, Programs, Scratch, clock};

/// The five programs, built once.
pub(crate) fn programs() -> &'static Programs {
    static BUILT: OnceLock<Programs> = OnceLock::new();
    BUILT.get_or_init(|| Programs::build(Profile::Dev).unwrap())
}

/// A scratch server with these options.
pub(crate) fn scratch(options: &Options) -> Scratch {
    Scratch::new(programs(), options).unwrap()
}

/// Tells that a test did not run. The line is counted, and the test is not counted as passed.
pub(crate) fn skipped(test: &str, reason: &str) {
    println!("SKIPPED: {test}: {reason}");
}

/// Whether root runs this; if not, tells that `test` did not run.
pub(crate) fn is_root_or_skipped(test: &str) -> bool {
    let root = Power::here() == Power::Root;
    if !root {
        skipped(test, "needs root");
    }
    root
}

/// Whether all these programs are on the machine; if not, tells that `test` did not run.
pub(crate) fn has_or_skipped(test: &str, programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| find_program(program).is_none());
    if let Some(program) = missing {
        skipped(test, &format!("there is no {program}"));
    }
    missing.is_none()
}

/// Whether programs can be shown another time here; if not, tells that `test` did not run.
pub(crate) fn has_other_times_or_skipped(test: &str) -> bool {
    let is_there = clock::library().is_file();
    if !is_there {
        skipped(test, "there is no faketime");
    }
    is_there
}

/// Whether this machine can have a fleet; if not, tells that `test` did not run.
pub(crate) fn has_fleet_or_skipped(test: &str) -> bool {
    static LACKING: OnceLock<Option<String>> = OnceLock::new();
    let lacking = LACKING.get_or_init(|| Fleet::lacking().unwrap());
    if let Some(reason) = lacking {
        skipped(test, reason);
    }
    lacking.is_none()
}

/// Whether units can have accounts of their own here, which a chroot does not give; if not, tells that `test` did not run.
pub(crate) fn has_user_namespaces_or_skipped(test: &str) -> bool {
    let tried = Command::new("unshare").args(["--user", "true"]).output();
    let works = tried.is_ok_and(|tried| tried.status.success());
    if !works {
        skipped(test, "no user namespaces here");
    }
    works
}

/// A mount and process namespace that ends with its command, for `sh` and what follows it.
pub(crate) fn unshared() -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
    ]);
    command
}

/// Names the test that runs apart already.
const APART: &str = "FIRN_APART";

/// Whether `test` of this module runs in a mount namespace of its own, where it may mount: all of that ends with it. If not, it is run again in one,
/// to its end.
pub(crate) fn is_apart(module: &str, test: &str) -> bool {
    if std::env::var_os(APART).is_some_and(|name| name == test) {
        return true;
    }
    let _turn = turn();
    let (_, module) = module.split_once("::").unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--fork", "--kill-child"]);
    command.arg(std::env::current_exe().unwrap()).arg(format!("{module}::{test}"));
    // With one thread, its name would stand before the first line that it prints.
    command.args(["--exact", "--nocapture", "--test-threads=2"]).env(APART, test);
    let outcome = pipeline_tests::Outcome::of(&mut command).unwrap();
    let is_own =
        |line: &&str| !line.is_empty() && !line.starts_with("running ") && !line.starts_with("test ");
    outcome.stdout.lines().filter(is_own).for_each(|line| println!("{line}"));
    assert!(outcome.code == 0 && outcome.stdout.contains("1 passed"), "{}", outcome.said());
    false
}

/// Two cores do not serve many servers at once: tests that measure time or kill processes take turns.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The receiver of a host as sshd starts it: in the chroot, under the host's account. As an ordinary user, by its forced command.
pub(crate) fn receiver(scratch: &Scratch, host: &Host) -> Command {
    match scratch.power {
        Power::Root => {
            let mut command = Command::new("chroot");
            // In the jail there is nobody to ask for the numbers of names.
            let (user, group) = (number_of(&host.account), asked("-g", &host.account));
            command.arg(format!("--userspec={user}:{group}")).arg("--groups=").arg(&host.jail);
            command.args(["/bin/receiver", "-c", "receive"]);
            command
        }
        Power::User => {
            let mut command = Command::new(scratch.folder.join("bin/receiver"));
            command.arg("--jail").arg(&host.jail);
            command
        }
    }
}

/// Puts a file among the sealed ones, as an attacker could who has taken over the receiver.
pub(crate) fn place(scratch: &Scratch, host: &Host, name: &str, bytes: &[u8]) -> PathBuf {
    let path = host.jail.join("spool/sealed").join(name);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    if scratch.power == Power::Root {
        chown(&path, Some(number_of(&host.account)), None).unwrap();
    }
    path
}

/// The number of an account.
pub(crate) fn number_of(account: &str) -> u32 {
    asked("-u", account)
}

fn asked(option: &str, account: &str) -> u32 {
    let said = Command::new("id").args([option, account]).output().unwrap().stdout;
    String::from_utf8(said).unwrap().trim().parse().unwrap()
}

/// Checks a host's history and spool, which must be as promised.
pub(crate) fn sound(scratch: &Scratch, host: &Host, moment: Moment) -> Found {
    let mut found = history::check(&scratch.history(&host.name), &host.name, moment);
    if moment == Moment::Quiet {
        found.breaches.extend(history::spool_leftovers(&host.jail));
    }
    found.breaches.extend(history::shared_inodes(&host.jail, &scratch.history(&host.name)));
    assert!(found.breaches.is_empty(), "{}:\n{}", host.name, told(&found.breaches));
    found
}

/// A file with these bytes, and the folders above it.
pub(crate) fn file(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
