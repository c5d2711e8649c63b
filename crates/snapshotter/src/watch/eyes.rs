//! What the kernel tells of arrivals (inotify). It may tell too little: then the sweep finds the rest. A folder is watched through its descriptor, never
//! by a path that somebody could bend.

use std::collections::{HashMap, HashSet};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use cli::{Console, Monitor};
use durable::Dir;
use formats::HostId;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Most events that are taken in one go: a flood must not keep this process from its work.
const EVENTS_MAX: usize = 32_768;
/// Two goes are at least so far apart, for the same reason.
const EVERY: Duration = Duration::from_millis(50);

/// A receiver renames; others may link.
const ARRIVALS: WatchFlags = WatchFlags::MOVED_TO.union(WatchFlags::CREATE).union(WatchFlags::ONLYDIR);

/// The watches.
#[derive(Debug)]
pub(crate) struct Eyes {
    /// None where the system gives none.
    events: Result<OwnedFd, Errno>,
    hosts: HashMap<i32, HostId>,
    jails: Option<i32>,
    /// Confirmed by the sweep that is going on.
    round: Option<HashSet<i32>>,
    has_lost: bool,
    is_said: bool,
    taken: Option<Instant>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Hosts in whose folders something arrived.
    pub(crate) hosts: HashSet<HostId>,
    /// Something arrived in the folder of all jails.
    pub(crate) is_jails: bool,
}

impl Eyes {
    /// With nothing to look at yet.
    pub(crate) fn new() -> Self {
        Self {
            events: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC),
            hosts: HashMap::new(),
            jails: None,
            round: None,
            has_lost: false,
            is_said: false,
            taken: None,
        }
    }

    /// What to wait on; nothing while the last events were taken a moment ago.
    pub(crate) fn events(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().ok().map(AsFd::as_fd).filter(|_| self.rest().is_none())
    }

    /// For how long no events are taken, if so.
    pub(crate) fn rest(&self) -> Option<Duration> {
        self.taken.and_then(|taken| EVERY.checked_sub(taken.elapsed())).filter(|rest| !rest.is_zero())
    }

    /// True from when events were lost until a sweep made up for them.
    pub(crate) fn has_lost(&self) -> bool {
        self.has_lost
    }

    /// Every folder is going to be watched anew: one that was watched already stays so, and one that lies elsewhere now is found.
    pub(crate) fn begin_round(&mut self) {
        self.has_lost = false;
        self.round = Some(HashSet::new());
    }

    /// Forgets the folders that the round did not come by.
    pub(crate) fn end_round(&mut self) {
        let (Some(round), Ok(events)) = (self.round.take(), &self.events) else { return };
        self.hosts.retain(|watch, _| {
            let stays = round.contains(watch);
            if !stays {
                // It may be gone by itself, with its folder.
                let _ = inotify::remove_watch(events, *watch);
            }
            stays
        });
    }

    /// Watches the folder of all jails.
    pub(crate) fn watch_jails(&mut self, folder: &Dir, console: &Console) {
        self.jails = self.add(folder, console);
    }

    /// Watches the folder of a host's sealed pushes.
    pub(crate) fn watch(&mut self, host: &HostId, folder: &Dir, console: &Console) {
        if let Some(watch) = self.add(folder, console) {
            if let Some(round) = &mut self.round {
                round.insert(watch);
            }
            self.hosts.insert(watch, host.clone());
        }
    }

    fn add(&mut self, folder: &Dir, console: &Console) -> Option<i32> {
        let path = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd());
        let watched = self.events.as_ref().map_err(|error| *error);
        match watched.and_then(|events| inotify::add_watch(events, path, ARRIVALS)) {
            Ok(watch) => Some(watch),
            Err(error) => {
                self.say(error, console);
                None
            }
        }
    }

    /// Once: the sweep does its work all the same.
    fn say(&mut self, error: Errno, console: &Console) {
        if std::mem::replace(&mut self.is_said, true) {
            return;
        }
        let why = match error {
            Errno::NOSPC => "the system gives no more watches; raise fs.inotify.max_user_watches".to_owned(),
            Errno::MFILE => "the system gives no inotify; raise fs.inotify.max_user_instances".to_owned(),
            other => std::io::Error::from(other).to_string(),
        };
        let watched = self.hosts.len();
        console.warn(&format!(
            "only {watched} hosts are watched, the others are looked at by the sweep only: {why}"
        ));
    }

    /// Takes what there is, without waiting; soon after the last time, nothing.
    pub(crate) fn take(&mut self) -> Seen {
        let mut seen = Seen::default();
        let (Ok(events), None) = (&self.events, self.rest()) else { return seen };
        let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
        let mut reader = Reader::new(events, &mut buffer);
        let mut taken = 0_usize;
        while taken < EVENTS_MAX || !reader.is_buffer_empty() {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) => break,
                Err(_) => {
                    self.has_lost = true;
                    break;
                }
            };
            taken += 1;
            self.taken = Some(Instant::now());
            let (watch, what) = (event.wd(), event.events());
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                self.has_lost = true;
            } else if self.jails == Some(watch) {
                seen.is_jails = true;
            } else if what.contains(ReadFlags::IGNORED) {
                self.hosts.remove(&watch);
            } else if let Some(host) = self.hosts.get(&watch) {
                seen.hosts.insert(host.clone());
            }
        }
        seen
    }
}
