//! From a push to a snapshot that is ready, but does not exist yet.

use std::cell::Cell;
use std::fs::File;
use std::thread;

use durable::{Dir, Name};
use formats::change::{ChangeError, apply};
use formats::entry::Entry;
use formats::limits::FLAT_ENTRY_BYTES;
use formats::manifest::{ManifestWriter, Summary};
use formats::published::Limits;
use formats::push::Seal;
use formats::session::Code;
use history::{HostHistory, Log, Snapshot, Squeezer, layout};

use super::base::{Base, content_of};
use super::changes::Changes;
use super::charge::Cost;
use super::contents::{Block, Contents};
use super::crew::Crew;
use super::fault::Fault;
use super::hand;
use super::holdings::{Gathered, Gathering};
use super::look::Begun;
use super::receive;
use super::room::Room;
use super::shelves::Shelves;
use super::tree::Tree;
use crate::decoder::Decoder;

/// The parts of the new snapshot, in the building folder.
pub(crate) const MANIFEST: Name<'static> = Name::literal("manifest");
/// As [`MANIFEST`].
pub(crate) const SNAPSHOT: Name<'static> = Name::literal("snapshot");
pub(crate) const CONTENTS: Name<'static> = Name::literal("contents");

/// What is needed to build.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    /// The host's history.
    pub(crate) history: &'a HostHistory,
    /// The building folder, empty.
    pub(crate) dir: &'a Dir,
    /// What this host may send.
    pub(crate) limits: &'a Limits,
    /// Inodes that are left alone.
    pub(crate) free_inodes: u64,
    /// What is left of the budget of its history.
    pub(crate) left_bytes: u64,
    /// What the history has lost, and what was redacted: no file of it is taken for one of these contents.
    pub(crate) log: &'a Log,
    /// What a push without a change is the same as; none if it is to be a snapshot all the same.
    pub(crate) newest: Option<&'a Snapshot>,
}

/// What a push came to.
#[derive(Debug)]
pub(crate) enum Work {
    /// A snapshot.
    Built(Built),
    /// The same as the newest snapshot, in all that is in a manifest.
    Unchanged(Seal, Box<Snapshot>),
}

/// A snapshot that is whole, checked against its seal, and only has to be put in its place.
#[derive(Debug)]
pub(crate) struct Built {
    /// What the client sealed.
    pub(crate) seal: Seal,
    /// What the history is charged with for it.
    pub(crate) cost: Cost,
    /// Copies in it of contents with more names than an inode can bear.
    pub(crate) copies: u64,
    /// Changes that the push carried.
    pub(crate) changes: u64,
    /// Its contents, if they are not too many.
    pub(crate) gathered: Option<Gathered>,
}

/// What a push builds on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Basis<'a> {
    /// Nothing.
    Nothing,
    /// Its changes are those of this snapshot, which has the contents that the push does not bring.
    Changes(&'a Snapshot),
    /// It is whole, but for the contents that this snapshot has.
    Contents(&'a Snapshot),
}

impl<'a> Basis<'a> {
    /// Where contents are found that the push does not bring.
    fn lender(self) -> Option<&'a Snapshot> {
        match self {
            Basis::Nothing => None,
            Basis::Changes(snapshot) | Basis::Contents(snapshot) => Some(snapshot),
        }
    }

    /// What the changes apply to.
    pub(crate) fn base(self) -> Option<&'a Snapshot> {
        match self {
            Basis::Changes(snapshot) => Some(snapshot),
            Basis::Nothing | Basis::Contents(_) => None,
        }
    }
}

/// Builds the snapshot that the rest of the push describes. While it grows it is brought to the disk, so that the sync that counts, before the
/// commit, has little left to do. Who measures meanwhile has seen all of it once this ends well, and is worth nothing if it does not.
pub(crate) fn build(
    ground: &Ground<'_>,
    decoder: &mut Decoder,
    basis: Basis<'_>,
    begun: Option<&mut Begun<'_>>,
) -> Result<Work, Fault> {
    thread::scope(|scope| {
        let syncing = Crew::of_one(scope, |()| Ok(ground.dir.sync_file_system()?))?;
        let room = Room::new(ground.dir, ground.limits.free_bytes)?;
        let room = room.leaving_inodes(ground.free_inodes)?.ringing(&syncing);
        let built = build_in(&room, ground, decoder, basis, begun);
        match (syncing.finish(), built) {
            // What could not be written is not written by a second try.
            (Err(here), Err(fault)) => Err(here.before(fault)),
            (synced, built) => synced.and(built),
        }
    })
}

fn build_in(
    room: &Room<'_>,
    ground: &Ground<'_>,
    decoder: &mut Decoder,
    basis: Basis<'_>,
    begun: Option<&mut Begun<'_>>,
) -> Result<Work, Fault> {
    let lender = basis.lender().map(|snapshot| Base::open(ground.history, snapshot)).transpose()?;
    let lender = lender.map(|lender| lender.without_lost(ground.log));
    let expanded_bytes = ground.limits.expanded_bytes.min(ground.left_bytes);
    let shelves = Shelves::new(ground.dir.make_dir(CONTENTS, 0o750)?, expanded_bytes)?;
    let mut changes = Changes::new(ground.dir, ground.limits.expanded_bytes)?;
    let seal = hear(ground, decoder, lender.as_ref(), &shelves, &mut changes, room)?;
    if seal.entries > ground.limits.entries {
        return Err(Fault::Push(Code::OverBudget));
    }
    if let Some(same) = unchanged(ground, basis, lender.as_ref(), &changes, &seal, &shelves)? {
        return Ok(Work::Unchanged(seal, Box::new(same.clone())));
    }
    let top = ground.dir.make_dir(SNAPSHOT, 0o750)?.make_dir(layout::TREE, 0o750)?;
    let site = hand::Site { top: &top, base: lender.as_ref(), shelves: &shelves, changes: &changes, room };
    let grown = grow(ground, basis, site, begun).and_then(|grown| {
        let right = grown.sum.root == seal.root && grown.sum.entries == seal.entries;
        if right { Ok(grown) } else { Err(Fault::Push(Code::WrongRoot)) }
    });
    if let (Err(Fault::Push(_)), Some(lender)) = (&grown, basis.lender()) {
        prove(ground, lender)?;
    }
    let Grown { long_entry_bytes, changes, gathered, .. } = grown?;
    let cost = Cost { new_bytes: shelves.new_bytes(), entries: seal.entries, long_entry_bytes };
    Ok(Work::Built(Built {
        seal,
        cost,
        copies: shelves.copies(),
        changes,
        gathered: gathered.finish(seal.root),
    }))
}

/// The snapshot that the push builds on, if it is the same as that and no other came after it. It is believed only if it brings nothing, the manifest
/// can be read, and the history has what that names.
fn unchanged<'a>(
    ground: &Ground<'a>,
    basis: Basis<'_>,
    lender: Option<&Base>,
    changes: &Changes,
    seal: &Seal,
    shelves: &Shelves,
) -> Result<Option<&'a Snapshot>, Fault> {
    let newest = ground.newest.filter(|newest| basis.base() == Some(newest));
    let (Some(newest), Some(base)) = (newest, lender) else { return Ok(None) };
    let sealed = (seal.root, seal.entries, seal.left_out);
    let is_same = sealed == (newest.root, newest.entries, newest.left_out) && shelves.new_bytes() == 0;
    if !is_same || changes.reader()?.next().is_some() {
        return Ok(None);
    }
    Ok(has_all(base)?.then_some(newest))
}

/// Whether nothing that the manifest names is lost. Then it was read to its end, and is what the log says.
fn has_all(base: &Base) -> Result<bool, Fault> {
    for entry in base.entries()? {
        if content_of(&entry?).is_some_and(|content| base.has_lost(content)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes all that the decoder says.
fn hear(
    ground: &Ground<'_>,
    decoder: &mut Decoder,
    lender: Option<&Base<'_>>,
    shelves: &Shelves,
    changes: &mut Changes,
    room: &Room<'_>,
) -> Result<Seal, Fault> {
    let tree = lender.map(|base| base.top().try_clone()).transpose()?;
    let expanded_bytes = ground.limits.expanded_bytes.min(ground.left_bytes);
    let limits = Limits { expanded_bytes, ..*ground.limits };
    let (heard, source_path) = thread::scope(|scope| {
        let crew = Crew::start(scope, || Ok(|block: Block| block.put_down(shelves, room)))?;
        let mut contents = Contents::new(shelves, crew, &limits, tree);
        let heard = receive::body(decoder, &mut contents, changes, room);
        // What the crew finds wrong came before what is heard now.
        let (done, source_path) = contents.settle();
        Ok::<_, Fault>((done.and(heard), source_path))
    })?;
    if let (Err(Fault::Push(_)), Some(lender), Some(path)) = (&heard, lender, &source_path) {
        lender.prove_file(path)?;
    }
    heard
}

/// Before a push is blamed, its base has to be what the log says.
fn prove(ground: &Ground<'_>, base: &Snapshot) -> Result<(), Fault> {
    Base::open(ground.history, base)?.entries()?.try_for_each(|entry| entry.map(drop))
}

/// What applying the changes came to.
struct Grown {
    /// What the manifest comes to.
    sum: Summary,
    long_entry_bytes: u64,
    changes: u64,
    gathered: Gathering,
}

/// Applies the changes to the base: manifest and tree side by side, entry by entry, as long as the budget lasts: entries that a push need not bring,
/// and those that shrink well, cost as much as all others.
fn grow(
    ground: &Ground<'_>,
    basis: Basis<'_>,
    site: hand::Site<'_>,
    mut begun: Option<&mut Begun<'_>>,
) -> Result<Grown, Fault> {
    let entries: Box<dyn Iterator<Item = Result<Entry, Fault>>> = match (site.base, basis.base()) {
        (Some(base), Some(_)) => Box::new(base.entries()?),
        _ => Box::new(std::iter::empty()),
    };
    let mut manifest = new_manifest(ground.dir)?;
    let count = Cell::new(0u64);
    let changes = site.changes.reader()?.inspect(|_| count.set(count.get() + 1));
    let (mut made, mut long_entry_bytes, mut gathered) = (0, 0, Gathering::new());
    thread::scope(|scope| {
        let mut tree = Tree::new(scope, site)?;
        let placed = apply(entries, changes).try_for_each(|applied| {
            let applied = applied.map_err(|error| match error {
                ChangeError::Stream(fault) => fault,
                ChangeError::Rule { .. } => Fault::Push(Code::MalformedPush),
            })?;
            if let Some(begun) = &mut begun {
                begun.take(&applied);
            }
            let Some(entry) = applied.entry() else { return Ok(()) };
            made += 1;
            if made > ground.limits.entries {
                return Err(Fault::Push(Code::OverBudget));
            }
            manifest.push(entry).map_err(Fault::new_manifest)?;
            gathered.take(entry);
            let long_bytes = entry.long_bytes(manifest.line_bytes());
            long_entry_bytes += long_bytes;
            let cost = Cost { new_bytes: site.shelves.new_bytes(), entries: made, long_entry_bytes };
            if cost.bytes() > ground.left_bytes {
                return Err(Fault::Push(Code::OverBudget));
            }
            tree.place(applied)?;
            site.room.bytes(FLAT_ENTRY_BYTES + long_bytes)
        });
        // What the crew finds wrong is of earlier entries.
        tree.finish().and(placed)
    })?;
    let (sum, _) = manifest.finish().map_err(Fault::new_manifest)?;
    Ok(Grown { sum, long_entry_bytes, changes: count.get(), gathered })
}

fn new_manifest(dir: &Dir) -> Result<ManifestWriter<Squeezer<File>>, Fault> {
    let file = dir.create_new(MANIFEST, 0o640)?;
    let squeezer = Squeezer::new(file).map_err(Fault::stream("writing the manifest"))?;
    ManifestWriter::new(squeezer).map_err(Fault::new_manifest)
}
