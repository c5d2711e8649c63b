//! Overwrites contents by zeros, in place: every name of an inode, in every snapshot, loses it at once.
//!
//! Nothing is believed: each file is read before anything is noted, and is either the content that is to go, or what an earlier run left. Folders
//! are held open and
//! names opened beneath them without following a link, so no name leads to a file that the manifest does not mean.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Seek};

use cli::shown;
use durable::{Name, Stat};
use formats::ContentHash;
use formats::records::redaction::RedactedContent;
use history::{HostHistory, Log, Snapshot, is_blank};

use super::find::{require, trouble};
use super::order::Erased;
use crate::heal::aside::Aside;
use crate::heal::names::{self, Place, There};
use crate::ingest_host::fault::Fault;
use crate::ingest_host::shelves::FILE_MODE;
use crate::trouble::Trouble;

/// How a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has the content.
    Whole,
    /// It was being overwritten: its length is gone.
    Torn,
    /// It has nothing but zeros any more.
    Blank,
}

/// The files of some contents.
#[derive(Debug)]
pub(super) struct Eraser<'a> {
    history: &'a HostHistory,
    contents: BTreeMap<ContentHash, u64>,
    /// By inode and content.
    states: HashMap<(u64, u64, ContentHash), State>,
    /// Names without a file.
    missing: u64,
    touched: Vec<Snapshot>,
    pub(super) names: u64,
    /// Names that no line of the log calls redacted yet.
    pub(super) new_names: u64,
}

impl<'a> Eraser<'a> {
    /// Looks at every name, and refuses what is neither the content nor what an earlier run left of it.
    pub(super) fn survey(
        history: &'a HostHistory,
        log: &Log,
        contents: &[RedactedContent],
    ) -> Result<Self, Trouble> {
        let contents = contents.iter().map(|one| (one.content, one.size)).collect();
        let (states, touched) = (HashMap::new(), Vec::new());
        let mut eraser = Self { history, contents, states, missing: 0, touched, names: 0, new_names: 0 };
        for snapshot in log.snapshots() {
            let before = eraser.names;
            let mut odd = None;
            let wanted = eraser.contents.clone();
            let proof = names::of(history, snapshot, |hash| wanted.contains_key(hash), &mut |mut place| {
                eraser.names += 1;
                let is_old = log.redacted().of(&place.content.hash, snapshot.sequence).is_some();
                eraser.new_names += u64::from(!is_old);
                if let Some(why) = eraser.look(&mut place, Logged::of(is_old))? {
                    odd.get_or_insert_with(|| {
                        format!("{} of {}: {why}", shown(place.path().as_bytes()), snapshot.name)
                    });
                }
                Ok(())
            });
            require(history, snapshot, proof)?;
            if let Some(what) = odd {
                let advice = "nothing was erased. `snapshotter verify --repair` takes what has rotted out of the snapshots; then approve again";
                return Err(Trouble::Usage { what, advice: Some(advice.to_owned()) });
            }
            if eraser.names > before {
                eraser.touched.push(snapshot.clone());
            }
        }
        Ok(eraser)
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
            There::Nothing => {
                self.missing += 1;
                return Ok(None);
            }
            There::Other => return Ok(Some("it is no file")),
            There::Lost => return Ok(Some("the file system cannot tell what it is")),
        };
        let key = (stat.device, stat.inode, content.hash);
        if self.states.contains_key(&key) {
            return Ok(None);
        }
        let (folder, name) = place.at()?;
        let file = folder.open_read(name)?;
        let judged = judge(&file, &stat, (content.hash, content.size), logged);
        match judged.map_err(Fault::stream("reading a file of the history"))? {
            Ok(state) => {
                self.states.insert(key, state);
                Ok(None)
            }
            Err(why) => Ok(Some(why)),
        }
    }

    /// Erases all of it. The log says so already.
    pub(super) fn erase(mut self, erased: &mut Erased) -> Result<(), Trouble> {
        erased.names = self.names;
        erased.snapshots = self.touched.len() as u64;
        erased.blank = self.states.values().filter(|state| **state == State::Blank).count() as u64;
        for snapshot in std::mem::take(&mut self.touched) {
            let wanted = self.contents.clone();
            let proof =
                names::of(self.history, &snapshot, |hash| wanted.contains_key(hash), &mut |mut place| {
                    self.one(&mut place, erased)
                });
            require(self.history, &snapshot, proof)?;
        }
        self.forget_rotten().map_err(|fault| trouble(self.history, fault))?;
        let at = Trouble::folder(format!("bringing the history of {} to the disk", self.history.host()));
        self.history.dir().sync_file_system().map_err(at)
    }

    fn one(&mut self, place: &mut Place<'_>, erased: &mut Erased) -> Result<(), Fault> {
        let content = place.content;
        let (there, file) = match place.look()? {
            There::File(stat) => {
                let state = self.states.get(&(stat.device, stat.inode, content.hash)).copied();
                match state {
                    Some(State::Blank) => return Ok(()),
                    Some(State::Whole | State::Torn) => {}
                    None => return Err(changed()),
                }
                let (folder, name) = place.at()?;
                (Some(stat), folder.open_read_write(name)?)
            }
            There::Nothing => {
                let (folder, name) = place.at()?;
                let file = folder.create_new(name, FILE_MODE)?;
                folder.sync()?;
                (None, file)
            }
            There::Other | There::Lost => return Err(changed()),
        };
        let stat = Stat::of(&file)?;
        if there.is_some_and(|there| !there.is_same_file(&stat)) {
            return Err(changed());
        }
        blank(&file, content.size).map_err(Fault::stream("overwriting a file of the history"))?;
        self.states.insert((stat.device, stat.inode, content.hash), State::Blank);
        erased.files += 1;
        erased.bytes = erased.bytes.saturating_add(content.size);
        Ok(())
    }

    /// What had rotted has most of it still.
    fn forget_rotten(&self) -> Result<(), Fault> {
        if !crate::heal::aside::is_any(self.history)? {
            return Ok(());
        }
        let aside = Aside::open(self.history)?;
        for name in
            self.contents.keys().map(|hash| aside.names_of(hash)).collect::<Result<Vec<_>, _>>()?.concat()
        {
            let name = Name::new(&name)?;
            let file = aside.dir().open_read_write(name)?;
            file.set_len(0)
                .and_then(|()| file.sync_all())
                .map_err(Fault::stream("emptying what had rotted"))?;
            aside.dir().unlink(name)?;
        }
        Ok(aside.dir().sync()?)
    }
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
    (hash, size): (ContentHash, u64),
    logged: Logged,
) -> io::Result<Result<State, &'static str>> {
    if logged == Logged::Yes {
        if stat.size == 0 {
            return Ok(Ok(State::Torn));
        }
        if is_blank(file, size)? {
            return Ok(Ok(State::Blank));
        }
    }
    if stat.size != size {
        return Ok(Err("it has another size than its manifest says"));
    }
    let is_zeros = is_blank(file, size)?;
    file.rewind()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(match hasher.finalize().as_bytes() == hash.as_bytes() {
        true if is_zeros => Err("it has nothing but zeros, and there is nothing to erase"),
        true => Ok(State::Whole),
        false => Err("it is not what its manifest says"),
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
