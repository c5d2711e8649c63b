//! Half of the snapshots go: how long that takes, and whom it disturbs.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pipeline_tests::{Outcome, plans, process};

use super::super::Bench;
use super::super::ours::Ours;
use super::super::row::Row;
use super::super::runner::Transport;
use super::world::World;
use super::{INTERFERENCE, PRUNE, SNAPSHOTS};
use crate::screen::Step;
use crate::trouble::{Result, Trouble};

const LEFT: usize = SNAPSHOTS / 2;
/// Times as fast as `rm -rf`.
const FASTER: f64 = 2.0;
/// Another ingest takes at most a tenth longer.
const UNDISTURBED: f64 = 1.0 / 1.1;
/// A prune is at work soon after it was started.
const BEGINS_WITHIN: Duration = Duration::from_secs(30);

/// How fast names are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// As fast as can be.
    Free,
    /// As the settings are if nobody sets them.
    Default,
}

/// No rule keeps a snapshot, and so many are left in any case.
pub(super) fn settle(bench: &Bench, left: usize, pace: Pace) -> Result<()> {
    const MARK: &str = "\n[retain]\n";
    let file = bench.scratch.folder.join("etc/server.toml");
    let text = fs::read_to_string(&file)?;
    let text = text.split(MARK).next().unwrap_or_default().trim_start_matches("keep_days = 0\n");
    let pace = match pace {
        Pace::Free => "names_per_second = 0\n",
        Pace::Default => "",
    };
    let rules = "every_days = 0\ndaily = 0\nweekly = 0\nmonthly = 0\n";
    fs::write(file, format!("keep_days = 0\n{text}{MARK}{rules}[prune]\nkeep_min = {left}\n{pace}"))?;
    Ok(())
}

/// Verifies, plans, and lets the plan be four days old.
pub(super) fn plan(bench: &Bench, world: &World) -> Result<()> {
    let host = &world.ours.host.name;
    let run = |words: &[&str]| Outcome::of(&mut bench.scratch.snapshotter(words))?.expect_code(&[0]);
    run(&["verify", host])?;
    run(&["prune", "--plan", host])?;
    let past = Outcome::of(Command::new("date").args(["-u", "-d", "4 days ago", "+%Y-%m-%dT%H:%M:%SZ"]))?;
    let past = past.expect_code(&[0])?.stdout;
    plans::date(&world.history(bench).join(".prune"), &bench.scratch.folder.join("signing"), past.trim())?;
    // As the timer does, so that somebody was here since.
    run(&["prune", "--plan", host])?;
    Ok(())
}

/// Carries the plans out. Fails if anything of them is left.
pub(super) fn execute(bench: &Bench, world: &World, left: usize) -> Result<Outcome> {
    let host = &world.ours.host.name;
    let pruned = Outcome::of(&mut bench.scratch.snapshotter(&["prune", "--execute", host]))?;
    let pruned = pruned.expect_code(&[0])?;
    let (there, trash) = (world.snapshots(bench)?.len(), trash(bench, world));
    if there == left && trash == 0 {
        return Ok(pruned);
    }
    let text = format!("a prune left {there} snapshots, and {trash} names in its trash:\n{}", pruned.said());
    Err(Trouble::new(text))
}

fn trash(bench: &Bench, world: &World) -> usize {
    fs::read_dir(world.history(bench).join(".trash")).map_or(0, Iterator::count)
}

pub(super) fn measure(bench: &Bench, world: &mut World, rounds: u32) -> Result<Row> {
    settle(bench, LEFT, Pace::Free)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        world.grow(bench, SNAPSHOTS)?;
        let _step = Step::spinner("history.prune: ten of twenty");
        plan(bench, world)?;
        let mut order = [Side::Ours, Side::Theirs];
        order.rotate_left(round as usize % 2);
        for side in order {
            bench.disk.flush()?;
            match side {
                Side::Ours => ours.push(execute(bench, world, LEFT)?.took.as_secs_f64()),
                Side::Theirs => theirs.push(world.peer.remove_oldest(LEFT)?.as_secs_f64()),
            }
        }
    }
    Ok(Row::against(PRUNE, "rm -rf", &ours, &theirs, Some(FASTER)))
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Ours,
    Theirs,
}

/// A prune that is ended when this is dropped. The next one goes on where it was.
struct Pruning(Child);

impl Pruning {
    /// Returns once it removes names.
    fn start(bench: &Bench, world: &World) -> Result<Pruning> {
        let mut command = bench.scratch.snapshotter(&["prune", "--execute", &world.ours.host.name]);
        let mut pruning = Pruning(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        let began = Instant::now();
        while trash(bench, world) == 0 {
            if began.elapsed() > BEGINS_WITHIN || pruning.0.try_wait()?.is_some() {
                return Err(Trouble::new("a prune does not begin"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // The snapshots are moved eight at a time, with a breath between.
        std::thread::sleep(Duration::from_secs(1));
        Ok(pruning)
    }

    fn is_at_work(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }
}

impl Drop for Pruning {
    fn drop(&mut self) {
        process::end(&process::family(self.0.id()));
        let _ = self.0.wait();
    }
}

/// Another host's ingest, alone and beside a prune.
pub(super) fn interference(bench: &mut Bench, world: &mut World, rounds: u32) -> Result<Row> {
    let source = bench.small.clone();
    let other = Ours::new(bench, "history-other", &source, Transport::Ssh)?;
    other.push(bench)?;
    other.ingest(bench)?;
    world.grow(bench, SNAPSHOTS)?;
    settle(bench, LEFT, Pace::Default)?;
    plan(bench, world)?;
    let step = Step::count("history.prune.interference: ingests", u64::from(rounds) * 2);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for turn in 0..rounds * 2 {
        world.change()?;
        other.push(bench)?;
        bench.disk.flush()?;
        // Alone, beside, beside, alone.
        if (turn / 2 + turn).is_multiple_of(2) {
            alone.push(other.ingest(bench)?.took.as_secs_f64());
        } else {
            let mut pruning = Pruning::start(bench, world)?;
            beside.push(other.ingest(bench)?.took.as_secs_f64());
            if !pruning.is_at_work()? {
                return Err(Trouble::new("a prune ended before the ingest beside it"));
            }
        }
        step.advance();
    }
    Ok(Row::against(INTERFERENCE, "the same, alone", &beside, &alone, Some(UNDISTURBED)))
}
