//! Compares what was built with what the host had, before it is committed: the newest snapshot of its history, whatever base the push named; and,
//! where many small steps add up, the one of ten pushes ago. What cannot be compared is said, and holds no push up.
//!
//! Where the push builds on the newest snapshot, all entries of both pass by while it is built, and are measured there; else, and for all that is
//! older, both manifests are read again. The meter sees the same in the same order, either way.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::FileExt;

use durable::Dir;
use formats::change::Applied;
use formats::entry::Entry;
use formats::records::log::{Alarm, Measured, Tripped};
use formats::{ContentHash, RelPath};
use history::{AcceptedPush, HostHistory, Log, Snapshot, layout, read_manifest};

use super::build::{MANIFEST, SNAPSHOT};
use crate::tripwire::judge::adds_up;
use crate::tripwire::measure::file;
use crate::tripwire::noise::{PIECE_BYTES, places, rises};
use crate::tripwire::{Finding, Meter, Past, Wires, compare, judge};

/// So many pushes are the host's past.
const PAST: usize = 10;
/// So many snapshots are tried, where the newest cannot be read.
const TRIES: usize = 3;
/// Where the host has so many times as much since then, shares of what it has now say little about what it had: junk makes them small.
const GROWN_TIMES: u64 = 2;

/// What is compared.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) history: &'a HostHistory,
    /// The building folder.
    pub(crate) built: &'a Dir,
    pub(crate) log: &'a Log,
    pub(crate) wires: &'a Wires,
}

/// A comparison with the newest snapshot that goes on while the new one is built on it.
#[derive(Debug)]
pub(crate) struct Begun<'a> {
    newest: u64,
    meter: Meter<'a>,
}

impl<'a> Begun<'a> {
    /// None if changes apply to another snapshot, or to none.
    pub(crate) fn on(log: &Log, base: Option<&Snapshot>, wires: &'a Wires) -> Option<Self> {
        let newest =
            log.latest().filter(|newest| base.is_some_and(|base| base.sequence == newest.sequence))?;
        Some(Self { newest: newest.sequence, meter: meter(wires, newest) })
    }

    /// The next step of applying the changes. Once they are applied, and the manifests were what they had to be, all is measured.
    pub(crate) fn take(&mut self, applied: &Applied) {
        self.meter.take(applied.before(), applied.entry());
    }
}

/// What that came to.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// How it differs from the newest snapshot; none if in nothing that is measured.
    pub(crate) measured: Option<Measured>,
    /// The tripwires that are touched.
    pub(crate) alarms: Vec<(Alarm, Tripped)>,
    /// Why it could not be compared.
    pub(crate) unmeasured: Option<String>,
}

/// What a comparison with one snapshot came to.
type Compared = (Measured, Vec<Finding>);

/// Why something cannot be compared: nobody needs more than the words.
type Blind = String;

/// Compares, or goes on with what was begun. Memory and reads are bounded, whatever the manifests hold.
pub(crate) fn look(comparison: &Comparison<'_>, begun: Option<Begun<'_>>) -> Looked {
    let mut looked = Looked::default();
    if let Err(why) = comparison.look(&mut looked, begun) {
        looked.unmeasured = Some(format!("{why}; no tripwire could see it"));
    }
    looked
}

impl Comparison<'_> {
    fn look(&self, looked: &mut Looked, begun: Option<Begun<'_>>) -> Result<(), Blind> {
        let pushes: Vec<_> = self.log.accepted_pushes().collect();
        let last = |from: usize| pushes.iter().skip(from).map(|push| self.measured(push));
        let past = Past { pushes: last(pushes.len().saturating_sub(PAST)).collect(), between: 1 };
        let Some((newest, (measured, findings))) = self.newest(looked, &past, begun)? else { return Ok(()) };
        let is_any = measured != Measured { files: measured.files, ..Measured::default() };
        looked.measured = is_any.then_some(measured);
        looked.add(newest, findings);
        if !looked.alarms.is_empty() || self.log.hold().is_some() {
            return Ok(());
        }
        let from = self.long_ago(&pushes);
        let steps = last(from.saturating_add(1)).chain([measured]);
        let old = pushes.get(from).and_then(|push| self.log.snapshots().get(push.place));
        if let Some(old) = old.filter(|old| old.sequence < newest.sequence)
            && (adds_up(steps, self.wires) || newest.entries > old.entries.saturating_mul(GROWN_TIMES))
        {
            let between = (pushes.len() - from) as u64;
            let (_, findings) = self.against(old, &Past { between, ..past })?;
            looked.add(old, findings);
        }
        Ok(())
    }

    /// Compares with the newest snapshot, or the newest of a few that can be read: else what is in it then would be what the next push is measured
    /// by.
    fn newest(
        &self,
        looked: &mut Looked,
        past: &Past,
        mut begun: Option<Begun<'_>>,
    ) -> Result<Option<(&Snapshot, Compared)>, Blind> {
        let mut why = None;
        for old in self.log.snapshots().iter().rev().take(TRIES) {
            let compared = match begun.take_if(|begun| begun.newest == old.sequence) {
                Some(begun) => self.judged(begun.meter, old, past),
                None => self.against(old, past),
            };
            match compared {
                Ok(compared) => {
                    looked.unmeasured = why.map(|why| format!("{why}; it was with {} instead", old.name));
                    return Ok(Some((old, compared)));
                }
                Err(blind) => why = why.or(Some(blind)),
            }
        }
        why.map_or(Ok(None), Err)
    }

    /// Ten pushes back, but not beyond what a person has looked at and released.
    fn long_ago(&self, pushes: &[AcceptedPush<'_>]) -> usize {
        let released = pushes.partition_point(|one| one.line < self.log.released_line());
        pushes.len().saturating_sub(PAST).max(released.saturating_sub(1))
    }

    /// What a push of the past came to: nothing, if nothing had changed.
    fn measured(&self, push: &AcceptedPush<'_>) -> Measured {
        let became = self.log.snapshots().get(push.place).filter(|snapshot| snapshot.line == push.line);
        became.and_then(|snapshot| snapshot.measured).unwrap_or_default()
    }

    fn against(&self, old: &Snapshot, past: &Past) -> Result<Compared, Blind> {
        let mut meter = meter(self.wires, old);
        let entries = self.history.open_manifest(old).map_err(blind(old.name.as_str()))?;
        compare(
            &mut meter,
            entries.map(|entry| entry.map_err(blind(old.name.as_str()))),
            self.new_entries()?,
        )?;
        self.judged(meter, old, past)
    }

    /// Goes on where all entries of both were measured.
    fn judged(&self, mut meter: Meter<'_>, old: &Snapshot, past: &Past) -> Result<Compared, Blind> {
        self.listen(&mut meter, old)?;
        let mut findings = judge(&meter, self.wires, past);
        let is_loss = |one: &Finding| !matches!(one.what, Alarm::Noise | Alarm::Canary);
        if findings.iter().any(is_loss) {
            // What was only moved is not lost: one more reading, which an ordinary push does not cost.
            meter.survived(self.survivors(&meter.wanted())?);
            findings = judge(&meter, self.wires, past);
        }
        Ok((meter.measured(), findings))
    }

    fn new_entries(&self) -> Result<impl Iterator<Item = Result<Entry, Blind>> + use<>, Blind> {
        let file = self.built.open_read(MANIFEST).map_err(blind(NEW))?;
        Ok(read_manifest(file).map_err(blind(NEW))?.map(|entry| entry.map_err(blind(NEW))))
    }

    /// Which of these the host still has.
    fn survivors(&self, wanted: &HashSet<ContentHash>) -> Result<HashSet<ContentHash>, Blind> {
        let mut found = HashSet::new();
        for entry in self.new_entries()? {
            if let Some((_, (_, content))) = file(&entry?)
                && wanted.contains(&content)
            {
                found.insert(content);
            }
        }
        Ok(found)
    }

    /// Looks for noise in a sample of the files that have other bytes.
    fn listen(&self, meter: &mut Meter<'_>, old: &Snapshot) -> Result<(), Blind> {
        let before = self.history.tree(old).map_err(blind(old.name.as_str()))?;
        let after = self.built.open_dir(SNAPSHOT).and_then(|new| new.open_dir(layout::TREE));
        let after = after.map_err(blind(NEW))?;
        for pair in meter.pairs().to_vec() {
            if self.log.redacted().of(&pair.was, old.sequence).is_some() {
                // There are zeros now, and anything is noise beside them.
                continue;
            }
            let (was, is) = pair.sizes;
            let old = pieces(before.dir(), &pair.path, was);
            if !old.is_empty() && rises(&old, &pieces(&after, &pair.path, is)) {
                meter.noisy(pair.path);
            }
        }
        Ok(())
    }
}

impl Looked {
    fn add(&mut self, compared: &Snapshot, findings: Vec<Finding>) {
        self.alarms.extend(findings.into_iter().map(
            |Finding { what, found, of, limit, extension, paths }| {
                let compared = compared.name.to_string();
                (what, Tripped { compared, found, of, limit, extension, paths })
            },
        ));
    }
}

/// Which files of many are looked at closely nobody knows.
fn meter<'a>(wires: &'a Wires, old: &Snapshot) -> Meter<'a> {
    Meter::new(&wires.canaries, RandomState::new().hash_one(old.sequence))
}

const NEW: &str = "the new one";

fn blind<E: std::error::Error + 'static>(of: &str) -> impl Fn(E) -> Blind + use<E> {
    let of = of.to_owned();
    move |error| format!("{of}: {}", cli::chain(&error))
}

/// The places of a file that are looked at; none if it cannot be read. Its size is what the manifest says, so no read goes beyond a piece.
fn pieces(tree: &Dir, path: &RelPath, size: u64) -> Vec<Vec<u8>> {
    let Ok(file) = tree.open_read_beneath(path.as_bytes()) else { return Vec::new() };
    places(size).filter_map(|place| piece(&file, place, size)).collect()
}

fn piece(file: &File, place: u64, size: u64) -> Option<Vec<u8>> {
    let length = usize::try_from(size.saturating_sub(place).min(PIECE_BYTES)).ok()?;
    let mut piece = vec![0; length];
    file.read_exact_at(&mut piece, place).ok()?;
    Some(piece)
}
