//! Step 2: all segments of an image, several at once.
//!
//! Each worker takes the next segment, finds it in the vault or seals it into a file of its own, and puts that. Sealing keeps all cores busy;
//! only one worker puts at a time (a put sends its parts in parallel), so that a run that is killed has at most one segment half sent.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cli::{Amount, Task};
use formats::ContentHash;
use formats::records::ice::{Image, segment_lengths};
use formats::records::ice_id::IceId;
use vault::{Content, Lock};

use super::busy::{Busy, Timing};
use super::{Job, StoreError, object_name};
use crate::seal::{Sealed, check_recipients, seal};
use crate::staging::{Progress, StagingError};

/// A segment that is in the vault.
#[derive(Debug)]
pub(super) struct Placed {
    /// As the vault has it.
    pub(super) lock: Lock,
    /// Bytes put by this run.
    pub(super) put_bytes: u64,
}

/// One segment of the image.
struct Piece {
    number: usize,
    at: u64,
    bytes: u64,
    hash: ContentHash,
}

/// What the workers share.
struct Work<'w> {
    job: &'w Job<'w>,
    ice: IceId,
    pieces: Vec<Piece>,
    next: AtomicUsize,
    stop: AtomicBool,
    /// Held while a segment is put.
    sending: Mutex<()>,
    progress: Mutex<Progress>,
    placed: Mutex<Vec<Option<Placed>>>,
    sealing: Busy,
    putting: Busy,
    task: Task,
}

/// All segments, in the vault.
pub(super) struct Segments {
    /// What is noted of them.
    pub(super) progress: Progress,
    /// Where each is.
    pub(super) placed: Vec<Placed>,
    pub(super) timing: Timing,
}

impl Job<'_> {
    /// Brings all segments into the vault.
    pub(super) fn place(&self, progress: Progress) -> Result<Segments, StoreError> {
        let began = Instant::now();
        let staged = self.staged;
        let name = format!("{}: to {}", staged.host, self.target.name);
        let pieces = pieces(staged.image.bytes, staged.segment_bytes, &staged.plain);
        let workers = self.workers.clamp(1, pieces.len().max(1));
        let work = Work {
            job: self,
            ice: progress.ice.clone(),
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            sending: Mutex::new(()),
            progress: Mutex::new(progress),
            placed: Mutex::new(pieces.iter().map(|_| None).collect()),
            sealing: Busy::default(),
            putting: Busy::default(),
            task: self.monitor.task(&name, Amount::Bytes(Some(staged.image.bytes))),
            pieces,
        };
        let ended: Vec<Result<(), StoreError>> = std::thread::scope(|scope| {
            let work = &work;
            let run = |worker| scope.spawn(move || work.run(worker));
            let threads: Vec<_> = (0..workers).map(run).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(Err(StoreError::Worker))).collect()
        });
        ended.into_iter().collect::<Result<(), StoreError>>()?;
        let (sealing, putting) = (work.sealing.total(), work.putting.total());
        let timing = Timing { whole: began.elapsed(), sealing, putting };
        let placed = work.placed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let placed: Option<Vec<Placed>> = placed.into_iter().collect();
        let progress = work.progress.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Segments { progress, placed: placed.ok_or(StoreError::Worker)?, timing })
    }
}

impl Work<'_> {
    /// One worker, until nothing is left or another has failed.
    fn run(&self, worker: usize) -> Result<(), StoreError> {
        while !self.stop.load(Ordering::Relaxed) {
            let Some(piece) = self.pieces.get(self.next.fetch_add(1, Ordering::Relaxed)) else { break };
            match self.place(piece, worker) {
                Ok(None) => break,
                Ok(placed) => {
                    if let Some(place) = held(&self.placed).get_mut(piece.number) {
                        *place = placed;
                    }
                }
                Err(error) => {
                    self.stop.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Where the segment is; none if another worker has failed meanwhile.
    fn place(&self, piece: &Piece, worker: usize) -> Result<Option<Placed>, StoreError> {
        let job = self.job;
        let object = object_name(&self.ice.segment_object(piece.number))?;
        let noted = held(&self.progress).sealed.get(&piece.number).cloned();
        let lock = match job.stored_before(&object, noted.as_ref())? {
            None => job.known_before(piece.bytes, piece.hash)?,
            stored => stored,
        };
        if let Some(lock) = lock {
            self.task.advance(piece.bytes);
            return Ok(Some(Placed { lock, put_bytes: 0 }));
        }
        let (mut file, bytes, hash) = self.seal(piece, worker)?;
        held(&self.progress).sealed.insert(piece.number, Image { bytes, hash });
        let _sending = held(&self.sending);
        if self.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        {
            let progress = held(&self.progress);
            job.staging.save_progress(&job.target.name, &progress)?;
        }
        let _putting = self.putting.begin();
        let lock = job.put(&object, Content { bytes, hash, reader: &mut file }, job.retain_until()?)?;
        Ok(Some(Placed { lock, put_bytes: bytes }))
    }

    /// Seals a piece into a file, and proves what came out as far as that is possible without the key.
    fn seal(&self, piece: &Piece, worker: usize) -> Result<(File, u64, ContentHash), StoreError> {
        let job = self.job;
        let _sealing = self.sealing.begin();
        let mut file = job.staging.sealed(worker)?;
        let mut from = Stretch { file: job.image, at: piece.at, rest: piece.bytes };
        let Sealed { plain_bytes, plain_hash, bytes, hash } =
            seal(&mut from, &mut file, job.recipients, &|by| self.task.advance(by))?;
        if plain_bytes != piece.bytes || plain_hash != piece.hash {
            return Err(StoreError::ImageChanged);
        }
        file.rewind().map_err(StagingError::from)?;
        check_recipients(&mut file, job.recipients)?;
        file.rewind().map_err(StagingError::from)?;
        Ok((file, bytes, hash))
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pieces(image_bytes: u64, segment_bytes: u64, plain: &[ContentHash]) -> Vec<Piece> {
    let mut at = 0;
    let lengths = segment_lengths(image_bytes, segment_bytes).zip(plain).enumerate();
    let piece = |(number, (bytes, hash)): (usize, (u64, &ContentHash))| {
        let piece = Piece { number, at, bytes, hash: *hash };
        at += bytes;
        piece
    };
    lengths.map(piece).collect()
}

/// A stretch of a file, read without moving its position.
struct Stretch<'f> {
    file: &'f File,
    at: u64,
    rest: u64,
}

impl Read for Stretch<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.rest).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(buffer.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        self.rest -= read as u64;
        Ok(read)
    }
}
