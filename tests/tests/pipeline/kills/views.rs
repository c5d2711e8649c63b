//! Names people know, which each ingest and each prune makes anew: whoever is disturbed, they lead to what is there, or the next run sees to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pipeline_tests::checker::history::Found;
use pipeline_tests::{Host, Scratch};

/// What says that they could not be made, and no more is promised then than that an ingest makes them.
pub(super) const WARNING: &str = ": its views are not current: ";

/// From now on this server keeps them; `host add` makes their folder.
pub(super) fn keep(scratch: &Scratch) {
    let settings = scratch.folder.join("etc/server.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("views = {:?}\n{text}", scratch.folder.join("views"))).unwrap();
}

/// The views of one host: where each leads.
pub(super) struct Views {
    folder: PathBuf,
    targets: BTreeMap<String, PathBuf>,
}

impl Views {
    pub(super) fn of(scratch: &Scratch, host: &Host) -> Views {
        let folder = scratch.folder.join("views").join(&host.name);
        let entries = fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap());
        let target = |path: &Path| fs::read_link(path).unwrap();
        let targets =
            entries.map(|entry| (entry.file_name().into_string().unwrap(), target(&entry.path()))).collect();
        Views { folder, targets }
    }

    /// Those that lead to nothing, or to what is no snapshot of the log.
    pub(super) fn dangling(&self, found: &Found) -> Vec<String> {
        let leads = |(name, target): &(&String, &PathBuf)| {
            let tree = |one: &&str| target.ends_with(Path::new(one).join("tree"));
            found.snapshots.iter().map(|one| one.name.as_str()).any(|one| tree(&one))
                && self.folder.join(name).join(".").is_dir()
        };
        let dangling = self.targets.iter().filter(|view| !leads(view));
        dangling.map(|(name, target)| format!("{name} leads to {}", target.display())).collect()
    }

    /// What of them is not as the next run makes it. Weeks ask a calendar: of them it is enough that they are there.
    pub(super) fn stale(&self, found: &Found) -> Vec<String> {
        let mut stale = self.dangling(found);
        let names: Vec<&str> = found.snapshots.iter().map(|one| one.name.as_str()).collect();
        let Some(newest) = names.last() else { return stale };
        let first = |digits: usize| names.iter().find(|name| name[..digits] == newest[..digits]).unwrap();
        for (view, snapshot) in [("latest", newest), ("daily.0", first(8)), ("monthly.0", first(6))] {
            let target = self.targets.get(view);
            if !target.is_some_and(|target| target.ends_with(Path::new(snapshot).join("tree"))) {
                stale.push(format!("{view} leads to {target:?}, not to {snapshot}"));
            }
        }
        if !self.targets.contains_key("weekly.0") {
            stale.push("weekly.0 is not there".to_owned());
        }
        let is_view = |name: &str| {
            ["latest", "daily.", "weekly.", "monthly."].iter().any(|kind| name.starts_with(kind))
        };
        stale.extend(
            self.targets.keys().filter(|name| !is_view(name)).map(|name| format!("{name} is no view")),
        );
        stale
    }
}
