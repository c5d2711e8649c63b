//! `cargo xtask fuzz`: builds the fuzz targets with the stable compiler's own coverage instrumentation, and runs each for a while.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use pipeline_tests::machine::{cargo, host_triple, workspace};
use pipeline_tests::needs::Purpose;
use pipeline_tests::{Outcome, outcome};
use serde_json::Value;

use crate::args::FuzzArgs;
use crate::needs;
use crate::screen::Step;
use crate::table::grouped;
use crate::trouble::{Result, Trouble};

/// What makes the compiler insert the counters that libFuzzer reads, and keeps the checks of a test build.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";
/// Targets that run side by side.
const SIDE_BY_SIDE: usize = 2;
/// Longest time one input may take, in seconds.
const INPUT_SECONDS_MAX: u32 = 10;

/// What became of one target.
pub(crate) struct Target {
    name: String,
    runs: u64,
    /// It ran, and nothing was found.
    pub(crate) held: bool,
}

pub(crate) fn run(args: &FuzzArgs) -> Result<ExitCode> {
    needs::bring(&[Purpose::Build, Purpose::Fuzz])?;
    let held = all(args)?.iter().all(|target| target.held);
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds and runs all targets.
pub(crate) fn all(args: &FuzzArgs) -> Result<Vec<Target>> {
    let names = names()?;
    let binaries = build()?;
    let mut done = Vec::new();
    for some in names.chunks(SIDE_BY_SIDE) {
        let _step = Step::spinner(format!("Fuzzing {} for {} s", some.join(", "), args.seconds));
        let results: Vec<Result<Target>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                some.iter().map(|name| scope.spawn(|| run_one(&binaries, name, args))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Target>>| {
                thread.join().unwrap_or_else(|_| Err(Trouble::new("a thread ended in panic")))
            };
            threads.into_iter().map(join).collect()
        });
        for result in results {
            let target = result?;
            let word = if target.held { "nothing found" } else { "FAILED" };
            println!("fuzz {}: {} inputs, {word}", target.name, grouped(target.runs));
            done.push(target);
        }
    }
    if done.is_empty() { Err(Trouble::new("there is no fuzz target")) } else { Ok(done) }
}

fn folder() -> PathBuf {
    workspace().join("fuzz")
}

fn names() -> Result<Vec<String>> {
    let mut command = cargo();
    command
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(folder().join("Cargo.toml"));
    let said = Outcome::of(&mut command)?.expect_code(&[0])?.stdout;
    let metadata: Value = serde_json::from_str(&said)?;
    let targets = metadata.pointer("/packages/0/targets").and_then(Value::as_array);
    let is_program = |target: &&Value| target.pointer("/kind/0").and_then(Value::as_str) == Some("bin");
    let name = |target: &Value| target.get("name").and_then(Value::as_str).map(str::to_owned);
    Ok(targets.into_iter().flatten().filter(is_program).filter_map(name).collect())
}

/// Returns the folder of the programs.
fn build() -> Result<PathBuf> {
    let triple = host_triple()?;
    let target = folder().join("target");
    let mut command = cargo();
    // The target is named so that build scripts and macros are built without the flags.
    command.args(["build", "--locked", "--release", "--target", &triple, "--manifest-path"]);
    command.arg(folder().join("Cargo.toml")).arg("--target-dir").arg(&target);
    command.env("RUSTFLAGS", FLAGS).env_remove("CARGO_ENCODED_RUSTFLAGS").stdin(Stdio::null());
    let status = command.status()?;
    if !status.success() {
        return Err(Trouble::new(format!(
            "{}: ended with {}",
            outcome::line_of(&command),
            outcome::code_of(status)
        )));
    }
    Ok(target.join(triple).join("release"))
}

fn run_one(binaries: &Path, name: &str, args: &FuzzArgs) -> Result<Target> {
    let artifacts = folder().join("artifacts").join(name);
    let corpus = folder().join("corpus").join(name);
    for path in [&artifacts, &corpus] {
        fs::create_dir_all(path)?;
    }
    let log = folder().join("artifacts").join(format!("{name}.log"));
    let mut command = Command::new(binaries.join(name));
    command.arg(format!("-max_total_time={}", args.seconds)).arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    command.args(["-rss_limit_mb=2048", "-print_final_stats=1"]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(&corpus);
    let seeds = folder().join("seeds").join(name);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    command.current_dir(folder()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
    let status = wait(&mut command, Duration::from_secs(u64::from(args.seconds) + 120))?;
    let said = fs::read_to_string(&log).unwrap_or_default();
    let runs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let runs = runs.and_then(|count| count.trim().parse().ok()).unwrap_or_default();
    // A target that tried nothing proves nothing.
    let held = status && runs > 0;
    if !held {
        let tail: Vec<_> = said.lines().rev().take(30).collect();
        println!("{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }
    Ok(Target { name: name.to_owned(), runs, held })
}

/// Waits, but not for ever; whether it ended with 0.
fn wait(command: &mut Command, most: Duration) -> Result<bool> {
    let mut child = command.spawn()?;
    let until = std::time::Instant::now() + most;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if std::time::Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
