//! One held folder of the walk, and what becomes of each of its names.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use formats::RelPath;
use rustix::io::Errno;

use super::facts::{Facts, FileKind, Freshness, Shift};
use super::listing::{Home, list};
use super::open::{Mounts, open_elsewhere, open_folder};
use super::rules::{Place, Ruling, Shape};
use super::selection::{Branch, Choice, Mark, Selection};
use super::walker::{At, Excluded, Found, Ground, Missed, Visit};

/// A name that is replaced by another kind each time it is looked at is given up after this many looks.
const LOOKS_MAX: u32 = 4;

pub(super) struct Level<'s> {
    selection: &'s Selection,
    folder: Arc<OwnedFd>,
    at: At<'s>,
    names: std::vec::IntoIter<Vec<u8>>,
    device: u64,
    home: Home,
}

/// One name of a level.
struct Step<'a, 's> {
    path: &'a RelPath,
    name: &'a [u8],
    branch: Option<&'s Branch>,
}

/// What the settings say of one name of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) choice: Choice,
    /// The rule that took it, if one did.
    pub(super) taken_by: Option<usize>,
    /// What left it out, if anything did.
    pub(super) left_by: Option<Excluded>,
}

impl<'s> Level<'s> {
    /// Lists a folder, and goes into it.
    pub(super) fn enter<V: Visit>(
        selection: &'s Selection,
        folder: Arc<OwnedFd>,
        at: At<'s>,
        visit: &mut V,
    ) -> Result<Option<Self>, V::Stop> {
        let path = at.path.as_ref().map_or(b"".as_slice(), RelPath::as_bytes);
        let listed = match Listed::of(&folder, &at) {
            Ok(listed) => listed,
            Err(errno) => return visit.missed(path, Missed::Unlisted(errno)).map(|()| None),
        };
        let Listed { mut names, device, home } = listed;
        // Whoever names a folder as a root wants it, whatever lies in it.
        let is_root = at.branch.is_some_and(Branch::is_root);
        if at.choice != Choice::Pass
            && !is_root
            && let Some(tag) = selection.tags.of(&folder, &names)
        {
            let is_marker = selection.tags.markers.iter().any(|marker| marker == tag);
            let why = if is_marker { Excluded::Marked } else { Excluded::Cache };
            visit.missed(path, Missed::Excluded(why))?;
            let leads = |name: &Vec<u8>| at.branch.and_then(|b| b.child(name)).is_some_and(Branch::leads_on);
            names.retain(|name| name == tag || leads(name));
        }
        Ok(Some(Level { selection, folder, at, names: names.into_iter(), device, home }))
    }

    /// The next name to take.
    pub(super) fn next_name(&mut self) -> Option<Vec<u8>> {
        self.names.next()
    }

    /// True if `name` is among those that are left to be taken.
    pub(super) fn holds(&self, name: &[u8]) -> bool {
        self.names.as_slice().iter().any(|own| own == name)
    }

    /// As what the folder was gone into.
    pub(super) fn choice(&self) -> Choice {
        self.at.choice
    }

    /// What the settings say of a name, by itself and as its folder is.
    pub(super) fn decide(&self, name: &[u8], shape: Shape) -> Decision {
        let branch = self.at.branch.and_then(|branch| branch.child(name));
        let leads = branch.is_some_and(Branch::leads_on);
        let left = |by| {
            let choice = if leads { Choice::Pass } else { Choice::Leave };
            Decision { choice, taken_by: None, left_by: Some(by) }
        };
        match branch.map_or(Mark::None, Branch::mark) {
            Mark::Take => Decision { choice: Choice::Take, taken_by: None, left_by: None },
            Mark::Leave => left(Excluded::Named),
            // Only roots are looked for here.
            Mark::None if self.at.choice == Choice::Pass => {
                let choice = if leads { Choice::Pass } else { Choice::Leave };
                Decision { choice, taken_by: None, left_by: None }
            }
            Mark::None => match self.selection.rules.judge(&self.at.place, name, shape) {
                Ruling::Take(taken_by) => Decision { choice: Choice::Take, taken_by, left_by: None },
                Ruling::Search(by) => {
                    let left_by = Some(Excluded::Rule(by));
                    Decision { choice: Choice::Search, taken_by: None, left_by }
                }
                Ruling::Leave(by) => left(Excluded::Rule(by)),
            },
        }
    }

    /// Takes one name; a folder to go into comes back.
    pub(super) fn step<V: Visit>(&self, name: &[u8], visit: &mut V) -> Result<Option<Level<'s>>, V::Stop> {
        let path = match &self.at.path {
            Some(path) => path.join(name),
            None => RelPath::new(name),
        };
        let Ok(path) = path else {
            let above = self.at.path.as_ref().map_or(b"".as_slice(), RelPath::as_bytes);
            let shown = [above, b"/", name].concat();
            return visit.missed(&shown, Missed::Name).map(|()| None);
        };
        let branch = self.at.branch.and_then(|branch| branch.child(name));
        let step = Step { path: &path, name, branch };
        // Passed over without a look: it may be a mount whose server is gone.
        if branch.is_some_and(|branch| branch.mark() == Mark::Leave && !branch.leads_on()) {
            return visit.missed(path.as_bytes(), Missed::Excluded(Excluded::Named)).map(|()| None);
        }
        for _ in 0..LOOKS_MAX {
            match self.look(&step, visit)? {
                Look::Done => return Ok(None),
                Look::Enter(level) => return Ok(Some(*level)),
                Look::Again => {}
            }
        }
        visit.missed(path.as_bytes(), Missed::Unsteady).map(|()| None)
    }

    fn look<V: Visit>(&self, step: &Step<'_, 's>, visit: &mut V) -> Result<Look<'s>, V::Stop> {
        let path = step.path.as_bytes();
        if let Some(elsewhere) = step.branch.and_then(Branch::read_elsewhere) {
            return self.look_elsewhere(step, elsewhere, visit);
        }
        let facts = match self.facts(step) {
            Ok(facts) => facts,
            Err(errno) => return visit.missed(path, step.absent(errno)).map(|()| Look::Done),
        };
        let is_folder = facts.kind == FileKind::Folder;
        let decision = self.decide(step.name, if is_folder { Shape::Folder } else { Shape::Leaf });
        match (decision.choice, decision.left_by) {
            (Choice::Leave, Some(by)) => {
                return visit.missed(path, Missed::Excluded(by)).map(|()| Look::Done);
            }
            (Choice::Leave, None) => return Ok(Look::Done),
            _ => {}
        }
        if is_folder {
            return self.look_into(step, facts, decision, visit);
        }
        if self.is_elsewhere(step, &facts) {
            return visit.missed(path, Missed::OtherFileSystem).map(|()| Look::Done);
        }
        let linked = facts.kind == FileKind::Symlink;
        if decision.choice == Choice::Pass {
            let why = if linked { Missed::LinkedRoot } else { Missed::NoRoot };
            return visit.missed(path, why).map(|()| Look::Done);
        }
        visit.found(&self.found(step, facts))?;
        if linked && (step.is_root() || step.leads_on()) {
            visit.missed(path, Missed::LinkedRoot)?;
        }
        Ok(Look::Done)
    }

    /// The first look asks no server, so that a mount whose server is gone is passed by instead of waited for.
    fn facts(&self, step: &Step<'_, 's>) -> Result<Facts, Errno> {
        let facts = Facts::of_name(&self.folder, step.name, Freshness::Cached)?;
        if self.home == Home::Local || self.is_elsewhere(step, &facts) {
            return Ok(facts);
        }
        Facts::of_name(&self.folder, step.name, Freshness::Asked)
    }

    fn found<'a>(&'a self, step: &Step<'a, '_>, facts: Facts) -> Found<'a> {
        let shift = self.at.ground.shift;
        Found {
            path: step.path,
            folder: &self.folder,
            name: step.name,
            facts: facts.shifted(shift),
            open: None,
            shift,
        }
    }

    /// A root that is read somewhere else.
    fn look_elsewhere<V: Visit>(
        &self,
        step: &Step<'_, 's>,
        elsewhere: &RelPath,
        visit: &mut V,
    ) -> Result<Look<'s>, V::Stop> {
        let opened = open_elsewhere(&self.at.ground.top, elsewhere);
        let opened = opened.and_then(|folder| Ok((Facts::of_open(&folder)?, folder)));
        let (facts, folder) = match opened {
            Ok((facts, folder)) => (facts, Arc::new(folder)),
            Err(errno) => {
                let why = match errno {
                    Errno::NOENT => Missed::NoRoot,
                    Errno::LOOP => Missed::LinkedRoot,
                    errno => Missed::Closed(errno),
                };
                return visit.missed(step.path.as_bytes(), why).map(|()| Look::Done);
            }
        };
        let shift = Shift::of(step.path.as_bytes(), &facts);
        let found = self.found(step, facts);
        visit.found(&Found { open: Some(&folder), facts: facts.shifted(shift), shift, ..found })?;
        let decision = self.decide(step.name, Shape::Folder);
        let at = At {
            path: Some(step.path.clone()),
            branch: step.branch,
            choice: decision.choice,
            place: self.below(step, decision),
            ground: Ground { top: Rc::clone(&self.at.ground.top), shift },
        };
        let level = Level::enter(self.selection, folder, at, visit)?;
        Ok(level.map_or(Look::Done, |level| Look::Enter(Box::new(level))))
    }

    fn look_into<V: Visit>(
        &self,
        step: &Step<'_, 's>,
        facts: Facts,
        decision: Decision,
        visit: &mut V,
    ) -> Result<Look<'s>, V::Stop> {
        let elsewhere = self.is_elsewhere(step, &facts);
        let crosses = self.selection.mounts == Mounts::Cross;
        if elsewhere && !step.leads_on() && !crosses {
            return self.keep_closed(step, facts, Missed::OtherFileSystem, visit);
        }
        let may_cross = crosses || step.is_root() || step.leads_on() || decision.choice == Choice::Pass;
        let mounts = if may_cross { Mounts::Cross } else { Mounts::Stay };
        let folder = match open_folder(&self.folder, step.name, &facts, mounts) {
            Ok(folder) => Arc::new(folder),
            Err(Errno::NOENT) => {
                return visit.missed(step.path.as_bytes(), step.absent(Errno::NOENT)).map(|()| Look::Done);
            }
            // The last: mounted over, or moved out of this folder, in this moment. What it is now, the next look tells.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(Look::Again),
            Err(errno) => return self.keep_closed(step, facts, Missed::Unlisted(errno), visit),
        };
        // What was opened counts, whatever was seen before.
        let facts = match Facts::of_open(&folder) {
            Ok(facts) => facts,
            Err(errno) => {
                return visit.missed(step.path.as_bytes(), Missed::Closed(errno)).map(|()| Look::Done);
            }
        };
        visit.found(&Found { open: Some(&folder), ..self.found(step, facts) })?;
        let mut choice = decision.choice;
        if elsewhere {
            let is_entered = crosses && !matches!(Home::of(&folder), Ok(Home::MadeUp));
            if !is_entered && !step.leads_on() {
                return visit.missed(step.path.as_bytes(), Missed::OtherFileSystem).map(|()| Look::Done);
            }
            // A mount point on the way to a root: of the other file system only that root is taken.
            choice = if is_entered { choice } else { Choice::Pass };
        }
        let at = At {
            path: Some(step.path.clone()),
            branch: step.branch,
            choice,
            place: self.below(step, decision),
            ground: self.at.ground.clone(),
        };
        let level = Level::enter(self.selection, folder, at, visit)?;
        Ok(level.map_or(Look::Done, |level| Look::Enter(Box::new(level))))
    }

    /// How far the rules have come in the folder that is gone into.
    fn below(&self, step: &Step<'_, '_>, decision: Decision) -> Place {
        let left_by = match decision.left_by {
            Some(Excluded::Rule(by)) => Some(by),
            _ => None,
        };
        self.selection.rules.below(&self.at.place, step.name, left_by)
    }

    /// The folder itself is kept, and nothing of what it holds.
    fn keep_closed<V: Visit>(
        &self,
        step: &Step<'_, 's>,
        facts: Facts,
        why: Missed,
        visit: &mut V,
    ) -> Result<Look<'s>, V::Stop> {
        visit.found(&self.found(step, facts))?;
        visit.missed(step.path.as_bytes(), why).map(|()| Look::Done)
    }

    /// The name leads to another file system, which is not pushed unless it is a root.
    fn is_elsewhere(&self, step: &Step<'_, '_>, facts: &Facts) -> bool {
        self.at.choice != Choice::Pass
            && !step.is_root()
            && (facts.is_mount || facts.stamp.device != self.device)
    }
}

enum Look<'s> {
    Done,
    Enter(Box<Level<'s>>),
    Again,
}

impl Step<'_, '_> {
    fn is_root(&self) -> bool {
        self.branch.is_some_and(Branch::is_root)
    }

    /// A root lies further down.
    fn leads_on(&self) -> bool {
        self.branch.is_some_and(|branch| branch.names().any(|(_, below)| below.leads_on()))
    }

    fn absent(&self, errno: Errno) -> Missed {
        match errno {
            Errno::NOENT if self.branch.is_some_and(Branch::leads_to_root) => Missed::NoRoot,
            Errno::NOENT => Missed::Vanished,
            errno => Missed::Closed(errno),
        }
    }
}

/// What is to be looked at in a folder, its device, and where it lives.
struct Listed {
    names: Vec<Vec<u8>>,
    device: u64,
    home: Home,
}

impl Listed {
    fn of(folder: &OwnedFd, at: &At<'_>) -> Result<Self, Errno> {
        let named = at.branch.into_iter().flat_map(Branch::names);
        let roots = named.filter(|(_, below)| below.leads_on()).map(|(name, _)| name.clone());
        let device = Facts::of_open(folder)?.stamp.device;
        let home = Home::of(folder)?;
        if at.choice == Choice::Pass {
            return Ok(Self { names: roots.collect(), device, home });
        }
        let mut names = list(folder)?;
        // A root that is not there is looked for all the same, and named.
        let missing: Vec<_> = roots.filter(|name| names.binary_search(name).is_err()).collect();
        if !missing.is_empty() {
            names.extend(missing);
            names.sort_unstable();
        }
        Ok(Self { names, device, home })
    }
}
