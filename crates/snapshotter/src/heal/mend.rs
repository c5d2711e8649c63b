//! Gives contents back to the names that should have them, or takes what has rotted from them.
//!
//! Nothing that was found or said before is believed: every file is hashed here before it is lent or loses its name. What a push has brought was
//! hashed as it was written, moments ago.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;

use chrono::Utc;
use durable::{Dir, Name, Stat};
use formats::ContentHash;
use formats::records::log::{Event, Healer};
use history::{HostHistory, LogAppender, Snapshot, Writing};
use serde::{Deserialize, Serialize};

use super::aside::Aside;
use super::lost::{is_lost, is_lost_by};
use super::names::{self, Place, Proof, There};
use crate::ingest_host::fault::Fault;
use crate::ingest_host::room::Room;
use crate::ingest_host::shelves::{Content, Shelves};

/// What is known of one content.
#[derive(Debug, Clone, Default)]
struct Case {
    size: u64,
    /// Where a good file comes from, if there is one.
    good: Option<Healer>,
    names: Names,
    /// Snapshots with names that do not have it.
    snapshots: u64,
    given: u64,
}

/// How its names stand.
#[derive(Debug, Clone, Copy, Default)]
struct Names {
    size: u64,
    /// Those that do not have it.
    lacking: u64,
    /// Those that it cannot be given to.
    out_of_reach: u64,
    /// Of those: what their inode is, the file system cannot tell any more.
    stuck: u64,
}

impl Case {
    /// What one more snapshot names.
    fn add(&mut self, names: Names) {
        self.size = names.size;
        self.names.lacking += names.lacking;
        self.names.out_of_reach += names.out_of_reach;
        self.names.stuck += names.stuck;
        self.snapshots += u64::from(names.lacking + names.stuck > 0);
    }

    /// How many names lack it, if that is more than what no good file can mend.
    fn lost(&self) -> Option<u64> {
        let Names { lacking, stuck, .. } = self.names;
        (lacking > 0 || stuck > 0 && self.good.is_none()).then_some(lacking + stuck)
    }
}

/// Whether an inode has a content, of this size: what names it may be a damaged manifest, whose word must not count for another.
type Judged = HashMap<(u64, u64, Content), bool>;

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mended {
    /// Noted as lost, with how many names and snapshots.
    pub(crate) lost: Vec<(ContentHash, u64, u64)>,
    /// Healed, with how many names were given it.
    pub(crate) healed: Vec<(ContentHash, u64)>,
    /// What the history still does not have.
    pub(crate) open: u64,
    /// Bytes of rotten files that are gone.
    pub(crate) freed_bytes: u64,
}

/// A few contents of one history.
#[derive(Debug)]
pub(crate) struct Mender<'a> {
    history: &'a HostHistory,
    aside: Aside,
    room: &'a Room<'a>,
    cases: BTreeMap<ContentHash, Case>,
    judged: Judged,
    /// Snapshots that have a name of one of them.
    touched: Vec<u64>,
    /// Snapshots of which nobody knows what they name.
    unread: u64,
}

impl<'a> Mender<'a> {
    /// Of these contents.
    pub(crate) fn new(
        history: &'a HostHistory,
        room: &'a Room<'a>,
        _alone: &Writing,
        contents: impl Iterator<Item = ContentHash>,
    ) -> Result<Self, Fault> {
        let aside = Aside::open(history)?;
        let cases = contents.map(|content| (content, Case::default())).collect();
        let (judged, touched) = (HashMap::new(), Vec::new());
        Ok(Self { history, aside, room, cases, judged, touched, unread: 0 })
    }

    /// Takes what a push has brought, of those that the log calls lost.
    pub(crate) fn take_from(&mut self, shelves: &Shelves, log: &LogAppender) -> Result<(), Fault> {
        for (hash, rotten) in log.log().rotten() {
            let content = Content { hash: *hash, size: rotten.size };
            let (shelf, name) = shelves.place(content);
            let name = Name::new(name.as_bytes())?;
            match shelf.stat(name) {
                Ok(_) => self.aside.lend(content, shelf, name, self.room)?,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error.into()),
            }
            let good = Some(Healer::Push);
            self.cases.insert(*hash, Case { size: rotten.size, good, ..Case::default() });
        }
        Ok(())
    }

    /// All of it: looks at every name, notes what is lost, mends, notes what is healed, and removes what nobody needs any more, also of a run that
    /// was killed.
    pub(crate) fn mend(mut self, log: &mut LogAppender) -> Result<Mended, Fault> {
        self.survey(log)?;
        let mut mended = Mended::default();
        for (hash, case) in &self.cases {
            if let Some(names) = case.lost()
                && !log.log().rotten().contains_key(hash)
            {
                let Case { size, snapshots, .. } = *case;
                log.append(Event::Rot { content: *hash, size, names, snapshots }, Utc::now())?;
                mended.lost.push((*hash, names, snapshots));
            }
        }
        self.act(log)?;
        self.history.dir().sync_file_system()?;
        for (hash, case) in &self.cases {
            let is_open = log.log().rotten().contains_key(hash);
            if let (true, Some(by)) = (is_open, self.healer(case)) {
                log.append(Event::Healed { content: *hash, names: case.given, by }, Utc::now())?;
                mended.healed.push((*hash, case.given));
            }
        }
        self.aside.forget_good()?;
        mended.open = log.log().rotten().len() as u64;
        mended.freed_bytes = self.forget(log)?;
        Ok(mended)
    }

    /// Who healed it; none if it is not. What cannot be reached or read is no reason to ask for it with each push: verify goes on to name that, and
    /// asks again when it can be. But only where all can be read nobody has a name that should have it.
    fn healer(&self, case: &Case) -> Option<Healer> {
        let Names { lacking, out_of_reach, .. } = case.names;
        let is_nobodys = lacking == 0 && out_of_reach == 0 && self.unread == 0;
        // Whoever found a name lacking and could not give it the content has not healed it.
        let by = case.good.filter(|_| case.given >= lacking);
        by.or(is_nobodys.then_some(Healer::Nobody))
    }

    /// What is healed need not be kept. Who reads it has it open; who has its inode in mind knows it by its time, too.
    fn forget(&self, log: &mut LogAppender) -> Result<u64, Fault> {
        let bytes = self.aside.forget_rotten(log.log().rotten())?;
        if bytes > 0 {
            log.append(Event::Freed { bytes }, Utc::now())?;
        }
        Ok(bytes)
    }

    /// Finds out which names lack their content, and a good file of each. Changes nothing.
    fn survey(&mut self, log: &LogAppender) -> Result<(), Fault> {
        if self.cases.is_empty() {
            return Ok(());
        }
        self.look_aside()?;
        let hashes: Vec<ContentHash> = self.cases.keys().copied().collect();
        for snapshot in log.log().snapshots() {
            let is_one =
                |hash: &ContentHash| hashes.binary_search(hash).is_ok() && is_due(log, hash, snapshot);
            let Self { cases, judged, aside, room, .. } = self;
            // What a manifest names counts when it is proved, and that is at its end.
            let mut named: BTreeMap<ContentHash, Names> = BTreeMap::new();
            let proof = names::of(self.history, snapshot, is_one, &mut |mut place| {
                let content = place.content;
                let Some(case) = cases.get_mut(&content.hash) else { return Ok(()) };
                let names = named.entry(content.hash).or_default();
                names.size = content.size;
                match state(&mut place, judged)? {
                    State::Good if case.good.is_none() => {
                        let (folder, name) = place.at()?;
                        aside.lend(content, folder, name, room)?;
                        case.good = Some(Healer::History);
                    }
                    State::Good => {}
                    State::Rotten(_) | State::Missing => names.lacking += 1,
                    State::OutOfReach => names.out_of_reach += 1,
                    State::Stuck => {
                        names.out_of_reach += 1;
                        names.stuck += 1;
                    }
                }
                Ok(())
            })?;
            match proof {
                Proof::Proved if named.is_empty() => {}
                Proof::Proved => {
                    self.touched.push(snapshot.sequence);
                    for (hash, names) in named {
                        self.cases.entry(hash).or_default().add(names);
                    }
                }
                Proof::Missing => self.unread += 1,
            }
        }
        Ok(())
    }

    /// What was put aside because it could not be read may have been good all the time: a cable, a controller. What has its content is lent again.
    fn look_aside(&mut self) -> Result<(), Fault> {
        for (hash, name) in self.aside.kept()? {
            let Some(case) = self.cases.get_mut(&hash).filter(|case| case.good.is_none()) else { continue };
            let (dir, name) = (self.aside.dir(), Name::new(&name)?);
            let Ok(stat) = dir.stat(name) else { continue };
            let content = Content { hash, size: stat.size };
            if has(dir, name, content)? {
                self.aside.lend(content, dir, name, self.room)?;
                case.good = Some(Healer::History);
            }
        }
        Ok(())
    }

    fn act(&mut self, log: &LogAppender) -> Result<(), Fault> {
        let lacking = self.cases.iter().filter(|(_, case)| case.names.lacking > 0).map(|(hash, _)| *hash);
        let lacking: Vec<ContentHash> = lacking.collect();
        // What is lent is on the disk before anything is replaced by it.
        self.history.dir().sync_file_system()?;
        for snapshot in log.log().snapshots() {
            if self.touched.binary_search(&snapshot.sequence).is_err() {
                continue;
            }
            let is_one =
                |hash: &ContentHash| lacking.binary_search(hash).is_ok() && is_due(log, hash, snapshot);
            let Self { cases, judged, aside, room, .. } = self;
            let _ = names::of(self.history, snapshot, is_one, &mut |mut place| {
                let content = place.content;
                let Some(case) = cases.get_mut(&content.hash) else { return Ok(()) };
                let found = state(&mut place, judged)?;
                let (folder, name) = match found {
                    State::Good | State::OutOfReach | State::Stuck => return Ok(()),
                    State::Rotten(_) | State::Missing => place.at()?,
                };
                if let State::Rotten(stat) = found {
                    aside.keep(content, folder, name, &stat)?;
                }
                if case.good.is_some() {
                    aside.give(content, folder, name, room)?;
                    case.given += 1;
                } else if let State::Rotten(_) = found {
                    folder.unlink(name)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// A snapshot should have this content: what was redacted from it is neither lost nor given back.
fn is_due(log: &LogAppender, hash: &ContentHash, snapshot: &Snapshot) -> bool {
    log.log().redacted().of(hash, snapshot.sequence).is_none()
}

/// How a name stands.
#[derive(Debug, Clone, Copy)]
enum State {
    Good,
    Rotten(Stat),
    Missing,
    OutOfReach,
    /// The file system has lost its inode: the name can neither be looked at nor taken away.
    Stuck,
}

fn state(place: &mut Place<'_>, judged: &mut Judged) -> Result<State, Fault> {
    let stat = match place.look()? {
        There::File(stat) => stat,
        There::Nothing => return Ok(State::Missing),
        There::Other => return Ok(State::OutOfReach),
        There::Lost => return Ok(State::Stuck),
    };
    let content = place.content;
    let inode = (stat.device, stat.inode, content);
    let is_good = match judged.get(&inode) {
        Some(is_good) => *is_good,
        None => {
            let (folder, name) = place.at()?;
            let is_good = stat.size == content.size && has(folder, name, content)?;
            judged.insert(inode, is_good);
            is_good
        }
    };
    Ok(if is_good { State::Good } else { State::Rotten(stat) })
}

/// Whether the file has this content. What the disk does not give back any more has not; anything else that goes wrong says nothing about it.
fn has(folder: &Dir, name: Name<'_>, content: Content) -> Result<bool, Fault> {
    let file: File = match folder.open_read(name) {
        Ok(file) => file,
        Err(error) if is_lost(&error) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let mut hasher = blake3::Hasher::new();
    match hasher.update_reader(&file) {
        Ok(_) => Ok(hasher.finalize().as_bytes() == content.hash.as_bytes()),
        Err(error) if error.raw_os_error().is_some_and(is_lost_by) => Ok(false),
        Err(error) => Err(Fault::stream("reading a file of the history")(error)),
    }
}
