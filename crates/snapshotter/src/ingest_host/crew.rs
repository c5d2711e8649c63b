//! Threads that do what the main thread hands out, batch by batch, while it goes on ahead.
//!
//! The kernel does most of an ingest, one folder after another; on more than one processor it can do that for several folders at once. What needs an
//! order stays with the main thread. Nothing that a crew was given is still being done once it is finished or its scope is left.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::fault::{Fault, Here};

/// With more, they wait for each other inside the file system.
const WORKERS_MAX: usize = 4;
/// Batches that wait, for each worker.
const WAITING_MAX: usize = 2;

/// Workers, and the queue that they take from.
#[derive(Debug)]
pub(crate) struct Crew<'scope, T> {
    queue: SyncSender<T>,
    workers: Vec<ScopedJoinHandle<'scope, Result<(), Fault>>>,
}

/// The workers' end of the queue; none once one of them has failed, so that nothing more can be handed out.
type Taking<T> = Arc<Mutex<Option<Receiver<T>>>>;

impl<'scope, T: Send + 'scope> Crew<'scope, T> {
    /// Starts as many as there are processors; `hire` makes what each does with a batch.
    pub(crate) fn start<W>(
        scope: &'scope Scope<'scope, '_>,
        hire: impl Fn() -> Result<W, Fault>,
    ) -> Result<Self, Fault>
    where
        W: FnMut(T) -> Result<(), Fault> + Send + 'scope,
    {
        let size = size();
        Self::of(scope, size, sync_channel(size * WAITING_MAX), hire)
    }

    fn of<W>(
        scope: &'scope Scope<'scope, '_>,
        size: usize,
        (queue, taking): (SyncSender<T>, Receiver<T>),
        hire: impl Fn() -> Result<W, Fault>,
    ) -> Result<Self, Fault>
    where
        W: FnMut(T) -> Result<(), Fault> + Send + 'scope,
    {
        let taking = Arc::new(Mutex::new(Some(taking)));
        let start = |_| {
            let (taking, each) = (Arc::clone(&taking), hire()?);
            let started = Builder::new().spawn_scoped(scope, move || work(&taking, each));
            started.map_err(Fault::stream("starting a thread"))
        };
        let workers = (0..size).map(start).collect::<Result<_, _>>()?;
        Ok(Self { queue, workers })
    }

    /// Hands a batch out; waits while too many wait. Fails if a worker has: [`Crew::finish`] tells how.
    pub(crate) fn give(&self, batch: T) -> Result<(), Fault> {
        self.queue.send(batch).map_err(|_| Fault::Here(Here::Stopped))
    }

    /// Waits until all that was handed out is done. Of several faults the one that blames the least counts.
    pub(crate) fn finish(self) -> Result<(), Fault> {
        drop(self.queue);
        let mut worst: Result<(), Fault> = Ok(());
        for worker in self.workers {
            let ended = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            worst = match (worst, ended) {
                (Err(a), Err(b)) => Err(a.before(b)),
                (worst, ended) => worst.and(ended),
            };
        }
        worst
    }
}

impl<'scope> Crew<'scope, ()> {
    /// One worker, who does the same again each time it is told.
    pub(crate) fn of_one<W>(scope: &'scope Scope<'scope, '_>, work: W) -> Result<Self, Fault>
    where
        W: Fn(()) -> Result<(), Fault> + Copy + Send + 'scope,
    {
        Self::of(scope, 1, sync_channel(0), || Ok(work))
    }

    /// Tells it to, unless it is at work.
    pub(crate) fn ring(&self) -> Result<(), Fault> {
        match self.queue.try_send(()) {
            Err(TrySendError::Disconnected(())) => Err(Fault::Here(Here::Stopped)),
            Ok(()) | Err(TrySendError::Full(())) => Ok(()),
        }
    }
}

/// As many as there are processors, within reason.
pub(crate) fn size() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(WORKERS_MAX))
}

fn work<T>(taking: &Taking<T>, mut each: impl FnMut(T) -> Result<(), Fault>) -> Result<(), Fault> {
    while let Some(batch) = take(taking) {
        if let Err(fault) = each(batch) {
            *lock(taking) = None;
            return Err(fault);
        }
    }
    Ok(())
}

/// The next batch; none if there will be no more.
fn take<T>(taking: &Taking<T>) -> Option<T> {
    lock(taking).as_ref()?.recv().ok()
}

fn lock<T>(taking: &Taking<T>) -> MutexGuard<'_, Option<Receiver<T>>> {
    taking.lock().unwrap_or_else(PoisonError::into_inner)
}
