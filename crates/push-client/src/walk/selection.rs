//! Which paths are pushed: a tree of the components that the settings name.

use std::collections::BTreeMap;

use formats::RelPath;

use super::open::Mounts;
use super::rules::Rules;
use super::tags::Tags;

/// What the settings say of a path and all below it, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mark {
    /// Nothing: as the folder above.
    #[default]
    None,
    Take,
    Leave,
}

/// One component that the settings name.
#[derive(Debug, Clone, Default)]
pub struct Branch {
    mark: Mark,
    below: BTreeMap<Vec<u8>, Branch>,
    /// Something at or below is to be taken.
    leads: bool,
    /// The push has a file here that the walk does not find.
    is_produced: bool,
    /// It has one further down.
    keeps: bool,
    /// Where a root is read, if not where it is.
    read_at: Option<RelPath>,
}

/// Roots and what is left out below them. The nearest name above a path decides; then the rules, for what is not named itself.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    top: Branch,
    /// What is taken and left by patterns.
    pub rules: Rules,
    /// What is left by a file that lies in it.
    pub tags: Tags,
    /// Whether mount points below a root are gone into.
    pub mounts: Mounts,
}

/// What to do with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// It belongs to the push.
    Take,
    /// It does not, but a rule may take something below: the folder itself is kept, and all it holds is looked at.
    Search,
    /// It does not, but a root lies below: only the folder itself is kept.
    Pass,
    /// It does not.
    Leave,
}

impl Selection {
    /// As [`Selection::take`], of a tree that is read somewhere else, and keeps its path.
    pub fn read_at(&mut self, components: &[Vec<u8>], at: RelPath) {
        self.taken(components).read_at = Some(at);
    }

    /// Takes the path with these components, and all below it.
    pub fn take(&mut self, components: &[Vec<u8>]) {
        self.taken(components);
    }

    fn taken(&mut self, components: &[Vec<u8>]) -> &mut Branch {
        let mut branch = &mut self.top;
        branch.leads = true;
        for component in components {
            branch = branch.below.entry(component.clone()).or_default();
            branch.leads = true;
        }
        branch.mark = Mark::Take;
        branch
    }

    /// Leaves out the path with these components, and all below it. Wins over [`Selection::take`] of the same path.
    pub fn leave(&mut self, components: &[Vec<u8>]) {
        let mut branch = &mut self.top;
        for component in components {
            branch = branch.below.entry(component.clone()).or_default();
        }
        branch.mark = Mark::Leave;
    }

    /// Makes room for a file that no folder of this host holds: what lies at `path` is left out, and the folders above it are kept. Or why there
    /// can be none.
    pub fn produce(&mut self, path: &RelPath) -> Result<(), String> {
        let mut branch = &mut self.top;
        let mut names = path.components().peekable();
        while let Some(name) = names.next() {
            branch.keeps = true;
            branch = branch.below.entry(name.to_vec()).or_default();
            if branch.is_produced {
                return Err("must not be, or lie below, that of another dump".to_owned());
            }
            if names.peek().is_none() && (branch.keeps || branch.leads) {
                return Err("must not be, or lie above, a root or that of another dump".to_owned());
            }
        }
        branch.mark = Mark::Leave;
        branch.is_produced = true;
        Ok(())
    }

    /// The push has a file at `path`, or further down, that the walk does not find.
    pub fn produces(&self, path: &RelPath) -> bool {
        let below = path.components().try_fold(&self.top, |branch, name| branch.child(name));
        below.is_some_and(|branch| branch.is_produced || branch.keeps)
    }

    /// The host's `/`.
    pub fn top(&self) -> &Branch {
        &self.top
    }
}

impl Branch {
    /// The named components directly below, in the order of manifests.
    pub fn names(&self) -> impl Iterator<Item = (&Vec<u8>, &Branch)> {
        self.below.iter()
    }

    /// The branch of one component, if the settings name it.
    pub fn child(&self, name: &[u8]) -> Option<&Branch> {
        self.below.get(name)
    }

    /// What its own name says.
    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// Where it is read, if not where it is.
    pub(super) fn read_elsewhere(&self) -> Option<&RelPath> {
        self.read_at.as_ref().filter(|_| self.is_root())
    }

    /// True for a root.
    pub fn is_root(&self) -> bool {
        self.mark == Mark::Take
    }

    /// A root is here or below, or the place of a file that the walk does not find is below.
    pub fn leads_on(&self) -> bool {
        self.leads || self.keeps
    }

    /// A root is here or below.
    pub fn leads_to_root(&self) -> bool {
        self.leads
    }

    /// What to do here, if the folder above is taken or not.
    pub fn choice(&self, above: Choice) -> Choice {
        let taken = match self.mark {
            Mark::Take => true,
            Mark::Leave => false,
            Mark::None => above == Choice::Take,
        };
        match (taken, self.leads_on()) {
            (true, _) => Choice::Take,
            (false, true) => Choice::Pass,
            (false, false) => Choice::Leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(take: &[&str], leave: &[&str]) -> Selection {
        let parts = |path: &str| {
            path.split('/').filter(|c| !c.is_empty()).map(|c| c.as_bytes().to_vec()).collect::<Vec<_>>()
        };
        let mut selection = Selection::default();
        take.iter().for_each(|path| selection.take(&parts(path)));
        leave.iter().for_each(|path| selection.leave(&parts(path)));
        selection
    }

    fn choice(selection: &Selection, path: &str) -> Choice {
        let mut branch = Some(selection.top());
        let mut choice = selection.top().choice(Choice::Leave);
        for component in path.split('/') {
            branch = branch.and_then(|branch| branch.child(component.as_bytes()));
            choice = match branch {
                Some(branch) => branch.choice(choice),
                None if choice == Choice::Take => Choice::Take,
                None => Choice::Leave,
            };
        }
        choice
    }

    #[test]
    fn the_nearest_named_path_decides() {
        let all = selection(&["/srv", "/srv/a/b/c"], &["/srv/a", "/srv/x"]);
        for (path, expected) in [
            ("srv", Choice::Take),
            ("srv/y/z", Choice::Take),
            ("srv/x", Choice::Leave),
            ("srv/x/y", Choice::Leave),
            ("srv/a", Choice::Pass),
            ("srv/a/z", Choice::Leave),
            ("srv/a/b", Choice::Pass),
            ("srv/a/b/c", Choice::Take),
            ("srv/a/b/c/d", Choice::Take),
            ("etc", Choice::Leave),
        ] {
            assert_eq!(choice(&all, path), expected, "{path}");
        }
    }

    #[test]
    fn the_whole_machine_can_be_a_root() {
        let all = selection(&["/"], &["/proc"]);
        assert_eq!(choice(&all, "etc/passwd"), Choice::Take);
        assert_eq!(choice(&all, "proc/1"), Choice::Leave);
    }

    #[test]
    fn a_produced_file_keeps_the_folders_above_it_and_stands_alone() {
        let path = |path: &str| RelPath::new(path.as_bytes()).unwrap();
        let mut all = selection(&["/srv/a/b"], &["/srv"]);
        all.produce(&path("srv/dumps/db.sql")).unwrap();
        all.produce(&path("srv/a/b/db.sql")).unwrap();
        for (path, expected) in [
            ("srv/dumps", Choice::Pass),
            ("srv/dumps/other", Choice::Leave),
            ("srv/dumps/db.sql", Choice::Leave),
            ("srv/a/b/c", Choice::Take),
            ("srv/a/b/db.sql", Choice::Leave),
        ] {
            assert_eq!(choice(&all, path), expected, "{path}");
        }
        for bad in ["srv/dumps/db.sql", "srv/dumps/db.sql/x", "srv/dumps", "srv/a", "srv/a/b", "srv"] {
            assert!(all.clone().produce(&path(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_left_out_wins_over_a_root_of_the_same_name() {
        assert_eq!(choice(&selection(&["/a"], &["/a"]), "a"), Choice::Pass);
    }
}
