//! `verify`: the whole of an ice, read and compared; the record says how it went, either way.

use chrono::Utc;
use cli::{Amount, Exit, Failed, Monitor, Run, shown};
use formats::Entry;

use super::image::{Found, find};
use crate::args::Source;
use crate::image::{ImageReader, Manifest, layout};
use crate::judge::{Findings, Owners, judge};
use crate::quarantine::Quarantine;
use crate::record::{self, Proof};
use crate::settings::Settings;

/// Failures below this code say nothing about the ice, and leave no record.
const ABOUT_THE_ICE: u8 = 20;

fn is_about_the_ice(exit: Exit) -> bool {
    // What is archived was not read: it may be whole.
    exit.code() >= ABOUT_THE_ICE && exit != Exit::FROZEN
}

/// Proves one ice, or records why not.
pub(super) fn verify(run: &mut Run, settings: &Settings, source: &Source) -> Result<Exit, Failed> {
    let started = Utc::now();
    let records = record::open(&settings.records)?;
    let found = find(run, settings, source)?;
    let mut proof = Proof::default();
    let proved = prove(run, settings, source, &found, &mut proof);
    for snapshot in &proof.snapshots {
        run.report().count("entries", snapshot.entries);
        run.report().count("files", snapshot.files);
        run.report().count("content_bytes", snapshot.content_bytes);
    }
    if proved.as_ref().err().is_none_or(|failed| is_about_the_ice(failed.exit())) {
        let ice = &found.record.ice;
        let record = record::closed(ice, &found.shelf.name, started, proof, proved.as_ref().err());
        let name = record::keep(&records, &record, started)?;
        run.report().detail("record", name);
        run.report().detail("from_manifest", serde_json::json!(record.from_manifest));
    }
    proved?;
    run.line(&format!("{} is proved: every entry read and compared", found.record.ice));
    Ok(Exit::WHOLE)
}

fn prove(
    run: &mut Run,
    settings: &Settings,
    source: &Source,
    found: &Found,
    proof: &mut Proof,
) -> Result<(), Failed> {
    let quarantine = Quarantine::enter(&settings.quarantine, Box::new(run.console()))?;
    let image = found.thaw(run, source, &quarantine, &mut proof.tally)?;
    // The whole of the image is told about, so that nothing in it is passed over.
    let mut image = ImageReader::start(&image, &[Vec::new()], settings.memory_bytes)?;
    let mut findings = Findings::default();
    let compared = compare(run, found, &quarantine, &mut image, &mut findings, proof);
    proof.from_manifest = findings.supplied();
    for (path, what) in &findings.differences.named {
        run.console().warn(&format!("differs: {}: {what}", shown(path)));
    }
    run.report().count("differences", findings.differences.total);
    let named = findings.differences.named.iter();
    let named: Vec<_> =
        named.map(|(path, what)| serde_json::json!({"path": shown(path), "what": what})).collect();
    run.report().detail("differences", named);
    compared?;
    Ok(findings.differences.none()?)
}

/// The layout of an image, from its first name to its last.
fn compare(
    run: &Run,
    found: &Found,
    quarantine: &Quarantine,
    image: &mut ImageReader,
    findings: &mut Findings,
    proof: &mut Proof,
) -> Result<(), Failed> {
    // As they come in the image.
    let mut snapshots: Vec<_> = found.record.snapshots.iter().collect();
    snapshots.sort_by(|a, b| a.name.cmp(&b.name));
    let mut manifests = Vec::new();
    let mut owners = Owners::default();
    layout::pass_manifests(image, &mut findings.differences)?;
    for snapshot in snapshots {
        let see = &mut |entry: &Entry| owners.gather(entry);
        let differences = &mut findings.differences;
        manifests.push(Manifest::bring_out(image, snapshot, quarantine, differences, see)?);
    }
    findings.owners = owners;
    let total = manifests.iter().fold(0u64, |sum, one| sum.saturating_add(one.snapshot.entries));
    let task = run.console().task("comparing", Amount::Items(Some(total)));
    layout::pass_snapshots(image, &mut findings.differences)?;
    for manifest in &manifests {
        layout::pass_snapshot(image, &manifest.snapshot, &mut findings.differences)?;
        proof.snapshots.push(judge(manifest, image, findings, &task)?);
    }
    Ok(layout::reach_end(image, &mut findings.differences)?)
}
