//! Ends the live sessions of an account that may have no more.

use std::fs::{self, File};
use std::io::Read;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::trouble::Trouble;

/// How long the processes of an account may take to go.
const ENDING: Duration = Duration::from_secs(10);
/// Between two looks. A login that was let in just before the key went is seen by the second.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longest `status` of a process.
const STATUS_BYTES_MAX: u64 = 64 * 1024;

/// Ends every process of this account, and tells how many there were. Returns when two looks, one after the other, found none.
pub(crate) fn end(user: u32) -> Result<usize, Trouble> {
    if user == 0 {
        return Err(Trouble::Machine { what: "root is no host's account".to_owned() });
    }
    let until = Instant::now() + ENDING;
    let (mut ended, mut quiet) = (0, 0);
    while quiet < 2 {
        let found = end_now(user)?;
        ended += found;
        quiet = if found == 0 { quiet + 1 } else { 0 };
        if quiet < 2 {
            if Instant::now() > until {
                return Err(Trouble::Machine {
                    what: format!("processes of account number {user} do not end"),
                });
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
    Ok(ended)
}

/// How many processes of this account live.
pub(crate) fn count(user: u32) -> Result<usize, Trouble> {
    Ok(processes()?.into_iter().filter(|pid| is_of(*pid, user)).count())
}

fn end_now(user: u32) -> Result<usize, Trouble> {
    let mut found = 0;
    for pid in processes()? {
        // Held before it is looked at: the number cannot become another process's in between.
        let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        if is_of(pid, user) {
            found += 1;
            // One that has ended by itself meanwhile is as good.
            let _ = pidfd_send_signal(&held, Signal::KILL);
        }
    }
    Ok(found)
}

/// The processes of the machine. Where /proc hides those of others there is no telling who lives, and none is not the answer.
fn processes() -> Result<Vec<Pid>, Trouble> {
    File::open("/proc/1/status").map_err(|_| Trouble::Machine {
        what: "the processes of others are hidden here: /proc/1/status cannot be read".to_owned(),
    })?;
    let entries = fs::read_dir("/proc").map_err(Trouble::stream("listing the processes"))?;
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(numbers.filter_map(Pid::from_raw).collect())
}

/// Whether any of its numbers is the account's. One that only waits to be asked how it ended does nothing more.
fn is_of(pid: Pid, user: u32) -> bool {
    let mut status = String::new();
    let read = File::open(format!("/proc/{}/status", pid.as_raw_nonzero()))
        .and_then(|file| file.take(STATUS_BYTES_MAX).read_to_string(&mut status));
    if read.is_err() {
        return false;
    }
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let dead = field("State").is_some_and(|state| state.trim_start().starts_with(['Z', 'X']));
    let numbers = field("Uid").unwrap_or_default();
    let is_theirs = numbers.split_ascii_whitespace().any(|number| number.parse() == Ok(user));
    !dead && is_theirs && !is_in_a_container(pid)
}

/// True in a container that root has started: it has process numbers of its own and the machine's users, and there the account's number is somebody else's.
/// Whoever makes such a place without root has users of its own as well, and does not get away by that. What cannot be told counts as the account's.
fn is_in_a_container(pid: Pid) -> bool {
    let process = pid.as_raw_nonzero().to_string();
    let room = |process: &str, kind: &str| fs::read_link(format!("/proc/{process}/ns/{kind}")).ok();
    room(&process, "pid") != room("self", "pid") && room(&process, "user") == room("self", "user")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// Starts a process with numbers of its own, by `unshare` with these options; none where that is not possible. Gives what is to be ended, and the process.
    fn apart(options: &[&str]) -> Option<(std::process::Child, Pid)> {
        let mut command = Command::new("unshare");
        command.args(options).args(["--pid", "--fork", "--kill-child", "sleep", "60"]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let until = Instant::now() + ENDING;
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            let inner = fs::read_to_string(&children).ok().and_then(|text| text.trim().parse().ok());
            let is_there = |pid: &i32| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
            };
            if let Some(pid) = inner.filter(is_there) {
                return Some((child, Pid::from_raw(pid).unwrap()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
        None
    }

    /// Whether a process apart is one of ours; none where there are no namespaces, which is told in the name of the test.
    fn is_ours(test: &str, options: &[&str]) -> Option<bool> {
        let me = rustix::process::geteuid().as_raw();
        assert!(is_of(rustix::process::getpid(), me));
        let Some((mut child, inner)) = apart(options) else {
            println!("SKIPPED: {test}: no namespaces by unshare {}", options.join(" "));
            return None;
        };
        let found = is_of(inner, me);
        child.kill().unwrap();
        child.wait().unwrap();
        Some(found)
    }

    #[test]
    fn in_a_container_of_roots_the_number_of_an_account_is_somebody_elses() {
        let test = "in_a_container_of_roots_the_number_of_an_account_is_somebody_elses";
        assert_ne!(is_ours(test, &[]), Some(true));
    }

    #[test]
    fn who_makes_a_container_without_root_does_not_get_away_by_that() {
        let test = "who_makes_a_container_without_root_does_not_get_away_by_that";
        assert_ne!(is_ours(test, &["--user", "--map-root-user"]), Some(false));
    }
}
