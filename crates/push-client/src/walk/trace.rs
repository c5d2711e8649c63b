//! What would become of one path, by the walk's own steps: down to it, and nowhere else.

use std::convert::Infallible;

use formats::RelPath;

use super::facts::FileKind;
use super::rules::Shape;
use super::selection::{Choice, Selection};
use super::walker::{Found, Missed, Visit, Walker};

/// What would become of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The path that decides: the one asked for, or one above it.
    pub at: Vec<u8>,
    /// What would become of it.
    pub fate: Fate,
}

/// What would become of a path, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is pushed.
    Pushed {
        /// The rule that takes it, if one does.
        rule: Option<usize>,
        /// Why what it holds is not.
        without: Option<Missed>,
    },
    /// The folder alone is pushed, as something below it may be.
    FolderOnly,
    /// It is not.
    Missed(Missed),
    /// No root is here or above.
    NotChosen,
    /// It does not exist.
    NotThere,
    /// It lies below what is no folder.
    NoFolder(FileKind),
}

impl Fate {
    /// True if the path itself is in the push.
    pub fn is_pushed(&self) -> bool {
        matches!(self, Fate::Pushed { .. } | Fate::FolderOnly)
    }
}

impl Walker<'_> {
    /// What would become of `path`.
    pub fn trace(self, path: &RelPath) -> Trace {
        let mut seen = Seen::default();
        let Ok(mut level) = self.enter(&mut seen);
        let names: Vec<&[u8]> = path.components().collect();
        for (depth, name) in names.iter().enumerate() {
            let above = names.get(..depth).unwrap_or_default().join(&b'/');
            let Some(here) = level else { return Trace { at: above, fate: seen.why_not_below() } };
            if !here.holds(name) {
                return Trace { at: above, fate: seen.why_not_listed(here.choice()) };
            }
            seen = Seen::default();
            let Ok(deeper) = here.step(name, &mut seen);
            if depth + 1 == names.len() {
                let shape = if seen.found == Some(FileKind::Folder) { Shape::Folder } else { Shape::Leaf };
                let decision = here.decide(name, shape);
                let fate = match (seen.found, seen.missed) {
                    (Some(_), _) if matches!(decision.choice, Choice::Search | Choice::Pass) => {
                        Fate::FolderOnly
                    }
                    (Some(_), without) => Fate::Pushed { rule: decision.taken_by, without },
                    (None, Some(why)) => Fate::Missed(why),
                    (None, None) => Fate::NotChosen,
                };
                return Trace { at: path.as_bytes().to_vec(), fate };
            }
            level = deeper;
        }
        Trace { at: Vec::new(), fate: Fate::NotThere }
    }
}

impl Selection {
    /// The root that is nearest above `path`, or is it.
    pub fn root_of(&self, path: &RelPath) -> Option<Vec<u8>> {
        let mut branch = self.top();
        let mut root = branch.is_root().then(Vec::new);
        let mut here: Vec<&[u8]> = Vec::new();
        for name in path.components() {
            let Some(below) = branch.child(name) else { break };
            branch = below;
            here.push(name);
            if branch.is_root() {
                root = Some(here.join(&b'/'));
            }
        }
        root
    }
}

/// What one step met.
#[derive(Debug, Default)]
struct Seen {
    found: Option<FileKind>,
    missed: Option<Missed>,
}

impl Seen {
    /// The step led to no folder that could be gone into.
    fn why_not_below(&self) -> Fate {
        match (self.found, self.missed) {
            (Some(kind), _) if kind != FileKind::Folder => Fate::NoFolder(kind),
            (_, Some(why)) => Fate::Missed(why),
            _ => Fate::NotChosen,
        }
    }

    /// The folder was gone into, and the name is not among those that are looked at.
    fn why_not_listed(&self, choice: Choice) -> Fate {
        match self.missed {
            Some(why) => Fate::Missed(why),
            None if choice == Choice::Pass => Fate::NotChosen,
            None => Fate::NotThere,
        }
    }
}

impl Visit for Seen {
    type Stop = Infallible;

    fn found(&mut self, found: &Found<'_>) -> Result<(), Infallible> {
        self.found = Some(found.facts.kind);
        Ok(())
    }

    fn missed(&mut self, _: &[u8], why: Missed) -> Result<(), Infallible> {
        self.missed = Some(why);
        Ok(())
    }
}
