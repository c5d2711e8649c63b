//! Overwrites contents by zeros, in place: every name of an inode, in every snapshot, loses it at once.
//!
//! Nothing is believed: each file is read before anything is noted, and is the content that is to go. Where the log says already that it is gone, whatever is neither that
//! nor zeros loses its name, and is not touched: it may be something else. Folders are held open and names opened beneath them without following a link, so no name leads
//! to a file that the manifest does not mean.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Seek};

use cli::shown;
use durable::{Dir, Linked, Name, Stat};
use formats::ContentHash;
use formats::records::redaction::RedactedContent;
use history::{HostHistory, Log, Snapshot, is_blank};

use super::find::{require, trouble};
use super::order::Erased;
use crate::heal::aside::Aside;
use crate::heal::lost::{is_lost, is_lost_by};
use crate::heal::names::{self, Place, There};
use crate::ingest_host::fault::Fault;
use crate::ingest_host::shelves::{Content, FILE_MODE};
use crate::trouble::Trouble;

/// In the folder `.rot`, while names are made of it: whoever opens that removes what a killed run left.
const ZEROS: &str = ".zeros";
const NEW: Name<'static> = Name::literal("new");
const OTHER: &str = "it is not what its manifest says";

/// How a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has the content.
    Whole,
    /// It has the content, which never was anything but zeros.
    Zeros,
    /// It has nothing but zeros any more.
    Blank,
    /// The log calls it redacted, and it is neither: cut short, rotten since, unreadable, or something else. It loses its name.
    Other,
}

/// The files of some contents.
#[derive(Debug)]
pub(super) struct Eraser<'a> {
    history: &'a HostHistory,
    contents: BTreeMap<ContentHash, u64>,
    /// By inode and content.
    states: HashMap<(u64, u64, ContentHash), State>,
    /// Contents that some snapshot names.
    named: BTreeSet<ContentHash>,
    /// Contents that never were anything but zeros.
    zeros: BTreeSet<ContentHash>,
    /// Contents of which a file of zeros lies ready.
    ready: BTreeSet<ContentHash>,
    touched: Vec<Snapshot>,
    pub(super) names: u64,
    /// Names that no line of the log calls redacted yet.
    pub(super) new_names: u64,
}

impl<'a> Eraser<'a> {
    /// Looks at every name, and refuses what is not the content, unless the log calls it redacted. What no snapshot names is passed over, and what never was
    /// anything but zeros.
    pub(super) fn survey(
        history: &'a HostHistory,
        log: &Log,
        contents: &[RedactedContent],
    ) -> Result<Self, Trouble> {
        let contents = contents.iter().map(|one| (one.content, one.size)).collect();
        let (named, zeros, ready) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (states, touched) = (HashMap::new(), Vec::new());
        let mut eraser =
            Self { history, contents, states, named, zeros, ready, touched, names: 0, new_names: 0 };
        eraser.walk(log)?;
        if !eraser.zeros.is_empty() {
            eraser.walk(log)?;
        }
        let Self { contents, named, zeros, .. } = &mut eraser;
        contents.retain(|hash, _| named.contains(hash) && !zeros.contains(hash));
        if eraser.contents.is_empty() {
            let what = "no snapshot names any of it, or only what never was anything but zeros";
            return Err(Trouble::Usage {
                what: format!("there is nothing to erase: {what}"),
                advice: Some("`snapshotter redact withdraw` takes back what was asked for".to_owned()),
            });
        }
        Ok(eraser)
    }

    /// Reads no file twice.
    fn walk(&mut self, log: &Log) -> Result<(), Trouble> {
        (self.names, self.new_names) = (0, 0);
        self.touched.clear();
        for snapshot in log.snapshots() {
            let before = self.names;
            let mut odd = None;
            let wanted = self.wanted();
            let proof = names::of(self.history, snapshot, |hash| wanted.contains(hash), &mut |mut place| {
                self.names += 1;
                self.named.insert(place.content.hash);
                let is_old = log.redacted().of(&place.content.hash, snapshot.sequence).is_some();
                self.new_names += u64::from(!is_old);
                if let Some(why) = self.look(&mut place, Logged::of(is_old))? {
                    odd.get_or_insert_with(|| {
                        format!("{} of {}: {why}", shown(place.path().as_bytes()), snapshot.name)
                    });
                }
                Ok(())
            });
            require(self.history, snapshot, proof)?;
            if let Some(what) = odd {
                let advice = "nothing was erased. `snapshotter verify --repair` takes what has rotted out of the snapshots; then approve again";
                return Err(Trouble::Usage { what, advice: Some(advice.to_owned()) });
            }
            if self.names > before {
                self.touched.push(snapshot.clone());
            }
        }
        Ok(())
    }

    fn wanted(&self) -> BTreeSet<ContentHash> {
        self.contents.keys().filter(|hash| !self.zeros.contains(hash)).copied().collect()
    }

    /// What goes, by hash.
    pub(super) fn contents(&self) -> Vec<RedactedContent> {
        self.contents
            .iter()
            .map(|(content, size)| RedactedContent { content: *content, size: *size })
            .collect()
    }

    /// How many of the contents never were anything but zeros: they stay.
    pub(super) fn zeros(&self) -> u64 {
        self.zeros.len() as u64
    }

    /// Snapshots that have one of the contents.
    pub(super) fn snapshots(&self) -> &[Snapshot] {
        &self.touched
    }

    /// Tells what is wrong with one name.
    fn look(&mut self, place: &mut Place<'_>, logged: Logged) -> Result<Option<&'static str>, Fault> {
        let content = place.content;
        let stat = match place.look()? {
            There::File(stat) => stat,
            There::Nothing => return Ok(None),
            There::Other | There::Lost if logged == Logged::Yes => return Ok(None),
            There::Other => return Ok(Some("it is no file")),
            There::Lost => return Ok(Some("the file system cannot tell what it is")),
        };
        let key = key(&stat, content);
        if let Some(state) = self.states.get(&key) {
            let is_odd = *state == State::Other && logged == Logged::No;
            return Ok(is_odd.then_some(OTHER));
        }
        let (folder, name) = place.at()?;
        let judged = match folder.open_read(name) {
            Err(error) if logged == Logged::Yes && is_lost(&error) => Ok(State::Other),
            file => match judge(&file?, &stat, content, logged) {
                Err(error) if logged == Logged::Yes && error.raw_os_error().is_some_and(is_lost_by) => {
                    Ok(State::Other)
                }
                judged => judged.map_err(Fault::stream("reading a file of the history"))?,
            },
        };
        match judged {
            Ok(state) => {
                if state == State::Zeros {
                    self.zeros.insert(content.hash);
                }
                self.states.insert(key, state);
                Ok(None)
            }
            Err(why) => Ok(Some(why)),
        }
    }

    /// Erases all of it, and what cannot be erased keeps nothing else. The log says so already.
    pub(super) fn erase(mut self, erased: &mut Erased) -> Result<(), Trouble> {
        erased.names = self.names;
        erased.snapshots = self.touched.len() as u64;
        erased.blank = self.states.values().filter(|state| **state == State::Blank).count() as u64;
        let at = |fault| trouble(self.history, fault);
        let aside = Aside::open(self.history).map_err(at)?;
        let mut first = None;
        for snapshot in std::mem::take(&mut self.touched) {
            let wanted = self.wanted();
            let proof = names::of(self.history, &snapshot, |hash| wanted.contains(hash), &mut |mut place| {
                if let Err(fault) = self.one(&aside, &mut place, erased) {
                    first.get_or_insert(fault);
                }
                Ok(())
            });
            require(self.history, &snapshot, proof)?;
        }
        let forgotten = self.forget(&aside);
        let at = Trouble::folder(format!("bringing the history of {} to the disk", self.history.host()));
        self.history.dir().sync_file_system().map_err(at)?;
        let first = first.map_or(Ok(()), Err);
        first.and(forgotten).map_err(|fault| trouble(self.history, fault))
    }

    fn one(&mut self, aside: &Aside, place: &mut Place<'_>, erased: &mut Erased) -> Result<(), Fault> {
        let content = place.content;
        let stat = match place.look()? {
            There::File(stat) => stat,
            There::Nothing | There::Other | There::Lost => return self.give(aside.dir(), place, erased),
        };
        let key = key(&stat, content);
        match self.states.get(&key) {
            Some(State::Blank | State::Zeros) => return Ok(()),
            Some(State::Other) => return self.give(aside.dir(), place, erased),
            Some(State::Whole) => {}
            None => return Err(changed()),
        }
        let (folder, name) = place.at()?;
        let file = folder.open_read_write(name)?;
        if !stat.is_same_file(&Stat::of(&file)?) {
            return Err(changed());
        }
        blank(&file, content.size).map_err(Fault::stream("overwriting a file of the history"))?;
        self.done(&stat, content, erased);
        Ok(())
    }

    fn done(&mut self, stat: &Stat, content: Content, erased: &mut Erased) {
        self.states.insert(key(stat, content), State::Blank);
        erased.files += 1;
        erased.bytes = erased.bytes.saturating_add(content.size);
    }

    /// Gives the name zeros, one file for all such names of the content. What has it now is replaced in one step, and not touched.
    fn give(&mut self, aside: &Dir, place: &mut Place<'_>, erased: &mut Erased) -> Result<(), Fault> {
        let content = place.content;
        let (folder, name) = place.at()?;
        let zeros = format!("{}{ZEROS}", content.hash);
        let zeros = Name::new(zeros.as_bytes())?;
        if !self.ready.contains(&content.hash) {
            self.make(aside, zeros, content, erased)?;
        }
        if aside.link(zeros, aside, NEW)? == Linked::Full {
            // As many names as an inode can bear: another serves from now on.
            self.ready.remove(&content.hash);
            aside.unlink(zeros)?;
            self.make(aside, zeros, content, erased)?;
            let _ = aside.link(zeros, aside, NEW)?;
        }
        let placed = aside.rename_over_later(NEW, folder, name);
        if placed.is_err() {
            aside.unlink(NEW)?;
        }
        Ok(placed?)
    }

    fn make(
        &mut self,
        aside: &Dir,
        zeros: Name<'_>,
        content: Content,
        erased: &mut Erased,
    ) -> Result<(), Fault> {
        let file = aside.create_new(zeros, FILE_MODE)?;
        if let Err(error) = blank(&file, content.size) {
            aside.unlink(zeros)?;
            return Err(Fault::stream("making a file of zeros")(error));
        }
        self.done(&Stat::of(&file)?, content, erased);
        self.ready.insert(content.hash);
        Ok(())
    }

    /// What had rotted has most of it still, so it goes; but nobody has read it, and it may be something else that has names of its own. What only lay ready goes, too.
    fn forget(&self, aside: &Aside) -> Result<(), Fault> {
        for (hash, name) in aside.kept()? {
            if self.contents.contains_key(&hash) {
                aside.dir().unlink(Name::new(&name)?)?;
            }
        }
        for hash in &self.ready {
            aside.dir().unlink(Name::new(format!("{hash}{ZEROS}").as_bytes())?)?;
        }
        Ok(aside.dir().sync()?)
    }
}

fn key(stat: &Stat, content: Content) -> (u64, u64, ContentHash) {
    (stat.device, stat.inode, content.hash)
}

/// Whether a line of the log calls it redacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logged {
    Yes,
    No,
}

impl Logged {
    fn of(is_old: bool) -> Self {
        if is_old { Logged::Yes } else { Logged::No }
    }
}

/// What a file is; or why it is nothing that may be erased.
fn judge(
    mut file: &File,
    stat: &Stat,
    content: Content,
    logged: Logged,
) -> io::Result<Result<State, &'static str>> {
    let other = |why| if logged == Logged::Yes { Ok(State::Other) } else { Err(why) };
    if stat.size != content.size {
        return Ok(other("it has another size than its manifest says"));
    }
    let is_zeros = is_blank(file, content.size)?;
    if is_zeros && logged == Logged::Yes {
        return Ok(Ok(State::Blank));
    }
    file.rewind()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(match hasher.finalize().as_bytes() == content.hash.as_bytes() {
        true if is_zeros => Ok(State::Zeros),
        true => Ok(State::Whole),
        false => other(OTHER),
    })
}

/// From here on nobody reads the content any more. On the disk when it returns.
fn blank(file: &File, size: u64) -> io::Result<()> {
    file.set_len(0)?;
    file.set_len(size)?;
    file.sync_all()?;
    if is_blank(file, size)? { Ok(()) } else { Err(io::Error::other("it is not empty")) }
}

fn changed() -> Fault {
    Fault::Base("somebody else changes the history".to_owned())
}
