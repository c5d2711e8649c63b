//! Names people know: for each host a folder of symbolic links to its snapshots, called as rsnapshot calls them.
//!
//! ```text
//! <views>/<host>/latest    -> ../../history/<host>/<snapshot>/tree
//! <views>/<host>/daily.0   ...
//! ```
//!
//! They lie outside of the history, so that it can be mounted `nosymfollow`: what a host calls a link then leads nobody anywhere, and these still do.
//! Each ingest and each prune makes its host's anew, also one that has nothing else to do; nothing depends on them, and what keeps them from being
//! made keeps no push from being judged and no snapshot from being removed. Whoever holds the writer's lock of the history may change them, and no
//! other: so two never work on one folder.

mod names;

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use cli::{Console, Exit, Failed, Monitor, Run};
use durable::{Dir, FileKind, Name};
use formats::HostId;
use history::{AcceptedPush, HostHistory, Log, SnapshotName, Writing, layout};

use crate::list::{hosts, open};
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::turn;
use names::{Seen, is_view, views_of};

/// How long whoever writes is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of one host's views, held open.
#[derive(Debug)]
pub(crate) struct Views {
    dir: Dir,
    /// What comes before a snapshot's name in a link.
    before: Vec<u8>,
}

/// What a renewal came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Renewed {
    /// Views that there are.
    pub(crate) views: usize,
    /// Of these, so many that were not there, or led elsewhere.
    pub(crate) made: usize,
    /// Links that were removed.
    pub(crate) removed: usize,
}

/// What keeps views from being current.
struct Stale<'a> {
    /// Views that are not there or lead elsewhere, and where they are to lead.
    views: Vec<(Name<'a>, Vec<u8>)>,
    /// Links with the name of a view, for which there is no snapshot.
    links: Vec<Vec<u8>>,
}

impl Views {
    /// Opens the folder, and makes it if it is not there; none if the settings name no folder for views.
    pub(crate) fn open(settings: &Settings, host: &HostId) -> durable::Result<Option<Self>> {
        let Some(top) = &settings.views else { return Ok(None) };
        let name = host.as_str().as_bytes();
        let dir = Dir::open_root(top)?.make_dir_or_open(Name::new(name)?, 0o750)?;
        let before = [&way_to(&settings.history, top), name, b"/"].concat();
        Ok(Some(Self { dir, before }))
    }

    /// The folder itself.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Makes every view of these snapshots, then removes those that there is no snapshot for. Names that are no views stay as they are.
    pub(crate) fn renew(&self, seen: &[Seen], _alone: &Writing) -> durable::Result<Renewed> {
        self.dir.remove_unfinished()?;
        let views = views_of(seen);
        let stale = self.stale(&views)?;
        for (view, target) in &stale.views {
            self.dir.replace_symlink(target, *view)?;
        }
        for link in &stale.links {
            self.dir.unlink(Name::new(link)?)?;
        }
        let (made, removed) = (stale.views.len(), stale.links.len());
        if made + removed > 0 {
            self.dir.sync()?;
        }
        Ok(Renewed { views: views.len(), made, removed })
    }

    /// Whether there is nothing to renew. Needs no lock; what somebody changes meanwhile may also be an error.
    fn are_current(&self, seen: &[Seen]) -> durable::Result<bool> {
        let views = views_of(seen);
        let stale = self.stale(&views)?;
        Ok(stale.views.is_empty() && stale.links.is_empty())
    }

    fn stale<'a>(&self, views: &'a [(String, &SnapshotName)]) -> durable::Result<Stale<'a>> {
        let mut stale = Stale { views: Vec::new(), links: Vec::new() };
        for (view, snapshot) in views {
            let (view, target) = (Name::new(view.as_bytes())?, self.target(snapshot));
            if !self.leads_to(view, &target)? {
                stale.views.push((view, target));
            }
        }
        let current: BTreeSet<&[u8]> = views.iter().map(|(view, _)| view.as_bytes()).collect();
        for name in self.dir.names()? {
            let is_left = is_view(&name) && !current.contains(name.as_slice());
            if is_left && self.dir.stat(Name::new(&name)?)?.kind == FileKind::Symlink {
                stale.links.push(name);
            }
        }
        Ok(stale)
    }

    fn target(&self, snapshot: &SnapshotName) -> Vec<u8> {
        [&self.before, snapshot.as_str().as_bytes(), b"/", layout::TREE.as_bytes()].concat()
    }

    fn leads_to(&self, view: Name<'_>, target: &[u8]) -> durable::Result<bool> {
        match self.dir.stat(view) {
            Ok(stat) if stat.kind == FileKind::Symlink => Ok(self.dir.read_link(view)? == target),
            Ok(_) => Ok(false),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// When the host was seen as which of its snapshots, of those whose folder is there.
fn present(history: &HostHistory, log: &Log) -> durable::Result<Vec<Seen>> {
    let names = history.dir().names()?;
    let is_there = |name: &SnapshotName| {
        names.binary_search_by(|there| there.as_slice().cmp(name.as_str().as_bytes())).is_ok()
    };
    let seen = |push: AcceptedPush<'_>| Some((push.time, log.snapshots().get(push.place)?.name.clone()));
    Ok(log.accepted_pushes().filter_map(seen).filter(|(_, name)| is_there(name)).collect())
}

/// Makes a host's views anew, where there are to be any and their folder could be opened. Whatever keeps it from being done is told, and nothing else
/// comes of it.
pub(crate) fn renew(
    views: &durable::Result<Option<Views>>,
    history: &HostHistory,
    log: &Log,
    alone: &Writing,
) -> Result<(), String> {
    let renewed = match views {
        Ok(None) => return Ok(()),
        Ok(Some(views)) => present(history, log).and_then(|seen| views.renew(&seen, alone)).map(drop),
        Err(error) => return Err(cli::chain(error)),
    };
    renewed.map_err(|error| cli::chain(&error))
}

/// As [`renew`], for whoever holds no lock: it is taken only if there is something to do.
pub(crate) fn renew_alone(
    views: &durable::Result<Option<Views>>,
    history: &HostHistory,
) -> Result<(), String> {
    let log = history.log().map_err(|error| cli::chain(&error))?;
    let are_current = |views: &Views| present(history, &log).and_then(|seen| views.are_current(&seen));
    match views {
        Ok(None) => return Ok(()),
        // What is an error may be what somebody is at: it is told if it still is one under the lock.
        Ok(Some(views)) if matches!(are_current(views), Ok(true)) => return Ok(()),
        Ok(Some(_)) => {}
        Err(error) => return Err(cli::chain(error)),
    }
    let alone = turn::write_within(history, PATIENCE).map_err(|trouble| cli::chain(&trouble))?;
    let log = history.log().map_err(|error| cli::chain(&error))?;
    renew(views, history, &log, &alone)
}

/// Says that a host's views are not current.
pub(crate) fn warn(console: &Console, host: &HostId, why: &str) {
    console.warn(&format!(
        "{host}: its views are not current: {why}; `snapshotter views {host}` makes them anew"
    ));
}

/// From the folder of a host's views to the histories. Where both are neighbours the way is relative, so that it holds wherever both are mounted or
/// shared.
fn way_to(history: &Path, views: &Path) -> Vec<u8> {
    match (history.parent(), history.file_name()) {
        (Some(parent), Some(name)) if views.parent() == Some(parent) => {
            [b"../../", name.as_bytes(), b"/"].concat()
        }
        _ => [history.as_os_str().as_bytes(), b"/"].concat(),
    }
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, only: Option<&HostId>) -> Result<Exit, Failed> {
    if settings.views.is_none() {
        let advice = Some("name one in the settings: views = \"/srv/firn/views\"".to_owned());
        return Err(
            Trouble::Usage { what: "the settings name no folder for views".to_owned(), advice }.into()
        );
    }
    let history = open(settings)?;
    let mut listed = Vec::new();
    for host in hosts(&history, only)? {
        let at = || Trouble::history(&host);
        let place = history.host(&host).map_err(at())?;
        let alone = turn::write_within(&place, PATIENCE)?;
        let log = place.log().map_err(at())?;
        let renewed = present(&place, &log)
            .and_then(|seen| Ok((Views::open(settings, &host)?, seen)))
            .and_then(|(views, seen)| views.map(|views| views.renew(&seen, &alone)).transpose());
        let renewed = renewed.map_err(Trouble::folder(format!("making the views of {host}")))?;
        let Some(Renewed { views, made, removed }) = renewed else { continue };
        run.line(&format!("{host}: {views} views, {made} of them new, {removed} removed"));
        listed.push(serde_json::json!({
            "host": host.as_str(), "views": views, "made": made, "removed": removed,
        }));
    }
    run.report().detail("hosts", listed);
    Ok(Exit::WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_neighbours_is_relative_and_from_elsewhere_whole() {
        let way =
            |history: &str, views: &str| String::from_utf8(way_to(history.as_ref(), views.as_ref())).unwrap();
        assert_eq!(way("/srv/firn/history", "/srv/firn/views"), "../../history/");
        assert_eq!(way("/srv/firn/history", "/srv/views"), "/srv/firn/history/");
        assert_eq!(way("/history", "/views"), "../../history/");
    }
}
