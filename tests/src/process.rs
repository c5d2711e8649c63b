//! Ending processes by their number, and finding those that are ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// One process as `/proc` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    pid: u32,
    parent: u32,
    started: u64,
    user: u32,
}

/// All processes that descend from `pid`, itself included.
#[must_use]
pub fn family(pid: u32) -> Vec<u32> {
    let all = everyone();
    let mut found = vec![pid];
    // Every pass finds at least one generation more.
    loop {
        let before = found.len();
        for seen in &all {
            if found.contains(&seen.parent) && !found.contains(&seen.pid) {
                found.push(seen.pid);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// All processes of the user with number `user` on this machine. In a container, or on a machine of a rig, the same number is somebody else.
#[must_use]
pub fn of_user(user: u32) -> Vec<u32> {
    let Some(ours) = room("self") else { return Vec::new() };
    let theirs = everyone().into_iter().filter(|seen| seen.user == user).map(|seen| seen.pid);
    theirs.filter(|pid| room(&pid.to_string()).as_ref() == Some(&ours)).collect()
}

/// The namespace in which a process has its number.
fn room(process: &str) -> Option<PathBuf> {
    fs::read_link(Path::new("/proc").join(process).join("ns/pid")).ok()
}

/// When `pid` started, in clock ticks since boot: together with the number this names one process for good.
#[must_use]
pub fn started(pid: u32) -> Option<u64> {
    look(pid).map(|seen| seen.started)
}

/// Asks each to end, waits a little, then kills what is left.
pub fn end(pids: &[u32]) {
    let mine: Vec<Seen> = pids.iter().filter_map(|pid| look(*pid)).collect();
    signal(&mine, Signal::TERM);
    let until = Instant::now() + GRACE;
    while mine.iter().any(is_running) {
        if Instant::now() > until {
            signal(&mine, Signal::KILL);
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(those: &[Seen], signal: Signal) {
    for seen in those.iter().filter(|seen| is_running(seen)) {
        if let Some(pid) = i32::try_from(seen.pid).ok().and_then(Pid::from_raw) {
            // Gone already is what we want.
            let _ = kill_process(pid, signal);
        }
    }
}

fn is_running(seen: &Seen) -> bool {
    started(seen.pid) == Some(seen.started)
}

fn everyone() -> Vec<Seen> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(look).collect()
}

/// A zombie counts as gone.
fn look(pid: u32) -> Option<Seen> {
    use std::os::unix::fs::MetadataExt;
    let folder = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The name stands in brackets and may hold anything; the fields are counted after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    let user = fs::metadata(folder).ok()?.uid();
    Some(Seen { pid, parent, started, user })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn who_has_the_same_number_in_a_container_is_somebody_else() {
        let mut container = Command::new("unshare");
        container.args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child", "sleep", "60"]);
        let mut child = container.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        let inner = loop {
            match family(child.id()).as_slice() {
                [_, inner]
                    if fs::read_to_string(format!("/proc/{inner}/comm"))
                        .is_ok_and(|name| name == "sleep\n") =>
                {
                    break Some(*inner);
                }
                _ if child.try_wait().unwrap().is_some() || Instant::now() > until => break None,
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let Some(inner) = inner else {
            println!("SKIPPED: who_has_the_same_number_in_a_container_is_somebody_else: no namespaces here");
            end(&[child.id()]);
            let _ = child.wait();
            return;
        };
        let me = look(child.id()).unwrap().user;
        assert_eq!(look(inner).unwrap().user, me);
        let found = of_user(me);
        assert!(found.contains(&child.id()) && !found.contains(&inner), "{inner} in {found:?}");
        end(&[child.id()]);
        child.wait().unwrap();
    }

    #[test]
    fn a_child_is_family_and_ends_when_asked() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        assert!(family(std::process::id()).contains(&child.id()));
        end(&[child.id()]);
        assert!(!child.wait().unwrap().success());
        assert_eq!(started(child.id()), None);
    }
}
