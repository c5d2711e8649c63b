//! `verify`: the whole of an ice, read and compared; the record says how it went, either way.

use chrono::{DateTime, Utc};
use cli::{Amount, Exit, Failed, Monitor, Run, shown};
use durable::Dir;
use formats::Entry;
use formats::records::drill::Supplied;

use super::image::{Found, search};
use crate::args::Source;
use crate::differences;
use crate::image::{ImageReader, Manifest, layout};
use crate::judge::{Findings, Owners, judge};
use crate::quarantine::Quarantine;
use crate::record::{self, Proof};
use crate::search::{Fault, is_about_the_ice};
use crate::settings::Settings;

/// Proves one ice, or records why not.
pub(super) fn verify(run: &mut Run, settings: &Settings, source: &Source) -> Result<Exit, Failed> {
    let started = Utc::now();
    let records = record::open(&settings.records)?;
    let search = search(settings, source)?;
    for fault in &search.faults {
        record_fault(run, &records, started, fault)?;
    }
    let mut found = Found::new(run, settings, source, search)?;
    let mut proof = Proof::default();
    let proved = prove(run, settings, source, &mut found, &mut proof);
    let redacted = proof.from_manifest.iter().filter(|one| one.what == Supplied::Redacted);
    let redacted: u64 = redacted.map(|one| one.count).sum();
    if redacted > 0 {
        run.report().count("redacted", redacted);
    }
    for snapshot in &proof.snapshots {
        run.report().count("entries", snapshot.entries);
        run.report().count("files", snapshot.files);
        run.report().count("content_bytes", snapshot.content_bytes);
    }
    if proved.as_ref().err().is_none_or(|failed| is_about_the_ice(failed.exit())) {
        let ice = &found.record().ice;
        let record = record::closed(ice, found.vault(), started, proof, proved.as_ref().err());
        let name = record::keep(&records, &record, started)?;
        run.report().detail("record", name);
        run.report().detail("from_manifest", serde_json::json!(record.from_manifest));
    }
    proved?;
    if redacted > 0 {
        run.line(&format!(
            "{redacted} names have zeros in it: they were redacted before it was made, by its record"
        ));
    }
    run.line(&format!("{} is proved: every entry read and compared", found.record().ice));
    Ok(Exit::WHOLE)
}

/// A copy whose record is damaged or gone failed its drill before it began. If another copy is there, the run goes on with it, and is not whole.
fn record_fault(run: &mut Run, records: &Dir, started: DateTime<Utc>, fault: &Fault) -> Result<(), Failed> {
    if !is_about_the_ice(fault.failed.exit()) {
        return Ok(());
    }
    let failed = Some(&fault.failed);
    let record = record::closed(&fault.ice, &fault.shelf.name, started, Proof::default(), failed);
    let name = record::keep(records, &record, started)?;
    run.report().detail("record", name);
    run.leave_out(fault.shelf.name.as_bytes(), &fault.failed.chain());
    Ok(())
}

fn prove(
    run: &mut Run,
    settings: &Settings,
    source: &Source,
    found: &mut Found,
    proof: &mut Proof,
) -> Result<(), Failed> {
    let quarantine = Quarantine::enter(&settings.quarantine, Box::new(run.console()))?;
    if source.anew {
        quarantine.forget_images()?;
    }
    let proved = prove_within(run, settings, &quarantine, found, proof);
    found.close(quarantine, proved)
}

fn prove_within(
    run: &mut Run,
    settings: &Settings,
    quarantine: &Quarantine,
    found: &mut Found,
    proof: &mut Proof,
) -> Result<(), Failed> {
    let image = found.thaw(run, quarantine, &mut proof.tally)?;
    // The whole of the image is told about, so that nothing in it is passed over.
    let mut image = ImageReader::start(&image, &[Vec::new()], settings.memory_bytes)?;
    let mut findings = Findings::default();
    let compared = compare(run, found, quarantine, &mut image, &mut findings, proof);
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
    Ok(differences::none(&findings.differences)?)
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
    let mut snapshots: Vec<_> = found.record().snapshots.iter().collect();
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
        proof.snapshots.push(judge((found.record(), manifest), image, findings, &task)?);
    }
    Ok(layout::reach_end(image, &mut findings.differences)?)
}
