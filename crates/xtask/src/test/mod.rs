//! `cargo xtask test`: everything, streamed, counted.

mod stage;
mod tally;

use std::process::{Command, ExitCode};
use std::time::Instant;

use pipeline_tests::machine::cargo;
use pipeline_tests::needs::Purpose;
use pipeline_tests::{Profile, Programs};

use crate::args::{FuzzArgs, TestArgs};
use crate::table::table;
use crate::trouble::Result;
use crate::{fuzz, needs};
use stage::Stage;
use tally::Tally;

/// How long each fuzz target runs.
const FUZZ_SECONDS: u32 = 60;

pub(crate) fn run(args: &TestArgs) -> Result<ExitCode> {
    needs::bring(&[Purpose::Build, Purpose::Package, Purpose::Server, Purpose::Test, Purpose::Fuzz])?;
    if args.long {
        needs::bring(&[Purpose::Long])?;
    }
    let mut stages = vec![
        stage::check("format", cargo().args(["fmt", "--all", "--check"])),
        stage::check(
            "lints",
            cargo().args([
                "clippy",
                "--locked",
                "--workspace",
                "--all-targets",
                "--keep-going",
                "--",
                "-D",
                "warnings",
            ]),
        ),
    ];
    for (name, mut command) in ["build", "static receiver"].into_iter().zip(Programs::commands(Profile::Dev)?)
    {
        stages.push(stage::check(name, &mut command));
    }
    stages.push(stage::tests("tests", &mut cargo_test(args)));
    stages.push(fuzz_stage());
    Ok(conclude(&stages))
}

/// All packages in one command: with other packages, cargo would choose other features of the same libraries, and compile them again.
fn cargo_test(args: &TestArgs) -> Command {
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--", "--show-output"]);
    if args.long {
        command.arg("--include-ignored").env("FIRN_LONG", "1");
    }
    command
}

fn fuzz_stage() -> Stage {
    stage::headline("fuzz");
    let began = Instant::now();
    let tally = match fuzz::all(&FuzzArgs { seconds: FUZZ_SECONDS }) {
        Ok(targets) => targets.iter().fold(Tally::default(), |tally, target| tally.with(target.held)),
        Err(trouble) => {
            println!("{trouble}");
            Tally::default().with(false)
        }
    };
    Stage { name: "fuzz", tally, took: began.elapsed() }
}

/// The table, and the counts alone on the last line.
fn conclude(stages: &[Stage]) -> ExitCode {
    let rows: Vec<_> = stages
        .iter()
        .map(|Stage { name, tally, took }| {
            let Tally { passed, failed, skipped } = tally;
            let seconds = format!("{:.0}", took.as_secs_f64());
            vec![(*name).to_owned(), passed.to_string(), failed.to_string(), skipped.to_string(), seconds]
        })
        .collect();
    println!("\n{}", table(&["stage", "passed", "failed", "skipped", "seconds"], &rows, &[1, 2, 3, 4]));
    let all = stages.iter().fold(Tally::default(), |sum, stage| sum.plus(stage.tally));
    println!("{} passed, {} failed, {} skipped", all.passed, all.failed, all.skipped);
    if all.failed == 0 && all.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
