//! `restore`: a snapshot, or a part of it, into a folder.

use std::ffi::OsString;
use std::path::PathBuf;

use cli::{Amount, Exit, Failed, Failure, Monitor, Run, Task, shown};
use formats::Entry;
use formats::records::ice::{IceRecord, IceSnapshot};
use restore::{Counts, Differences, Ground, Place, Powers, Selection, Survey};

use super::image::{Found, search};
use crate::args::Source;
use crate::differences;
use crate::image::{ImageReader, Manifest, layout};
use crate::in_image::InImage;
use crate::pairs::{Pair, Pairs};
use crate::quarantine::Quarantine;
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
    Ground::check(&wanted.to)?;
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
    let mut survey = Survey::new(selection.clone());
    let see = &mut |entry: &Entry| survey.gather(entry);
    let manifest = Manifest::bring_out(&mut image, &snapshot, quarantine, &mut differences, see)?;
    if let (Selection::Beneath(path), false) = (&selection, survey.found) {
        let path = path.as_bytes().to_vec();
        return Err(Absent::Path { path, snapshot: snapshot.name }.into());
    }
    let bytes = survey.bytes;
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
    let mut place = Place::new(run, ground, survey, Powers::Restored);
    place.differences = differences;
    let placed = all(&mut place, (found.record(), &manifest), &mut image, &task);
    let Place { differences, counts, .. } = place;
    report(run, counts, &differences);
    placed?;
    differences::none(&differences)?;
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

/// Makes everything that is asked for. The image must stand before the first name of the snapshot.
fn all(
    place: &mut Place<'_>,
    (record, manifest): (&IceRecord, &Manifest),
    image: &mut ImageReader,
    task: &Task,
) -> Result<(), Failed> {
    let mut pairs = Pairs::begin(manifest, place.selection().clone())?;
    let sequence = manifest.snapshot.sequence;
    while let Some(pair) = pairs.next(image)? {
        match pair {
            Pair::Both(entry, seen) => {
                let seen = Some(&seen.kind);
                place.entry(&entry, &mut InImage { seen, image, record, sequence }, task)?;
            }
            Pair::Missing(entry) => {
                place.entry(&entry, &mut InImage { seen: None, image, record, sequence }, task)?;
            }
            Pair::Unknown(path) => place.differs(&path, "it is in the image, but not in the manifest")?,
        }
    }
    place.finish(manifest)
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
