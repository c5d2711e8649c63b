//! `restore`: a snapshot, or a part of it, into a folder.

use std::ffi::OsString;
use std::path::PathBuf;

use cli::{Amount, Exit, Failed, Failure, Monitor, Run, shown};
use formats::records::ice::IceSnapshot;
use formats::{Entry, Kind};

use super::image::{Found, search};
use crate::args::Source;
use crate::differences::Differences;
use crate::image::{ImageReader, Manifest, layout};
use crate::place::{Counts, Ground, Leaders, Place, ground};
use crate::quarantine::Quarantine;
use crate::select::Selection;
use crate::settings::Settings;
use crate::thaw::Tally;

/// What is asked for.
pub(super) struct Wanted {
    pub(super) path: Option<OsString>,
    pub(super) to: PathBuf,
    pub(super) snapshot: Option<String>,
}

/// The ice does not hold what is asked for.
#[derive(Debug, thiserror::Error)]
enum Absent {
    #[error("the ice holds no snapshot {}", shown(.name.as_bytes()))]
    Snapshot { name: String },
    #[error("{}: not in snapshot {snapshot}", shown(.path))]
    Path { path: Vec<u8>, snapshot: String },
}

impl Failure for Absent {
    fn exit(&self) -> Exit {
        Exit::NOTHING
    }

    fn advice(&self) -> Option<String> {
        Some("restore-drill list --json names the snapshots of each ice".to_owned())
    }
}

/// Restores, and names what could not be.
pub(super) fn restore(
    run: &mut Run,
    settings: &Settings,
    source: &Source,
    wanted: &Wanted,
) -> Result<Exit, Failed> {
    let selection = Selection::parse(wanted.path.as_deref())?;
    ground::check(&wanted.to)?;
    let mut found = Found::new(run, settings, source, search(settings, source)?)?;
    choose(&found, wanted)?;
    let quarantine = Quarantine::enter(&settings.quarantine, Box::new(run.console()))?;
    if source.anew {
        quarantine.forget_images()?;
    }
    // Before all is fetched: what cannot be written to is told now.
    let ground = Ground::prepare(&wanted.to)?;
    let restored = restore_within(run, settings, &quarantine, &mut found, (selection, wanted, ground));
    found.close(quarantine, restored)
}

fn restore_within(
    run: &mut Run,
    settings: &Settings,
    quarantine: &Quarantine,
    found: &mut Found,
    (selection, wanted, ground): (Selection, &Wanted, Ground),
) -> Result<Exit, Failed> {
    let image = found.thaw(run, quarantine, &mut Tally::default())?;
    let snapshot = choose(found, wanted)?;
    run.report().detail("snapshot", snapshot.name.clone());
    let beneath = match &selection {
        Selection::All => None,
        Selection::Beneath(path) => Some(path),
    };
    let names = [layout::manifest_path(&snapshot), layout::snapshot_path(&snapshot, beneath)];
    let mut image = ImageReader::start(&image, &names, settings.memory_bytes)?;
    let mut differences = Differences::default();
    layout::pass_manifests(&mut image, &mut differences)?;
    let mut seen = Gathered::new(&selection);
    let see = &mut |entry: &Entry| seen.gather(entry);
    let manifest = Manifest::bring_out(&mut image, &snapshot, quarantine, &mut differences, see)?;
    if let (Selection::Beneath(path), false) = (&selection, seen.found) {
        let path = path.as_bytes().to_vec();
        return Err(Absent::Path { path, snapshot: snapshot.name }.into());
    }
    let Gathered { leaders, bytes, .. } = seen;
    layout::pass_snapshots(&mut image, &mut differences)?;
    layout::pass_snapshot(&mut image, &snapshot, &mut differences)?;
    let task = run.console().task("restoring", Amount::Bytes(Some(bytes)));
    let free = ground.free_bytes()?;
    if bytes > free {
        let text = format!(
            "up to {bytes} bytes are restored, and {free} are free there: it will do only if there are holes"
        );
        run.console().warn(&text);
    }
    let counts = Counts::default();
    let mut place = Place { ground, leaders, selection, run, differences, counts, owners: 0 };
    let placed = place.all(&manifest, &mut image, &task);
    let Place { differences, counts, .. } = place;
    report(run, counts, &differences);
    placed?;
    differences.none()?;
    run.line(&format!(
        "restored {} files, {} folders and {} other names of {} to {}",
        counts.files,
        counts.folders,
        counts.symlinks + counts.links + counts.specials,
        found.record().ice,
        shown(wanted.to.as_os_str().as_encoded_bytes()),
    ));
    Ok(Exit::WHOLE)
}

fn choose(found: &Found, wanted: &Wanted) -> Result<IceSnapshot, Absent> {
    let snapshots = &found.record().snapshots;
    let chosen = match &wanted.snapshot {
        Some(name) => snapshots.iter().find(|snapshot| snapshot.name == *name),
        None => snapshots.last(),
    };
    let name = || wanted.snapshot.clone().unwrap_or_default();
    chosen.cloned().ok_or_else(|| Absent::Snapshot { name: name() })
}

fn report(run: &mut Run, counts: Counts, differences: &Differences) {
    let report = run.report();
    report.count("files", counts.files);
    report.count("folders", counts.folders);
    report.count("symlinks", counts.symlinks);
    report.count("hard_links", counts.links);
    report.count("fifos_and_devices", counts.specials);
    report.count("content_bytes", counts.bytes);
    report.count("differences", differences.total);
}

/// What the manifest tells before anything is made.
struct Gathered<'a> {
    selection: &'a Selection,
    leaders: Leaders,
    bytes: u64,
    found: bool,
}

impl<'a> Gathered<'a> {
    fn new(selection: &'a Selection) -> Self {
        Gathered { selection, leaders: Leaders::default(), bytes: 0, found: false }
    }

    fn gather(&mut self, entry: &Entry) {
        self.leaders.gather(entry);
        self.found |= matches!(self.selection, Selection::Beneath(path) if *path == entry.path);
        if let Some(Kind::File { size, .. }) = entry.node().map(|node| &node.kind)
            && self.selection.holds(&entry.path)
        {
            self.bytes = self.bytes.saturating_add(*size);
        }
    }
}
