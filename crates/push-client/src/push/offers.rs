//! Contents that are offered before they are sent, to a server whose state this host does not remember: what it has is not sent.
//!
//! The bytes of short ones are kept until the answer is there; several offers are under way at a time, so that few of them are waited for.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use formats::ContentHash;
use formats::limits::OFFER;
use formats::session::{Had, Offer};

use super::error::PushError;
use super::packer::Packer;
use super::remembered::Remembered;
use super::session::Session;
use crate::state::{Content, Short, shortened};

/// An offer is made when so many bytes are kept for it, or so many contents.
const BATCH_BYTES: usize = 2 << 20;
/// Most bytes that are kept while answers are under way.
const KEPT_BYTES_MAX: usize = 16 << 20;
/// Most offers that are under way.
const UNDER_WAY_MAX: usize = 16;
/// Contents that were had and are remembered as such: so the most common ones are offered once.
const HAD_MAX: usize = 100_000;

/// After so many answers of a server that had nothing, only every so many-th long file is offered: it would be read twice for nothing.
const HOPELESS_SINCE: u64 = 64;
const HOPELESS_EVERY: u64 = 16;

/// Offers of one push.
#[derive(Debug)]
pub(super) struct Offers<'a> {
    session: &'a mut Session,
    wait: Duration,
    offered_max: u64,
    batch: Batch,
    under_way: VecDeque<Batch>,
    kept_bytes: usize,
    /// Those that have no answer yet.
    asked: HashSet<Short>,
    had: HashSet<Short>,
    /// How many contents were offered.
    pub(super) offered_count: u64,
    /// How many of them the server has.
    pub(super) had_count: u64,
    answered_count: u64,
    /// Long files that were not offered.
    passed_over: u64,
}

/// One offer: its contents, and the bytes of all of them one behind the other.
#[derive(Debug, Default)]
struct Batch {
    contents: Vec<ContentHash>,
    kept: Vec<Kept>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Kept {
    /// So many bytes, and what is noted of them when they are sent.
    Bytes(usize, Option<Content>),
    /// None: whoever asked reads it once more.
    Nothing,
}

/// Where contents go that the server does not have.
pub(super) struct Lacking<'a> {
    pub(super) packer: &'a mut Packer,
    /// What was packed.
    pub(super) sent: &'a mut Remembered,
}

impl<'a> Offers<'a> {
    /// Made in this session; so long an answer may take while nothing is sent, and so many contents the server lets a session offer.
    pub(super) fn new(session: &'a mut Session, wait: Duration, offered_max: u64) -> Self {
        Self {
            session,
            wait,
            offered_max,
            batch: Batch::default(),
            under_way: VecDeque::new(),
            kept_bytes: 0,
            asked: HashSet::new(),
            had: HashSet::new(),
            offered_count: 0,
            had_count: 0,
            answered_count: 0,
            passed_over: 0,
        }
    }

    /// The server has said that it has this content.
    pub(super) fn has(&self, hash: &ContentHash) -> bool {
        self.had.contains(&shortened(hash.as_bytes()))
    }

    /// What becomes of this content will be settled.
    pub(super) fn asked(&self, hash: &ContentHash) -> bool {
        self.asked.contains(&shortened(hash.as_bytes()))
    }

    /// The server lets one more be offered; beyond that it would refuse the push.
    pub(super) fn has_room(&self) -> bool {
        self.offered_count + (self.batch.contents.len() as u64) < self.offered_max
    }

    /// Whether a long file is read for its hash before it is read to be sent.
    pub(super) fn are_worth_a_reading(&mut self) -> bool {
        if !self.has_room() {
            return false;
        }
        if self.had_count > 0 || self.answered_count < HOPELESS_SINCE {
            return true;
        }
        self.passed_over += 1;
        self.passed_over.is_multiple_of(HOPELESS_EVERY)
    }

    /// Offers a short content, and sends it later if it is not had.
    pub(super) fn keep(
        &mut self,
        hash: ContentHash,
        bytes: &[u8],
        content: Option<Content>,
        lacking: &mut Lacking<'_>,
    ) -> Result<(), PushError> {
        self.batch.bytes.extend_from_slice(bytes);
        self.kept_bytes += bytes.len();
        self.add(hash, Kept::Bytes(bytes.len(), content));
        if self.batch.contents.len() == OFFER || self.batch.bytes.len() >= BATCH_BYTES {
            self.make(lacking)?;
            self.settle_ready(lacking)?;
        }
        while self.kept_bytes > KEPT_BYTES_MAX || self.under_way.len() > UNDER_WAY_MAX {
            self.settle(lacking)?;
        }
        Ok(())
    }

    /// Offers a content at once, with those that wait to be offered. True if it is had.
    pub(super) fn ask(&mut self, hash: ContentHash, lacking: &mut Lacking<'_>) -> Result<bool, PushError> {
        let place = self.batch.contents.len();
        self.add(hash, Kept::Nothing);
        self.make(lacking)?;
        let mut had = false;
        while let Some(answer) = self.settle(lacking)? {
            had = answer.has(place);
        }
        Ok(had)
    }

    /// Makes the last offer, and hears all answers.
    pub(super) fn finish(&mut self, lacking: &mut Lacking<'_>) -> Result<(), PushError> {
        self.make(lacking)?;
        while self.settle(lacking)?.is_some() {}
        Ok(())
    }

    fn add(&mut self, hash: ContentHash, kept: Kept) {
        self.asked.insert(shortened(hash.as_bytes()));
        self.batch.contents.push(hash);
        self.batch.kept.push(kept);
    }

    fn make(&mut self, lacking: &mut Lacking<'_>) -> Result<(), PushError> {
        let Some(offer) = Offer::new(self.batch.contents.clone()) else { return Ok(()) };
        self.session.expect_had(self.batch.contents.len());
        lacking.packer.offer(offer)?;
        self.offered_count += self.batch.contents.len() as u64;
        self.under_way.push_back(std::mem::take(&mut self.batch));
        Ok(())
    }

    /// Hears the oldest answer that is under way, and packs what it lacks; none if none is under way.
    fn settle(&mut self, lacking: &mut Lacking<'_>) -> Result<Option<Had>, PushError> {
        let Some(batch) = self.under_way.pop_front() else { return Ok(None) };
        lacking.packer.flush_tail()?;
        let had = self.hear(lacking.packer)?;
        self.take(batch, &had, lacking)?;
        Ok(Some(had))
    }

    /// Takes the answers that have come by now.
    fn settle_ready(&mut self, lacking: &mut Lacking<'_>) -> Result<(), PushError> {
        while !self.under_way.is_empty() {
            let had = match self.session.had(Duration::ZERO) {
                Err(PushError::Silent { .. }) => break,
                answer => answer?,
            };
            let batch = self.under_way.pop_front().unwrap_or_default();
            self.take(batch, &had, lacking)?;
        }
        Ok(())
    }

    fn take(&mut self, batch: Batch, had: &Had, lacking: &mut Lacking<'_>) -> Result<(), PushError> {
        self.kept_bytes -= batch.bytes.len();
        self.answered_count += batch.contents.len() as u64;
        let mut bytes = batch.bytes.as_slice();
        for (place, (hash, kept)) in batch.contents.into_iter().zip(batch.kept).enumerate() {
            let short = shortened(hash.as_bytes());
            self.asked.remove(&short);
            let length = match &kept {
                Kept::Bytes(length, _) => *length,
                Kept::Nothing => 0,
            };
            let (content, rest) = bytes.split_at_checked(length).unwrap_or_default();
            bytes = rest;
            if had.has(place) {
                self.had_count += 1;
                if self.had.len() < HAD_MAX {
                    self.had.insert(short);
                }
                if let Kept::Bytes(_, Some(content)) = kept {
                    lacking.packer.note_unsent(content)?;
                }
            } else if let Kept::Bytes(length, noted) = kept {
                lacking.packer.data(content)?;
                lacking.packer.end(length as u64, hash, noted)?;
                lacking.sent.insert(&hash);
            }
        }
        Ok(())
    }

    /// A slow line may take its time, as long as it takes something.
    fn hear(&mut self, packer: &Packer) -> Result<Had, PushError> {
        loop {
            let before = packer.progress();
            match self.session.had(self.wait) {
                Err(PushError::Silent { .. }) if packer.progress() != before => {}
                answer => return answer,
            }
        }
    }
}
