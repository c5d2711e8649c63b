//! The plans of one history: `.prune/<number>.plan`. Document: docs/formats/prune-plan.md.

use std::collections::HashSet;
use std::io::Read;

use chrono::{DateTime, Utc};
use durable::{Dir, Lock, Name};
use formats::HostId;
use formats::records::Record;
use formats::records::plan::{PLAN_BYTES, PrunePlan};
use history::{HostHistory, Log, layout};
use signing::Certificate;

use crate::sign::Signing;
use crate::trouble::Trouble;

const LOCK: Name<'static> = Name::literal(".lock");
const SUFFIX: &str = ".plan";
/// More than ever wait.
const NAMES_MAX: usize = 10_000;
const DIGITS: usize = 10;
/// Longest file of one: signatures add less.
const FILE_BYTES_MAX: u64 = PLAN_BYTES as u64 + (1 << 20);

/// All plans of a history, for one process at a time.
#[derive(Debug)]
pub(crate) struct Plans {
    host: HostId,
    dir: Dir,
    _alone: Lock,
    signing: Signing,
    /// Ascending by number.
    all: Vec<Numbered>,
}

/// A plan, and its place in the order.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    number: u64,
    pub(crate) plan: PrunePlan,
    pub(crate) written: DateTime<Utc>,
}

impl Numbered {
    /// The next plan, with what this one knew: something is odd about what there is now.
    pub(crate) fn carried(&self, next: PrunePlan) -> PrunePlan {
        let PrunePlan { written, line, log_head, snapshots, doubted_line, .. } = self.plan.clone();
        // A log that was written anew has fewer lines, and a release of it comes after those.
        let doubted_line = Some(doubted_line.map_or(next.line, |line| line.min(next.line)));
        PrunePlan { written, line, log_head, snapshots, doubted_line, ..next }
    }
}

impl Plans {
    /// Opens them, and makes their folder where there is none.
    pub(crate) fn open(
        history: &HostHistory,
        signing: Signing,
        certificate: &Certificate,
    ) -> Result<Self, Trouble> {
        let host = history.host().clone();
        let at = || Trouble::folder(format!("opening the plans of {host}"));
        let dir = history.dir().make_dir_or_open(layout::PRUNE, 0o750).map_err(at())?;
        let lock = dir.try_lock_private(LOCK).map_err(at())?;
        let alone = lock.ok_or_else(|| Trouble::Busy { host: host.clone() })?;
        dir.remove_unfinished().map_err(at())?;
        let mut all = Vec::new();
        for name in dir.names_at_most(NAMES_MAX).map_err(at())? {
            if let Some(number) = number(&name) {
                all.push(read(&dir, &host, &name, number, certificate)?);
            }
        }
        Ok(Self { host, dir, _alone: alone, signing, all })
    }

    /// The newest, also when it was carried out: what was known then.
    pub(crate) fn newest(&self) -> Option<&Numbered> {
        self.all.last()
    }

    /// What the newest knew; none if that was odd, and somebody has released the history since it was told.
    pub(crate) fn remembered(&self, log: &Log) -> Option<&Numbered> {
        self.newest().filter(|one| one.plan.doubted_line.is_none_or(|line| log.released_line() <= line))
    }

    /// Those that name something, oldest first.
    pub(crate) fn open_ones(&self) -> impl Iterator<Item = &Numbered> {
        self.all.iter().filter(|one| !one.plan.remove.is_empty())
    }

    /// What a plan names that waits.
    pub(crate) fn named(&self) -> HashSet<u64> {
        self.open_ones().flat_map(|one| &one.plan.remove).map(|planned| planned.sequence).collect()
    }

    /// Adds one, and forgets those that name nothing any more.
    pub(crate) fn add(&mut self, plan: PrunePlan) -> Result<(), Trouble> {
        let number = self.newest().map_or(0, |newest| newest.number) + 1;
        let written = time(&plan.written).unwrap_or_default();
        self.write(number, &plan)?;
        self.all.push(Numbered { number, plan, written });
        self.forget()
    }

    /// These were carried out or withdrawn: they name nothing any more.
    pub(crate) fn finish(&mut self, is_done: impl Fn(&Numbered) -> bool) -> Result<(), Trouble> {
        let mut finished = 0;
        for place in 0..self.all.len() {
            let Some(one) = self.all.get(place).filter(|one| !one.plan.remove.is_empty() && is_done(one))
            else {
                continue;
            };
            let (number, plan) = (one.number, PrunePlan { remove: Vec::new(), ..one.plan.clone() });
            self.write(number, &plan)?;
            if let Some(one) = self.all.get_mut(place) {
                one.plan = plan;
            }
            finished += 1;
        }
        if finished == 0 { Ok(()) } else { self.forget() }
    }

    /// Only the newest is remembered when it names nothing.
    fn forget(&mut self) -> Result<(), Trouble> {
        let newest = self.newest().map(|newest| newest.number);
        let is_past = |one: &&Numbered| one.plan.remove.is_empty() && Some(one.number) != newest;
        for one in self.all.iter().filter(is_past) {
            let name = file_name(one.number);
            let removed = Name::new(name.as_bytes()).and_then(|name| self.dir.unlink(name));
            removed.map_err(Trouble::folder(format!("removing a plan of {}", self.host)))?;
        }
        self.all.retain(|one| !is_past(&one));
        self.dir.sync().map_err(Trouble::folder(format!("removing plans of {}", self.host)))
    }

    fn write(&mut self, number: u64, plan: &PrunePlan) -> Result<(), Trouble> {
        let at = format!("writing a plan of {}", self.host);
        let signed = self.signing.plan(plan);
        let bytes = signed.map_err(|refused| Trouble::Machine { what: format!("{at}: {}", refused.why) })?;
        let name = file_name(number);
        let written = Name::new(name.as_bytes()).and_then(|name| self.dir.write_whole(name, &bytes, 0o640));
        written.map_err(Trouble::folder(at))
    }
}

fn read(
    dir: &Dir,
    host: &HostId,
    name: &[u8],
    number: u64,
    certificate: &Certificate,
) -> Result<Numbered, Trouble> {
    let shown = cli::shown(name);
    let at = || Trouble::folder(format!("reading plan {shown} of {host}"));
    let file = Name::new(name).and_then(|name| dir.open_read(name)).map_err(at())?;
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(Trouble::stream(format!("reading plan {shown} of {host}")))?;
    let wrong = |why: String| Trouble::Plan { host: host.clone(), name: shown.clone(), why };
    let plan = if bytes.starts_with(b"{") {
        unsigned(&bytes).map_err(wrong)?
    } else {
        let text = certificate.check(&bytes, PLAN_BYTES).map_err(|error| wrong(error.to_string()))?;
        PrunePlan::from_line(text.trim_ascii_end()).map_err(|error| wrong(error.to_string()))?
    };
    if plan.host != *host {
        return Err(wrong(format!("it is of host {}", plan.host)));
    }
    let written = time(&plan.written).ok_or_else(|| wrong("its time is none".to_owned()))?;
    Ok(Numbered { number, plan, written })
}

/// One of before plans were signed: what it knew is compared all the same, and what it named is planned anew.
fn unsigned(bytes: &[u8]) -> Result<PrunePlan, String> {
    let plan = PrunePlan::from_line(bytes).map_err(|error| error.to_string())?;
    if plan.format == PrunePlan::format() {
        return Err("it is not signed".to_owned());
    }
    Ok(PrunePlan { remove: Vec::new(), ..plan })
}

fn file_name(number: u64) -> String {
    format!("{number:0DIGITS$}{SUFFIX}")
}

fn number(name: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(name).ok()?.strip_suffix(SUFFIX)?;
    let number = digits.parse().ok()?;
    (file_name(number).as_bytes() == name).then_some(number)
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}
