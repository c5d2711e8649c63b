//! What a push costs this machine: real programs, sshd, accounts and chroots, on a disk of the measurement's own.
//!
//! Hosts share two trees, one of 1,000 files and one of 60,000. A common push follows a change of one file in a thousand.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pipeline_tests::needs::Purpose;
use pipeline_tests::{Host, Options, Outcome, Power, Profile, Scratch, data};

use super::costs::Costs;
use crate::bench::disk::{Disk, Use};
use crate::needs;
use crate::screen::Step;
use crate::trouble::{Result, Trouble};

const SEED: u64 = 0x0F12_2026;
const SMALL_FILES: u64 = 1_000;
const LARGE_FILES: u64 = 60_000;
/// What `data::write_small_files` makes of them.
const LARGE_FOLDERS: u64 = LARGE_FILES / 20 + LARGE_FILES / 1000;
const FILE_BYTES_MEAN: u64 = 8 * 1024;
/// Hosts that push at one moment.
const SMALL_HOSTS: u64 = 32;
const ROUNDS: u64 = 5;
/// Time that /proc counts in.
const TICK_US: u64 = 10_000;
/// Sealed, or accepted already.
const PUSHED: [i32; 2] = [18, 0];

struct Ground {
    small: PathBuf,
    large: PathBuf,
    small_hosts: Vec<Host>,
    large_host: Host,
    scratch: Scratch,
    // Last: what lies on it ends first.
    disk: Disk,
}

/// What one round took.
#[derive(Default)]
struct Times {
    session_us: Vec<u64>,
    sealed_us: Vec<u64>,
    judge_small: Vec<Judging>,
    judge_large: Vec<Judging>,
    /// Inodes and bytes of one snapshot of the large host.
    inodes: Vec<u64>,
    bytes: Vec<u64>,
}

/// What judging took: core time first, by which it is ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Judging {
    cores_us: u64,
    wall_us: u64,
}

pub(crate) fn measure() -> Result<Costs> {
    if Power::here() == Power::User {
        return Err(Trouble::new("measuring makes a file system and accounts of its own, and needs root"));
    }
    needs::bring(&[Purpose::Build, Purpose::Server, Purpose::Bench])?;
    let ground = Ground::new()?;
    let (receive_us_per_mb, judge_whole_us_per_1000) = ground.first_day()?;
    let walk_us = ground.quiet_push()?;
    let mut times = Times::default();
    {
        let step = Step::count("Common pushes", ROUNDS);
        for round in 0..ROUNDS {
            ground.round(round, &mut times)?;
            step.advance();
        }
    }
    let (small, large) = (median(&mut times.judge_small), median(&mut times.judge_large));
    eprintln!(
        "{SMALL_HOSTS} hosts at one moment: the last sealed after {} ms; judged one after another, {} ms each; the large one {} ms",
        median(&mut times.sealed_us) / 1000,
        small.wall_us / 1000,
        large.wall_us / 1000
    );
    eprintln!(
        "a snapshot of {LARGE_FILES} files in {LARGE_FOLDERS} folders, 60 of them changed: {} inodes, {} kB",
        median(&mut times.inodes),
        median(&mut times.bytes) / 1000
    );
    let per_1000 = large.cores_us.saturating_sub(small.cores_us) * 1000 / (LARGE_FILES - SMALL_FILES);
    Ok(Costs {
        session_us: median(&mut times.session_us),
        receive_us_per_mb,
        judge_us: small.cores_us.saturating_sub(per_1000 * SMALL_FILES / 1000),
        judge_us_per_1000: per_1000,
        judge_whole_us_per_1000,
        walk_us_per_1000: walk_us * 1000 / LARGE_FILES,
    })
}

impl Ground {
    fn new() -> Result<Ground> {
        let programs = crate::build::programs(Profile::Release)?;
        let disk = Disk::new(Use::Usual)?;
        let options = Options { parent: Some(disk.folder().to_owned()), ..Options::default() };
        let mut scratch = Scratch::new(&programs, &options)?;
        let (small, large) = (scratch.folder.join("hosts/small"), scratch.folder.join("hosts/large"));
        let _step = Step::spinner("Making two trees and 33 hosts");
        data::write_small_files(&small, SEED, SMALL_FILES, FILE_BYTES_MEAN)?;
        data::write_small_files(&large, SEED, LARGE_FILES, FILE_BYTES_MEAN)?;
        let mut small_hosts = Vec::new();
        for number in 0..SMALL_HOSTS {
            small_hosts.push(scratch.add_host(&format!("fleet{number:02}"), std::slice::from_ref(&small))?);
        }
        let large_host = scratch.add_host("fleet-large", std::slice::from_ref(&large))?;
        Ok(Ground { small, large, small_hosts, large_host, scratch, disk })
    }

    /// Whole pushes: what a megabyte costs sshd and the receiver, and what judging a thousand new entries takes.
    fn first_day(&self) -> Result<(u64, u64)> {
        let _step = Step::spinner("First pushes");
        let before = self.sshd_us()?;
        let sent = self.push(&self.large_host)?.count("sent_bytes").max(1);
        let received_us = self.sshd_us()? - before;
        let judged = self.judge(&[&self.large_host.name])?;
        for host in &self.small_hosts {
            self.push(host)?;
        }
        self.scratch.ingest()?.expect_code(&[0])?;
        Ok((received_us * 1_000_000 / sent, judged.cores_us * 1000 / LARGE_FILES))
    }

    /// On the host: a push in which nothing changed, all of it in the page cache.
    fn quiet_push(&self) -> Result<u64> {
        let took = self.push(&self.large_host)?.took;
        self.judge(&[&self.large_host.name])?;
        Ok(micros(took))
    }

    fn round(&self, round: u64, times: &mut Times) -> Result<()> {
        change(&self.small, round, SMALL_FILES / 1000)?;
        change(&self.large, round, LARGE_FILES / 1000)?;
        self.disk.flush()?;
        let (before, began) = (self.sshd_us()?, Instant::now());
        std::thread::scope(|scope| {
            let pushes: Vec<_> =
                self.small_hosts.iter().map(|host| scope.spawn(|| self.push(host).map(drop))).collect();
            let ended = pushes.into_iter().map(|push| push.join());
            ended
                .map(|end| end.unwrap_or_else(|_| Err(Trouble::new("a push ended in panic"))))
                .collect::<Result<Vec<()>>>()
        })?;
        times.sealed_us.push(micros(began.elapsed()));
        times.session_us.push((self.sshd_us()? - before) / SMALL_HOSTS);
        let judged = self.judge(&[])?;
        let each = Judging { cores_us: judged.cores_us / SMALL_HOSTS, wall_us: judged.wall_us / SMALL_HOSTS };
        times.judge_small.push(each);
        let before = self.free()?;
        self.push(&self.large_host)?;
        times.judge_large.push(self.judge(&[&self.large_host.name])?);
        let after = self.free()?;
        times.inodes.push(before.0.saturating_sub(after.0));
        times.bytes.push(before.1.saturating_sub(after.1));
        Ok(())
    }

    fn push(&self, host: &Host) -> Result<Outcome> {
        Ok(self.scratch.push(host)?.expect_code(&PUSHED)?)
    }

    /// Judges what waits of these hosts, or of all.
    fn judge(&self, hosts: &[&str]) -> Result<Judging> {
        let words: Vec<&str> = std::iter::once("ingest").chain(hosts.iter().copied()).collect();
        let before = cores_us("self", Whose::Children)?;
        let took = Outcome::of(&mut self.scratch.snapshotter(&words))?.expect_code(&[0])?.took;
        Ok(Judging { cores_us: cores_us("self", Whose::Children)? - before, wall_us: micros(took) })
    }

    /// Core time of sshd and of all sessions that it has seen the end of.
    fn sshd_us(&self) -> Result<u64> {
        // The last sessions end a moment after their hosts are gone.
        std::thread::sleep(Duration::from_millis(500));
        let pid = std::fs::read_to_string(self.scratch.folder.join("sshd/pid"))?;
        cores_us(pid.trim(), Whose::All)
    }

    /// Free inodes and bytes of the disk.
    fn free(&self) -> Result<(u64, u64)> {
        self.disk.flush()?;
        let mut df = Command::new("df");
        df.args(["--output=iavail,avail", "--block-size=1"]).arg(self.disk.folder());
        let said = Outcome::of(&mut df)?.expect_code(&[0])?.stdout;
        let mut numbers = said.lines().last().unwrap_or_default().split_whitespace().map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(inodes)), Some(Ok(bytes))) => Ok((inodes, bytes)),
            _ => Err(Trouble::new("df says nothing")),
        }
    }
}

/// Whose core time is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    All,
    Children,
}

/// Core time of a process and of those descendants that were waited for, as /proc tells it.
fn cores_us(process: &str, whose: Whose) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // After the name, which may hold anything: user and system time are the 12th and 13th, those of the children follow.
    let skipped = if whose == Whose::All { 11 } else { 13 };
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').take(15).skip(skipped);
    Ok(fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * TICK_US)
}

/// Writes `files` files anew.
fn change(folder: &Path, round: u64, files: u64) -> Result<()> {
    for number in 0..files {
        let place = folder.join(format!("d{:02}", number / 50)).join(format!("e{number:04}")).join("changed");
        data::write_file(&place, SEED ^ (round << 32) ^ number, FILE_BYTES_MEAN)?;
    }
    Ok(())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn median<T: Ord + Copy + Default>(values: &mut [T]) -> T {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
