//! Threads that do what the main thread hands out, batch by batch, while it goes on ahead.
//!
//! The kernel does most of an ingest, one folder after another; on more than one processor it can do that for several folders at once. What needs an
//! order stays with the main thread. Nothing that a crew was given is still being done once it is finished or its scope is left. Once a worker has
//! failed, the others begin no further batch, and what still waits is dropped.

use std::sync::atomic::{AtomicBool, Ordering};
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
    supply: Arc<Supply<T>>,
    workers: Vec<ScopedJoinHandle<'scope, Result<(), Fault>>>,
}

/// Where the workers take from.
#[derive(Debug)]
struct Supply<T> {
    /// Their end of the queue; none once one of them has failed, so that nothing more can be handed out.
    taking: Mutex<Option<Receiver<T>>>,
    /// One of them has failed. Seen without waiting for the queue, which another one may hold until something comes.
    is_closed: AtomicBool,
}

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

    /// So many, who take from this queue.
    pub(super) fn of<W>(
        scope: &'scope Scope<'scope, '_>,
        size: usize,
        (queue, taking): (SyncSender<T>, Receiver<T>),
        hire: impl Fn() -> Result<W, Fault>,
    ) -> Result<Self, Fault>
    where
        W: FnMut(T) -> Result<(), Fault> + Send + 'scope,
    {
        let supply = Arc::new(Supply { taking: Mutex::new(Some(taking)), is_closed: AtomicBool::new(false) });
        let mut workers = Vec::with_capacity(size);
        for _ in 0..size {
            let (supply, each) = (Arc::clone(&supply), hire()?);
            match Builder::new().spawn_scoped(scope, move || supply.work(each)) {
                Ok(worker) => workers.push(worker),
                Err(error) if workers.is_empty() => return Err(Fault::stream("starting a thread")(error)),
                // Those that could be started do it all.
                Err(_) => break,
            }
        }
        Ok(Self { queue, supply, workers })
    }

    /// Hands a batch out; waits while too many wait. Fails if a worker has: [`Crew::finish`] tells how.
    pub(crate) fn give(&self, batch: T) -> Result<(), Fault> {
        self.check()?;
        self.queue.send(batch).map_err(|_| Fault::Here(Here::Stopped))
    }

    /// Fails if a worker has. For who goes on for long without handing anything out.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.supply.is_closed.load(Ordering::Relaxed) { Err(Fault::Here(Here::Stopped)) } else { Ok(()) }
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

impl<T> Supply<T> {
    fn work(&self, mut each: impl FnMut(T) -> Result<(), Fault>) -> Result<(), Fault> {
        let _closing = ClosedByPanic(self);
        while let Some(batch) = self.take() {
            if let Err(fault) = each(batch) {
                self.close();
                return Err(fault);
            }
        }
        Ok(())
    }

    /// The next batch; none if there will be no more.
    fn take(&self) -> Option<T> {
        let taking = self.lock();
        let batch = taking.as_ref()?.recv().ok()?;
        // Who has failed may be waiting for the queue, to close it.
        if self.is_closed.load(Ordering::Relaxed) { None } else { Some(batch) }
    }

    /// What waits is dropped, and whoever waits to hand something out is told.
    fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Receiver<T>>> {
        self.taking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker that panics has failed, too.
struct ClosedByPanic<'a, T>(&'a Supply<T>);

impl<T> Drop for ClosedByPanic<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use formats::session::Code;

    use super::*;

    fn push() -> Fault {
        Fault::Push(Code::ContentHash)
    }

    fn base() -> Fault {
        Fault::Base("damaged".to_owned())
    }

    fn here() -> Fault {
        Fault::Here(Here::NoRoom)
    }

    /// What a crew of two comes to, whose workers fail like this at the same time.
    fn both_fail(one: fn() -> Fault, other: fn() -> Fault) -> Fault {
        let meet = Barrier::new(2);
        thread::scope(|scope| {
            let work = || {
                Ok(|fault: fn() -> Fault| {
                    meet.wait();
                    Err(fault())
                })
            };
            let crew = Crew::of(scope, 2, sync_channel(2), work).unwrap();
            crew.give(one).unwrap();
            crew.give(other).unwrap();
            crew.finish().unwrap_err()
        })
    }

    #[test]
    fn of_several_faults_the_one_that_blames_the_least_counts() {
        for _ in 0..20 {
            assert!(matches!(both_fail(push, here), Fault::Here(Here::NoRoom)));
            assert!(matches!(both_fail(here, base), Fault::Here(Here::NoRoom)));
            assert!(matches!(both_fail(base, push), Fault::Base(_)));
            assert!(matches!(both_fail(push, push), Fault::Push(Code::ContentHash)));
        }
    }

    /// Who hands out is told only that it is over; why, the crew says, though the queue was full when it happened.
    #[test]
    fn a_worker_that_fails_while_another_batch_waits_to_be_given_says_why() {
        let fail = Barrier::new(2);
        thread::scope(|scope| {
            let work = || {
                Ok(|()| {
                    fail.wait();
                    Err(push())
                })
            };
            let crew = Crew::of(scope, 1, sync_channel(0), work).unwrap();
            // The queue holds none: the worker has taken this one.
            crew.give(()).unwrap();
            let crew = &crew;
            let given = thread::scope(|giving| {
                let given = giving.spawn(move || crew.give(()));
                // If it does not wait yet, it finds out just the same.
                thread::sleep(std::time::Duration::from_millis(50));
                fail.wait();
                given.join().unwrap()
            });
            assert!(matches!(given, Err(Fault::Here(Here::Stopped))), "{given:?}");
        });
    }

    /// How a worker fails.
    #[derive(Debug, Clone, Copy)]
    enum End {
        Fault,
        Panic,
    }

    /// What was done, and what the next three were answered, after one of two workers had failed while the other waited for something to do.
    fn after_one_has_failed(end: End) -> (u32, Vec<bool>) {
        let (done, fail) = (AtomicU32::new(0), Barrier::new(2));
        let given = Mutex::new(Vec::new());
        let ended = catch_unwind(AssertUnwindSafe(|| {
            thread::scope(|scope| {
                let work = || {
                    Ok(|n: u32| {
                        if n > 0 {
                            done.fetch_add(1, Ordering::Relaxed);
                            return Ok(());
                        }
                        fail.wait();
                        match end {
                            End::Fault => Err(push()),
                            End::Panic => panic!("as it should"),
                        }
                    })
                };
                let crew = Crew::of(scope, 2, sync_channel(64), work).unwrap();
                crew.give(0).unwrap();
                // One has taken it, and the other waits at the empty queue.
                thread::sleep(std::time::Duration::from_millis(100));
                fail.wait();
                thread::sleep(std::time::Duration::from_millis(100));
                given.lock().unwrap().extend((1..4).map(|n| crew.give(n).is_ok()));
                crew.finish()
            })
        }));
        assert_eq!(ended.is_err(), matches!(end, End::Panic));
        (done.into_inner(), given.into_inner().unwrap())
    }

    #[test]
    fn once_a_worker_has_failed_nothing_more_is_begun_or_taken() {
        for end in [End::Fault, End::Panic] {
            assert_eq!(after_one_has_failed(end), (0, vec![false; 3]), "{end:?}");
        }
    }

    #[test]
    fn that_it_was_stopped_is_never_the_reason_a_crew_gives() {
        thread::scope(|scope| {
            let crew = Crew::start(scope, || Ok(|()| Err(push()))).unwrap();
            let stopped = (0..100_000).find_map(|_| crew.give(()).err());
            assert!(matches!(stopped, Some(Fault::Here(Here::Stopped))), "{stopped:?}");
            let ended = crew.finish().and(stopped.map_or(Ok(()), Err));
            assert!(matches!(ended, Err(Fault::Push(Code::ContentHash))), "{ended:?}");
        });
    }

    /// It ends the program, as any other does: what would have been the snapshot is removed by the next run.
    #[test]
    fn a_panic_of_a_worker_is_a_panic_of_who_waits_for_it() {
        let done = AtomicU32::new(0);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            thread::scope(|scope| {
                let work = || {
                    Ok(|n: u32| {
                        assert_ne!(n, 3, "the third");
                        done.fetch_add(1, Ordering::Relaxed);
                        Ok(())
                    })
                };
                let crew = Crew::of(scope, 2, sync_channel(8), work).unwrap();
                (0..8).try_for_each(|n| crew.give(n)).and(crew.finish())
            })
        }));
        assert!(ended.is_err(), "{ended:?}");
        assert!(done.into_inner() < 8);
    }

    #[test]
    fn all_that_was_given_is_done_once_it_is_finished() {
        let done = AtomicU32::new(0);
        thread::scope(|scope| {
            let work = || {
                Ok(|n: u32| {
                    done.fetch_add(n, Ordering::Relaxed);
                    Ok(())
                })
            };
            let crew = Crew::start(scope, work).unwrap();
            (1..=1_000).for_each(|n| crew.give(n).unwrap());
            crew.finish().unwrap();
        });
        assert_eq!(done.into_inner(), 500_500);
    }
}
