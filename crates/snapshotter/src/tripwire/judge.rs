//! What was measured, held against the limits and against the host's own past.

use formats::RelPath;
use formats::records::log::{Alarm, Measured, Tripped};

use super::measure::{Figure, Meter};
use super::settings::Wires;

/// Hundredths of a per cent.
const WHOLE: u64 = 10_000;
/// However much a host usually changes: when so much of it does, it is told.
const MOST: u64 = 9_000;
/// A host may change so many times as much as it usually does.
const USUAL_TIMES: u64 = 3;
/// Where a host has less files than `least_files`, so many of them stand for it: nine of ten, and no fewer than this.
const FEW_FILES: u64 = 10;
/// Noise and endings seldom come by chance: a smaller part of `least_files` is enough.
const RARE_PART: u64 = 5;

/// What earlier pushes of the host came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    /// The last ones, in any order.
    pub(crate) pushes: Vec<Measured>,
    /// How many of them lie between what is compared.
    pub(crate) between: u64,
}

/// One tripwire that was touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: Alarm,
    pub(crate) found: u64,
    pub(crate) of: u64,
    pub(crate) limit: u64,
    pub(crate) extension: Option<String>,
    pub(crate) paths: Vec<String>,
}

/// All that is touched.
pub(crate) fn judge(meter: &Meter<'_>, wires: &Wires, past: &Past) -> Vec<Finding> {
    let mut findings = Vec::new();
    let files = meter.measured().files;
    let usual = |of: fn(&Measured) -> u64| past.usual(of);
    let deleted = meter.deleted_files();
    let (gone, gone_paths) = (deleted.found, deleted.paths.clone());
    for (what, figure, percent, usual, least) in [
        (Alarm::Changed, meter.changed_files(), wires.changed, usual(|one| one.changed), wires.least_files),
        (Alarm::Deleted, deleted, wires.deleted, usual(|one| one.deleted), wires.least_files),
        (Alarm::Shrunken, meter.shrunken_files(), wires.shrunken, 0, wires.least_files),
        (Alarm::Noise, meter.noise(), wires.noise, 0, wires.least_files / RARE_PART),
    ] {
        let limit = limit(figure.of, percent, usual, least);
        findings
            .extend(limit.filter(|limit| figure.found >= *limit).map(|limit| finding(what, figure, limit)));
    }
    if let Some(often) = meter.ending()
        && let Some(limit) = limit(files, wires.extension, 0, wires.least_files / RARE_PART)
    {
        // What came without anything that went is a new program, not a new name for what was there.
        let found = often.count.min(gone);
        if found >= limit {
            let paths = often.paths.iter().chain(&gone_paths).take(Tripped::PATHS_MAX).cloned().collect();
            let figure = Figure { found, of: files, paths };
            let extension = Some(short(cli::shown(often.ending)));
            findings.push(Finding { extension, ..finding(Alarm::Extension, figure, limit) });
        }
    }
    let canary = meter.canary_files();
    if canary.found > 0 {
        findings.push(finding(Alarm::Canary, canary, 1));
    }
    findings
}

/// From how many files on it is an alarm; none if never.
fn limit(files: u64, percent: u32, usual: u64, least: u64) -> Option<u64> {
    if percent == 0 || files == 0 {
        return None;
    }
    let share = (u64::from(percent) * 100).max(usual.min(MOST)).min(WHOLE);
    let part = |share: u64| {
        let part = (u128::from(files) * u128::from(share)).div_ceil(u128::from(WHOLE));
        u64::try_from(part).unwrap_or(u64::MAX)
    };
    let few = part(MOST).max(FEW_FILES);
    Some(part(share).max(least.min(few)).max(1))
}

fn finding(what: Alarm, figure: Figure, limit: u64) -> Finding {
    let Figure { found, of, paths } = figure;
    let shown = |path: &RelPath| short(cli::shown(path.as_bytes()));
    Finding { what, found, of, limit, extension: None, paths: paths.iter().map(shown).collect() }
}

/// Cut to what a log line may hold of it.
fn short(mut text: String) -> String {
    const CUT: &str = "...";
    if text.len() > Tripped::PATH_BYTES_MAX {
        let end = (0..=Tripped::PATH_BYTES_MAX - CUT.len()).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push_str(CUT);
    }
    text
}

impl Past {
    /// What may be usual for this host between what is compared, in hundredths of a per cent. The middle of the last pushes: a few that were not
    /// like the others neither raise nor lower it.
    fn usual(&self, of: fn(&Measured) -> u64) -> u64 {
        let share = |one: &Measured| {
            let share = u128::from(of(one)) * u128::from(WHOLE) / u128::from(one.files.max(1));
            u64::try_from(share).unwrap_or(u64::MAX)
        };
        let mut shares: Vec<u64> = self.pushes.iter().map(share).collect();
        shares.sort_unstable();
        let middle = shares.len().checked_sub(1).and_then(|last| shares.get(last / 2)).copied().unwrap_or(0);
        middle.saturating_mul(self.between.max(USUAL_TIMES))
    }
}

/// Whether steps that were no alarm each come to one together, at most. Then it is worth while to compare with what was before all of them.
pub(crate) fn adds_up(steps: impl Iterator<Item = Measured>, wires: &Wires) -> bool {
    let sum = steps.fold(Measured::default(), |sum, one| Measured {
        files: sum.files.max(one.files),
        changed: sum.changed.saturating_add(one.changed),
        deleted: sum.deleted.saturating_add(one.deleted),
        shrunken: sum.shrunken.saturating_add(one.shrunken),
        noise: sum.noise.saturating_add(one.noise),
    });
    let rare = wires.least_files / RARE_PART;
    [
        (sum.changed, limit(sum.files, wires.changed, 0, wires.least_files)),
        (sum.deleted, limit(sum.files, wires.deleted, 0, wires.least_files)),
        (sum.deleted, limit(sum.files, wires.extension, 0, rare)),
        (sum.shrunken, limit(sum.files, wires.shrunken, 0, wires.least_files)),
        // Of how many files noise could be told is not known any more.
        (sum.noise, limit(sum.files.min(rare), wires.noise, 0, rare)),
    ]
    .into_iter()
    .any(|(found, limit)| limit.is_some_and(|limit| found >= limit))
}
