//! A walk in a thread of its own, ahead of whoever takes what it meets: folders are listed and looked at while the server is still being reached, and while files
//! are read.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{io, mem, thread};

use formats::RelPath;
use rustix::process::{Resource, getrlimit};

use super::facts::{Facts, Shift};
use super::selection::Selection;
use super::walker::{Found, Missed, Visit, Walker};

/// What is handed over at once.
const BATCH: usize = 64;
/// Of them, at most so many open folders: a tree of folders alone must not use up the descriptors.
const BATCH_FOLDERS: usize = 4;
/// Batches that may wait.
const BATCHES_MAX: usize = 512;
/// One of so many descriptors that this process may hold is for folders that wait.
const DESCRIPTORS_SHARE: u64 = 4;

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

/// A walk under way.
#[derive(Debug)]
pub struct Ahead {
    batches: Receiver<Batch>,
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

impl Ahead {
    /// Starts to walk what `selection` chooses below `top`. Dropped, it ends at its next batch.
    pub fn start(selection: Arc<Selection>, top: OwnedFd) -> io::Result<Self> {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let (to, batches) = sync_channel(batches_for(descriptors));
        let walk = move || {
            let mut scout = Scout { to, met: Vec::with_capacity(BATCH), folders: 0 };
            let walked = Walker::beneath(&selection, top).walk(&mut scout);
            // Whoever does not listen any more needs no end.
            let _ = walked.and_then(|()| scout.hand_over()).and_then(|()| scout.send(Batch::End));
        };
        thread::Builder::new().name("walk".to_owned()).spawn(walk)?;
        Ok(Self { batches })
    }

    /// Tells `visit` what is met and was not told before, in the walk's order, to its end or until `visit` stops it.
    pub fn tell<V: Visit>(&self, visit: &mut V) -> Result<Walked, V::Stop> {
        for batch in &self.batches {
            let Batch::Met(met) = batch else { return Ok(Walked::Whole) };
            for met in met {
                met.tell(visit)?;
            }
        }
        Ok(Walked::Part)
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
    met: Vec<Met>,
    folders: usize,
}

impl Scout {
    fn note(&mut self, met: Met) -> Result<(), Unheard> {
        self.met.push(met);
        if self.met.len() < BATCH && self.folders < BATCH_FOLDERS { Ok(()) } else { self.hand_over() }
    }

    fn hand_over(&mut self) -> Result<(), Unheard> {
        self.folders = 0;
        let met = mem::replace(&mut self.met, Vec::with_capacity(BATCH));
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
        self.folders += usize::from(open.is_some());
        self.note(Met::Found {
            path: path.clone(),
            folder: Arc::clone(folder),
            facts,
            open: open.map(Arc::clone),
            shift,
        })
    }

    fn missed(&mut self, path: &[u8], why: Missed) -> Result<(), Unheard> {
        self.note(Met::Missed { path: path.to_vec(), why })
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
        assert_eq!(Ahead { batches }.tell(&mut seen), Ok(Walked::Part));
        assert_eq!(seen.0, [b"missed a"]);
    }

    #[test]
    fn folders_that_wait_leave_most_descriptors_to_the_walk() {
        for descriptors in [0, 64, 256, 1024, 4096, 1 << 20, u64::MAX] {
            let batches = batches_for(descriptors);
            let folders = (batches * BATCH_FOLDERS) as u64;
            assert!(batches >= 1 && folders <= (descriptors / 4).max(4), "{descriptors}: {folders}");
            assert!(batches <= BATCHES_MAX);
        }
    }
}
