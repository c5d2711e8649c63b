//! A walk in a thread of its own, ahead of whoever takes what it meets: folders are listed and looked at while the server is still being reached, and while files
//! are read.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, mem};

use formats::RelPath;
use rustix::process::{Resource, getrlimit};

use super::facts::{Facts, Shift};
use super::selection::Selection;
use super::walker::{Found, Missed, Visit, Walker};

/// What is handed over at once.
const BATCH: usize = 64;
/// Or sooner, after so many bytes of paths: long ones must not use up the memory.
const BATCH_PATH_BYTES: usize = 8 * 1024;
/// Or sooner, with so many folders held: a tree of folders alone must not use up the descriptors.
const BATCH_FOLDERS: usize = 8;
/// Batches that may wait.
const BATCHES_MAX: usize = 512;
/// One of so many descriptors that this process may hold is for folders that wait.
const DESCRIPTORS_SHARE: u64 = 4;
/// How long nothing may be met before whoever waits is asked whether to go on.
const PATIENCE: Duration = Duration::from_millis(200);
/// A walk that is not wanted any more is waited for so long; one that hangs in a mount whose server is gone is left behind.
const ENDING: Duration = Duration::from_secs(5);
const ENDING_LOOK: Duration = Duration::from_millis(2);

/// What a walk met.
enum Met {
    Found { path: RelPath, folder: Arc<OwnedFd>, facts: Facts, open: Option<Arc<OwnedFd>>, shift: Shift },
    Missed { path: Vec<u8>, why: Missed },
}

enum Batch {
    Met(Vec<Met>),
    /// The walk has come to its end. Without it, it has not, whatever became of the thread.
    End,
}

/// A walk under way. When it is dropped the walk has ended and let go of its folders, unless it hangs.
#[derive(Debug)]
pub struct Ahead {
    batches: Option<Receiver<Batch>>,
    thread: Option<JoinHandle<()>>,
    is_unwanted: Arc<AtomicBool>,
}

/// How far a walk has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "what a walk that was cut short did not meet is not gone"]
pub enum Walked {
    /// To its end.
    Whole,
    /// Its thread ended before.
    Part,
}

impl Walked {
    /// Something if it is whole.
    pub fn whole(self) -> Option<()> {
        (self == Walked::Whole).then_some(())
    }
}

impl Ahead {
    /// Starts to walk what `selection` chooses below `top`.
    pub fn start(selection: Arc<Selection>, top: OwnedFd) -> io::Result<Self> {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let (to, batches) = sync_channel(batches_for(descriptors));
        let is_unwanted = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&is_unwanted);
        let walk = move || {
            let mut scout = Scout { to, is_over, met: Vec::new(), path_bytes: 0, folders: 0, last: None };
            let walked = Walker::beneath(&selection, top).walk(&mut scout);
            // Whoever does not listen any more needs no end.
            let _ = walked.and_then(|()| scout.hand_over()).and_then(|()| scout.send(Batch::End));
        };
        let thread = thread::Builder::new().name("walk".to_owned()).spawn(walk)?;
        Ok(Self { batches: Some(batches), thread: Some(thread), is_unwanted })
    }

    /// Tells `visit` what is met and was not told before, in the walk's order, to its end or until `visit` stops it.
    pub fn tell<V: Visit>(&self, visit: &mut V) -> Result<Walked, V::Stop> {
        let Some(batches) = &self.batches else { return Ok(Walked::Part) };
        loop {
            match batches.recv_timeout(PATIENCE) {
                Ok(Batch::Met(met)) => met.into_iter().try_for_each(|met| met.tell(visit))?,
                Ok(Batch::End) => return Ok(Walked::Whole),
                Err(RecvTimeoutError::Timeout) => visit.waiting()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(Walked::Part),
            }
        }
    }

    /// The rest is not wanted: the walk ends, and lets go of its folders, so that what it walked can be unmounted.
    pub fn end(&mut self) {
        self.is_unwanted.store(true, Ordering::Relaxed);
        // Whoever waits for room in the queue sees this.
        self.batches = None;
        let Some(thread) = self.thread.take() else { return };
        let until = Instant::now() + ENDING;
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(ENDING_LOOK);
        }
        if thread.is_finished() {
            // If it panicked, it has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.end();
    }
}

impl Met {
    fn tell<V: Visit>(self, visit: &mut V) -> Result<(), V::Stop> {
        match self {
            Met::Found { path, folder, facts, open, shift } => visit.found(&Found {
                path: &path,
                folder: &folder,
                name: path.file_name(),
                facts,
                open: open.as_ref(),
                shift,
            }),
            Met::Missed { path, why } => visit.missed(&path, why),
        }
    }
}

/// Nobody takes what is met.
struct Unheard;

/// Takes note of what is met, and hands it over.
struct Scout {
    to: SyncSender<Batch>,
    is_over: Arc<AtomicBool>,
    met: Vec<Met>,
    path_bytes: usize,
    /// Folders that `met` may hold, each counted at least once.
    folders: usize,
    /// The folder of what was met last.
    last: Option<Arc<OwnedFd>>,
}

impl Scout {
    fn note(&mut self, met: Met, path: &[u8]) -> Result<(), Unheard> {
        if self.is_over.load(Ordering::Relaxed) {
            return Err(Unheard);
        }
        self.met.push(met);
        self.path_bytes += path.len();
        let is_full =
            self.met.len() >= BATCH || self.path_bytes >= BATCH_PATH_BYTES || self.folders >= BATCH_FOLDERS;
        if is_full { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> Result<(), Unheard> {
        (self.folders, self.path_bytes, self.last) = (0, 0, None);
        let met = mem::take(&mut self.met);
        self.send(Batch::Met(met))
    }

    fn send(&self, batch: Batch) -> Result<(), Unheard> {
        self.to.send(batch).map_err(|_| Unheard)
    }
}

impl Visit for Scout {
    type Stop = Unheard;

    fn found(&mut self, found: &Found<'_>) -> Result<(), Unheard> {
        let Found { path, folder, facts, open, shift, .. } = *found;
        let is_same = self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, folder));
        self.folders += usize::from(open.is_some()) + usize::from(!is_same);
        self.last = Some(Arc::clone(folder));
        let met = Met::Found {
            path: path.clone(),
            folder: Arc::clone(folder),
            facts,
            open: open.map(Arc::clone),
            shift,
        };
        self.note(met, path.as_bytes())
    }

    fn missed(&mut self, path: &[u8], why: Missed) -> Result<(), Unheard> {
        self.note(Met::Missed { path: path.to_vec(), why }, path)
    }
}

/// So many that the folders in them leave most of the descriptors for the walk.
fn batches_for(descriptors: u64) -> usize {
    let folders = usize::try_from(descriptors / DESCRIPTORS_SHARE).unwrap_or(usize::MAX);
    (folders / BATCH_FOLDERS).clamp(1, BATCHES_MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[derive(Default)]
    struct Seen(Vec<Vec<u8>>);

    impl Visit for Seen {
        type Stop = Infallible;

        fn found(&mut self, found: &Found<'_>) -> Result<(), Infallible> {
            assert_eq!(found.name, found.path.file_name());
            // What is handed on is held: it can be looked at, however far the walk is by now.
            if found.facts.links == 1 {
                let again =
                    Facts::of_name(found.folder, found.name, super::super::Freshness::Cached).unwrap();
                assert_eq!(again.stamp, found.facts.stamp);
            }
            self.0.push(found.path.as_bytes().to_vec());
            Ok(())
        }

        fn missed(&mut self, path: &[u8], _: Missed) -> Result<(), Infallible> {
            self.0.push([b"missed ", path].concat());
            Ok(())
        }
    }

    fn of(selection: &Selection, top: &std::path::Path) -> (Selection, OwnedFd) {
        (selection.clone(), std::fs::File::open(top).unwrap().into())
    }

    #[test]
    fn what_is_met_ahead_is_what_a_walk_meets_in_its_order() {
        let scratch = tempfile::tempdir().unwrap();
        for folder in 0..300 {
            let folder = scratch.path().join(format!("data/{folder}/below"));
            std::fs::create_dir_all(&folder).unwrap();
            (0..5).for_each(|file| std::fs::write(folder.join(file.to_string()), b"x").unwrap());
        }
        let mut selection = Selection::default();
        selection.take(&[b"data".to_vec()]);
        selection.take(&[b"not there".to_vec()]);
        selection.leave(&[b"data".to_vec(), b"7".to_vec()]);
        let (mut there, mut ahead) = (Seen::default(), Seen::default());
        let (chosen, top) = of(&selection, scratch.path());
        let Ok(()) = Walker::beneath(&chosen, top).walk(&mut there);
        let (chosen, top) = of(&selection, scratch.path());
        let walk = Ahead::start(Arc::new(chosen), top).unwrap();
        assert_eq!(walk.tell(&mut ahead), Ok(Walked::Whole));
        assert_eq!(ahead.0, there.0);
        assert!(
            ahead.0.len() > 2_000 && ahead.0.contains(&b"missed not there".to_vec()),
            "{}",
            ahead.0.len()
        );
    }

    #[test]
    fn a_walk_whose_thread_ends_early_does_not_pass_for_a_whole_one() {
        let (to, batches) = sync_channel(2);
        to.send(Batch::Met(vec![Met::Missed { path: b"a".to_vec(), why: Missed::Vanished }])).unwrap();
        drop(to);
        let mut seen = Seen::default();
        let ahead = Ahead { batches: Some(batches), thread: None, is_unwanted: Arc::default() };
        assert_eq!(ahead.tell(&mut seen), Ok(Walked::Part));
        assert_eq!(seen.0, [b"missed a"]);
    }

    /// Descriptors of this process that lie below `top`.
    fn held_below(top: &std::path::Path) -> usize {
        let fds = std::fs::read_dir("/proc/self/fd").unwrap();
        let paths = fds.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
        paths.filter(|path| path.starts_with(top)).count()
    }

    #[test]
    fn a_walk_that_is_not_wanted_any_more_lets_go_of_its_folders() {
        let scratch = tempfile::tempdir().unwrap();
        for folder in 0..300 {
            std::fs::create_dir_all(scratch.path().join(format!("data/{folder}/below"))).unwrap();
        }
        let mut selection = Selection::default();
        selection.take(&[b"data".to_vec()]);
        let (chosen, top) = of(&selection, scratch.path());
        let walk = Ahead::start(Arc::new(chosen), top).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while held_below(scratch.path()) < 10 {
            assert!(Instant::now() < until, "nothing waits");
        }
        drop(walk);
        assert_eq!(held_below(scratch.path()), 0);
    }

    #[test]
    fn long_paths_are_handed_over_soon() {
        let (to, batches) = sync_channel(100);
        let (is_over, met) = (Arc::default(), Vec::new());
        let mut scout = Scout { to, is_over, met, path_bytes: 0, folders: 0, last: None };
        for _ in 0..60 {
            assert!(scout.missed(&[b'x'; 4_000], Missed::Vanished).is_ok());
        }
        assert_eq!(batches.try_iter().count(), 20);
    }

    #[test]
    fn folders_that_wait_leave_most_descriptors_to_the_walk() {
        for descriptors in [0, 64, 256, 1024, 4096, 1 << 20, u64::MAX] {
            let batches = batches_for(descriptors);
            let folders = (batches * BATCH_FOLDERS) as u64;
            assert!(batches >= 1 && folders <= (descriptors / 4).max(8), "{descriptors}: {folders}");
            assert!(batches <= BATCHES_MAX);
        }
    }
}
