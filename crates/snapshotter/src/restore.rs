//! A snapshot, or a part of it, out of the history: into a folder, as an archive, or as metadata onto a copy made by hand.
//!
//! The manifest is read to its end, and proved, before anything is made but the folder to restore into; as a host wrote what is in it, that is done
//! confined. Each content is hashed while it is read: what is damaged is named, and the
//! rest comes back. While this runs nothing is removed from the history.
//!
//! Owners and devices are root's to give, so with `--to` and `--metadata-onto` root stays root, with those capabilities alone that this takes, and
//! confined to the history of the one host and to the folder. An archive is only read: that is done as the account of the histories.

pub(crate) mod args;
mod in_tree;
mod noted;

use std::io::IsTerminal;
use std::path::Path;

use cli::{Amount, Exit, Failed, Monitor, Run, shown};
use durable::Dir;
use history::{HostHistory, Reading, Snapshot};
use restore::{Counts, Differences, Ground, Place, Powers, Repair, Selection, Source, Survey, Tar, keep_out};
use sandbox::{Confinement, Profile, Threads};

use crate::list::open;
use crate::scribe::Restoring;
use crate::settings::Settings;
use crate::stack::Stack;
use crate::trouble::Trouble;
use args::{Asked, Way};
use in_tree::{Gone, InTree, Listed};
use noted::Noted;

/// How much of an archive is written at a time.
const WRITE_BYTES: usize = 1 << 20;

/// What is restored, found and proved.
struct Found<'a> {
    place: &'a HostHistory,
    snapshot: Snapshot,
    gone: Gone,
    selection: Selection,
    powers: Powers,
    /// What notes this restore.
    children: Vec<u32>,
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, asked: &Asked, json: Json) -> Result<Exit, Failed> {
    let way = asked.way();
    if let Way::Tar = way {
        check_output(json)?;
        noted::leave_root(settings)?;
    }
    let selection = Selection::parse(asked.path.as_deref())?;
    let history = Dir::open_root(&settings.history).map_err(Trouble::folder("opening the histories"))?;
    if let Way::To(path) = way {
        Ground::check(path)?;
        let absolute = std::path::absolute(path).map_err(Trouble::stream("finding the folder"))?;
        let above = Dir::open_root(absolute.parent().unwrap_or(&absolute))
            .map_err(Trouble::folder("opening the folder above"))?;
        keep_out(&above, path, &[&history])?;
    }
    let host = &asked.host;
    let at = || Trouble::history(host);
    let place = open(settings)?.host(host).map_err(at())?;
    let mut log = place.log().map_err(at())?;
    let snapshot = asked.when.find(&log)?.clone();
    let _reading = read_lock(run, &place, &snapshot)?;
    // What was redacted while this waited is in no log of before.
    place.read_on(&mut log).map_err(at())?;
    run.report().detail("host", host.as_str());
    run.report().detail("snapshot", snapshot.name.as_str());
    let what = asked.noted(&snapshot.name);
    let (gone, powers) = (Gone::from(&log, &snapshot), asked.powers());
    let found = Found { place: &place, snapshot, gone, selection, powers, children: Vec::new() };
    let kept = [&history, place.dir()];
    match way {
        Way::To(path) => {
            let ground = Ground::prepare(path)?;
            keep_out(&ground, path, &kept)?;
            noting(run, settings, found, what, |run, found| into_folder(run, settings, found, ground))
        }
        Way::Tar => noting(run, settings, found, what, |run, found| as_archive(run, settings, found)),
        Way::Onto(path) => {
            let copy = Repair::hold(path)?;
            keep_out(&copy, path, &kept)?;
            noting(run, settings, found, what, |run, found| onto_copy(run, settings, found, copy, path))
        }
    }
}

/// Keeps the snapshot from being pruned and redacted. Nobody can keep it from being restored: what of it should go meanwhile would be found missing.
fn read_lock(run: &Run, place: &HostHistory, snapshot: &Snapshot) -> Result<Option<Reading>, Trouble> {
    match place.read_lock(snapshot) {
        Err(locked @ history::Error::Locked { .. }) => {
            run.console()
                .warn(&format!("{locked}: it is read all the same, and may be pruned or redacted meanwhile"));
            Ok(None)
        }
        reading => reading.map(Some).map_err(Trouble::history(place.host())),
    }
}

/// Restores, and has it noted in the log. What could not even begin is in no log.
fn noting(
    run: &mut Run,
    settings: &Settings,
    found: Found<'_>,
    what: Restoring,
    restore: impl FnOnce(&mut Run, Found<'_>) -> Result<Exit, Failed>,
) -> Result<Exit, Failed> {
    let noted = Noted::begin(settings, found.place, what);
    let ended = restore(run, Found { children: noted.children(), ..found });
    noted.end(run, &ended);
    ended
}

/// Whether the report goes to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Json {
    /// It does.
    Asked,
    /// It does not.
    Not,
}

fn check_output(json: Json) -> Result<(), Trouble> {
    let usage =
        |what: &str, advice: &str| Trouble::Usage { what: what.to_owned(), advice: Some(advice.to_owned()) };
    if json == Json::Asked {
        return Err(usage("--tar fills standard output, where --json would go", "leave out one of the two"));
    }
    if std::io::stdout().is_terminal() {
        return Err(usage(
            "an archive is nothing for a terminal",
            "pipe it: `| ssh root@host \"tar -xp --xattrs --xattrs-include='*' -C /\"`, or `> FILE`",
        ));
    }
    Ok(())
}

/// Reads the whole manifest, and proves it.
fn survey(place: &HostHistory, snapshot: &Snapshot, selection: &Selection) -> Result<Survey, Failed> {
    let mut survey = Survey::new(selection.clone());
    for entry in (Listed { place, snapshot }).entries()? {
        survey.gather(&entry?);
    }
    match selection {
        Selection::Beneath(path) if !survey.found => {
            let (path, snapshot) = (shown(path.as_bytes()), snapshot.name.to_string());
            Err(Trouble::Absent { path, snapshot }.into())
        }
        _ => Ok(survey),
    }
}

fn into_folder(run: &mut Run, settings: &Settings, found: Found<'_>, ground: Ground) -> Result<Exit, Failed> {
    let Found { place, snapshot, gone, selection, powers, children } = found;
    let to = shown(ground.name());
    let mut files = Stack::new(tree(place, &snapshot)?);
    confine_writer(settings, place, &ground, &children)?;
    let survey = survey(place, &snapshot, &selection)?;
    let free = ground.free_bytes()?;
    if survey.bytes > free {
        let bytes = survey.bytes;
        let text = format!(
            "up to {bytes} bytes are restored, and {free} are free there: it will do only if there are holes"
        );
        run.console().warn(&text);
    }
    let task = run.console().task("restoring", Amount::Bytes(Some(survey.bytes)));
    let mut target = Place::new(run, ground, survey, powers);
    let listed = Listed { place, snapshot: &snapshot };
    let mut all = || -> Result<(), Failed> {
        for entry in listed.entries()? {
            let entry = entry?;
            target.entry(&entry, &mut InTree { files: &mut files, path: &entry.path, gone: &gone }, &task)?;
        }
        target.finish(&listed)
    };
    let ended = all();
    let Place { counts, differences, .. } = target;
    tell(run, counts, &differences);
    ended?;
    let (host, name) = (place.host(), &snapshot.name);
    run.line(&format!("restored {} of {host}/{name} to {to}", words(counts)));
    judge(run, &snapshot, &differences)
}

fn as_archive(run: &mut Run, settings: &Settings, found: Found<'_>) -> Result<Exit, Failed> {
    let Found { place, snapshot, gone, selection, powers, children } = found;
    let mut files = Stack::new(tree(place, &snapshot)?);
    let mut confinement =
        Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::More);
    for child in children {
        confinement = confinement.child(child);
    }
    let _in_force = confinement.read_beneath(place.dir()).apply().map_err(Trouble::Sandbox)?;
    let survey = survey(place, &snapshot, &selection)?;
    let task = run.console().task("packing", Amount::Bytes(Some(survey.bytes)));
    let out = std::io::BufWriter::with_capacity(WRITE_BYTES, std::io::stdout().lock());
    let mut tar = Tar::new(run, out, survey, powers);
    for entry in (Listed { place, snapshot: &snapshot }).entries()? {
        let entry = entry?;
        tar.entry(&entry, &mut InTree { files: &mut files, path: &entry.path, gone: &gone }, &task)?;
    }
    tar.finish()?;
    let Tar { counts, differences, .. } = tar;
    tell(run, counts, &differences);
    run.console().info(&format!("packed {} of {}/{}", words(counts), place.host(), snapshot.name));
    judge(run, &snapshot, &differences)
}

fn onto_copy(
    run: &mut Run,
    settings: &Settings,
    found: Found<'_>,
    copy: Dir,
    path: &Path,
) -> Result<Exit, Failed> {
    let Found { place, snapshot, selection, children, .. } = found;
    confine_writer(settings, place, &copy, &children)?;
    let survey = survey(place, &snapshot, &selection)?;
    let task = run.console().task("comparing", Amount::Bytes(Some(survey.bytes)));
    let mut repair = Repair::new(run, copy, path, survey);
    for entry in (Listed { place, snapshot: &snapshot }).entries()? {
        repair.entry(&entry?, &task)?;
    }
    repair.finish(&task)?;
    let counts = repair.counts;
    run.report().count("repaired", counts.repaired);
    run.report().count("missing", counts.missing);
    run.report().count("differing", counts.differing);
    run.line(&format!(
        "set the metadata of {} names in {} as in {}/{}; {} are missing, {} differ",
        counts.repaired,
        shown(path.as_os_str().as_encoded_bytes()),
        place.host(),
        snapshot.name,
        counts.missing,
        counts.differing
    ));
    Ok(Exit::WHOLE)
}

/// What is read came from a host, and what is written to may be somebody else's.
fn confine_writer(
    settings: &Settings,
    place: &HostHistory,
    target: &impl std::os::fd::AsFd,
    children: &[u32],
) -> Result<(), Trouble> {
    let mut confinement =
        Confinement::new(Profile::Restore).landlock(settings.landlock()).threads(Threads::More);
    for child in children {
        confinement = confinement.child(*child);
    }
    let confinement = confinement.keep(sandbox::Keep::Metadata).read_beneath(place.dir());
    let _in_force = confinement.write_all_beneath(target).apply()?;
    Ok(())
}

fn tree(place: &HostHistory, snapshot: &Snapshot) -> Result<durable::Dir, Failed> {
    let at = || Trouble::history(place.host());
    let tree = place.tree(snapshot).map_err(at())?;
    Ok(tree.dir().try_clone().map_err(history::Error::from).map_err(at())?)
}

fn tell(run: &mut Run, counts: Counts, differences: &Differences) {
    let report = run.report();
    report.count("files", counts.files);
    report.count("folders", counts.folders);
    report.count("symlinks", counts.symlinks);
    report.count("hard_links", counts.links);
    report.count("fifos_and_devices", counts.specials);
    report.count("content_bytes", counts.bytes);
    report.count("differences", differences.total);
}

fn words(counts: Counts) -> String {
    let others = counts.symlinks + counts.links + counts.specials;
    format!("{} files, {} folders and {others} other names", counts.files, counts.folders)
}

fn judge(run: &mut Run, snapshot: &Snapshot, differences: &Differences) -> Result<Exit, Failed> {
    let named = differences.named.iter();
    let named = named.map(|(path, what)| serde_json::json!({ "path": shown(path), "what": what }));
    run.report().detail("differences", named.collect::<Vec<_>>());
    match differences.named.first() {
        None => Ok(Exit::WHOLE),
        Some((path, what)) => {
            let (total, snapshot, path) = (differences.total, snapshot.name.to_string(), shown(path));
            Err(Trouble::Differs { total, snapshot, path, what: what.clone() }.into())
        }
    }
}
